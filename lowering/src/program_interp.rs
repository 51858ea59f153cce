//! The program interpreter: launches go to the kernel interpreter, products are summed naively. With it, tests compare a
//! lowered graph (and its kernels after each pass) with the graph interpreter. Nothing a user runs goes through it.

use crate::{
    interp::{self, TypedBuffer},
    ints::evaluate_ints,
    kernel::Role,
    program::{Argument, ArrayDecl, ArrayId, Program, Step, StridedView},
};
use fusewire_ir::{
    dtype::DType,
    graph::{Graph, Layout, Stride},
    interp::{Binding, Tensor, extents, routines},
    ops::ScalarOp,
    scalar::Scalar,
};

/// The program's results, in order. `graph` is the one that was compiled; it says how the inputs lie in memory.
pub fn evaluate(graph: &Graph, program: &Program, binding: &Binding) -> Result<Vec<Tensor>, String> {
    let binding = &binding.of(graph);
    let mut memory = Memory { arrays: Vec::new(), shapes: Vec::new(), ints: Vec::new() };
    for array in &program.arrays {
        memory.add(graph, array, binding)?;
    }
    memory.ints = evaluate_ints(&program.ints, &binding.symbols, |buffer, axis| {
        memory.arrays[buffer.0 as usize].strides[axis as usize]
    });
    for (number, step) in program.steps.iter().enumerate() {
        memory.run(step, binding).map_err(|e| format!("step {number}: {e}"))?;
    }
    program.results.iter().map(|result| memory.tensor(result, binding)).collect()
}

struct Memory {
    arrays: Vec<TypedBuffer>,
    shapes: Vec<Vec<usize>>,
    ints: Vec<i64>,
}

impl Memory {
    fn add(&mut self, graph: &Graph, array: &ArrayDecl, binding: &Binding) -> Result<(), String> {
        let shape = extents(&array.shape, &binding.symbols)?;
        let buffer = match array.input {
            Some(input) => {
                let tensor = binding.inputs.get(input.0 as usize).ok_or("an input is not bound")?;
                laid_out(tensor, &graph.inputs[input.0 as usize].layout)
            }
            None => TypedBuffer::unwritten(array.dtype, shape.iter().product()).strided(0, &dense(&shape)),
        };
        self.arrays.push(buffer);
        self.shapes.push(shape);
        Ok(())
    }

    fn run(&mut self, step: &Step, binding: &Binding) -> Result<(), String> {
        match step {
            Step::Launch { kernel, arguments, params } => {
                crate::verify::verify(kernel)?;
                let mut inputs = Vec::new();
                for (decl, argument) in kernel.buffers.iter().zip(arguments) {
                    if let (Role::Input, Argument::Array(array)) = (decl.role, argument) {
                        inputs.push(self.readable(*array)?);
                    }
                }
                let mut buffers = interp::allocate(kernel, &inputs, &binding.symbols)?;
                let outputs: Vec<(usize, ArrayId)> = (0..arguments.len())
                    .filter_map(|i| match (kernel.buffers[i].role, arguments[i]) {
                        (Role::Output, Argument::Array(array)) => Some((i, array)),
                        _ => None,
                    })
                    .collect();
                for &(i, array) in &outputs {
                    if buffers[i].elements.len() != self.arrays[array.0 as usize].elements.len() {
                        return Err(format!("b{i} is as long as the kernel says, but array {} is not", array.0));
                    }
                    buffers[i] = self.arrays[array.0 as usize].clone();
                }
                let params: Vec<Scalar> = params.iter().map(|p| binding.params[p.0 as usize]).collect();
                interp::run(kernel, &mut buffers, &binding.symbols, &params)?;
                for (i, array) in outputs {
                    self.arrays[array.0 as usize] = buffers[i].clone();
                }
                Ok(())
            }
            Step::Product { left, right, row, destination } => {
                let (a, b) = (self.tensor(left, binding)?, self.tensor(right, binding)?);
                let mut product = product(&a, &b)?;
                if let Some(row) = row {
                    let row: Vec<Scalar> = self.tensor(row, binding)?.array.into_iter().collect();
                    let columns = row.iter().cycle();
                    product.iter_mut().zip(columns).for_each(|(element, &addend)| {
                        *element = (ScalarOp::Add.row().reference)(&[*element, addend]);
                    });
                }
                let shape = self.shapes[destination.0 as usize].clone();
                self.arrays[destination.0 as usize] = TypedBuffer::new(a.dtype, product).strided(0, &dense(&shape));
                Ok(())
            }
            Step::Call { routine, operands, destination } => {
                let operands = operands.iter().map(|view| Ok(self.tensor(view, binding)?.array));
                let dtype = self.arrays[destination.0 as usize].dtype;
                let array = routines::call(*routine, &operands.collect::<Result<Vec<_>, String>>()?, dtype)?;
                let shape = self.shapes[destination.0 as usize].clone();
                let elements: Vec<Scalar> = array.into_iter().collect();
                self.arrays[destination.0 as usize] = TypedBuffer::new(dtype, elements).strided(0, &dense(&shape));
                Ok(())
            }
        }
    }

