//! The graph interpreter: the meaning of each node, on `ndarray`, slow and obvious. The oracle of every test; nothing a
//! user runs goes through it. What ops do to complex numbers is the pass that splits them, which runs first: complex inputs and
//! results are real tensors with a last axis of extent 2. Float32 sums and products accumulate in float64, so that it is more accurate than what it judges.

mod linear;
pub mod routines;

use crate::{
    dtype::DType,
    graph::{Graph, Node},
    node::{Op, View},
    ops::ScalarOp,
    passes::split_complex,
    reference::{cast, evaluate as evaluate_op},
    scalar::Scalar,
    shape::{Dim, Int},
};
use ndarray::{ArcArray, ArrayD, Axis, Dimension, IxDyn, Slice};

/// An array of scalars of one dtype.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// The dtype, also of an empty array.
    pub dtype: DType,
    /// The elements.
    pub array: ArrayD<Scalar>,
}

impl Tensor {
    /// From elements in row-major order. Errs when their number is not the shape's.
    pub fn new(dtype: DType, shape: &[usize], elements: Vec<Scalar>) -> Result<Tensor, String> {
        if let Some(wrong) = elements.iter().find(|e| e.dtype() != dtype) {
            return Err(format!("an element is {}, not {dtype}", wrong.dtype()));
        }
        ArrayD::from_shape_vec(shape, elements).map(|array| Tensor { dtype, array }).map_err(|e| e.to_string())
    }

    /// The same bits, as elements of another dtype of that size.
    pub fn seen_as(&self, dtype: DType) -> Tensor {
        Tensor { dtype, array: self.array.mapv(|element| Scalar::from_bits(dtype, element.bits())) }
    }
}

/// What a graph needs to be evaluated.
#[derive(Clone, Debug, Default)]
pub struct Binding {
    /// By `SymId`.
    pub symbols: Vec<i64>,
    /// By `ParamId`.
    pub params: Vec<Scalar>,
    /// By `InputId`.
    pub inputs: Vec<Tensor>,
}

impl Binding {
    /// What the graph sees of it: behind the pass that widens floats of 16 bits, these are their bits.
    pub fn of(&self, graph: &Graph) -> Binding {
        let seen = |found: DType, wanted: DType| if found.is_half() && wanted == DType::U16 { wanted } else { found };
        let input =
            |(tensor, decl): (&Tensor, &crate::graph::InputDecl)| tensor.seen_as(seen(tensor.dtype, decl.dtype));
        let param = |(value, &dtype): (&Scalar, &DType)| Scalar::from_bits(seen(value.dtype(), dtype), value.bits());
        Binding {
            symbols: self.symbols.clone(),
            params: self.params.iter().zip(&graph.params).map(param).collect(),
            inputs: self.inputs.iter().zip(&graph.inputs).map(input).collect(),
        }
    }
}

/// The graph's results, in order. Errs when the binding does not fit the graph: sizes, dtypes, slices out of bounds.
pub fn evaluate(graph: &Graph, binding: &Binding) -> Result<Vec<Tensor>, String> {
    if binding.symbols.len() < graph.symbols as usize {
        return Err(format!("the graph has {} symbols, bound are {}", graph.symbols, binding.symbols.len()));
    }
    let binding = &binding.of(graph);
    let split = split_complex::split(graph);
    let graph = &split;
    let mut values: Vec<Option<Elements>> = vec![None; graph.len()];
    for id in graph.reached() {
        let node = graph.node(id);
        let operands: Vec<Elements> = node.inputs.iter().filter_map(|i| values[i.0 as usize].clone()).collect();
        let shape = extents(&node.shape, &binding.symbols)?;
        let value = evaluate_node(node, &shape, &operands, binding)
            .map_err(|e| format!("{:?} : {} {shape:?}: {e}", node.op, node.dtype))?;
        values[id.0 as usize] = Some(value);
    }
    let result = |root: &crate::graph::NodeId| {
        let array = values[root.0 as usize].clone().expect("roots are reached").into_owned();
        Tensor { dtype: graph.node(*root).dtype, array }
    };
    Ok(graph.roots.iter().map(result).collect())
}

