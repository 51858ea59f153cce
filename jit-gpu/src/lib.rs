//! Kernel IR to GPU kernels through LLVM: for NVIDIA's GPUs, and for an emulator that runs the same kernels on any machine and
//! finds their mistakes.
//!
//! [`schedule`] deals a phase's work to threads, `emit` makes LLVM IR of it for either target; [`functions`] are written by hand. [`device`] is a GPU as a back end
//! of the runtime, over a [`driver`]: NVIDIA's, [`cuda`], or the emulator, [`simt`]. [`ptx`] makes the text that NVIDIA's takes.

pub mod cuda;
pub mod device;
pub mod driver;
mod emit;
pub mod functions;
pub mod ptx;
mod schedule;
pub mod simt;
