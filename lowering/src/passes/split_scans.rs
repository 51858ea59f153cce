//! Cuts long running folds into segments, so that vectors can go along them and all threads have a part: each segment is
//! folded by itself, `running = start op own`, and the next one starts from what it comes to. Where there are rows for at
//! least half of the workers, each row is an item. Where there are fewer, a phase finds what each segment comes to, one where
//! each starts, and one folds the segments, with the same bits.
//!
//! A segment's length is a constant, so results depend on extents only. They never fall where a serial fold would not: a
//! segment goes on from exactly what the one before has come to.
//!
//! Rows of at most a segment keep the phase that was there, which goes step after step; how long rows are is known when
//! the kernel runs, so only one of the forms has items. Cut are phases that do nothing but running folds of rows, none of
//! another; beside other loops running folds stay as they are (`fusewire_ir::capture` knows, and records no such structure op
//! by op).

use super::{
    copy::{Names, copy_block},
    split_reductions::reads_neighbours,
};
use crate::{
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase, Range, Role,
        Scan, Stmt, ValueId, VarId,
    },
    pass::KernelPass,
    walk::{for_each_definition, for_each_stmt},
};
use fusewire_ir::fusion::cost::SCAN_SEGMENT as SEGMENT;
use smallvec::smallvec;

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "split-scans",
    doc: "Splits long running folds into segments: their totals, where each goes on from, and the segments.",
    run,
};

/// Bytes of the vectors in which a row is folded, of the widest dtype that is, and their lanes at most.
const VECTOR: usize = 64;
const MOST_LANES: usize = 16;

/// How often a row is gone through in parts. With so many workers a row it is as quick whole: one thread takes 88 us for a
/// million float32 so, and 161 in parts.
const PASSES: i64 = 2;

fn run(kernel: &mut Kernel) {
    for mut phase in std::mem::take(&mut kernel.phases) {
        let parts = split(kernel, &mut phase);
        kernel.phases.push(phase);
        kernel.phases.extend(parts.into_iter().flatten());
    }
}

/// The phases for long rows, if there are to be any. The phase that was there keeps its items only when rows are short.
fn split(kernel: &mut Kernel, phase: &mut Phase) -> Option<[Phase; 4]> {
    let (Stmt::Loop(inner), before) = phase.body.split_last()? else { return None };
    let Range::Full(extent) = inner.range else { return None };
    let values_only = before.iter().all(|stmt| matches!(stmt, Stmt::Let(_)));
    let folds_only = !inner.scans.is_empty() && inner.reductions.is_empty();
    let is_short = kernel.int_literal(extent).is_some_and(|extent| extent <= i64::from(SEGMENT));
    if !values_only || !folds_only || is_short || !iterations_stand_alone(kernel, inner) {
        return None;
    }
    let needed = needed(kernel, inner)?;
    let (inner, before) = (inner.clone(), before.to_vec());
    let along_columns = phase.dims.last().is_some_and(|&(dim, _)| reads_neighbours(kernel, phase, dim));

    let rows = phase.dims.clone();
    let [zero, one, size] = [0, 1, i64::from(SEGMENT)].map(|value| kernel.int_const(value));
    let items = rows.iter().fold(one, |product, &(_, extent)| kernel.int(IntExpr::Mul(product, extent)));
    // 1 is yes: are rows long, and are there enough of them for all workers?
    let is_positive = |kernel: &mut Kernel, number: IntId| {
        let number = kernel.int(IntExpr::Max(number, zero));
        kernel.int(IntExpr::Min(number, one))
    };
    let above = kernel.int(IntExpr::Sub(extent, size));
    let is_long = is_positive(kernel, above);
    let is_short = kernel.int(IntExpr::Sub(one, is_long));
    let workers = kernel.int(IntExpr::Workers);
    let passes = kernel.int_const(PASSES);
    let busy = kernel.int(IntExpr::Mul(items, passes));
    let idle = kernel.int(IntExpr::Sub(workers, busy));
    let is_few = is_positive(kernel, idle);
    let is_few = kernel.int(IntExpr::Mul(is_few, is_long));
    let is_many = kernel.int(IntExpr::Sub(is_long, is_few));

    match phase.dims.last_mut() {
        Some((_, extent)) => *extent = kernel.int(IntExpr::Mul(*extent, is_short)),
        None => {
            if let Some(Stmt::Loop(inner)) = phase.body.last_mut() {
                inner.range = Range::Full(kernel.int(IntExpr::Mul(extent, is_short)));
            }
        }
    }
    let count = kernel.int(IntExpr::CeilDiv(extent, size));
    let of_few = kernel.int(IntExpr::Mul(count, is_few));
    let others = kernel.int(IntExpr::Sub(of_few, one));
    let others = kernel.int(IntExpr::Max(others, zero));
    let length = kernel.int(IntExpr::Mul(count, items));
    let of_few_rows = kernel.int(IntExpr::Mul(length, is_few));
    // Whole rows have a place behind the last segment, too.
    let of_rows = kernel.int(IntExpr::Add(length, items));
    let of_rows = kernel.int(IntExpr::Mul(of_rows, is_long));
    let mut temporaries = |length: IntId| -> Vec<BufferId> {
        let temporary = |scan: &Scan| {
            let dtype = kernel.dtype(scan.value);
            kernel.buffers.push(BufferDecl { dtype, role: Role::Temporary, length: Some(length) });
            BufferId(kernel.buffers.len() as u32 - 1)
        };
        inner.scans.iter().map(temporary).collect()
    };
    let [totals, starts, carried] = [of_few_rows, of_few_rows, of_rows].map(&mut temporaries);
    let number = kernel.new_var();
    let mut splitter = Splitter {
        kernel,
        inner: &inner,
        before: &before,
        rows,
        items,
        number,
        along_columns,
        totals,
        starts,
        carried,
    };
    Some([
        splitter.whole_rows(count, is_many),
        splitter.totals(needed, others),
        splitter.starts(others, is_few),
        splitter.segments(of_few),
    ])
}

