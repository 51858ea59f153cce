//! Sums of squared distances from a mean whose sum is cut into segments: `sum((x - m)^2)` where `sum(x)` is folded before, as in a
//! variance. Each segment is read from memory once. While it is in cache, its own mean `c` is worked out from its sum, and the
//! distances from that and their squares are folded; the phase that folds the segments adds what their means are away from `m`:
//!
//! `sum((x - m)^2) = sum over segments of (sum((x - c)^2) + (c - m) * (2 * sum(x - c) + count * (c - m)))`
//!
//! That is Chan's formula, with one common point that all segments are taken to. `sum(x - c)` is what the rounding of `c` left over:
//! without it, numbers far from 0 would lose as many digits as their mean has. Where there is one segment only, `c` is `m`,
//! to the bit, and so is the sum what it is without segments. A segment whose sum is too large for its dtype has an infinite mean,
//! which is then `m` too.

use super::{Found, Names, OUTER_SEGMENT, Splitter, WIDE_TILE};
use crate::{
    kernel::{Affine, BufferId, Inst, IntExpr, IntId, Loop, LoopKind, Range, Reduction, Stmt, ValueId, VarId},
    passes::equality::Equality,
    walk::for_each_definition,
};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use smallvec::{SmallVec, smallvec};

/// A loop that was cut into segments.
pub(super) struct Segmented {
    /// Its variable and extent in the old phase.
    pub var: VarId,
    pub extent: IntId,
    /// What it folds (the op and the old value), and where the partial results are.
    pub folds: Vec<((ScalarOp, ValueId), BufferId)>,
    /// How many segments there are, how many partial results, and how long segments are.
    pub count: IntId,
    pub partial: IntId,
    pub length: IntId,
    /// The phase in which each old item folds segments of this length for itself ...
    pub by_columns: usize,
    pub size: u32,
    /// ... and the one that goes row by row through the old items.
    pub by_rows: Option<usize>,
}

/// A fold of squared distances.
struct Spread {
    /// Which of the segmented loops folds what the mean is of, and where its partial results are.
    home: usize,
    sums: BufferId,
    /// The mean, an old value.
    centre: ValueId,
    /// The loop with this fold and that of the distances alone.
    inner: Loop,
}

/// Where the segments' means are kept, the sums of the squared distances from them, and of the distances.
struct Parts {
    centres: BufferId,
    squares: BufferId,
    distances: BufferId,
}

