//! Where the order of float sums does not depend on what they are fused with, so that a sum by itself has the bits of a sum in a
//! kernel with other ops. Its lanes depend on its dtype alone (`fusewire_lowering::kernel::Reduction`); which loop has the lanes,
//! and which loops are one, depends on how the arrays around it lie in memory. So the graphs here are those in which all
//! arrays lie alike:
//!
//! - vectors, in any arrangement: there is one loop;
//! - dense arrays of one shape, with what is broadcast to it where the sum is over one axis. (Neighbours in arrays of complex
//!   numbers do not lie side by side.)
//!
//! Variances have segments centred at means of their own (`split-reductions` in `lowering`), so of sums that need other sums only
//! those of one segment are here. Running folds are refused beside sums: their loop has no lanes. So are sums in two precisions, whose lanes differ.
//!
//! Running folds of floats that are so long that they are cut (`split-scans`) may be alone among vectors, of which one is the result:
//! they are not cut beside reductions and single numbers that are stored, their lanes depend on each other's dtypes, and whether those are rows or columns on how arrays lie in memory.

use super::{Capture, Captured};
use crate::{
    fusion::cost,
    graph::Layout,
    lazy::Expression,
    node::{Op, View},
    ops::ScalarOp,
    shape::Shape,
};
use smallvec::SmallVec;

/// The extents that are not 1.
fn long(shape: &[usize]) -> Shape {
    shape.iter().copied().filter(|&extent| extent != 1).collect()
}

fn is_sum(node: &Captured<'_>) -> bool {
    let dtype = node.lazy.dtype;
    let adds = |e: &Expression| matches!(e.op, Op::Reduce { op: ScalarOp::Add | ScalarOp::Multiply, .. });
    (dtype.is_float() || dtype.is_complex()) && node.expression.is_some_and(adds)
}

fn is_long_scan(node: &Captured<'_>) -> bool {
    let dtype = node.lazy.dtype;
    let is_long = |axis: u8| node.lazy.shape[axis as usize] > cost::SCAN_SEGMENT as usize;
    (dtype.is_float() || dtype.is_complex())
        && matches!(node.expression, Some(Expression { op: Op::Scan { axis, .. }, .. }) if is_long(*axis))
}

fn is_one_segment(node: &Captured<'_>) -> bool {
    let Some(Expression { op: Op::Reduce { axes, .. }, inputs }) = node.expression else { return true };
    let shape = &inputs[0].shape;
    let long: SmallVec<[usize; 4]> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
    let is_reduced = |axis: &usize| axes.contains(&(*axis as u8));
    let folded = long.iter().filter(|axis| is_reduced(axis)).map(|&axis| shape[axis]).product::<usize>();
    match long.last() {
        Some(_) if long.iter().all(is_reduced) => folded <= cost::SEGMENT as usize,
        Some(last) => is_reduced(last) || folded <= cost::SEGMENT_ROWS as usize,
        None => true,
    }
}

