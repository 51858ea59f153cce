//! Conversions between dtypes, by the rule of `fusewire_ir::reference::cast`.

use super::{
    Emitter,
    values::{Bundle, Vectors, vector_type},
};
use crate::{scalar, vector};
use cranelift::prelude::InstBuilder;
use fusewire_ir::{dtype::DType, ops::ScalarOp, reference, scalar::Scalar};

impl Emitter<'_> {
    /// Converts a value.
    pub(super) fn cast(&mut self, operand: Bundle, from: DType, to: DType) -> Bundle {
        match operand {
            _ if from == to => operand,
            Bundle::Const(value) => Bundle::Const(reference::cast(value, to)),
            Bundle::One(value) => Bundle::One(scalar::cast(&mut self.b, value, from, to)),
            Bundle::Lanes(vectors) => Bundle::Lanes(self.cast_vectors(vectors, from, to)),
        }
    }

    fn cast_vectors(&mut self, vectors: Vectors, from: DType, to: DType) -> Vectors {
        match (from, to) {
            (DType::Bool, _) => self.cast_mask(vectors, to),
            (_, DType::Bool) => {
                let (b, machine) = (&mut self.b, self.machine);
                let zero = vector::splat_constant(b, from, Scalar::from_i64(from, 0));
                let unequal = |&v| vector::op(b, machine, ScalarOp::NotEqual, from, &[v, zero]);
                vectors.iter().map(unequal).collect()
            }
            (DType::F32, DType::F64) => {
                let count = self.vector_count(8);
                let mut wide = Vectors::new();
                for vector in vectors {
                    wide.push(self.b.ins().fvpromote_low(vector));
                    if wide.len() < count {
                        let high = vector::high_half(&mut self.b, vector);
                        wide.push(self.b.ins().fvpromote_low(high));
                    }
                }
                wide
            }
            (DType::F64, DType::F32) => {
                let pairs = vectors.chunks(2).map(|pair| {
                    let low = self.b.ins().fvdemote(pair[0]);
                    match pair.get(1) {
                        Some(&high) => {
                            let high = self.b.ins().fvdemote(high);
                            vector::join_low_halves(&mut self.b, low, high)
                        }
                        None => low,
                    }
                });
                pairs.collect()
            }
            _ if from.is_float() => self.cast_float(vectors, from, to),
            _ if to.is_float() => self.cast_to_float(vectors, from, to),
            _ => self.resize_integers(vectors, from, to.size()),
        }
    }

    fn cast_mask(&mut self, vectors: Vectors, to: DType) -> Vectors {
        let masks = self.mask(&Bundle::Lanes(vectors), to.size());
        let b = &mut self.b;
        let one = vector::splat_constant(b, to, reference::one(to));
        let kind = vector_type(to);
        masks.iter().map(|&mask| vector::and_mask(b, kind, mask, one)).collect()
    }

    /// Integers to integers: sign or zero extension, or the low bits.
    fn resize_integers(&mut self, mut vectors: Vectors, from: DType, to: usize) -> Vectors {
        let mut size = from.size();
        while size < to {
            vectors = self.widen(&vectors, size, from.is_signed_integer());
            size *= 2;
        }
        while size > to {
            vectors = self.narrow(&vectors, size, false);
            size /= 2;
        }
        vectors
    }

    fn cast_to_float(&mut self, vectors: Vectors, from: DType, to: DType) -> Vectors {
        let kind = vector_type(to);
        match (from, to) {
            (DType::I8 | DType::I16 | DType::U8 | DType::U16, _) => {
                let wide = self.resize_integers(vectors, from, 4);
                self.cast_to_float(wide, DType::I32, to)
            }
            (DType::I32, DType::F32) => vectors.iter().map(|&v| self.b.ins().fcvt_from_sint(kind, v)).collect(),
            (DType::U32, DType::F32) => vectors.iter().map(|&v| self.b.ins().fcvt_from_uint(kind, v)).collect(),
            (DType::I32, _) => {
                let halves = self.low_halves(&vectors);
                let convert = |v| {
                    let wide = self.b.ins().swiden_low(v);
                    self.b.ins().fcvt_from_sint(kind, wide)
                };
                halves.into_iter().map(convert).collect()
            }
            (DType::U32, _) => {
                let halves = self.low_halves(&vectors);
                let convert = |v| {
                    let wide = self.b.ins().uwiden_low(v);
                    self.b.ins().fcvt_from_uint(kind, wide)
                };
                halves.into_iter().map(convert).collect()
            }
            _ => self.lane_by_lane(&vectors, from, to, |b, x| scalar::cast(b, x, from, to)),
        }
    }

    /// Vectors of four lanes as twice as many whose low halves have the lanes; one where two lanes are all there are.
    fn low_halves(&mut self, vectors: &Vectors) -> Vectors {
        let count = self.vector_count(8);
        let mut halves = Vectors::new();
        for &vector in vectors {
            halves.push(vector);
            if halves.len() < count {
                halves.push(vector::high_half(&mut self.b, vector));
            }
        }
        halves
    }

    fn cast_float(&mut self, vectors: Vectors, from: DType, to: DType) -> Vectors {
        match to {
            DType::I8 | DType::I16 | DType::I32 | DType::U8 | DType::U16 => {
                let machine = self.machine;
                let wide = if from == DType::F32 {
                    vectors.iter().map(|&v| vector::f32_to_i32(&mut self.b, machine, v)).collect()
                } else if machine.x86 {
                    let pairs = vectors.chunks(2).map(|pair| {
                        let low = vector::f64_to_i32(&mut self.b, pair[0]);
                        match pair.get(1) {
                            Some(&high) => {
                                let high = vector::f64_to_i32(&mut self.b, high);
                                vector::join_low_halves(&mut self.b, low, high)
                            }
                            None => low,
                        }
                    });
                    pairs.collect()
                } else {
                    self.lane_by_lane(&vectors, from, DType::I32, |b, x| scalar::cast(b, x, from, DType::I32))
                };
                self.resize_integers(wide, DType::I32, to.size())
            }
            _ => self.lane_by_lane(&vectors, from, to, |b, x| scalar::cast(b, x, from, to)),
        }
    }
}
