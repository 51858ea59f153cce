//! Long bodies in strips: a vector loop of many lanes whose body would need more registers than there are, and take long to
//! compile, runs a few lanes at a time. A loop without reductions just has fewer lanes then. With reductions the lanes are
//! part of the meaning: they stay as they are, but in memory, and each strip folds into its own.

use super::Emitter;
use fusewire_ir::dtype::DType;
use fusewire_lowering::kernel::{Inst, Loop, Stmt};

impl Emitter<'_> {
    /// How many lanes of a vector loop to run at a time.
    pub(super) fn strip(&self, inner: &Loop, lanes: u32) -> u32 {
        let mut weight = Weight::default();
        weight.block(self, &inner.body);
        // Four vectors of each value keep the processor busy when values are few. With many, there is enough to do in two.
        let vectors = match weight.values {
            0..=8 => 8,
            9..=64 => 4,
            _ => 2,
        };
        lanes.min(vectors * 16 / weight.widest.max(1) as u32)
    }
}

/// How long a body is.
#[derive(Default)]
struct Weight {
    values: usize,
    /// Bytes of the widest element.
    widest: usize,
}

impl Weight {
    fn block(&mut self, e: &Emitter<'_>, statements: &[Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Let(id) => {
                    let value = &e.kernel.values[id.0 as usize];
                    if !matches!(value.inst, Inst::Const(_) | Inst::Param(_)) {
                        self.values += 1;
                        if value.dtype != DType::Bool {
                            self.widest = self.widest.max(value.dtype.size());
                        }
                    }
                }
                Stmt::Store { .. } => {}
                Stmt::Loop(inner) => self.block(e, &inner.body),
            }
        }
    }
}
