//! A layered layout: items in rows so that links point down, few crossings, links as straight as the rows allow. Knows
//! boxes and links only, not what they stand for.
//!
//! The method is Sugiyama's: layers by longest path, a placeholder wherever a link passes a layer, orders by barycentres
//! (the best of all sweeps counts), positions by least squares under the spacing, layer by layer. Deterministic.

/// Where an item must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rank {
    /// Anywhere.
    Free,
    /// In the first layer.
    First,
    /// In the last layer.
    Last,
}

/// A box to place.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// Its layer.
    pub rank: Rank,
}

/// A line from the bottom of one item to the top of another.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The upper item.
    pub from: usize,
    /// The lower item.
    pub to: usize,
    /// Where it leaves, right of the upper item's middle.
    pub from_offset: f64,
    /// Where it arrives, right of the lower item's middle.
    pub to_offset: f64,
}

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The middle of each item.
    pub middles: Vec<(f64, f64)>,
    /// The points of each link, from top to bottom.
    pub routes: Vec<Vec<(f64, f64)>>,
    /// Of everything.
    pub width: f64,
    /// Of everything.
    pub height: f64,
}

/// Space between neighbours in a layer.
const GAP_ACROSS: f64 = 22.0;
/// Space between layers.
const GAP_DOWN: f64 = 34.0;
/// Width of a link's placeholder.
const PLACEHOLDER: f64 = 2.0;
/// Sweeps that order the layers.
const SWEEPS: usize = 12;
/// Sweeps that place what is in them; half of them look both up and down.
const PLACINGS: usize = 80;

/// Places the items. Links must not form a cycle (one that does is drawn as it comes).
pub fn layered(items: &[Item], links: &[Link]) -> Layout {
    if items.is_empty() {
        return Layout::default();
    }
    let mut net = Net::new(items, links);
    net.order();
    net.place();
    net.close_up();
    net.finish(items, links)
}

/// Items and placeholders ("vertices"), layer by layer.
struct Net {
    layers: Vec<Vec<usize>>,
    /// By vertex.
    widths: Vec<f64>,
    /// By vertex: links to the layer above, as (vertex, its offset, own offset).
    above: Vec<Vec<(usize, f64, f64)>>,
    /// By vertex: the same to the layer below.
    below: Vec<Vec<(usize, f64, f64)>>,
    /// By vertex: its place in its layer.
    position: Vec<usize>,
    /// By vertex: its middle.
    x: Vec<f64>,
    /// By item.
    layer_of: Vec<usize>,
    /// By link: its placeholders, from top to bottom.
    placeholders: Vec<Vec<usize>>,
}

impl Net {
    fn new(items: &[Item], links: &[Link]) -> Net {
        let layer_of = layers_of(items, links);
        let depth = layer_of.iter().max().map_or(0, |last| last + 1);
        let mut net = Net {
            layers: vec![Vec::new(); depth],
            widths: items.iter().map(|item| item.width).collect(),
            above: vec![Vec::new(); items.len()],
            below: vec![Vec::new(); items.len()],
            position: Vec::new(),
            x: Vec::new(),
            layer_of,
            placeholders: Vec::with_capacity(links.len()),
        };
        for item in 0..items.len() {
            net.layers[net.layer_of[item]].push(item);
        }
        for link in links {
            let (first, last) = (net.layer_of[link.from], net.layer_of[link.to]);
            let mut passed = Vec::new();
            let (mut vertex, mut offset) = (link.from, link.from_offset);
            for layer in first + 1..last {
                let next = net.widths.len();
                net.widths.push(PLACEHOLDER);
                net.above.push(Vec::new());
                net.below.push(Vec::new());
                net.layers[layer].push(next);
                net.connect(vertex, offset, next, 0.0);
                passed.push(next);
                (vertex, offset) = (next, 0.0);
            }
            if first < last {
                net.connect(vertex, offset, link.to, link.to_offset);
            }
            net.placeholders.push(passed);
        }
        net.position = vec![0; net.widths.len()];
        net.x = vec![0.0; net.widths.len()];
        net.number();
        net
    }

    fn is_placeholder(&self, vertex: usize) -> bool {
        vertex >= self.layer_of.len()
    }

    fn connect(&mut self, upper: usize, upper_offset: f64, lower: usize, lower_offset: f64) {
        self.below[upper].push((lower, lower_offset, upper_offset));
        self.above[lower].push((upper, upper_offset, lower_offset));
    }

