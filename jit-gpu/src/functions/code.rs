//! Code of a GPU function that is written by hand: integers, memory that is shared or the device's, and what threads do together.
//!
//! Integers are unsigned. A number beside an integer has its type. Indices into shared memory have 32 bits, those into device
//! memory 64.

use crate::{
    emit::machine::{Machine, Target},
    schedule::{THREADS, WARP},
};
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::{Emitted, Instructions};
use inkwell::{
    IntPredicate,
    types::IntType,
    values::{IntValue, PointerValue},
};

/// An integer of a function.
pub(super) type Int<'c> = IntValue<'c>;

/// A function while it is emitted.
pub(super) struct Code<'m, 'c> {
    pub i: &'m Instructions<'c>,
    pub machine: Machine<'c>,
    /// The thread's number in its block.
    pub thread: Int<'c>,
}

/// An operand beside an integer: another one of its type, or a number.
pub(super) trait Term<'c> {
    fn like(self, other: Int<'c>) -> Int<'c>;
}

impl<'c> Term<'c> for Int<'c> {
    fn like(self, _: Int<'c>) -> Int<'c> {
        self
    }
}

impl<'c> Term<'c> for u64 {
    fn like(self, other: Int<'c>) -> Int<'c> {
        other.get_type().const_int(self, false)
    }
}

/// Elements in shared memory, from a byte on: of so many bytes, with a gap behind every 16. Threads that go through neighbours in
/// steps of their own would else all meet in one bank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pub start: u32,
    pub bytes: u32,
}

impl Shared {
    /// Bytes of so many elements.
    pub const fn room(count: u32, bytes: u32) -> u32 {
        ((count + count / 16) * bytes).next_multiple_of(16)
    }
}

impl<'m, 'c> Code<'m, 'c> {
    /// Begins a function of so many words as arguments.
    pub fn begin(
        i: &'m Instructions<'c>,
        target: Target,
        name: &str,
        words: u32,
        shared_bytes: u32,
    ) -> Emitted<Code<'m, 'c>> {
        let machine = Machine::begin(i, target, name, words, shared_bytes, THREADS)?;
        let thread = machine.thread(i)?;
        let thread = i.builder.build_int_truncate(thread, i.context.i32_type(), "")?;
        Ok(Code { i, machine, thread })
    }

