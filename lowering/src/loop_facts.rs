//! What code generators want to know of a loop before they emit it. Every one asks here, so that all decide alike; nothing here
//! knows a machine.

use crate::{
    kernel::{CASCADE_BLOCK, Inst, Kernel, Loop, LoopKind, Range, Reduction, Stmt},
    passes::lanes::fitting,
};
use fusewire_ir::{dtype::DType, ops::ScalarOp};

impl Loop {
    /// Does the loop only find out whether all or any of its iterations are true? It may then end as soon as that is decided:
    /// what it leaves out stores nothing and has no fault.
    pub fn may_end_early(&self, kernel: &Kernel) -> bool {
        let decides =
            |r: &Reduction| kernel.dtype(r.value) == DType::Bool && matches!(r.op, ScalarOp::And | ScalarOp::Or);
        let harmless =
            |stmt: &Stmt| matches!(stmt, Stmt::Let(id) if !matches!(kernel.value(*id).inst, Inst::Position { .. }));
        !self.reductions.is_empty()
            && self.scans.is_empty()
            && self.reductions.iter().all(decides)
            && self.body.iter().all(harmless)
    }

    /// May a group of lanes be given up, to be computed again in another way, when the argument of a trigonometric function is
    /// huge in one? Nothing may be stored before that is known.
    pub fn may_give_up_lanes(&self, kernel: &Kernel) -> bool {
        let mut stored = false;
        let mut huge = false;
        for statement in &self.body {
            match statement {
                Stmt::Let(id) => match kernel.value(*id).inst {
                    Inst::Op(ScalarOp::HugeTrigRemainder | ScalarOp::HugeTrigQuadrant, _) if stored => return false,
                    Inst::Op(ScalarOp::HugeTrigRemainder | ScalarOp::HugeTrigQuadrant, _) => huge = true,
                    _ => {}
                },
                Stmt::Store { .. } => stored = true,
                Stmt::Loop(_) => return false,
            }
        }
        huge && self.scans.is_empty()
    }

    /// How many lanes there are registers for, sixteen of 128 bits.
    pub fn fitting_lanes(&self, kernel: &Kernel) -> u32 {
        u32::from(fitting(kernel, &self.body, &self.reductions))
    }

    /// Does one of the loop's reductions take blocks of steps? A range of at most one block has nothing to cascade: its one block
    /// is the result, bit for bit.
    pub fn cascades(&self, kernel: &Kernel, reduction: &Reduction) -> bool {
        let lanes = match self.kind {
            LoopKind::Serial => 1,
            LoopKind::Vector { lanes } => u32::from(lanes),
        };
        let one_block = matches!(self.range, Range::Tile { size, .. } if size <= CASCADE_BLOCK * lanes);
        Reduction::cascades(reduction.op, kernel.dtype(reduction.value)) && !one_block
    }
}

/// How long a body is, and how wide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weight {
    /// Values that are computed, inner loops' as if they ran once.
    pub values: usize,
    /// Bytes of the widest element, bools aside.
    pub widest: usize,
}

impl Weight {
    /// Of a block.
    pub fn of(kernel: &Kernel, statements: &[Stmt]) -> Weight {
        let mut weight = Weight::default();
        weight.add(kernel, statements);
        weight
    }

    fn add(&mut self, kernel: &Kernel, statements: &[Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Let(id) => {
                    let value = kernel.value(*id);
                    if !matches!(value.inst, Inst::Const(_) | Inst::Param(_)) {
                        self.values += 1;
                        if value.dtype != DType::Bool {
                            self.widest = self.widest.max(value.dtype.size());
                        }
                    }
                }
                Stmt::Store { .. } => {}
                Stmt::Loop(inner) => self.add(kernel, &inner.body),
            }
        }
    }
}
