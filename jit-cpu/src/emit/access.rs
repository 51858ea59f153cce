//! Indices, loads and stores. Addresses are summed from the outermost loop's variable to the innermost's, each part before
//! the loop in which it stays the same (`hoist.rs`); the last part is folded into the instruction.

use super::{
    Emitter,
    hoist::Place,
    values::{Bundle, Vectors, arguments, scalar_type, vector_type},
};
use crate::vector;
use cranelift::prelude::*;
use fusewire_ir::{dtype::DType, scalar::Scalar};
use fusewire_lowering::kernel::{Affine, BufferId, Coefficient, ValueId, VarId};
use smallvec::SmallVec;

/// How an access moves from one lane to the next.
enum Step {
    /// Not at all.
    None,
    /// By elements, known when compiling.
    Const(i64),
    /// By elements, known when the kernel runs.
    Run(Value),
}

const FLAGS: MemFlagsData = MemFlagsData::new().with_notrap();

impl Emitter<'_> {
    /// The index itself.
    pub(super) fn index(&mut self, at: &Affine) -> Bundle {
        let first = self.place(&Place { buffer: None, at: at.clone() });
        let offsets: Vectors = match self.step(at) {
            Step::None => return Bundle::One(first),
            Step::Const(step) => (0..self.vector_count(8)).map(|i| self.lane_offsets(i as i64 * 2, step)).collect(),
            Step::Run(step) => {
                let step = self.b.ins().splat(types::I64X2, step);
                let count = self.vector_count(8);
                (0..count)
                    .map(|i| {
                        let lanes = self.lane_offsets(i as i64 * 2, 1);
                        self.b.ins().imul(lanes, step)
                    })
                    .collect()
            }
        };
        let first = self.b.ins().splat(types::I64X2, first);
        Bundle::Lanes(offsets.iter().map(|&offset| self.b.ins().iadd(first, offset)).collect())
    }

    fn lane_offsets(&mut self, lane: i64, step: i64) -> Value {
        let [low, high] = [lane, lane + 1].map(|l| l.wrapping_mul(step).to_le_bytes());
        vector::constant(&mut self.b, types::I64X2, std::array::from_fn(|i| if i < 8 { low[i] } else { high[i - 8] }))
    }

    /// An element, or one a lane.
    pub(super) fn load(&mut self, buffer: BufferId, at: &Affine) -> Bundle {
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        let address = self.address(buffer, at);
        let step = self.step(at);
        self.load_from(dtype, address, step)
    }

    /// The element at an address, or one a lane from there.
    fn load_from(&mut self, dtype: DType, address: Value, step: Step) -> Bundle {
        match step {
            Step::None => {
                let value = self.b.ins().load(scalar_type(dtype), FLAGS, address, 0);
                let truth = dtype == DType::Bool;
                Bundle::One(if truth { self.b.ins().icmp_imm_u(IntCC::NotEqual, value, 0) } else { value })
            }
            Step::Const(1) => {
                let vectors = self.load_neighbours(dtype, address, 0);
                Bundle::Lanes(self.loaded(dtype, vectors))
            }
            Step::Const(-1) => {
                let lowest = -((self.lanes as usize - 1) as i32) * dtype.size() as i32;
                let vectors = self.load_neighbours(dtype, address, lowest);
                let reversed = self.reverse(&vectors, dtype.size());
                Bundle::Lanes(self.loaded(dtype, reversed))
            }
            Step::Run(step) => {
                let vectors = self.load_strided(dtype, address, step);
                Bundle::Lanes(self.loaded(dtype, vectors))
            }
            step => {
                let vectors = self.gather(dtype, address, &step);
                Bundle::Lanes(self.loaded(dtype, vectors))
            }
        }
    }

    /// Elements whose distance is known when the kernel runs. Most often they are neighbours all the same, as in a part of
    /// a larger array's rows; that is asked each time, which costs next to nothing.
    fn load_strided(&mut self, dtype: DType, address: Value, step: Value) -> Vectors {
        let (near, far, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let neighbours = self.b.ins().icmp_imm_s(IntCC::Equal, step, 1);
        self.b.ins().brif(neighbours, near, &[], far, &[]);
        self.b.switch_to_block(near);
        let vectors = self.load_neighbours(dtype, address, 0);
        self.b.ins().jump(join, &arguments(&vectors));
        self.b.switch_to_block(far);
        let vectors = self.gather(dtype, address, &Step::Run(step));
        self.b.ins().jump(join, &arguments(&vectors));
        for _ in &vectors {
            self.b.append_block_param(join, vector_type(dtype));
        }
        self.b.switch_to_block(join);
        self.b.block_params(join).iter().copied().collect()
    }

    fn gather(&mut self, dtype: DType, address: Value, step: &Step) -> Vectors {
        let addresses = self.lane_addresses(dtype, address, step);
        let load = |address| self.b.ins().load(scalar_type(dtype), FLAGS, address, 0);
        let scalars: Vec<Value> = addresses.into_iter().map(load).collect();
        self.gather_lanes(dtype, &scalars)
    }

    /// Writes an element, or one a lane.
    pub(super) fn store(&mut self, buffer: BufferId, at: &Affine, value: ValueId) {
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        let bundle = self.value(value);
        let address = self.address(buffer, at);
        let step = self.step(at);
        if self.lanes == 1 || matches!(step, Step::None) {
            let value = match bundle {
                // The iteration that comes last is the one whose value stays.
                Bundle::Lanes(vectors) => self.lane(&vectors, self.lanes as usize - 1, dtype),
                uniform => self.scalar(&uniform, dtype),
            };
            self.b.ins().store(FLAGS, value, address, 0);
            return;
        }
        let vectors = if dtype == DType::Bool { self.truth_bytes(&bundle) } else { self.vectors(&bundle, dtype) };
        match step {
            Step::Const(1) => self.store_neighbours(dtype, &vectors, address, 0),
            Step::Const(-1) => {
                let lowest = -((self.lanes as usize - 1) as i32) * dtype.size() as i32;
                let reversed = self.reverse(&vectors, dtype.size());
                self.store_neighbours(dtype, &reversed, address, lowest);
            }
            step => {
                let bytes = if dtype == DType::Bool { DType::U8 } else { dtype };
                for (lane, address) in self.lane_addresses(dtype, address, &step).into_iter().enumerate() {
                    let value = self.lane(&vectors, lane, bytes);
                    self.b.ins().store(FLAGS, value, address, 0);
                }
            }
        }
    }

    /// A mask as bytes of 0 and 1.
    pub(super) fn truth_bytes(&mut self, bundle: &Bundle) -> Vectors {
        let masks = self.mask(bundle, 1);
        let one = vector::splat_constant(&mut self.b, DType::U8, Scalar::from_i64(DType::U8, 1));
        masks.iter().map(|&mask| self.b.ins().band(mask, one)).collect()
    }

    /// What was loaded as a value: bytes of bool become a mask.
    pub(super) fn loaded(&mut self, dtype: DType, vectors: Vectors) -> Vectors {
        if dtype != DType::Bool {
            return vectors;
        }
        let zero = vector::constant(&mut self.b, types::I8X16, [0; 16]);
        vectors.iter().map(|&bytes| self.b.ins().icmp(IntCC::NotEqual, bytes, zero)).collect()
    }

    /// All lanes from neighbouring elements, and not a byte more.
    pub(super) fn load_neighbours(&mut self, dtype: DType, address: Value, offset: i32) -> Vectors {
        let kind = vector_type(dtype);
        let bytes = self.lanes as usize * dtype.size();
        let part = match bytes {
            2 => {
                let part = self.b.ins().uload16(types::I32, FLAGS, address, offset);
                self.b.ins().scalar_to_vector(types::I32X4, part)
            }
            4 => {
                let part = self.b.ins().load(types::I32, FLAGS, address, offset);
                self.b.ins().scalar_to_vector(types::I32X4, part)
            }
            8 => {
                let part = self.b.ins().load(types::I64, FLAGS, address, offset);
                self.b.ins().scalar_to_vector(types::I64X2, part)
            }
            _ => {
                let load = |i| self.b.ins().load(kind, FLAGS, address, offset + i as i32 * 16);
                return (0..bytes / 16).map(load).collect();
            }
        };
        [vector::reinterpret(&mut self.b, kind, part)].into_iter().collect()
    }

    /// All lanes to neighbouring elements, and not a byte more.
    pub(super) fn store_neighbours(&mut self, dtype: DType, vectors: &Vectors, address: Value, offset: i32) {
        let kind = match self.lanes as usize * dtype.size() {
            2 => types::I16X8,
            4 => types::I32X4,
            8 => types::I64X2,
            _ => {
                for (i, &vector) in vectors.iter().enumerate() {
                    self.b.ins().store(FLAGS, vector, address, offset + i as i32 * 16);
                }
                return;
            }
        };
        let vector = vector::reinterpret(&mut self.b, kind, vectors[0]);
        let part = self.b.ins().extractlane(vector, 0);
        self.b.ins().store(FLAGS, part, address, offset);
    }

    /// How the index moves from one lane to the next.
    fn step(&mut self, at: &Affine) -> Step {
        let Some(var) = self.vector_var.filter(|_| self.lanes > 1) else { return Step::None };
        match at.terms.iter().find(|(v, _)| *v == var) {
            None | Some((_, Coefficient::Const(0))) => Step::None,
            Some((_, Coefficient::Const(step))) => Step::Const(*step),
            Some((_, Coefficient::Int(step))) => Step::Run(self.int(*step)),
        }
    }

    fn lane_addresses(&mut self, dtype: DType, first: Value, step: &Step) -> Vec<Value> {
        let bytes = match step {
            Step::None => self.constant(0),
            Step::Const(step) => self.constant(step * dtype.size() as i64),
            Step::Run(step) => self.b.ins().imul_imm_s(*step, dtype.size() as i64),
        };
        let next = |&last: &Value| Some(self.b.ins().iadd(last, bytes));
        std::iter::successors(Some(first), next).take(self.lanes as usize).collect()
    }

    /// An element at computed positions, or one a lane.
    pub(super) fn gather_at(
        &mut self,
        buffer: BufferId,
        at: &Affine,
        positions: &[ValueId],
        strides: &[Coefficient],
    ) -> Bundle {
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        let positions: SmallVec<[Bundle; 3]> = positions.iter().map(|&position| self.value(position)).collect();
        let (mut address, step) = (self.address(buffer, at), self.step(at));
        let mut varying: SmallVec<[(Vectors, Coefficient); 3]> = SmallVec::new();
        for (position, &stride) in positions.into_iter().zip(strides) {
            match position {
                Bundle::Lanes(vectors) => varying.push((vectors, stride)),
                same => {
                    let position = self.scalar(&same, DType::I64);
                    let distance = self.distance(position, stride, dtype);
                    address = self.b.ins().iadd(address, distance);
                }
            }
        }
        if varying.is_empty() {
            return self.load_from(dtype, address, step);
        }
        let mut scalars = Vec::with_capacity(self.lanes as usize);
        for (lane, mut address) in self.lane_addresses(dtype, address, &step).into_iter().enumerate() {
            for (vectors, stride) in &varying {
                let position = self.lane(vectors, lane, DType::I64);
                let distance = self.distance(position, *stride, dtype);
                address = self.b.ins().iadd(address, distance);
            }
            scalars.push(self.b.ins().load(scalar_type(dtype), FLAGS, address, 0));
        }
        let vectors = self.gather_lanes(dtype, &scalars);
        Bundle::Lanes(self.loaded(dtype, vectors))
    }

    /// Bytes from the first position to this one.
    fn distance(&mut self, position: Value, stride: Coefficient, dtype: DType) -> Value {
        let elements = match stride {
            Coefficient::Const(1) => position,
            Coefficient::Const(stride) => self.b.ins().imul_imm_s(position, stride),
            Coefficient::Int(stride) => {
                let stride = self.int(stride);
                self.b.ins().imul(position, stride)
            }
        };
        self.scaled(elements, dtype.size().trailing_zeros())
    }

    fn address(&mut self, buffer: BufferId, at: &Affine) -> Value {
        let place = Place { buffer: Some(buffer), at: at.clone() };
        self.place(&place)
    }

    fn place(&mut self, place: &Place) -> Value {
        let (total, done) = match self.hoisted.places.get(place).copied() {
            Some(prepared) => prepared,
            None => (self.place_start(place), 0),
        };
        let terms = self.terms_by_depth(&place.at);
        let total = self.add_terms(place, total, &terms[done..]);
        total.unwrap_or_else(|| self.constant(0))
    }

    /// The part of a place that the variables in scope decide, for loops that will add the rest.
    pub(super) fn prepare_place(&mut self, place: &Place) {
        let (total, done) = match self.hoisted.places.get(place).copied() {
            Some(prepared) => prepared,
            None => (self.place_start(place), 0),
        };
        let terms = self.terms_by_depth(&place.at);
        let known = terms.iter().take_while(|(var, _)| self.vars[var.0 as usize].is_some()).count();
        let total = self.add_terms(place, total, &terms[done.min(known)..known]);
        self.hoisted.places.insert(place.clone(), (total, known.max(done)));
    }

    /// The buffer and the offset.
    fn place_start(&mut self, place: &Place) -> Option<Value> {
        let base = place
            .buffer
            .map(|buffer| self.buffers[buffer.0 as usize].expect("every buffer of the phase is loaded at its start"));
        let Some(offset) = place.at.offset else { return base };
        let shift = self.place_shift(place);
        let offset = self.int(offset);
        let offset = self.scaled(offset, shift);
        Some(self.plus(base, offset))
    }

    fn place_shift(&self, place: &Place) -> u32 {
        place.buffer.map_or(0, |b| self.kernel.buffers[b.0 as usize].dtype.size().trailing_zeros())
    }

    /// The variables in scope from the outermost loop's to the innermost's, then those of loops to come.
    fn terms_by_depth(&self, at: &Affine) -> SmallVec<[(VarId, Coefficient); 4]> {
        let mut terms = at.terms.clone();
        terms.sort_by_key(|&(var, _)| self.vars[var.0 as usize].map_or(u32::MAX, |(_, depth)| depth));
        terms
    }

    fn add_terms(&mut self, place: &Place, mut total: Option<Value>, terms: &[(VarId, Coefficient)]) -> Option<Value> {
        let shift = self.place_shift(place);
        for &(var, coefficient) in terms {
            let var = self.var(var);
            let term = match coefficient {
                Coefficient::Const(0) => continue,
                Coefficient::Const(1) => self.scaled(var, shift),
                Coefficient::Const(-1) => {
                    let negative = self.b.ins().ineg(var);
                    self.scaled(negative, shift)
                }
                Coefficient::Const(factor) => self.b.ins().imul_imm_s(var, factor.wrapping_shl(shift)),
                Coefficient::Int(factor) => {
                    let factor = self.int(factor);
                    let factor = self.scaled(factor, shift);
                    self.b.ins().imul(var, factor)
                }
            };
            total = Some(self.plus(total, term));
        }
        total
    }

    fn scaled(&mut self, value: Value, shift: u32) -> Value {
        if shift == 0 {
            return value;
        }
        let by = self.b.ins().iconst(types::I32, i64::from(shift));
        self.b.ins().ishl(value, by)
    }

    fn plus(&mut self, total: Option<Value>, term: Value) -> Value {
        match total {
            Some(total) => self.b.ins().iadd(total, term),
            None => term,
        }
    }
}
