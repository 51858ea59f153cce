//! May a kernel write an output over an operand that dies with it? Only when each element of the operand is read by no
//! iteration but the one that writes the same element of the output, and before it does.
//!
//! The question is answered from the shape of the kernel, conservatively: all reads and writes stand in one block, reads
//! first, at the same affine place, and every loop around them moves that place.

use crate::int_table::{IntTable, RowId};
use fusewire_lowering::kernel::{Affine, BufferId, Coefficient, Inst, Kernel, Range, Stmt, VarId};
use smallvec::SmallVec;

/// May `output` share the memory of `input`? Both dense, of one extent and element size. `ints` are the rows of the kernel's
/// integers.
pub(crate) fn may_overwrite(
    kernel: &Kernel,
    table: &IntTable,
    ints: &[RowId],
    input: BufferId,
    output: BufferId,
) -> bool {
    let mut search = Search { kernel, table, ints, input, output, at: None, block: None, stored: false, safe: true };
    for phase in &kernel.phases {
        let mut around: Vec<Around> = phase.dims.iter().map(|&(var, _)| Around { var, tile: None }).collect();
        search.block(&phase.body, &mut around);
    }
    search.safe && search.stored
}

/// An affine place with its integers resolved, so that equal places are equal values.
#[derive(PartialEq, Eq)]
struct Place {
    offset: Option<Amount>,
    terms: SmallVec<[(VarId, Amount); 4]>,
}

#[derive(PartialEq, Eq, Clone, Copy, PartialOrd, Ord)]
enum Amount {
    Const(i64),
    Row(RowId),
}

/// A loop around the statement at hand.
struct Around {
    var: VarId,
    /// The variable that numbers the blocks this loop runs over.
    tile: Option<VarId>,
}

struct Search<'a> {
    kernel: &'a Kernel,
    table: &'a IntTable,
    ints: &'a [RowId],
    input: BufferId,
    output: BufferId,
    /// Where every access so far is.
    at: Option<Place>,
    /// The block in which every access so far stands.
    block: Option<*const Stmt>,
    stored: bool,
    safe: bool,
}

impl Search<'_> {
    fn block(&mut self, block: &[Stmt], around: &mut Vec<Around>) {
        for statement in block {
            match statement {
                Stmt::Let(value) => {
                    if let Inst::Gather { buffer, .. } = &self.kernel.values[value.0 as usize].inst {
                        self.safe &= *buffer != self.output && *buffer != self.input;
                    }
                    if let Inst::Load { buffer, at } = &self.kernel.values[value.0 as usize].inst {
                        self.safe &= *buffer != self.output && !(*buffer == self.input && self.stored);
                        if *buffer == self.input {
                            self.access(at, block, around);
                        }
                    }
                }
                Stmt::Store { buffer, at, .. } => {
                    self.safe &= *buffer != self.input;
                    if *buffer == self.output {
                        self.access(at, block, around);
                        self.stored = true;
                    }
                }
                Stmt::Loop(inner) => {
                    let tile = match inner.range {
                        Range::Full(_) => None,
                        Range::Tile { tile, .. } => Some(tile),
                    };
                    around.push(Around { var: inner.var, tile });
                    self.block(&inner.body, around);
                    around.pop();
                }
            }
        }
    }

    fn access(&mut self, at: &Affine, block: &[Stmt], around: &[Around]) {
        let place = self.place(at);
        let moves = |var: VarId| place.terms.iter().any(|(v, amount)| *v == var && *amount != Amount::Const(0));
        // Blocks of one loop are disjoint, so the loop's own variable speaks for the one that numbers them.
        let covered = |var: VarId| moves(var) || around.iter().any(|a| a.tile == Some(var) && moves(a.var));
        let here = block.as_ptr();
        self.safe &= around.iter().all(|a| covered(a.var))
            && self.block.is_none_or(|block| block == here)
            && self.at.as_ref().is_none_or(|at| *at == place);
        self.block = Some(here);
        self.at = Some(place);
    }

    fn place(&self, at: &Affine) -> Place {
        let amount = |row: RowId| self.table.constant(row).map_or(Amount::Row(row), Amount::Const);
        let mut terms: SmallVec<[(VarId, Amount); 4]> = at
            .terms
            .iter()
            .map(|&(var, coefficient)| match coefficient {
                Coefficient::Const(value) => (var, Amount::Const(value)),
                Coefficient::Int(int) => (var, amount(self.ints[int.0 as usize])),
            })
            .collect();
        terms.sort_unstable();
        let offset = at.offset.map(|int| amount(self.ints[int.0 as usize])).filter(|&o| o != Amount::Const(0));
        Place { offset, terms }
    }
}