/// The concrete shape. A symbolic extent is 2 or more; passes rely on it.
pub fn extents(shape: &[Dim], symbols: &[i64]) -> Result<Vec<usize>, String> {
    let extent = |dim: &Dim| match dim {
        Dim::Zero => Ok(0),
        Dim::One => Ok(1),
        Dim::Two => Ok(2),
        Dim::Sym(symbol) => match symbols.get(symbol.0 as usize) {
            Some(&extent) if extent >= 2 => Ok(extent as usize),
            found => Err(format!("symbol {} is an extent, bound to {found:?}", symbol.0)),
        },
    };
    shape.iter().map(extent).collect()
}

/// Shared elements, so that views cost nothing.
type Elements = ArcArray<Scalar, IxDyn>;

fn evaluate_node(node: &Node, shape: &[usize], operands: &[Elements], binding: &Binding) -> Result<Elements, String> {
    let shape_of = || IxDyn(shape);
    match &node.op {
        Op::Input(input) => {
            let tensor = binding.inputs.get(input.0 as usize).ok_or("the input is not bound")?;
            if tensor.dtype != node.dtype || tensor.array.shape() != shape {
                return Err(format!("bound to {} {:?}", tensor.dtype, tensor.array.shape()));
            }
            Ok(tensor.array.to_shared())
        }
        Op::Param(param) => match binding.params.get(param.0 as usize) {
            Some(&value) if value.dtype() == node.dtype => Ok(Elements::from_elem(shape_of(), value)),
            found => Err(format!("bound to {found:?}")),
        },
        Op::Const(value) => Ok(Elements::from_elem(shape_of(), *value)),
        Op::Iota { axis } => Ok(Elements::from_shape_fn(shape_of(), |index| Scalar::i64(index[*axis as usize] as i64))),
        Op::Map(op) => {
            let mut elements: Vec<_> = operands.iter().map(|o| o.iter()).collect();
            let mut arguments = Vec::with_capacity(operands.len());
            Ok(Elements::from_shape_simple_fn(shape_of(), || {
                arguments.clear();
                arguments.extend(elements.iter_mut().filter_map(|e| e.next().copied()));
                evaluate_op(*op, &arguments)
            }))
        }
        Op::Cast => Ok(operands[0].map(|&e| cast(e, node.dtype)).into_shared()),
        Op::View(view) => evaluate_view(view, shape, &operands[0], binding),
        Op::Reduce { op, axes } => {
            let mut accumulators = ArrayD::from_elem(shape_of(), Fold::new(*op, node.dtype));
            for (index, &element) in operands[0].indexed_iter() {
                let mut index = index.clone();
                for &axis in axes {
                    index[axis as usize] = 0;
                }
                accumulators[index].add(element);
            }
            Ok(accumulators.map(Fold::result).into_shared())
        }
        Op::Scan { op, axis } => {
            let mut result = operands[0].to_owned();
            for mut lane in result.lanes_mut(Axis(*axis as usize)) {
                let mut fold = Fold::new(*op, node.dtype);
                for element in &mut lane {
                    fold.add(*element);
                    *element = fold.result();
                }
            }
            Ok(result.into_shared())
        }
        Op::Concat { axis } => {
            let views: Vec<_> = operands.iter().map(|o| o.view()).collect();
            let whole = ndarray::concatenate(Axis(*axis as usize), &views).map_err(|e| e.to_string())?;
            if whole.shape() == shape { Ok(whole.into_shared()) } else { Err(format!("joins to {:?}", whole.shape())) }
        }
        Op::Gather => {
            let (array, indices) = (&operands[0], &operands[1..]);
            let mut outside = None;
            let gathered = Elements::from_shape_fn(shape_of(), |index| {
                let mut at = index.slice().to_vec();
                for (picked, &extent) in indices.iter().zip(&array.shape()[shape.len()..]) {
                    let wanted = picked[&index].as_i64();
                    let counted = if wanted < 0 { wanted.saturating_add(extent as i64) } else { wanted };
                    if !(0..extent as i64).contains(&counted) {
                        outside.get_or_insert_with(|| format!("index {wanted} is out of bounds for size {extent}"));
                        return Scalar::from_i64(node.dtype, 0);
                    }
                    at.push(counted as usize);
                }
                array[IxDyn(&at)]
            });
            outside.map_or(Ok(gathered), Err)
        }
        Op::Dot => {
            let (left, right) = (&operands[0], &operands[1]);
            let rank = shape.len();
            Ok(Elements::from_shape_fn(shape_of(), |index| {
                let (mut at_left, mut at_right) = (index.clone(), index);
                let mut fold = Fold::new(ScalarOp::Add, node.dtype);
                for k in 0..left.shape()[rank - 1] {
                    at_left[rank - 1] = k;
                    at_right[rank - 2] = k;
                    fold.add_product(left[&at_left], right[&at_right]);
                }
                fold.result()
            }))
        }
        Op::Call(routine) => {
            let operands: Vec<ArrayD<Scalar>> = operands.iter().map(|o| o.to_owned()).collect();
            let result = routines::call(*routine, &operands, node.dtype)?;
            if result.shape() == shape { Ok(result.into_shared()) } else { Err(format!("gives {:?}", result.shape())) }
        }
    }
}

