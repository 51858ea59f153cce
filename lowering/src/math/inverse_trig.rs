//! Inverse trigonometric functions.

use super::B;
use fusewire_ir::emit::V;

/// Inverse sine.
pub(super) fn asin(_: &mut B<'_>, x: V) -> V {
    x
}
/// Inverse cosine.
pub(super) fn acos(_: &mut B<'_>, x: V) -> V {
    x
}
/// Inverse tangent.
pub(super) fn atan(_: &mut B<'_>, x: V) -> V {
    x
}
/// Angle of a point.
pub(super) fn atan2(_: &mut B<'_>, y: V, _x: V) -> V {
    y
}
