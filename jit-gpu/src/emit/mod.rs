//! A phase of a kernel as a GPU kernel, for PTX and for the emulator: its items over threads or blocks, by the schedule.
//!
//! A GPU kernel has one argument, a list of 64-bit words: the addresses of the buffers, the integers, the scalar parameters,
//! then what [`Extra`] says. Code that a block goes through together computes the same in each of its threads, but for the
//! iterations of vector loops, which are dealt to them, and for stores, which thread 0 makes.

mod body;
mod fold;
pub(crate) mod machine;
mod native;
mod pack;

use crate::{
    driver::Source,
    schedule::{Schedule, THREADS, Worker},
};
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::{Emitted, Instructions, Value};
use fusewire_lowering::kernel::{IntId, Kernel, Phase, VarId};
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
            Source::Phase(kernel, _) => kernel.name.clone(),
            Source::Function(function) => function.name().into(),
        }
    }

    /// How many words its arguments are, and how many of them, in front, are addresses.
    pub(crate) fn words(self) -> (usize, usize) {
        match self {
            Source::Phase(kernel, _) => (argument_count(kernel) as usize, kernel.buffers.len()),
            Source::Function(function) => function.words(),
        }
    }

    /// Emits it as a function of this name.
    pub(crate) fn emit(self, i: &Instructions<'_>, target: Target, name: &str) -> Emitted<()> {
        match self {
            Source::Phase(kernel, number) => {
                let phase = &kernel.phases[number];
                self::phase(i, kernel, phase, &Schedule::of(kernel, phase), target, name)
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
    let machine =
        Machine::begin(i, target, name, argument_count(kernel), schedule.shared_bytes, THREADS, schedule.folds)?;
    let mut emitter = Emitter::begin(i, kernel, schedule, machine)?;
    emitter.items(phase)?;
    i.builder.build_return(None)?;
    Ok(())
}

/// Is the code at hand the whole block's, or a thread's own?
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
    /// The thread's number in its block.
    thread: IntValue<'c>,
    /// The arguments.
    buffers: Vec<PointerValue<'c>>,
    ints: Vec<IntValue<'c>>,
    params: Vec<Value<'c>>,
    fault: PointerValue<'c>,
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
        Ok(Emitter {
            i,
            kernel,
            schedule,
            mode: if schedule.worker == Worker::Block { Mode::Together } else { Mode::Alone },
            thread: machine.thread(i)?,
            buffers: (0..buffers).map(|number| machine.pointer(i, number)).collect::<Emitted<_>>()?,
            ints: (0..ints).map(|number| machine.argument(i, buffers + number)).collect::<Emitted<_>>()?,
            params: (0..kernel.params.len()).map(param).collect::<Emitted<_>>()?,
            fault: machine.pointer(i, rest + Extra::Fault as u32)?,
            machine,
            packed: None,
            vars: vec![None; kernel.vars as usize],
            values: vec![None; kernel.values.len()],
        })
    }

    /// The items that are this worker's: its own number, and then as many on as there are workers.
    fn items(&mut self, phase: &Phase) -> Emitted<()> {
        let i = self.i;
        let extents: Vec<IntValue<'c>> = phase.dims.iter().map(|&(_, extent)| self.int(extent)).collect();
        let mut count = i.index(1);
        for &extent in &extents {
            count = i.builder.build_int_mul(count, extent, "")?;
        }
        let (mut first, mut workers) = (self.machine.block(i)?, self.machine.blocks(i)?);
        if self.schedule.worker == Worker::Thread {
            let threads = i.index(THREADS.into());
            first = i.builder.build_int_add(i.builder.build_int_mul(first, threads, "")?, self.thread, "")?;
            workers = i.builder.build_int_mul(workers, threads, "")?;
        }
        self.place_scratch(first)?;
        i.counted_loop(first, count, workers, &[], |item, _| {
            let mut rest = item;
            for (number, &(var, _)) in phase.dims.iter().enumerate().rev() {
                let index =
                    if number == 0 { rest } else { i.builder.build_int_unsigned_rem(rest, extents[number], "")? };
                self.vars[var.0 as usize] = Some(index);
                if number > 0 {
                    rest = i.builder.build_int_unsigned_div(rest, extents[number], "")?;
                }
            }
            self.block(&phase.body)?;
            Ok(Vec::new())
        })?;
        Ok(())
    }

    /// Each worker's scratch in device memory.
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
                Some(Place::Shared(offset)) => self.buffers[number] = self.machine.shared(i, offset)?,
            }
        }
        Ok(())
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