    fn number(&mut self) {
        for layer in &self.layers {
            for (position, &vertex) in layer.iter().enumerate() {
                self.position[vertex] = position;
            }
        }
    }

    /// Orders each layer so that few links cross.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.layers.clone());
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let depth = self.layers.len();
            for step in 1..depth {
                let number = if down { step } else { depth - 1 - step };
                let neighbours = if down { &self.above } else { &self.below };
                let wish = |vertex: usize| {
                    let all = &neighbours[vertex];
                    match all.len() {
                        0 => self.position[vertex] as f64,
                        n => all.iter().map(|(v, offset, _)| self.port(*v, *offset)).sum::<f64>() / n as f64,
                    }
                };
                let mut wishes: Vec<(f64, usize)> = self.layers[number].iter().map(|&v| (wish(v), v)).collect();
                wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[number] = wishes.into_iter().map(|(_, vertex)| vertex).collect();
                for (position, &vertex) in self.layers[number].iter().enumerate() {
                    self.position[vertex] = position;
                }
            }
            self.exchange();
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
        self.number();
    }

    /// Exchanges neighbours in a layer as long as that takes crossings away.
    fn exchange(&mut self) {
        // Each exchange lowers the number of crossings; the bound is only against slow convergence.
        for _ in 0..SWEEPS {
            let mut changed = false;
            for layer in 0..self.layers.len() {
                for left in 0..self.layers[layer].len().saturating_sub(1) {
                    let (a, b) = (self.layers[layer][left], self.layers[layer][left + 1]);
                    if self.crossings_between(a, b) > self.crossings_between(b, a) {
                        self.layers[layer].swap(left, left + 1);
                        (self.position[a], self.position[b]) = (left + 1, left);
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
    }

    /// How many links of two neighbours cross when the first one is on the left.
    fn crossings_between(&self, left: usize, right: usize) -> usize {
        let mut count = 0;
        for side in [&self.above, &self.below] {
            for a in &side[left] {
                count += side[right].iter().filter(|b| self.port(a.0, a.1) > self.port(b.0, b.1)).count();
            }
        }
        count
    }

    /// Where a link leaves a vertex, as a position in the layer: ports of one item lie within half a place of it.
    fn port(&self, vertex: usize, offset: f64) -> f64 {
        self.position[vertex] as f64 + offset / (self.widths[vertex] + GAP_ACROSS)
    }

    fn crossings(&self) -> usize {
        let mut count = 0;
        for layer in &self.layers {
            let ends: Vec<(f64, f64)> = layer
                .iter()
                .flat_map(|&v| self.below[v].iter().map(move |&(w, to, from)| (v, from, w, to)))
                .map(|(v, from, w, to)| (self.port(v, from), self.port(w, to)))
                .collect();
            for (i, a) in ends.iter().enumerate() {
                count += ends[..i].iter().filter(|b| (a.0 - b.0) * (a.1 - b.1) < 0.0).count();
            }
        }
        count
    }

    /// Works out the middles along the layers.
    fn place(&mut self) {
        for layer in 0..self.layers.len() {
            self.settle(layer, |_, _| None);
        }
        for sweep in 0..PLACINGS {
            let depth = self.layers.len();
            let both = sweep % 4 > 1;
            for step in 0..depth {
                let down = sweep % 2 == 0;
                let layer = if down { step } else { depth - 1 - step };
                self.settle(layer, |net, vertex| {
                    let (above, below) = (&net.above[vertex], &net.below[vertex]);
                    let near: Vec<_> = match (both, down) {
                        (true, _) => above.iter().chain(below).collect(),
                        (false, true) => above.iter().collect(),
                        (false, false) => below.iter().collect(),
                    };
                    let (mut weights, mut sum) = (0.0, 0.0);
                    for (other, theirs, own) in near {
                        // Bends in long links are what the eye stumbles over.
                        let weight = if net.is_placeholder(vertex) && net.is_placeholder(*other) { 30.0 } else { 1.0 };
                        weights += weight;
                        sum += weight * (net.x[*other] + theirs - own);
                    }
                    (weights > 0.0).then(|| sum / weights)
                });
            }
        }
    }

    /// Parts that no link connects do not hold each other: moves them together, from left to right.
    fn close_up(&mut self) {
        let part_of = self.parts();
        let left = |net: &Net, vertex: usize| net.x[vertex] - net.widths[vertex] / 2.0;
        let start = (0..self.x.len()).map(|v| left(self, v)).fold(f64::INFINITY, f64::min);
        let mut parts: Vec<(f64, usize)> = Vec::new();
        for (vertex, &number) in part_of.iter().enumerate() {
            match parts.iter_mut().find(|part| part.1 == number) {
                Some(part) => part.0 = part.0.min(left(self, vertex)),
                None => parts.push((left(self, vertex), number)),
            }
        }
        parts.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, part) in parts {
            let mut room = f64::INFINITY;
            for layer in &self.layers {
                for (position, &vertex) in layer.iter().enumerate().filter(|(_, v)| part_of[**v] == part) {
                    let before = position.checked_sub(1).map(|before| layer[before]);
                    let free = match before {
                        Some(before) if part_of[before] == part => continue,
                        Some(before) => self.x[before] + self.widths[before] / 2.0 + GAP_ACROSS,
                        None => start,
                    };
                    room = room.min(left(self, vertex) - free);
                }
            }
            (0..self.x.len()).filter(|&v| part_of[v] == part).for_each(|v| self.x[v] -= room.max(0.0));
        }
    }

    /// By vertex: the least vertex that links connect it with.
    fn parts(&self) -> Vec<usize> {
        let mut part_of = vec![usize::MAX; self.x.len()];
        for first in 0..self.x.len() {
            let mut stack = vec![first];
            while let Some(vertex) = stack.pop() {
                if part_of[vertex] == usize::MAX {
                    part_of[vertex] = first;
                    stack.extend(self.above[vertex].iter().chain(&self.below[vertex]).map(|link| link.0));
                }
            }
        }
        part_of
    }

    /// Moves a layer's vertices as near to their wishes as order and spacing allow: an isotonic regression.
    fn settle(&mut self, layer: usize, wish: impl Fn(&Net, usize) -> Option<f64>) {
        // Blocks of vertices that touch: (weight, weighted sum of wishes, vertices). Wishes are taken less the room that
        // the vertices before need, so that "no overlap" becomes "not descending".
        let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
        let mut before = Vec::new();
        let mut room = 0.0;
        let mut last: Option<usize> = None;
        for &vertex in &self.layers[layer] {
            if let Some(last) = last {
                room += (self.widths[last] + self.widths[vertex]) / 2.0 + GAP_ACROSS;
            }
            last = Some(vertex);
            before.push(room);
            let weight = if self.is_placeholder(vertex) { 16.0 } else { 1.0 };
            let wanted = wish(self, vertex).unwrap_or(self.x[vertex]) - room;
            blocks.push((weight, weight * wanted, 1));
            while let [.., a, b] = blocks.as_slice()
                && a.1 / a.0 > b.1 / b.0
            {
                let joined = (a.0 + b.0, a.1 + b.1, a.2 + b.2);
                blocks.truncate(blocks.len() - 2);
                blocks.push(joined);
            }
        }
        let placed = blocks.iter().flat_map(|&(weight, sum, count)| std::iter::repeat_n(sum / weight, count));
        for ((&vertex, room), place) in self.layers[layer].iter().zip(before).zip(placed) {
            self.x[vertex] = place + room;
        }
    }

    fn finish(&self, items: &[Item], links: &[Link]) -> Layout {
        let left = (0..self.x.len()).map(|v| self.x[v] - self.widths[v] / 2.0).fold(f64::INFINITY, f64::min);
        let right = (0..self.x.len()).map(|v| self.x[v] + self.widths[v] / 2.0).fold(f64::NEG_INFINITY, f64::max);
        let x = |vertex: usize| self.x[vertex] - left;
        let mut tops = Vec::with_capacity(self.layers.len());
        let mut height = 0.0;
        for layer in &self.layers {
            let tallest = layer.iter().filter_map(|&v| items.get(v)).map(|item| item.height).fold(0.0, f64::max);
            tops.push((height, height + tallest));
            height += tallest + GAP_DOWN;
        }
        let middles: Vec<(f64, f64)> = (0..items.len())
            .map(|item| {
                let (top, _) = tops[self.layer_of[item]];
                (x(item), top + items[item].height / 2.0)
            })
            .collect();
        let routes = links.iter().zip(&self.placeholders).map(|(link, passed)| {
            let (from, to) = (middles[link.from], middles[link.to]);
            let start = from.0 + link.from_offset;
            let mut route = vec![(start, from.1 + items[link.from].height / 2.0)];
            // Straight down to where the layer ends: beside the item may be taller ones.
            let (_, layer_end) = tops[self.layer_of[link.from]];
            if layer_end > route[0].1 {
                route.push((start, layer_end));
            }
            for (i, &vertex) in passed.iter().enumerate() {
                let (top, bottom) = tops[self.layer_of[link.from] + 1 + i];
                route.extend([(x(vertex), top), (x(vertex), bottom)]);
            }
            route.push((to.0 + link.to_offset, to.1 - items[link.to].height / 2.0));
            route
        });
        Layout { routes: routes.collect(), middles, width: right - left, height: height - GAP_DOWN }
    }
}

/// The layer of each item: the longest path from above; items without anything above come right before their first use.
fn layers_of(items: &[Item], links: &[Link]) -> Vec<usize> {
    let mut waits = vec![0usize; items.len()];
    links.iter().for_each(|link| waits[link.to] += 1);
    let mut layers = vec![0usize; items.len()];
    let mut ready: Vec<usize> = (0..items.len()).filter(|&i| waits[i] == 0).collect();
    let sources = ready.clone();
    while let Some(item) = ready.pop() {
        for link in links.iter().filter(|link| link.from == item) {
            layers[link.to] = layers[link.to].max(layers[item] + 1);
            waits[link.to] -= 1;
            if waits[link.to] == 0 {
                ready.push(link.to);
            }
        }
    }
    for item in sources.into_iter().filter(|&i| items[i].rank == Rank::Free) {
        let first_use = links.iter().filter(|link| link.from == item).map(|link| layers[link.to]).min();
        layers[item] = first_use.map_or(0, |layer| layer.saturating_sub(1));
    }
    let deepest = layers.iter().copied().max().unwrap_or(0);
    for (layer, item) in layers.iter_mut().zip(items) {
        if item.rank == Rank::Last {
            *layer = deepest;
        }
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        Item { width: 50.0, height: 20.0, rank: Rank::Free }
    }

    fn link(from: usize, to: usize) -> Link {
        Link { from, to, from_offset: 0.0, to_offset: 0.0 }
    }

    #[test]
    fn links_point_down_and_items_of_a_layer_do_not_touch() {
        let items = vec![item(); 12];
        let links: Vec<Link> =
            (1..12).flat_map(|to| [link(to / 2, to), link(to / 3, to)]).filter(|l| l.from != l.to).collect();
        let layout = layered(&items, &links);
        for (link, route) in links.iter().zip(&layout.routes) {
            assert!(layout.middles[link.from].1 < layout.middles[link.to].1);
            assert!(route.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{route:?}");
        }
        for (i, a) in layout.middles.iter().enumerate() {
            for b in &layout.middles[..i] {
                assert!(a.1 != b.1 || (a.0 - b.0).abs() >= 50.0 + GAP_ACROSS - 1e-6, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_chain_is_a_straight_line() {
        let links: Vec<Link> = (1..8).map(|to| link(to - 1, to)).collect();
        let layout = layered(&[item(); 8], &links);
        assert!(layout.middles.iter().all(|m| (m.0 - layout.middles[0].0).abs() < 1e-9), "{:?}", layout.middles);
        assert_eq!(layout.width, 50.0);
    }

    #[test]
    fn crossings_that_can_be_avoided_are_avoided() {
        // Two chains, whose lower halves are given in the other order.
        let links = [link(0, 3), link(1, 2), link(3, 4), link(2, 5)];
        let layout = layered(&[item(); 6], &links);
        let x = |i: usize| layout.middles[i].0;
        assert_eq!(x(0) < x(1), x(3) < x(2));
        assert_eq!(x(3) < x(2), x(4) < x(5));
    }

    #[test]
    fn a_long_link_goes_around_what_it_passes() {
        // 0 -> 1 -> 2 -> 3 and 0 -> 3.
        let layout = layered(&[item(); 4], &[link(0, 1), link(1, 2), link(2, 3), link(0, 3)]);
        let passing = layout.routes[3][1].0;
        assert!((passing - layout.middles[1].0).abs() >= 25.0, "{passing} {:?}", layout.middles);
    }

    #[test]
    fn parts_without_links_between_them_stand_close_together() {
        let links = [link(0, 2), link(1, 2), link(3, 4), link(3, 5), link(5, 6)];
        let layout = layered(&[item(); 7], &links);
        assert!(layout.width <= 4.0 * 50.0 + 3.0 * GAP_ACROSS + 1e-6, "{}", layout.width);
    }

    #[test]
    fn cycles_do_not_hang() {
        let layout = layered(&[item(); 3], &[link(0, 1), link(1, 2), link(2, 1)]);
        assert_eq!(layout.middles.len(), 3);
    }
}
