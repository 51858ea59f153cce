//! How a phase's work is dealt to the threads of a GPU. The kernel IR says which element and in which order sums are taken; this
//! says who computes it, and changes no bit.
//!
//! A phase with vector loops has a *team* of threads an item: the team goes through the item together, and the iterations of
//! each vector loop are dealt to its threads. How many threads a team has depends on how long the loops are and how many items
//! there are, which is known when the phase runs: so a phase has several schedules, each compiled when it is first chosen. Other
//! phases have a thread an item.

use fusewire_lowering::kernel::{
    Affine, BufferId, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase, Range, Reduction, Role, Stmt,
};
use fusewire_lowering::walk::for_each_stmt;

/// Threads of a block.
pub(crate) const THREADS: u32 = 128;

/// Threads that exchange values without memory.
pub(crate) const WARP: u32 = 32;

/// Threads of a team, and how long the loops and the rows of scratch are that it is for: the narrower the team, the fewer of its
/// threads have nothing to do at the end of a row; teams of a warp or less wait for nobody else; and rows that are not too long
/// lie in shared memory.
const TEAMS: [(u32, i64); 4] = [(THREADS, 4096), (WARP, 1024), (16, 256), (4, 16)];

/// Bytes of shared memory that a kernel may use without asking the driver for more.
const SHARED_LIMIT: u32 = 48 << 10;

/// Folds whose partial results lie in shared memory at the same time.
pub(crate) const PUBLISHED: u32 = 8;

/// Bytes that are kept for the partial results of a fold: one for each thread.
pub(crate) const FOLD_BYTES: u32 = THREADS * 8;

/// From how many iterations on the loops inside a vector loop are dealt, instead of those of the vector loop; and from how many on
/// that takes more than a warp ...
const LONG_INSIDE: [(u32, i64); 2] = [(WARP, 64), (THREADS, 4096)];

/// ... where that has no more iterations than these altogether, too few to have a thread each.
const FEW_OUTSIDE: u64 = 65_536;

/// A running fold of so many elements has a team, unless there are more of them than these, which have a thread each.
const LONG_SCAN: i64 = 64;
const FEW_SCANS: u64 = 16_384;

/// Running folds of a loop that a team shares, at most: there is no more shared memory for them.
const MOST_SCANS: usize = 4;

/// Where scratch of an item lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// In shared memory, so many bytes from the start of the team's.
    Shared(u32),
    /// In device memory, one for each worker.
    Device,
}

/// Who computes an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Worker {
    /// One thread.
    Thread,
    /// So many neighbouring threads of a block together, a power of two.
    Team(u32),
}

impl Worker {
    /// How many of them a block has.
    pub fn in_block(self) -> u32 {
        match self {
            Worker::Thread => THREADS,
            Worker::Team(width) => THREADS / width,
        }
    }
}

/// One way to run a phase.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub worker: Worker,
    /// Of which length its loops and its scratch are at most.
    most: i64,
    /// The iterations of the phase's one vector loop are items, too, and what is dealt are the loops inside.
    pub inside: bool,
    /// Of each buffer that is scratch, by its number.
    pub places: Vec<Option<Place>>,
    /// Buffers that the phase writes and reads: what one thread writes another may read.
    pub exchanged: Vec<bool>,
    /// Where values of running folds begin in a team's shared memory: eight bytes for each thread and running fold of a loop.
    pub scan_place: u32,
    /// Bytes of shared memory of a team: of folds first, then of running folds, then scratch.
    pub team_bytes: u32,
}

impl Schedule {
    /// Bytes of memory that the threads of a block share.
    pub fn shared_bytes(&self) -> u32 {
        match self.worker {
            Worker::Thread => 0,
            Worker::Team(width) => self.team_bytes * (THREADS / width),
        }
    }
}

/// The ways to run a phase, and what decides between them.
#[derive(Clone, Debug)]
pub(crate) struct Schedules {
    /// The first one is for everything.
    pub all: Vec<Schedule>,
    /// Ranges of vector loops, with those of the loops that are dealt with them.
    dealt: Vec<Vec<Range>>,
    /// Lengths of scratch that are not known before.
    scratch: Vec<IntId>,
    /// Ranges of loops with running folds, of phases that have no other loops.
    scanned: Vec<Range>,
    /// Of the schedule that deals the loops inside: the vector loop's range, and theirs.
    inside: Option<(Range, Vec<Range>)>,
}

