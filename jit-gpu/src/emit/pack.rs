//! Neighbouring elements in one access: element-wise loops whose threads each take several iterations at a time, with loads and
//! stores of 16 bytes. Where a buffer does not begin at a multiple of that, and for the last few, they go one by one.

use super::{Emitter, deal::Share};
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::{
    access::Step,
    instructions::{Emitted, Value},
    ops::needs_function,
};
use fusewire_lowering::kernel::{Affine, BufferId, Coefficient, Inst, Loop, Stmt, VarId};
use inkwell::{
    IntPredicate,
    values::{BasicValue, IntValue},
};

/// Bytes of the widest access.
const WIDEST: usize = 16;

/// A loop that can be packed.
struct Packable {
    /// Iterations at a time.
    lanes: u32,
    /// What neighbours lie beside each other in.
    places: Vec<(BufferId, Affine)>,
}

/// How a place moves with a loop.
#[derive(PartialEq, Eq)]
enum Moves {
    Not,
    ByOne,
    Otherwise,
}

fn moves(at: &Affine, var: VarId) -> Moves {
    match at.terms.iter().find(|(term, _)| *term == var) {
        None => Moves::Not,
        Some((_, Coefficient::Const(1))) => Moves::ByOne,
        Some(_) => Moves::Otherwise,
    }
}

impl<'c> Emitter<'_, 'c> {
    /// The iterations `begin..end` of a loop without folds, by the threads that share it.
    pub(super) fn dealt_elements(
        &mut self,
        inner: &Loop,
        begin: IntValue<'c>,
        end: IntValue<'c>,
        share: Share<'c>,
    ) -> Emitted<()> {
        let i = self.i;
        let mut rest = begin;
        if let Some(Packable { lanes, places }) = self.packable(inner) {
            rest = self.packed_end(inner, lanes, &places, begin, end)?;
            let lanes_int = i.index(lanes.into());
            let first = i.builder.build_int_mul(share.thread, lanes_int, "")?;
            let first = i.builder.build_int_add(begin, first, "")?;
            let step = i.builder.build_int_mul(share.threads, lanes_int, "")?;
            self.packed = Some((inner.var, lanes));
            self.each(inner, first, rest, step, &[])?;
            self.packed = None;
        }
        let first = i.builder.build_int_add(rest, share.thread, "")?;
        self.each(inner, first, end, share.threads, &[])?;
        Ok(())
    }

    /// How many iterations of a loop are packed into one, if they are.
    pub(super) fn packed_lanes(&self, inner: &Loop) -> Option<u32> {
        self.packable(inner).map(|packable| packable.lanes)
    }

    /// Where the packed iterations end: behind the last whole group, or at the beginning where some place is not aligned.
    fn packed_end(
        &mut self,
        inner: &Loop,
        lanes: u32,
        places: &[(BufferId, Affine)],
        begin: IntValue<'c>,
        end: IntValue<'c>,
    ) -> Emitted<IntValue<'c>> {
        let i = self.i;
        let b = &i.builder;
        self.set_var(inner.var, begin);
        let mut distances = i.index(0);
        for (buffer, at) in places {
            let size = self.kernel.buffers[buffer.0 as usize].dtype.size() as i64;
            let address = b.build_ptr_to_int(self.element(*buffer, at)?, i.context.i64_type(), "")?;
            let distance = b.build_and(address, i.index(i64::from(lanes) * size - 1), "")?;
            distances = b.build_or(distances, distance, "")?;
        }
        let aligned = i.compare(IntPredicate::EQ, distances.into(), i.index(0).into())?;
        let count = b.build_int_sub(end, begin, "")?;
        let count = i.intrinsic("smax", &[count.into(), i.index(0).into()])?.into_int_value();
        let whole = b.build_and(count, i.index(-i64::from(lanes)), "")?;
        let packed = i.select(aligned, whole.into(), i.index(0).into())?.into_int_value();
        b.build_int_add(begin, packed, "")
    }

    /// Has the loop nothing but neighbours, values that stay, and ops on them?
    fn packable(&self, inner: &Loop) -> Option<Packable> {
        let mut places: Vec<(BufferId, Affine)> = Vec::new();
        let mut place = |buffer: BufferId, at: &Affine| {
            if !places.iter().any(|(known, known_at)| *known == buffer && known_at == at) {
                places.push((buffer, at.clone()));
            }
        };
        for statement in &inner.body {
            match statement {
                Stmt::Let(id) => match &self.kernel.values[id.0 as usize].inst {
                    Inst::Const(_) | Inst::Param(_) | Inst::Cast(_) => {}
                    Inst::Op(op, operands) => {
                        if needs_function(*op, self.dtype(operands[operands.len() - 1])) {
                            return None;
                        }
                    }
                    Inst::Load { buffer, at } => match moves(at, inner.var) {
                        Moves::Not => {}
                        Moves::ByOne => place(*buffer, at),
                        Moves::Otherwise => return None,
                    },
                    Inst::Index(at) if moves(at, inner.var) == Moves::Not => {}
                    Inst::Index(_) | Inst::Position { .. } | Inst::Gather { .. } | Inst::Reduced | Inst::Running => {
                        return None;
                    }
                },
                Stmt::Store { buffer, at, .. } if moves(at, inner.var) == Moves::ByOne => place(*buffer, at),
                Stmt::Store { .. } | Stmt::Loop(_) => return None,
            }
        }
        // What is exchanged within the phase may be read where others write.
        if places.is_empty() || places.iter().any(|(buffer, _)| self.schedule.exchanged[buffer.0 as usize]) {
            return None;
        }
        let size = |buffer: &BufferId| self.kernel.buffers[buffer.0 as usize].dtype.size();
        let largest = places.iter().map(|(buffer, _)| size(buffer)).max()?;
        Some(Packable { lanes: (WIDEST / largest).min(4) as u32, places })
    }

    /// How many neighbours an access to a place takes now.
    pub(super) fn lanes_at(&self, at: &Affine) -> u32 {
        match self.packed {
            Some((var, lanes)) if moves(at, var) == Moves::ByOne => lanes,
            _ => 1,
        }
    }

    /// Loads neighbours, which are aligned.
    pub(super) fn load_packed(&self, buffer: BufferId, at: &Affine, lanes: u32) -> Emitted<Value<'c>> {
        let (i, dtype) = (self.i, self.kernel.buffers[buffer.0 as usize].dtype);
        let (stored, bytes) = (in_memory(dtype), lanes * dtype.size() as u32);
        let place = self.machine.access(i, self.element(buffer, at)?, bytes, false)?;
        let value = i.load_lanes(stored, place, Step::Const(1), lanes, None)?;
        if let Some(load) = value.as_instruction_value() {
            load.set_alignment(bytes).expect("a power of two");
        }
        i.cast(value, stored, dtype)
    }

    /// Stores neighbours, which are aligned.
    pub(super) fn store_packed(&self, buffer: BufferId, at: &Affine, value: Value<'c>, lanes: u32) -> Emitted<()> {
        let (i, dtype) = (self.i, self.kernel.buffers[buffer.0 as usize].dtype);
        let bytes = lanes * dtype.size() as u32;
        let place = self.machine.access(i, self.element(buffer, at)?, bytes, true)?;
        let value = i.cast(i.splat(value, lanes)?, dtype, in_memory(dtype))?;
        let store = i.builder.build_store(place, value)?;
        store.set_alignment(bytes).expect("a power of two");
        Ok(())
    }
}

/// What a dtype is in memory: bool is a byte.
fn in_memory(dtype: DType) -> DType {
    if dtype == DType::Bool { DType::U8 } else { dtype }
}
