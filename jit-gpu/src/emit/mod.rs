//! A phase of a kernel as a GPU kernel, for PTX and for the emulator: its items over threads or teams of them, by the schedule.
//!
//! A GPU kernel has one argument, a list of 64-bit words: the addresses of the buffers, the integers, the scalar parameters,
//! then what [`Extra`] says. Code that a team goes through together computes the same in each of its threads, but for the
//! iterations of vector loops, which are dealt to them, and for stores, which thread 0 makes.

mod body;
mod deal;
mod fold;
pub(crate) mod machine;
mod native;
mod pack;
mod scan;

use crate::{
    driver::Source,
    schedule::{Schedule, Schedules, THREADS, Worker},
};
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::{Emitted, Instructions, Value};
use fusewire_lowering::kernel::{IntId, Kernel, Loop, Phase, Range, Stmt, VarId};
use inkwell::{
    IntPredicate,
    values::{InstructionOpcode as Opcode, IntValue, PointerValue},
};
use machine::{Machine, Target};

/// Arguments behind buffers, integers and parameters, in this order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extra {
    /// The bytes of device memory that scratch takes for each worker.
    ScratchStride,
    /// The address of the 32 bits that a fault makes 1.
    Fault,
}

/// How many [`Extra`] arguments there are.
const EXTRAS: u32 = 2;

/// How many words a kernel's arguments are.
pub(crate) fn argument_count(kernel: &Kernel) -> u32 {
    (kernel.buffers.len() + kernel.ints.len() + kernel.params.len()) as u32 + EXTRAS
}

impl Source<'_> {
    /// For reports.
    pub(crate) fn name(self) -> String {
        match self {
            Source::Phase(kernel, ..) => kernel.name.clone(),
            Source::Function(function) => function.name().into(),
        }
    }

    /// How many words its arguments are, and how many of them, in front, are addresses.
    pub(crate) fn words(self) -> (usize, usize) {
        match self {
            Source::Phase(kernel, ..) => (argument_count(kernel) as usize, kernel.buffers.len()),
            Source::Function(function) => function.words(),
        }
    }

    /// How many neighbouring threads wait for each other, at most.
    pub(crate) fn team(self) -> u32 {
        match self {
            Source::Phase(kernel, number, schedule) => {
                THREADS / Schedules::of(kernel, &kernel.phases[number]).all[schedule].worker.in_block()
            }
            Source::Function(_) => THREADS,
        }
    }

    /// Emits it as a function of this name.
    pub(crate) fn emit(self, i: &Instructions<'_>, target: Target, name: &str) -> Emitted<()> {
        match self {
            Source::Phase(kernel, number, schedule) => {
                let phase = &kernel.phases[number];
                self::phase(i, kernel, phase, &Schedules::of(kernel, phase).all[schedule], target, name)
            }
            Source::Function(function) => function.emit(i, target, name),
        }
    }
}

/// Emits a phase as a function of this name.
fn phase<'c>(
    i: &Instructions<'c>,
    kernel: &Kernel,
    phase: &Phase,
    schedule: &Schedule,
    target: Target,
    name: &str,
) -> Emitted<()> {
    let machine = Machine::begin(i, target, name, argument_count(kernel), schedule.shared_bytes(), THREADS)?;
    let mut emitter = Emitter::begin(i, kernel, schedule, machine)?;
    emitter.items(phase)?;
    i.builder.build_return(None)?;
    Ok(())
}

/// Is the code at hand the whole team's, or a thread's own?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Together,
    Alone,
}

/// What is known while a phase is emitted.
struct Emitter<'k, 'c> {
    i: &'k Instructions<'c>,
    kernel: &'k Kernel,
    schedule: &'k Schedule,
    machine: Machine<'c>,
    mode: Mode,
    /// How many threads a team has.
    width: u32,
    /// The thread's number in its team.
    thread: IntValue<'c>,
    /// The team's number in its block.
    team: IntValue<'c>,
    /// The arguments.
    buffers: Vec<PointerValue<'c>>,
    ints: Vec<IntValue<'c>>,
    params: Vec<Value<'c>>,
    fault: PointerValue<'c>,
    /// Has the team loaded an element of an input together, and not waited since then?
    loaded: bool,
    /// The loop of which several iterations are computed at a time, and how many.
    packed: Option<(VarId, u32)>,
    /// By their ids; none until they are computed.
    vars: Vec<Option<IntValue<'c>>>,
    values: Vec<Option<Value<'c>>>,
}