impl Schedules {
    /// Those of a phase of a kernel.
    pub fn of(kernel: &Kernel, phase: &Phase) -> Schedules {
        let mut seen = Seen::default();
        seen.block(kernel, &phase.body);
        if seen.dealt.is_empty() {
            let mut all = vec![schedule(kernel, &seen, Worker::Thread, i64::MAX, false)];
            let scanned = if seen.other_loops { Vec::new() } else { seen.scanned.clone() };
            if !scanned.is_empty() {
                all.push(schedule(kernel, &seen, Worker::Team(THREADS), i64::MAX, false));
            }
            return Schedules { all, dealt: Vec::new(), scratch: Vec::new(), scanned, inside: None };
        }
        let mut all = vec![schedule(kernel, &seen, Worker::Team(THREADS), i64::MAX, false)];
        for (width, most) in TEAMS.into_iter().filter(|&(width, _)| seen.cascade_lanes <= width) {
            let other = schedule(kernel, &seen, Worker::Team(width), most, false);
            // It is for nothing if it leaves scratch outside that has room in the memory of one team, or is but the first again.
            let loses = |(other, first): (&Option<Place>, &Option<Place>)| {
                *other == Some(Place::Device) && matches!(first, Some(Place::Shared(_)))
            };
            let same = width == THREADS && other.places == all[0].places;
            if !same && !other.places.iter().zip(&all[0].places).any(loses) {
                all.push(other);
            }
        }
        let inside = inside(kernel, phase, &seen);
        if inside.is_some() {
            all.extend(LONG_INSIDE.map(|(width, _)| schedule(kernel, &seen, Worker::Team(width), i64::MAX, true)));
        }
        let scratch = kernel.buffers.iter().zip(&all[0].places).filter(|(_, place)| place.is_some());
        let scratch = scratch.filter_map(|(buffer, _)| buffer.length);
        let scratch = scratch.filter(|length| !matches!(kernel.ints[length.0 as usize], IntExpr::Const(_))).collect();
        Schedules { all, dealt: seen.dealt, scratch, scanned: Vec::new(), inside }
    }

    /// Which one is for so many items and these integers, and how many items it has then.
    pub fn choose(&self, items: u64, ints: &[i64]) -> (usize, u64) {
        let length = |range: &Range| match *range {
            Range::Full(extent) => ints[extent.0 as usize],
            Range::Tile { extent, size, .. } => ints[extent.0 as usize].min(size.into()),
        };
        if let Some((range, loops)) = &self.inside {
            let all_items = items.saturating_mul(length(range).max(0) as u64);
            let longest = loops.iter().map(length).max().unwrap_or(0);
            let wide = LONG_INSIDE.iter().filter(|(_, long)| longest >= *long).count();
            if all_items <= FEW_OUTSIDE && wide > 0 {
                return (self.all.len() - 1 - LONG_INSIDE.len() + wide, all_items);
            }
        }
        if !self.scanned.is_empty() {
            // Parts of rows are neighbours in memory, however many there are.
            let few = items <= FEW_SCANS || self.scanned.iter().any(|range| range.tile().is_some());
            let team = few && self.scanned.iter().any(|range| length(range) >= LONG_SCAN);
            return (usize::from(team), items);
        }
        let nest = |ranges: &Vec<Range>| ranges.iter().map(length).fold(1i64, |n, length| n.saturating_mul(length));
        let longest = self.dealt.iter().map(nest).max().unwrap_or(0);
        let suits = |schedule: &Schedule| {
            let rows = || self.scratch.iter().all(|length| ints[length.0 as usize] <= schedule.most);
            let runs_on_rows = schedule.most == i64::MAX || (longest <= schedule.most && rows());
            !schedule.inside && runs_on_rows && items >= schedule.worker.in_block().into()
        };
        let number = self.all.iter().rposition(suits).unwrap_or(0);
        (number, items)
    }
}

fn schedule(kernel: &Kernel, seen: &Seen, worker: Worker, most: i64, inside: bool) -> Schedule {
    let width = THREADS / worker.in_block();
    let folds = if inside { seen.folds } else { seen.dealt_folds };
    let mut team_bytes = if folds && width > WARP { PUBLISHED * FOLD_BYTES } else { 0 };
    let scan_place = team_bytes;
    if worker != Worker::Thread {
        team_bytes += seen.scans * width * 8;
    }
    let mut place = |number: usize| {
        let buffer = &kernel.buffers[number];
        let id = BufferId(number as u32);
        if buffer.role != Role::Scratch || !(seen.loaded.contains(&id) || seen.stored.contains(&id)) {
            return None;
        }
        let known = match kernel.ints[buffer.length?.0 as usize] {
            IntExpr::Const(length) => length,
            _ => most,
        };
        let bytes = u32::try_from(known).ok().and_then(|length| length.checked_mul(buffer.dtype.size() as u32));
        let team = bytes.and_then(|bytes| bytes.checked_next_multiple_of(16)?.checked_add(team_bytes));
        match team.filter(|&team| worker != Worker::Thread && team <= SHARED_LIMIT / worker.in_block()) {
            Some(team) => Some(Place::Shared(std::mem::replace(&mut team_bytes, team))),
            None => Some(Place::Device),
        }
    };
    let places = (0..kernel.buffers.len()).map(&mut place).collect();
    let exchanged = (0..kernel.buffers.len() as u32).map(BufferId);
    let exchanged = exchanged.map(|b| seen.loaded.contains(&b) && seen.stored.contains(&b)).collect();
    Schedule { worker, most, inside, places, exchanged, scan_place, team_bytes }
}

