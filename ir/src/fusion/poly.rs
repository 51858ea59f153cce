//! Integer polynomials in symbols and input strides: what offsets and strides of a captured graph are. In normal form, so
//! that two of them are certainly equal when they compare equal. What they are at run time is the kernel's `IntExpr`.

use crate::{
    node::InputId,
    shape::{Dim, Int, SymId},
    text::symbol_name,
};
use smallvec::{SmallVec, smallvec};
use std::fmt::{self, Display, Formatter};

/// What a polynomial is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Atom {
    /// A symbol of the graph.
    Sym(SymId),
    /// The stride in elements of an input's axis.
    Stride(InputId, u8),
}

/// A product of atoms, ascending.
pub type Monomial = SmallVec<[Atom; 4]>;

/// A sum of monomials with literal factors: monomials ascending, no factor 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Poly {
    terms: SmallVec<[(Monomial, i64); 1]>,
}

impl Poly {
    /// 0.
    pub fn zero() -> Poly {
        Poly::default()
    }

    /// A literal.
    pub fn literal(value: i64) -> Poly {
        Poly { terms: if value == 0 { SmallVec::new() } else { smallvec![(Monomial::new(), value)] } }
    }

    /// An atom.
    pub fn atom(atom: Atom) -> Poly {
        Poly { terms: smallvec![(smallvec![atom], 1)] }
    }

    /// An extent.
    pub fn extent(dim: Dim) -> Poly {
        match dim {
            Dim::Zero => Poly::zero(),
            Dim::One => Poly::literal(1),
            Dim::Two => Poly::literal(2),
            Dim::Sym(symbol) => Poly::atom(Atom::Sym(symbol)),
        }
    }

    /// A slice's start or step.
    pub fn int(int: Int) -> Poly {
        match int {
            Int::Const(value) => Poly::literal(value),
            Int::Sym(symbol) => Poly::atom(Atom::Sym(symbol)),
        }
    }

    /// The number of elements of a shape.
    pub fn elements(shape: &[Dim]) -> Poly {
        shape.iter().fold(Poly::literal(1), |product, &dim| product.times(&Poly::extent(dim)))
    }

    /// The monomials with their factors.
    pub fn terms(&self) -> &[(Monomial, i64)] {
        &self.terms
    }

    /// The value, if it is a literal.
    pub fn as_literal(&self) -> Option<i64> {
        match self.terms.as_slice() {
            [] => Some(0),
            [(monomial, factor)] if monomial.is_empty() => Some(*factor),
            _ => None,
        }
    }

    /// Certainly 0?
    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// The sum.
    pub fn plus(&self, other: &Poly) -> Poly {
        if self.is_zero() {
            return other.clone();
        }
        let mut sum = self.clone();
        for (monomial, factor) in &other.terms {
            sum.add_term(monomial.clone(), *factor);
        }
        sum
    }

    /// The product.
    pub fn times(&self, other: &Poly) -> Poly {
        match (self.as_literal(), other.as_literal()) {
            (Some(1), _) => return other.clone(),
            (_, Some(1)) => return self.clone(),
            _ => {}
        }
        let mut product = Poly::zero();
        for (left, a) in &self.terms {
            for (right, b) in &other.terms {
                let mut monomial: Monomial = left.iter().chain(right).copied().collect();
                monomial.sort_unstable();
                product.add_term(monomial, a.wrapping_mul(*b));
            }
        }
        product
    }

    fn add_term(&mut self, monomial: Monomial, factor: i64) {
        match self.terms.binary_search_by(|(m, _)| m.cmp(&monomial)) {
            Ok(at) => {
                self.terms[at].1 = self.terms[at].1.wrapping_add(factor);
                if self.terms[at].1 == 0 {
                    self.terms.remove(at);
                }
            }
            Err(at) if factor != 0 => self.terms.insert(at, (monomial, factor)),
            Err(_) => {}
        }
    }
}

impl Display for Poly {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        for (i, (monomial, factor)) in self.terms.iter().enumerate() {
            let sign = if *factor < 0 { "-" } else { "+" };
            match (i, sign) {
                (0, "-") => f.write_str("-")?,
                (0, _) => {}
                _ => write!(f, " {sign} ")?,
            }
            let factor = factor.unsigned_abs();
            if factor != 1 || monomial.is_empty() {
                write!(f, "{factor}")?;
            }
            for (k, atom) in monomial.iter().enumerate() {
                if k > 0 || factor != 1 {
                    f.write_str("*")?;
                }
                match atom {
                    Atom::Sym(symbol) => f.write_str(&symbol_name(*symbol))?,
                    Atom::Stride(input, axis) => write!(f, "stride(%a{}, {axis})", input.0)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sums_and_products_have_one_form() {
        let [m, n, p] = [0, 1, 2].map(|s| Poly::atom(Atom::Sym(SymId(s))));
        assert_eq!(m.times(&n).times(&p), p.times(&n.times(&m)));
        assert_eq!(m.plus(&n).times(&p), p.times(&n).plus(&m.times(&p)));
        let minus_m = m.times(&Poly::literal(-1));
        assert_eq!(m.plus(&minus_m), Poly::zero());
        assert_eq!(m.plus(&n).plus(&minus_m), n);
        assert_ne!(m.times(&n), m.times(&p));
    }

    #[test]
    fn polynomials_print_as_sums() {
        let [m, n] = [0, 1].map(|s| Poly::atom(Atom::Sym(SymId(s))));
        let poly = Poly::literal(-3).plus(&m.times(&n).times(&Poly::literal(4))).plus(&n);
        assert_eq!(poly.to_string(), "-3 + 4*m*n + n");
        assert_eq!(Poly::atom(Atom::Stride(InputId(2), 1)).to_string(), "stride(%a2, 1)");
    }
}