fn evaluate_view(
    view: &View<crate::node::GraphForm>,
    shape: &[usize],
    operand: &Elements,
    binding: &Binding,
) -> Result<Elements, String> {
    let integer = |int: &Int| match int {
        Int::Const(value) => *value,
        Int::Sym(symbol) => binding.symbols[symbol.0 as usize],
    };
    match view {
        View::Reshape => {
            let dense = ArrayD::from_shape_vec(operand.raw_dim(), operand.iter().copied().collect());
            let reshaped = dense.and_then(|d| d.into_shape_with_order(IxDyn(shape)));
            reshaped.map(|r| r.into_shared()).map_err(|_| format!("cannot reshape {:?}", operand.shape()))
        }
        View::Permute(axes) => Ok(operand.clone().permuted_axes(axes.iter().map(|&a| a as usize).collect::<Vec<_>>())),
        View::Expand => match operand.broadcast(IxDyn(shape)) {
            Some(view) => Ok(view.to_owned().into_shared()),
            None => Err(format!("cannot expand {:?}", operand.shape())),
        },
        View::Slice { starts, steps } => {
            let mut result = operand.clone();
            for (axis, (start, step)) in starts.iter().zip(steps).enumerate() {
                let (start, step, extent) = (integer(start), integer(step), shape[axis] as i64);
                if step == 0 {
                    return Err(format!("the step of axis {axis} is 0"));
                }
                if extent == 0 {
                    result.slice_axis_inplace(Axis(axis), Slice::from(0..0));
                    continue;
                }
                let last = start.saturating_add((extent - 1).saturating_mul(step));
                let inside = 0..operand.shape()[axis] as i64;
                if !inside.contains(&start) || !inside.contains(&last) {
                    return Err(format!("axis {axis} from {start} to {last} is outside {inside:?}"));
                }
                // ndarray takes the range first and then, for a negative step, walks it from its end.
                let (low, high) = (start.min(last), start.max(last));
                result.slice_axis_inplace(Axis(axis), Slice::new(low as isize, Some(high as isize + 1), step as isize));
            }
            Ok(result)
        }
    }
}

