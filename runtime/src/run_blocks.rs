//! Running the steps of a chain block by block of rows, where `blocks.rs` finds that it pays: what each step's parts are and touch,
//! memory for what others see, and the arguments for the back end.
//!
//! Invariant: steps that cannot run in parts, and those after the last one that does, run as they would without blocks; what
//! a step before the driver reads is not freed, nor overwritten, before the blocks are done.

use crate::{
    backend::{BlockRun, Member, MemberWork},
    blocks::{self, Blocks, LinkFacts, Touch, Unit, Window},
    chain::{Chain, Link},
    counters,
    error::Error,
    int_table::Values,
    plan::{PlannedArgument, PlannedLaunch, PlannedProduct, PlannedStep, Work},
    run::{Matrices, Prepared, Run},
};
use fusewire_lowering::{
    kernel::{BufferId, Role},
    program::ArrayId,
    reach::Reach,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Rows of a product in a block, at least: fewer cost more time, for both operands are put in order for each block.
const ROWS: i64 = 192;

/// Outer dims of a phase become one while there are fewer parts than this.
const PARTS: i64 = 64;

/// A step's arguments: those of a launch, or those of a product.
#[derive(Default)]
struct Arguments {
    launch: Option<Prepared>,
    product: Option<Matrices>,
    /// See [`Member::private`].
    private: SmallVec<[(usize, usize); 2]>,
}

/// A step as blocks see it, and for launches the phase that runs in blocks and the items of a part.
struct Part {
    unit: Unit,
    phase: usize,
    items: u64,
}

/// How a chain is cut into blocks, which takes as long as computing some ten thousand elements, and the sizes that decide it.
pub(crate) struct Cut {
    sizes: (Values, SmallVec<[u64; 4]>),
    parts: Vec<Part>,
    /// What runs in blocks together, one after another.
    pieces: Vec<Blocks>,
}

impl Run<'_> {
    /// Runs the steps of a chain as far as they go in blocks, with all that stand before; a long chain in pieces. Returns the number
    /// of the step after them; `None`: nothing has run.
    pub(crate) fn chain(&mut self, chain: &Chain) -> Result<Option<usize>, Error> {
        let Some(budget) = self.backend.block_bytes() else { return Ok(None) };
        let links = chain.links.iter().filter(|link| link.alone);
        let between = links.map(|link| self.traffic(&self.plan.arrays[link.array.0 as usize]));
        if !blocks::pays(between.fold(0, u64::saturating_add), budget) {
            return Ok(None);
        }
        let cut = self.cut(chain, budget)?;
        let plan = self.plan;
        let steps = &plan.steps[chain.steps.clone()];
        let mut from = 0;
        for blocks in &cut.pieces {
            if from > 0 && (self.interrupted)() {
                return Err(Error::Interrupted);
            }
            let driver = blocks.members[blocks.members.len() - 1];
            self.run_blocks(chain, &steps[..=driver], from, &cut.parts, blocks)?;
            from = driver + 1;
        }
        Ok((from > 0).then_some(chain.steps.start + from))
    }

    /// How the chain is cut with the sizes of the moment. Nobody waits for the one that is remembered: a thread that held it may be
    /// gone in a child process.
    fn cut(&self, chain: &Chain, budget: usize) -> Result<Arc<Cut>, Error> {
        let inputs = self.plan.arrays.iter().filter(|array| array.input.is_some());
        let sizes = (self.values.clone(), inputs.map(|array| self.traffic(array)).collect());
        let known = chain.last.try_lock().and_then(|last| last.clone());
        if let Some(cut) = known.filter(|cut| cut.sizes == sizes) {
            return Ok(cut);
        }
        let fact = |link: &Link| {
            let array = &self.plan.arrays[link.array.0 as usize];
            let (size, bytes) = (array.dtype.size(), self.traffic(array));
            LinkFacts { writer: link.writer, alone: link.alone, size, bytes }
        };
        let facts: Vec<LinkFacts> = chain.links.iter().map(fact).collect();
        let steps = &self.plan.steps[chain.steps.clone()];
        let parts: Vec<Part> = steps.iter().map(|step| self.part(step, chain)).collect::<Result<_, Error>>()?;
        let units: Vec<Unit> = parts.iter().map(|part| part.unit.clone()).collect();
        let (mut pieces, mut from) = (Vec::new(), 0);
        while let Some(blocks) = blocks::decide(&units, &facts, from, budget) {
            from = blocks.members[blocks.members.len() - 1] + 1;
            pieces.push(blocks);
        }
        let cut = Arc::new(Cut { sizes, parts, pieces });
        if let Some(mut last) = chain.last.try_lock() {
            *last = Some(Arc::clone(&cut));
        }
        Ok(cut)
    }

    fn run_blocks(
        &mut self,
        chain: &Chain,
        steps: &[PlannedStep],
        from: usize,
        parts: &[Part],
        blocks: &Blocks,
    ) -> Result<(), Error> {
        let private: SmallVec<[ArrayId; 4]> = blocks.private.iter().map(|&link| chain.links[link].array).collect();
        for (number, step) in steps.iter().enumerate().skip(from) {
            for provision in step.provide.iter().filter(|p| !private.contains(&p.array)) {
                self.allocate(provision.array)?;
            }
            if !blocks.members.contains(&number) {
                self.work(&step.work)?;
            }
        }
        let position = |array: ArrayId| private.iter().position(|&p| p == array);
        let bytes = blocks::moved(blocks.members.iter().map(|&member| &parts[member].unit));
        let mut arguments: Vec<Arguments> = Vec::with_capacity(blocks.members.len());
        for &member in &blocks.members {
            let mut own = Arguments::default();
            match &steps[member].work {
                Work::Launch(launch) => {
                    counters::KERNEL_LAUNCHES.add(1);
                    let array = |(number, argument): (usize, &PlannedArgument)| match argument {
                        PlannedArgument::Array(array) => Some((number, position(*array)?)),
                        PlannedArgument::Temporary { .. } | PlannedArgument::Scratch => None,
                    };
                    own.private = launch.arguments.iter().enumerate().filter_map(array).collect();
                    own.launch = Some(self.prepare(launch)?);
                }
                Work::Product(product) => {
                    counters::LIBRARY_CALLS.add(1);
                    let arrays = [(0, product.left.array), (2, product.destination)];
                    own.private = arrays.into_iter().filter_map(|(n, array)| Some((n, position(array)?))).collect();
                    own.product = self.matrices(product)?;
                }
                Work::Call(_) => return Err(Error::Internal("a call in a chain".into())),
            }
            arguments.push(own);
        }
        counters::BLOCK_RUNS.add(1);
        counters::BYTES_MOVED.add(bytes);
        let mut members = Vec::with_capacity(arguments.len());
        for (&step, Arguments { launch, product, private }) in blocks.members.iter().zip(&arguments) {
            let work = match (launch, product, &steps[step].work) {
                (Some(prepared), None, Work::Launch(launch)) => {
                    let Part { phase, items, .. } = parts[step];
                    let executable = &*launch.compiled.executable;
                    MemberWork::Launch { executable, launch: prepared.launch(self.interrupted), phase, items }
                }
                (None, Some(matrices), Work::Product(_)) => MemberWork::Product(matrices.product(self.interrupted)),
                // A product without elements has no parts, so it is no member.
                _ => return Err(Error::Internal("a member of a block without elements".into())),
            };
            members.push(Member { work, private });
        }
        let Blocks { count, parts, places, starts, memory, .. } = blocks;
        let (count, memory, interrupted) = (*count, *memory, self.interrupted);
        self.backend.run_blocks(&BlockRun {
            members: &members,
            count,
            parts,
            places,
            starts,
            memory,
            bytes,
            interrupted,
        })?;
        for step in &steps[from..] {
            step.free.iter().for_each(|&array| self.free(array));
            step.provide.iter().filter_map(|provision| provision.over).for_each(|array| self.free(array));
        }
        Ok(())
    }

    fn part(&self, step: &PlannedStep, chain: &Chain) -> Result<Part, Error> {
        match &step.work {
            Work::Launch(launch) => Ok(self.part_of_launch(launch, chain)),
            Work::Product(product) => self.part_of_product(product, chain),
            Work::Call(_) => Err(Error::Internal("a call in a chain".into())),
        }
    }

    fn part_of_launch(&self, launch: &PlannedLaunch, chain: &Chain) -> Part {
        let kernel = &launch.compiled.kernel;
        let ints: SmallVec<[i64; 32]> = launch.ints.iter().map(|&row| self.values[row]).collect();
        let extent = |&(_, int): &(_, fusewire_lowering::kernel::IntId)| ints[int.0 as usize];
        let runs = |&(_, phase): &(usize, &fusewire_lowering::kernel::Phase)| phase.dims.iter().all(|d| extent(d) > 0);
        let mut phases = kernel.phases.iter().enumerate().filter(runs);
        let first = phases.next();
        let later: SmallVec<[_; 4]> = phases.collect();
        let mut unit = Unit {
            count: 0,
            least: 1,
            single: later.is_empty(),
            writes_others: false,
            others: SmallVec::new(),
            touches: SmallVec::new(),
        };
        let Some((number, phase)) = first else { return Part { unit, phase: 0, items: 1 } };
        // The linked arguments: which link, is it written, and what the items touch.
        let mut reaches: SmallVec<[(usize, bool, Reach); 4]> = SmallVec::new();
        for (buffer, argument) in launch.arguments.iter().enumerate() {
            let PlannedArgument::Array(array) = *argument else { continue };
            let writes = kernel.buffers[buffer].role == Role::Output;
            let id = BufferId(buffer as u32);
            match chain.links.iter().position(|link| link.array == array) {
                Some(link) => {
                    if let Some((.., reach)) = reaches.iter_mut().find(|(known, ..)| *known == link) {
                        *reach = Reach::Anywhere;
                        continue;
                    }
                    let again = later.iter().any(|(_, phase)| kernel.reach(phase, &ints, id) != Reach::Nothing);
                    let reach = if again { Reach::Anywhere } else { kernel.reach(phase, &ints, id) };
                    reaches.push((link, writes, reach));
                }
                None => {
                    unit.writes_others |= writes;
                    unit.others.push((array, self.traffic(&self.plan.arrays[array.0 as usize])));
                }
            }
        }
        let extents: SmallVec<[i64; 4]> = phase.dims.iter().map(extent).collect();
        // The outermost dims that number parts; the others are within a part.
        let mut outer = extents.len().min(1);
        let mut count = extents.first().copied().unwrap_or(1);
        while outer < extents.len() && count < PARTS {
            let nested = |reach: &Reach| match reach {
                Reach::Along { steps, .. } => {
                    count == 1 || steps[outer - 1] == steps[outer].saturating_mul(extents[outer])
                }
                Reach::Nothing | Reach::Anywhere => true,
            };
            if !reaches.iter().all(|(.., reach)| nested(reach)) {
                break;
            }
            count = count.saturating_mul(extents[outer]);
            outer += 1;
        }
        unit.count = count;
        for (link, writes, reach) in reaches {
            let window = match reach {
                Reach::Nothing => continue,
                Reach::Anywhere => None,
                Reach::Along { steps, mut low, mut high } => {
                    for (step, extent) in steps.iter().zip(&extents).skip(outer) {
                        let last = step.saturating_mul(extent - 1);
                        (low, high) = (low.saturating_add(last.min(0)), high.saturating_add(last.max(0)));
                    }
                    outer.checked_sub(1).map(|last| Window { step: steps[last], low, high })
                }
            };
            unit.touches.push(Touch { link, writes, window });
        }
        let items = extents[outer..].iter().map(|&extent| extent as u64).product();
        Part { unit, phase: number, items }
    }

    fn part_of_product(&self, product: &PlannedProduct, chain: &Chain) -> Result<Part, Error> {
        let matrices = self.matrices(product)?;
        let link = |array: ArrayId| chain.links.iter().position(|link| link.array == array);
        let mut unit = Unit {
            count: 0,
            least: ROWS,
            single: true,
            writes_others: link(product.destination).is_none(),
            others: SmallVec::new(),
            touches: SmallVec::new(),
        };
        if let Some(Matrices { m, n, k, batch, .. }) = &matrices {
            let (m, n, depth) = (*m as i64, *n as i64, (*k).max(1) as i64 - 1);
            unit.count = m * batch.len() as i64;
            match link(product.destination) {
                Some(link) => {
                    let window = Some(Window { step: n, low: 0, high: n - 1 });
                    unit.touches.push(Touch { link, writes: true, window });
                }
                None => {
                    let array = product.destination;
                    unit.others.push((array, self.traffic(&self.plan.arrays[array.0 as usize])));
                }
            }
            let array = &self.plan.arrays[product.left.array.0 as usize];
            match link(product.left.array) {
                Some(link) => {
                    // Not there yet: pointers are distances from its start.
                    let size = array.dtype.size() as i64;
                    let first = batch[0][0];
                    let offset = |matrix: usize| batch[matrix][0].pointer as usize as i64 / size;
                    let (step, across) = (first.row_stride as i64, first.column_stride as i64 * depth);
                    let rows = (0..batch.len()).all(|b| offset(b) == offset(0) + b as i64 * m * step);
                    let (low, high) = (offset(0) + across.min(0), offset(0) + across.max(0));
                    unit.touches.push(Touch {
                        link,
                        writes: false,
                        window: rows.then_some(Window { step, low, high }),
                    });
                }
                None => unit.others.push((product.left.array, self.traffic(array))),
            }
            if let Some(link) = link(product.right.array) {
                unit.touches.retain(|touch| touch.link != link);
                unit.touches.push(Touch { link, writes: false, window: None });
            }
        }
        Ok(Part { unit, phase: 0, items: 1 })
    }
}
