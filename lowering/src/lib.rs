//! From fused regions of the graph to kernels: loops, kernel passes, maths expansions.
//!
//! No I/O, no environment, no machine: the two JITs take it from here. See ARCHITECTURE.md.

pub mod kernel;
pub mod math;
pub mod program;
