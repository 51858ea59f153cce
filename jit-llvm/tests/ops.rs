//! Every op and every conversion, compiled for this machine, on edge cases and random bits: the bits of
//! `fusewire_ir::reference`, on elements and on vectors of several sizes.

use fusewire_ir::{
    dtype::DType,
    ops::{Class, OPS, Outcome, ScalarOp},
    reference,
    scalar::Scalar,
};
use fusewire_jit_llvm::{
    access::Step,
    host::{Code, Machine},
    instructions::{Emitted, Instructions, Value},
    ops::needs_function,
};
use inkwell::{AddressSpace, context::Context};

/// Elements that a compiled function computes.
const COUNT: usize = 512;

const LANES: [u32; 4] = [1, 2, 16, 64];

/// A function of pointers to the operands and to the results, which computes all elements in vectors of so many lanes.
fn compile(
    machine: &Machine,
    operands: &[DType],
    result: DType,
    lanes: u32,
    emit: impl for<'c> Fn(&Instructions<'c>, &[Value<'c>]) -> Emitted<Value<'c>>,
) -> Result<Code, String> {
    let context = Context::create();
    let to = Instructions::new(&context, "test");
    let pointer = context.ptr_type(AddressSpace::default());
    let kind = context.void_type().fn_type(&vec![pointer.into(); operands.len() + 1], false);
    let function = to.module.add_function("test", kind, None);
    machine.mark(&context, function);
    to.switch_to(context.append_basic_block(function, ""));
    let body = || {
        to.counted_loop(to.index(0), to.index(COUNT as i64), to.index(lanes.into()), &[], |index, _| {
            let mut values = Vec::new();
            for (number, &dtype) in operands.iter().enumerate() {
                let start = function.get_nth_param(number as u32).expect("a parameter").into_pointer_value();
                let place = to.element(dtype, start, index)?;
                values.push(match lanes {
                    1 => to.load(dtype, place)?,
                    _ => to.load_lanes(dtype, place, Step::Const(1), lanes, None)?,
                });
            }
            let value = emit(&to, &values)?;
            let start = function.get_last_param().expect("a parameter").into_pointer_value();
            let place = to.element(result, start, index)?;
            match value {
                Value::VectorValue(vector) => to.store_lanes(result, place, Step::Const(1), vector, None)?,
                element => to.store(result, place, element)?,
            }
            Ok(Vec::new())
        })?;
        to.builder.build_return(None)
    };
    body().map_err(|error| error.to_string())?;
    machine.optimise(&to.module)?;
    machine.load(to.module, "test", &[])
}

fn bytes(values: &[Scalar]) -> Vec<u8> {
    values.iter().flat_map(|value| value.bits().to_le_bytes()[..value.dtype().size()].to_vec()).collect()
}

/// Runs the code on these operands.
fn run(code: &Code, operands: &[Vec<Scalar>], result: DType) -> Vec<Scalar> {
    let operands: Vec<Vec<u8>> = operands.iter().map(|values| bytes(values)).collect();
    let mut results = vec![0u8; COUNT * result.size()];
    let out = results.as_mut_ptr();
    let at = |i: usize| operands[i].as_ptr();
    // SAFETY: the code was compiled for so many pointers to COUNT elements each.
    unsafe {
        let code = code.address();
        match operands.len() {
            1 => std::mem::transmute::<*const u8, extern "C" fn(*const u8, *mut u8)>(code)(at(0), out),
            2 => {
                std::mem::transmute::<*const u8, extern "C" fn(*const u8, *const u8, *mut u8)>(code)(at(0), at(1), out)
            }
            _ => std::mem::transmute::<*const u8, extern "C" fn(*const u8, *const u8, *const u8, *mut u8)>(code)(
                at(0),
                at(1),
                at(2),
                out,
            ),
        }
    }
    let mut elements = Vec::new();
    for chunk in results.chunks(result.size()) {
        let mut bits = [0; 8];
        bits[..chunk.len()].copy_from_slice(chunk);
        elements.push(Scalar::from_bits(result, u64::from_le_bytes(bits)));
    }
    elements
}

/// Which NaN it is may differ.
fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype().is_float() && a.as_f64().is_nan() && b.as_f64().is_nan())
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }

    /// Edge cases, small numbers, random bits.
    fn scalar(&mut self, dtype: DType) -> Scalar {
        let edges = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, -1e-310];
        let limits = [7, 8, 15, 16, 31, 32, 63, 64].map(|e| 2f64.powi(e));
        let choice = self.next() % 8;
        let bits = self.next();
        let float = match choice {
            0 => edges[bits as usize % edges.len()],
            1 => limits[bits as usize % 8] * if bits >> 32 & 1 == 0 { 1.0 } else { -1.0 },
            2 => (limits[bits as usize % 8] - 0.5) * if bits >> 32 & 1 == 0 { 1.0 } else { -1.0 },
            3 | 4 => (bits % 2000) as f64 / 8.0 - 125.0,
            _ => return Scalar::from_bits(dtype, if dtype == DType::Bool { bits >> 40 & 1 } else { bits }),
        };
        match dtype {
            DType::F32 => Scalar::f32(float as f32),
            DType::F64 => Scalar::f64(float),
            DType::Bool => Scalar::bool(bits & 1 == 1),
            _ if choice == 0 => [0, 1, u64::MAX, 1 << (dtype.bits() - 1), (1 << (dtype.bits() - 1)) - 1]
                .map(|bits| Scalar::from_bits(dtype, bits))[bits as usize % 5],
            _ => Scalar::from_i64(dtype, (bits % 80) as i64 - 10),
        }
    }

    fn scalars(&mut self, dtype: DType) -> Vec<Scalar> {
        (0..COUNT).map(|_| self.scalar(dtype)).collect()
    }
}

