//! Exact reduction of huge trigonometric arguments modulo pi/2 (Payne and Hanek's method).

/// See the op table's `huge-trig-remainder`, in float32.
pub fn remainder_f32(_x: f32) -> f32 {
    todo!()
}
/// See the op table's `huge-trig-remainder`, in float64.
pub fn remainder_f64(_x: f64) -> f64 {
    todo!()
}
/// See the op table's `huge-trig-quadrant`.
pub fn quadrant(_x: f64) -> f64 {
    todo!()
}
