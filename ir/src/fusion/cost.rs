//! The cost model: every figure on which fusion decides, and nothing else. The unit is a byte of memory traffic. A vector
//! op on a 4-byte element takes about as long as one byte takes from memory on one core (4 lanes at 3 GHz against 10 GB/s),
//! so it costs 1, and an element twice as wide costs twice as much on both sides.

use crate::{
    dtype::DType,
    ops::{Class, ScalarOp},
};

/// How much a region may compute. Devices differ in what that costs and what a store costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Nodes that one region computes at most. Beyond, compile times and register pressure cost more than a store.
    pub region: usize,
    /// Element-wise nodes of one chain that one region may compute without a cut.
    pub chain: usize,
    /// Element-wise nodes of one chain that one region computes where it is longer than that. It is cut where little is alive.
    pub piece: usize,
    /// How many times fewer both are where elements have eight bytes.
    pub wide: usize,
    /// Does the library that multiplies matrices add a row to all rows of the product, too?
    pub products_add_rows: bool,
}

impl Limits {
    /// What is stored at a cut stays in the cache, where regions run block by block; and several iterations of a short loop are
    /// what a processor computes side by side.
    pub const CPU: Limits = Limits { region: 150, chain: 128, piece: 64, wide: 1, products_add_rows: false };
    /// What is stored at a cut goes through memory, which moves a byte in the time of eight to ten ops: so three floats, to memory and
    /// back, are 200 ops. Registers are what bounds it; elements of eight bytes have two each.
    pub const GPU: Limits = Limits { region: 384, chain: 320, piece: 256, wide: 2, products_add_rows: true };
}

/// Elements of a segment of a reduction of everything. Segments are part of the order of float sums.
pub const SEGMENT: u32 = 32_768;

/// Rows of a segment of a reduction along an outer axis, at least.
pub const SEGMENT_ROWS: u32 = 16;

/// Elements of a segment of a running fold. Longer ones are folded in segments, and segments are part of the order of floats.
pub const SCAN_SEGMENT: u32 = 4096;

/// A load that hits the cache, in ops.
pub const LOAD: u32 = 1;

/// An element at computed indices: checks, and a load that may miss the cache.
pub const GATHER: u32 = 8;

/// An op, relative to an addition.
pub fn op(op: ScalarOp, dtype: DType) -> u32 {
    match op.row().class {
        // About twenty primitive ops each; composites do not reach fusion as such.
        Class::Maths | Class::Composite(_) | Class::Parts => 20,
        Class::Primitive => match op {
            ScalarOp::Divide if !dtype.is_float() => 10,
            ScalarOp::Divide | ScalarOp::Sqrt => 4,
            ScalarOp::TruncatedRemainder => 15,
            ScalarOp::HugeTrigRemainder | ScalarOp::HugeTrigQuadrant => 4,
            _ => 1,
        },
    }
}

/// What computing a node costs for each of its elements, its operands included, as far as they are not stored for sure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Ops and cached loads.
    pub ops: u32,
    /// Bytes from memory: the leaves that are as large as the node.
    pub bytes: u32,
}

impl Cost {
    /// Of reading an array that is in memory.
    pub fn load(dtype: DType) -> Cost {
        Cost { ops: LOAD, bytes: dtype.size() as u32 }
    }

    /// Both; shared operands count twice, which only happens where sharing is worth looking at.
    pub fn plus(self, other: Cost) -> Cost {
        Cost { ops: self.ops.saturating_add(other.ops), bytes: self.bytes.saturating_add(other.bytes) }
    }
}

/// Within one region: is computing an element `times` times, at neighbouring indices, cheaper than storing the array? A
/// store costs three transfers of the element: fetching the line, writing it back, reading it again.
pub fn recompute_shifted(cost: Cost, times: usize) -> bool {
    let again = u64::from(cost.ops) * (times as u64 - 1);
    again <= 3 * 4
}

/// Is computing an element for each element of a larger array (broadcasting) cheaper than storing it? Its inputs stay in
/// the cache, and where the element does not depend on the innermost loop it is hoisted, but neither is certain.
pub fn recompute_broadcast(cost: Cost) -> bool {
    cost.ops <= 3 * 4
}

/// Is computing an array in each of `regions` regions cheaper than storing it in one of them? Each reads the leaves from
/// memory again.
pub fn recompute_in_regions(cost: Cost, dtype: DType, regions: usize) -> bool {
    let (size, regions) = (dtype.size() as u64, regions as u64);
    let once = u64::from(cost.bytes) + u64::from(cost.ops) * size / 4;
    once * regions <= once + (2 + regions) * size
}

/// Is a value that is the same at every index cheap enough for each item of each region to compute it again? Without a bound,
/// every region of a large graph over such values would compute all that lies below it.
pub fn recompute_uniform(cost: Cost) -> bool {
    cost.ops <= 64
}

/// Is computing an element again in a later loop over the same row cheaper than keeping the row? A row that one item has to
/// itself is in the first-level cache when its next loop runs; a row that is the whole array goes through memory.
pub fn recompute_in_row(cost: Cost, dtype: DType, whole_array: bool) -> bool {
    let size = dtype.size() as u64;
    if whole_array { u64::from(cost.bytes) + u64::from(cost.ops) * size / 4 <= 3 * size } else { cost.ops <= 4 }
}