/// The loops inside the phase's one vector loop, if they can be dealt in its place: folds of what they load.
fn inside(kernel: &Kernel, phase: &Phase, seen: &Seen) -> Option<(Range, Vec<Range>)> {
    let (last, before) = phase.body.split_last()?;
    let Stmt::Loop(outer) = last else { return None };
    let values = |block: &[Stmt]| block.iter().all(|stmt| matches!(stmt, Stmt::Let(_)));
    let vector = matches!(outer.kind, LoopKind::Vector { .. }) && outer.reductions.is_empty();
    if !vector || !values(before) || seen.stored.iter().any(|stored| seen.loaded.contains(stored)) {
        return None;
    }
    let mut ranges = Vec::new();
    for stmt in &outer.body {
        if let Stmt::Loop(inner) = stmt {
            let folds = !inner.reductions.is_empty() && inner.scans.is_empty() && values(&inner.body);
            if !folds && !dealt_scan(kernel, inner) {
                return None;
            }
            ranges.push(inner.range);
        }
    }
    let scratch = kernel
        .buffers
        .iter()
        .zip(0..)
        .any(|(buffer, number)| buffer.role == Role::Scratch && seen.stored.contains(&BufferId(number)));
    (!ranges.is_empty() && !scratch).then_some((outer.range, ranges))
}

/// What stands in a phase.
#[derive(Default)]
struct Seen {
    /// The ranges of each vector loop and of the loops that are dealt with it.
    dealt: Vec<Vec<Range>>,
    folds: bool,
    /// In vector loops.
    dealt_folds: bool,
    /// Ranges of loops with running folds that a team can share, how many running folds one of them has, and whether there are
    /// loops besides.
    scanned: Vec<Range>,
    scans: u32,
    other_loops: bool,
    /// Lanes of a vector loop with cascading or running folds, at most.
    cascade_lanes: u32,
    loaded: Vec<BufferId>,
    stored: Vec<BufferId>,
}

impl Seen {
    fn block(&mut self, kernel: &Kernel, statements: &[Stmt]) {
        for statement in statements {
            match statement {
                Stmt::Let(id) => {
                    if let Inst::Load { buffer, .. } | Inst::Gather { buffer, .. } = kernel.values[id.0 as usize].inst {
                        self.loaded.push(buffer);
                    }
                }
                Stmt::Store { buffer, .. } => self.stored.push(*buffer),
                Stmt::Loop(inner) => {
                    self.folds |= !inner.reductions.is_empty();
                    if dealt_scan(kernel, inner) {
                        self.scanned.push(inner.range);
                        self.scans = self.scans.max(inner.scans.len() as u32);
                    } else {
                        self.other_loops = true;
                    }
                    if let LoopKind::Vector { lanes } = inner.kind {
                        self.dealt.push(vec![inner.range]);
                        self.dealt_folds |= !inner.reductions.is_empty();
                        let cascades = |r: &Reduction| Reduction::cascades(r.op, kernel.dtype(r.value));
                        self.scans = self.scans.max(inner.scans.len() as u32);
                        if inner.reductions.iter().any(cascades) || !inner.scans.is_empty() {
                            self.cascade_lanes = self.cascade_lanes.max(lanes.into());
                        }
                    }
                    let known = self.dealt.len();
                    self.block(kernel, &inner.body);
                    if nest(kernel, inner).is_some() {
                        self.dealt[known].push(inner.range);
                    }
                }
            }
        }
    }
}

/// The vector loop of a loop around nothing else, when the iterations of both can be computed in any order: each writes elements
/// of its own, and reads none that another writes.
pub(crate) fn nest<'a>(kernel: &Kernel, outer: &'a Loop) -> Option<&'a Loop> {
    let inner = vector_loop_in(outer)?;
    let mut seen = Seen::default();
    seen.block(kernel, &outer.body);
    let own = |stmt: &Stmt| match stmt {
        Stmt::Let(_) | Stmt::Loop(_) => true,
        Stmt::Store { at, .. } => at.mentions(outer.var) && at.mentions(inner.var),
    };
    let mut apart = !seen.stored.iter().any(|stored| seen.loaded.contains(stored));
    for_each_stmt(&inner.body, &mut |stmt| apart &= own(stmt));
    apart.then_some(inner)
}

