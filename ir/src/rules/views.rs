//! Rules on casts and views.

use super::{constant_of, splat, view_of};
use crate::{
    dtype::{DType, Kind},
    graph::{Graph, NodeId},
    node::{Op, View},
    reference,
    shape::{Axes, Int},
};
use smallvec::SmallVec;

type Rewritten = Option<NodeId>;

pub(super) fn fold_cast(g: &mut Graph, id: NodeId) -> Rewritten {
    let node = g.node(id);
    if node.op != Op::Cast {
        return None;
    }
    let (dtype, value) = (node.dtype, constant_of(g, node.inputs[0])?);
    splat(g, id, reference::cast(value, dtype))
}

pub(super) fn drop_cast(g: &mut Graph, id: NodeId) -> Rewritten {
    let node = g.node(id);
    (node.op == Op::Cast && g.node(node.inputs[0]).dtype == node.dtype).then(|| node.inputs[0])
}

pub(super) fn merge_casts(g: &mut Graph, id: NodeId) -> Rewritten {
    let outer = g.node(id);
    let inner = g.node(*outer.inputs.first()?);
    if outer.op != Op::Cast || inner.op != Op::Cast {
        return None;
    }
    let x = inner.inputs[0];
    let (from, through, to) = (g.node(x).dtype, inner.dtype, outer.dtype);
    same_without(from, through, to).then(|| g.cast(to, x))
}

/// Is `from -> through -> to` the same as `from -> to`?
fn same_without(from: DType, through: DType, to: DType) -> bool {
    if through == DType::Bool {
        return to == DType::Bool || from == DType::Bool;
    }
    // Truncating in two steps keeps the same low bits as in one.
    if from.is_integer() && through.is_integer() && to.is_integer() && to.bits() <= through.bits() {
        return true;
    }
    if !holds_every(through, from) {
        return false;
    }
    // An integer that comes back from a float converts by the float's rule, which wraps only inside the range of the
    // machine conversion that it is made of.
    if through.is_float() && to.is_integer() && !from.is_float() {
        let machine = if matches!(to, DType::I64 | DType::U64 | DType::U32) { DType::I64 } else { DType::I32 };
        return holds_every(machine, from);
    }
    true
}

/// Can `wide` represent every value of `narrow`?
fn holds_every(wide: DType, narrow: DType) -> bool {
    let digits = |d: DType| match d {
        DType::F16 => 11,
        DType::BF16 => 8,
        DType::F32 => 24,
        DType::F64 => 53,
        d if d.is_signed_integer() => d.bits() - 1,
        d => d.bits(),
    };
    match (narrow.kind(), wide.kind()) {
        (Kind::Bool, _) => true,
        (_, Kind::Bool) => false,
        (Kind::Float, Kind::Float) => wide.size() > narrow.size() || wide == narrow,
        (Kind::Float, _) => false,
        (Kind::Complex, _) | (_, Kind::Complex) => false,
        (Kind::Signed, Kind::Unsigned) => false,
        (Kind::Signed | Kind::Unsigned, _) => digits(wide) >= digits(narrow),
    }
}

pub(super) fn fold_view(g: &mut Graph, id: NodeId) -> Rewritten {
    let (_, x) = view_of(g, id)?;
    let value = constant_of(g, x)?;
    splat(g, id, value)
}

pub(super) fn drop_view(g: &mut Graph, id: NodeId) -> Rewritten {
    let (view, x) = view_of(g, id)?;
    let same_shape = g.node(x).shape == g.node(id).shape;
    let identity = match view {
        View::Reshape | View::Expand => true,
        View::Permute(axes) => axes.windows(2).all(|w| w[0] < w[1]),
        View::Slice { starts, steps } => {
            starts.iter().all(|&s| s == Int::Const(0)) && steps.iter().all(|&s| s == Int::Const(1))
        }
    };
    (same_shape && identity).then_some(x)
}

pub(super) fn merge_reshapes(g: &mut Graph, id: NodeId) -> Rewritten {
    merge_alike(g, id, &View::Reshape)
}

