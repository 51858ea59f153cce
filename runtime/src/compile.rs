//! From a captured graph to what back ends compile: the graph passes, lowering, the kernel passes. In builds with debug
//! assertions every pass is followed by the verifier.

use crate::error::Error;
use fusewire_ir::{
    fusion::cost::Limits,
    graph::Graph,
    pass::{self, Pass},
};
use fusewire_lowering::{
    kernel::Kernel,
    lower,
    pass::{self as kernel_pass, KernelPass},
    program::Program,
};

const CHECK: bool = cfg!(debug_assertions);

/// The program of a captured graph: graph passes, then fusion and lowering into kernels of at most so much. `interrupted` is
/// asked in between; true ends with [`Error::Interrupted`].
pub fn program(graph: &Graph, limits: Limits, interrupted: &dyn Fn() -> bool) -> Result<Program, Error> {
    let optimized = optimize_graph(graph, &mut |_, _| ())?;
    if interrupted() {
        return Err(Error::Interrupted);
    }
    Ok(lower::program(&optimized, limits))
}

/// The graph passes.
pub fn optimize_graph(graph: &Graph, observe: &mut dyn FnMut(&Pass, &Graph)) -> Result<Graph, Error> {
    pass::run_pipeline(graph, CHECK, observe).map_err(Error::Internal)
}

/// The kernel passes.
pub fn optimize_kernel(mut kernel: Kernel, observe: &mut dyn FnMut(&KernelPass, &Kernel)) -> Result<Kernel, Error> {
    kernel_pass::run_pipeline(&mut kernel, CHECK, observe).map_err(Error::Internal)?;
    Ok(kernel)
}
