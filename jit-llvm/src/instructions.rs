//! Emitting instructions at one place of one module: types and constants of dtypes, splats, and the instructions that ops and
//! conversions are made of, each on elements and on vectors alike.
//!
//! A value is an LLVM value: an element, or a vector with an element a lane. Bool is `i1` there, and a byte of 0 or 1 in memory.
//! Operands may mix: an element beside a vector stands for the same in every lane.

use fusewire_ir::{dtype::DType, scalar::Scalar};
use inkwell::{
    FloatPredicate, IntPredicate,
    basic_block::BasicBlock,
    builder::{Builder, BuilderError},
    context::Context,
    intrinsics::Intrinsic,
    module::Module,
    types::{BasicType, BasicTypeEnum, VectorType},
    values::{BasicMetadataValueEnum, BasicValue, BasicValueEnum, FunctionValue, InstructionOpcode, VectorValue},
};

/// An element, or a vector of elements.
pub type Value<'c> = BasicValueEnum<'c>;

/// What was emitted. An error is a mistake in this crate's use of LLVM, never one of the kernel's author.
pub type Emitted<T> = Result<T, BuilderError>;

/// A place in a function of a module, where instructions go.
pub struct Instructions<'c> {
    /// LLVM's own memory.
    pub context: &'c Context,
    /// What is being made.
    pub module: Module<'c>,
    /// The place.
    pub builder: Builder<'c>,
}

impl<'c> Instructions<'c> {
    /// A module without functions.
    pub fn new(context: &'c Context, name: &str) -> Instructions<'c> {
        Instructions { context, module: context.create_module(name), builder: context.create_builder() }
    }

    /// The type of an element while it is computed with.
    pub fn element_type(&self, dtype: DType) -> BasicTypeEnum<'c> {
        match dtype {
            DType::Bool => self.context.bool_type().into(),
            _ => self.memory_type(dtype),
        }
    }

