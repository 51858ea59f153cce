//! The text form of kernels: printed with canonical numbers, parsed with line numbers in errors. Printing what was parsed
//! from printed text gives that text again.
//!
//! ```text
//! kernel @row-sums(b0: in f32, b1: out f32[i0]; p0: f32) {
//!   i0 = sym m
//!   i1 = sym n
//!   phase (v0: i0) {
//!     loop v1 in i1 vector 16 {
//!       %0 = load b0[v0*i1 + v1] : f32
//!     } reduce %1 = add %0 : f32
//!     %2 = param p0 : f32
//!     %3 = multiply %1, %2 : f32
//!     store b1[v0] = %3
//!   }
//! }
//! ```
//!
//! A loop over a block of a range is `loop v2 in tile(i1, v1, 4096)`. In a loop with a running fold,
//! `%5 = scan add %4 : f32` stands after the value that is folded, and what it came to behind the loop as `reduce %6 = last %5`. An index has its offset last: `v0*i1 - v1 + i7`.

mod parse;
mod print;
mod program;

pub use parse::{ParseError, parse};
pub use print::print;
pub use program::print_program;

/// What a loop's results say of a running fold, in the place of an op.
const LAST: &str = "last";
