//! Polynomials and index maps of the graph as run-time integers and affine indices.

use crate::kernel::{Affine, Coefficient, IntExpr, IntId, VarId};
use fusewire_ir::{
    fusion::{
        index::{Index, Var},
        poly::{Atom, Poly},
    },
    node::InputId,
};

/// A polynomial as an integer. `stride` says what an input's stride is, `intern` adds an integer or finds the equal one.
pub(super) fn int(
    poly: &Poly,
    stride: &dyn Fn(InputId, u8) -> IntExpr,
    intern: &mut dyn FnMut(IntExpr) -> IntId,
) -> IntId {
    let mut sum: Option<IntId> = None;
    for (monomial, factor) in poly.terms() {
        // Products are built from the right, so that the strides of one array share their inner products.
        let mut product: Option<IntId> = None;
        for atom in monomial.iter().rev() {
            let atom = intern(match *atom {
                Atom::Sym(symbol) => IntExpr::Sym(symbol),
                Atom::Stride(input, axis) => stride(input, axis),
            });
            product = Some(match product {
                Some(product) => intern(IntExpr::Mul(product, atom)),
                None => atom,
            });
        }
        sum = Some(match (sum, product) {
            (Some(sum), Some(product)) if *factor == -1 => intern(IntExpr::Sub(sum, product)),
            (sum, product) => {
                let term = match product {
                    Some(product) if *factor == 1 => product,
                    Some(product) => {
                        let factor = intern(IntExpr::Const(*factor));
                        intern(IntExpr::Mul(factor, product))
                    }
                    None => intern(IntExpr::Const(*factor)),
                };
                match sum {
                    Some(sum) => intern(IntExpr::Add(sum, term)),
                    None => term,
                }
            }
        });
    }
    sum.unwrap_or_else(|| intern(IntExpr::Const(0)))
}

/// An index map as an affine index. `var` says which loop variable stands for a region's.
pub(super) fn affine(index: &Index, var: impl Fn(Var) -> VarId, mut int: impl FnMut(&Poly) -> IntId) -> Affine {
    let offset = (!index.offset.is_zero()).then(|| int(&index.offset));
    let coefficient = |poly: &Poly, int: &mut dyn FnMut(&Poly) -> IntId| match poly.as_literal() {
        Some(literal) => Coefficient::Const(literal),
        None => Coefficient::Int(int(poly)),
    };
    let terms = index.terms.iter().map(|(v, poly)| (var(*v), coefficient(poly, &mut int))).collect();
    Affine { offset, terms }
}
