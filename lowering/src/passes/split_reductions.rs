//! Makes phases of one item's loops, so that a reduction has something to share out: each loop becomes a phase whose items
//! fold one segment of the range into a partial result, and a phase that folds the partial results in order. Loops
//! that only store become phases over their iterations.
//!
//! Split are phases of one item (reductions of everything), and phases of one dim when neighbouring items read neighbouring
//! elements (reductions along an outer axis). Rows that items read alone are not split. A segment's length is a constant: it
//! depends neither on sizes nor on threads, and so the sums do not either.

mod spread;

use self::spread::{Segmented, serial};
use super::copy::{Names, copy_block};
use crate::{
    ints::intern,
    kernel::{
        Affine, BufferDecl, BufferId, CASCADE_BLOCK, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase,
        Range, Reduction, Role, Stmt, ValueId, VarId,
    },
    pass::KernelPass,
    walk::{for_each_affine, for_each_definition, for_each_loop, for_each_stmt, for_each_stmt_mut},
};
use fusewire_ir::fusion::cost::{SEGMENT, SEGMENT_ROWS};
use rustc_hash::FxHashMap;
use smallvec::smallvec;

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "split-reductions",
    doc: "Splits reductions of everything and along outer axes into segments and a fold of their partial results.",
    run,
};

/// Iterations of the outermost loop that make a segment, where a nest of loops reduces everything.
const NEST_SEGMENT: u32 = 64;

/// Rows of a segment of a reduction along an outer axis: one block of the cascade, so that a lane needs one accumulator and
/// no stack.
const OUTER_SEGMENT: u32 = SEGMENT_ROWS;
const _: () = assert!(OUTER_SEGMENT == CASCADE_BLOCK);

/// Rows of one where columns are few: an item has enough to do, and partial results are a small part of what is read.
const NARROW_SEGMENT: u32 = 16 * CASCADE_BLOCK;

/// From how many columns on a segment is folded row by row, with accumulators in memory, instead of column by column, with
/// accumulators in registers. Memory is fastest from end to end: 4096 x 4096 float32 are summed at 26 GB/s row by row, at 3
/// to 10 GB/s when lanes walk down columns. Short rows are in the cache either way.
const WIDE: i64 = 256;

/// Columns whose accumulators stay in the first-level cache.
const WIDE_TILE: u32 = 8192;

fn run(kernel: &mut Kernel) {
    for phase in std::mem::take(&mut kernel.phases) {
        if is_split(kernel, &phase) {
            let rows = scratch_rows(kernel, &phase);
            let splitter = Splitter {
                derived: derived_values(kernel, &phase),
                kernel,
                old: &phase,
                new: Vec::new(),
                results: FxHashMap::default(),
                fold: None,
                rows,
                segmented: Vec::new(),
            };
            let phases = splitter.run();
            kernel.phases.extend(phases);
        } else {
            kernel.phases.push(phase);
        }
    }
}

fn is_split(kernel: &Kernel, phase: &Phase) -> bool {
    let reduces = |stmt: &Stmt| matches!(stmt, Stmt::Loop(inner) if !inner.reductions.is_empty());
    let mut simple = phase.body.iter().any(reduces) && statements_stand_alone(kernel, &phase.body);
    for_each_loop(&phase.body, &mut |inner| {
        simple &= inner.scans.is_empty() && matches!(inner.range, Range::Full(_));
    });
    match phase.dims.as_slice() {
        _ if !simple => false,
        [] => true,
        [(dim, _)] => reads_neighbours(kernel, phase, *dim),
        _ => false,
    }
}

/// Does no statement of the block (a loop is one) load what it stores itself? Then what goes from one to the next can go
/// through temporaries.
fn statements_stand_alone(kernel: &Kernel, body: &[Stmt]) -> bool {
    body.iter().all(|stmt| {
        let block = std::slice::from_ref(stmt);
        let mut written = Vec::new();
        for_each_stmt(block, &mut |stmt| {
            if let Stmt::Store { buffer, .. } = stmt {
                written.push(*buffer);
            }
        });
        let mut alone = true;
        for_each_definition(block, &mut |id| {
            if let Inst::Load { buffer, .. } = &kernel.value(id).inst {
                let own = written.contains(buffer);
                // Values of the top block are computed wherever they are used, so they must not change.
                let may_change =
                    matches!(stmt, Stmt::Let(_)) && kernel.buffers[buffer.0 as usize].role == Role::Scratch;
                alone &= !own && !may_change;
            }
        });
        alone
    })
}

