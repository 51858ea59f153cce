//! Code for this machine.

mod code;
mod machine;

pub use code::Code;
pub use machine::{Extern, Machine};
