//! Between a recorded graph and a device: plans, buffers, dispatch and caches.

pub mod backend;
pub mod counters;
pub mod error;
mod in_place;
mod int_table;
pub mod plan;
pub mod pool;
pub mod run;
