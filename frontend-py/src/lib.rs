//! `fusewire._fusewire`: the compiled half of the Python package. The only crate that knows Python.
//!
//! Calls are recorded by `fusewire_ir::build` and computed by `fusewire_runtime`; here is the way in (`convert`, `import`),
//! the way out (`export`, `text`) and what Python sees: `Array` and the functions of the namespace.

mod array;
mod assignment;
mod convert;
mod cuda_interface;
mod device;
mod diagnostics;
mod dlpack;
mod dtype;
mod dump;
mod errors;
mod evaluate;
mod export;
mod functions;
mod import;
mod indexing;
mod keys;
mod methods;
mod operators;
mod protocols;
mod text;
mod variable;
mod views;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: fusewire_runtime::reserve::Allocator = fusewire_runtime::reserve::Allocator;

/// The compiled half of fusewire: the arrays and functions of the namespace.
#[pymodule(gil_used = true)]
mod _fusewire {
    use super::*;

    #[pymodule_export]
    use crate::{
        array::Array,
        evaluate::compute,
        functions::{
            creation::{
                arange, asarray, empty, empty_like, eye, from_dlpack, full, full_like, linspace, meshgrid, ones,
                ones_like, tril, triu, zeros, zeros_like,
            },
            elementwise::clip,
            indexing::{nonzero, put_along_axis, repeat, searchsorted, take, take_along_axis},
            inspection::{astype, can_cast, result_type},
            linear::{matmul, matrix_transpose, tensordot, vecdot},
            manipulation::{
                broadcast_arrays, broadcast_shapes, broadcast_to, concat, diff, expand_dims, flip, moveaxis,
                permute_dims, reshape, roll, squeeze, stack, tile, unstack,
            },
            reductions::{
                all, any, argmax, argmin, count_nonzero, cumulative_prod, cumulative_sum, max, mean, min, prod, std,
                sum, var,
            },
            sets::{isin, unique_all, unique_counts, unique_inverse, unique_values},
            sorting::{argsort, sort},
        },
    };

    /// What is about the engine and not part of the namespace.
    #[pymodule]
    mod engine {
        #[pymodule_export]
        use crate::{
            cuda_interface::{adopt_memory, describe_memory},
            device::{call_with_arrays, devices, get_default_device, known_device, set_default_device, synchronize},
            diagnostics::{
                counter_snapshot, finish, get_num_threads, memory_figures, rehearse, reset_counters, reset_peak,
                set_first_run, set_memory_budget, set_memory_limit, set_num_threads, trim_memory,
            },
            dump::{dump, dump_listing, dump_text, observe},
            functions::{
                elementwise::{ElementwiseFunction, op_table},
                inspection::is_computed,
            },
            indexing::Rows,
        };
    }

    /// What `fusewire.linalg` and `fusewire.fft` are built on.
    #[pymodule]
    mod routines {
        #[pymodule_export]
        use crate::functions::{
            fft::{transform, transform_real, transform_to_real},
            linalg::{cholesky, det, eig, eigh, eigvals, eigvalsh, inv, qr, slogdet, solve, svd, svdvals},
        };
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::diagnostics::start();
        crate::dtype::register(module)?;
        crate::functions::elementwise::register(module)?;
        // `from _fusewire import *` is to give the namespace alone.
        module.index()?.call_method1("remove", ("engine",))?;
        module.index()?.call_method1("remove", ("routines",))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
