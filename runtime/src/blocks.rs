//! Steps of a chain block by block of rows: whether it pays, and which items of each step belong to which block. Arithmetic only;
//! `run_blocks.rs` has the steps and `Backend::run_blocks` runs them.
//!
//! Where a kernel reads what another one wrote, row by row, the second can run on a block of rows right after the first, while
//! they lie in the cache, on the same thread; nobody else ever sees the rows, so they have memory of their own for one block only.
//! The last step, the driver, is cut into blocks of its items. Which elements a block needs of what other steps write, and so
//! which of their items, follows from the kernels' index maps (`lowering/src/reach.rs`). Blocks may overlap there, as those of a
//! stencil do; then items run twice, into memory of each block.
//!
//! Invariants: the blocks depend on sizes only, never on the number of threads; every item of a step whose results somebody else
//! reads is in exactly one block.

use fusewire_lowering::program::ArrayId;
use smallvec::SmallVec;
use std::ops::Range;

/// A block may be so many times larger than the device would like it; and if that is too small for all, because rows are long, so
/// many times.
const LARGER: [u64; 2] = [2, 8];
/// There are so many blocks at least, so that threads have something to share.
const BLOCKS: i64 = 8;
/// Items that run twice must not cost more than this part of the rest.
const TWICE: f64 = 0.15;

/// A step of the chain that can run in parts.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// How many parts there are: items, or groups of them, or rows of a product.
    pub count: i64,
    /// Parts that a block should have at least: products of few rows are slow.
    pub least: i64,
    /// May it stand before others? Else its later phases need all of its first.
    pub single: bool,
    /// Does it write arrays that are no links?
    pub writes_others: bool,
    /// The arrays that it reads or writes besides links, with their bytes.
    pub others: SmallVec<[(ArrayId, u64); 4]>,
    /// The links that it reads or writes.
    pub touches: SmallVec<[Touch; 4]>,
}

/// What a unit touches of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    pub link: usize,
    pub writes: bool,
    /// `None`: any of its elements.
    pub window: Option<Window>,
}

/// Part `t` touches elements `step * t + low ..= step * t + high`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub step: i64,
    pub low: i64,
    pub high: i64,
}

/// An array between steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkFacts {
    /// The step that writes it.
    pub writer: usize,
    /// Do only steps of the chain read it?
    pub alone: bool,
    /// Bytes of an element.
    pub size: usize,
    /// And of all.
    pub bytes: u64,
}

/// The decision.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Blocks {
    /// The steps that run in blocks; the last one is the driver.
    pub members: Vec<usize>,
    /// How many blocks there are.
    pub count: usize,
    /// The parts of each member, block after block.
    pub parts: Vec<Range<i64>>,
    /// The links that only exist a block at a time.
    pub private: Vec<usize>,
    /// The byte of each private link that lies at the start of its place, block after block.
    pub starts: Vec<i64>,
    /// The place of each private link in the memory of a thread.
    pub places: Vec<usize>,
    /// Bytes of that memory.
    pub memory: usize,
}

/// The bytes that steps move besides links. What several of them read is in the cache after the first one.
pub(crate) fn moved<'a>(units: impl IntoIterator<Item = &'a Unit>) -> u64 {
    let mut arrays: SmallVec<[(ArrayId, u64); 16]> = SmallVec::new();
    for other in units.into_iter().flat_map(|unit| &unit.others) {
        if !arrays.iter().any(|(known, _)| *known == other.0) {
            arrays.push(*other);
        }
    }
    arrays.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
}

/// So many parts, or a few less: whole cache lines even where a part is a single byte.
fn even(parts: i64) -> i64 {
    if parts > 64 { parts / 64 * 64 } else { parts }
}

/// Are so many bytes between the steps worth it? Less than a block stays in the cache anyway.
pub(crate) fn pays(bytes: u64, budget: usize) -> bool {
    bytes >= budget as u64 / 2
}

