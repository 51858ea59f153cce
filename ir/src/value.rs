//! What a computed array is: a strided view of storage. Who allocates the storage is not known here.

use crate::{lazy::Device, shape::Shape};
use smallvec::SmallVec;
use std::{fmt::Debug, sync::Arc};

/// Memory that some back end or some foreign library owns. Dropping it gives it back.
pub trait Storage: Send + Sync + Debug {
    /// The first byte, in the address space of its device.
    fn pointer(&self) -> *mut u8;
    /// How many bytes there are.
    fn bytes(&self) -> usize;
    /// May nobody write to it (a read-only NumPy array, say)?
    fn read_only(&self) -> bool;
    /// Where it is.
    fn device(&self) -> Device {
        Device::Cpu
    }
    /// For the named seams that must know who made it.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// Strides in elements, outermost axis first; may be 0 or negative.
pub type Strides = SmallVec<[isize; 4]>;

/// A strided view of storage. Dtype and shape stand in the node that holds it.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The memory.
    pub storage: Arc<dyn Storage>,
    /// Bytes from the storage's pointer to element `[0, 0, ...]`.
    pub offset: usize,
    /// Elements from one index to the next, an entry an axis.
    pub strides: Strides,
}

impl Buffer {
    /// A dense, row-major view from the storage's first byte.
    pub fn dense(storage: Arc<dyn Storage>, shape: &[usize]) -> Buffer {
        Buffer { storage, offset: 0, strides: dense_strides(shape) }
    }

    /// The address of element `[0, 0, ...]`.
    pub fn pointer(&self) -> *mut u8 {
        self.storage.pointer().wrapping_add(self.offset)
    }

    /// Is the view dense and row-major? (Axes of extent 1 and empty arrays do not matter.)
    pub fn is_contiguous(&self, shape: &[usize]) -> bool {
        if shape.contains(&0) {
            return true;
        }
        let mut expected = 1isize;
        shape.iter().zip(&self.strides).rev().all(|(&extent, &stride)| {
            let fits = extent == 1 || stride == expected;
            expected *= extent as isize;
            fits
        })
    }
}

/// The strides of a dense row-major array.
pub fn dense_strides(shape: &[usize]) -> Strides {
    let mut strides: Strides = shape.iter().map(|_| 1).collect();
    let mut step = 1isize;
    for (stride, &extent) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(extent.max(1) as isize);
    }
    strides
}

/// The shape's total bytes, `None` when they do not fit.
pub fn byte_count(shape: &Shape, element: usize) -> Option<usize> {
    crate::shape::element_count(shape)?.checked_mul(element).filter(|&n| n <= isize::MAX as usize)
}