/// A temporary for each scratch buffer of the phase: what one item kept for itself now goes from phase to phase.
fn scratch_rows(kernel: &mut Kernel, phase: &Phase) -> Vec<(BufferId, BufferId)> {
    let mut rows: Vec<(BufferId, BufferId)> = Vec::new();
    let items = items(kernel, phase);
    let mut scratch = Vec::new();
    for_each_stmt(&phase.body, &mut |stmt| {
        if let Stmt::Store { buffer, .. } = stmt
            && kernel.buffers[buffer.0 as usize].role == Role::Scratch
            && !scratch.contains(buffer)
        {
            scratch.push(*buffer);
        }
    });
    for old in scratch {
        let decl = kernel.buffers[old.0 as usize].clone();
        let length = decl.length.map(|length| kernel.int(IntExpr::Mul(length, items)));
        kernel.buffers.push(BufferDecl { role: Role::Temporary, length, ..decl });
        rows.push((old, BufferId(kernel.buffers.len() as u32 - 1)));
        // Nobody has to provide the old one any more.
        kernel.buffers[old.0 as usize].length = Some(kernel.int_const(0));
    }
    rows
}

/// The values of a phase's top block that are results of its loops or computed from them.
fn derived_values(kernel: &Kernel, phase: &Phase) -> Vec<bool> {
    let mut derived = vec![false; kernel.values.len()];
    for stmt in &phase.body {
        match stmt {
            Stmt::Let(id) => {
                let operands = kernel.value(*id).inst.operands();
                derived[id.0 as usize] = operands.iter().any(|operand| derived[operand.0 as usize]);
            }
            Stmt::Store { .. } => {}
            Stmt::Loop(inner) => inner.results().for_each(|result| derived[result.0 as usize] = true),
        }
    }
    derived
}

/// How many items a phase has.
fn items(kernel: &mut Kernel, phase: &Phase) -> IntId {
    let one = kernel.int_const(1);
    phase.dims.iter().fold(one, |product, &(_, extent)| kernel.int(IntExpr::Mul(product, extent)))
}

/// Do the loops mostly load elements that are neighbours along the dim, and not along the loop? What all items load is in the
/// cache, whichever way they go through it.
pub(super) fn reads_neighbours(kernel: &Kernel, phase: &Phase, dim: VarId) -> bool {
    let (mut along_dim, mut along_loop) = (0, 0);
    for_each_loop(&phase.body, &mut |inner| {
        let loads = inner.body.iter().filter(|stmt| matches!(stmt, Stmt::Let(_)));
        for_each_affine(&kernel.values, &loads.cloned().collect::<Vec<_>>(), &mut |at| {
            along_dim += i32::from(at.coefficient(dim) == Some(Coefficient::Const(1)));
            let own = at.coefficient(dim).is_some();
            along_loop += i32::from(own && at.coefficient(inner.var) == Some(Coefficient::Const(1)));
        });
    });
    along_dim > along_loop
}

struct Splitter<'a> {
    kernel: &'a mut Kernel,
    old: &'a Phase,
    new: Vec<NewPhase>,
    /// Where the results of the old loops are to be had.
    results: FxHashMap<ValueId, Found>,
    /// The last phase that folds partial results: what follows the loop belongs there.
    fold: Option<usize>,
    /// The temporaries that take the place of scratch, with one row for each of the old items.
    rows: Vec<(BufferId, BufferId)>,
    /// By value: is it the result of a loop of the old phase, or computed from one?
    derived: Vec<bool>,
    /// The loops that were cut into segments.
    segmented: Vec<Segmented>,
}