/// Whether steps should run in blocks of about so many bytes, and which; those before `from` are done.
pub(crate) fn decide(units: &[Unit], links: &[LinkFacts], from: usize, budget: usize) -> Option<Blocks> {
    LARGER.into_iter().find_map(|larger| {
        let drivers = (from + 1..units.len()).rev();
        drivers.into_iter().find_map(|driver| Candidate::new(units, links, from..driver)?.blocks(budget, larger))
    })
}

/// The steps that would run with one of them as the driver.
struct Candidate<'a> {
    units: Vec<&'a Unit>,
    links: &'a [LinkFacts],
    members: Vec<usize>,
    private: Vec<usize>,
    /// Each private link's writer and last reader, as positions among the members.
    lives: Vec<Range<usize>>,
    /// Members of which each part has to be in exactly one block, by position.
    once: Vec<bool>,
}

/// The parts of a block and the elements of links it needs, or holds.
struct Block {
    /// By position.
    parts: Vec<Range<i64>>,
    /// By link.
    windows: Vec<Option<Range<i64>>>,
}

impl<'a> Candidate<'a> {
    fn new(units: &'a [Unit], links: &'a [LinkFacts], steps: Range<usize>) -> Option<Candidate<'a>> {
        let driver = steps.end;
        if units[driver].count == 0 {
            return None;
        }
        let mut member = vec![false; driver + 1];
        member[driver] = true;
        // Who reads a link, and which elements of it.
        let readers = |link: usize| {
            let read = move |unit: &Unit| unit.touches.iter().find(|t| t.link == link && !t.writes).copied();
            (0..units.len()).filter_map(move |step| Some((step, read(&units[step])?.window)))
        };
        let forward = |window: Option<Window>| window.is_some_and(|w| w.step > 0);
        for step in steps.clone().rev() {
            let unit = &units[step];
            let mut needed = false;
            let windowed = |touch: &Touch| {
                let mut inside = readers(touch.link).filter(|&(reader, _)| reader <= driver);
                forward(touch.window) && inside.all(|(reader, window)| member[reader] && forward(window))
            };
            let mut fits = unit.single && unit.count > 0;
            for touch in unit.touches.iter().filter(|t| t.writes) {
                let read = readers(touch.link).any(|(reader, _)| reader <= driver);
                needed |= read;
                fits &= !read || windowed(touch);
            }
            member[step] = fits && needed;
        }
        let members: Vec<usize> = (steps.start..=driver).filter(|&step| member[step]).collect();
        if members.len() < 2 {
            return None;
        }
        let position = |step: usize| members.iter().position(|&m| m == step);
        let mut private = Vec::new();
        let mut lives = Vec::new();
        for (number, link) in links.iter().enumerate() {
            let last = readers(number).map(|(reader, _)| reader).max();
            if let (true, Some(last), Some(writer)) = (link.alone, last, position(link.writer))
                && last <= driver
                && link.writer < driver
                && let Some(last) = position(last)
            {
                private.push(number);
                lives.push(writer..last);
            }
        }
        let public = |touch: &Touch| touch.writes && !private.contains(&touch.link);
        let once = members.iter().map(|&step| units[step].writes_others || units[step].touches.iter().any(public));
        let once = once.collect();
        let units = members.iter().map(|&step| &units[step]).collect();
        Some(Candidate { units, links, members, private, lives, once })
    }

    fn driver(&self) -> &Unit {
        self.units[self.units.len() - 1]
    }

    /// What a block of the driver's parts needs.
    fn block(&self, parts: Range<i64>) -> Block {
        let mut block = Block { parts: vec![0..0; self.units.len()], windows: vec![None; self.links.len()] };
        let last = self.units.len() - 1;
        block.parts[last] = parts;
        for (position, unit) in self.units.iter().enumerate().rev() {
            if position < last {
                let mut parts: Option<Range<i64>> = None;
                for touch in unit.touches.iter().filter(|t| t.writes) {
                    let (Some(needed), Some(Window { step, low, high })) = (&block.windows[touch.link], touch.window)
                    else {
                        continue;
                    };
                    let first = (needed.start - high).div_euclid(step) + i64::from((needed.start - high) % step != 0);
                    let end = (needed.end - 1 - low).div_euclid(step) + 1;
                    let own = first.clamp(0, unit.count)..end.clamp(0, unit.count);
                    parts = Some(parts.map_or(own.clone(), |all| all.start.min(own.start)..all.end.max(own.end)));
                }
                block.parts[position] = parts.unwrap_or(0..0);
            }
            let parts = block.parts[position].clone();
            if parts.is_empty() {
                continue;
            }
            for touch in &unit.touches {
                let Some(Window { step, low, high }) = touch.window else { continue };
                let touched = step * parts.start + low..step * (parts.end - 1) + high + 1;
                let window = &mut block.windows[touch.link];
                *window = Some(match window.take() {
                    Some(w) => w.start.min(touched.start)..w.end.max(touched.end),
                    None => touched,
                });
            }
        }
        block
    }

    /// The bytes that a private link holds in a block, and the first of them.
    fn held(&self, block: &Block, private: usize) -> (i64, i64) {
        let size = self.links[self.private[private]].size as i64;
        let window = block.windows[self.private[private]].clone().unwrap_or(0..0);
        // Aligned as the whole array would be.
        let start = (window.start * size).div_euclid(64) * 64;
        (start, window.end * size - start)
    }

    /// A place for each private link, where those that are not needed at once may share it.
    fn places(&self, bytes: &[i64]) -> (Vec<usize>, usize) {
        let mut slots: Vec<(usize, i64)> = Vec::new();
        let mut chosen = Vec::new();
        for (life, &bytes) in self.lives.iter().zip(bytes) {
            // The lives are in the order of their beginnings.
            let slot = slots.iter().position(|(until, _)| *until < life.start).unwrap_or(slots.len());
            if slot == slots.len() {
                slots.push((0, 0));
            }
            slots[slot] = (life.end, slots[slot].1.max(bytes));
            chosen.push(slot);
        }
        let mut begins = Vec::new();
        let mut end = 0usize;
        for (_, bytes) in slots {
            begins.push(end);
            // Apart, so that rows of several arrays do not meet in the same sets of the cache.
            end += (bytes.max(0) as usize).next_multiple_of(64) + 64;
        }
        (chosen.into_iter().map(|slot| begins[slot]).collect(), end)
    }

    fn blocks(&self, budget: usize, larger: u64) -> Option<Blocks> {
        let between: u64 = self.private.iter().map(|&link| self.links[link].bytes).sum();
        if !pays(between, budget) {
            return None;
        }
        let count = self.driver().count;
        let size = self.size(budget as u64, larger)?;
        let number = (count as u64).div_ceil(size as u64) as i64;
        let mut blocks = Blocks {
            members: self.members.clone(),
            count: number as usize,
            parts: Vec::with_capacity(number as usize * self.members.len()),
            private: self.private.clone(),
            starts: Vec::with_capacity(number as usize * self.private.len()),
            places: Vec::new(),
            memory: 0,
        };
        let mut most = vec![0; self.private.len()];
        let mut done = vec![0; self.members.len()];
        for number in 0..number {
            let block = self.block(number * size..((number + 1) * size).min(count));
            for (position, parts) in block.parts.iter().enumerate() {
                if self.once[position] && parts.start != done[position] {
                    return None;
                }
                done[position] = parts.end;
            }
            for (private, most) in most.iter_mut().enumerate() {
                let (start, bytes) = self.held(&block, private);
                blocks.starts.push(start);
                *most = bytes.max(*most);
            }
            blocks.parts.extend(block.parts);
        }
        if (0..self.units.len()).any(|p| self.once[p] && done[p] != self.units[p].count) {
            return None;
        }
        (blocks.places, blocks.memory) = self.places(&most);
        Some(blocks)
    }

    /// How many parts of the driver make a block.
    fn size(&self, budget: u64, larger: u64) -> Option<i64> {
        let count = self.driver().count;
        // Parts of the driver that have enough parts of a member.
        let least = |unit: &&Unit| (unit.least as u128 * count as u128).div_ceil(unit.count.max(1) as u128);
        let least = self.units.iter().map(least).max().unwrap_or(1).clamp(1, i64::MAX as u128) as i64;
        let most = (count / BLOCKS).max(1);
        let public = moved(self.units.iter().copied());
        let bytes = |size: i64| {
            let block = self.middle(size);
            let held: Vec<i64> = (0..self.private.len()).map(|private| self.held(&block, private).1).collect();
            self.places(&held).1 as u64 + (u128::from(public) * size as u128 / count.max(1) as u128) as u64
        };
        let mut size = even(least.min(most));
        while size * 2 <= most && bytes(size * 2) <= budget {
            size *= 2;
        }
        while self.repeated(size) > TWICE && size * 2 <= most {
            size *= 2;
        }
        (self.repeated(size) <= TWICE && bytes(size) <= budget * larger).then_some(size)
    }

    /// A block that has all its neighbours.
    fn middle(&self, size: i64) -> Block {
        let count = self.driver().count;
        let begin = count / 2 / size * size;
        self.block(begin..(begin + size).min(count))
    }

    /// How much of the work is done twice, as a part of all.
    fn repeated(&self, size: i64) -> f64 {
        let block = self.middle(size);
        let last = self.units.len() - 1;
        let share = (block.parts[last].end - block.parts[last].start) as f64 / self.driver().count.max(1) as f64;
        let of = |position: usize| {
            let parts = &block.parts[position];
            let own = (parts.end - parts.start) as f64 / self.units[position].count.max(1) as f64;
            (own / share - 1.0).max(0.0)
        };
        (0..last).map(of).sum::<f64>() / last.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 1 << 10;

    fn unit(count: i64, touches: &[(usize, bool, Option<[i64; 3]>)]) -> Unit {
        let touch = |&(link, writes, window): &(usize, bool, Option<[i64; 3]>)| Touch {
            link,
            writes,
            window: window.map(|[step, low, high]| Window { step, low, high }),
        };
        let touches: SmallVec<[Touch; 4]> = touches.iter().map(touch).collect();
        let writes_others = touches.iter().all(|t| !t.writes);
        // One of its own.
        let other =
            (ArrayId(touches.last().map_or(0, |t| 1000 + 2 * t.link as u32 + u32::from(t.writes))), 8 * count as u64);
        let others = SmallVec::from_slice(&[other]);
        Unit { count, least: 1, single: true, writes_others, others, touches }
    }

    fn link(writer: usize, alone: bool, elements: u64) -> LinkFacts {
        LinkFacts { writer, alone, size: 8, bytes: 8 * elements }
    }

    #[test]
    fn what_is_read_row_by_row_exists_a_block_at_a_time() {
        let units = [unit(1000, &[(0, true, Some([4, 0, 3]))]), unit(1000, &[(0, false, Some([4, 0, 3]))])];
        let blocks = decide(&units, &[link(0, true, 4000)], 0, BUDGET).expect("it pays");
        assert_eq!((blocks.members.as_slice(), blocks.private.as_slice()), ([0, 1].as_slice(), [0].as_slice()));
        assert!(blocks.memory <= BUDGET && blocks.count > 8, "{blocks:?}");
        for parts in blocks.parts.chunks(2) {
            assert_eq!(parts[0], parts[1]);
        }
        assert_eq!(blocks.parts[blocks.parts.len() - 1].end, 1000);
    }

    #[test]
    fn parts_of_several_rows_are_cut_where_they_meet() {
        // Parts of 16 rows write, parts of 64 rows read.
        let units = [unit(100, &[(0, true, Some([16, 0, 15]))]), unit(25, &[(0, false, Some([64, 0, 63]))])];
        let blocks = decide(&units, &[link(0, true, 1600)], 0, BUDGET).expect("it pays");
        assert_eq!(blocks.parts[0], 0..4 * (blocks.parts[1].end));
    }

    #[test]
    fn neighbouring_rows_are_computed_twice_if_nobody_else_sees_them() {
        let reads = |low, high| [(0, false, Some([1, low, high]))];
        let units = [unit(10_000, &[(0, true, Some([1, 0, 0]))]), unit(10_000, &reads(-1, 1))];
        let blocks = decide(&units, &[link(0, true, 10_000)], 0, BUDGET).expect("it pays");
        let middle = &blocks.parts[4..6];
        assert_eq!((middle[0].start, middle[0].end), (middle[1].start - 1, middle[1].end + 1));
        // Somebody reads it: each row has to be written once, and that would be by two blocks.
        assert_eq!(decide(&units, &[link(0, false, 10_000)], 0, BUDGET), None);
        // More is computed twice than once.
        assert_eq!(
            decide(&[units[0].clone(), unit(10_000, &reads(-5000, 5000))], &[link(0, true, 10_000)], 0, BUDGET),
            None
        );
    }

    #[test]
    fn what_is_read_anywhere_is_there_before() {
        let whole = unit(1000, &[(0, true, Some([1, 0, 0]))]);
        let rows = unit(1000, &[(1, true, Some([1, 0, 0]))]);
        let reads = unit(1000, &[(0, false, None), (1, false, Some([1, 0, 0]))]);
        let links = [link(0, true, 1000), link(1, true, 1000)];
        let blocks = decide(&[whole, rows, reads], &links, 0, BUDGET).expect("it pays");
        assert_eq!((blocks.members.as_slice(), blocks.private.as_slice()), ([1, 2].as_slice(), [1].as_slice()));
    }

    #[test]
    fn a_last_step_of_few_parts_is_left_alone() {
        let units = [
            unit(1000, &[(0, true, Some([1, 0, 0]))]),
            unit(1000, &[(0, false, Some([1, 0, 0])), (1, true, Some([1, 0, 0]))]),
            unit(1, &[(1, false, Some([1000, 0, 999]))]),
        ];
        let links = [link(0, true, 1000), link(1, true, 1000)];
        let blocks = decide(&units, &links, 0, 100).expect("it pays");
        assert_eq!((blocks.members.as_slice(), blocks.private.as_slice()), ([0, 1].as_slice(), [0].as_slice()));
    }

    #[test]
    fn a_long_chain_goes_in_pieces() {
        let reads = |link| (link, false, Some([1, -1, 1]));
        let step = |link: usize| unit(10_000, &[reads(link), (link + 1, true, Some([1, 0, 0]))]);
        let mut units = vec![unit(10_000, &[(0, true, Some([1, 0, 0]))])];
        units.extend((0..30).map(step));
        let links: Vec<LinkFacts> = (0..31).map(|writer| link(writer, writer < 30, 10_000)).collect();
        let mut from = 0;
        let mut pieces = 0;
        while let Some(blocks) = decide(&units, &links, from, 4 * BUDGET) {
            assert_eq!(blocks.members[0], from);
            assert!(blocks.memory < 8 * BUDGET);
            from = blocks.members[blocks.members.len() - 1] + 1;
            pieces += 1;
        }
        assert!(from >= 30 && (2..10).contains(&pieces), "{pieces} pieces as far as {from}");
    }

    #[test]
    fn arrays_that_are_not_needed_at_once_share_a_place() {
        let step = |read: usize, written: usize| {
            unit(10_000, &[(read, false, Some([1, 0, 0])), (written, true, Some([1, 0, 0]))])
        };
        let units = [
            unit(10_000, &[(0, true, Some([1, 0, 0]))]),
            step(0, 1),
            step(1, 2),
            unit(10_000, &[(2, false, Some([1, 0, 0]))]),
        ];
        let links = [link(0, true, 10_000), link(1, true, 10_000), link(2, true, 10_000)];
        let blocks = decide(&units, &links, 0, BUDGET).expect("it pays");
        assert_eq!(blocks.places[0], blocks.places[2]);
        assert_ne!(blocks.places[0], blocks.places[1]);
    }
}
