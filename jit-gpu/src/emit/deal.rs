//! Loops whose iterations the threads of a team share out: which are whose, and several of one thread at a time, so that what
//! they load is under way together. What they fold is `fold.rs`, wide accesses are `pack.rs`.

use super::Emitter;
use crate::schedule::{Place, dealt_scan, nest};
use fusewire_jit_llvm::{
    instructions::{Emitted, Value},
    ops::needs_function,
};
use fusewire_lowering::kernel::{CASCADE_BLOCK, Coefficient, Inst, Loop, LoopKind, Stmt, ValueId};
use inkwell::values::IntValue;

/// How many iterations go at a time, and how many values a body has at most of which so many go: more need more registers than
/// there are. What is left over goes in smaller groups.
const GROUPS: [(u32, usize); 2] = [(4, 8), (2, 20)];
/// Of folds of little more than what they load: a block of a cascade at a time.
const FOLDED: (u32, usize) = (CASCADE_BLOCK, 3);

/// Threads that read neighbours when a block is turned on its way to shared memory. Eight read whole sectors of memory, and what
/// they write, a row of the block apart, falls into different banks with the four rows of a warp, as rows are 16 bytes longer
/// than a multiple of the banks.
const TURNED: u32 = 8;

/// The threads that share a loop: the number of the one at hand, and how many they are.
#[derive(Clone, Copy)]
pub(super) struct Share<'c> {
    pub thread: IntValue<'c>,
    pub threads: IntValue<'c>,
}

