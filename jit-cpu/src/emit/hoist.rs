//! What stays the same during a loop is computed before it: parts of addresses, and values that all lanes share, in every
//! lane. Cranelift could find it by itself, at twice the compile time, and it keeps more constants in registers than there are.

use super::{
    Emitter,
    values::{Bundle, vector_type},
};
use crate::vector;
use cranelift::prelude::*;
use fusewire_ir::{dtype::DType, scalar::Scalar};
use fusewire_lowering::kernel::{Affine, BufferId, Inst, Loop, Stmt, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Constants that a loop keeps in registers; with more, each is loaded where it is used. There are 16 registers. (Loads that
/// Cranelift folds into the using instruction were tried: it folds few, because what uses them is itself used twice.)
const CONSTANTS_IN_REGISTERS: usize = 6;

/// An index, or an address in a buffer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    /// None: the index itself.
    pub buffer: Option<BufferId>,
    /// Which element.
    pub at: Affine,
}

/// What is known in the loop that is being emitted.
#[derive(Clone, Default, Debug)]
pub(super) struct Hoisted {
    /// The sum of a place's first parts, and how many terms (outermost loop's first) are in it.
    pub places: FxHashMap<Place, (Option<Value>, usize)>,
    /// Scalars as vectors.
    pub splats: FxHashMap<Value, Value>,
    /// Constants as vectors.
    pub constants: FxHashMap<Scalar, Value>,
}

impl Emitter<'_> {
    /// Computes what a loop needs and does not change. Returns what was known before, for after the loop.
    pub(super) fn hoist(&mut self, inner: &Loop) -> Hoisted {
        let outside = self.hoisted.clone();
        let seen = self.hoist_places(&inner.body);
        if self.lanes > 1 && self.vector_var == Some(inner.var) {
            for &(value, dtype) in &seen.shared {
                if !self.hoisted.splats.contains_key(&value) {
                    let vector = self.b.ins().splat(vector_type(dtype), value);
                    self.hoisted.splats.insert(value, vector);
                }
            }
            if seen.constants.len() <= CONSTANTS_IN_REGISTERS {
                for &constant in &seen.constants {
                    let vector = vector::splat_constant(&mut self.b, constant.dtype(), constant);
                    self.hoisted.constants.insert(constant, vector);
                }
            }
        }
        outside
    }

    /// The parts of addresses that the variables in scope decide.
    pub(super) fn hoist_places(&mut self, body: &[Stmt]) -> Seen {
        let mut seen = Seen::default();
        seen.block(self, body);
        for place in &seen.places {
            self.prepare_place(place);
        }
        seen
    }
}

/// What a loop's body uses, each once, in order.
#[derive(Default)]
pub(super) struct Seen {
    places: Vec<Place>,
    known: FxHashSet<Place>,
    shared: Vec<(Value, DType)>,
    constants: Vec<Scalar>,
    /// Values that the body itself defines.
    own: FxHashSet<ValueId>,
}

impl Seen {
    fn block(&mut self, e: &Emitter<'_>, statements: &[Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Let(id) => {
                    self.own.insert(*id);
                    match &e.kernel.values[id.0 as usize].inst {
                        Inst::Load { buffer, at } | Inst::Gather { buffer, at, .. } => self.place(Some(*buffer), at),
                        Inst::Index(at) => self.place(None, at),
                        Inst::Op(_, operands) => operands.iter().for_each(|&o| self.operand(e, o)),
                        // The emitter compares with the extent in each lane.
                        Inst::Position { extent, .. } => self.shared(e.int(*extent), DType::I64),
                        Inst::Cast(_) | Inst::Const(_) | Inst::Param(_) | Inst::Reduced | Inst::Running => {}
                    }
                }
                Stmt::Store { buffer, at, value } => {
                    self.place(Some(*buffer), at);
                    self.operand(e, *value);
                }
                Stmt::Loop(inner) => {
                    self.own.extend(inner.reductions.iter().map(|r| r.result));
                    self.own.extend(inner.scans.iter().map(|s| s.running));
                    self.block(e, &inner.body);
                    inner.reductions.iter().for_each(|r| self.operand(e, r.value));
                }
            }
        }
    }

    fn place(&mut self, buffer: Option<BufferId>, at: &Affine) {
        let place = Place { buffer, at: at.clone() };
        if self.known.insert(place.clone()) {
            self.places.push(place);
        }
    }

    fn operand(&mut self, e: &Emitter<'_>, id: ValueId) {
        let value = &e.kernel.values[id.0 as usize];
        if value.dtype == DType::Bool {
            // A mask, of a width that its use decides.
            return;
        }
        let shared = match &value.inst {
            Inst::Const(constant) => {
                if !self.constants.contains(constant) {
                    self.constants.push(*constant);
                }
                return;
            }
            Inst::Param(param) => e.params[param.0 as usize],
            _ if self.own.contains(&id) => None,
            _ => match &e.values[id.0 as usize] {
                Some(Bundle::One(scalar)) => Some(*scalar),
                _ => None,
            },
        };
        if let Some(scalar) = shared {
            self.shared(scalar, value.dtype);
        }
    }

    fn shared(&mut self, scalar: Value, dtype: DType) {
        if !self.shared.iter().any(|(known, _)| *known == scalar) {
            self.shared.push((scalar, dtype));
        }
    }
}