fn vector_loop_in(outer: &Loop) -> Option<&Loop> {
    let (last, before) = outer.body.split_last()?;
    let Stmt::Loop(inner) = last else { return None };
    let plain = outer.kind == LoopKind::Serial && outer.reductions.is_empty() && outer.scans.is_empty();
    let free = inner.reductions.is_empty() && inner.scans.is_empty();
    let dealt = matches!(inner.kind, LoopKind::Vector { .. }) && free;
    let values = before.iter().all(|stmt| matches!(stmt, Stmt::Let(_)));
    (plain && dealt && values && inner.range.tile() != Some(outer.var)).then_some(inner)
}

/// A loop around a vector loop that folds each of its iterations into an element in memory, as the CPU folds rows that are long.
pub(crate) struct Columns<'a> {
    /// The vector loop.
    pub inner: &'a Loop,
    /// What one of its iterations folds over the outer loop.
    pub fold: Loop,
    /// Where each of the folds goes on from what is there.
    pub places: Vec<(BufferId, &'a Affine)>,
}

/// The folds of a loop around a vector loop into memory, if that is all it does.
pub(crate) fn columns<'a>(kernel: &Kernel, outer: &'a Loop) -> Option<Columns<'a>> {
    let inner = vector_loop_in(outer)?;
    let (mut reductions, mut places, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for stmt in &inner.body {
        let Stmt::Store { buffer, at, value: result } = stmt else { continue };
        let Inst::Op(op, operands) = &kernel.value(*result).inst else { return None };
        let &[before, value] = operands.as_slice() else { return None };
        let loaded = Inst::Load { buffer: *buffer, at: at.clone() };
        let apart = at.mentions(inner.var) && !at.mentions(outer.var);
        if kernel.value(before).inst != loaded || !apart || kernel.dtype(*result) != kernel.dtype(before) {
            return None;
        }
        reductions.push(Reduction { op: *op, value, result: *result });
        places.push((*buffer, at));
        own.extend([before, *result]);
    }
    // What is folded is needed by nobody else, and nobody else loads where it lies.
    let mut body = outer.body[..outer.body.len() - 1].to_vec();
    for stmt in &inner.body {
        match stmt {
            Stmt::Let(id) if own.contains(id) => {}
            Stmt::Let(_) => body.push(stmt.clone()),
            Stmt::Store { .. } => {}
            Stmt::Loop(_) => return None,
        }
    }
    let mut seen = Seen::default();
    seen.block(kernel, &body);
    let uses = |stmt: &Stmt| matches!(stmt, Stmt::Let(id) if kernel.value(*id).inst.operands().iter().any(|operand| own.contains(operand)));
    let once = |buffer: &BufferId| places.iter().filter(|(other, _)| other == buffer).count() == 1;
    let apart = places.iter().all(|(buffer, _)| once(buffer) && !seen.loaded.contains(buffer))
        && !body.iter().any(uses)
        && reductions.iter().all(|reduction| !own.contains(&reduction.value));
    let fold = Loop { var: outer.var, range: outer.range, kind: LoopKind::Serial, reductions, scans: Vec::new(), body };
    (apart && !places.is_empty()).then_some(Columns { inner, fold, places })
}

/// Can a team share a loop with running folds? Nothing else may go from one iteration to another.
pub(crate) fn dealt_scan(kernel: &Kernel, inner: &Loop) -> bool {
    let mut seen = Seen::default();
    let plain = inner.body.iter().all(|stmt| !matches!(stmt, Stmt::Loop(_)));
    let serial = inner.kind == LoopKind::Serial && inner.reductions.is_empty();
    if inner.scans.is_empty() || inner.scans.len() > MOST_SCANS || !plain || !serial {
        return false;
    }
    seen.block(kernel, &inner.body);
    let apart = |stmt: &Stmt| !matches!(stmt, Stmt::Store { at, .. } if !at.mentions(inner.var));
    inner.body.iter().all(apart) && !seen.stored.iter().any(|stored| seen.loaded.contains(stored))
}

/// Does a statement of a team store to a buffer that the phase reads too?
pub(crate) fn exchanges(schedule: &Schedule, statement: &Stmt) -> bool {
    match statement {
        Stmt::Let(_) => false,
        Stmt::Store { buffer, .. } => schedule.exchanged[buffer.0 as usize],
        Stmt::Loop(Loop { body, .. }) => body.iter().any(|inner| exchanges(schedule, inner)),
    }
}