    /// An array that has to be complete, as memory of the caller.
    fn readable(&self, array: ArrayId) -> Result<TypedBuffer, String> {
        let buffer = &self.arrays[array.0 as usize];
        match buffer.unwritten_count() {
            0 => Ok(TypedBuffer::new(buffer.dtype, buffer.scalars()).strided(buffer.origin, &buffer.strides)),
            missing => Err(format!("array {} is read when {missing} elements are not written", array.0)),
        }
    }

    fn tensor(&self, view: &StridedView, binding: &Binding) -> Result<Tensor, String> {
        let shape = extents(&view.shape, &binding.symbols)?;
        let buffer = self.readable(view.array)?;
        let int = |id: crate::kernel::IntId| self.ints[id.0 as usize];
        let mut elements = Vec::new();
        for index in indices(&shape) {
            let steps = index.iter().zip(&view.strides).map(|(&i, &stride)| i as i64 * int(stride));
            let at = buffer.origin as i64 + view.offset.map_or(0, int) + steps.sum::<i64>();
            let bits = usize::try_from(at).ok().and_then(|at| buffer.elements.get(at));
            let bits = bits.ok_or_else(|| format!("a view of array {} reaches element {at}", view.array.0))?;
            elements.push(Scalar::from_bits(buffer.dtype, *bits));
        }
        Tensor::new(buffer.dtype, &shape, elements)
    }
}

fn dense(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for axis in (0..shape.len()).rev() {
        strides[axis] = stride;
        stride *= shape[axis].max(1) as i64;
    }
    strides
}

/// Every index of a shape, in row-major order.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut number| {
        let mut index = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            index[axis] = number % shape[axis];
            number /= shape[axis];
        }
        index
    })
}

/// An input in memory such that its layout is true; where the layout leaves room, elements do not lie side by side.
fn laid_out(tensor: &Tensor, layout: &Layout) -> TypedBuffer {
    let shape = tensor.array.shape().to_vec();
    let strides = match layout {
        Layout::Contiguous => dense(&shape),
        Layout::Strided(kinds) => {
            let has_unit = kinds.contains(&Stride::One);
            let unit = (0..shape.len()).rev().filter(|&a| kinds[a] == Stride::One);
            let dynamic = (0..shape.len()).rev().filter(|&a| kinds[a] == Stride::Dynamic);
            let mut strides = vec![0; shape.len()];
            let mut stride = if has_unit { 1 } else { 2 };
            for axis in unit.chain(dynamic) {
                strides[axis] = stride;
                stride *= shape[axis].max(1) as i64 + i64::from(kinds[axis] == Stride::One);
            }
            strides
        }
    };
    let reach: i64 = shape.iter().zip(&strides).map(|(&d, &s)| (d.max(1) as i64 - 1) * s).sum();
    let mut elements = vec![Scalar::from_i64(tensor.dtype, 0); reach as usize + 1];
    for (index, &element) in indices(&shape).zip(tensor.array.iter()) {
        let at: i64 = index.iter().zip(&strides).map(|(&i, &s)| i as i64 * s).sum();
        elements[at as usize] = element;
    }
    if shape.contains(&0) {
        elements.clear();
    }
    TypedBuffer::new(tensor.dtype, elements).strided(0, &strides)
}

fn product(a: &Tensor, b: &Tensor) -> Result<Vec<Scalar>, String> {
    let (left, right) = (a.array.shape(), b.array.shape());
    let [batch @ .., m, k] = left else { return Err("an operand of a product has less than two axes".to_owned()) };
    let n = right[right.len() - 1];
    let (a_elements, b_elements): (Vec<_>, Vec<_>) = (a.array.iter().collect(), b.array.iter().collect());
    let multiply = ScalarOp::Multiply.row().reference;
    let add = ScalarOp::Add.row().reference;
    let mut result = Vec::new();
    let zero = Scalar::from_i64(a.dtype, 0);
    for matrix in 0..batch.iter().product::<usize>() {
        for i in 0..*m {
            for j in 0..n {
                let term = |l: usize| {
                    multiply(&[*a_elements[(matrix * m + i) * k + l], *b_elements[(matrix * k + l) * n + j]])
                };
                result.push((0..*k).fold(zero, |sum, l| add(&[sum, term(l)])));
            }
        }
    }
    debug_assert!(a.dtype == DType::F32 || a.dtype == DType::F64);
    Ok(result)
}
