//! Transpositions in blocks: a square block of an array that runs across the lanes is first copied to scratch along its own
//! rows, and then gathered from there. So each cache line is read once and whole, and gathering never leaves the
//! first-level cache: rows a power of two apart would push each other out of it.
//!
//! Which loads are gathered, and how the dims are cut, is decided in `vectorise.rs`.

use super::lanes::lanes;
use crate::{
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, Kernel, Loop, LoopKind, Range, Role, Stmt, ValueId, VarId,
    },
    walk::for_each_stmt,
};

/// Elements along each side of a block; twice as many when they are smaller than 4 bytes. 4096 x 4096 float32 take 16 ms of
/// processor time with 64 (NumPy's copy 115 ms), 21 ms with 32; 4000 x 4000 take 15 ms (NumPy 15 ms) and 19 ms.
const BLOCK: u32 = 64;

/// Blocks that an item keeps at once, at most: what else is gathered comes from memory.
const BLOCKS: usize = 4;

/// One side of a block: the variable that runs through it, the one that numbers the blocks, and its range.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub var: VarId,
    pub tile: VarId,
    pub range: Range,
}

/// Elements along each side of the blocks of a phase with this body.
pub(super) fn block_size(kernel: &Kernel, body: &[Stmt]) -> u32 {
    let mut smallest = usize::MAX;
    for_each_stmt(body, &mut |stmt| {
        if let Stmt::Store { buffer, .. } = stmt {
            smallest = smallest.min(kernel.buffers[buffer.0 as usize].dtype.size());
        }
    });
    if smallest < 4 { 2 * BLOCK } else { BLOCK }
}

/// Is the load gathered along `lanes`, and contiguous along `other`?
pub(super) fn is_transposed(at: &Affine, lanes: VarId, other: VarId) -> bool {
    !matches!(at.coefficient(lanes), None | Some(Coefficient::Const(1 | -1)))
        && matches!(at.coefficient(other), Some(Coefficient::Const(1 | -1)))
}

/// Makes the transposed loads of a body come from scratch, and gives the statements that fill it, to stand before.
pub(super) fn through_scratch(kernel: &mut Kernel, body: &[Stmt], across: Side, along: Side, block: u32) -> Vec<Stmt> {
    let mut transposed: Vec<ValueId> = Vec::new();
    for_each_stmt(body, &mut |stmt| {
        if let Stmt::Let(id) = stmt
            && let Inst::Load { at, .. } = &kernel.value(*id).inst
            && is_transposed(at, across.var, along.var)
        {
            transposed.push(*id);
        }
    });
    transposed.truncate(BLOCKS);
    transposed.into_iter().map(|id| fill(kernel, id, across, along, block)).collect()
}

/// Replaces one load, and gives the loops that copy its block.
fn fill(kernel: &mut Kernel, load: ValueId, across: Side, along: Side, block: u32) -> Stmt {
    let dtype = kernel.dtype(load);
    // Rows are a register longer than the block, so that lanes do not meet in one set of the cache.
    let row = i64::from(block) + (16 / dtype.size()) as i64;
    let length = kernel.int_const(i64::from(block) * row);
    kernel.buffers.push(BufferDecl { dtype, role: Role::Scratch, length: Some(length) });
    let scratch = BufferId(kernel.buffers.len() as u32 - 1);
    let place = |outer: VarId, inner: VarId| {
        Affine::default()
            .plus(outer, Coefficient::Const(row))
            .plus(across.tile, Coefficient::Const(-row * i64::from(block)))
            .plus(inner, Coefficient::Const(1))
            .plus(along.tile, Coefficient::Const(-i64::from(block)))
    };
    let (outer, inner) = (kernel.new_var(), kernel.new_var());
    let at = place(across.var, along.var);
    let mut source = std::mem::replace(&mut kernel.values[load.0 as usize].inst, Inst::Load { buffer: scratch, at });
    if let Some(at) = source.affine_mut() {
        at.rename(across.var, outer);
        at.rename(along.var, inner);
    }
    let value = kernel.new_value(source, dtype);
    let body = vec![Stmt::Let(value), Stmt::Store { buffer: scratch, at: place(outer, inner), value }];
    let kind = LoopKind::Vector { lanes: lanes(kernel, &body, &[]) };
    let copy = Loop { var: inner, range: along.range, kind, reductions: Vec::new(), scans: Vec::new(), body };
    Stmt::Loop(Loop {
        var: outer,
        range: across.range,
        kind: LoopKind::Serial,
        body: vec![Stmt::Loop(copy)],
        reductions: Vec::new(),
        scans: Vec::new(),
    })
}
