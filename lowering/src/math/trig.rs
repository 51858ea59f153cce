//! Trigonometric functions.

use super::B;
use fusewire_ir::emit::V;

/// Sine.
pub(super) fn sin(_: &mut B<'_>, x: V) -> V {
    x
}
/// Cosine.
pub(super) fn cos(_: &mut B<'_>, x: V) -> V {
    x
}
/// Tangent.
pub(super) fn tan(_: &mut B<'_>, x: V) -> V {
    x
}
