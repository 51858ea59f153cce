//! The text form of captured graphs: `print` writes it (`Graph` implements `Display`), `parse` reads it.
//!
//! ```text
//! graph @f(%a0: f32[m, n], %a1: f32[n] strided(1), %s0: f32 param) -> f32[m, 1] {
//!   %0 = reshape %a1 : f32[1, n]
//!   %1 = expand %0 : f32[m, n]
//!   %2 = add %a0, %1 : f32[m, n]
//!   %3 = reduce add %2 axes=[1] : f32[m, 1]
//!   return %3
//! }
//! ```
//!
//! Printing is canonical: what the roots reach, operands first in the order in which a walk from the roots meets them,
//! so graphs that are equal but for dead nodes and the order of their arenas print equal text. The parser also takes any
//! other names for values, and `;` comments. Neither form carries anything that the other lacks: `print(parse(t)) == t` for printed `t`.

pub mod cursor;
pub mod parse;
pub mod print;

use crate::{
    dtype::{DType, Kind},
    half,
    scalar::Scalar,
    shape::SymId,
};

/// The names of the first symbols; from there on they are `s6`, `s7`, ...
const SYMBOL_NAMES: [&str; 6] = ["m", "n", "p", "q", "r", "t"];

/// The name of a symbol.
pub fn symbol_name(symbol: SymId) -> String {
    match SYMBOL_NAMES.get(symbol.0 as usize) {
        Some(name) => (*name).to_owned(),
        None => format!("s{}", symbol.0),
    }
}

/// The symbol of that name.
pub fn symbol_of_name(name: &str) -> Option<SymId> {
    if let Some(index) = SYMBOL_NAMES.iter().position(|n| *n == name) {
        return Some(SymId(index as u32));
    }
    let index: u32 = name.strip_prefix('s')?.parse().ok()?;
    // Symbols are counted in a u32, so the last one cannot be a symbol; the spelling must be the printed one.
    (index as usize >= SYMBOL_NAMES.len() && index < u32::MAX && name == format!("s{index}")).then_some(SymId(index))
}

/// A scalar as text, bit for bit: `true`, `-3`, the shortest decimal that reads back as the same float, `-0.0`, `inf`,
/// `nan` for the default NaN and `nan:0x7fc00001` for any other.
pub fn literal(value: Scalar) -> String {
    let dtype = value.dtype();
    match dtype.kind() {
        Kind::Bool => (value.bits() != 0).to_string(),
        Kind::Signed => value.as_i64().to_string(),
        Kind::Unsigned => value.bits().to_string(),
        Kind::Float if value.as_f64().is_nan() => {
            if value == default_nan(dtype) {
                "nan".to_owned()
            } else {
                format!("nan:{:#x}", value.bits())
            }
        }
        Kind::Float if dtype == DType::F32 => format!("{:?}", value.as_f32()),
        // The shortest decimal of the float32 reads back as the same half, though a shorter one may.
        Kind::Float if dtype.is_half() => format!("{:?}", value.as_f64() as f32),
        Kind::Float => format!("{:?}", value.as_f64()),
        Kind::Complex => unreachable!("no scalar is complex"),
    }
}

/// The inverse of [`literal`]; also takes `inf`, decimals without a point, and `0x...` bits for floats.
pub fn scalar_of_literal(dtype: DType, text: &str) -> Option<Scalar> {
    match dtype.kind() {
        Kind::Bool => text.parse().ok().map(Scalar::bool),
        Kind::Signed => {
            let scalar = Scalar::from_i64(dtype, text.parse().ok()?);
            // Out of range values would wrap; they are errors.
            (scalar.as_i64() == text.parse().ok()?).then_some(scalar)
        }
        Kind::Unsigned => {
            let scalar = Scalar::from_u64(dtype, text.parse().ok()?);
            (scalar.bits() == text.parse().ok()?).then_some(scalar)
        }
        Kind::Float => {
            if text == "nan" {
                return Some(default_nan(dtype));
            }
            if let Some(hex) = text.strip_prefix("nan:0x").or_else(|| text.strip_prefix("0x")) {
                let bits = u64::from_str_radix(hex, 16).ok()?;
                let scalar = Scalar::from_bits(dtype, bits);
                let right_kind = text.starts_with("0x") || scalar.as_f64().is_nan();
                return (scalar.bits() == bits && right_kind).then_some(scalar);
            }
            // Rust would also take "infinity" and "+1".
            if text.starts_with('+') || text.contains("infinity") || text.contains("nan") {
                return None;
            }
            match dtype {
                DType::F32 => text.parse().ok().map(Scalar::f32),
                DType::F16 | DType::BF16 => text.parse().ok().map(|value| Scalar::from_f64(dtype, value)),
                _ => text.parse().ok().map(Scalar::f64),
            }
        }
        Kind::Complex => None,
    }
}

/// The quiet NaN with sign and payload 0.
fn default_nan(dtype: DType) -> Scalar {
    match dtype {
        DType::F16 | DType::BF16 => Scalar::from_bits(dtype, half::format(dtype).nan().into()),
        DType::F32 => Scalar::from_bits(dtype, 0x7fc0_0000),
        _ => Scalar::from_bits(dtype, 0x7ff8_0000_0000_0000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_read_back_bit_for_bit() {
        let bits32 = [0, 1, 0x8000_0000, 0x3f80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0001, 0x7f80_0001];
        for bits in bits32.into_iter().chain((0..200).map(|i: u64| (i * 0x0153_fbcd) & 0xffff_ffff)) {
            let scalar = Scalar::from_bits(DType::F32, bits);
            assert_eq!(scalar_of_literal(DType::F32, &literal(scalar)), Some(scalar), "{}", literal(scalar));
        }
        for dtype in DType::IN_KERNELS.into_iter().chain([DType::F16, DType::BF16]) {
            for i in 0..200u64 {
                let scalar = Scalar::from_bits(dtype, i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                assert_eq!(scalar_of_literal(dtype, &literal(scalar)), Some(scalar), "{}", literal(scalar));
            }
        }
    }

    #[test]
    fn literals_out_of_range_are_refused() {
        for (dtype, text) in [
            (DType::I8, "128"),
            (DType::U8, "-1"),
            (DType::U8, "256"),
            (DType::Bool, "1"),
            (DType::F32, "nan:0x3f800000"),
            (DType::F32, "0x1ffffffff"),
            (DType::F64, "+1"),
        ] {
            assert_eq!(scalar_of_literal(dtype, text), None, "{text} as {dtype}");
        }
    }

    #[test]
    fn symbol_names_are_a_bijection() {
        for i in 0..40 {
            assert_eq!(symbol_of_name(&symbol_name(SymId(i))), Some(SymId(i)));
        }
        for wrong in ["s5", "s06", "s", "x", "a0", "s4294967295"] {
            assert_eq!(symbol_of_name(wrong), None, "{wrong}");
        }
    }
}
