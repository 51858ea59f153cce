//! From a captured graph to what back ends compile.

use fusewire_lowering::kernel::Kernel;

/// Runs the kernel passes.
pub fn optimize(kernel: Kernel) -> Kernel {
    kernel
}
