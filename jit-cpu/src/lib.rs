//! Kernels to machine code through Cranelift, and LLVM where they run for long, the threads that run it, and the matrix product.
//!
//! The only crate that knows Cranelift. It knows neither graphs nor plans: kernels and pointers come in, filled memory goes
//! out. Which instructions compute an element may differ from the interpreters; its bits may not.

mod backend;
mod blocks;
mod code;
mod compile;
mod cost;
mod emit;
mod hot;
mod isa;
mod launch;
mod native;
mod product;
mod routines;
mod scalar;
mod threads;
mod vector;

pub use backend::CpuBackend;
pub use compile::Tier;
pub use hot::finish;
