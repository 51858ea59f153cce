//! Huge arguments of trigonometric functions: so rare that lanes do without them. A vector loop that has no reductions
//! tests its lanes once, computes as if no argument were huge, which leaves constants of the ops below and lets most of
//! what hangs on them fall away, and hands a group of lanes with a huge one to the loop that also runs the rest of the
//! iterations, one by one. Elsewhere the ops are calls on a path of their own.

use super::{
    Emitter,
    values::{Bundle, Vectors, arguments},
};
use cranelift::prelude::*;
use fusewire_ir::{dtype::DType, ops::ScalarOp, scalar::Scalar};
use fusewire_lowering::kernel::Loop;

/// How the lanes of the iteration that is being emitted are given up.
pub(super) struct Escape {
    /// Where to jump.
    to: Block,
    /// Arguments that were tested.
    tested: Vec<Vectors>,
}

impl Emitter<'_> {
    /// The iterations `begin..tail` in groups of lanes and `tail..end` one by one, as well as the groups that are given up.
    pub(super) fn escaping_loop(&mut self, inner: &Loop, lanes: u32, [begin, tail, end]: [Value; 3]) {
        let [group, given_up, single, done, rest, exit] = std::array::from_fn(|_| self.b.create_block());
        self.b.set_cold_block(given_up);
        let at = self.b.append_block_param(group, types::I64);
        let (one, stop) =
            (self.b.append_block_param(single, types::I64), self.b.append_block_param(single, types::I64));
        let reached = self.b.append_block_param(done, types::I64);
        self.b.ins().jump(done, &arguments(&[begin]));

        // Everything before `reached` is computed; what comes next?
        self.b.switch_to_block(done);
        let groups_left = self.b.ins().icmp(IntCC::SignedLessThan, reached, tail);
        self.b.ins().brif(groups_left, group, &arguments(&[reached]), rest, &[]);
        self.b.switch_to_block(rest);
        let any_left = self.b.ins().icmp(IntCC::SignedLessThan, reached, end);
        self.b.ins().brif(any_left, single, &arguments(&[reached, end]), exit, &[]);

        self.b.switch_to_block(group);
        self.lanes = lanes;
        self.poll(inner.range);
        self.escape = Some(Escape { to: given_up, tested: Vec::new() });
        self.iteration(inner, at);
        self.escape = None;
        self.lanes = 1;
        let next = self.b.ins().iadd_imm_s(at, i64::from(lanes));
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, tail);
        self.b.ins().brif(more, group, &arguments(&[next]), done, &arguments(&[next]));

        self.b.switch_to_block(given_up);
        let behind = self.b.ins().iadd_imm_s(at, i64::from(lanes));
        self.b.ins().jump(single, &arguments(&[at, behind]));

        self.b.switch_to_block(single);
        self.iteration(inner, one);
        let next = self.b.ins().iadd_imm_s(one, 1);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, stop);
        self.b.ins().brif(more, single, &arguments(&[next, stop]), done, &arguments(&[stop]));
        self.b.switch_to_block(exit);
    }

    /// An op that is zero but for huge arguments, which are finite and at least 2^20.
    pub(super) fn huge_trig(&mut self, op: ScalarOp, dtype: DType, operand: &Bundle) -> Bundle {
        let zero = Bundle::Const(Scalar::from_i64(dtype, 0));
        let Some(escape) = &self.escape else { return self.huge_trig_or_call(op, dtype, operand, zero) };
        let Bundle::Lanes(vectors) = operand else { return self.huge_trig_or_call(op, dtype, operand, zero) };
        if !escape.tested.contains(vectors) {
            let (to, next, vectors) = (escape.to, self.b.create_block(), vectors.clone());
            let huge = self.is_huge(dtype, operand);
            let any = self.any(huge);
            self.b.ins().brif(any, to, &[], next, &[]);
            self.b.switch_to_block(next);
            self.escape.iter_mut().for_each(|escape| escape.tested.push(vectors.clone()));
        }
        zero
    }

    /// Is the magnitude at least 2^20? Of infinities too, for which the ops are zero: to tell them apart would cost every
    /// group of lanes.
    fn is_huge(&mut self, dtype: DType, operand: &Bundle) -> Bundle {
        let limit = Bundle::Const(Scalar::from_f64(dtype, f64::from(1 << 20)));
        let magnitude = self.op(ScalarOp::Abs, dtype, std::slice::from_ref(operand));
        self.op(ScalarOp::GreaterEqual, dtype, &[magnitude, limit])
    }

    /// Is a bool true, in any lane?
    pub(super) fn any(&mut self, truth: Bundle) -> Value {
        match truth {
            Bundle::Lanes(vectors) => {
                let mut vectors = vectors.into_iter();
                let first = vectors.next().expect("a bundle has a vector");
                let all = vectors.fold(first, |x, y| self.b.ins().bor(x, y));
                self.b.ins().vany_true(all)
            }
            other => self.scalar(&other, DType::Bool),
        }
    }

    /// Zero; on a rare path, when a lane is huge, a native function computes all of them.
    fn huge_trig_or_call(&mut self, op: ScalarOp, dtype: DType, operand: &Bundle, zero: Bundle) -> Bundle {
        let lanes = matches!(operand, Bundle::Lanes(_));
        let huge = self.is_huge(dtype, operand);
        let any = self.any(huge);
        let zeros = if lanes { self.vectors(&zero, dtype) } else { [self.scalar(&zero, dtype)].into_iter().collect() };
        let (rare, join) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(rare);
        for &zero in &zeros {
            let kind = self.b.func.dfg.value_type(zero);
            self.b.append_block_param(join, kind);
        }
        self.b.ins().brif(any, rare, &[], join, &arguments(&zeros));
        self.b.switch_to_block(rare);
        let results = match self.call_native(op, dtype, std::slice::from_ref(operand)) {
            Bundle::Lanes(vectors) => vectors,
            other => [self.scalar(&other, dtype)].into_iter().collect(),
        };
        self.b.ins().jump(join, &arguments(&results));
        self.b.switch_to_block(join);
        let results = self.b.block_params(join);
        if lanes { Bundle::Lanes(results.iter().copied().collect()) } else { Bundle::One(results[0]) }
    }
}
