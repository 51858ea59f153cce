//! Passes over kernels: what a pass is, the list of them, and the driver that runs the list. What a pass does stands in its
//! own file under `passes/`.

use crate::{
    canonical::canonicalise,
    kernel::Kernel,
    passes::{
        collapse_dims, eliminate_common_values, eliminate_dead_values, expand_maths, find_in_segments,
        hoist_invariants, merge_loops, split_reductions, split_scans, vectorise,
    },
    text,
    verify::{verify, verify_lowered},
};

/// A pass: the kernel computes the same afterwards. Pointer arguments keep their numbers; new ones are temporaries or
/// scratch and come last.
#[derive(Clone, Copy, Debug)]
pub struct KernelPass {
    /// What `dump-ir --after` and filetests call it.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// The pass. It need not keep numbers canonical; the driver does that.
    pub run: fn(&mut Kernel),
}

/// The passes that a fused kernel goes through, in order. A name may stand here more than once.
pub const KERNEL_PIPELINE: &[KernelPass] = &[
    // First, because values that look different share their expansions' parts.
    expand_maths::PASS,
    // Before anything counts values; fused regions load the same element once for each use.
    eliminate_common_values::PASS,
    eliminate_dead_values::PASS,
    // Before the loops are merged and collapsed, because what stands between them is in the way.
    hoist_invariants::PASS,
    merge_loops::PASS,
    // What two merged loops both computed.
    eliminate_common_values::PASS,
    // Before the tiles, which are of one dim or loop.
    collapse_dims::PASS,
    // Before vectorising, because it makes parallel dims of loops.
    split_reductions::PASS,
    // Before vectorising, too: it leaves columns to be lanes. Beside reductions nothing is cut, so their order does not matter.
    split_scans::PASS,
    // Of the segments that were just made.
    find_in_segments::PASS,
    vectorise::PASS,
    // What depends on an outer tile only; and phases that were split computed everything twice.
    hoist_invariants::PASS,
    eliminate_dead_values::PASS,
];

/// Every pass by its name; each stands in [`KERNEL_PIPELINE`].
pub fn find(name: &str) -> Option<&'static KernelPass> {
    KERNEL_PIPELINE.iter().find(|pass| pass.name == name)
}

/// Runs one pass and renumbers.
pub fn run_pass(pass: &KernelPass, kernel: &mut Kernel) {
    (pass.run)(kernel);
    canonicalise(kernel);
}

/// Runs [`KERNEL_PIPELINE`]. `observe` is called with each pass and its result. With `check`, the kernel is verified at the
/// start and after each pass; what does not verify is our mistake, and the error says whose.
pub fn run_pipeline(
    kernel: &mut Kernel,
    check: bool,
    observe: &mut dyn FnMut(&KernelPass, &Kernel),
) -> Result<(), String> {
    let checked = |after: &str, kernel: &Kernel| {
        let result = if check { verify(kernel) } else { Ok(()) };
        result.map_err(|e| format!("after {after}: {e}\n{}", text::print(kernel)))
    };
    canonicalise(kernel);
    checked("fusion", kernel)?;
    for pass in KERNEL_PIPELINE {
        run_pass(pass, kernel);
        checked(pass.name, kernel)?;
        observe(pass, kernel);
    }
    let result = if check { verify_lowered(kernel) } else { Ok(()) };
    result.map_err(|e| format!("after the kernel passes: {e}\n{}", text::print(kernel)))
}
