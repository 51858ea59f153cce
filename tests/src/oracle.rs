//! The graph interpreter as the oracle: what recorded arrays should be, and whether two arrays agree.

use crate::memory::tensor;
use fusewire_ir::{
    capture::{Values, graph_of},
    dtype::DType,
    interp::{self, Binding, Tensor},
    lazy::Lazy,
    scalar::Scalar,
};
use std::sync::Arc;

/// The sizes, parameters and inputs of a captured graph, for the interpreters.
pub fn binding(values: &Values) -> Binding {
    Binding {
        symbols: values.symbols.to_vec(),
        params: values.params.to_vec(),
        inputs: values.inputs.iter().map(tensor).collect(),
    }
}

/// What the interpreter makes of recorded arrays.
pub fn expected(roots: &[Arc<Lazy>]) -> Result<Vec<Tensor>, String> {
    let (graph, values) = graph_of(roots);
    let mut results = interp::evaluate(&graph, &binding(&values))?;
    results.truncate(roots.len());
    Ok(results)
}

/// The distance of two elements in units in the last place; 0 when the bits agree or both are NaN.
pub fn distance(a: Scalar, b: Scalar) -> u64 {
    if a == b || !a.dtype().is_float() || b.dtype() != a.dtype() {
        return if a == b { 0 } else { u64::MAX };
    }
    let (x, y) = (a.as_f64(), b.as_f64());
    if x.is_nan() && y.is_nan() {
        return 0;
    }
    if x.is_nan() != y.is_nan() || (x == 0.0 && y == 0.0) {
        return if x == y { 1 } else { u64::MAX };
    }
    // Bits as an ordered line: negative floats count downwards from zero.
    let line = |s: Scalar| {
        let (bits, sign) = match s.dtype() {
            DType::F16 | DType::BF16 => (s.bits() as i64, 1i64 << 15),
            DType::F32 => (s.bits() as i64, 1i64 << 31),
            _ => (s.bits() as i64, i64::MIN),
        };
        if bits & sign != 0 { -i128::from(bits & !sign) } else { i128::from(bits) }
    };
    (line(a) - line(b)).unsigned_abs() as u64
}

/// The first element at which two tensors are further apart than `ulps`, in words; `None` when they agree. For floats of 16 bits
/// their bits do, which is what graphs have behind the pass that widens them.
pub fn disagreement(found: &Tensor, wanted: &Tensor, ulps: u64) -> Option<String> {
    if wanted.dtype.is_half() && found.dtype == DType::U16 {
        return disagreement(&found.seen_as(wanted.dtype), wanted, ulps);
    }
    if found.dtype != wanted.dtype || found.array.shape() != wanted.array.shape() {
        return Some(format!(
            "found {} {:?}, wanted {} {:?}",
            found.dtype,
            found.array.shape(),
            wanted.dtype,
            wanted.array.shape()
        ));
    }
    let pairs = found.array.iter().zip(wanted.array.iter()).enumerate();
    pairs
        .filter(|(_, (f, w))| distance(**f, **w) > ulps)
        .map(|(i, (f, w))| format!("element {i}: found {f:?}, wanted {w:?}"))
        .next()
}