struct NewPhase {
    phase: Phase,
    /// The variables of the old dims.
    dims: Vec<VarId>,
    /// What old values and variables are called here.
    names: Names,
}

/// A loop that is cut into segments, and where the partial results of its reductions go.
struct Segment<'a> {
    inner: &'a Loop,
    extent: IntId,
    size: u32,
    buffers: &'a [BufferId],
}

#[derive(Clone, Copy)]
struct Found {
    /// The new phase that computes it.
    phase: usize,
    /// Its name there.
    value: ValueId,
    /// Where later phases find it, once one has asked.
    buffer: Option<BufferId>,
}

impl Splitter<'_> {
    fn run(mut self) -> Vec<Phase> {
        for stmt in &self.old.body {
            match stmt {
                // Computed in each phase that uses it.
                Stmt::Let(_) => {}
                Stmt::Store { buffer, at, value } => {
                    let phase = match self.fold {
                        Some(phase) => phase,
                        None => self.begin(&[]),
                    };
                    self.fold = Some(phase);
                    let value = self.provide(phase, *value);
                    let at = self.renamed(phase, at);
                    self.new[phase].phase.body.push(Stmt::Store { buffer: *buffer, at, value });
                }
                Stmt::Loop(inner) if inner.reductions.is_empty() => self.stores(inner),
                Stmt::Loop(inner) => {
                    let mut rest = inner.clone();
                    rest.reductions.retain(|reduction| !self.spread(inner, reduction));
                    if !rest.reductions.is_empty() {
                        self.segments(&rest);
                    }
                }
            }
        }
        self.new.into_iter().map(|new| new.phase).collect()
    }

    /// Begins a phase over some outer dims (old variables, if they have any, with their extents) and the old dims.
    fn begin(&mut self, outer: &[(Option<VarId>, IntId)]) -> usize {
        let mut vars = Vec::new();
        let mut dims = Vec::new();
        let old_dims = self.old.dims.iter().map(|&(var, extent)| (Some(var), extent));
        for (old, extent) in outer.iter().copied().chain(old_dims) {
            let var = self.kernel.new_var();
            dims.push((var, extent));
            vars.extend(old.map(|old| (old, var)));
        }
        let own = dims[outer.len()..].iter().map(|&(var, _)| var).collect();
        let phase = Phase { dims, body: Vec::new() };
        self.new.push(NewPhase { phase, dims: own, names: Names { vars, ..Names::default() } });
        self.new.len() - 1
    }

    /// How many combinations of the old dims there are.
    fn items(&mut self) -> IntId {
        items(self.kernel, self.old)
    }

    /// The number of the combination of the old dims, after `outer` whole numberings.
    fn item_index(&mut self, phase: usize, outer: Option<VarId>) -> Affine {
        let mut at = Affine::default();
        if let Some(outer) = outer {
            let items = self.items();
            at = at.plus(outer, self.coefficient(items));
        }
        let mut stride = self.kernel.int_const(1);
        let dims: Vec<(VarId, IntId)> =
            self.new[phase].dims.iter().copied().zip(self.old.dims.iter().map(|&(_, extent)| extent)).collect();
        for (var, extent) in dims.into_iter().rev() {
            at = at.plus(var, self.coefficient(stride));
            stride = self.kernel.int(IntExpr::Mul(stride, extent));
        }
        at
    }

    fn coefficient(&self, id: IntId) -> Coefficient {
        self.kernel.int_literal(id).map_or(Coefficient::Int(id), Coefficient::Const)
    }

    fn temporary(&mut self, like: ValueId, length: IntId) -> BufferId {
        let dtype = self.kernel.dtype(like);
        self.kernel.buffers.push(BufferDecl { dtype, role: Role::Temporary, length: Some(length) });
        BufferId(self.kernel.buffers.len() as u32 - 1)
    }

    fn renamed(&self, phase: usize, at: &Affine) -> Affine {
        let mut at = at.clone();
        self.new[phase].names.rename(&mut at);
        at
    }

    /// A value of the old phase's top block, in a new phase.
    fn provide(&mut self, phase: usize, old: ValueId) -> ValueId {
        if let Some(&known) = self.new[phase].names.values.get(&old) {
            return known;
        }
        if let Some(fold) = self.fold.filter(|&fold| fold != phase && !self.results.contains_key(&old))
            && self.derived[old.0 as usize]
        {
            // Computed once for each old item, and not again by every segment.
            let value = self.provide(fold, old);
            self.results.insert(old, Found { phase: fold, value, buffer: None });
        }
        let mut value = self.kernel.value(old).clone();
        if let Some(mut found) = self.results.get(&old).copied() {
            if found.phase == phase {
                return found.value;
            }
            let buffer = match found.buffer {
                Some(buffer) => buffer,
                None => {
                    let items = self.items();
                    let buffer = self.temporary(old, items);
                    let at = self.item_index(found.phase, None);
                    self.new[found.phase].phase.body.push(Stmt::Store { buffer, at, value: found.value });
                    found.buffer = Some(buffer);
                    self.results.insert(old, found);
                    buffer
                }
            };
            value.inst = Inst::Load { buffer, at: self.item_index(phase, None) };
        } else {
            if let Some(at) = value.inst.affine_mut() {
                self.new[phase].names.rename(at);
            }
            for operand in value.inst.operands_mut() {
                *operand = self.provide(phase, *operand);
            }
        }
        let new = self.kernel.new_value(value.inst, value.dtype);
        let target = &mut self.new[phase];
        target.names.values.insert(old, new);
        target.phase.body.push(Stmt::Let(new));
        new
    }

    /// A loop that only stores: its iterations are items.
    fn stores(&mut self, outermost: &Loop) {
        let mut dims: Vec<(Option<VarId>, IntId)> = vec![(Some(outermost.var), outermost.range.extent())];
        let mut body = &outermost.body;
        while let [Stmt::Loop(inner)] = body.as_slice() {
            if !inner.reductions.is_empty() {
                break;
            }
            dims.push((Some(inner.var), inner.range.extent()));
            body = &inner.body;
        }
        let phase = self.begin(&dims);
        self.copy(phase, body);
    }

    /// A loop with reductions: a phase that folds segments, and one that folds their results.
    fn segments(&mut self, inner: &Loop) {
        let nest = inner.body.iter().any(|stmt| matches!(stmt, Stmt::Loop(_)));
        let extent = inner.range.extent();
        // Segments that are folded column by column, and those that are folded row by row; and how long those are that there are.
        let (size, narrow, wide, length) = match *self.old.dims {
            [] => {
                let size = if nest { NEST_SEGMENT } else { SEGMENT };
                (size, self.count(extent, size), None, self.kernel.int_const(size as i64))
            }
            [(_, columns)] if !nest => {
                // Which of the two phases has items depends on the number of columns: 1 is yes.
                let below = self.kernel.int_const(WIDE - 1);
                let above = self.kernel.int(IntExpr::Sub(columns, below));
                let (zero, one) = (self.kernel.int_const(0), self.kernel.int_const(1));
                let above = self.kernel.int(IntExpr::Max(above, zero));
                let is_wide = self.kernel.int(IntExpr::Min(above, one));
                let is_narrow = self.kernel.int(IntExpr::Sub(one, is_wide));
                let (narrow, wide) = (self.count(extent, NARROW_SEGMENT), self.count(extent, OUTER_SEGMENT));
                let narrow = self.kernel.int(IntExpr::Mul(narrow, is_narrow));
                let wide = self.kernel.int(IntExpr::Mul(wide, is_wide));
                let [narrow_size, wide_size] =
                    [NARROW_SEGMENT, OUTER_SEGMENT].map(|size| self.kernel.int_const(size as i64));
                let narrow_size = self.kernel.int(IntExpr::Mul(narrow_size, is_narrow));
                let wide_size = self.kernel.int(IntExpr::Mul(wide_size, is_wide));
                let length = self.kernel.int(IntExpr::Add(narrow_size, wide_size));
                (NARROW_SEGMENT, narrow, Some((wide, columns)), length)
            }
            _ => {
                let length = self.kernel.int_const(OUTER_SEGMENT as i64);
                (OUTER_SEGMENT, self.count(extent, OUTER_SEGMENT), None, length)
            }
        };
        let segments = match wide {
            Some((wide, _)) => self.kernel.int(IntExpr::Add(narrow, wide)),
            None => narrow,
        };
        let items = self.items();
        let partial = self.kernel.int(IntExpr::Mul(segments, items));
        let buffers: Vec<BufferId> = inner.reductions.iter().map(|r| self.temporary(r.result, partial)).collect();
        let by_columns = self.fold_columns(&Segment { inner, extent, size, buffers: &buffers }, narrow);
        let by_rows = wide.map(|(wide, columns)| {
            let segment = Segment { inner, extent, size: OUTER_SEGMENT, buffers: &buffers };
            self.fold_rows(&segment, wide, columns)
        });
        if !nest {
            let folds = inner.reductions.iter().map(|r| (r.op, r.value)).zip(buffers.iter().copied()).collect();
            self.segmented.push(Segmented {
                var: inner.var,
                extent,
                folds,
                count: segments,
                partial,
                length,
                size,
                by_columns,
                by_rows,
            });
        }

        let second = self.begin(&[]);
        let var = self.kernel.new_var();
        let mut fold = Loop {
            var,
            range: Range::Full(segments),
            kind: LoopKind::Serial,
            reductions: vec![],
            scans: vec![],
            body: vec![],
        };
        for (old, buffer) in inner.reductions.iter().zip(buffers) {
            let dtype = self.kernel.dtype(old.result);
            let at = self.item_index(second, Some(var));
            let value = self.kernel.new_value(Inst::Load { buffer, at }, dtype);
            let result = self.kernel.new_value(Inst::Reduced, dtype);
            fold.body.push(Stmt::Let(value));
            fold.reductions.push(Reduction { op: old.op, value, result });
            self.results.insert(old.result, Found { phase: second, value: result, buffer: None });
        }
        self.new[second].phase.body.push(Stmt::Loop(fold));
        self.fold = Some(second);
    }

    /// How many segments of some size there are.
    fn count(&mut self, extent: IntId, size: u32) -> IntId {
        let size = self.kernel.int_const(size as i64);
        self.kernel.int(IntExpr::CeilDiv(extent, size))
    }

    /// A phase over segments in which each old item folds for itself.
    fn fold_columns(&mut self, segment: &Segment<'_>, segments: IntId) -> usize {
        let Segment { inner, extent, size, buffers } = *segment;
        let phase = self.begin(&[(None, segments)]);
        let number = self.new[phase].phase.dims[0].0;
        let copied = self.copy_loop(phase, inner, Range::Tile { extent, tile: number, size });
        let results: Vec<ValueId> = copied.reductions.iter().map(|r| r.result).collect();
        self.new[phase].phase.body.push(Stmt::Loop(copied));
        for (value, &buffer) in results.into_iter().zip(buffers) {
            let at = self.item_index(phase, Some(number));
            self.new[phase].phase.body.push(Stmt::Store { buffer, at, value });
        }
        phase
    }

    /// A phase over segments that goes row by row through the old items, folding into the partial results in memory.
    fn fold_rows(&mut self, segment: &Segment<'_>, segments: IntId, columns: IntId) -> usize {
        let Segment { inner, extent, size, buffers } = *segment;
        let tile_size = self.kernel.int_const(WIDE_TILE as i64);
        let tiles = self.kernel.int(IntExpr::CeilDiv(columns, tile_size));
        let [number, tile, first_column, row, column] = std::array::from_fn(|_| self.kernel.new_var());
        let columns = Range::Tile { extent: columns, tile, size: WIDE_TILE };
        self.new.push(NewPhase {
            phase: Phase { dims: vec![(number, segments), (tile, tiles)], body: Vec::new() },
            dims: vec![first_column],
            names: Names { vars: vec![(self.old.dims[0].0, column), (inner.var, row)], ..Names::default() },
        });
        let phase = self.new.len() - 1;
        let mut units = Vec::new();
        for (reduction, &buffer) in inner.reductions.iter().zip(buffers) {
            let dtype = self.kernel.dtype(reduction.result);
            let unit = reduction.op.unit(dtype).expect("a reduction's op has a unit");
            let value = self.kernel.new_value(Inst::Const(unit), dtype);
            units.push(Stmt::Let(value));
            units.push(Stmt::Store { buffer, at: self.item_index(phase, Some(number)), value });
        }
        self.new[phase].dims = vec![column];
        self.copy(phase, &inner.body);
        for (reduction, &buffer) in inner.reductions.iter().zip(buffers) {
            let value = self.provide(phase, reduction.value);
            let at = self.item_index(phase, Some(number));
            let dtype = self.kernel.dtype(reduction.result);
            let before = self.kernel.new_value(Inst::Load { buffer, at: at.clone() }, dtype);
            let after = self.kernel.new_value(Inst::Op(reduction.op, smallvec![before, value]), dtype);
            let body = &mut self.new[phase].phase.body;
            body.extend([Stmt::Let(before), Stmt::Let(after), Stmt::Store { buffer, at, value: after }]);
        }
        let body = std::mem::take(&mut self.new[phase].phase.body);
        let columns_of_row = serial(column, columns, body);
        self.new[phase].phase.body = vec![
            serial(first_column, columns, units),
            serial(row, Range::Tile { extent, tile: number, size }, vec![columns_of_row]),
        ];
        phase
    }

    /// Copies a block to the end of a new phase.
    fn copy(&mut self, phase: usize, block: &[Stmt]) {
        // Values from outside come first, so that they are defined where the block's loops can see them.
        self.provide_outside(phase, block);
        let copied = self.copy_block(phase, block);
        self.new[phase].phase.body.extend(copied);
    }

    fn provide_outside(&mut self, phase: usize, block: &[Stmt]) {
        let mut defined = Vec::new();
        for_each_definition(block, &mut |id| defined.push(id));
        let mut used: Vec<ValueId> = Vec::new();
        defined.iter().for_each(|&id| used.extend(self.kernel.value(id).inst.operands()));
        crate::walk::for_each_root(block, &mut |id| used.push(id));
        let inside: rustc_hash::FxHashSet<ValueId> = defined.into_iter().collect();
        for id in used {
            if !inside.contains(&id) {
                self.provide(phase, id);
            }
        }
    }

    fn copy_loop(&mut self, phase: usize, inner: &Loop, range: Range) -> Loop {
        self.provide_outside(phase, std::slice::from_ref(&Stmt::Loop(inner.clone())));
        let mut copied = self.copy_block(phase, std::slice::from_ref(&Stmt::Loop(inner.clone())));
        let Some(Stmt::Loop(mut copied)) = copied.pop() else { unreachable!("a loop is copied to a loop") };
        copied.range = range;
        copied
    }

    /// A copy of a block with new names for everything it defines.
    fn copy_block(&mut self, phase: usize, block: &[Stmt]) -> Vec<Stmt> {
        let mut copied = copy_block(self.kernel, block, &mut self.new[phase].names);
        self.replace_scratch(phase, &mut copied);
        copied
    }

    /// Loads and stores of scratch go to the item's row of the temporary; rows lie side by side as items do.
    fn replace_scratch(&mut self, phase: usize, copied: &mut [Stmt]) {
        if self.rows.is_empty() {
            return;
        }
        let (items, item) = (self.items(), self.item_index(phase, None));
        let (kernel, rows) = (&mut *self.kernel, &self.rows);
        let Kernel { ints, values, .. } = kernel;
        let mut replace = |buffer: &mut BufferId, at: &mut Affine| {
            let Some(&(_, row)) = rows.iter().find(|(old, _)| old == buffer) else { return };
            *buffer = row;
            at.offset = at.offset.map(|offset| intern(ints, IntExpr::Mul(offset, items)));
            for (_, coefficient) in &mut at.terms {
                let id = match *coefficient {
                    Coefficient::Const(value) => intern(ints, IntExpr::Const(value)),
                    Coefficient::Int(id) => id,
                };
                *coefficient = Coefficient::Int(intern(ints, IntExpr::Mul(id, items)));
            }
            at.terms.extend(item.terms.iter().copied());
        };
        for_each_stmt_mut(copied, &mut |stmt| match stmt {
            Stmt::Let(id) => {
                if let Inst::Load { buffer, at } = &mut values[id.0 as usize].inst {
                    replace(buffer, at);
                }
            }
            Stmt::Store { buffer, at, .. } => replace(buffer, at),
            Stmt::Loop(_) => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::{kernel::Role, passes::testing};

    #[test]
    fn a_reduction_of_everything_becomes_segments_and_a_fold() {
        let text = "kernel @total(b0: in f32, b1: out f32[i1]; p0: f32) {
          i0 = sym m
          i1 = const 1
          phase () {
            %9 = param p0 : f32
            loop v0 in i0 {
              %0 = load b0[v0] : f32
              %5 = multiply %0, %9 : f32
            } reduce %1 = add %0 : f32, %6 = maximum %5 : f32
            %2 = const 0.5 : f32
            %3 = multiply %1, %2 : f32
            %7 = add %3, %6 : f32
            store b1[0] = %7
          }
        }";
        let (before, after) = testing::run_named(text, &["split-reductions"]);
        assert_eq!(after.phases.len(), 2);
        assert_eq!(after.phases[0].dims.len(), 1);
        assert_eq!(after.buffers.iter().filter(|b| b.role == Role::Temporary).count(), 2);
        testing::assert_same_results(&before, &after, &[17_000], 1e-5);
        testing::assert_same_results(&before, &after, &[3], 1e-5);
    }

    const STANDARDISE: &str = "kernel @standardise(b0: in f32, b1: out f32[i2], b2: out f32[i1]) {
      i0 = sym m
      i1 = sym n
      i2 = mul i0, i1
      phase (v0: i1) {
        loop v1 in i0 {
          %0 = load b0[v1*i1 + v0] : f32
        } reduce %1 = add %0 : f32
        %2 = const 0.25 : f32
        %3 = multiply %1, %2 : f32
        loop v2 in i0 {
          %4 = load b0[v2*i1 + v0] : f32
          %5 = subtract %4, %3 : f32
          %6 = multiply %5, %5 : f32
        } reduce %7 = add %6 : f32
        %8 = sqrt %7 : f32
        store b2[v0] = %3
        loop v3 in i0 {
          %9 = load b0[v3*i1 + v0] : f32
          %10 = subtract %9, %3 : f32
          %11 = divide %10, %8 : f32
          store b1[v3*i1 + v0] = %11
        }
      }
    }";

    #[test]
    fn dependent_reductions_along_an_outer_axis_become_phases() {
        let (before, after) = testing::run_named(STANDARDISE, &["split-reductions"]);
        // Segments of both reductions in the same phases, of which one has no items; their fold, and the phase that stores.
        assert_eq!(after.phases.iter().map(|p| p.dims.len()).collect::<Vec<_>>(), [2, 2, 1, 2]);
        // The mean of the kernel is a quarter of the sum, so distances from it are far from those in segments.
        for symbols in [[100, 7], [256, 3], [257, 3], [2000, 8], [40, 255], [40, 256], [16, 300], [5, 3], [1, 1]] {
            testing::assert_same_results(&before, &after, &symbols, 1e-5);
        }
    }

    #[test]
    fn reductions_that_need_one_another_become_phases() {
        // Not squares: each reduction has its own three phases.
        let text = STANDARDISE.replace("%6 = multiply %5, %5", "%6 = abs %5");
        let (before, after) = testing::run_named(&text, &["split-reductions"]);
        assert_eq!(after.phases.iter().map(|p| p.dims.len()).collect::<Vec<_>>(), [2, 2, 1, 2, 2, 1, 2]);
        testing::assert_same_results(&before, &after, &[100, 7], 1e-5);
        testing::assert_same_results(&before, &after, &[40, 256], 1e-5);
        // Of a loop that folds both, the squares alone go with the segments of the sum.
        let text = STANDARDISE
            .replace("%6 = multiply", "%12 = abs %5 : f32 %6 = multiply")
            .replace("%7 = add %6 : f32", "%7 = add %6 : f32, %13 = maximum %12 : f32")
            .replace("%8 = sqrt %7 : f32", "%14 = add %7, %13 : f32 %8 = sqrt %14 : f32");
        let (before, after) = testing::run_named(&text, &["split-reductions"]);
        assert_eq!(after.phases.iter().map(|p| p.dims.len()).collect::<Vec<_>>(), [2, 2, 1, 2, 2, 1, 2]);
        testing::assert_same_results(&before, &after, &[600, 7], 1e-5);
        testing::assert_same_results(&before, &after, &[40, 256], 1e-5);
    }

    #[test]
    fn a_variance_of_everything_is_folded_in_segments() {
        let text = "kernel @variance(b0: in f64, b1: out f64[i1]; p0: f64) {
          i0 = sym m
          i1 = const 1
          phase () {
            loop v0 in i0 {
              %0 = load b0[v0] : f64
            } reduce %1 = add %0 : f64
            %2 = param p0 : f64
            %3 = divide %1, %2 : f64
            loop v1 in i0 {
              %4 = load b0[v1] : f64
              %5 = subtract %4, %3 : f64
              %6 = multiply %5, %5 : f64
            } reduce %7 = add %6 : f64
            store b1[0] = %7
          }
        }";
        let (before, after) = testing::run_named(text, &["split-reductions"]);
        assert_eq!(after.phases.len(), 2);
        for count in [0, 1, 1000] {
            testing::assert_same_results(&before, &after, &[count], 1e-12);
        }
    }

    #[test]
    fn what_an_item_kept_in_scratch_goes_through_a_temporary() {
        let text = "kernel @softmax(b0: in f32, b1: out f32[i0], b2: scratch f32[i0]) {
          i0 = sym m
          phase () {
            loop v0 in i0 {
              %0 = load b0[v0] : f32
            } reduce %1 = maximum %0 : f32
            loop v1 in i0 {
              %2 = load b0[v1] : f32
              %3 = subtract %2, %1 : f32
              %4 = exp %3 : f32
              store b2[v1] = %4
            } reduce %5 = add %4 : f32
            loop v2 in i0 {
              %6 = load b2[v2] : f32
              %7 = divide %6, %5 : f32
              store b1[v2] = %7
            }
          }
        }";
        let (before, after) = testing::run_named(text, &["split-reductions"]);
        assert_eq!(after.phases.len(), 5);
        testing::assert_same_results(&before, &after, &[100], 1e-6);
        let columns = text
            .replace("b1: out f32[i0]", "b1: out f32[i2]")
            .replace("i0 = sym m", "i0 = sym m\n i1 = sym n\n i2 = mul i0, i1")
            .replace("phase ()", "phase (v9: i1)");
        let columns = (0..3).fold(columns, |text, v| {
            text.replace(&format!("b0[v{v}]"), &format!("b0[v{v}*i1 + v9]"))
                .replace(&format!("b1[v{v}]"), &format!("b1[v{v}*i1 + v9]"))
        });
        let (before, after) = testing::run_named(&columns, &["split-reductions"]);
        assert_eq!(after.phases.len(), 7);
        testing::assert_same_results(&before, &after, &[50, 7], 1e-6);
    }

    #[test]
    fn rows_and_scans_are_not_split() {
        let rows = STANDARDISE.replace("*i1 + v0]", " + v0*i0]");
        let (_, after) = testing::run_named(&rows, &["split-reductions"]);
        assert_eq!(after.phases.len(), 1);
        let scan = "kernel @cumulative(b0: in f32, b1: out f32[i0]) {
          i0 = sym m
          phase () {
            loop v0 in i0 {
              %0 = load b0[v0] : f32
              %1 = scan add %0 : f32
              store b1[v0] = %1
            }
          }
        }";
        let (_, after) = testing::run_named(scan, &["split-reductions"]);
        assert_eq!(after.phases.len(), 1);
    }
}
