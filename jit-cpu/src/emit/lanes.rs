//! Bundles: how many vectors they have, splats, masks, widening, narrowing, reversal, single lanes.

use super::{
    Emitter,
    values::{Bundle, Vectors, integer_vector, scalar_type, vector_type},
};
use crate::{scalar, vector};
use cranelift::prelude::*;
use fusewire_ir::dtype::DType;

impl Emitter<'_> {
    /// Vectors of a bundle whose elements have so many bytes.
    pub(super) fn vector_count(&self, size: usize) -> usize {
        (self.lanes as usize * size).div_ceil(16)
    }

    /// A uniform value as a scalar.
    pub(super) fn scalar(&mut self, bundle: &Bundle, dtype: DType) -> Value {
        match bundle {
            Bundle::Const(value) => scalar::constant(&mut self.b, dtype, *value),
            Bundle::One(value) => *value,
            Bundle::Lanes(_) => unreachable!("a bundle is not one scalar"),
        }
    }

    /// A value that is not bool, in every lane.
    pub(super) fn vectors(&mut self, bundle: &Bundle, dtype: DType) -> Vectors {
        let vector = match bundle {
            Bundle::Lanes(vectors) => return vectors.clone(),
            Bundle::Const(value) => match self.hoisted.constants.get(value) {
                Some(&vector) => vector,
                None => vector::splat_constant(&mut self.b, dtype, *value),
            },
            Bundle::One(value) => match self.hoisted.splats.get(value) {
                Some(&vector) => vector,
                None => self.b.ins().splat(vector_type(dtype), *value),
            },
        };
        std::iter::repeat_n(vector, self.vector_count(dtype.size())).collect()
    }

    /// A bool as a mask whose lanes have so many bytes.
    pub(super) fn mask(&mut self, bundle: &Bundle, width: usize) -> Vectors {
        let vector = match bundle {
            Bundle::Lanes(vectors) => return self.resize_mask(vectors.clone(), width),
            Bundle::Const(value) => {
                vector::constant(&mut self.b, integer_vector(width), [-i8::from(value.as_bool()) as u8; 16])
            }
            Bundle::One(value) => {
                let lane = integer_vector(width).lane_type();
                let mut ones = self.b.ins().ineg(*value);
                if width > 1 {
                    ones = self.b.ins().sextend(lane, ones);
                }
                self.b.ins().splat(integer_vector(width), ones)
            }
        };
        std::iter::repeat_n(vector, self.vector_count(width)).collect()
    }

    /// The widest mask among the operands; a byte when none is a bundle.
    pub(super) fn mask_width(&self, operands: &[Bundle]) -> usize {
        let widths = operands.iter().map(|operand| match operand {
            Bundle::Lanes(vectors) => self.lane_size(vectors),
            Bundle::Const(_) | Bundle::One(_) => 1,
        });
        widths.max().unwrap_or(1)
    }

    fn lane_size(&self, vectors: &Vectors) -> usize {
        self.b.func.dfg.value_type(vectors[0]).lane_type().bytes() as usize
    }

    fn resize_mask(&mut self, mut vectors: Vectors, width: usize) -> Vectors {
        let mut size = self.lane_size(&vectors);
        while size < width {
            vectors = self.widen(&vectors, size, true);
            size *= 2;
        }
        while size > width {
            vectors = self.narrow(&vectors, size, true);
            size /= 2;
        }
        vectors
    }

    /// Integers of `size` bytes to twice the width.
    pub(super) fn widen(&mut self, vectors: &Vectors, size: usize, signed: bool) -> Vectors {
        let count = self.vector_count(size * 2);
        let mut wide = Vectors::new();
        for &vector in vectors {
            let low = if signed { self.b.ins().swiden_low(vector) } else { self.b.ins().uwiden_low(vector) };
            wide.push(low);
            if wide.len() < count {
                let high = if signed { self.b.ins().swiden_high(vector) } else { self.b.ins().uwiden_high(vector) };
                wide.push(high);
            }
        }
        wide
    }

    /// Integers of `size` bytes to half the width: the low half of each, or, for masks, all of it.
    pub(super) fn narrow(&mut self, vectors: &Vectors, size: usize, mask: bool) -> Vectors {
        vectors
            .chunks(2)
            .map(|pair| {
                let (low, high) = (pair[0], *pair.last().expect("chunks are not empty"));
                vector::narrow(&mut self.b, size, low, high, mask)
            })
            .collect()
    }

    /// Lanes in the opposite order.
    pub(super) fn reverse(&mut self, vectors: &Vectors, size: usize) -> Vectors {
        let lanes = (self.lanes as usize).min(16 / size);
        vectors.iter().rev().map(|&vector| vector::reverse(&mut self.b, vector, size, lanes)).collect()
    }

    /// One lane as a scalar (bool: 0 or 1).
    pub(super) fn lane(&mut self, vectors: &Vectors, lane: usize, dtype: DType) -> Value {
        let size = self.lane_size(vectors);
        let per_vector = 16 / size;
        let value = self.b.ins().extractlane(vectors[lane / per_vector], (lane % per_vector) as u8);
        if dtype != DType::Bool {
            return value;
        }
        self.b.ins().icmp_imm_s(IntCC::NotEqual, value, 0)
    }

    /// Scalars, a lane each, to a bundle. Not for bools.
    pub(super) fn gather_lanes(&mut self, dtype: DType, scalars: &[Value]) -> Vectors {
        let kind = vector_type(dtype);
        scalars
            .chunks(16 / dtype.size())
            .map(|scalars| {
                // Narrow integers have no `scalar_to_vector`.
                let mut vector = if matches!(scalar_type(dtype), types::I8 | types::I16) {
                    vector::constant(&mut self.b, kind, [0; 16])
                } else {
                    self.b.ins().scalar_to_vector(kind, scalars[0])
                };
                let done = if matches!(scalar_type(dtype), types::I8 | types::I16) { 0 } else { 1 };
                for (lane, &scalar) in scalars.iter().enumerate().skip(done) {
                    vector = self.b.ins().insertlane(vector, scalar, lane as u8);
                }
                vector
            })
            .collect()
    }

    /// A function of scalars, lane by lane; the last resort where there is no vector instruction.
    pub(super) fn lane_by_lane(
        &mut self,
        operand: &Vectors,
        from: DType,
        to: DType,
        mut f: impl FnMut(&mut FunctionBuilder<'_>, Value) -> Value,
    ) -> Vectors {
        let scalars: Vec<Value> = (0..self.lanes as usize)
            .map(|lane| {
                let value = self.lane(operand, lane, from);
                f(&mut self.b, value)
            })
            .collect();
        self.gather_lanes(to, &scalars)
    }
}