impl Capture<'_> {
    /// Does each float sum have the same order by itself as in the whole graph?
    pub(super) fn sums_stay_in_order(&self) -> bool {
        if self.nodes.iter().any(is_long_scan) && !self.scan_is_alone() {
            return false;
        }
        let mut sums = self.nodes.iter().filter(|node| is_sum(node));
        let Some(first) = sums.next() else { return true };
        let precision = |node: &Captured<'_>| node.lazy.dtype.component().size().max(4);
        if sums.any(|other| precision(other) != precision(first)) {
            return false;
        }
        let scans = |node: &Captured<'_>| matches!(node.expression, Some(Expression { op: Op::Scan { .. }, .. }));
        if self.nodes.iter().any(scans) || !self.segments_stand_alone() {
            return false;
        }
        let shapes: SmallVec<[Shape; 16]> = self.nodes.iter().map(|node| long(&node.lazy.shape)).collect();
        let Some(whole) = shapes.iter().max_by_key(|shape| shape.len()).filter(|shape| shape.len() > 1) else {
            return true;
        };
        let partial = shapes.iter().any(|shape| !shape.is_empty() && shape != whole);
        let full = self.full(&shapes, whole);
        self.lie_alike(&shapes)
            && self.nodes.iter().enumerate().filter(|(_, node)| is_sum(node)).all(|(id, node)| {
                let operand = self.operands(node)[0] as usize;
                self.is_in_order(node, &shapes[operand], whole, partial, full[id])
            })
    }

    /// Are there vectors only, one running fold, no reduction, and one result?
    fn scan_is_alone(&self) -> bool {
        let ops = || self.nodes.iter().filter_map(|node| node.expression.map(|e| &e.op));
        ops().filter(|op| matches!(op, Op::Scan { .. })).count() == 1
            && !ops().any(|op| matches!(op, Op::Reduce { .. }))
            && self.nodes.iter().all(|node| long(&node.lazy.shape).len() <= 1)
            && self.roots.len() == 1
    }

    /// Is every sum that needs another one of so few elements that it is not cut? Those of rows never are.
    fn segments_stand_alone(&self) -> bool {
        let mut needs_sums: Vec<bool> = Vec::with_capacity(self.nodes.len());
        self.nodes.iter().all(|node| {
            let needs = node.expression.is_some() && self.operands(node).iter().any(|&id| needs_sums[id as usize]);
            needs_sums.push(needs || is_sum(node));
            !needs || !is_sum(node) || is_one_segment(node)
        })
    }

    /// Is every array dense, and every view one that leaves it so?
    fn lie_alike(&self, shapes: &[Shape]) -> bool {
        self.nodes.iter().zip(shapes).all(|(node, shape)| {
            !node.lazy.dtype.is_complex()
                && match node.expression.map(|e| &e.op) {
                    None => shape.is_empty() || super::layout(node.lazy) == Layout::Contiguous,
                    Some(Op::View(View::Reshape)) => shapes[self.operands(node)[0] as usize] == *shape,
                    Some(Op::View(View::Expand) | Op::Map(_) | Op::Cast | Op::Reduce { .. }) => true,
                    Some(Op::Const(_) | Op::Param(_) | Op::Dot | Op::Call(_)) => true,
                    Some(Op::View(View::Permute(_) | View::Slice { .. }) | Op::Iota { .. } | Op::Input(())) => false,
                    Some(Op::Scan { .. } | Op::Concat { .. } | Op::Gather) => false,
                }
        })
    }

    /// For each node: is an array of the whole shape read in the loops that compute it, or its operand where it is a reduction?
    fn full(&self, shapes: &[Shape], whole: &Shape) -> Vec<bool> {
        let mut full: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for (node, shape) in self.nodes.iter().zip(shapes) {
            full.push(match node.expression.map(|e| &e.op) {
                None | Some(Op::Dot | Op::Call(_)) => shape == whole,
                Some(_) => self.operands(node).iter().any(|&operand| {
                    let reduced = matches!(
                        self.nodes[operand as usize].expression,
                        Some(Expression { op: Op::Reduce { .. }, .. })
                    );
                    full[operand as usize] && !reduced
                }),
            });
        }
        full
    }

    /// May the sum be taken by itself? `partial`: there are arrays that are broadcast to the whole shape.
    fn is_in_order(&self, node: &Captured<'_>, operand: &Shape, whole: &Shape, partial: bool, full: bool) -> bool {
        let Some(Expression { op: Op::Reduce { axes, .. }, inputs }) = node.expression else { return true };
        if operand.len() < 2 {
            return true;
        }
        if operand != whole {
            return false;
        }
        let shape = &inputs[0].shape;
        let axes_left: SmallVec<[usize; 4]> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        let reduced: SmallVec<[bool; 4]> = axes_left.iter().map(|&axis| axes.contains(&(axis as u8))).collect();
        let count = reduced.iter().filter(|&&is| is).count();
        match (count, reduced.last()) {
            (0, _) => true,
            // Everything is one loop, if it is one for all arrays.
            (all, _) if all == reduced.len() => !partial,
            // Rows.
            (1, Some(true)) => true,
            // Columns, of which segments are folded where neighbours in memory are columns.
            (1, Some(false)) => reduced.len() == 2 && full,
            (_, _) => false,
        }
    }
}