fn check(what: &str, results: &[Scalar], expected: impl Fn(usize) -> Scalar, operands: &[Vec<Scalar>]) {
    for (i, &result) in results.iter().enumerate() {
        let operands: Vec<Scalar> = operands.iter().map(|values| values[i]).collect();
        let expected = expected(i);
        assert!(same(result, expected), "{what} of {operands:?} is {result:?}, not {expected:?}");
    }
}

#[test]
fn every_op_has_the_bits_of_the_reference() {
    let Some(machine) = Machine::this() else { return };
    let mut random = Random(1);
    let mut checked = 0;
    for row in OPS.iter().filter(|row| matches!(row.class, Class::Primitive)) {
        for dtype in DType::IN_KERNELS.into_iter().filter(|&d| row.accepts(d) && !needs_function(row.op, d)) {
            let mut dtypes = vec![dtype; row.arity];
            if row.outcome == Outcome::Select {
                dtypes[0] = DType::Bool;
            }
            let result = row.op.result_dtype(&dtypes).expect("the row accepts the dtype");
            let operands: Vec<Vec<Scalar>> = dtypes.iter().map(|&d| random.scalars(d)).collect();
            for lanes in LANES {
                let code = compile(machine, &dtypes, result, lanes, |to, values| to.op(row.op, dtype, values));
                let results = run(&code.expect("the op compiles"), &operands, result);
                let reference =
                    |i: usize| (row.reference)(&operands.iter().map(|values| values[i]).collect::<Vec<_>>());
                check(&format!("{} of {dtype} in {lanes} lanes", row.name), &results, reference, &operands);
                checked += 1;
            }
        }
    }
    assert!(checked > 800, "only {checked} functions");
}

#[test]
fn every_conversion_has_the_bits_of_the_reference() {
    let Some(machine) = Machine::this() else { return };
    let mut random = Random(2);
    for from in DType::IN_KERNELS {
        for to in DType::IN_KERNELS {
            let operands = [random.scalars(from)];
            for lanes in LANES {
                let code = compile(machine, &[from], to, lanes, |at, values| at.cast(values[0], from, to));
                let results = run(&code.expect("the conversion compiles"), &operands, to);
                let reference = |i: usize| reference::cast(operands[0][i], to);
                check(&format!("{from} to {to} in {lanes} lanes"), &results, reference, &operands);
            }
        }
    }
}

#[test]
fn an_element_beside_a_vector_stands_for_the_same_in_every_lane() {
    let Some(machine) = Machine::this() else { return };
    let operands = [Random(3).scalars(DType::F32)];
    let code = compile(machine, &[DType::F32], DType::F32, 16, |to, values| {
        let condition = to.op(ScalarOp::Less, DType::F32, &[to.number(DType::F32, 1), values[0]])?;
        let product = to.op(ScalarOp::Multiply, DType::F32, &[values[0], to.number(DType::F32, 2)])?;
        to.op(ScalarOp::Where, DType::F32, &[condition, product, to.number(DType::F32, -1)])
    });
    let results = run(&code.expect("it compiles"), &operands, DType::F32);
    let reference = |i: usize| {
        let x = operands[0][i].as_f32();
        Scalar::f32(if 1.0 < x { x * 2.0 } else { -1.0 })
    };
    check("the choice", &results, reference, &operands);
}
