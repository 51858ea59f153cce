//! What the two targets do differently: who a thread is, waiting for the others, reaching memory. Everything else of the emitted
//! code is the same text.
//!
//! PTX has instructions and address spaces for it. The emulator's code calls the emulator, which is also asked where every
//! element is, so that it sees each access.

use crate::schedule::WARP;
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::{Emitted, Instructions, Value};
use inkwell::{
    AddressSpace,
    attributes::AttributeLoc,
    types::BasicMetadataTypeEnum,
    values::{FunctionValue, IntValue, PointerValue},
};

/// What code is emitted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A GPU of NVIDIA's.
    Ptx,
    /// The emulator, on this machine.
    Emulator,
}

/// What a word and a value become, in whatever order threads come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Atomic {
    /// The greater one, unsigned.
    Max,
    /// All bits that one of them has.
    Or,
}

/// A bit for each thread of a warp.
const EVERYBODY: u32 = u32::MAX;

/// Global memory in PTX.
const GLOBAL: u16 = 1;
/// Shared memory in PTX.
const SHARED: u16 = 3;
/// Blocks that a multiprocessor must have room for at once. Not told, the assembler makes room for many more and
/// keeps accumulators and what is loaded ahead in memory for it; told 4, it takes the registers that it needs, up to 128, and keeps more loads under way.
const RESIDENT_BLOCKS: u32 = 4;
/// How PTX calls what the host launches.
const PTX_KERNEL: u32 = 71;

/// A target, while a function is emitted for it.
pub(crate) struct Machine<'c> {
    target: Target,
    /// The emulator's thread.
    thread: Option<PointerValue<'c>>,
    /// Shared memory's first byte.
    shared: Option<PointerValue<'c>>,
    arguments: PointerValue<'c>,
    argument_count: u32,
}

