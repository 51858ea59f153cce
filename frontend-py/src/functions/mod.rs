//! The functions of the namespace, by the standard's chapters. Each reads its arguments and hands them to
//! `fusewire_ir::build`, where what the function means is decided.

pub mod creation;
pub mod elementwise;
pub mod indexing;
pub mod inspection;
pub mod linalg;
pub mod linear;
pub mod manipulation;
pub mod reductions;
pub mod sets;
pub mod sorting;
