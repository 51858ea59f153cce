//! Index maps: which element of an operand an element of a view is, as functions affine in a region's loop variables.
//! They go from results to operands. The other direction, strides of a view of an array, is `strided.rs`.

use crate::{
    fusion::poly::Poly,
    graph::Node,
    node::{GraphForm, Op, View},
    shape::Dim,
};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// A loop variable of a region: its number in `Region::vars`.
pub type Var = u32;

/// `offset + sum of coefficient * variable`; variables ascending, no coefficient 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Index {
    /// Added once.
    pub offset: Poly,
    /// The variables with their coefficients.
    pub terms: SmallVec<[(Var, Poly); 1]>,
}

/// One index an axis. Shared, since element-wise nodes are needed where their users are.
pub type Indices = Arc<[Index]>;

/// The first element of an array of so many axes.
pub fn origin(rank: usize) -> Indices {
    vec![Index::zero(); rank].into()
}

impl Index {
    /// Always 0.
    pub fn zero() -> Index {
        Index::default()
    }

    /// The variable itself.
    pub fn var(var: Var) -> Index {
        Index { offset: Poly::zero(), terms: smallvec![(var, Poly::literal(1))] }
    }

    /// The variable that the index is, if it is just that.
    pub fn as_var(&self) -> Option<Var> {
        match self.terms.as_slice() {
            [(var, coefficient)] if self.offset.is_zero() && coefficient.as_literal() == Some(1) => Some(*var),
            _ => None,
        }
    }

    /// The index times a factor.
    pub fn times(&self, factor: &Poly) -> Index {
        let terms = self.terms.iter().map(|(var, c)| (*var, c.times(factor)));
        Index { offset: self.offset.times(factor), terms: terms.filter(|(_, c)| !c.is_zero()).collect() }
    }

    /// The sum.
    pub fn plus(&self, other: &Index) -> Index {
        let mut sum = self.clone();
        sum.offset = sum.offset.plus(&other.offset);
        for (var, coefficient) in &other.terms {
            match sum.terms.binary_search_by_key(var, |t| t.0) {
                Ok(at) => {
                    sum.terms[at].1 = sum.terms[at].1.plus(coefficient);
                    if sum.terms[at].1.is_zero() {
                        sum.terms.remove(at);
                    }
                }
                Err(at) => sum.terms.insert(at, (*var, coefficient.clone())),
            }
        }
        sum
    }

    /// The index with its variables renamed: `map[var]` is the new name.
    pub fn renamed(&self, map: &[Var]) -> Index {
        let mut terms: SmallVec<[(Var, Poly); 1]> =
            self.terms.iter().map(|(var, c)| (map[*var as usize], c.clone())).collect();
        terms.sort_by_key(|t| t.0);
        Index { offset: self.offset.clone(), terms }
    }
}

/// Does one of the indices depend on the variable?
pub fn mentions(indices: &[Index], var: Var) -> bool {
    indices.iter().any(|index| index.terms.iter().any(|(v, _)| *v == var))
}

/// The indices of the operand's element that is the view's element at `at`. `None` when they are not affine: a reshape
/// that merges axes.
pub fn through_view(view: &View<GraphForm>, node: &Node, operand: &Node, at: &[Index]) -> Option<Indices> {
    match view {
        View::Permute(axes) => {
            let mut indices = vec![Index::zero(); at.len()];
            for (index, &axis) in at.iter().zip(axes) {
                indices[axis as usize] = index.clone();
            }
            Some(indices.into())
        }
        View::Expand => Some(
            at.iter()
                .zip(&operand.shape)
                .map(|(i, d)| if *d == Dim::One { Index::zero() } else { i.clone() })
                .collect(),
        ),
        View::Slice { starts, steps } => Some(
            at.iter()
                .zip(starts.iter().zip(steps))
                .map(|(index, (&start, &step))| {
                    let mut index = index.times(&Poly::int(step));
                    index.offset = index.offset.plus(&Poly::int(start));
                    index
                })
                .collect(),
        ),
        View::Reshape => {
            let mut indices = vec![Index::zero(); operand.shape.len()];
            for Group { from, to } in reshape_groups(&operand.shape, &node.shape) {
                match from.as_slice() {
                    // Only where the array is empty, so that nothing is ever read.
                    [] => {}
                    [axis] => indices[*axis] = split_index(&to, &node.shape, at),
                    _ => return None,
                }
            }
            Some(indices.into())
        }
    }
}

