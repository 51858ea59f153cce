//! Ops that take more than instructions: remainders of floats, powers of integers, the exact reduction of huge trigonometric
//! arguments (`fusewire_ir::huge_trig`, whose steps and names these are). Everything is done in integers.

use super::Emitter;
use fusewire_ir::{
    dtype::{DType, Kind},
    huge_trig::{HALF_PI, TWO_OVER_PI},
    ops::ScalarOp,
    scalar::Scalar,
};
use fusewire_jit_llvm::instructions::{Emitted, Value};
use inkwell::{
    IntPredicate,
    module::Linkage,
    types::IntType,
    values::{InstructionOpcode as Opcode, IntValue},
};

/// Bits of a float64 behind the point.
const FRACTION: i64 = 52;

impl<'c> Emitter<'_, 'c> {
    /// An op that is none of instructions.
    pub(super) fn native(&mut self, op: ScalarOp, dtype: DType, operands: &[Value<'c>]) -> Emitted<Value<'c>> {
        let (x, y) = (operands[0], operands[operands.len() - 1]);
        match op {
            ScalarOp::Pow => self.power(dtype, x, y),
            ScalarOp::TruncatedRemainder => {
                // Of two float32 it is a float32.
                let (x, y) = (self.i.cast(x, dtype, DType::F64)?, self.i.cast(y, dtype, DType::F64)?);
                let result = self.remainder(x, y)?;
                self.i.cast(result, DType::F64, dtype)
            }
            ScalarOp::HugeTrigRemainder | ScalarOp::HugeTrigQuadrant => {
                let x = self.i.cast(x, dtype, DType::F64)?;
                let result = self.huge_trig(op, dtype, x)?;
                self.i.cast(result, DType::F64, dtype)
            }
            _ => unreachable!("{} is made of instructions", op.row().name),
        }
    }

    /// By squaring, wrapping at 64 bits; negative powers are 0, but for those of 1 and -1.
    fn power(&mut self, dtype: DType, x: Value<'c>, y: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let (base, exponent) = (i.cast(x, dtype, DType::I64)?, i.cast(y, dtype, DType::I64)?);
        let (zero, one) = (i.index(0).into(), i.index(1).into());
        let bits = i.builder.build_int_sub(i.index(64), self.leading_zeros(exponent.into_int_value())?, "")?;
        let after = i.counted_loop(i.index(0), bits, i.index(1), &[one, base], |bit, carried| {
            let set = i.binary(Opcode::LShr, exponent, bit.into())?;
            let set = i.compare(IntPredicate::NE, i.binary(Opcode::And, set, one)?, zero)?;
            let product = i.binary(Opcode::Mul, carried[0], carried[1])?;
            let square = i.binary(Opcode::Mul, carried[1], carried[1])?;
            Ok(vec![i.select(set, product, carried[0])?, square])
        })?;
        let mut result = after[0];
        if dtype.kind() == Kind::Signed {
            let minus_one = i.index(-1).into();
            let odd = i.compare(IntPredicate::NE, i.binary(Opcode::And, exponent, one)?, zero)?;
            let of_minus_one = i.select(odd, minus_one, one)?;
            let is_one = i.compare(IntPredicate::EQ, base, one)?;
            let is_minus_one = i.compare(IntPredicate::EQ, base, minus_one)?;
            let inverse = i.select(is_minus_one, of_minus_one, i.select(is_one, one, zero)?)?;
            let negative = i.compare(IntPredicate::SLT, exponent, zero)?;
            result = i.select(negative, inverse, result)?;
        }
        i.cast(result, DType::I64, dtype)
    }

    /// C's `fmod` of float64: the significand of `x` less that of `y` wherever it fits, bit by bit.
    fn remainder(&mut self, x: Value<'c>, y: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let (x_size, y_size) = (i.intrinsic("fabs", &[x])?, i.intrinsic("fabs", &[y])?);
        let (zero, infinity) = (i.number(DType::F64, 0), i.constant(Scalar::f64(f64::INFINITY)));
        let not_less = i.op(ScalarOp::GreaterEqual, DType::F64, &[x_size, y_size])?;
        let finite = i.op(ScalarOp::Less, DType::F64, &[x_size, infinity])?;
        let divides = i.op(ScalarOp::Greater, DType::F64, &[y_size, zero])?;
        let usual = i.binary(Opcode::And, i.binary(Opcode::And, not_less, finite)?, divides)?;
        // Without anything to subtract it is x; of infinity, by 0 and of NaN it is NaN.
        let less = i.op(ScalarOp::Less, DType::F64, &[x_size, y_size])?;
        let rest = i.select(less, x, i.constant(Scalar::f64(f64::NAN)))?;
        let (this, x_bits) = (self, i.convert(Opcode::BitCast, x, i.context.i64_type().into())?.into_int_value());
        i.rarely(usual, rest, || {
            let b = &i.builder;
            let (mut mx, ex) = this.parts(x_size)?;
            let (my, ey) = this.parts(y_size)?;
            let less_y = |m: IntValue<'c>| {
                let fits = i.compare(IntPredicate::UGE, m.into(), my.into())?;
                i.select(fits, b.build_int_sub(m, my, "")?.into(), m.into()).map(Value::into_int_value)
            };
            let steps = b.build_int_sub(ex, ey, "")?;
            mx = i.counted_loop(i.index(0), steps, i.index(1), &[mx.into()], |_, m| {
                let left = less_y(m[0].into_int_value())?;
                Ok(vec![b.build_left_shift(left, i.index(1), "")?.into()])
            })?[0]
                .into_int_value();
            mx = less_y(mx)?;
            let shift = b.build_int_sub(this.leading_zeros(mx)?, i.index(63 - FRACTION), "")?;
            let is_zero = i.compare(IntPredicate::EQ, mx.into(), i.index(0).into())?;
            let shift = i.select(is_zero, i.index(0).into(), shift.into())?.into_int_value();
            let (m, e) = (b.build_left_shift(mx, shift, "")?, b.build_int_sub(ey, shift, "")?);
            let normal = b.build_int_sub(m, i.index(1 << FRACTION), "")?;
            let normal = b.build_or(normal, b.build_left_shift(e, i.index(FRACTION), "")?, "")?;
            // The exponent 1 is the smallest; what is below has fewer bits.
            let below = i.intrinsic("smax", &[b.build_int_sub(i.index(1), e, "")?.into(), i.index(0).into()])?;
            let subnormal = b.build_right_shift(m, below.into_int_value(), false, "")?;
            let small = i.compare(IntPredicate::SLT, e.into(), i.index(1).into())?;
            let bits = i.select(small, subnormal.into(), normal.into())?;
            let bits = i.select(is_zero, i.index(0).into(), bits)?.into_int_value();
            let sign = b.build_and(x_bits, i.index(i64::MIN), "")?;
            i.convert(Opcode::BitCast, b.build_or(bits, sign, "")?.into(), i.element_type(DType::F64))
        })
    }

    /// The significand of a positive float64, its top bit at [`FRACTION`], and the exponent that it would have as a normal number.
    fn parts(&self, x: Value<'c>) -> Emitted<(IntValue<'c>, IntValue<'c>)> {
        let i = self.i;
        let b = &i.builder;
        let bits = i.convert(Opcode::BitCast, x, i.context.i64_type().into())?.into_int_value();
        let exponent = b.build_right_shift(bits, i.index(FRACTION), false, "")?;
        let fraction = b.build_and(bits, i.index((1 << FRACTION) - 1), "")?;
        let shift = b.build_int_sub(self.leading_zeros(bits)?, i.index(63 - FRACTION), "")?;
        let is_small = i.compare(IntPredicate::EQ, exponent.into(), i.index(0).into())?;
        let small_shift = i.select(is_small, shift.into(), i.index(0).into())?.into_int_value();
        let small = b.build_left_shift(bits, small_shift, "")?;
        let normal = b.build_or(fraction, i.index(1 << FRACTION), "")?;
        let small_exponent = b.build_int_sub(i.index(1), small_shift, "")?;
        let significand = i.select(is_small, small.into(), normal.into())?.into_int_value();
        Ok((significand, i.select(is_small, small_exponent.into(), exponent.into())?.into_int_value()))
    }

    /// An exact reduction, of a float64 for a dtype; 0 for what is not huge.
    fn huge_trig(&mut self, op: ScalarOp, dtype: DType, x: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let (zero, limit) = (i.number(DType::F64, 0), i.constant(Scalar::f64(1048576.0)));
        let size = i.intrinsic("fabs", &[x])?;
        let large = i.op(ScalarOp::GreaterEqual, DType::F64, &[size, limit])?;
        let finite = i.op(ScalarOp::Less, DType::F64, &[size, i.constant(Scalar::f64(f64::INFINITY))])?;
        let huge = i.binary(Opcode::And, large, finite)?;
        let this = &*self;
        i.rarely(huge, zero, || this.reduced(op, dtype, x, size))
    }

    fn reduced(&self, op: ScalarOp, dtype: DType, x: Value<'c>, size: Value<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let b = &i.builder;
        let (word, wide) = (i.context.i64_type(), i.context.i128_type());
        let widen = |x: IntValue<'c>| b.build_int_z_extend(x, wide, "");
        let upper = |x: IntValue<'c>| {
            b.build_int_truncate(b.build_right_shift(x, wide.const_int(64, false), false, "")?, word, "")
        };
        let bits = i.convert(Opcode::BitCast, size, word.into())?.into_int_value();
        let mantissa = b.build_or(b.build_and(bits, i.index((1 << FRACTION) - 1), "")?, i.index(1 << FRACTION), "")?;
        let exponent = b.build_int_sub(b.build_right_shift(bits, i.index(FRACTION), false, "")?, i.index(1075), "")?;
        let start = b.build_int_add(exponent, i.index(62), "")?;
        let (first, shift) = (b.build_right_shift(start, i.index(6), false, "")?, b.build_and(start, i.index(63), "")?);
        let table = self.two_over_pi(word);
        let entry = |number: i64| -> Emitted<IntValue<'c>> {
            let place = i.element(DType::I64, table, b.build_int_add(first, i.index(number), "")?)?;
            Ok(i.load(DType::I64, place)?.into_int_value())
        };
        let mut product = [i.index(0); 4];
        let mut carry = i.index(0);
        for number in (0..4usize).rev() {
            let (high, low) = (entry(number as i64)?, entry(number as i64 + 1)?);
            let window = i.intrinsic("fshl", &[high.into(), low.into(), shift.into()])?.into_int_value();
            let sum = b.build_int_mul(widen(window)?, widen(mantissa)?, "")?;
            let sum = b.build_int_add(sum, widen(carry)?, "")?;
            product[number] = b.build_int_truncate(sum, word, "")?;
            carry = upper(sum)?;
        }

        // The integer, and the fraction or what it lacks to 1.
        let below_integer = i.index((1 << 62) - 1);
        let mut quadrant = b.build_right_shift(product[0], i.index(62), false, "")?;
        let mut fraction = product;
        fraction[0] = b.build_and(fraction[0], below_integer, "")?;
        let half = b.build_right_shift(fraction[0], i.index(61), false, "")?;
        quadrant = b.build_int_add(quadrant, half, "")?;
        let flip = b.build_int_sub(i.index(0), half, "")?;
        for part in &mut fraction {
            *part = b.build_xor(*part, flip, "")?;
        }
        fraction[0] = b.build_and(fraction[0], below_integer, "")?;
        let below_zero = i.op(ScalarOp::Less, DType::F64, &[x, i.number(DType::F64, 0)])?;
        let turned = b.build_int_sub(i.index(4), quadrant, "")?;
        quadrant = i.select(below_zero, turned.into(), quadrant.into())?.into_int_value();
        quadrant = b.build_and(quadrant, i.index(3), "")?;
        if op == ScalarOp::HugeTrigQuadrant {
            return i.cast(quadrant.into(), DType::I64, DType::F64);
        }
        let was_half = i.compare(IntPredicate::NE, half.into(), i.index(0).into())?;
        let negative = i.binary(Opcode::Xor, was_half, below_zero)?;

        // The fraction's 128 most significant bits, times pi/2.
        let pair = |high: IntValue<'c>, low: IntValue<'c>| {
            let high = b.build_left_shift(widen(high)?, wide.const_int(64, false), "")?;
            b.build_or(high, widen(low)?, "")
        };
        let (high, low) = (pair(fraction[0], fraction[1])?, pair(fraction[2], fraction[3])?);
        // It is at least 2^-63 and less than two integer bits: never 0 or 128.
        let zeros = self.leading_zeros(high)?;
        let significant = i.intrinsic("fshl", &[high.into(), low.into(), zeros.into()])?.into_int_value();
        let product = self.multiply_high(significant, HALF_PI)?;
        let shift = self.leading_zeros(product)?;
        let significand = b.build_left_shift(product, shift, "")?;
        let exponent = b.build_int_add(zeros, shift, "")?;
        let exponent = b.build_int_truncate(exponent, word, "")?;
        let exponent = b.build_int_sub(i.index(-125), exponent, "")?;

        // Rounded to nearest, once.
        let dropped = if dtype == DType::F32 { 128 - 24 } else { 128 - 53 };
        let by = |distance: u64| wide.const_int(distance, false);
        let kept = b.build_right_shift(significand, by(dropped), false, "")?;
        let next = b.build_right_shift(significand, by(dropped - 1), false, "")?;
        let kept = b.build_int_add(kept, b.build_and(next, by(1), "")?, "")?;
        let kept = i.cast(b.build_int_truncate(kept, word, "")?.into(), DType::I64, DType::F64)?;
        let scale = b.build_int_add(exponent, i.index(dropped as i64 + 1023), "")?;
        let scale = b.build_left_shift(scale, i.index(FRACTION), "")?;
        let scale = i.convert(Opcode::BitCast, scale.into(), i.element_type(DType::F64))?;
        let magnitude = i.binary(Opcode::FMul, kept, scale)?;
        let opposite = i.op(ScalarOp::Negative, DType::F64, &[magnitude])?;
        i.select(negative, opposite, magnitude)
    }

    /// The upper half of the product of two integers of 128 bits.
    fn multiply_high(&self, x: IntValue<'c>, y: u128) -> Emitted<IntValue<'c>> {
        let i = self.i;
        let (b, wide) = (&i.builder, i.context.i128_type());
        let half = wide.const_int(64, false);
        let mask = wide.const_int(u64::MAX, false);
        let (y1, y0) = (wide.const_int((y >> 64) as u64, false), wide.const_int(y as u64, false));
        let upper = |x: IntValue<'c>| b.build_right_shift(x, half, false, "");
        let (x1, x0) = (upper(x)?, b.build_and(x, mask, "")?);
        let middle = b.build_int_add(b.build_int_mul(x1, y0, "")?, upper(b.build_int_mul(x0, y0, "")?)?, "")?;
        let other = b.build_int_add(b.build_int_mul(x0, y1, "")?, b.build_and(middle, mask, "")?, "")?;
        let sum = b.build_int_add(b.build_int_mul(x1, y1, "")?, upper(middle)?, "")?;
        b.build_int_add(sum, upper(other)?, "")
    }

    /// How many bits of an integer are 0 above its highest 1.
    fn leading_zeros(&self, x: IntValue<'c>) -> Emitted<IntValue<'c>> {
        let i = self.i;
        let count = i.call_intrinsic("ctlz", &[x.get_type().into()], &[x.into(), i.constant(Scalar::bool(false))])?;
        Ok(count.expect("a count").into_int_value())
    }

    /// The table of digits of 2/pi, once in a module.
    fn two_over_pi(&self, word: IntType<'c>) -> inkwell::values::PointerValue<'c> {
        const NAME: &str = "two_over_pi";
        let table = self.i.module.get_global(NAME).unwrap_or_else(|| {
            let digits: Vec<_> = TWO_OVER_PI.iter().map(|&digits| word.const_int(digits, false)).collect();
            let global = self.i.module.add_global(word.array_type(digits.len() as u32), None, NAME);
            global.set_initializer(&word.const_array(&digits));
            global.set_constant(true);
            global.set_linkage(Linkage::Internal);
            global
        });
        table.as_pointer_value()
    }
}
