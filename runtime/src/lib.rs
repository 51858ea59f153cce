//! Between a recorded graph and a device: plans, buffers, dispatch and caches.

pub mod assign;
pub mod backend;
mod blocks;
pub mod cache;
mod chain;
pub mod compile;
pub mod counters;
pub mod error;
pub mod evaluate;
mod far;
mod fork;
mod in_place;
mod int_table;
pub mod interpreter;
pub mod op_by_op;
pub mod order;
pub mod plan;
pub mod pool;
pub mod positions;
pub mod registry;
pub mod reserve;
pub mod run;
mod run_blocks;
pub mod stages;
pub mod transfer;
