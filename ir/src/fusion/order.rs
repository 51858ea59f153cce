//! From grown regions to a partition: regions in an order in which they can run, and their final numbers.

use crate::{
    fusion::{
        Body, Nest, Partition, Region, RegionId,
        grow::{Call, Grown},
    },
    graph::NodeId,
};
use smallvec::SmallVec;
use std::{cmp::Reverse, collections::BinaryHeap};

/// Orders the regions: of those that can run next, the one whose first output stands first in the graph.
pub(super) fn finish(grown: Grown) -> Partition {
    let Grown { mut drafts, homes, why, access, uniform, results, mut calls } = grown;
    let alive: Vec<usize> = (0..drafts.len()).filter(|&d| drafts[d].joined.is_none()).collect();
    let mut waits_for = vec![0usize; drafts.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for &reader in &alive {
        let mut before: Vec<usize> =
            drafts[reader].reads.iter().flat_map(|r| homes[r.0 as usize].iter().copied()).collect();
        before.sort_unstable();
        before.dedup();
        waits_for[reader] = before.len();
        before.into_iter().for_each(|home| readers[home].push(reader));
    }
    let key = |d: usize| -> Reverse<(Option<NodeId>, usize)> {
        let first = drafts[d].outputs.iter().map(|o| o.node).chain(drafts[d].call).min();
        Reverse((first, d))
    };
    let mut ready: BinaryHeap<_> = alive.iter().copied().filter(|&d| waits_for[d] == 0).map(key).collect();
    let mut order = Vec::with_capacity(alive.len());
    while let Some(Reverse((_, next))) = ready.pop() {
        order.push(next);
        for &reader in &readers[next] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push(key(reader));
            }
        }
    }
    assert_eq!(order.len(), alive.len(), "regions wait for each other");
    let mut numbers = vec![RegionId(0); drafts.len()];
    for (number, &draft) in order.iter().enumerate() {
        numbers[draft] = RegionId(number as u32);
    }
    let number = |homes: SmallVec<[usize; 1]>| {
        let mut homes: SmallVec<[RegionId; 1]> = homes.into_iter().map(|home| numbers[home]).collect();
        homes.sort_unstable();
        homes.dedup();
        homes
    };
    let homes = homes.into_iter().map(number).collect();
    let mut regions = Vec::with_capacity(order.len());
    for draft in order {
        let draft = std::mem::take(&mut drafts[draft]);
        let call = draft.call.and_then(|node| calls.iter().position(|call| call.node == node));
        let body = match call {
            Some(at) => {
                let Call { node, takes, operands } = calls.swap_remove(at);
                Body::Call { node, takes, operands }
            }
            None => {
                let mut outputs = draft.outputs;
                outputs.sort_by_key(|o| (o.node, o.part));
                Body::Nest(Nest { vars: draft.vars, row: draft.row, outputs })
            }
        };
        let (members, reads) = (draft.members.into_iter().collect(), draft.reads.into_iter().collect());
        regions.push(Region { body, members, reads });
    }
    Partition { regions, homes, why, access, uniform, results }
}
