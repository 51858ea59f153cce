//! Addresses, loads and stores: of elements and of vectors, whose lanes lie beside each other, a stride apart, or anywhere;
//! of all lanes, or of those of a mask.
//!
//! Memory is aligned to its elements and no further. Bool is a byte there. Nothing is read or written beyond the lanes
//! that are meant.

use crate::instructions::{Emitted, Instructions, Value, metadata, vector_type, wide_type};
use fusewire_ir::{dtype::DType, ops::ScalarOp};
use inkwell::{
    attributes::{Attribute, AttributeLoc},
    llvm_sys::core::LLVMBuildGEP2,
    types::{AsTypeRef, BasicTypeEnum},
    values::{AsValueRef, BasicValue, CallSiteValue, IntValue, PointerValue, VectorValue},
};

/// Bytes that a strided load of neighbours may span: longer shuffles cost LLVM more than gathering costs the machine.
const SPREAD: usize = 256;

/// How an access moves from one lane to the next.
#[derive(Clone, Copy, Debug)]
pub enum Step<'c> {
    /// By elements, known when compiling.
    Const(i64),
    /// By elements, known when the code runs.
    Run(IntValue<'c>),
}

impl<'c> Instructions<'c> {
    /// The address so many bytes on.
    pub fn offset(&self, pointer: PointerValue<'c>, bytes: IntValue<'c>) -> Emitted<PointerValue<'c>> {
        // SAFETY: emits an addition; whether the address is one of the buffer's elements is the kernel's promise.
        unsafe { self.builder.build_gep(self.context.i8_type(), pointer, &[bytes], "") }
    }

    /// The address so many elements on.
    pub fn element(&self, dtype: DType, pointer: PointerValue<'c>, index: IntValue<'c>) -> Emitted<PointerValue<'c>> {
        // SAFETY: as in `offset`.
        unsafe { self.builder.build_gep(self.memory_type(dtype), pointer, &[index], "") }
    }

    /// The addresses of lanes so many elements on, one a lane.
    pub fn elements(
        &self,
        dtype: DType,
        pointer: PointerValue<'c>,
        indices: VectorValue<'c>,
    ) -> Emitted<VectorValue<'c>> {
        let (mut index, kind) = (indices.as_value_ref(), self.memory_type(dtype));
        // SAFETY: an instruction of valid values of this module, at the builder's place. (inkwell's own takes no vectors.)
        unsafe {
            let (builder, kind) = (self.builder.as_mut_ptr(), kind.as_type_ref());
            let pointers = LLVMBuildGEP2(builder, kind, pointer.as_value_ref(), &mut index, 1, c"".as_ptr());
            Ok(VectorValue::new(pointers))
        }
    }

    /// Loads an element.
    pub fn load(&self, dtype: DType, pointer: PointerValue<'c>) -> Emitted<Value<'c>> {
        let value = self.load_aligned(self.memory_type(dtype), dtype, pointer)?;
        self.loaded(dtype, value)
    }

    /// Loads a vector of lanes from a pointer on, of a mask's lanes only, among them the first; the others have 0 or one of
    /// their elements.
    pub fn load_lanes(
        &self,
        dtype: DType,
        pointer: PointerValue<'c>,
        step: Step<'c>,
        lanes: u32,
        mask: Option<VectorValue<'c>>,
    ) -> Emitted<Value<'c>> {
        let kind = vector_type(self.memory_type(dtype), lanes);
        let value = match (step, mask) {
            (Step::Const(1), None) => self.load_aligned(kind.into(), dtype, pointer)?,
            (Step::Const(1), Some(mask)) => {
                let zero = kind.const_zero();
                let function = self.intrinsic_function("masked.load", &[kind.into(), pointer.get_type().into()]);
                let operands = [pointer.into(), mask.into(), zero.into()];
                let call = self.builder.build_call(function, &metadata(&operands), "")?;
                self.align_argument(call, 0, dtype);
                call.try_as_basic_value().unwrap_basic()
            }
            (Step::Const(-1), None) => {
                let lowest = self.element(dtype, pointer, self.index(1 - i64::from(lanes)))?;
                let forward = self.load_aligned(kind.into(), dtype, lowest)?.into_vector_value();
                self.shuffle(forward, None, (0..lanes).rev())?.into()
            }
            (Step::Const(step @ 2..=4), None) if lanes as usize * step as usize * dtype.size() <= SPREAD => {
                self.load_spread(dtype, pointer, step as u32, lanes)?.into()
            }
            (step, mask) => {
                let pointers = self.lane_pointers(dtype, pointer, step, lanes)?;
                return self.gather(dtype, pointers, mask);
            }
        };
        self.loaded(dtype, value)
    }

    /// Asks for what lies so many bytes behind an address.
    pub fn prefetch(&self, pointer: PointerValue<'c>, bytes: i64) -> Emitted<()> {
        let ahead = self.offset(pointer, self.index(bytes))?;
        let function = self.intrinsic_function("prefetch", &[pointer.get_type().into()]);
        let number = |value| self.context.i32_type().const_int(value, false);
        // To read, into all caches, data.
        let operands = [ahead.into(), number(0).into(), number(3).into(), number(1).into()];
        self.builder.build_call(function, &metadata(&operands), "")?;
        Ok(())
    }

    /// Every so many-th element: two loads of neighbours that end with the last element, and a shuffle.
    fn load_spread(&self, dtype: DType, pointer: PointerValue<'c>, step: u32, lanes: u32) -> Emitted<VectorValue<'c>> {
        let span = (lanes - 1) * step + 1;
        let half = 1 << span.ilog2();
        let kind = vector_type(self.memory_type(dtype), half).into();
        let last = self.element(dtype, pointer, self.index(i64::from(span - half)))?;
        let low = self.load_aligned(kind, dtype, pointer)?.into_vector_value();
        let high = self.load_aligned(kind, dtype, last)?.into_vector_value();
        let place = |lane: u32| match lane * step {
            element if element < half => element,
            element => element - (span - half) + half,
        };
        self.shuffle(low, Some(high), (0..lanes).map(place))
    }

    /// Loads an element a lane from anywhere, of a mask's lanes only, among them the first.
    pub fn gather(&self, dtype: DType, pointers: VectorValue<'c>, mask: Option<VectorValue<'c>>) -> Emitted<Value<'c>> {
        let lanes = pointers.get_type().get_size();
        let kind = vector_type(self.memory_type(dtype), lanes);
        let (pointers, mask) = match mask {
            // No machine gathers narrow elements: lane by lane, and a branch for each would take longer than to load the first
            // lane's element for those that are not there.
            Some(mask) if dtype.size() < 4 => {
                let first = self.shuffle(pointers, None, std::iter::repeat_n(0, lanes as usize))?;
                (self.select(mask.into(), pointers.into(), first.into())?.into_vector_value(), self.all_lanes(lanes))
            }
            Some(mask) => (pointers, mask),
            None => (pointers, self.all_lanes(lanes)),
        };
        let function = self.intrinsic_function("masked.gather", &[kind.into(), pointers.get_type().into()]);
        let operands = [pointers.into(), mask.into(), kind.const_zero().into()];
        let call = self.builder.build_call(function, &metadata(&operands), "")?;
        self.align_argument(call, 0, dtype);
        self.loaded(dtype, call.try_as_basic_value().unwrap_basic())
    }

    /// Stores an element.
    pub fn store(&self, dtype: DType, pointer: PointerValue<'c>, value: Value<'c>) -> Emitted<()> {
        let value = self.stored(dtype, value)?;
        self.store_aligned(dtype, pointer, value)
    }

    /// Stores a vector from a pointer on, of a mask's lanes only.
    pub fn store_lanes(
        &self,
        dtype: DType,
        pointer: PointerValue<'c>,
        step: Step<'c>,
        value: VectorValue<'c>,
        mask: Option<VectorValue<'c>>,
    ) -> Emitted<()> {
        let value = self.stored(dtype, value.into())?.into_vector_value();
        let lanes = value.get_type().get_size();
        match (step, mask) {
            (Step::Const(1), None) => self.store_aligned(dtype, pointer, value.into()),
            (Step::Const(1), Some(mask)) => {
                let overload = [value.get_type().into(), pointer.get_type().into()];
                let function = self.intrinsic_function("masked.store", &overload);
                let operands = [value.into(), pointer.into(), mask.into()];
                let call = self.builder.build_call(function, &metadata(&operands), "")?;
                self.align_argument(call, 1, dtype);
                Ok(())
            }
            (Step::Const(-1), None) => {
                let lowest = self.element(dtype, pointer, self.index(1 - i64::from(lanes)))?;
                let reversed = self.shuffle(value, None, (0..lanes).rev())?;
                self.store_aligned(dtype, lowest, reversed.into())
            }
            (step, mask) => {
                let pointers = self.lane_pointers(dtype, pointer, step, lanes)?;
                let mask = mask.unwrap_or_else(|| self.all_lanes(lanes));
                let overload = [value.get_type().into(), pointers.get_type().into()];
                let function = self.intrinsic_function("masked.scatter", &overload);
                let operands = [value.into(), pointers.into(), mask.into()];
                let call = self.builder.build_call(function, &metadata(&operands), "")?;
                self.align_argument(call, 1, dtype);
                Ok(())
            }
        }
    }

    /// Stores a vector of neighbours past the caches, to a place that is aligned to so many bytes.
    pub fn stream_lanes(
        &self,
        dtype: DType,
        pointer: PointerValue<'c>,
        value: VectorValue<'c>,
        alignment: u32,
    ) -> Emitted<()> {
        let value = self.stored(dtype, value.into())?;
        let store = self.builder.build_store(pointer, value)?;
        store.set_alignment(alignment).expect("vectors have a power of two of bytes");
        let yes = self.context.metadata_node(&[self.context.i32_type().const_int(1, false).into()]);
        store.set_metadata(yes, self.context.get_kind_id("nontemporal")).expect("stores have metadata");
        Ok(())
    }

    fn lane_pointers(
        &self,
        dtype: DType,
        pointer: PointerValue<'c>,
        step: Step<'c>,
        lanes: u32,
    ) -> Emitted<VectorValue<'c>> {
        let step = match step {
            Step::Const(step) => self.index(step),
            Step::Run(step) => step,
        };
        let indices = self.op(ScalarOp::Multiply, DType::I64, &[self.lane_numbers(lanes), step.into()])?;
        self.elements(dtype, pointer, indices.into_vector_value())
    }

    fn all_lanes(&self, lanes: u32) -> VectorValue<'c> {
        let yes = self.context.bool_type().const_all_ones();
        inkwell::types::VectorType::const_vector(&vec![yes; lanes as usize])
    }

    fn load_aligned(&self, kind: BasicTypeEnum<'c>, dtype: DType, pointer: PointerValue<'c>) -> Emitted<Value<'c>> {
        let value = self.builder.build_load(kind, pointer, "")?;
        if let Some(load) = value.as_instruction_value() {
            load.set_alignment(dtype.size() as u32).expect("the size of an element is a power of two");
        }
        Ok(value)
    }

    fn store_aligned(&self, dtype: DType, pointer: PointerValue<'c>, value: Value<'c>) -> Emitted<()> {
        let store = self.builder.build_store(pointer, value)?;
        store.set_alignment(dtype.size() as u32).expect("the size of an element is a power of two");
        Ok(())
    }

    /// Says how the memory behind an argument of an intrinsic is aligned.
    fn align_argument(&self, call: CallSiteValue<'c>, argument: u32, dtype: DType) {
        let align = Attribute::get_named_enum_kind_id("align");
        let align = self.context.create_enum_attribute(align, dtype.size() as u64);
        call.add_attribute(AttributeLoc::Param(argument), align);
    }

    /// What was loaded as a value: a byte of bool as a truth.
    fn loaded(&self, dtype: DType, value: Value<'c>) -> Emitted<Value<'c>> {
        if dtype == DType::Bool { self.cast(value, DType::U8, DType::Bool) } else { Ok(value) }
    }

    /// A value as it is stored.
    fn stored(&self, dtype: DType, value: Value<'c>) -> Emitted<Value<'c>> {
        if dtype == DType::Bool { self.cast(value, DType::Bool, DType::U8) } else { Ok(value) }
    }

    /// Memory of the function itself, for so many elements in so many vectors.
    pub fn stack(&self, dtype: DType, lanes: u32, vectors: u32) -> Emitted<PointerValue<'c>> {
        let here = self.here();
        let entry = self.function().get_first_basic_block().expect("a function that is being emitted has blocks");
        match entry.get_first_instruction() {
            Some(first) => self.builder.position_before(&first),
            None => self.builder.position_at_end(entry),
        }
        let kind = wide_type(self.memory_type(dtype), lanes);
        let count = self.context.i32_type().const_int(vectors.into(), false);
        let pointer = self.builder.build_array_alloca(kind, count, "");
        self.builder.position_at_end(here);
        pointer
    }
}