/// Does nothing go from one iteration to another but the running folds?
fn iterations_stand_alone(kernel: &Kernel, inner: &Loop) -> bool {
    let mut stored = Vec::new();
    let mut alone = true;
    for_each_stmt(&inner.body, &mut |stmt| match stmt {
        Stmt::Let(_) => {}
        Stmt::Store { buffer, at, .. } => {
            alone &= at.mentions(inner.var) && kernel.buffers[buffer.0 as usize].role != Role::Scratch;
            stored.push(*buffer);
        }
        Stmt::Loop(_) => alone = false,
    });
    for_each_definition(&inner.body, &mut |id| {
        if let Inst::Load { buffer, .. } = &kernel.value(id).inst {
            alone &= !stored.contains(buffer);
        }
    });
    alone
}

/// The statements of a loop by which what its running folds fold is computed; `None` where one of them folds another.
fn needed(kernel: &Kernel, inner: &Loop) -> Option<Vec<Stmt>> {
    let mut needed = vec![false; kernel.values.len()];
    let mut waiting: Vec<ValueId> = inner.scans.iter().map(|scan| scan.value).collect();
    while let Some(id) = waiting.pop() {
        if inner.scans.iter().any(|scan| scan.running == id) {
            return None;
        }
        if !std::mem::replace(&mut needed[id.0 as usize], true) {
            waiting.extend(kernel.value(id).inst.operands());
        }
    }
    let is_needed = |stmt: &&Stmt| matches!(stmt, Stmt::Let(id) if needed[id.0 as usize]);
    Some(inner.body.iter().filter(is_needed).cloned().collect())
}

struct Splitter<'a> {
    kernel: &'a mut Kernel,
    /// The loop, and the values before it.
    inner: &'a Loop,
    before: &'a [Stmt],
    /// The dims of the old phase, and how many items it has.
    rows: Vec<(VarId, IntId)>,
    items: IntId,
    /// The variable that numbers segments, until the phases have their own.
    number: VarId,
    /// Are neighbours in memory those of the last dim?
    along_columns: bool,
    /// For each running fold, what each segment comes to, and where it goes on from.
    totals: Vec<BufferId>,
    starts: Vec<BufferId>,
    /// Where each goes on from when one item folds the whole row.
    carried: Vec<BufferId>,
}

