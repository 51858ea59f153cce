//! Constants as text, bit-exact: integers and finite floats in decimal (the shortest that reads back as the same float),
//! `inf`, `-inf`, `nan`, and any other NaN as `nan:` and its bits in hexadecimal.

use fusewire_ir::{dtype::DType, scalar::Scalar};

/// The text of a constant; its dtype stands elsewhere.
pub(super) fn print(value: Scalar) -> String {
    match value.dtype() {
        DType::Bool => (if value.as_bool() { "true" } else { "false" }).to_string(),
        DType::U64 => value.bits().to_string(),
        dtype if !dtype.is_float() => value.as_i64().to_string(),
        dtype if value.as_f64().is_nan() => {
            if value == canonical_nan(dtype) {
                "nan".to_string()
            } else {
                format!("nan:0x{:x}", value.bits())
            }
        }
        DType::F32 => format!("{:?}", value.as_f32()),
        _ => format!("{:?}", value.as_f64()),
    }
}

/// The constant that [`print()`] writes so; `None` when there is none of that dtype.
pub(super) fn parse(text: &str, dtype: DType) -> Option<Scalar> {
    match dtype {
        DType::Bool => match text {
            "true" => Some(Scalar::bool(true)),
            "false" => Some(Scalar::bool(false)),
            _ => None,
        },
        DType::U64 => text.parse().ok().map(|v| Scalar::from_bits(dtype, v)),
        _ if !dtype.is_float() => {
            let value = Scalar::from_i64(dtype, text.parse().ok()?);
            (value.as_i64().to_string() == text).then_some(value)
        }
        _ if text == "nan" => Some(canonical_nan(dtype)),
        _ => match (text.strip_prefix("nan:0x"), dtype) {
            (Some(bits), _) => {
                let value = Scalar::from_bits(dtype, u64::from_str_radix(bits, 16).ok()?);
                value.as_f64().is_nan().then_some(value)
            }
            (None, DType::F32) => text.parse().ok().map(Scalar::f32),
            (None, _) => text.parse().ok().map(Scalar::f64),
        },
    }
}

fn canonical_nan(dtype: DType) -> Scalar {
    if dtype == DType::F32 { Scalar::f32(f32::NAN) } else { Scalar::f64(f64::NAN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_read_back_bit_for_bit() {
        let floats = [0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN];
        for value in floats.into_iter().flat_map(|x| [Scalar::f64(x), Scalar::f32(x as f32)]) {
            assert_eq!(parse(&print(value), value.dtype()), Some(value), "{}", print(value));
        }
        for dtype in DType::ALL.into_iter().filter(|d| !d.is_float()) {
            for bits in [0, 1, 0x7f, 0x80, u64::MAX, u64::MAX / 2, 1 << 63] {
                let value = Scalar::from_bits(dtype, bits);
                assert_eq!(parse(&print(value), dtype), Some(value), "{dtype} {}", print(value));
            }
        }
        assert_eq!(parse("300", DType::U8), None);
        assert_eq!(parse("1.5", DType::I32), None);
    }
}