pub(super) fn merge_expands(g: &mut Graph, id: NodeId) -> Rewritten {
    merge_alike(g, id, &View::Expand)
}

fn merge_alike(g: &mut Graph, id: NodeId, wanted: &View<crate::node::GraphForm>) -> Rewritten {
    let (outer, middle) = view_of(g, id)?;
    let (inner, x) = view_of(g, middle)?;
    if outer != wanted || inner != wanted {
        return None;
    }
    let shape = g.node(id).shape.clone();
    Some(g.view(wanted.clone(), x, shape))
}

pub(super) fn merge_permutes(g: &mut Graph, id: NodeId) -> Rewritten {
    let (View::Permute(outer), middle) = view_of(g, id)? else { return None };
    let (View::Permute(inner), x) = view_of(g, middle)? else { return None };
    let merged: Axes = outer.iter().map(|&axis| inner[axis as usize]).collect();
    Some(g.permute(x, merged))
}

pub(super) fn merge_slices(g: &mut Graph, id: NodeId) -> Rewritten {
    let (View::Slice { starts: outer_starts, steps: outer_steps }, middle) = view_of(g, id)? else { return None };
    let (View::Slice { starts: inner_starts, steps: inner_steps }, x) = view_of(g, middle)? else { return None };
    let mut starts: SmallVec<[Int; 2]> = SmallVec::new();
    let mut steps: SmallVec<[Int; 2]> = SmallVec::new();
    for axis in 0..outer_starts.len() {
        let (start, step) =
            merge_axis((inner_starts[axis], inner_steps[axis]), (outer_starts[axis], outer_steps[axis]))?;
        starts.push(start);
        steps.push(step);
    }
    let shape = g.node(id).shape.clone();
    Some(g.view(View::Slice { starts, steps }, x, shape))
}

/// The start and step of a slice of a slice, where no arithmetic on symbols is needed.
fn merge_axis(inner: (Int, Int), outer: (Int, Int)) -> Option<(Int, Int)> {
    let start = match (inner.0, inner.1, outer.0) {
        (start, _, Int::Const(0)) => start,
        (Int::Const(0), Int::Const(1), start) => start,
        (Int::Sym(a), Int::Const(-1), Int::Sym(b)) if a == b => Int::Const(0),
        _ => return None,
    };
    let step = match (inner.1, outer.1) {
        (Int::Const(1), step) | (step, Int::Const(1)) => step,
        (Int::Const(-1), Int::Const(-1)) => Int::Const(1),
        _ => return None,
    };
    Some((start, step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{reference::cast, scalar::Scalar};

    #[test]
    fn merged_casts_keep_every_bit() {
        let interesting: Vec<u64> = (0..=64)
            .flat_map(|i| {
                let power = 1u64.checked_shl(i).unwrap_or(0);
                [power.wrapping_sub(1), power, power.wrapping_add(1), power.wrapping_neg(), !power]
            })
            .chain([0x7fc0_0000, 0x4f00_0000, 0xcf00_0000, 0x41e0_0000_0000_0000, 0xc1e0_0000_0000_0000])
            .chain([1e9f64, -3e9, 4e9, 2e18, -9.3e18, 1.9e19, f64::INFINITY, -0.0, 0.5].map(f64::to_bits))
            .chain([1e9f32, -3e9, 4e9, 2e18, -9.3e18, 1.9e19, f32::INFINITY, -0.0, 0.5].map(|x| x.to_bits() as u64))
            .collect();
        let mut merged = 0;
        for from in DType::IN_KERNELS {
            for through in DType::IN_KERNELS {
                for to in DType::IN_KERNELS.into_iter().filter(|&to| same_without(from, through, to)) {
                    merged += 1;
                    for &bits in &interesting {
                        let x = Scalar::from_bits(from, bits);
                        let (two, one) = (cast(cast(x, through), to), cast(x, to));
                        let both_nan = to.is_float() && two.as_f64().is_nan() && one.as_f64().is_nan();
                        assert!(two == one || both_nan, "{x:?} through {through} to {to}: {two:?}, at once {one:?}");
                    }
                }
            }
        }
        assert!(merged > 500, "{merged}");
    }
}
