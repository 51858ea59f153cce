//! Extrema, which have code of their own where lanes meet one number and where they are folded: edge cases against the reference.

use fusewire_ir::{dtype::DType, ops::ScalarOp, reference, scalar::Scalar};
use fusewire_jit_llvm::host::{self, Code, Machine, PhaseFunction};
use fusewire_lowering::text;

const EDGES: [f64; 13] =
    [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, -1e-40, 1e-310, 3e38];

/// Phase 0 of a kernel, compiled for this machine.
fn compile(machine: &Machine, text: &str) -> Code {
    let kernel = text::parse(text).expect("a kernel's text");
    host::compile(machine, &kernel, 0, &|_, _| unreachable!("no function is called")).expect("it compiles")
}

/// The elements of the second buffer, whose dtype is the first one's.
fn run(code: &Code, dtype: DType, input: &[Scalar], params: &[u64], results: usize) -> Vec<Scalar> {
    // SAFETY: the code of a phase's function.
    let phase = unsafe { std::mem::transmute::<*const u8, PhaseFunction>(code.address()) };
    let size = dtype.size();
    let mut bytes: Vec<u8> = input.iter().flat_map(|x| x.bits().to_le_bytes()[..size].to_vec()).collect();
    let mut output = vec![0u8; results * size];
    let buffers = [bytes.as_mut_ptr(), output.as_mut_ptr()];
    let (ints, stop, mut fault) = ([input.len() as i64, 1], false, false);
    // SAFETY: the buffers have as many elements as the integers say.
    unsafe {
        let (ints, params) = (ints.as_ptr(), params.as_ptr());
        phase(buffers.as_ptr(), ints, params, std::ptr::null_mut(), 0, 1, &stop, &mut fault, 0);
    }
    let element = |chunk: &[u8]| {
        let mut bits = [0; 8];
        bits[..size].copy_from_slice(chunk);
        Scalar::from_bits(dtype, u64::from_le_bytes(bits))
    };
    output.chunks(size).map(element).collect()
}

fn is_same(found: Scalar, wanted: Scalar) -> bool {
    found == wanted || found.as_f64().is_nan() && wanted.as_f64().is_nan()
}

#[test]
fn extrema_with_one_number_have_the_bits_of_the_reference() {
    let Some(machine) = Machine::this() else { return };
    for dtype in [DType::F32, DType::F64] {
        for op in [ScalarOp::Maximum, ScalarOp::Minimum] {
            let name = op.row().name;
            let text = format!(
                "kernel @k(b0: in {dtype}, b1: out {dtype}[i0]; p0: {dtype}) {{
                   i0 = sym m
                   phase () {{
                     %0 = param p0 : {dtype}
                     loop v0 in i0 vector 16 {{
                       %1 = load b0[v0] : {dtype}
                       %2 = {name} %1, %0 : {dtype}
                       store b1[v0] = %2
                     }}
                   }}
                 }}"
            );
            let code = compile(machine, &text);
            for number in EDGES {
                let number = Scalar::from_f64(dtype, number);
                // Enough for full vectors and a part of one.
                let operands: Vec<Scalar> =
                    EDGES.iter().cycle().take(5 * EDGES.len()).map(|&x| Scalar::from_f64(dtype, x)).collect();
                let found = run(&code, dtype, &operands, &[number.bits()], operands.len());
                for (operand, found) in operands.iter().zip(found) {
                    let wanted = reference::evaluate(op, &[*operand, number]);
                    assert!(
                        is_same(found, wanted),
                        "{name} of {operand:?} and {number:?} is {wanted:?}, not {found:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn folded_extrema_have_the_bits_of_the_reference() {
    let Some(machine) = Machine::this() else { return };
    for dtype in [DType::F32, DType::F64] {
        let negative_nan = Scalar::from_bits(dtype, Scalar::from_f64(dtype, f64::NEG_INFINITY).bits() + 1);
        let edges = EDGES.map(|x| Scalar::from_f64(dtype, x)).into_iter().chain([negative_nan]);
        let edges: Vec<Scalar> = edges.collect();
        for op in [ScalarOp::Maximum, ScalarOp::Minimum] {
            let name = op.row().name;
            let text = format!(
                "kernel @k(b0: in {dtype}, b1: out {dtype}[i1]) {{
                   i0 = sym m
                   i1 = const 1
                   phase () {{
                     loop v0 in i0 vector 16 {{
                       %0 = load b0[v0] : {dtype}
                     }} reduce %1 = {name} %0 : {dtype}
                     store b1[0] = %1
                   }}
                 }}"
            );
            let code = compile(machine, &text);
            let check = |operands: &[Scalar]| {
                let unit = op.unit(dtype).expect("extrema of floats have a unit");
                let wanted = operands.iter().fold(unit, |so_far, &x| reference::evaluate(op, &[so_far, x]));
                let found = run(&code, dtype, operands, &[], 1)[0];
                assert!(is_same(found, wanted), "{name} of {operands:?} is {wanted:?}, not {found:?}");
            };
            check(&[]);
            // One among many others, in a lane of the first vectors, of a later one, and of what fills no vector.
            for &other in &edges {
                for &edge in &edges {
                    for place in [0, 17, 70, 130] {
                        let mut operands = vec![other; 131];
                        operands[place] = edge;
                        check(&operands);
                    }
                }
            }
        }
    }
}
