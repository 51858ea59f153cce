//! Element-wise functions: one Python object a row of the op table, made in a loop. Also the few functions that are other
//! names for rows (`logical_and` is `bitwise_and` of booleans) and those of three operands that have keywords (`clip`).

use crate::{
    array::Array,
    convert::{argument, array},
    errors,
    evaluate::recorded,
    functions::indexing::nonzero,
};
use fusewire_ir::{
    build::{self, Operand},
    complex::OnComplex,
    dtype::DType,
    error::Recorded,
    lazy::Lazy,
    ops::{Domain, OPS, Outcome, Promotion, ScalarOp},
    promote::Weak,
};
use pyo3::{exceptions::PyTypeError, intern, prelude::*, types::PyTuple};
use smallvec::SmallVec;
use std::sync::Arc;

/// An element-wise function: a callable that records one op of the op table.
#[pyclass(module = "fusewire", frozen, dict)]
pub struct ElementwiseFunction {
    name: &'static str,
    doc: &'static str,
    op: ScalarOp,
    /// Convert the operands to bool first?
    logical: bool,
}

/// Functions on truth values: what is not 0 is true.
const LOGICAL: [(&str, ScalarOp, &str); 4] = [
    ("logical_and", ScalarOp::And, "Are both elements true (not 0)?"),
    ("logical_or", ScalarOp::Or, "Is either element true (not 0)?"),
    ("logical_xor", ScalarOp::Xor, "Is exactly one element true (not 0)?"),
    ("logical_not", ScalarOp::Not, "Is the element false (0)?"),
];

/// Every element-wise function: the public rows of the op table, and the logical ones.
fn all() -> impl Iterator<Item = ElementwiseFunction> {
    let rows = OPS.iter().filter(|row| row.promotion != Promotion::Internal);
    let rows = rows.map(|row| ElementwiseFunction { name: row.name, doc: row.doc.trim(), op: row.op, logical: false });
    let logical = LOGICAL.iter().map(|&(name, op, doc)| ElementwiseFunction { name, doc, op, logical: true });
    rows.chain(logical)
}

/// Adds every element-wise function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for function in all() {
        let (name, documentation) = (function.name, function.documentation());
        let function = Bound::new(module.py(), function)?;
        // In the instance's own dictionary: the class has a documentation of its own, which would hide a getter.
        function.setattr("__doc__", documentation)?;
        module.add(name, function)?;
    }
    Ok(())
}

/// Applies an op to operands, as truth values if `logical`.
fn apply(op: ScalarOp, logical: bool, operands: &[Operand]) -> Recorded<Arc<Lazy>> {
    if !logical {
        return build::elementwise(op, operands);
    }
    let truths = operands
        .iter()
        .map(|operand| {
            Ok(match operand {
                Operand::Array(array) => Operand::Array(build::cast(array, DType::Bool)?),
                Operand::Scalar(value) => Operand::Scalar(Weak::Bool(value.is_true())),
            })
        })
        .collect::<Recorded<SmallVec<[Operand; 3]>>>()?;
    build::elementwise(op, truths)
}

impl ElementwiseFunction {
    fn parameters(&self) -> &'static [&'static str] {
        match self.op.row().arity {
            1 => &["x"],
            2 => &["x1", "x2"],
            _ => &["condition", "x1", "x2"],
        }
    }

    fn documentation(&self) -> String {
        let row = self.op.row();
        let (dtypes, other) = match (row.promotion, row.domain) {
            _ if self.logical => ("any dtype", ""),
            (Promotion::Float, _) => ("any dtype; booleans and integers are computed in floating point", ""),
            (Promotion::IntegerIdentity, _) => ("any dtype; integers stay as they are", ""),
            (Promotion::IntegerConstant(_), _) => ("any dtype", ""),
            (Promotion::Common | Promotion::Select | Promotion::Internal, domain) => match domain {
                Domain::Any | Domain::Parts => ("any dtype", ""),
                Domain::Numeric => ("numbers", "TypeError for other dtypes; "),
                Domain::Integer | Domain::FloatBits => ("integers", "TypeError for other dtypes; "),
                Domain::Bitwise => ("booleans and integers", "TypeError for other dtypes; "),
                Domain::Float | Domain::WideFloat => ("floats", "TypeError for other dtypes; "),
            },
        };
        let result = match row.outcome {
            _ if self.logical => "bool",
            Outcome::Bool => "bool",
            Outcome::Same if matches!(row.complex, Some(OnComplex::Real(_))) => {
                "that of x; of complex numbers, that of their parts"
            }
            Outcome::Same | Outcome::Bits | Outcome::FromBits | Outcome::Complex => {
                "the operands' dtype after promotion"
            }
            Outcome::Select => "the dtype of x1 and x2 after promotion",
        };
        let (shapes, raised) = match row.arity {
            1 => ("that of x", ""),
            _ => ("the operands' shapes, broadcast", "ValueError when the shapes do not broadcast; "),
        };
        let raised = format!("{other}{raised}OverflowError for a Python integer that does not fit the dtype");
        format!(
            "{}\n\nTakes arrays and Python scalars of {dtypes}.\nShape: {shapes}. Dtype: {result}.\nRaises {raised}.",
            self.doc
        )
    }
}

