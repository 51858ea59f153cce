//! Transpositions in blocks: a block of an array that runs across the lanes is first copied to scratch, row by row of its own,
//! and turned on the way, so that the lanes load neighbours. So each cache line is read once and whole, and scattering never
//! leaves the first-level cache: rows a power of two apart would push each other out of it. The copy is a nest of two loops
//! around a load and a store, which a code generator may make of whole registers at once.
//!
//! Which loads are copied, and how the dims are cut, is decided in `vectorise.rs` and `short_rows.rs`.

use super::lanes::lanes;
use crate::{
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, Kernel, Loop, LoopKind, Range, Role, Stmt, ValueId, VarId,
    },
    walk::for_each_stmt,
};

/// Elements along each side of a block. Rows of the array and of the result are read and written for so long at a time, which is
/// what the processor loads in advance: with 64 a 1619 x 1619 float32 matrix and its transpose are added in 1.1 of the time, a
/// 4096 x 4096 one in 1.2; with 256 no faster than with 128.
pub(super) const BLOCK: u32 = 128;

/// Blocks that an item keeps at once, at most: what else is gathered comes from memory.
pub(super) const BLOCKS: usize = 4;

/// One side of a block: the variable that runs through it, its range, and how long it may be.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub var: VarId,
    pub range: Range,
    pub size: u32,
}

impl Side {
    /// The index minus where the block begins, times a factor.
    fn place(&self, at: Affine, var: VarId, factor: i64) -> Affine {
        let at = at.plus(var, Coefficient::Const(factor));
        match self.range {
            Range::Full(_) => at,
            Range::Tile { tile, size, .. } => at.plus(tile, Coefficient::Const(-factor * i64::from(size))),
        }
    }
}

/// Is the load gathered along `lanes`, and contiguous along `other`?
pub(super) fn is_transposed(at: &Affine, lanes: VarId, other: VarId) -> bool {
    !matches!(at.coefficient(lanes), None | Some(Coefficient::Const(1 | -1)))
        && matches!(at.coefficient(other), Some(Coefficient::Const(1 | -1)))
}

/// Makes the transposed loads of a body come from scratch, and gives the statements that fill it, to stand before.
pub(super) fn through_scratch(kernel: &mut Kernel, body: &[Stmt], across: Side, along: Side) -> Vec<Stmt> {
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
    transposed.into_iter().map(|id| fill(kernel, id, across, along)).collect()
}

/// Replaces one load, and gives the loops that copy its block.
pub(super) fn fill(kernel: &mut Kernel, load: ValueId, across: Side, along: Side) -> Stmt {
    let dtype = kernel.dtype(load);
    // Rows are a register longer than the block, so that what is scattered does not meet in one set of the cache.
    let row = i64::from(across.size) + (16 / dtype.size()) as i64;
    let length = kernel.int_const(i64::from(along.size) * row);
    kernel.buffers.push(BufferDecl { dtype, role: Role::Scratch, length: Some(length) });
    let scratch = BufferId(kernel.buffers.len() as u32 - 1);
    let place = |outer: VarId, inner: VarId| along.place(across.place(Affine::default(), outer, 1), inner, row);
    let (outer, inner) = (kernel.new_var(), kernel.new_var());
    let at = place(across.var, along.var);
    let mut source = std::mem::replace(&mut kernel.values[load.0 as usize].inst, Inst::Load { buffer: scratch, at });
    if let Some(at) = source.affine_mut() {
        at.rename(across.var, outer);
        at.rename(along.var, inner);
    }
    let value = kernel.new_value(source, dtype);
    let body = vec![Stmt::Let(value), Stmt::Store { buffer: scratch, at: place(outer, inner), value }];
    // Short rows fill four lanes, but not more of them.
    let lanes = if along.size < BLOCK { 4 } else { lanes(kernel, &body, &[]) };
    let kind = LoopKind::Vector { lanes };
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
