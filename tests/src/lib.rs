//! What the integration tests share.

pub mod memory;
pub mod oracle;
pub mod random_program;
pub mod through_runtime;
