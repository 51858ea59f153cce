//! From fused regions of the graph to kernels: loops, kernel passes, maths expansions.
//!
//! No I/O, no environment, no machine: the two JITs take it from here. See ARCHITECTURE.md.

pub mod builder;
pub mod canonical;
pub mod interp;
pub mod ints;
pub mod kernel;
pub mod loop_facts;
pub mod lower;
pub mod math;
pub mod pass;
pub mod passes;
pub mod program;
pub mod program_interp;
pub mod reach;
pub mod text;
pub mod verify;
pub mod walk;
