//! Items that go through rows of a few elements are quicker side by side, a row a lane, than one after another with lanes
//! along each row: a table with ten columns has only loop tails otherwise. How long rows are is known when the kernel runs,
//! so the phase stands twice in the kernel, and the numbers of items are such that one of the two has none.
//!
//! Side by side, elements of a row are a row apart for the lanes. Where a second dim meets the same rows again, as in all pairs of
//! two sets of points, an item is a block of both, and copies its rows to scratch first, transposed (`transpose.rs`).
//!
//! When this is done at all is decided in `vectorise.rs`.

use super::{
    copy::{Names, copy_block},
    lanes::lanes,
    transpose::{self, Side},
    vectorise::cut,
};
use crate::{
    ints::intern,
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase, Range,
        Reduction, Role, Stmt, ValueId, VarId,
    },
    walk::{for_each_definition, for_each_loop, for_each_stmt, for_each_stmt_mut},
};
use smallvec::SmallVec;

/// The longest rows that go side by side: 1,000,000 rows of 8 float32 are summed in 2 instead of 12 ms. With two full vectors
/// of 16 in a row, lanes along rows are as good.
const SHORT: i64 = 31;

/// Rows of an item then. Scratch has room for so many short rows.
const ROWS: u32 = 256;

/// How often an item meets its rows again, where they meet something else each time: the distances of 2,289 x 2,289
/// rows of 8 take 1.9 instead of 9.9 ms.
const MEETINGS: u32 = 16;

/// Statements of a body that is worth compiling twice, if no float is summed in it. The order of sums must not depend on what
/// else is computed.
const LONGEST_BODY: usize = 96;

/// The phase for short rows, if there is to be one. The other phase keeps its items only when rows are long.
pub(super) fn split_off(kernel: &mut Kernel, phase: &mut Phase) -> Option<Phase> {
    let (row, rows) = *phase.dims.last()?;
    let mut statements = 0;
    for_each_stmt(&phase.body, &mut |_| statements += 1);
    let mut full = true;
    let mut sums = false;
    for_each_loop(&phase.body, &mut |inner| {
        full &= matches!(inner.range, Range::Full(_));
        sums |= inner.reductions.iter().any(|r| Reduction::cascades(r.op, kernel.dtype(r.value)));
    });
    let long = statements > LONGEST_BODY && !sums;
    if !full || long || !stores_apart(kernel, &phase.body, row) {
        return None;
    }
    let length = longest_nest(kernel, &phase.body)?;
    if kernel.int_literal(length).is_some_and(|length| length > SHORT) {
        return None;
    }
    let (limit, zero, one) = (kernel.int_const(SHORT + 1), kernel.int_const(0), kernel.int_const(1));
    let below = kernel.int(IntExpr::Sub(limit, length));
    let below = kernel.int(IntExpr::Max(below, zero));
    let is_short = kernel.int(IntExpr::Min(below, one));
    let is_long = kernel.int(IntExpr::Sub(one, is_short));

    let size = kernel.int_const(ROWS as i64);
    let tiles = kernel.int(IntExpr::CeilDiv(rows, size));
    let tiles = kernel.int(IntExpr::Mul(tiles, is_short));
    let mut names = Names::default();
    let mut dims: Vec<(VarId, IntId)> = Vec::new();
    for &(var, extent) in &phase.dims[..phase.dims.len() - 1] {
        let new = kernel.new_var();
        names.vars.push((var, new));
        dims.push((new, extent));
    }
    let (tile, lane) = (kernel.new_var(), kernel.new_var());
    names.vars.push((row, lane));
    dims.push((tile, tiles));
    let mut body = copy_block(kernel, &phase.body, &mut names);
    give_scratch_to_lanes(kernel, &mut body, tile, lane);
    let kind = LoopKind::Vector { lanes: lanes(kernel, &body, &[]) };
    let range = Range::Tile { extent: rows, tile, size: ROWS };
    let wrap =
        |var, range, kind, body| Stmt::Loop(Loop { var, range, kind, reductions: Vec::new(), scans: Vec::new(), body });
    let last = dims.len().checked_sub(2);
    let other = last.map(|index| dims[index].0);
    let mut staged = match other {
        Some(other) => copy_rows(kernel, &body, Side { var: lane, range, size: ROWS }, other),
        None => Vec::new(),
    };
    let lane_loop = wrap(lane, range, kind, body);
    let body = match last {
        Some(index) if !staged.is_empty() => {
            let (other, extent) = dims[index];
            let (block, range) = cut(kernel, extent, MEETINGS);
            dims[index] = block;
            staged.push(wrap(other, range, LoopKind::Serial, vec![lane_loop]));
            staged
        }
        _ => vec![lane_loop],
    };

    if let Some((_, extent)) = phase.dims.last_mut() {
        *extent = kernel.int(IntExpr::Mul(rows, is_long));
    }
    Some(Phase { dims, body })
}

