//! Whether two values are computed in the same way from the same elements, when variables of the one stand for variables of the
//! other. What is not recognised counts as different.

use crate::kernel::{Affine, Inst, Kernel, ValueId, VarId};
use rustc_hash::FxHashSet;

/// Whether values of two loops are computed in the same way.
pub(super) struct Equality<'k> {
    kernel: &'k Kernel,
    /// What variables of the one are called in the other.
    vars: &'k [(VarId, VarId)],
    /// What was found equal.
    known: FxHashSet<(ValueId, ValueId)>,
}

impl<'k> Equality<'k> {
    /// Of values of this kernel, with variables and what they are called on the other side.
    pub fn of(kernel: &'k Kernel, vars: &'k [(VarId, VarId)]) -> Equality<'k> {
        Equality { kernel, vars, known: FxHashSet::default() }
    }

    /// Are the two computed in the same way?
    pub fn holds(&mut self, x: ValueId, y: ValueId) -> bool {
        if x == y || self.known.contains(&(x, y)) {
            return true;
        }
        let (one, other) = (self.kernel.value(x), self.kernel.value(y));
        let place = |at: &Affine| {
            let mut at = at.clone();
            self.vars.iter().for_each(|&(from, to)| at.rename(from, to));
            at.sorted()
        };
        let equal = one.dtype == other.dtype
            && match (&one.inst, &other.inst) {
                (Inst::Const(a), Inst::Const(b)) => a == b,
                (Inst::Param(a), Inst::Param(b)) => a == b,
                (Inst::Index(a), Inst::Index(b)) => place(a) == b.clone().sorted(),
                (Inst::Load { buffer: a, at: p }, Inst::Load { buffer: b, at: q }) => {
                    a == b && place(p) == q.clone().sorted()
                }
                (Inst::Op(a, xs), Inst::Op(b, ys)) => {
                    a == b && xs.len() == ys.len() && xs.iter().zip(ys).all(|(&x, &y)| self.holds(x, y))
                }
                (Inst::Cast(x), Inst::Cast(y)) => self.holds(*x, *y),
                _ => false,
            };
        if equal {
            self.known.insert((x, y));
        }
        equal
    }
}
