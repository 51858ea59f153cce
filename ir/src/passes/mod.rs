//! The passes, one a file. Their order is `pass::PIPELINE`.

pub mod eliminate_dead;
pub mod expand_composites;
pub mod hoist_views;
pub mod simplify;
pub mod split_complex;
pub mod widen_halves;
