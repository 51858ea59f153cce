//! Between a recorded graph and a device: plans, buffers, dispatch and caches.

pub mod backend;
pub mod counters;
pub mod error;
pub mod pool;