/// Copies what all items of another dim load of the lanes' rows to scratch, and loads it from there. Gives the copying loops.
fn copy_rows(kernel: &mut Kernel, body: &[Stmt], lanes: Side, other: VarId) -> Vec<Stmt> {
    let mut copies: Vec<Stmt> = Vec::new();
    // What was copied: the load as it was, the variable along its rows, and the value that is loaded from scratch now.
    let mut known: Vec<(Inst, VarId, ValueId)> = Vec::new();
    for stmt in body {
        let Stmt::Loop(inner) = stmt else { continue };
        for stmt in &inner.body {
            let Stmt::Let(id) = stmt else { continue };
            let Inst::Load { buffer, at } = &kernel.value(*id).inst else { continue };
            let is_memory = kernel.buffers[buffer.0 as usize].role != Role::Scratch;
            if !is_memory || at.mentions(other) || !transpose::is_transposed(at, lanes.var, inner.var) {
                continue;
            }
            let load = kernel.value(*id).inst.clone();
            let again = known.iter().find(|(inst, var, _)| {
                let mut inst = inst.clone();
                if let Some(at) = inst.affine_mut() {
                    at.rename(*var, inner.var);
                }
                inst == load
            });
            match again {
                Some(&(_, var, copied)) => {
                    let mut inst = kernel.value(copied).inst.clone();
                    if let Some(at) = inst.affine_mut() {
                        at.rename(var, inner.var);
                    }
                    kernel.values[id.0 as usize].inst = inst;
                }
                None if copies.len() < transpose::BLOCKS => {
                    let along = Side { var: inner.var, range: inner.range, size: SHORT as u32 };
                    copies.push(transpose::fill(kernel, *id, lanes, along));
                    known.push((load, inner.var, *id));
                }
                None => {}
            }
        }
    }
    copies
}

/// Do items store to elements of their own (scratch aside), and load nothing that they store there?
fn stores_apart(kernel: &Kernel, body: &[Stmt], row: VarId) -> bool {
    let mut written = Vec::new();
    let mut apart = true;
    for_each_stmt(body, &mut |stmt| {
        if let Stmt::Store { buffer, at, .. } = stmt
            && kernel.buffers[buffer.0 as usize].role != Role::Scratch
        {
            apart &= at.mentions(row);
            written.push(*buffer);
        }
    });
    for_each_definition(body, &mut |id| {
        if let Inst::Load { buffer, .. } = kernel.value(id).inst {
            apart &= !written.contains(&buffer);
        }
    });
    apart
}

/// The iterations of the longest nest of loops, as an integer: the length of a row.
fn longest_nest(kernel: &mut Kernel, block: &[Stmt]) -> Option<IntId> {
    let mut longest = None;
    for stmt in block {
        let Stmt::Loop(inner) = stmt else { continue };
        let length = match longest_nest(kernel, &inner.body) {
            Some(nested) => kernel.int(IntExpr::Mul(inner.range.extent(), nested)),
            None => inner.range.extent(),
        };
        longest = Some(match longest {
            Some(longest) => kernel.int(IntExpr::Max(longest, length)),
            None => length,
        });
    }
    longest
}

/// Scratch of the copied body: a short row for each of the item's rows, neighbouring lanes side by side.
fn give_scratch_to_lanes(kernel: &mut Kernel, body: &mut [Stmt], tile: VarId, lane: VarId) {
    let mut scratch: SmallVec<[(BufferId, BufferId); 2]> = SmallVec::new();
    let rows = kernel.int_const(ROWS as i64);
    for_each_stmt(body, &mut |stmt| {
        if let Stmt::Store { buffer: old, .. } = stmt
            && let BufferDecl { dtype, role: Role::Scratch, length: Some(length) } = kernel.buffers[old.0 as usize]
            && !scratch.iter().any(|(known, _)| known == old)
        {
            // Long rows never come here, and their scratch would be large.
            let short = kernel.int_const(SHORT);
            let length = kernel.int(IntExpr::Min(length, short));
            let length = kernel.int(IntExpr::Mul(length, rows));
            kernel.buffers.push(BufferDecl { dtype, role: Role::Scratch, length: Some(length) });
            scratch.push((*old, BufferId(kernel.buffers.len() as u32 - 1)));
        }
    });
    let Kernel { ints, values, .. } = kernel;
    let mut replace = |buffer: &mut BufferId, at: &mut Affine| {
        let Some(&(_, new)) = scratch.iter().find(|(old, _)| old == buffer) else { return };
        *buffer = new;
        at.offset = at.offset.map(|offset| intern(ints, IntExpr::Mul(offset, rows)));
        for (_, coefficient) in &mut at.terms {
            *coefficient = match *coefficient {
                Coefficient::Const(value) => Coefficient::Const(value * ROWS as i64),
                Coefficient::Int(id) => Coefficient::Int(intern(ints, IntExpr::Mul(id, rows))),
            };
        }
        at.terms.push((lane, Coefficient::Const(1)));
        at.terms.push((tile, Coefficient::Const(-i64::from(ROWS))));
    };
    for_each_stmt_mut(body, &mut |stmt| match stmt {
        Stmt::Let(id) => {
            if let Inst::Load { buffer, at } = &mut values[id.0 as usize].inst {
                replace(buffer, at);
            }
        }
        Stmt::Store { buffer, at, .. } => replace(buffer, at),
        Stmt::Loop(_) => {}
    });
}