#[pymethods]
impl ElementwiseFunction {
    #[pyo3(signature = (*operands))]
    fn __call__<'py>(&self, operands: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let arity = self.op.row().arity;
        if self.op == ScalarOp::Where && operands.len() == 1 {
            // NumPy's other meaning of the name.
            return Ok(nonzero(&operands.get_item(0)?)?.into_any());
        }
        if operands.len() != arity {
            return Err(PyTypeError::new_err(format!(
                "{}() takes {arity} positional arguments but {} were given",
                self.name,
                operands.len()
            )));
        }
        let mut list: SmallVec<[Operand; 3]> = SmallVec::new();
        for object in operands.iter_borrowed() {
            list.push(argument(&object, self.name)?);
        }
        let result = recorded(operands.py(), apply(self.op, self.logical, &list))?;
        Ok(Bound::new(operands.py(), result)?.into_any())
    }

    #[getter]
    fn __name__(&self) -> &'static str {
        self.name
    }

    #[getter]
    fn __qualname__(&self) -> &'static str {
        self.name
    }

    #[getter]
    fn __signature__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let inspect = py.import(intern!(py, "inspect"))?;
        let parameter = inspect.getattr(intern!(py, "Parameter"))?;
        let kind = parameter.getattr(intern!(py, "POSITIONAL_ONLY"))?;
        let parameters =
            self.parameters().iter().map(|&name| parameter.call1((name, &kind))).collect::<PyResult<Vec<_>>>()?;
        inspect.call_method1(intern!(py, "Signature"), (parameters,))
    }

    fn __repr__(&self) -> String {
        format!("<fusewire function '{}'>", self.name)
    }

    /// Pickles by name.
    fn __reduce__(&self) -> &'static str {
        self.name
    }
}

/// NumPy's names of ufuncs that the op table calls otherwise.
const NUMPY_NAMES: [(&str, &str); 16] = [
    ("absolute", "abs"),
    ("arccos", "acos"),
    ("arccosh", "acosh"),
    ("arcsin", "asin"),
    ("arcsinh", "asinh"),
    ("arctan", "atan"),
    ("arctan2", "atan2"),
    ("arctanh", "atanh"),
    ("conjugate", "conj"),
    ("true_divide", "divide"),
    ("power", "pow"),
    ("invert", "bitwise_invert"),
    ("left_shift", "bitwise_left_shift"),
    ("right_shift", "bitwise_right_shift"),
    ("rint", "round"),
    ("mod", "remainder"),
];

/// What a NumPy ufunc of that name records here; `None` for those we have no row for.
pub fn apply_ufunc(name: &str, operands: &[Operand]) -> Option<Recorded<Arc<Lazy>>> {
    let ours = NUMPY_NAMES.iter().find(|(numpy, _)| *numpy == name).map_or(name, |(_, ours)| ours);
    if let Some(&(_, op, _)) = LOGICAL.iter().find(|(logical, ..)| *logical == ours) {
        return Some(apply(op, true, operands));
    }
    let op = ScalarOp::from_name(ours).filter(|op| op.row().promotion != Promotion::Internal)?;
    Some(build::elementwise(op, operands))
}

/// Limits the elements to between `min` and `max`, either of which may be missing.
///
/// Takes numbers; shapes broadcast. Where `min` is larger than `max` the result is `max`; NaN stays NaN.
/// Raises TypeError for bool, ValueError when the shapes do not broadcast.
#[pyfunction]
#[pyo3(signature = (x, /, min=None, max=None))]
pub fn clip(x: &Bound<'_, PyAny>, min: Option<&Bound<'_, PyAny>>, max: Option<&Bound<'_, PyAny>>) -> PyResult<Array> {
    let node = array(x, "clip")?;
    let min = min.map(|bound| argument(bound, "clip")).transpose()?;
    let max = max.map(|bound| argument(bound, "clip")).transpose()?;
    recorded(x.py(), build::clip(&node, min.as_ref(), max.as_ref()))
}

/// The rows that are Python functions, for the stubs: name, parameters, first line of the documentation, operator.
#[pyfunction]
pub fn op_table() -> Vec<(&'static str, &'static [&'static str], &'static str)> {
    all()
        .map(|function| (function.name, function.parameters(), function.doc.lines().next().unwrap_or_default()))
        .collect()
}

/// What recording an op on Python operands gives, for other modules.
pub fn record(op: ScalarOp, operands: &[Operand]) -> PyResult<Arc<Lazy>> {
    build::elementwise(op, operands).map_err(errors::recording)
}
