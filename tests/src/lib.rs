//! What the tests share: filetests, arrays, random programs. The tests themselves are in `tests/`, their files in `filetests/`.

pub mod filetest;
pub mod memory;
pub mod random_program;
