//! Discrete Fourier transforms along an axis, not scaled.

use super::{axis, call::call_along, cast};
use crate::{
    dtype::DType,
    error::{RecordError, Recorded},
    lazy::Lazy,
    routine::Routine,
};
use std::sync::Arc;

/// The transform of complex numbers.
pub fn fft(name: &str, x: &Arc<Lazy>, along: i64, inverse: bool) -> Recorded<Arc<Lazy>> {
    check(name, x, along)?;
    let dtype = floating(x.dtype).complex();
    call_along(name, Routine::Fft { inverse }, &cast(x, dtype)?, along)
}

/// The first half of the transform of real numbers.
pub fn rfft(name: &str, x: &Arc<Lazy>, along: i64) -> Recorded<Arc<Lazy>> {
    if x.dtype.is_complex() {
        return Err(RecordError::dtype(format!("{name}: takes real numbers, not {}", x.dtype.numpy_name())));
    }
    check(name, x, along)?;
    call_along(name, Routine::Rfft, &cast(x, floating(x.dtype))?, along)
}

/// The numbers whose transform begins with these; whether there is an odd number of them is not to be seen from these.
pub fn irfft(name: &str, x: &Arc<Lazy>, along: i64, odd: bool) -> Recorded<Arc<Lazy>> {
    check(name, x, along)?;
    let dtype = floating(x.dtype).complex();
    call_along(name, Routine::Irfft { odd }, &cast(x, dtype)?, along)
}

/// An axis without elements has no transform.
fn check(name: &str, x: &Arc<Lazy>, along: i64) -> Recorded<()> {
    let along = axis(along, x.shape.len(), name)?;
    match x.shape[along] {
        0 => Err(RecordError::value(format!("{name}: axis {along} has no elements to transform"))),
        _ => Ok(()),
    }
}

fn floating(dtype: DType) -> DType {
    if dtype.is_half() {
        return DType::F32;
    }
    if dtype.is_float() || dtype.is_complex() { dtype } else { DType::F64 }
}