impl Splitter<'_> {
    /// Finds what each segment comes to but the last.
    fn totals(&mut self, needed: Vec<Stmt>, others: IntId) -> Phase {
        let mut inner = Loop { body: needed, ..self.segment() };
        let mut stores = Vec::new();
        for (number, scan) in inner.scans.iter_mut().enumerate() {
            let value = self.kernel.new_value(Inst::Reduced, self.kernel.dtype(scan.value));
            scan.total = Some(value);
            stores.push(Stmt::Store { buffer: self.totals[number], at: self.place(), value });
        }
        let mut body = self.before.to_vec();
        body.push(Stmt::Loop(inner));
        body.extend(stores);
        self.phase(self.dims(others), body).0
    }

    /// Finds where the segments of a row go on from.
    fn starts(&mut self, others: IntId, is_few: IntId) -> Phase {
        let (dims, item) = self.rows_if(is_few);
        let (mut body, mut loads, mut stores, mut scans) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let segments = self.coefficient(self.items);
        let at = item.clone().plus(self.number, segments);
        for (number, scan) in self.inner.scans.iter().enumerate() {
            let (dtype, buffer) = (self.kernel.dtype(scan.value), self.starts[number]);
            let unit = scan.op.unit(dtype).expect("what folds has a unit");
            let first = self.kernel.new_value(Inst::Const(unit), dtype);
            body.extend([Stmt::Let(first), Stmt::Store { buffer, at: item.clone(), value: first }]);
            let load = Inst::Load { buffer: self.totals[number], at: at.clone() };
            let value = self.kernel.new_value(load, dtype);
            let running = self.kernel.new_value(Inst::Running, dtype);
            loads.push(Stmt::Let(value));
            scans.push(Scan { op: scan.op, value, running, total: None });
            stores.push(Stmt::Store { buffer, at: at.clone().at(self.items), value: running });
        }
        loads.extend(stores);
        body.push(Stmt::Loop(Loop {
            var: self.number,
            range: Range::Full(others),
            kind: LoopKind::Serial,
            reductions: Vec::new(),
            scans,
            body: loads,
        }));
        self.phase(dims, body).0
    }

    /// Does for each segment what the old phase does for the row.
    fn segments(&mut self, count: IntId) -> Phase {
        let mut body = self.before.to_vec();
        body.push(Stmt::Loop(self.segment()));
        let (mut phase, names) = self.phase(self.dims(count), body);
        let mut at = self.place();
        names.rename(&mut at);
        self.start_from(&mut phase.body, &self.starts.clone(), &at);
        phase
    }

    /// Goes through whole rows, segment after segment, where there are enough of them: memory is read once then.
    fn whole_rows(&mut self, count: IntId, is_many: IntId) -> Phase {
        let (dims, item) = self.rows_if(is_many);
        let mut body = self.before.to_vec();
        for (number, scan) in self.inner.scans.iter().enumerate() {
            let (dtype, buffer) = (self.kernel.dtype(scan.value), self.carried[number]);
            let unit = scan.op.unit(dtype).expect("what folds has a unit");
            let value = self.kernel.new_value(Inst::Const(unit), dtype);
            body.extend([Stmt::Let(value), Stmt::Store { buffer, at: item.clone(), value }]);
        }
        let mut inner = self.segment();
        for stmt in &mut inner.body {
            // Every dim has to be seen in what is stored, also the one of a row that is the only one.
            if let Stmt::Store { at, .. } = stmt
                && self.rows.is_empty()
            {
                at.terms.extend(item.terms.iter().copied());
            }
        }
        for scan in &mut inner.scans {
            scan.total = Some(self.kernel.new_value(Inst::Reduced, self.kernel.dtype(scan.value)));
        }
        body.push(Stmt::Loop(Loop {
            var: self.number,
            range: Range::Full(count),
            kind: LoopKind::Serial,
            reductions: Vec::new(),
            scans: Vec::new(),
            body: vec![Stmt::Loop(inner)],
        }));
        let (mut phase, names) = self.phase(dims, body);
        let Some(Stmt::Loop(mut row)) = phase.body.pop() else { unreachable!("a loop is copied to a loop") };
        let mut at = item.plus(self.number, self.coefficient(self.items));
        names.rename(&mut at);
        let starts = self.start_from(&mut row.body, &self.carried.clone(), &at);
        let Some(Stmt::Loop(segment)) = row.body.last().cloned() else { unreachable!("it stands last") };
        for ((scan, start), &buffer) in segment.scans.iter().zip(starts).zip(&self.carried) {
            let total = scan.total.expect("asked for above");
            let dtype = self.kernel.dtype(total);
            let value = self.kernel.new_value(Inst::Op(scan.op, smallvec![start, total]), dtype);
            row.body.extend([Stmt::Let(value), Stmt::Store { buffer, at: at.clone().at(self.items), value }]);
        }
        phase.body.push(Stmt::Loop(row));
        phase
    }

    /// Makes the loop over a segment, which a block ends with, go on from where segments start; gives that.
    fn start_from(&mut self, block: &mut Vec<Stmt>, buffers: &[BufferId], at: &Affine) -> Vec<ValueId> {
        let Some(Stmt::Loop(mut inner)) = block.pop() else { unreachable!("a loop is copied to a loop") };
        let mut starts = Vec::new();
        for (scan, &buffer) in inner.scans.iter_mut().zip(buffers) {
            let dtype = self.kernel.dtype(scan.value);
            let start = self.kernel.new_value(Inst::Load { buffer, at: at.clone() }, dtype);
            block.push(Stmt::Let(start));
            starts.push(start);
            let own = self.kernel.new_value(Inst::Running, dtype);
            let running = std::mem::replace(&mut scan.running, own);
            self.kernel.values[running.0 as usize].inst = Inst::Op(scan.op, smallvec![start, own]);
            let folded = inner.body.iter().position(|stmt| *stmt == Stmt::Let(scan.value));
            inner.body.insert(folded.map_or(0, |place| place + 1), Stmt::Let(running));
        }
        block.push(Stmt::Loop(inner));
        starts
    }

    /// The dims of the old phase, with items where an integer is 1 and none where it is 0, and the number of an item.
    fn rows_if(&mut self, condition: IntId) -> (Vec<(VarId, IntId)>, Affine) {
        let mut dims = self.rows.clone();
        match dims.last_mut() {
            Some((_, extent)) => {
                *extent = self.kernel.int(IntExpr::Mul(*extent, condition));
                (dims, self.item())
            }
            None => {
                let only = self.kernel.new_var();
                (vec![(only, condition)], Affine::of(only))
            }
        }
    }

    /// The loop over a segment. Along a row it is a vector loop; whether columns are side by side is for `vectorise` to say.
    fn segment(&self) -> Loop {
        let range = Range::Tile { extent: self.inner.range.extent(), tile: self.number, size: SEGMENT };
        let widest = self.inner.scans.iter().map(|scan| self.kernel.dtype(scan.value).size()).max().unwrap_or(1);
        let kind = match self.along_columns {
            true => LoopKind::Serial,
            false => LoopKind::Vector { lanes: (VECTOR / widest).min(MOST_LANES) as u8 },
        };
        Loop { range, kind, ..self.inner.clone() }
    }

    /// So many segments of each row, those that are neighbours in memory behind each other.
    fn dims(&self, count: IntId) -> Vec<(VarId, IntId)> {
        let mut dims = self.rows.clone();
        dims.insert(if self.along_columns { 0 } else { dims.len() }, (self.number, count));
        dims
    }

    /// The number of the row.
    fn item(&mut self) -> Affine {
        let mut at = Affine::default();
        let mut stride = self.kernel.int_const(1);
        for (var, extent) in self.rows.clone().into_iter().rev() {
            at = at.plus(var, self.coefficient(stride));
            stride = self.kernel.int(IntExpr::Mul(stride, extent));
        }
        at
    }

    /// Where a temporary has the segment: those of one number are neighbours.
    fn place(&mut self) -> Affine {
        let items = self.coefficient(self.items);
        self.item().plus(self.number, items)
    }

    fn coefficient(&self, id: IntId) -> Coefficient {
        self.kernel.int_literal(id).map_or(Coefficient::Int(id), Coefficient::Const)
    }

    /// A phase of a copy of what is given, and what everything is called in it.
    fn phase(&mut self, mut dims: Vec<(VarId, IntId)>, body: Vec<Stmt>) -> (Phase, Names) {
        let mut names = Names::default();
        for (var, _) in &mut dims {
            let new = self.kernel.new_var();
            names.vars.push((*var, new));
            *var = new;
        }
        let body = copy_block(self.kernel, &body, &mut names);
        (Phase { dims, body }, names)
    }
}

