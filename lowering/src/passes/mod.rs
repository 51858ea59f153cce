//! The kernel passes, one a file. Which of them run, and why in that order, stands in `pass.rs`.

pub mod collapse_dims;
pub mod eliminate_common_values;
pub mod eliminate_dead_values;
pub mod expand_maths;
pub mod hoist_invariants;
mod lanes;
pub mod merge_loops;
pub mod split_reductions;
#[cfg(test)]
pub(crate) mod testing;
pub mod vectorise;