impl<'k, 'c> Emitter<'k, 'c> {
    fn begin(
        i: &'k Instructions<'c>,
        kernel: &'k Kernel,
        schedule: &'k Schedule,
        machine: Machine<'c>,
    ) -> Emitted<Emitter<'k, 'c>> {
        let (buffers, ints) = (kernel.buffers.len() as u32, kernel.ints.len() as u32);
        let rest = buffers + ints + kernel.params.len() as u32;
        let param = |number: usize| {
            let bits = machine.argument(i, buffers + ints + number as u32)?;
            from_bits(i, bits, kernel.params[number])
        };
        let (thread, width) = (machine.thread(i)?, THREADS / schedule.worker.in_block());
        Ok(Emitter {
            i,
            kernel,
            schedule,
            mode: if schedule.worker == Worker::Thread { Mode::Alone } else { Mode::Together },
            width,
            thread: i.builder.build_and(thread, i.index(i64::from(width) - 1), "")?,
            team: i.builder.build_right_shift(thread, i.index(width.trailing_zeros().into()), false, "")?,
            buffers: (0..buffers).map(|number| machine.pointer(i, number)).collect::<Emitted<_>>()?,
            ints: (0..ints).map(|number| machine.argument(i, buffers + number)).collect::<Emitted<_>>()?,
            params: (0..kernel.params.len()).map(param).collect::<Emitted<_>>()?,
            fault: machine.pointer(i, rest + Extra::Fault as u32)?,
            machine,
            loaded: false,
            packed: None,
            vars: vec![None; kernel.vars as usize],
            values: vec![None; kernel.values.len()],
        })
    }

    /// The items that are this worker's: its own number, and then as many on as there are workers.
    fn items(&mut self, phase: &Phase) -> Emitted<()> {
        let i = self.i;
        let b = &i.builder;
        let extents: Vec<IntValue<'c>> = phase.dims.iter().map(|&(_, extent)| self.int(extent)).collect();
        let mut count = i.index(1);
        for &extent in &extents {
            count = b.build_int_mul(count, extent, "")?;
        }
        let inside = if self.schedule.inside { phase.body.split_last() } else { None };
        let each = match inside {
            Some((Stmt::Loop(outer), _)) => self.most_iterations(outer.range)?,
            _ => i.index(1),
        };
        count = b.build_int_mul(count, each, "")?;
        let in_block = i.index(self.schedule.worker.in_block().into());
        let first = b.build_int_add(b.build_int_mul(self.machine.block(i)?, in_block, "")?, self.team, "")?;
        let workers = b.build_int_mul(self.machine.blocks(i)?, in_block, "")?;
        self.place_scratch(first)?;
        i.counted_loop(first, count, workers, &[], |item, _| {
            let mut rest = b.build_int_unsigned_div(item, each, "")?;
            for (number, &(var, _)) in phase.dims.iter().enumerate().rev() {
                let index = if number == 0 { rest } else { b.build_int_unsigned_rem(rest, extents[number], "")? };
                self.set_var(var, index);
                if number > 0 {
                    rest = b.build_int_unsigned_div(rest, extents[number], "")?;
                }
            }
            match inside {
                Some((Stmt::Loop(outer), before)) => {
                    self.block(before)?;
                    self.one_iteration(outer, b.build_int_unsigned_rem(item, each, "")?)?;
                }
                _ => self.block(&phase.body)?,
            }
            Ok(Vec::new())
        })?;
        Ok(())
    }

    /// Of a vector loop whose iterations are items: this one, counted from its first, if there is such a one.
    fn one_iteration(&mut self, outer: &Loop, number: IntValue<'c>) -> Emitted<()> {
        let (begin, end) = self.bounds(outer.range)?;
        let iteration = self.i.builder.build_int_add(begin, number, "")?;
        let there = self.i.compare(IntPredicate::SLT, iteration.into(), end.into())?;
        self.when(there, |e| e.iteration(outer, iteration))
    }