impl<'c> Emitter<'_, 'c> {
    /// All threads of the team.
    pub(super) fn everybody(&self) -> Share<'c> {
        Share { thread: self.thread, threads: self.i.index(self.width.into()) }
    }

    /// The vector loop of a loop around it alone, if the iterations of both are dealt together.
    pub(super) fn nest<'a>(&self, outer: &'a Loop) -> Option<&'a Loop> {
        if self.schedule.inside { None } else { nest(self.kernel, outer) }
    }

    /// The iterations of two loops, one in the other: as many threads as the inner one has work for go along it, beside each
    /// other, and those rows of threads along the outer one.
    pub(super) fn dealt_nest(&mut self, outer: &Loop, inner: &Loop) -> Emitted<()> {
        let i = self.i;
        let b = &i.builder;
        let (begin, end) = self.bounds(outer.range)?;
        let (first, last) = self.bounds(inner.range)?;
        // As many bits as the number of iterations of the inner loop has, at most the team's.
        let lanes = self.packed_lanes(inner).unwrap_or(1);
        let length = b.build_int_sub(last, first, "")?;
        let length = b.build_int_sub(length, i.index(1), "")?;
        let length = b.build_right_shift(length, i.index(lanes.trailing_zeros().into()), true, "")?;
        let length = i.intrinsic("smax", &[length.into(), i.index(0).into()])?.into_int_value();
        let most = if self.turns(inner) { TURNED.min(self.width) } else { self.width };
        let bits =
            i.intrinsic("smin", &[self.bits_of(length)?.into(), i.index(most.trailing_zeros().into()).into()])?;
        let bits = bits.into_int_value();
        let threads = b.build_left_shift(i.index(1), bits, "")?;
        let mask = b.build_int_sub(threads, i.index(1), "")?;
        let along = Share { thread: b.build_and(self.thread, mask, "")?, threads };
        let row = b.build_right_shift(self.thread, bits, false, "")?;
        let rows = b.build_right_shift(i.index(self.width.into()), bits, false, "")?;
        i.counted_loop(b.build_int_add(begin, row, "")?, end, rows, &[], |iteration, _| {
            self.set_var(outer.var, iteration);
            self.block(&outer.body[..outer.body.len() - 1])?;
            let (begin, end) = self.bounds(inner.range)?;
            self.dealt_elements(inner, begin, end, along)?;
            Ok(Vec::new())
        })?;
        Ok(())
    }

    /// How many bits a number has that is not negative.
    pub(super) fn bits_of(&self, number: IntValue<'c>) -> Emitted<IntValue<'c>> {
        let i = self.i;
        let zeros = i.call_intrinsic(
            "ctlz",
            &[number.get_type().into()],
            &[number.into(), i.context.bool_type().const_zero().into()],
        )?;
        i.builder.build_int_sub(i.index(64), zeros.expect("a count").into_int_value(), "")
    }

    /// Does the loop store neighbours to shared memory, rows of a block apart?
    fn turns(&self, inner: &Loop) -> bool {
        inner.body.iter().any(|stmt| match stmt {
            Stmt::Store { buffer, at, .. } => {
                let shared = matches!(self.schedule.places[buffer.0 as usize], Some(Place::Shared(_)));
                shared && matches!(at.coefficient(inner.var), Some(Coefficient::Const(apart)) if apart.abs() > 1)
            }
            Stmt::Let(_) | Stmt::Loop(_) => false,
        })
    }

    /// The iterations of a thread: `first`, then `step` on as long as that is before `end`. What they fold goes on from
    /// `carried`, in order.
    pub(super) fn each(
        &mut self,
        inner: &Loop,
        first: IntValue<'c>,
        end: IntValue<'c>,
        step: IntValue<'c>,
        carried: &[Value<'c>],
    ) -> Emitted<Vec<Value<'c>>> {
        let i = self.i;
        let b = &i.builder;
        let (mut first, mut carried) = (first, carried.to_vec());
        for group in self.groups(inner) {
            // The last of a group is before the end, too.
            let ahead = b.build_int_mul(step, i.index(i64::from(group) - 1), "")?;
            let whole_end = b.build_int_sub(end, ahead, "")?;
            let stride = b.build_int_mul(step, i.index(group.into()), "")?;
            let start: Vec<Value<'c>> = std::iter::once(first.into()).chain(carried).collect();
            let after = i.counted_loop(first, whole_end, stride, &start, |iteration, carried| {
                let mut at = vec![iteration];
                for _ in 1..group {
                    at.push(b.build_int_add(at[at.len() - 1], step, "")?);
                }
                let mut next = vec![b.build_int_add(iteration, stride, "")?.into()];
                next.extend(self.iterations(inner, &at, &carried[1..])?);
                Ok(next)
            })?;
            first = after[0].into_int_value();
            carried = after[1..].to_vec();
        }
        i.counted_loop(first, end, step, &carried, |iteration, carried| self.iterations(inner, &[iteration], carried))
    }

    /// Some iterations, each statement for all of them before the next one.
    fn iterations(&mut self, inner: &Loop, at: &[IntValue<'c>], carried: &[Value<'c>]) -> Emitted<Vec<Value<'c>>> {
        if let [one] = at {
            self.iteration(inner, *one)?;
            return self.fold_each(inner, carried);
        }
        let mut known: Vec<Vec<(ValueId, Value<'c>)>> = vec![Vec::new(); at.len()];
        for statement in &inner.body {
            for (&iteration, known) in at.iter().zip(&mut known) {
                self.recall(inner, iteration, known);
                self.block(std::slice::from_ref(statement))?;
                if let Stmt::Let(id) = statement {
                    known.push((*id, self.value(*id)));
                }
            }
        }
        let mut carried = carried.to_vec();
        for (&iteration, known) in at.iter().zip(&known) {
            self.recall(inner, iteration, known);
            carried = self.fold_each(inner, &carried)?;
        }
        Ok(carried)
    }

    /// What was known in an iteration is what is known now.
    fn recall(&mut self, inner: &Loop, iteration: IntValue<'c>, known: &[(ValueId, Value<'c>)]) {
        self.set_var(inner.var, iteration);
        for &(id, value) in known {
            self.values[id.0 as usize] = Some(value);
        }
    }

    /// How many iterations of a loop go at a time, as long as there are as many.
    fn groups(&self, inner: &Loop) -> Vec<u32> {
        let mut values = 0;
        for statement in &inner.body {
            match statement {
                Stmt::Let(id) => match &self.kernel.values[id.0 as usize].inst {
                    Inst::Const(_) | Inst::Param(_) => {}
                    Inst::Op(op, operands) if needs_function(*op, self.dtype(operands[operands.len() - 1])) => {
                        return Vec::new();
                    }
                    Inst::Position { .. } => return Vec::new(),
                    _ => values += 1,
                },
                Stmt::Store { .. } => {}
                Stmt::Loop(_) => return Vec::new(),
            }
        }
        let short = |&(_, most): &(u32, usize)| values <= most;
        let folded = Some(FOLDED).filter(|folded| !inner.reductions.is_empty() && short(folded));
        let groups = folded.into_iter().chain(GROUPS.into_iter().find(short));
        groups.map(|(group, _)| group).collect()
    }

    /// Does the team go through a loop together, iteration by iteration?
    pub(super) fn goes_together(&self, statement: &Stmt) -> bool {
        match statement {
            Stmt::Loop(inner) => {
                let shared = self.nest(inner).is_some() || dealt_scan(self.kernel, inner);
                inner.kind == LoopKind::Serial && !shared
            }
            Stmt::Let(_) | Stmt::Store { .. } => false,
        }
    }
}