#[cfg(test)]
mod tests {
    use crate::{ints::evaluate_ints, kernel::Kernel, passes::testing};

    /// Running sums of rows, or of columns, of the differences of two arrays, and of one of them.
    const ROWS: &str = "kernel @cumulative(b0: in f64, b1: in f64, b2: out f64[i2], b3: out f64[i2]) {
      i0 = sym m
      i1 = sym n
      i2 = mul i0, i1
      phase (v0: i0) {
        loop v1 in i1 {
          %0 = load b0[v0*i1 + v1] : f64
          %1 = load b1[v0*i1 + v1] : f64
          %2 = subtract %0, %1 : f64
          %3 = scan add %2 : f64
          store b2[v0*i1 + v1] = %3
          %4 = scan add %1 : f64
          %5 = multiply %4, %3 : f64
          store b3[v0*i1 + v1] = %5
        }
      }
    }";

    fn items(kernel: &Kernel, symbols: &[i64]) -> Vec<i64> {
        let ints = evaluate_ints(&kernel.ints, symbols, |_, _| 0);
        kernel.phases.iter().map(|p| p.dims.iter().map(|d| ints[d.1.0 as usize]).product()).collect()
    }

    #[test]
    fn long_rows_go_in_segments_and_short_ones_as_before() {
        let (before, after) = testing::run_named(ROWS, &["split-scans"]);
        assert_eq!(after.phases.len(), 5);
        for (symbols, expected) in [
            ([2, 4096], [2, 0, 0, 0, 0]),
            ([2, 4097], [0, 0, 2, 2, 4]),
            ([1, 8192], [0, 0, 1, 1, 2]),
            ([1, 8193], [0, 0, 2, 1, 3]),
            ([4, 4097], [0, 4, 0, 0, 0]),
        ] {
            assert_eq!(items(&after, &symbols), expected);
            testing::assert_same_results(&before, &after, &symbols, if symbols[1] == 4096 { 0.0 } else { 1e-8 });
        }
    }

    #[test]
    fn rows_have_the_same_bits_whole_and_in_parts() {
        for text in [ROWS.to_owned(), ROWS.replace("v0*i1 + v1", "v1*i0 + v0")] {
            let (_, parts) = testing::run_named(&text, &["split-scans", "vectorise"]);
            let forced = |from: &str, to: &str| {
                let text = crate::text::print(&parts);
                assert!(text.contains(from));
                crate::text::parse(&text.replace(from, to)).unwrap()
            };
            let (always_whole, never) = (forced("= workers", "= const 0"), forced("= workers", "= const 100"));
            for symbols in [[2, 9000], [4, 4097]] {
                testing::assert_same_results(&always_whole, &never, &symbols, 0.0);
            }
        }
    }

    #[test]
    fn columns_keep_their_lanes() {
        let columns = ROWS.replace("v0*i1 + v1", "v1*i0 + v0");
        let (before, after) = testing::run_named(&columns, &["split-scans", "vectorise"]);
        assert_eq!(crate::text::print(&after).matches("vector").count(), 5);
        for symbols in [[3, 4096], [3, 4100], [1, 5000], [4, 4097]] {
            testing::assert_same_results(&before, &after, &symbols, 1e-8);
        }
    }

    #[test]
    fn one_row_is_split_and_one_beside_other_loops_is_not() {
        let one = "kernel @cumulative(b0: in f32, b1: out f32[i0]) {
          i0 = sym m
          phase () {
            loop v0 in i0 {
              %0 = load b0[v0] : f32
              %1 = scan multiply %0 : f32
              store b1[v0] = %1
            }
          }
        }";
        let (before, after) = testing::run_named(one, &["split-scans", "vectorise"]);
        assert_eq!(after.phases.len(), 5);
        for length in [0, 1, 4096, 4097, 10_000] {
            testing::assert_same_results(&before, &after, &[length], 1e-5);
        }
        let scanned =
            one.replace("%1 = scan", "%2 = scan add %0 : f32 %1 = scan").replace("multiply %0", "multiply %2");
        assert_eq!(testing::run_named(&scanned, &["split-scans"]).1.phases.len(), 1);
        let beside =
            one.replace("phase () {", "phase () { loop v1 in i0 { %8 = load b0[v1] : f32 } reduce %9 = add %8 : f32");
        let beside = beside.replace("store b1[v0] = %1", "%7 = divide %1, %9 : f32 store b1[v0] = %7");
        assert_eq!(testing::run_named(&beside, &["split-scans"]).1.phases.len(), 1);
    }
}
