//! Long running folds of few rows in parts, since a team a row would leave nearly all of a GPU idle: what each part comes to, where
//! each part goes on from, and then the parts. A phase becomes three, in a kernel of its own in the same IR.
//!
//! Only folds that may be taken in any order go so: those of integers. Floats have one order, step after step.
//!
//! Invariant: the kernel has the arguments of the one that it is of, in their order, and its own behind them.

use crate::{emit::op_unit, schedule::dealt_scan};
use fusewire_ir::dtype::DType;
use fusewire_lowering::{
    ints::evaluate_ints,
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase, Range,
        Reduction, Role, Scan, Stmt, Value, ValueId, VarId,
    },
};
use smallvec::{SmallVec, smallvec};

/// Elements of a part.
const PART: u32 = 4096;

/// More rows than these have teams enough.
const FEW_ROWS: u64 = 512;

/// Lanes of the loop that finds what a part comes to. To folds in any order they mean nothing.
const LANES: u8 = 8;

/// What runs in the place of a phase.
pub(crate) struct Split {
    /// Its temporaries are behind the buffers: two for each running fold.
    pub kernel: Kernel,
    /// How long a row is.
    extent: IntId,
    /// How many integers are given.
    given: usize,
    /// How many elements a temporary has.
    length: IntId,
}

impl Split {
    /// That of a phase which does nothing but running folds of rows.
    pub fn of(kernel: &Kernel, phase: &Phase) -> Option<Split> {
        let (Stmt::Loop(inner), before) = phase.body.split_last()? else { return None };
        let Range::Full(extent) = inner.range else { return None };
        let values_only = before.iter().all(|stmt| matches!(stmt, Stmt::Let(_)));
        let any_order = inner.scans.iter().all(|scan| !kernel.dtype(scan.value).is_float());
        let no_scratch = !kernel.buffers.iter().any(|buffer| buffer.role == Role::Scratch);
        if !(dealt_scan(kernel, inner) && values_only && any_order && no_scratch) {
            return None;
        }
        let needed = needed(kernel, inner)?;
        let mut parts = Parts { kernel: Kernel { phases: Vec::new(), ..kernel.clone() }, places: SmallVec::new() };
        let one = parts.int(IntExpr::Const(1));
        let part = parts.int(IntExpr::Const(PART.into()));
        let count = parts.int(IntExpr::CeilDiv(extent, part));
        // A row of a temporary has a place for each part and one more.
        let mut length = parts.int(IntExpr::Add(count, one));
        for &(var, extent) in phase.dims.iter().rev() {
            parts.places.push((var, Coefficient::Int(length)));
            length = parts.int(IntExpr::Mul(length, extent));
        }
        let number = VarId(kernel.vars);
        parts.kernel.vars += 1;
        let of_parts: Vec<_> = phase.dims.iter().copied().chain([(number, count)]).collect();
        let range = Range::Tile { extent, tile: number, size: PART };
        let folds: Vec<Fold> = inner.scans.iter().map(|scan| parts.fold(scan, length)).collect();
        let phases = vec![
            Phase { dims: of_parts.clone(), body: parts.totals(before, inner, range, needed, &folds) },
            Phase { dims: phase.dims.clone(), body: parts.starts(number, count, one, &folds) },
            Phase { dims: of_parts, body: parts.parts(before, inner, range, &folds) },
        ];
        let kernel_of_parts = Kernel { phases, ..parts.kernel };
        Some(Split { kernel: kernel_of_parts, extent, given: kernel.ints.len(), length })
    }

    /// Is it worth three launches?
    pub fn pays(&self, rows: u64, ints: &[i64]) -> bool {
        rows <= FEW_ROWS && ints[self.extent.0 as usize] > i64::from(2 * PART)
    }

    /// The integers, of those that are given.
    pub fn ints(&self, given: &[i64]) -> Vec<i64> {
        let own = self.kernel.ints[self.given..].iter().copied();
        let all: Vec<IntExpr> = given.iter().map(|&int| IntExpr::Const(int)).chain(own).collect();
        evaluate_ints(&all, &[], |_, _| 0)
    }

    /// Bytes of each of the temporaries.
    pub fn temporaries(&self, ints: &[i64]) -> impl Iterator<Item = usize> {
        let length = ints[self.length.0 as usize].max(0) as usize;
        let own = self.kernel.buffers.iter().filter(|buffer| buffer.length == Some(self.length));
        own.map(move |buffer| length * buffer.dtype.size())
    }
}

/// The statements of a loop that the values of its running folds are computed by; `None` where one of them is computed by
/// another running fold.
fn needed(kernel: &Kernel, inner: &Loop) -> Option<Vec<Stmt>> {
    let mut wanted: Vec<ValueId> = inner.scans.iter().map(|scan| scan.value).collect();
    let mut next = 0;
    while let Some(&id) = wanted.get(next) {
        if inner.scans.iter().any(|scan| scan.running == id) {
            return None;
        }
        let operands = kernel.value(id).inst.operands();
        wanted.extend(operands.iter().filter(|operand| !wanted.contains(operand)).copied().collect::<Vec<_>>());
        next += 1;
    }
    let is_needed = |stmt: &&Stmt| matches!(stmt, Stmt::Let(id) if wanted.contains(id));
    Some(inner.body.iter().filter(is_needed).cloned().collect())
}

