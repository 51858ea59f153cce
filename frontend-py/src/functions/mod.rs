//! The functions of the namespace, by the standard's chapters. Each reads its arguments and hands them to
//! `fusewire_ir::build`, where what the function means is decided.
//!
//! Where the standard wants a keyword and NumPy has the parameter next (`sum(x, 0)`, `zeros(3, "f4")`), it may also go by
//! position: the signature that Python shows is the standard's.

pub mod creation;
pub mod elementwise;
pub mod fft;
pub mod indexing;
pub mod inspection;
pub mod linalg;
pub mod linear;
pub mod manipulation;
pub mod reductions;
pub mod sets;
pub mod sorting;
