//! Where a kernel's elements are. Addresses are summed from the outermost loop's variable to the innermost's, so that LLVM finds
//! each part outside the loops that do not change it.

use super::{
    emit::Emitter,
    rows::{TURNED, Turned},
};
use crate::{
    access::Step,
    instructions::{Emitted, Value},
};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use fusewire_lowering::kernel::{Affine, BufferId, Coefficient, ValueId, VarId};
use inkwell::{
    IntPredicate,
    values::{IntValue, PointerValue, VectorValue},
};
use smallvec::SmallVec;

/// How many bytes behind a load of some lanes of a vector memory is asked for: many rows of few columns.
const AHEAD: i64 = 2048;

/// Where lanes lie whose distance is known when the kernel runs.
#[derive(Clone, Copy)]
enum Place {
    /// So far apart.
    Step(i64),
    /// In rows that were turned.
    Turned,
    Anywhere,
}

impl<'c> Emitter<'_, 'c> {
    /// The index itself.
    pub fn index(&mut self, at: &Affine) -> Emitted<Value<'c>> {
        let to = self.to;
        let mut total = at.offset.map(|offset| self.int(offset));
        for (var, coefficient) in self.terms_by_depth(at) {
            let term = self.times(self.var(var), coefficient)?;
            total = Some(match total {
                Some(total) => to.builder.build_int_add(total, term, "")?,
                None => term,
            });
        }
        let first = total.unwrap_or_else(|| to.index(0)).into();
        match self.lane_distances(at)? {
            Some(distances) => to.op(ScalarOp::Add, DType::I64, &[first, distances]),
            None => Ok(first),
        }
    }

    /// Elements from the first lane to each, when they are not all 0.
    fn lane_distances(&self, at: &Affine) -> Emitted<Option<Value<'c>>> {
        let step = match self.step(at) {
            None => return Ok(None),
            Some(Step::Const(step)) => self.to.index(step),
            Some(Step::Run(step)) => step,
        };
        let numbers = self.to.lane_numbers(self.lanes);
        self.to.op(ScalarOp::Multiply, DType::I64, &[numbers, step.into()]).map(Some)
    }

    /// An element, or one a lane.
    pub fn load(&mut self, buffer: BufferId, at: &Affine) -> Emitted<Value<'c>> {
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        let address = self.address(buffer, at)?;
        match self.step(at) {
            None => self.to.load(dtype, address),
            Some(Step::Run(step)) => self.load_strided(dtype, address, step, self.turned_load(buffer, at)),
            Some(step) => {
                // The machine reads ahead by itself, but not for loads of which lanes are left out.
                if self.mask().is_some() && self.moves_inside(at) {
                    self.to.prefetch(address, AHEAD)?;
                }
                self.to.load_lanes(dtype, address, step, self.lanes, self.mask())
            }
        }
    }

    /// Does the place change with a loop inside the vector loop?
    fn moves_inside(&self, at: &Affine) -> bool {
        let depth = |var: VarId| self.vars[var.0 as usize].map(|(_, depth)| depth);
        self.vector_var.and_then(depth).is_some_and(|lanes| at.terms.iter().any(|&(var, _)| depth(var) > Some(lanes)))
    }

    /// Elements whose distance is known when the kernel runs. Most often they are neighbours all the same, as in a part of
    /// a larger array's rows, or two to four apart, as in the channels of pixels; that is asked each time, which costs next to
    /// nothing. Farther apart, they are gathered where their rows were not turned.
    fn load_strided(
        &mut self,
        dtype: DType,
        address: PointerValue<'c>,
        step: IntValue<'c>,
        turned: Option<Turned<'c>>,
    ) -> Emitted<Value<'c>> {
        let to = self.to;
        let usual = match self.mask() {
            None => 1..=4,
            Some(_) => 1..=1,
        };
        let (other, join) = (to.block("other"), to.block("loaded"));
        let mut cases: Vec<_> = usual.map(|step| (to.index(step), to.block("near"), Place::Step(step))).collect();
        if turned.is_some() {
            cases.push((to.index(TURNED), to.block("turned"), Place::Turned));
        }
        let targets: Vec<_> = cases.iter().map(|&(value, block, _)| (value, block)).collect();
        to.builder.build_switch(turned.as_ref().map_or(step, |turned| turned.step), other, &targets)?;
        cases.push((step, other, Place::Anywhere));
        let mut loaded = Vec::new();
        for (_, block, place) in cases {
            to.switch_to(block);
            let value = match (place, &turned) {
                (Place::Step(step), _) => to.load_lanes(dtype, address, Step::Const(step), self.lanes, self.mask())?,
                (Place::Turned, Some(turned)) => self.load_turned(dtype, turned)?,
                (Place::Turned | Place::Anywhere, _) => {
                    to.load_lanes(dtype, address, Step::Run(step), self.lanes, self.mask())?
                }
            };
            loaded.push((value, to.here()));
            to.jump(join)?;
        }
        to.switch_to(join);
        Ok(to.phi(&loaded)?.as_basic_value())
    }

    /// Writes an element, or one a lane.
    pub fn store(&mut self, buffer: BufferId, at: &Affine, value: ValueId) -> Emitted<()> {
        let to = self.to;
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        let value = self.value(value);
        let address = self.address(buffer, at)?;
        match (self.step(at), value) {
            // The iteration that comes last is the one whose value stays.
            (None, Value::VectorValue(vector)) => {
                let last = match self.there {
                    None => to.index(i64::from(self.lanes) - 1),
                    Some(there) => to.builder.build_int_sub(there.count, to.index(1), "")?,
                };
                let element = to.builder.build_extract_element(vector, last, "")?;
                to.store(dtype, address, element)
            }
            (None, element) => to.store(dtype, address, element),
            (Some(step), value) => {
                let vector = to.splat(value, self.lanes)?.into_vector_value();
                let bytes = self.lanes * dtype.size() as u32;
                let whole = bytes.is_multiple_of(self.machine.vector_bytes());
                match (step, self.mask()) {
                    (Step::Const(1), None) if self.streaming && whole && self.streamed.contains(&buffer) => {
                        self.store_far(dtype, address, vector)
                    }
                    (step, mask) => to.store_lanes(dtype, address, step, vector, mask),
                }
            }
        }
    }

    /// Writes neighbours past the caches, where they fill vectors of memory.
    fn store_far(&mut self, dtype: DType, address: PointerValue<'c>, vector: VectorValue<'c>) -> Emitted<()> {
        let to = self.to;
        let bytes = self.machine.vector_bytes();
        let [stream, near, stored] = ["stream", "split", "written"].map(|name| to.block(name));
        let place = to.builder.build_ptr_to_int(address, to.context.i64_type(), "")?;
        let over = to.builder.build_and(place, to.index(i64::from(bytes) - 1), "")?;
        let fits = to.builder.build_int_compare(IntPredicate::EQ, over, to.index(0), "")?;
        to.branch(fits.into(), stream, near)?;
        to.switch_to(stream);
        to.stream_lanes(dtype, address, vector, bytes)?;
        to.jump(stored)?;
        to.switch_to(near);
        to.store_lanes(dtype, address, Step::Const(1), vector, None)?;
        to.jump(stored)?;
        to.switch_to(stored);
        Ok(())
    }

    /// How the index moves from one lane to the next; `None`: not at all.
    pub fn step(&self, at: &Affine) -> Option<Step<'c>> {
        let var = self.vector_var.filter(|_| self.lanes > 1)?;
        match at.terms.iter().find(|(v, _)| *v == var)?.1 {
            Coefficient::Const(0) => None,
            Coefficient::Const(step) => Some(Step::Const(step)),
            Coefficient::Int(step) => Some(Step::Run(self.int(step))),
        }
    }

    /// An element at computed positions, or one a lane.
    pub fn gather(
        &mut self,
        buffer: BufferId,
        at: &Affine,
        positions: &[ValueId],
        strides: &[Coefficient],
    ) -> Emitted<Value<'c>> {
        let to = self.to;
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        let mut address = self.address(buffer, at)?;
        let mut distances = self.lane_distances(at)?;
        for (&position, &stride) in positions.iter().zip(strides) {
            let stride = match stride {
                Coefficient::Const(stride) => to.index(stride),
                Coefficient::Int(stride) => self.int(stride),
            };
            let distance = to.op(ScalarOp::Multiply, DType::I64, &[self.value(position), stride.into()])?;
            match (distance, distances) {
                (Value::VectorValue(_), Some(others)) => {
                    distances = Some(to.op(ScalarOp::Add, DType::I64, &[others, distance])?);
                }
                (Value::VectorValue(_), None) => distances = Some(distance),
                (same, _) => address = to.element(dtype, address, same.into_int_value())?,
            }
        }
        match distances {
            None => to.load(dtype, address),
            Some(distances) => {
                let pointers = to.elements(dtype, address, distances.into_vector_value())?;
                to.gather(dtype, pointers, self.mask())
            }
        }
    }

    /// Where the element (of the first lane) lies.
    pub fn address(&mut self, buffer: BufferId, at: &Affine) -> Emitted<PointerValue<'c>> {
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        let mut address = self.buffer(buffer.0);
        if let Some(offset) = at.offset {
            address = self.to.element(dtype, address, self.int(offset))?;
        }
        for (var, coefficient) in self.terms_by_depth(at) {
            let index = self.times(self.var(var), coefficient)?;
            address = self.to.element(dtype, address, index)?;
        }
        Ok(address)
    }

    fn times(&self, var: IntValue<'c>, coefficient: Coefficient) -> Emitted<IntValue<'c>> {
        match coefficient {
            Coefficient::Const(1) => Ok(var),
            Coefficient::Const(factor) => self.to.builder.build_int_mul(var, self.to.index(factor), ""),
            Coefficient::Int(factor) => self.to.builder.build_int_mul(var, self.int(factor), ""),
        }
    }

    /// The terms from the outermost loop's variable to the innermost's.
    fn terms_by_depth(&self, at: &Affine) -> SmallVec<[(VarId, Coefficient); 4]> {
        let mut terms = at.terms.clone();
        terms.retain(|(_, coefficient)| *coefficient != Coefficient::Const(0));
        terms.sort_by_key(|&(var, _)| self.vars[var.0 as usize].map_or(u32::MAX, |(_, depth)| depth));
        terms
    }
}
