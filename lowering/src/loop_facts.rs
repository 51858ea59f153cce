//! What code generators want to know of a loop before they emit it. Every one asks here, so that all decide alike; nothing here
//! knows a machine.

use crate::{
    kernel::{Affine, CASCADE_BLOCK, Coefficient, Inst, Kernel, Loop, LoopKind, Range, Reduction, Stmt, ValueId},
    passes::lanes::fitting,
    walk::for_each_definition,
};
use fusewire_ir::{dtype::DType, ops::ScalarOp, scalar::Scalar};

impl Loop {
    /// Does the loop only find out whether all or any of its iterations are true? It may then end as soon as that is decided:
    /// what it leaves out stores nothing and has no fault.
    pub fn may_end_early(&self, kernel: &Kernel) -> bool {
        let decides =
            |r: &Reduction| kernel.dtype(r.value) == DType::Bool && matches!(r.op, ScalarOp::And | ScalarOp::Or);
        !self.reductions.is_empty()
            && self.scans.is_empty()
            && self.reductions.iter().all(decides)
            && self.only_computes(kernel)
    }

    /// Is nothing lost when iterations are left out whose values nobody needs? None stores anything or has a fault.
    fn only_computes(&self, kernel: &Kernel) -> bool {
        let harmless =
            |stmt: &Stmt| matches!(stmt, Stmt::Let(id) if !matches!(kernel.value(*id).inst, Inst::Position { .. }));
        self.body.iter().all(harmless)
    }

    /// What the loop looks for, if it does nothing else than to find the first iteration of which something is true: the least of
    /// indices that grow from one iteration to the next. It may end there.
    pub fn search(&self, kernel: &Kernel) -> Option<Search> {
        let [Reduction { op: ScalarOp::Minimum, value, .. }] = self.reductions[..] else { return None };
        let Inst::Op(ScalarOp::Where, operands) = &kernel.value(value).inst else { return None };
        let [condition, index, nowhere] = operands[..] else { return None };
        let grows = |at: &Affine| matches!(at.coefficient(self.var), Some(Coefficient::Const(1..)));
        let finds = matches!(&kernel.value(index).inst, Inst::Index(at) if grows(at))
            && kernel.value(nowhere).inst == Inst::Const(Scalar::i64(i64::MAX));
        if !finds || !self.scans.is_empty() || !self.only_computes(kernel) {
            return None;
        }
        let is_choice = |stmt: &Stmt| matches!(stmt, Stmt::Let(id) if *id == value);
        let mut body: Vec<Stmt> = self.body.iter().filter(|stmt| !is_choice(stmt)).cloned().collect();
        let mut used = index == condition;
        for_each_definition(&body, &mut |id| used |= kernel.value(id).inst.operands().contains(&index));
        body.retain(|stmt| used || !matches!(stmt, Stmt::Let(id) if *id == index));
        Some(Search { condition, index, nowhere, body })
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

/// What a loop looks for.
#[derive(Clone, Debug)]
pub struct Search {
    /// What is true of the iteration that it finds.
    pub condition: ValueId,
    /// The result there; an [`Inst::Index`].
    pub index: ValueId,
    /// The result when there is no such iteration.
    pub nowhere: ValueId,
    /// What computes the condition.
    pub body: Vec<Stmt>,
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
