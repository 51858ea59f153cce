//! Items that go through rows of a few elements are quicker side by side, a row a lane, than one after another with lanes
//! along each row: a table with ten columns has only loop tails otherwise. How long rows are is known when the kernel runs,
//! so the phase stands twice in the kernel, and the numbers of items are such that one of the two has none.
//!
//! When this is done at all is decided in `vectorise.rs`.

use super::{
    copy::{Names, copy_block},
    lanes::lanes,
};
use crate::{
    ints::intern,
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase, Range,
        Reduction, Role, Stmt, VarId,
    },
    walk::{for_each_definition, for_each_loop, for_each_stmt, for_each_stmt_mut},
};
use smallvec::SmallVec;

/// The longest rows that go side by side: 1,000,000 rows of 8 float32 are summed in 2 instead of 12 ms. With two full vectors
/// of 16 in a row, lanes along rows are as good.
const SHORT: i64 = 31;

/// Rows of an item then. Scratch has room for so many short rows.
const ROWS: u32 = 256;

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
    let body = vec![Stmt::Loop(Loop { var: lane, range, kind, reductions: Vec::new(), scans: Vec::new(), body })];

    if let Some((_, extent)) = phase.dims.last_mut() {
        *extent = kernel.int(IntExpr::Mul(rows, is_long));
    }
    Some(Phase { dims, body })
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
