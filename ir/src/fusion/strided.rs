//! Views of arrays in memory: an offset and a stride an axis, as polynomials. Going from an array to its views keeps
//! them strided unless a reshape merges axes that do not lie one inside the other.

use crate::{
    fusion::{
        index::{Group, Index, reshape_groups},
        poly::{Atom, Poly},
    },
    graph::{InputDecl, Layout, Stride},
    node::{GraphForm, InputId, View},
    shape::{Dim, SymShape},
};
use smallvec::{SmallVec, smallvec};

/// Where the elements of an array's view are, counted in elements from the array's element `[0, 0, ...]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strided {
    /// The view's element `[0, 0, ...]`.
    pub offset: Poly,
    /// From one index to the next, an entry an axis.
    pub strides: SmallVec<[Poly; 4]>,
}

impl Strided {
    /// A dense, row-major array.
    pub fn dense(shape: &[Dim]) -> Strided {
        let mut strides: SmallVec<[Poly; 4]> = smallvec![Poly::zero(); shape.len()];
        let mut stride = Poly::literal(1);
        for axis in (0..shape.len()).rev() {
            if shape[axis] != Dim::One {
                strides[axis] = stride.clone();
            }
            // An array without elements has strides too, as if its empty axes had extent 1.
            if shape[axis] != Dim::Zero {
                stride = stride.times(&Poly::extent(shape[axis]));
            }
        }
        Strided { offset: Poly::zero(), strides }
    }

    /// An input, as its layout says.
    pub fn input(id: InputId, declared: &InputDecl) -> Strided {
        match &declared.layout {
            Layout::Contiguous => Strided::dense(&declared.shape),
            Layout::Strided(strides) => {
                let stride = |(axis, (&stride, &dim)): (usize, (&Stride, &Dim))| match (stride, dim) {
                    (_, Dim::One) | (Stride::Zero, _) => Poly::zero(),
                    (Stride::One, _) => Poly::literal(1),
                    (Stride::Dynamic, _) => Poly::atom(Atom::Stride(id, axis as u8)),
                };
                let strides = strides.iter().zip(&declared.shape).enumerate().map(stride).collect();
                Strided { offset: Poly::zero(), strides }
            }
        }
    }

    /// The view of this view, which has the shape `from`. `None` when it is not strided.
    pub fn view(&self, view: &View<GraphForm>, from: &SymShape, to: &SymShape) -> Option<Strided> {
        match view {
            View::Permute(axes) => {
                let strides = axes.iter().map(|&axis| self.strides[axis as usize].clone()).collect();
                Some(Strided { offset: self.offset.clone(), strides })
            }
            // An expanded axis had extent 1, and such axes have stride 0.
            View::Expand => Some(self.clone()),
            View::Slice { starts, steps } => {
                let mut result = self.clone();
                for axis in 0..from.len() {
                    let stride = &self.strides[axis];
                    result.offset = result.offset.plus(&stride.times(&Poly::int(starts[axis])));
                    result.strides[axis] =
                        if to[axis] == Dim::One { Poly::zero() } else { stride.times(&Poly::int(steps[axis])) };
                }
                Some(result)
            }
            View::Reshape if to.contains(&Dim::Zero) => Some(Strided::dense(to)),
            View::Reshape => {
                let mut strides: SmallVec<[Poly; 4]> = smallvec![Poly::zero(); to.len()];
                for Group { from: axes, to: results } in reshape_groups(from, to) {
                    let nested = axes
                        .windows(2)
                        .all(|w| self.strides[w[0]] == self.strides[w[1]].times(&Poly::extent(from[w[1]])));
                    if !nested {
                        return None;
                    }
                    let mut stride = axes.last().map_or_else(Poly::zero, |&last| self.strides[last].clone());
                    for &axis in results.iter().rev() {
                        strides[axis] = stride.clone();
                        stride = stride.times(&Poly::extent(to[axis]));
                    }
                }
                Some(Strided { offset: self.offset.clone(), strides })
            }
        }
    }

    /// The address of the view's element at these indices.
    pub fn address(&self, at: &[Index]) -> Index {
        let start = Index { offset: self.offset.clone(), terms: SmallVec::new() };
        at.iter().zip(&self.strides).fold(start, |sum, (index, stride)| sum.plus(&index.times(stride)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dtype::DType,
        shape::{Int, SymId},
    };

    const M: Dim = Dim::Sym(SymId(0));
    const N: Dim = Dim::Sym(SymId(1));
    const K: Dim = Dim::Sym(SymId(2));

    fn shape(dims: &[Dim]) -> SymShape {
        dims.into()
    }

    fn texts(strided: &Strided) -> Vec<String> {
        strided.strides.iter().map(Poly::to_string).collect()
    }

    #[test]
    fn merging_axes_of_a_dense_array_is_strided_and_of_a_transposed_one_is_not() {
        let dense = Strided::dense(&[M, N]);
        assert_eq!(texts(&dense.view(&View::Reshape, &shape(&[M, N]), &shape(&[K])).unwrap()), ["1"]);
        let transposed = dense.view(&View::Permute(smallvec![1, 0]), &shape(&[M, N]), &shape(&[N, M])).unwrap();
        assert_eq!(texts(&transposed), ["1", "n"]);
        assert_eq!(transposed.view(&View::Reshape, &shape(&[N, M]), &shape(&[K])), None);
        // Splitting never needs a copy.
        let split = transposed.view(&View::Reshape, &shape(&[N, M]), &shape(&[K, Dim::Sym(SymId(3)), M])).unwrap();
        assert_eq!(texts(&split), ["q", "1", "n"]);
    }

    #[test]
    fn a_row_major_group_inside_a_slice_merges() {
        let start = Int::Sym(SymId(5));
        let dense = Strided::dense(&[M, M, N]);
        let view = View::Slice {
            starts: smallvec![start, Int::Const(0), Int::Const(0)],
            steps: smallvec![Int::Const(-1), Int::Const(1), Int::Const(1)],
        };
        let sliced = dense.view(&view, &shape(&[M, M, N]), &shape(&[K, M, N])).unwrap();
        assert_eq!(sliced.offset.to_string(), "m*n*t");
        assert_eq!(texts(&sliced), ["-m*n", "n", "1"]);
        let merged = sliced.view(&View::Reshape, &shape(&[K, M, N]), &shape(&[K, Dim::Sym(SymId(3))]));
        assert_eq!(texts(&merged.unwrap()), ["-m*n", "1"]);
    }

    #[test]
    fn strided_inputs_keep_their_literal_strides() {
        let declared = InputDecl {
            dtype: DType::F32,
            shape: shape(&[M, N, Dim::One]),
            layout: Layout::Strided(smallvec![Stride::Dynamic, Stride::One, Stride::Zero]),
        };
        assert_eq!(texts(&Strided::input(InputId(3), &declared)), ["stride(%a3, 0)", "1", "0"]);
    }
}
