//! Long bodies in strips: a vector loop of many lanes whose body would need more registers than there are, and take long to
//! compile, runs a few lanes at a time. A loop without reductions just has fewer lanes then. With reductions the lanes are
//! part of the meaning, and stay as they are: short bodies are emitted once a strip, long ones keep the lanes in memory, and each
//! strip folds into its own.

use super::Emitter;
use fusewire_lowering::{
    kernel::{Loop, Reduction},
    loop_facts::Weight,
};

impl Emitter<'_> {
    /// How many lanes of a vector loop to run at a time.
    pub(super) fn strip(&self, inner: &Loop, lanes: u32) -> u32 {
        let weight = Weight::of(self.kernel, &inner.body);
        // Four vectors of each value keep the processor busy when values are few. With many, there is enough to do in two.
        let vectors = match weight.values {
            0..=8 => 8,
            9..=64 => 4,
            _ => 2,
        };
        let strip = lanes.min(vectors * 16 / weight.widest.max(1) as u32);
        // The lanes of sums do not depend on how many registers the rest of the body needs, so that is met here.
        let sums = |r: &Reduction| Reduction::cascades(r.op, self.dtype(r.value));
        if inner.reductions.iter().any(sums) { strip.min(inner.fitting_lanes(self.kernel)) } else { strip }
    }

    /// Is the body so short that it may be emitted several times?
    pub(super) fn is_short(&self, inner: &Loop) -> bool {
        Weight::of(self.kernel, &inner.body).values <= 8
    }
}