/// The index of an axis that a reshape splits into `axes`: row-major.
fn split_index(axes: &[usize], shape: &[Dim], at: &[Index]) -> Index {
    axes.iter().fold(Index::zero(), |index, &axis| index.times(&Poly::extent(shape[axis])).plus(&at[axis]))
}

/// Axes that a reshape turns into each other, by themselves. Axes of extent 1 are in no group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// The operand's axes.
    pub from: SmallVec<[usize; 4]>,
    /// The result's axes.
    pub to: SmallVec<[usize; 4]>,
}

/// How far a reshape is known to leave axes apart: leading and trailing axes of equal extents stay themselves, the rest
/// is one group.
pub fn reshape_groups(from: &[Dim], to: &[Dim]) -> SmallVec<[Group; 4]> {
    let axes =
        |shape: &[Dim]| -> SmallVec<[usize; 4]> { (0..shape.len()).filter(|&axis| shape[axis] != Dim::One).collect() };
    let (left, right) = (axes(from), axes(to));
    let (mut left, mut right) = (left.as_slice(), right.as_slice());
    let (mut groups, mut trailing): (SmallVec<[Group; 4]>, SmallVec<[Group; 4]>) = (SmallVec::new(), SmallVec::new());
    let pair = |a: usize, b: usize| Group { from: smallvec![a], to: smallvec![b] };
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right)
        && from[*a] == to[*b]
    {
        groups.push(pair(*a, *b));
        (left, right) = (left_rest, right_rest);
    }
    while let ([left_rest @ .., a], [right_rest @ .., b]) = (left, right)
        && from[*a] == to[*b]
    {
        trailing.push(pair(*a, *b));
        (left, right) = (left_rest, right_rest);
    }
    if !left.is_empty() || !right.is_empty() {
        groups.push(Group { from: left.into(), to: right.into() });
    }
    groups.extend(trailing.into_iter().rev());
    groups
}

/// Can the indices of any operand be taken through the view?
pub fn is_affine(node: &Node, operand: &Node) -> bool {
    match &node.op {
        Op::View(View::Reshape) => reshape_groups(&operand.shape, &node.shape).iter().all(|g| g.from.len() <= 1),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::SymId;

    const M: Dim = Dim::Sym(SymId(0));
    const N: Dim = Dim::Sym(SymId(1));
    const K: Dim = Dim::Sym(SymId(2));

    fn groups(from: &[Dim], to: &[Dim]) -> Vec<(Vec<usize>, Vec<usize>)> {
        reshape_groups(from, to).iter().map(|g| (g.from.to_vec(), g.to.to_vec())).collect()
    }

    #[test]
    fn reshapes_keep_equal_outer_and_inner_axes_apart() {
        assert_eq!(groups(&[M, Dim::One], &[M]), [(vec![0], vec![0])]);
        assert_eq!(groups(&[M, N], &[K]), [(vec![0, 1], vec![0])]);
        assert_eq!(groups(&[K, N], &[M, N, N]), [(vec![0], vec![0, 1]), (vec![1], vec![2])]);
        assert_eq!(groups(&[M, N], &[N, M]), [(vec![0, 1], vec![0, 1])]);
        assert_eq!(groups(&[], &[Dim::One]), []);
    }

    #[test]
    fn sums_of_indices_collect_terms() {
        let n = Poly::extent(N);
        let index = Index::var(1).times(&n).plus(&Index::var(0)).plus(&Index::var(1));
        assert_eq!(index.terms.as_slice(), [(0, Poly::literal(1)), (1, n.plus(&Poly::literal(1)))]);
        let back = index.plus(&Index::var(0).times(&Poly::literal(-1)));
        assert_eq!(back.terms.len(), 1);
    }
}
