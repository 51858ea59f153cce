//! How arrays print. `repr` never computes; `str` shows values, for it is asked for output, as `print` is.

use crate::{array::Array, device, export::to_numpy};
use fusewire_ir::{
    build,
    lazy::{Lazy, Reading},
};
use pyo3::{intern, prelude::*, types::PyDict};

/// `fusewire.Array([1., 2.], dtype=float32)` once the values are there, else shape, dtype, device and the op.
pub fn repr(array: &Bound<'_, Array>) -> PyResult<String> {
    let node = &array.get().node();
    if node.buffer().is_none() {
        return Ok(format!(
            "fusewire.Array(shape={}, dtype={}, device={}, op={}, not computed)",
            build::tuple(&node.shape),
            node.dtype.numpy_name(),
            device::of(node),
            op_name(node)
        ));
    }
    const PREFIX: &str = "fusewire.Array(";
    let values = values(array, Some(PREFIX))?;
    let empty = node.shape.contains(&0) && node.shape.len() != 1;
    let shape = if empty { format!(", shape={}", build::tuple(&node.shape)) } else { String::new() };
    Ok(format!("{PREFIX}{values}{shape}, dtype={})", node.dtype.numpy_name()))
}

/// The values, computed if need be.
pub fn str(array: &Bound<'_, Array>) -> PyResult<String> {
    values(array, None)
}

fn values(array: &Bound<'_, Array>, prefix: Option<&str>) -> PyResult<String> {
    let py = array.py();
    let options = PyDict::new(py);
    if let Some(prefix) = prefix {
        options.set_item(intern!(py, "separator"), ", ")?;
        options.set_item(intern!(py, "prefix"), prefix)?;
    }
    crate::dtype::numpy_module(py)?
        .call_method(intern!(py, "array2string"), (to_numpy(array)?,), Some(&options))?
        .extract()
}

/// The name of what a node does.
fn op_name(node: &Lazy) -> &'static str {
    let reading = Reading::begin();
    let Some(expression) = node.expression(&reading) else {
        return "input";
    };
    expression.op.public_name()
}
