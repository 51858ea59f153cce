//! Run-time integers of a kernel: evaluating them before a launch (the runtime's hot path), building them without
//! duplicates, and deciding whether two of them are always equal. What they are for stands in `kernel.rs`.

use crate::kernel::{BufferId, Coefficient, IntExpr, IntId, Kernel};
use smallvec::SmallVec;

/// The workers of interpreters, which have one: as many that tests meet all that depends on them.
const WORKERS: i64 = 8;

/// The values of the integers, in order. `stride` gives the stride in elements of an input buffer's axis.
pub fn evaluate_ints(exprs: &[IntExpr], symbols: &[i64], stride: impl FnMut(BufferId, u8) -> i64) -> Vec<i64> {
    let mut values = Vec::with_capacity(exprs.len());
    evaluate_ints_into(&mut values, exprs, symbols, stride);
    values
}

/// As [`evaluate_ints`], into a vector that is emptied first: no allocation when it is large enough.
pub fn evaluate_ints_into(
    values: &mut Vec<i64>,
    exprs: &[IntExpr],
    symbols: &[i64],
    mut stride: impl FnMut(BufferId, u8) -> i64,
) {
    values.clear();
    for expr in exprs {
        let at = |id: IntId| values[id.0 as usize];
        let value = match *expr {
            IntExpr::Const(value) => value,
            IntExpr::Sym(symbol) => symbols[symbol.0 as usize],
            IntExpr::Workers => WORKERS,
            IntExpr::Stride { buffer, axis } => stride(buffer, axis),
            // Strides of empty or one-element axes may be anything, so nothing here may trap.
            IntExpr::Add(a, b) => at(a).wrapping_add(at(b)),
            IntExpr::Sub(a, b) => at(a).wrapping_sub(at(b)),
            IntExpr::Mul(a, b) => at(a).wrapping_mul(at(b)),
            IntExpr::CeilDiv(a, b) => ceil_div(at(a), at(b)),
            IntExpr::Min(a, b) => at(a).min(at(b)),
            IntExpr::Max(a, b) => at(a).max(at(b)),
        };
        values.push(value);
    }
}

/// The quotient of non-negative integers, rounded up; 0 for a divisor of 0.
fn ceil_div(a: i64, b: i64) -> i64 {
    if b <= 0 { 0 } else { a / b + i64::from(a % b > 0) }
}

/// Adds an integer to a list, or finds the equal one; folds constants and units.
pub fn intern(ints: &mut Vec<IntExpr>, expr: IntExpr) -> IntId {
    let constant = |ints: &[IntExpr], id: IntId| match ints[id.0 as usize] {
        IntExpr::Const(value) => Some(value),
        _ => None,
    };
    let expr = match expr {
        IntExpr::Const(_) | IntExpr::Sym(_) | IntExpr::Workers | IntExpr::Stride { .. } => expr,
        IntExpr::Add(a, b) => match (constant(ints, a), constant(ints, b)) {
            (Some(x), Some(y)) => IntExpr::Const(x.wrapping_add(y)),
            (Some(0), _) => return b,
            (_, Some(0)) => return a,
            _ => IntExpr::Add(a.min(b), a.max(b)),
        },
        IntExpr::Sub(a, b) => match (constant(ints, a), constant(ints, b)) {
            (Some(x), Some(y)) => IntExpr::Const(x.wrapping_sub(y)),
            (_, Some(0)) => return a,
            _ if a == b => IntExpr::Const(0),
            _ => expr,
        },
        IntExpr::Mul(a, b) => match (constant(ints, a), constant(ints, b)) {
            (Some(x), Some(y)) => IntExpr::Const(x.wrapping_mul(y)),
            (Some(0), _) | (_, Some(0)) => IntExpr::Const(0),
            (Some(1), _) => return b,
            (_, Some(1)) => return a,
            _ => IntExpr::Mul(a.min(b), a.max(b)),
        },
        IntExpr::CeilDiv(a, b) => match (constant(ints, a), constant(ints, b)) {
            (Some(x), Some(y)) => IntExpr::Const(ceil_div(x, y)),
            (_, Some(1)) => return a,
            _ => expr,
        },
        IntExpr::Min(a, b) | IntExpr::Max(a, b) if a == b => return a,
        IntExpr::Min(a, b) => match (constant(ints, a), constant(ints, b)) {
            (Some(x), Some(y)) => IntExpr::Const(x.min(y)),
            _ => IntExpr::Min(a.min(b), a.max(b)),
        },
        IntExpr::Max(a, b) => match (constant(ints, a), constant(ints, b)) {
            (Some(x), Some(y)) => IntExpr::Const(x.max(y)),
            _ => IntExpr::Max(a.min(b), a.max(b)),
        },
    };
    if let Some(found) = ints.iter().position(|&e| e == expr) {
        return IntId(found as u32);
    }
    ints.push(expr);
    IntId(ints.len() as u32 - 1)
}

