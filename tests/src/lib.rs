//! What the integration tests share: filetests, arrays, random programs. The tests are in `tests/`, their files in `filetests/`.

pub mod engine;
pub mod filetest;
pub mod memory;
pub mod oracle;
pub mod random_program;
pub mod through_runtime;
