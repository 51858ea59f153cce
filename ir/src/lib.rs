//! The graph IR: what users record and what passes rewrite.
//!
//! No I/O, no environment, no Python, no code generation: configuration arrives as values. See ARCHITECTURE.md.

pub mod build;
pub mod capture;
pub mod complex;
pub mod composite;
pub mod dtype;
pub mod emit;
pub mod error;
pub mod fusion;
pub mod graph;
pub mod half;
pub mod huge_trig;
pub mod infer;
pub mod interp;
pub mod lazy;
pub mod node;
pub mod ops;
pub mod pass;
pub mod passes;
pub mod promote;
pub mod reference;
pub mod routine;
pub mod rules;
pub mod scalar;
pub mod shape;
pub mod text;
pub mod value;
pub mod verify;