/// A product in normal form: a literal times the other factors in ascending order. Two integers of a kernel without
/// duplicate ints are certainly equal when their products are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Product {
    /// The literal factor.
    pub literal: i64,
    /// The factors that are neither literals nor products.
    pub factors: SmallVec<[IntId; 4]>,
}

impl Product {
    /// Of a literal.
    pub fn literal(literal: i64) -> Product {
        Product { literal, factors: SmallVec::new() }
    }

    /// Of an integer.
    pub fn of(ints: &[IntExpr], id: IntId) -> Product {
        match ints[id.0 as usize] {
            IntExpr::Const(value) => Product::literal(value),
            IntExpr::Mul(a, b) => Product::of(ints, a).times(&Product::of(ints, b)),
            _ => Product { literal: 1, factors: SmallVec::from_slice(&[id]) },
        }
    }

    /// Of a coefficient.
    pub fn of_coefficient(ints: &[IntExpr], coefficient: Coefficient) -> Product {
        match coefficient {
            Coefficient::Const(value) => Product::literal(value),
            Coefficient::Int(id) => Product::of(ints, id),
        }
    }

    /// The product of two.
    pub fn times(mut self, other: &Product) -> Product {
        self.literal = self.literal.wrapping_mul(other.literal);
        self.factors.extend(other.factors.iter().copied());
        self.factors.sort_unstable();
        if self.literal == 0 {
            self.factors.clear();
        }
        self
    }
}

impl Kernel {
    /// The id of an integer: a new one, or the equal one that is there.
    pub fn int(&mut self, expr: IntExpr) -> IntId {
        intern(&mut self.ints, expr)
    }

    /// The id of a literal.
    pub fn int_const(&mut self, value: i64) -> IntId {
        self.int(IntExpr::Const(value))
    }

    /// The literal that an integer is, if it is one.
    pub fn int_literal(&self, id: IntId) -> Option<i64> {
        match self.ints[id.0 as usize] {
            IntExpr::Const(value) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusewire_ir::shape::SymId;

    #[test]
    fn ints_evaluate_in_order_from_symbols_and_strides() {
        let exprs = [
            IntExpr::Sym(SymId(1)),
            IntExpr::Const(4),
            IntExpr::CeilDiv(IntId(0), IntId(1)),
            IntExpr::Stride { buffer: BufferId(2), axis: 1 },
            IntExpr::Mul(IntId(2), IntId(3)),
            IntExpr::Sub(IntId(4), IntId(1)),
            IntExpr::Min(IntId(4), IntId(5)),
            IntExpr::Max(IntId(4), IntId(5)),
        ];
        let values = evaluate_ints(&exprs, &[0, 9], |b, axis| -(b.0 as i64 * 10 + axis as i64));
        assert_eq!(values, [9, 4, 3, -21, -63, -67, -67, -63]);
    }

    #[test]
    fn equal_ints_share_an_id_and_constants_fold() {
        let mut ints = Vec::new();
        let n = intern(&mut ints, IntExpr::Sym(SymId(0)));
        let m = intern(&mut ints, IntExpr::Sym(SymId(1)));
        assert_eq!(intern(&mut ints, IntExpr::Mul(n, m)), intern(&mut ints, IntExpr::Mul(m, n)));
        let one = intern(&mut ints, IntExpr::Const(1));
        assert_eq!(intern(&mut ints, IntExpr::Mul(one, m)), m);
        let four = intern(&mut ints, IntExpr::Const(4));
        let five = intern(&mut ints, IntExpr::Add(one, four));
        assert_eq!(ints[five.0 as usize], IntExpr::Const(5));
    }

    #[test]
    fn products_compare_whatever_their_nesting() {
        let mut ints = Vec::new();
        let [a, b, c] = [0, 1, 2].map(|s| intern(&mut ints, IntExpr::Sym(SymId(s))));
        let ab = intern(&mut ints, IntExpr::Mul(a, b));
        let bc = intern(&mut ints, IntExpr::Mul(b, c));
        let left = intern(&mut ints, IntExpr::Mul(ab, c));
        let right = intern(&mut ints, IntExpr::Mul(a, bc));
        assert_ne!(left, right);
        assert_eq!(Product::of(&ints, left), Product::of(&ints, right));
        assert_ne!(Product::of(&ints, left), Product::of(&ints, ab));
    }
}
