//! The kernel passes, one a file. Which of them run, and why in that order, stands in `pass.rs`.

pub mod collapse_dims;
mod copy;
pub mod eliminate_common_values;
pub mod eliminate_dead_values;
mod equality;
pub mod expand_maths;
pub mod find_in_segments;
pub mod hoist_invariants;
pub(crate) mod lanes;
pub mod merge_loops;
mod short_rows;
pub mod split_reductions;
pub mod split_scans;
#[cfg(test)]
pub(crate) mod testing;
mod transpose;
pub mod vectorise;