/// A fold under way: of sums and products of narrower floats in float64, of the rest by the op's reference.
#[derive(Clone, Copy)]
struct Fold {
    op: ScalarOp,
    dtype: DType,
    accumulator: Scalar,
}

impl Fold {
    fn new(op: ScalarOp, dtype: DType) -> Fold {
        let narrow = matches!(dtype, DType::F16 | DType::BF16 | DType::F32);
        let widens = narrow && matches!(op, ScalarOp::Add | ScalarOp::Multiply);
        let inside = if widens { DType::F64 } else { dtype };
        let unit = op.unit(inside).expect("what folds has a unit");
        Fold { op, dtype, accumulator: unit }
    }

    fn add(&mut self, element: Scalar) {
        let element = cast(element, self.accumulator.dtype());
        self.accumulator = evaluate_op(self.op, &[self.accumulator, element]);
    }

    fn add_product(&mut self, a: Scalar, b: Scalar) {
        let inside = self.accumulator.dtype();
        self.add(evaluate_op(ScalarOp::Multiply, &[cast(a, inside), cast(b, inside)]));
    }

    fn result(&self) -> Scalar {
        cast(self.accumulator, self.dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse::parse;

    fn ints(shape: &[usize], elements: &[i64]) -> Tensor {
        Tensor::new(DType::I64, shape, elements.iter().map(|&e| Scalar::i64(e)).collect()).unwrap()
    }

    fn run(text: &str, symbols: &[i64], inputs: Vec<Tensor>) -> Result<Vec<Tensor>, String> {
        evaluate(&parse(text).unwrap(), &Binding { symbols: symbols.to_vec(), params: vec![], inputs })
    }

    #[test]
    fn slices_step_backwards_and_are_bounds_checked() {
        let text = "graph @f(%a0: i64[m]) -> i64[n] {
            %0 = slice %a0 starts=[p] steps=[q] : i64[n] return %0 }";
        let input = || vec![ints(&[5], &[10, 11, 12, 13, 14])];
        assert_eq!(run(text, &[5, 3, 4, -2], input()).unwrap(), [ints(&[3], &[14, 12, 10])]);
        assert_eq!(run(text, &[5, 2, 1, 3], input()).unwrap(), [ints(&[2], &[11, 14])]);
        assert!(run(text, &[5, 3, 4, 1], input()).unwrap_err().contains("outside"));
        assert!(run(text, &[5, 3, 1, -1], input()).unwrap_err().contains("outside"));
        assert!(run(text, &[5, 3, 1, 0], input()).unwrap_err().contains("step"));
    }

    #[test]
    fn bindings_that_do_not_fit_are_errors() {
        let text = "graph @f(%a0: i64[m, n]) -> i64[p] { %0 = reshape %a0 : i64[p] return %0 }";
        let input = || vec![ints(&[2, 3], &[1, 2, 3, 4, 5, 6])];
        assert_eq!(run(text, &[2, 3, 6], input()).unwrap(), [ints(&[6], &[1, 2, 3, 4, 5, 6])]);
        assert!(run(text, &[2, 3, 7], input()).unwrap_err().contains("reshape"));
        assert!(run(text, &[3, 2, 6], input()).unwrap_err().contains("bound to"));
        assert!(run(text, &[2, 3], input()).unwrap_err().contains("symbols"));
        assert!(run(text, &[2, 3, 6], vec![]).unwrap_err().contains("not bound"));
    }

    #[test]
    fn float32_sums_lose_nothing_on_the_way() {
        let text = "graph @f(%a0: f32[m]) -> f32[1] { %0 = reduce add %a0 axes=[0] : f32[1] return %0 }";
        let elements = [2f32.powi(24), 1.0, 1.0, -(2f32.powi(24))].map(Scalar::f32).to_vec();
        let input = Tensor::new(DType::F32, &[4], elements).unwrap();
        assert_eq!(run(text, &[4], vec![input]).unwrap()[0].array[[0]], Scalar::f32(2.0));
    }
}