    /// How many iterations a range has at most, whichever tile it is of.
    fn most_iterations(&self, range: Range) -> Emitted<IntValue<'c>> {
        match range {
            Range::Full(extent) => Ok(self.int(extent)),
            Range::Tile { extent, size, .. } => {
                let size = self.i.index(size.into());
                Ok(self.i.intrinsic("smin", &[self.int(extent).into(), size.into()])?.into_int_value())
            }
        }
    }

    /// Each worker's scratch.
    fn place_scratch(&mut self, worker: IntValue<'c>) -> Emitted<()> {
        use crate::schedule::Place;
        let i = self.i;
        let fixed = (self.kernel.buffers.len() + self.kernel.ints.len() + self.kernel.params.len()) as u32;
        let stride = self.machine.argument(i, fixed + Extra::ScratchStride as u32)?;
        let distance = i.builder.build_int_mul(worker, stride, "")?;
        for number in 0..self.buffers.len() {
            match self.schedule.places[number] {
                None => {}
                Some(Place::Device) => self.buffers[number] = i.offset(self.buffers[number], distance)?,
                Some(Place::Shared(offset)) => self.buffers[number] = self.shared(offset)?,
            }
        }
        Ok(())
    }

    /// A place in the team's shared memory.
    fn shared(&self, offset: u32) -> Emitted<PointerValue<'c>> {
        let i = self.i;
        let team = i.builder.build_int_mul(self.team, i.index(self.schedule.team_bytes.into()), "")?;
        i.offset(self.machine.shared(i, offset)?, team)
    }

    /// Waits until all threads of the team are here.
    fn wait(&self) -> Emitted<()> {
        self.machine.wait(self.i, self.width)
    }

    fn int(&self, id: IntId) -> IntValue<'c> {
        self.ints[id.0 as usize]
    }

    /// What `then` emits, where the condition is true.
    fn when(&mut self, condition: Value<'c>, then: impl FnOnce(&mut Self) -> Emitted<()>) -> Emitted<()> {
        let (yes, after) = (self.i.block("then"), self.i.block("after"));
        self.i.branch(condition, yes, after)?;
        self.i.switch_to(yes);
        then(self)?;
        self.i.jump(after)?;
        self.i.switch_to(after);
        Ok(())
    }

    /// Is the thread's number below this one?
    fn thread_below(&self, count: u32) -> Emitted<Value<'c>> {
        self.i.compare(IntPredicate::ULT, self.thread.into(), self.i.index(count.into()).into())
    }

    fn load(&self, dtype: DType, place: PointerValue<'c>) -> Emitted<Value<'c>> {
        let place = self.machine.access(self.i, place, dtype.size() as u32, false)?;
        self.i.load(dtype, place)
    }

    fn store(&self, dtype: DType, place: PointerValue<'c>, value: Value<'c>) -> Emitted<()> {
        let place = self.machine.access(self.i, place, dtype.size() as u32, true)?;
        self.i.store(dtype, place, value)
    }
}

/// An element of its bits.
fn from_bits<'c>(i: &Instructions<'c>, bits: IntValue<'c>, dtype: DType) -> Emitted<Value<'c>> {
    let same_size = i.context.custom_width_int_type(bit_width(dtype)).expect("elements have 1 to 64 bits");
    let narrow = if dtype.size() == 8 { bits } else { i.builder.build_int_truncate(bits, same_size, "")? };
    if dtype.is_float() { i.convert(Opcode::BitCast, narrow.into(), i.element_type(dtype)) } else { Ok(narrow.into()) }
}

/// An element's bits, zero-extended to 64.
fn to_bits<'c>(i: &Instructions<'c>, value: Value<'c>, dtype: DType) -> Emitted<IntValue<'c>> {
    let same_size = i.context.custom_width_int_type(bit_width(dtype)).expect("elements have 1 to 64 bits");
    let bits = if dtype.is_float() { i.convert(Opcode::BitCast, value, same_size.into())? } else { value };
    let bits = bits.into_int_value();
    if dtype.size() == 8 { Ok(bits) } else { i.builder.build_int_z_extend(bits, i.context.i64_type(), "") }
}

/// Bits of an element while it is computed with.
fn bit_width(dtype: DType) -> std::num::NonZeroU32 {
    let bits = if dtype == DType::Bool { 1 } else { dtype.bits() };
    std::num::NonZeroU32::new(bits).expect("elements have bits")
}