impl<'c> Machine<'c> {
    /// Begins a kernel of so many arguments of 64 bits, and emits at its entry.
    pub fn begin(
        i: &Instructions<'c>,
        target: Target,
        name: &str,
        argument_count: u32,
        shared_bytes: u32,
        threads: u32,
    ) -> Emitted<Machine<'c>> {
        let pointer = i.context.ptr_type(AddressSpace::default());
        let parameters: Vec<BasicMetadataTypeEnum<'c>> = match target {
            Target::Ptx => vec![pointer.into()],
            Target::Emulator => vec![pointer.into(); 2],
        };
        let function = i.module.add_function(name, i.context.void_type().fn_type(&parameters, false), None);
        let arguments = function.get_nth_param(0).expect("a kernel has arguments").into_pointer_value();
        i.switch_to(i.context.append_basic_block(function, "entry"));
        let (mut thread, mut shared) = (None, None);
        match target {
            Target::Ptx => {
                function.set_call_conventions(PTX_KERNEL);
                let kind = i.context.i64_type().array_type(argument_count);
                let id = inkwell::attributes::Attribute::get_named_enum_kind_id;
                let byval = i.context.create_type_attribute(id("byval"), kind.into());
                let align = i.context.create_enum_attribute(id("align"), 8);
                function.add_attribute(AttributeLoc::Param(0), byval);
                function.add_attribute(AttributeLoc::Param(0), align);
                let attribute = i.context.create_string_attribute("nvvm.reqntid", &threads.to_string());
                function.add_attribute(AttributeLoc::Function, attribute);
                let blocks = RESIDENT_BLOCKS.to_string();
                let attribute = i.context.create_string_attribute("nvvm.minctasm", &blocks);
                function.add_attribute(AttributeLoc::Function, attribute);
                if shared_bytes > 0 {
                    let kind = i.context.i8_type().array_type(shared_bytes);
                    let global = i.module.add_global(kind, Some(AddressSpace::from(SHARED)), "shared");
                    global.set_linkage(inkwell::module::Linkage::Internal);
                    global.set_initializer(&kind.get_undef());
                    global.set_alignment(16);
                    shared = Some(global.as_pointer_value());
                }
            }
            Target::Emulator => {
                let own = function.get_nth_param(1).expect("the emulator says which thread it is").into_pointer_value();
                thread = Some(own);
            }
        }
        let mut machine = Machine { target, thread, shared, arguments, argument_count };
        if target == Target::Emulator {
            let address = machine.field(i, 3)?;
            machine.shared = Some(i.builder.build_int_to_ptr(address, pointer, "")?);
        }
        Ok(machine)
    }

    /// A word of the emulator's `Thread`.
    fn field(&self, i: &Instructions<'c>, number: u64) -> Emitted<IntValue<'c>> {
        let thread = self.thread.expect("the emulator's code has a thread");
        let place = i.offset(thread, i.context.i64_type().const_int(number * 8, false))?;
        Ok(i.builder.build_load(i.context.i64_type(), place, "")?.into_int_value())
    }

    fn register(&self, i: &Instructions<'c>, name: &str, field: u64) -> Emitted<IntValue<'c>> {
        match self.target {
            Target::Emulator => self.field(i, field),
            Target::Ptx => {
                let read = i.call_intrinsic(&format!("nvvm.read.ptx.sreg.{name}"), &[], &[])?;
                let narrow = read.expect("a register has a value").into_int_value();
                i.builder.build_int_z_extend(narrow, i.context.i64_type(), "")
            }
        }
    }

    /// The thread's number in its block.
    pub fn thread(&self, i: &Instructions<'c>) -> Emitted<IntValue<'c>> {
        self.register(i, "tid.x", 0)
    }

    /// The block's number.
    pub fn block(&self, i: &Instructions<'c>) -> Emitted<IntValue<'c>> {
        self.register(i, "ctaid.x", 1)
    }

    /// How many blocks there are.
    pub fn blocks(&self, i: &Instructions<'c>) -> Emitted<IntValue<'c>> {
        self.register(i, "nctaid.x", 2)
    }

    /// An argument's 64 bits.
    pub fn argument(&self, i: &Instructions<'c>, number: u32) -> Emitted<IntValue<'c>> {
        debug_assert!(number < self.argument_count, "a kernel has as many arguments as were declared");
        let place = i.offset(self.arguments, i.index(i64::from(number) * 8))?;
        Ok(i.builder.build_load(i.context.i64_type(), place, "")?.into_int_value())
    }

    /// An argument that is an address in device memory.
    pub fn pointer(&self, i: &Instructions<'c>, number: u32) -> Emitted<PointerValue<'c>> {
        let space = match self.target {
            Target::Ptx => AddressSpace::from(GLOBAL),
            Target::Emulator => AddressSpace::default(),
        };
        i.builder.build_int_to_ptr(self.argument(i, number)?, i.context.ptr_type(space), "")
    }

    /// A place in the block's shared memory.
    pub fn shared(&self, i: &Instructions<'c>, offset: u32) -> Emitted<PointerValue<'c>> {
        let shared = self.shared.expect("a schedule that uses shared memory says so");
        i.offset(shared, i.index(offset.into()))
    }

    /// Waits until all threads of the team, of so many, are here; what they have written is seen by all of them from then on.
    pub fn wait(&self, i: &Instructions<'c>, width: u32) -> Emitted<()> {
        match self.target {
            Target::Ptx if width > WARP => {
                let zero = i.context.i32_type().const_zero();
                i.call_intrinsic("nvvm.barrier.cta.sync.aligned.all", &[], &[zero.into()])?;
            }
            Target::Ptx => {
                let team = self.threads_of_team(i, width)?;
                i.call_intrinsic("nvvm.bar.warp.sync", &[], &[team.into()])?;
            }
            Target::Emulator => {
                self.call(i, "simt_barrier", &[])?;
            }
        }
        Ok(())
    }

    /// The value (an integer of 32 bits) that the thread has whose number differs in these bits. All threads of the team, of so
    /// many, ask at once.
    pub fn exchange(&self, i: &Instructions<'c>, value: IntValue<'c>, bits: u32, width: u32) -> Emitted<IntValue<'c>> {
        match self.target {
            Target::Ptx => {
                let bits = i.context.i32_type().const_int(bits.into(), false);
                self.shuffle(i, "nvvm.shfl.sync.bfly.i32", value, bits, width)
            }
            Target::Emulator => {
                let other = i.builder.build_xor(self.thread(i)?, i.index(bits.into()), "")?;
                self.give_and_take(i, value, other)
            }
        }
    }

    /// As [`Machine::exchange`], of the thread with this number in the team, which is one of a warp at most.
    pub fn take(
        &self,
        i: &Instructions<'c>,
        value: IntValue<'c>,
        from: IntValue<'c>,
        width: u32,
    ) -> Emitted<IntValue<'c>> {
        let first = i.builder.build_and(self.thread(i)?, i.index(-i64::from(width)), "")?;
        let from = i.builder.build_or(first, from, "")?;
        match self.target {
            Target::Ptx => {
                let in_warp = i.builder.build_and(from, i.index(i64::from(WARP) - 1), "")?;
                let in_warp = i.builder.build_int_truncate(in_warp, i.context.i32_type(), "")?;
                self.shuffle(i, "nvvm.shfl.sync.idx.i32", value, in_warp, width)
            }
            Target::Emulator => self.give_and_take(i, value, from),
        }
    }

    fn shuffle(
        &self,
        i: &Instructions<'c>,
        name: &str,
        value: IntValue<'c>,
        which: IntValue<'c>,
        width: u32,
    ) -> Emitted<IntValue<'c>> {
        let last = i.context.i32_type().const_int(u64::from(WARP) - 1, false);
        let operands = [self.threads_of_team(i, width)?, value, which, last].map(Into::into);
        let got = i.call_intrinsic(name, &[], &operands)?;
        Ok(got.expect("a shuffle has a result").into_int_value())
    }

    fn give_and_take(&self, i: &Instructions<'c>, value: IntValue<'c>, from: IntValue<'c>) -> Emitted<IntValue<'c>> {
        let got = self.call(i, "simt_exchange", &[value.into(), from.into()])?;
        Ok(got.expect("an exchange has a result").into_int_value())
    }

    /// A bit for each thread of a warp: those of the team, or all where it has more.
    fn threads_of_team(&self, i: &Instructions<'c>, width: u32) -> Emitted<IntValue<'c>> {
        let i32 = i.context.i32_type();
        if width >= WARP {
            return Ok(i32.const_int(EVERYBODY.into(), false));
        }
        let first = i.builder.build_and(self.thread(i)?, i.index(i64::from(WARP - width)), "")?;
        let first = i.builder.build_int_truncate(first, i32, "")?;
        i.builder.build_left_shift(i32.const_int((1 << width) - 1, false), first, "")
    }

    /// Where an access to so many bytes of device or shared memory goes.
    pub fn access(
        &self,
        i: &Instructions<'c>,
        place: PointerValue<'c>,
        bytes: u32,
        write: bool,
    ) -> Emitted<PointerValue<'c>> {
        match self.target {
            Target::Ptx => Ok(place),
            Target::Emulator => {
                let i32 = i.context.i32_type();
                let (bytes, write) = (i32.const_int(bytes.into(), false), i32.const_int(write.into(), false));
                let found = self.call(i, "simt_access", &[place.into(), bytes.into(), write.into()])?;
                Ok(found.expect("the emulator gives an address").into_pointer_value())
            }
        }
    }

    /// Makes a word of 64 bits in device memory something of itself and a value, whoever else does so too.
    pub fn atomic(
        &self,
        i: &Instructions<'c>,
        what: Atomic,
        place: PointerValue<'c>,
        value: IntValue<'c>,
    ) -> Emitted<()> {
        match self.target {
            Target::Ptx => {
                let op = match what {
                    Atomic::Max => inkwell::AtomicRMWBinOp::UMax,
                    Atomic::Or => inkwell::AtomicRMWBinOp::Or,
                };
                i.builder.build_atomicrmw(op, place, value, inkwell::AtomicOrdering::Monotonic)?;
            }
            // The emulator's threads give way to each other at barriers and exchanges only.
            Target::Emulator => {
                let (from, to) = (self.access(i, place, 8, false)?, self.access(i, place, 8, true)?);
                let old = i.load(DType::U64, from)?;
                let new = match what {
                    Atomic::Max => i.intrinsic("umax", &[old, value.into()])?,
                    Atomic::Or => i.builder.build_or(old.into_int_value(), value, "")?.into(),
                };
                i.store(DType::U64, to, new)?;
            }
        }
        Ok(())
    }

    /// A function of the emulator, whose first argument is the thread.
    pub fn call(&self, i: &Instructions<'c>, name: &str, operands: &[Value<'c>]) -> Emitted<Option<Value<'c>>> {
        let thread = self.thread.expect("the emulator's code has a thread");
        let operands: Vec<Value<'c>> = std::iter::once(thread.into()).chain(operands.iter().copied()).collect();
        let function = i.module.get_function(name).unwrap_or_else(|| declare(i, name, &operands));
        let operands: Vec<_> = operands.into_iter().map(Into::into).collect();
        Ok(i.builder.build_call(function, &operands, "")?.try_as_basic_value().basic())
    }
}

fn declare<'c>(i: &Instructions<'c>, name: &str, operands: &[Value<'c>]) -> FunctionValue<'c> {
    let parameters: Vec<BasicMetadataTypeEnum<'c>> = operands.iter().map(|operand| operand.get_type().into()).collect();
    let kind = match name {
        "simt_access" => i.context.ptr_type(AddressSpace::default()).fn_type(&parameters, false),
        "simt_exchange" => i.context.i32_type().fn_type(&parameters, false),
        _ => i.context.void_type().fn_type(&parameters, false),
    };
    i.module.add_function(name, kind, None)
}
