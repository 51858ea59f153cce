//! How much a phase computes, from its loops and the integers of a launch. Not how long it takes: that depends on memory,
//! which the runtime's estimate of bytes is for. Decides what is worth another thread, and which items run so long that
//! the calling thread must stay free to ask whether to stop.

use crate::native;
use fusewire_ir::ops::{Outcome, ScalarOp};
use fusewire_lowering::kernel::{Affine, Coefficient, Inst, IntId, Kernel, LoopKind, Phase, Range, Stmt, VarId};

/// Instructions that a native function takes for an element.
const NATIVE: u64 = 32;

/// What one pass through a list of statements computes.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    /// About as many vector instructions.
    instructions: u64,
    loops: Vec<Inner>,
}

#[derive(Debug)]
struct Inner {
    extent: IntId,
    /// No more iterations than these.
    most: i64,
    /// Iterations at a time.
    lanes: u64,
    body: Cost,
}

impl Cost {
    /// Of one item of a phase.
    pub fn of_item(kernel: &Kernel, phase: &Phase) -> Cost {
        Cost::of(kernel, &phase.body, None)
    }

    fn of(kernel: &Kernel, statements: &[Stmt], vector: Option<(VarId, u64)>) -> Cost {
        let mut cost = Cost::default();
        let lanes = vector.map_or(1, |(_, lanes)| lanes);
        let vectors = |size: usize| (lanes * size as u64).div_ceil(16);
        let access = |at: &Affine, size: usize| {
            let step = vector.and_then(|(var, _)| at.terms.iter().find(|(v, _)| *v == var)).map(|(_, step)| *step);
            match step {
                None | Some(Coefficient::Const(-1..=1)) => vectors(size),
                Some(Coefficient::Const(_) | Coefficient::Int(_)) => lanes,
            }
        };
        for statement in statements {
            cost.instructions += match statement {
                Stmt::Let(id) => {
                    let value = &kernel.values[id.0 as usize];
                    let size = value.dtype.size();
                    match &value.inst {
                        Inst::Const(_) | Inst::Param(_) | Inst::Reduced | Inst::Running => 0,
                        Inst::Load { at, .. } => access(at, size),
                        Inst::Op(ScalarOp::HugeTrigRemainder | ScalarOp::HugeTrigQuadrant, _) => vectors(size),
                        Inst::Op(op, operands) => {
                            let subject = operands[usize::from(op.row().outcome == Outcome::Select)];
                            let native = native::function(*op, kernel.values[subject.0 as usize].dtype).is_some();
                            if native { lanes * NATIVE } else { vectors(size) }
                        }
                        Inst::Index(_) | Inst::Cast(_) => vectors(size),
                        Inst::Position { .. } => 6 * vectors(size),
                        Inst::Gather { positions, .. } => lanes * (1 + positions.len() as u64),
                    }
                }
                Stmt::Store { buffer, at, .. } => access(at, kernel.buffers[buffer.0 as usize].dtype.size()),
                Stmt::Loop(inner) => {
                    let (extent, most) = match inner.range {
                        Range::Full(extent) => (extent, i64::MAX),
                        Range::Tile { extent, size, .. } => (extent, i64::from(size)),
                    };
                    let (vector, lanes) = match inner.kind {
                        LoopKind::Vector { lanes } if vector.is_none() => {
                            (Some((inner.var, u64::from(lanes))), u64::from(lanes))
                        }
                        LoopKind::Vector { .. } | LoopKind::Serial => (vector, 1),
                    };
                    let mut body = Cost::of(kernel, &inner.body, vector);
                    body.instructions += 1 + (inner.reductions.len() + inner.scans.len()) as u64 * lanes.div_ceil(4);
                    cost.loops.push(Inner { extent, most, lanes, body });
                    0
                }
            };
        }
        cost
    }

    /// About how many vector instructions, with the integers of a launch.
    pub fn instructions(&self, ints: &[i64]) -> u64 {
        let loops = self.loops.iter().map(|inner| {
            let extent = ints.get(inner.extent.0 as usize).copied().unwrap_or(0);
            let iterations = extent.clamp(0, inner.most) as u64;
            iterations.div_ceil(inner.lanes).saturating_mul(inner.body.instructions(ints))
        });
        loops.fold(self.instructions, u64::saturating_add)
    }
}