    /// The type of an element in memory.
    pub fn memory_type(&self, dtype: DType) -> BasicTypeEnum<'c> {
        match dtype {
            DType::Bool | DType::I8 | DType::U8 => self.context.i8_type().into(),
            DType::I16 | DType::U16 => self.context.i16_type().into(),
            DType::I32 | DType::U32 => self.context.i32_type().into(),
            DType::I64 | DType::U64 => self.context.i64_type().into(),
            DType::F32 => self.context.f32_type().into(),
            DType::F64 => self.context.f64_type().into(),
            DType::F16 | DType::BF16 | DType::C64 | DType::C128 => unreachable!("kernels are verified to have none"),
        }
    }

    /// A constant element.
    pub fn constant(&self, value: Scalar) -> Value<'c> {
        match value.dtype() {
            DType::F32 => self.context.f32_type().const_float(value.as_f64()).into(),
            DType::F64 => self.context.f64_type().const_float(value.as_f64()).into(),
            dtype => self.element_type(dtype).into_int_type().const_int(value.bits(), false).into(),
        }
    }

    /// A number as a constant element of an integer or float dtype.
    pub fn number(&self, dtype: DType, value: i64) -> Value<'c> {
        self.constant(Scalar::from_i64(dtype, value))
    }

    /// An `i64`, as addresses are computed with.
    pub fn index(&self, value: i64) -> inkwell::values::IntValue<'c> {
        self.context.i64_type().const_int(value as u64, true)
    }

    /// An element in so many lanes; a vector stays as it is, and so does everything for one lane.
    pub fn splat(&self, value: Value<'c>, lanes: u32) -> Emitted<Value<'c>> {
        if lanes == 1 || value.is_vector_value() {
            return Ok(value);
        }
        if value.is_const() {
            return Ok(VectorType::const_vector(&vec![value; lanes as usize]).into());
        }
        let empty = vector_type(value.get_type(), lanes).get_poison();
        let first = self.context.i32_type().const_zero();
        let one = self.builder.build_insert_element(empty, value, first, "")?;
        let order = VectorType::const_vector(&vec![first; lanes as usize]);
        Ok(self.builder.build_shuffle_vector(one, empty, order, "")?.into())
    }

    /// The operands, all of them vectors if one is.
    pub fn alike<const N: usize>(&self, operands: [Value<'c>; N]) -> Emitted<[Value<'c>; N]> {
        let lanes = operands.iter().map(|&operand| lanes(operand)).max().unwrap_or(1);
        let mut results = operands;
        for result in &mut results {
            *result = self.splat(*result, lanes)?;
        }
        Ok(results)
    }

    /// An instruction of two operands.
    pub fn binary(&self, opcode: InstructionOpcode, x: Value<'c>, y: Value<'c>) -> Emitted<Value<'c>> {
        let [x, y] = self.alike([x, y])?;
        self.builder.build_binop(opcode, x, y, "")
    }

    /// A conversion to elements of a type.
    pub fn convert(&self, opcode: InstructionOpcode, x: Value<'c>, to: BasicTypeEnum<'c>) -> Emitted<Value<'c>> {
        self.builder.build_cast(opcode, x, like(x, to), "")
    }

    /// A comparison of integers.
    pub fn compare(&self, predicate: IntPredicate, x: Value<'c>, y: Value<'c>) -> Emitted<Value<'c>> {
        Ok(match self.alike([x, y])? {
            [Value::VectorValue(x), Value::VectorValue(y)] => {
                self.builder.build_int_compare(predicate, x, y, "")?.into()
            }
            [x, y] => self.builder.build_int_compare(predicate, x.into_int_value(), y.into_int_value(), "")?.into(),
        })
    }

    /// A comparison of floats.
    pub fn compare_floats(&self, predicate: FloatPredicate, x: Value<'c>, y: Value<'c>) -> Emitted<Value<'c>> {
        Ok(match self.alike([x, y])? {
            [Value::VectorValue(x), Value::VectorValue(y)] => {
                self.builder.build_float_compare(predicate, x, y, "")?.into()
            }
            [x, y] => {
                let (x, y) = (x.into_float_value(), y.into_float_value());
                self.builder.build_float_compare(predicate, x, y, "")?.into()
            }
        })
    }

    /// `condition ? x : y`, lane by lane where one of them is a vector.
    pub fn select(&self, condition: Value<'c>, x: Value<'c>, y: Value<'c>) -> Emitted<Value<'c>> {
        match condition {
            Value::VectorValue(condition) => {
                let lanes = condition.get_type().get_size();
                let (x, y) = (self.splat(x, lanes)?, self.splat(y, lanes)?);
                self.builder.build_select(condition, x, y, "")
            }
            condition => {
                let [x, y] = self.alike([x, y])?;
                self.builder.build_select(condition.into_int_value(), x, y, "")
            }
        }
    }

    /// One of LLVM's own functions for the types of these operands: `fma`, `maximum` ...
    pub fn intrinsic(&self, name: &str, operands: &[Value<'c>]) -> Emitted<Value<'c>> {
        let overload = [operands[0].get_type()];
        Ok(self.call_intrinsic(name, &overload, operands)?.expect("an intrinsic that has a result"))
    }

    /// One of LLVM's own functions for these types.
    pub fn call_intrinsic(
        &self,
        name: &str,
        overload: &[BasicTypeEnum<'c>],
        operands: &[Value<'c>],
    ) -> Emitted<Option<Value<'c>>> {
        let call = self.builder.build_call(self.intrinsic_function(name, overload), &metadata(operands), "")?;
        Ok(call.try_as_basic_value().basic())
    }

    /// The declaration of one of LLVM's own functions.
    pub fn intrinsic_function(&self, name: &str, overload: &[BasicTypeEnum<'c>]) -> FunctionValue<'c> {
        let intrinsic = Intrinsic::find(&format!("llvm.{name}")).expect("this release of LLVM has the intrinsic");
        intrinsic.get_declaration(&self.module, overload).expect("the intrinsic has such a form")
    }

    /// The lanes of two vectors (or of one and nothing) in another order; a lane of the second one counts from where the first
    /// ends.
    pub fn shuffle(
        &self,
        x: VectorValue<'c>,
        y: Option<VectorValue<'c>>,
        order: impl Iterator<Item = u32>,
    ) -> Emitted<VectorValue<'c>> {
        let y = y.unwrap_or_else(|| x.get_type().get_poison());
        let order: Vec<_> = order.map(|lane| self.context.i32_type().const_int(lane.into(), false)).collect();
        self.builder.build_shuffle_vector(x, y, VectorType::const_vector(&order), "")
    }

    /// Is it true in any lane?
    pub fn any(&self, truth: Value<'c>) -> Emitted<Value<'c>> {
        match truth {
            Value::VectorValue(_) => self.intrinsic("vector.reduce.or", &[truth]),
            truth => Ok(truth),
        }
    }

    /// `0, 1, 2 ...`, a number a lane; 0 for one lane.
    pub fn lane_numbers(&self, lanes: u32) -> Value<'c> {
        if lanes == 1 {
            return self.index(0).into();
        }
        let numbers: Vec<_> = (0..lanes).map(|lane| self.index(lane.into())).collect();
        VectorType::const_vector(&numbers).into()
    }

    /// The block that instructions go to.
    pub fn here(&self) -> BasicBlock<'c> {
        self.builder.get_insert_block().expect("a place was set")
    }

    /// The function that instructions go to.
    pub fn function(&self) -> FunctionValue<'c> {
        self.here().get_parent().expect("blocks stand in functions")
    }
}

/// How many lanes a value has; 1 for an element.
pub fn lanes(value: Value<'_>) -> u32 {
    match value {
        Value::VectorValue(vector) => vector.get_type().get_size(),
        _ => 1,
    }
}

/// The vector of so many elements.
pub fn vector_type<'c>(element: BasicTypeEnum<'c>, lanes: u32) -> VectorType<'c> {
    match element {
        BasicTypeEnum::IntType(t) => t.vec_type(lanes),
        BasicTypeEnum::FloatType(t) => t.vec_type(lanes),
        BasicTypeEnum::PointerType(t) => t.vec_type(lanes),
        other => unreachable!("no vector has elements of {other}"),
    }
}

/// The type for so many lanes: the element itself for one.
pub fn wide_type<'c>(element: BasicTypeEnum<'c>, lanes: u32) -> BasicTypeEnum<'c> {
    if lanes == 1 { element } else { vector_type(element, lanes).into() }
}

/// The type with as many lanes as a value.
fn like<'c>(value: Value<'c>, element: BasicTypeEnum<'c>) -> BasicTypeEnum<'c> {
    match value {
        Value::VectorValue(vector) => vector_type(element, vector.get_type().get_size()).as_basic_type_enum(),
        _ => element,
    }
}

/// Values as arguments of a call.
pub fn metadata<'c>(values: &[Value<'c>]) -> Vec<BasicMetadataValueEnum<'c>> {
    values.iter().map(|&value| value.into()).collect()
}
