//! Kernel IR as LLVM IR; the only crate that knows LLVM.
//!
//! Two layers. The first is for any target: [`instructions`] (types, constants, what one instruction needs), [`ops`] and
//! [`casts`] (the meaning of every op of the op table and of every conversion), [`access`] (addresses, loads, stores),
//! [`control`] (blocks and loops). All of it works on elements and on `<lanes x T>` vectors alike, has the bits of
//! `fusewire_ir::reference`, and knows neither threads nor memory spaces; a back end puts its own kernels' shape together from
//! it. The second layer, [`host`], is such a shape: a phase as a function of this machine, compiled into memory.
//!
//! Nothing here is fast-math: no reassociation, no contraction, no assumption about NaN, infinities or signed zeros. Which NaN
//! a result is may differ from other back ends.

pub mod access;
pub mod casts;
pub mod control;
pub mod host;
pub mod instructions;
pub mod ops;
