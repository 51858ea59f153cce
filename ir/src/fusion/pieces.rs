//! Long chains in pieces: element-wise nodes over the same extents that use one another, where they are more than a kernel should
//! have. They are cut where the fewest bytes are alive, for those are stored. Loops that were recorded step by step are cut at the
//! same place of each step then, so that most pieces are the same code, compiled once.
//!
//! Nothing else is decided here: regions take nodes of one piece of a chain only (`fit.rs`), and the rest follows.
//!
//! Invariant: no piece needs a later one, for each is an interval of an order in which operands come first.

use crate::{
    fusion::cost::Limits,
    graph::{Graph, NodeId},
    node::Op,
};
use smallvec::SmallVec;

/// A piece of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    chain: u32,
    number: u32,
}

impl Piece {
    /// Are they different pieces of one chain?
    pub fn parted(self, other: Piece) -> bool {
        self.chain == other.chain && self.number != other.number
    }
}

/// The piece of each node that is in a long chain. Uniform nodes are in none; those that are stored anyway cost nothing where they
/// cross a cut.
pub(super) fn pieces(
    graph: &Graph,
    limits: Limits,
    live: &[bool],
    uniform: &[bool],
    stored: &[bool],
) -> Vec<Option<Piece>> {
    let mut pieces = vec![None; graph.len()];
    if graph.len() <= limits.chain / limits.wide {
        return pieces;
    }
    let is_link = |id: NodeId| {
        let at = id.0 as usize;
        live[at] && !uniform[at] && matches!(graph.node(id).op, Op::Map(_) | Op::Cast)
    };
    let fewer =
        |chain: &[NodeId]| if chain.iter().any(|&id| graph.node(id).dtype.size() > 4) { limits.wide } else { 1 };
    let chains = chains(graph, is_link).into_iter().map(|chain| (fewer(&chain), chain));
    for (number, (fewer, chain)) in chains.filter(|(fewer, chain)| chain.len() > limits.chain / fewer).enumerate() {
        for (id, piece) in Chain::of(graph, chain, stored).cut(limits.piece / fewer) {
            pieces[id.0 as usize] = Some(Piece { chain: number as u32, number: piece });
        }
    }
    pieces
}

/// The chains, each in the order of the graph.
fn chains(graph: &Graph, is_link: impl Fn(NodeId) -> bool) -> Vec<Vec<NodeId>> {
    // By node: another one of its chain, itself if there is none before it.
    let mut parent: Vec<u32> = (0..graph.len() as u32).collect();
    fn head(parent: &mut [u32], mut at: u32) -> u32 {
        while parent[at as usize] != at {
            parent[at as usize] = parent[parent[at as usize] as usize];
            at = parent[at as usize];
        }
        at
    }
    for (id, node) in graph.iter().filter(|&(id, _)| is_link(id)) {
        for &operand in node.inputs.iter().filter(|&&operand| is_link(operand)) {
            let (a, b) = (head(&mut parent, id.0), head(&mut parent, operand.0));
            parent[a.max(b) as usize] = a.min(b);
        }
    }
    let mut lists: Vec<Vec<NodeId>> = vec![Vec::new(); graph.len()];
    for (id, _) in graph.iter().filter(|&(id, _)| is_link(id)) {
        lists[head(&mut parent, id.0) as usize].push(id);
    }
    lists.retain(|chain| !chain.is_empty());
    lists
}

/// A chain that is too long.
struct Chain {
    nodes: Vec<NodeId>,
    /// What is below it in the chain, by position.
    operands: Vec<SmallVec<[usize; 3]>>,
    /// What storing it costs, by position.
    bytes: Vec<usize>,
}

impl Chain {
    fn of(graph: &Graph, nodes: Vec<NodeId>, stored: &[bool]) -> Chain {
        let position = |id: &NodeId| nodes.binary_search(id).ok();
        let operands = nodes.iter().map(|&id| graph.node(id).inputs.iter().filter_map(position).collect()).collect();
        let bytes = |&id: &NodeId| if stored[id.0 as usize] { 0 } else { graph.node(id).dtype.size() };
        let bytes = nodes.iter().map(bytes).collect();
        Chain { nodes, operands, bytes }
    }

    /// The number of each node's piece. Of two orders the one that has less alive at its cuts: that of the graph, in which what is
    /// combined in the end is computed one after another; and by the distance from the chain's beginnings, in which what a loop
    /// advances together stays together.
    fn cut(&self, piece: usize) -> Vec<(NodeId, u32)> {
        let as_recorded: Vec<usize> = (0..self.nodes.len()).collect();
        let mut distances: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for operands in &self.operands {
            distances.push(operands.iter().map(|&operand| distances[operand] + 1).max().unwrap_or(0));
        }
        let mut by_distance = as_recorded.clone();
        by_distance.sort_by_key(|&at| distances[at]);
        let orders = [as_recorded, by_distance];
        let cuts = orders.each_ref().map(|order| self.cuts(order, piece));
        let best = usize::from(cuts[1].1 < cuts[0].1);
        let ends = &cuts[best].0;
        let number = |place: usize| ends.partition_point(|&end| end <= place) as u32;
        orders[best].iter().enumerate().map(|(place, &at)| (self.nodes[at], number(place))).collect()
    }

    /// Where the pieces of the nodes in this order end, and the bytes that are alive there. Each end is as far behind the one before
    /// as a piece may be long, unless less is alive earlier.
    fn cuts(&self, order: &[usize], piece: usize) -> (Vec<usize>, usize) {
        let alive = self.alive(order);
        let (mut ends, mut bytes, mut begin) = (Vec::new(), 0, 0);
        while order.len() - begin > piece {
            let least = (begin + piece / 2..=begin + piece).rev().min_by_key(|&end| alive[end]);
            begin = least.unwrap_or(begin + piece);
            bytes += alive[begin];
            ends.push(begin);
        }
        (ends, bytes)
    }

    /// The bytes that are alive between the nodes in this order: computed before, used behind.
    fn alive(&self, order: &[usize]) -> Vec<usize> {
        let mut last_use: Vec<usize> = vec![0; order.len()];
        for (place, &at) in order.iter().enumerate() {
            self.operands[at].iter().for_each(|&operand| last_use[operand] = place);
        }
        let (mut begins, mut ends) = (vec![0; order.len() + 1], vec![0; order.len() + 1]);
        for (place, &at) in order.iter().enumerate().filter(|&(place, &at)| last_use[at] > place) {
            begins[place + 1] += self.bytes[at];
            ends[last_use[at] + 1] += self.bytes[at];
        }
        let mut alive = 0;
        let step = |(begin, end): (&usize, &usize)| {
            alive = alive + begin - end;
            alive
        };
        begins.iter().zip(&ends).map(step).collect()
    }
}