    /// The type of an element's bits while it is computed with.
    pub fn word(&self, bytes: u32) -> IntType<'c> {
        if bytes == 8 { self.i.context.i64_type() } else { self.i.context.i32_type() }
    }

    /// A number of 32 bits.
    pub fn number(&self, value: u32) -> Int<'c> {
        self.i.context.i32_type().const_int(value.into(), false)
    }

    /// An argument's 64 bits.
    pub fn argument(&self, number: u32) -> Emitted<Int<'c>> {
        self.machine.argument(self.i, number)
    }

    /// An argument's lower 32 bits.
    pub fn small(&self, number: u32) -> Emitted<Int<'c>> {
        self.narrow(self.argument(number)?, self.i.context.i32_type())
    }

    pub fn narrow(&self, x: Int<'c>, to: IntType<'c>) -> Emitted<Int<'c>> {
        if x.get_type() == to { Ok(x) } else { self.i.builder.build_int_truncate(x, to, "") }
    }

    /// The same with 64 bits.
    pub fn wide(&self, x: Int<'c>) -> Emitted<Int<'c>> {
        let to = self.i.context.i64_type();
        if x.get_type() == to { Ok(x) } else { self.i.builder.build_int_z_extend(x, to, "") }
    }

    pub fn add(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_add(x, y.like(x), "")
    }
    pub fn sub(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_sub(x, y.like(x), "")
    }
    pub fn mul(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_mul(x, y.like(x), "")
    }
    pub fn div(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_unsigned_div(x, y.like(x), "")
    }
    pub fn rem(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_unsigned_rem(x, y.like(x), "")
    }
    pub fn and(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_and(x, y.like(x), "")
    }
    pub fn or(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_or(x, y.like(x), "")
    }
    pub fn xor(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_xor(x, y.like(x), "")
    }
    pub fn left(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_left_shift(x, y.like(x), "")
    }
    pub fn right(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_right_shift(x, y.like(x), false, "")
    }
    pub fn less(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_compare(IntPredicate::ULT, x, y.like(x), "")
    }
    pub fn equal(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_compare(IntPredicate::EQ, x, y.like(x), "")
    }
    pub fn differ(&self, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        self.i.builder.build_int_compare(IntPredicate::NE, x, y.like(x), "")
    }
    pub fn select(&self, condition: Int<'c>, x: Int<'c>, y: impl Term<'c>) -> Emitted<Int<'c>> {
        Ok(self.i.builder.build_select(condition, x, y.like(x), "")?.into_int_value())
    }
    pub fn least(&self, x: Int<'c>, y: Int<'c>) -> Emitted<Int<'c>> {
        self.select(self.less(x, y)?, x, y)
    }

    /// What `then` emits, where the condition is true.
    pub fn when(&self, condition: Int<'c>, then: impl FnOnce() -> Emitted<()>) -> Emitted<()> {
        let (yes, after) = (self.i.block("then"), self.i.block("after"));
        self.i.branch(condition.into(), yes, after)?;
        self.i.switch_to(yes);
        then()?;
        self.i.jump(after)?;
        self.i.switch_to(after);
        Ok(())
    }

    /// What `given` emits where the condition is true, else `other`.
    pub fn when_else(
        &self,
        condition: Int<'c>,
        given: impl FnOnce() -> Emitted<Int<'c>>,
        other: impl Term<'c>,
    ) -> Emitted<Int<'c>> {
        let (before, yes, after) = (self.i.here(), self.i.block("then"), self.i.block("after"));
        self.i.branch(condition.into(), yes, after)?;
        self.i.switch_to(yes);
        let value = given()?;
        let last = self.i.here();
        self.i.jump(after)?;
        self.i.switch_to(after);
        let incoming = [(other.like(value).into(), before), (value.into(), last)];
        Ok(self.i.phi(&incoming)?.as_basic_value().into_int_value())
    }

    /// The numbers below `count` (64 bits) that are this block's: its own, and then as many on as there are blocks.
    pub fn for_each_of_block(&self, count: Int<'c>, body: impl FnOnce(Int<'c>) -> Emitted<()>) -> Emitted<()> {
        let (first, blocks) = (self.machine.block(self.i)?, self.machine.blocks(self.i)?);
        self.i.counted_loop(first, count, blocks, &[], |number, _| body(number).map(|()| Vec::new()))?;
        Ok(())
    }

    /// The numbers below `count` (64 bits) that are this thread's, of all threads there are.
    pub fn for_each_of_thread(&self, count: Int<'c>, body: impl FnOnce(Int<'c>) -> Emitted<()>) -> Emitted<()> {
        let (block, blocks) = (self.machine.block(self.i)?, self.machine.blocks(self.i)?);
        let first = self.add(self.mul(block, u64::from(THREADS))?, self.wide(self.thread)?)?;
        let threads = self.mul(blocks, u64::from(THREADS))?;
        self.i.counted_loop(first, count, threads, &[], |number, _| body(number).map(|()| Vec::new()))?;
        Ok(())
    }

    /// An argument that is an address in device memory.
    pub fn pointer(&self, number: u32) -> Emitted<PointerValue<'c>> {
        self.machine.pointer(self.i, number)
    }

    /// An element in device memory.
    pub fn load(&self, bytes: u32, from: PointerValue<'c>, index: Int<'c>) -> Emitted<Int<'c>> {
        self.load_at(bytes, self.i.element(unsigned(bytes), from, index)?)
    }

    pub fn store(&self, bytes: u32, to: PointerValue<'c>, index: Int<'c>, value: Int<'c>) -> Emitted<()> {
        self.store_at(bytes, self.i.element(unsigned(bytes), to, index)?, value)
    }

    /// An element in shared memory.
    pub fn load_shared(&self, from: Shared, index: Int<'c>) -> Emitted<Int<'c>> {
        self.load_at(from.bytes, self.place(from, index)?)
    }

    pub fn store_shared(&self, to: Shared, index: Int<'c>, value: Int<'c>) -> Emitted<()> {
        self.store_at(to.bytes, self.place(to, index)?, value)
    }

    fn place(&self, memory: Shared, index: Int<'c>) -> Emitted<PointerValue<'c>> {
        let index = self.add(index, self.right(index, 4)?)?;
        self.i.element(unsigned(memory.bytes), self.machine.shared(self.i, memory.start)?, index)
    }

    fn load_at(&self, bytes: u32, place: PointerValue<'c>) -> Emitted<Int<'c>> {
        let place = self.machine.access(self.i, place, bytes, false)?;
        let value = self.i.load(unsigned(bytes), place)?.into_int_value();
        let to = self.word(bytes);
        if bytes < 4 { self.i.builder.build_int_z_extend(value, to, "") } else { Ok(value) }
    }

    fn store_at(&self, bytes: u32, place: PointerValue<'c>, value: Int<'c>) -> Emitted<()> {
        let place = self.machine.access(self.i, place, bytes, true)?;
        let value = self.narrow(value, self.i.memory_type(unsigned(bytes)).into_int_type())?;
        self.i.store(unsigned(bytes), place, value.into())
    }

    pub fn barrier(&self) -> Emitted<()> {
        self.machine.wait(self.i, THREADS)
    }

    /// The value that the thread has whose number in the warp differs in these bits.
    fn exchange(&self, value: Int<'c>, bits: u32) -> Emitted<Int<'c>> {
        if value.get_type().get_bit_width() == 32 {
            return self.machine.exchange(self.i, value, bits, THREADS);
        }
        let half = self.i.context.i32_type();
        let low = self.machine.exchange(self.i, self.narrow(value, half)?, bits, THREADS)?;
        let high = self.machine.exchange(self.i, self.narrow(self.right(value, 32)?, half)?, bits, THREADS)?;
        self.or(self.wide(low)?, self.left(self.wide(high)?, 32)?)
    }

    /// The sum of what the threads before have, and that of all threads. `warps` has room for an element a warp; all threads have
    /// waited for each other since they used it.
    pub fn scan(&self, own: Int<'c>, warps: Shared) -> Emitted<(Int<'c>, Int<'c>)> {
        let (mut before, mut total) = (own.get_type().const_zero(), own);
        let mut distance = 1;
        while distance < WARP {
            let other = self.exchange(total, distance)?;
            let behind = self.differ(self.and(self.thread, u64::from(distance))?, 0)?;
            before = self.select(behind, self.add(before, other)?, before)?;
            total = self.add(total, other)?;
            distance *= 2;
        }
        let sums = self.of_warps(total, warps)?;
        let mut all = own.get_type().const_zero();
        let warp = self.right(self.thread, u64::from(WARP.trailing_zeros()))?;
        for (number, &sum) in sums.iter().enumerate() {
            let earlier = self.less(self.number(number as u32), warp)?;
            before = self.select(earlier, self.add(before, sum)?, before)?;
            all = self.add(all, sum)?;
        }
        Ok((before, all))
    }

    /// The bits that any thread has. `warps` as for [`Code::scan`].
    pub fn any_bits(&self, own: Int<'c>, warps: Shared) -> Emitted<Int<'c>> {
        let (mut bits, mut distance) = (own, 1);
        while distance < WARP {
            bits = self.or(bits, self.exchange(bits, distance)?)?;
            distance *= 2;
        }
        let all = self.of_warps(bits, warps)?;
        all[1..].iter().try_fold(all[0], |bits, &other| self.or(bits, other))
    }

    /// What each warp has, whose threads all have the same.
    fn of_warps(&self, own: Int<'c>, warps: Shared) -> Emitted<Vec<Int<'c>>> {
        let first = self.equal(self.and(self.thread, u64::from(WARP - 1))?, 0)?;
        let warp = self.right(self.thread, u64::from(WARP.trailing_zeros()))?;
        let bytes = own.get_type().get_bit_width() / 8;
        let warps = Shared { bytes, ..warps };
        self.when(first, || self.store_shared(warps, warp, own))?;
        self.barrier()?;
        (0..THREADS / WARP).map(|number| self.load_shared(warps, self.number(number))).collect()
    }
}

/// Elements of so many bytes.
fn unsigned(bytes: u32) -> DType {
    match bytes {
        1 => DType::U8,
        2 => DType::U16,
        4 => DType::U32,
        _ => DType::U64,
    }
}
