//! Placeholder header.

pub mod math;