impl Splitter<'_> {
    /// Folds what a reduction of a loop of the old phase folds with the segments of another loop, if it is a sum of squared
    /// distances from the mean of what that one adds up.
    pub(super) fn spread(&mut self, inner: &Loop, reduction: &Reduction) -> bool {
        let Some(spread) = self.find(inner, reduction) else { return false };
        let dtype = self.kernel.dtype(reduction.result);
        let partial = self.segmented[spread.home].partial;
        let [centres, squares, distances] = [(); 3].map(|()| self.temporary(reduction.result, partial));
        let parts = Parts { centres, squares, distances };
        self.spread_of_columns(&spread, &parts, dtype);
        if let Some(phase) = self.segmented[spread.home].by_rows {
            self.spread_of_rows(&spread, phase, &parts, dtype);
        }
        self.merge(&spread, reduction, &parts, dtype);
        true
    }

    fn find(&mut self, inner: &Loop, reduction: &Reduction) -> Option<Spread> {
        let kernel = &*self.kernel;
        let operands = |id: ValueId, op: ScalarOp| match &kernel.value(id).inst {
            Inst::Op(found, operands) if *found == op => Some((operands[0], operands[1])),
            _ => None,
        };
        if !Reduction::cascades(reduction.op, kernel.dtype(reduction.value)) || reduction.op != ScalarOp::Add {
            return None;
        }
        let (distance, same) = operands(reduction.value, ScalarOp::Multiply)?;
        let (x, centre) = operands(distance, ScalarOp::Subtract).filter(|_| distance == same)?;
        let plain = inner.body.iter().all(|stmt| matches!(stmt, Stmt::Let(_)));
        if !plain || !self.derived[centre.0 as usize] {
            return None;
        }
        // What the fold needs of the body, and that it needs nothing from other loops but the mean.
        let mut inside = vec![false; kernel.values.len()];
        for_each_definition(&inner.body, &mut |id| inside[id.0 as usize] = true);
        let mut needed = vec![false; kernel.values.len()];
        let (mut waiting, mut centres) = (vec![reduction.value], 0);
        while let Some(id) = waiting.pop() {
            centres += usize::from(id == centre);
            if !inside[id.0 as usize] && self.derived[id.0 as usize] && id != centre {
                return None;
            }
            if inside[id.0 as usize] && !std::mem::replace(&mut needed[id.0 as usize], true) {
                waiting.extend(kernel.value(id).inst.operands());
            }
        }
        let (home, sums) = self.segmented.iter().enumerate().find_map(|(home, segmented)| {
            let vars = [(segmented.var, inner.var)];
            let mut equality = Equality::of(kernel, &vars);
            let mut folds = segmented.folds.iter();
            let (_, sums) = folds.find(|((op, value), _)| *op == ScalarOp::Add && equality.holds(*value, x))?;
            (segmented.extent == inner.range.extent()).then_some((home, *sums))
        })?;
        if centres != 1 {
            return None;
        }
        let result = self.kernel.new_value(Inst::Reduced, self.kernel.dtype(distance));
        let distances = Reduction { op: ScalarOp::Add, value: distance, result };
        let mut inner = Loop { reductions: vec![*reduction, distances], ..inner.clone() };
        inner.body.retain(|stmt| matches!(stmt, Stmt::Let(id) if needed[id.0 as usize]));
        Some(Spread { home, sums, centre, inner })
    }

    /// The distances where each old item folds its segments for itself.
    fn spread_of_columns(&mut self, spread: &Spread, parts: &Parts, dtype: DType) {
        let Segmented { extent, by_columns: phase, size, .. } = self.segmented[spread.home];
        let number = self.new[phase].phase.dims[0].0;
        let at = self.item_index(phase, Some(number));
        let stored = |stmt: &Stmt| match stmt {
            Stmt::Store { buffer, value, .. } if *buffer == spread.sums => Some(*value),
            _ => None,
        };
        let sum = self.new[phase].phase.body.iter().find_map(stored).expect("partial results are stored");
        let mut body = std::mem::take(&mut self.new[phase].phase.body);
        let length = self.kernel.int_const(size as i64);
        let count = self.elements(&mut body, number, [extent, length], dtype);
        let centre = self.define(&mut body, Inst::Op(ScalarOp::Divide, smallvec![sum, count]), dtype);
        body.push(Stmt::Store { buffer: parts.centres, at: at.clone(), value: centre });
        self.new[phase].phase.body = body;
        self.new[phase].names.values.insert(spread.centre, centre);
        let copied = self.copy_loop(phase, &spread.inner, Range::Tile { extent, tile: number, size });
        self.new[phase].names.values.remove(&spread.centre);
        let stores = [parts.squares, parts.distances].into_iter().zip(&copied.reductions);
        let stores: Vec<Stmt> =
            stores.map(|(buffer, r)| Stmt::Store { buffer, at: at.clone(), value: r.result }).collect();
        self.new[phase].phase.body.push(Stmt::Loop(copied));
        self.new[phase].phase.body.extend(stores);
    }

    /// The distances where rows are folded into partial results in memory.
    fn spread_of_rows(&mut self, spread: &Spread, phase: usize, parts: &Parts, dtype: DType) {
        let extent = self.segmented[spread.home].extent;
        let [(number, _), (tile, _)] = self.new[phase].phase.dims[..] else { unreachable!("as they were made") };
        let size = OUTER_SEGMENT;
        let columns = Range::Tile { extent: self.old.dims[0].1, tile, size: WIDE_TILE };
        let [first_column, row, column] = std::array::from_fn(|_| self.kernel.new_var());
        let before = std::mem::take(&mut self.new[phase].phase.body);

        let names = Names { vars: vec![(self.old.dims[0].0, column), (spread.inner.var, row)], ..Names::default() };
        let known = std::mem::replace(&mut self.new[phase].names, names);
        let dims = std::mem::replace(&mut self.new[phase].dims, vec![first_column]);
        let at = self.item_index(phase, Some(number));
        let mut first = Vec::new();
        let length = self.kernel.int_const(size as i64);
        let count = self.elements(&mut first, number, [extent, length], dtype);
        let sum = self.define(&mut first, Inst::Load { buffer: spread.sums, at: at.clone() }, dtype);
        let centre = self.define(&mut first, Inst::Op(ScalarOp::Divide, smallvec![sum, count]), dtype);
        first.push(Stmt::Store { buffer: parts.centres, at: at.clone(), value: centre });
        let unit = ScalarOp::Add.unit(dtype).expect("sums have a unit");
        let unit = self.define(&mut first, Inst::Const(unit), dtype);
        for buffer in [parts.squares, parts.distances] {
            first.push(Stmt::Store { buffer, at: at.clone(), value: unit });
        }

        self.new[phase].dims = vec![column];
        let at = self.item_index(phase, Some(number));
        let mut body = Vec::new();
        let centre = self.define(&mut body, Inst::Load { buffer: parts.centres, at: at.clone() }, dtype);
        self.new[phase].names.values.insert(spread.centre, centre);
        self.new[phase].phase.body = body;
        self.copy(phase, &spread.inner.body);
        let values = [0, 1].map(|fold| self.new[phase].names.value(spread.inner.reductions[fold].value));
        let mut body = std::mem::replace(&mut self.new[phase].phase.body, before);
        for (buffer, value) in [parts.squares, parts.distances].into_iter().zip(values) {
            let sum = self.define(&mut body, Inst::Load { buffer, at: at.clone() }, dtype);
            let sum = self.define(&mut body, Inst::Op(ScalarOp::Add, smallvec![sum, value]), dtype);
            body.push(Stmt::Store { buffer, at: at.clone(), value: sum });
        }
        let columns_of_row = serial(column, columns, body);
        self.new[phase].phase.body.extend([
            serial(first_column, columns, first),
            serial(row, Range::Tile { extent, tile: number, size }, vec![columns_of_row]),
        ]);
        self.new[phase].names = known;
        self.new[phase].dims = dims;
    }

    /// Puts the segments together, where those of the loops before are.
    fn merge(&mut self, spread: &Spread, reduction: &Reduction, parts: &Parts, dtype: DType) {
        let Segmented { extent, count, length, .. } = self.segmented[spread.home];
        let phase = self.fold.expect("the sums were folded");
        let centre = self.provide(phase, spread.centre);
        let var = self.kernel.new_var();
        let at = self.item_index(phase, Some(var));
        let mut body = Vec::new();
        let mut part = |buffer| self.define(&mut body, Inst::Load { buffer, at: at.clone() }, dtype);
        let (own, squares, distances) = (part(parts.centres), part(parts.squares), part(parts.distances));
        let elements = self.elements(&mut body, var, [extent, length], dtype);
        let equal = self.define(&mut body, Inst::Op(ScalarOp::Equal, smallvec![own, centre]), DType::Bool);
        let mut op = |op, operands: SmallVec<[ValueId; 3]>| self.define(&mut body, Inst::Op(op, operands), dtype);
        let away = op(ScalarOp::Subtract, smallvec![own, centre]);
        let twice = op(ScalarOp::Add, smallvec![distances, distances]);
        let far = op(ScalarOp::Multiply, smallvec![elements, away]);
        let sum = op(ScalarOp::Add, smallvec![twice, far]);
        let moved = op(ScalarOp::Multiply, smallvec![away, sum]);
        let sum = op(ScalarOp::Add, smallvec![squares, moved]);
        // Infinities are not away from one another.
        let value = op(ScalarOp::Where, smallvec![equal, squares, sum]);
        let result = self.kernel.new_value(Inst::Reduced, dtype);
        let reductions = vec![Reduction { op: reduction.op, value, result }];
        let fold = Loop { var, range: Range::Full(count), kind: LoopKind::Serial, reductions, scans: vec![], body };
        self.new[phase].phase.body.push(Stmt::Loop(fold));
        self.results.insert(reduction.result, Found { phase, value: result, buffer: None });
    }

    /// How many elements the segment of this number has.
    fn elements(&mut self, body: &mut Vec<Stmt>, number: VarId, [extent, length]: [IntId; 2], dtype: DType) -> ValueId {
        let zero = self.kernel.int_const(0);
        let back = match self.kernel.int_literal(length) {
            Some(length) => self.kernel.int_const(-length),
            None => self.kernel.int(IntExpr::Sub(zero, length)),
        };
        let left = Affine::default().at(extent).plus(number, self.coefficient(back));
        let left = self.define(body, Inst::Index(left), DType::I64);
        let length = self.define(body, Inst::Index(Affine::default().at(length)), DType::I64);
        let count = self.define(body, Inst::Op(ScalarOp::Minimum, smallvec![left, length]), DType::I64);
        self.define(body, Inst::Cast(count), dtype)
    }

    fn define(&mut self, body: &mut Vec<Stmt>, inst: Inst, dtype: DType) -> ValueId {
        let id = self.kernel.new_value(inst, dtype);
        body.push(Stmt::Let(id));
        id
    }
}

/// A loop without folds.
pub(super) fn serial(var: VarId, range: Range, body: Vec<Stmt>) -> Stmt {
    Stmt::Loop(Loop { var, range, kind: LoopKind::Serial, reductions: vec![], scans: vec![], body })
}
