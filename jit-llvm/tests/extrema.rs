//! Maxima and minima of lanes and one number, which have code of their own: every pair of edge cases against the reference.

use fusewire_ir::{dtype::DType, ops::ScalarOp, reference, scalar::Scalar};
use fusewire_jit_llvm::host::{self, Machine, PhaseFunction};
use fusewire_lowering::text;

const EDGES: [f64; 13] =
    [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, -1e-40, 1e-310, 3e38];

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
            let kernel = text::parse(&text).expect("a kernel's text");
            let code = host::compile(machine, &kernel, 0, &|_, _| unreachable!("no function is called"));
            let code = code.expect("it compiles");
            // SAFETY: the code of a phase's function.
            let phase = unsafe { std::mem::transmute::<*const u8, PhaseFunction>(code.address()) };
            for number in EDGES {
                let number = Scalar::from_f64(dtype, number);
                // Enough for full vectors and a part of one.
                let operands: Vec<Scalar> =
                    EDGES.iter().cycle().take(5 * EDGES.len()).map(|&x| Scalar::from_f64(dtype, x)).collect();
                let size = dtype.size();
                let mut input: Vec<u8> =
                    operands.iter().flat_map(|x| x.bits().to_le_bytes()[..size].to_vec()).collect();
                let mut output = vec![0u8; input.len()];
                let buffers = [input.as_mut_ptr(), output.as_mut_ptr()];
                let (ints, params, stop, mut fault) = ([operands.len() as i64], [number.bits()], false, false);
                // SAFETY: the buffers have as many elements as the integer says.
                unsafe {
                    let (ints, params) = (ints.as_ptr(), params.as_ptr());
                    phase(buffers.as_ptr(), ints, params, std::ptr::null_mut(), 0, 1, &stop, &mut fault, 0);
                }
                for (operand, chunk) in operands.iter().zip(output.chunks(size)) {
                    let mut bits = [0; 8];
                    bits[..size].copy_from_slice(chunk);
                    let found = Scalar::from_bits(dtype, u64::from_le_bytes(bits));
                    let wanted = reference::evaluate(op, &[*operand, number]);
                    let same = found == wanted || found.as_f64().is_nan() && wanted.as_f64().is_nan();
                    assert!(same, "{name} of {operand:?} and {number:?} is {wanted:?}, not {found:?}");
                }
            }
        }
    }
}
