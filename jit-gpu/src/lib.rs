//! Kernel IR to GPU kernels through LLVM: for NVIDIA's GPUs, and for an emulator that runs the same kernels on any machine and
//! finds their mistakes.
//!
//! [`schedule`] deals a phase's work to threads, `emit` makes LLVM IR of it for either target; [`simt`] is the emulator as a back
//! end of the runtime, [`ptx`] the text that NVIDIA's assembler takes.

mod emit;
pub mod ptx;
mod schedule;
pub mod simt;
