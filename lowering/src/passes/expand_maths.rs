//! Replaces each maths op on floats, and the division of integers, by its expansion into primitives (`math/`).

use crate::{
    builder::BlockEmitter,
    kernel::{Kernel, Stmt, ValueId},
    math,
    pass::KernelPass,
};
use fusewire_ir::emit::V;
use smallvec::SmallVec;

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "expand-maths",
    doc: "Replaces exp, sin, ... of floats and the division of integers by their expansions into primitive ops.",
    run: |kernel| {
        let mut renames = Renames::new(kernel);
        for i in 0..kernel.phases.len() {
            let body = std::mem::take(&mut kernel.phases[i].body);
            kernel.phases[i].body = block(kernel, body, &mut renames);
        }
    },
};

/// Which values stand for others from now on.
pub(super) struct Renames(Vec<ValueId>);

impl Renames {
    pub(super) fn new(kernel: &Kernel) -> Renames {
        Renames((0..kernel.values.len() as u32).map(ValueId).collect())
    }

    /// What a value is called now. Values that are newer than the table keep their names.
    pub(super) fn get(&self, id: ValueId) -> ValueId {
        self.0.get(id.0 as usize).copied().unwrap_or(id)
    }

    pub(super) fn set(&mut self, from: ValueId, to: ValueId) {
        self.0[from.0 as usize] = to;
    }

    /// Renames what a statement uses. Of a loop, what it folds: call it after its body was renamed.
    pub(super) fn apply(&self, kernel: &mut Kernel, stmt: &mut Stmt) {
        match stmt {
            Stmt::Let(id) => {
                let operands = kernel.values[id.0 as usize].inst.operands_mut();
                operands.iter_mut().for_each(|operand| *operand = self.get(*operand));
            }
            Stmt::Store { value, .. } => *value = self.get(*value),
            Stmt::Loop(inner) => {
                inner.reductions.iter_mut().for_each(|r| r.value = self.get(r.value));
                inner.scans.iter_mut().for_each(|s| s.value = self.get(s.value));
            }
        }
    }
}

fn block(kernel: &mut Kernel, old: Vec<Stmt>, renames: &mut Renames) -> Vec<Stmt> {
    let mut new = Vec::with_capacity(old.len());
    for mut stmt in old {
        if let Stmt::Loop(inner) = &mut stmt {
            inner.body = block(kernel, std::mem::take(&mut inner.body), renames);
        }
        renames.apply(kernel, &mut stmt);
        if let Stmt::Let(id) = stmt
            && let crate::kernel::Inst::Op(op, operands) = &kernel.value(id).inst
            && math::expands(*op, kernel.dtype(operands[0]))
        {
            let (op, operands) = (*op, operands.iter().map(|v| V(v.0)).collect::<SmallVec<[V; 3]>>());
            let result = math::expand(op, &mut BlockEmitter { kernel, block: &mut new }, &operands);
            renames.set(id, ValueId(result.0));
        } else {
            new.push(stmt);
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use crate::{passes::testing, verify::verify_lowered};

    const SOFT: &str = "kernel @soft(b0: in f32, b1: out f32[i0], b2: out f32[i1], b3: out i32[i0]) {
      i0 = sym m
      i1 = const 1
      phase () {
        loop v0 in i0 {
          %0 = load b0[v0] : f32
          %1 = exp %0 : f32
          %2 = log1p %1 : f32
          store b1[v0] = %2
          %3 = cast %0 : i32
          %4 = pow %3, %3 : i32
          store b3[v0] = %4
        } reduce %5 = add %1 : f32
        %6 = log %5 : f32
        store b2[0] = %6
      }
    }";

    #[test]
    fn expansions_take_the_place_of_float_maths_and_integer_pow_stays() {
        let (before, after) = testing::run_named(SOFT, &["expand-maths"]);
        verify_lowered(&after).unwrap();
        let text = crate::text::print(&after);
        assert!(text.contains("= pow ") && !text.contains("= exp ") && !text.contains("= log "), "{text}");
        testing::assert_same_results(&before, &after, &[37], 1e-6);
    }
}