/// The kernel while it is made.
struct Parts {
    kernel: Kernel,
    /// Where a row of a temporary begins.
    places: SmallVec<[(VarId, Coefficient); 4]>,
}

/// A running fold, and its temporaries.
struct Fold {
    scan: Scan,
    dtype: DType,
    /// What each part comes to.
    totals: BufferId,
    /// Where each part goes on from.
    starts: BufferId,
}

impl Parts {
    fn int(&mut self, int: IntExpr) -> IntId {
        self.kernel.ints.push(int);
        IntId(self.kernel.ints.len() as u32 - 1)
    }

    fn value(&mut self, inst: Inst, dtype: DType) -> ValueId {
        self.kernel.values.push(Value { inst, dtype });
        ValueId(self.kernel.values.len() as u32 - 1)
    }

    fn temporary(&mut self, dtype: DType, length: IntId) -> BufferId {
        self.kernel.buffers.push(BufferDecl { dtype, role: Role::Temporary, length: Some(length) });
        BufferId(self.kernel.buffers.len() as u32 - 1)
    }

    fn fold(&mut self, scan: &Scan, length: IntId) -> Fold {
        let dtype = self.kernel.dtype(scan.value);
        let (totals, starts) = (self.temporary(dtype, length), self.temporary(dtype, length));
        Fold { scan: *scan, dtype, totals, starts }
    }

    /// The place of a part in the row at hand, so many behind the number of the part; the first place without one.
    fn at(&self, number: Option<VarId>, offset: Option<IntId>) -> Affine {
        let own = number.map(|number| (number, Coefficient::Const(1)));
        Affine { offset, terms: self.places.iter().copied().chain(own).collect() }
    }

    /// What an item does that is a part: it finds what the part comes to.
    fn totals(&mut self, before: &[Stmt], inner: &Loop, range: Range, needed: Vec<Stmt>, folds: &[Fold]) -> Vec<Stmt> {
        let (mut reductions, mut stores) = (Vec::new(), Vec::new());
        for fold in folds {
            let result = self.value(Inst::Reduced, fold.dtype);
            reductions.push(Reduction { op: fold.scan.op, value: fold.scan.value, result });
            stores.push(Stmt::Store { buffer: fold.totals, at: self.at(range.tile(), None), value: result });
        }
        let kind = LoopKind::Vector { lanes: LANES };
        let sums = Loop { var: inner.var, range, kind, reductions, scans: Vec::new(), body: needed };
        before.iter().cloned().chain([Stmt::Loop(sums)]).chain(stores).collect()
    }

    /// What an item does that is a row: it finds where its parts go on from.
    fn starts(&mut self, number: VarId, count: IntId, one: IntId, folds: &[Fold]) -> Vec<Stmt> {
        let (mut first, mut scans, mut loads, mut stores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for fold in folds {
            let (op, buffer) = (fold.scan.op, fold.starts);
            let unit = self.value(Inst::Const(op_unit(op, fold.dtype)), fold.dtype);
            let load = Inst::Load { buffer: fold.totals, at: self.at(Some(number), None) };
            let value = self.value(load, fold.dtype);
            let running = self.value(Inst::Running, fold.dtype);
            first.push(Stmt::Let(unit));
            first.push(Stmt::Store { buffer, at: self.at(None, None), value: unit });
            loads.push(Stmt::Let(value));
            scans.push(Scan { op, value, running });
            stores.push(Stmt::Store { buffer, at: self.at(Some(number), Some(one)), value: running });
        }
        let body = loads.into_iter().chain(stores).collect();
        let (range, kind) = (Range::Full(count), LoopKind::Serial);
        first.push(Stmt::Loop(Loop { var: number, range, kind, reductions: Vec::new(), scans, body }));
        first
    }

    /// What an item does that is a part: what its row would do, from where the part goes on.
    fn parts(&mut self, before: &[Stmt], inner: &Loop, range: Range, folds: &[Fold]) -> Vec<Stmt> {
        let mut all = before.to_vec();
        let mut inner = Loop { range, ..inner.clone() };
        for (number, fold) in folds.iter().enumerate() {
            let load = Inst::Load { buffer: fold.starts, at: self.at(range.tile(), None) };
            let start = self.value(load, fold.dtype);
            all.push(Stmt::Let(start));
            let inside = self.value(Inst::Running, fold.dtype);
            let running = fold.scan.running;
            inner.scans[number].running = inside;
            self.kernel.values[running.0 as usize].inst = Inst::Op(fold.scan.op, smallvec![start, inside]);
            let defined = inner.body.iter().position(|stmt| *stmt == Stmt::Let(fold.scan.value));
            inner.body.insert(defined.map_or(0, |place| place + 1), Stmt::Let(running));
        }
        all.push(Stmt::Loop(inner));
        all
    }
}
