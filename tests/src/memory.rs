//! Arrays of tests: memory that a lazy node can have as its buffer, filled from scalars and read back, on the device that the
//! tests are about.

use crate::engine;
use fusewire_ir::{
    dtype::DType,
    interp::Tensor,
    lazy::{Device, Lazy},
    scalar::Scalar,
    shape::Shape,
    value::{Buffer, Storage, Strides},
};
use fusewire_runtime::transfer::to_device;
use std::sync::Arc;

/// Memory aligned for every dtype.
#[derive(Debug)]
struct Words(Box<[u64]>);

impl Storage for Words {
    fn pointer(&self) -> *mut u8 {
        self.0.as_ptr().cast_mut().cast()
    }
    fn bytes(&self) -> usize {
        self.0.len() * 8
    }
    fn read_only(&self) -> bool {
        true
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// How a test's array lies in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrangement {
    /// Dense, row-major.
    Dense,
    /// Dense, column-major.
    Transposed,
    /// Every second element of the last axis.
    Strided,
    /// The last axis runs backwards.
    Reversed,
}

impl Arrangement {
    /// Each of them.
    pub const ALL: [Arrangement; 4] =
        [Arrangement::Dense, Arrangement::Transposed, Arrangement::Strided, Arrangement::Reversed];

    fn strides(self, shape: &[usize]) -> Strides {
        let rank = shape.len();
        let mut strides: Strides = smallvec::SmallVec::from_elem(1, rank);
        let mut step = if self == Arrangement::Strided { 2isize } else { 1 };
        for i in 0..rank {
            let axis = if self == Arrangement::Transposed { i } else { rank - 1 - i };
            strides[axis] = step;
            step *= shape[axis].max(1) as isize;
        }
        if let (Arrangement::Reversed, Some(last)) = (self, strides.last_mut()) {
            *last = -*last;
        }
        strides
    }
}

/// A computed lazy array with these elements (row-major order; of complex ones both parts), arranged in memory as asked.
pub fn array(dtype: DType, shape: &[usize], elements: &[Scalar], arrangement: Arrangement) -> Arc<Lazy> {
    let strides = arrangement.strides(shape);
    let reach = |sign: isize| -> isize {
        let spans =
            strides.iter().zip(shape).map(|(&s, &d)| if s.signum() == sign { s * (d.max(1) as isize - 1) } else { 0 });
        spans.sum()
    };
    let first = if shape.contains(&0) { 0 } else { -reach(-1) } as usize;
    let elements_spanned = first + reach(1).max(0) as usize + 1;
    let mut bytes = vec![0u8; (elements_spanned * dtype.size()).next_multiple_of(8)];
    let part = dtype.component().size();
    for (element, at) in elements.chunks(dtype.size() / part).zip(positions(shape, &strides)) {
        let start = (first as isize + at) as usize * dtype.size();
        for (value, bytes) in element.iter().zip(bytes[start..].chunks_mut(part)) {
            bytes.copy_from_slice(&value.bits().to_le_bytes()[..part]);
        }
    }
    let words = bytes.chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().expect("eight bytes"))).collect();
    let buffer = Buffer { storage: Arc::new(Words(words)), offset: first * dtype.size(), strides };
    engine::start();
    let array = Lazy::computed(buffer, dtype, Shape::from(shape), Device::Cpu);
    to_device(&array, engine::device()).expect("the device has room")
}

/// The element offsets of a strided array in row-major order of its indices.
fn positions(shape: &[usize], strides: &[isize]) -> Vec<isize> {
    shape.iter().zip(strides).fold(vec![0], |offsets, (&extent, &stride)| {
        offsets.iter().flat_map(|&o| (0..extent as isize).map(move |i| o + i * stride)).collect()
    })
}

/// The elements of a computed lazy array; complex ones with an axis for their parts, as the interpreter has them.
pub fn tensor(node: &Arc<Lazy>) -> Tensor {
    let node = to_device(node, Device::Cpu).expect("the array is computed");
    let buffer = node.buffer().expect("the array is computed");
    let (size, dtype) = (node.dtype.size(), node.dtype.component());
    let parts = size / dtype.size();
    let elements = positions(&node.shape, &buffer.strides)
        .into_iter()
        .flat_map(|at| (0..parts).map(move |part| at * size as isize + (part * dtype.size()) as isize))
        .map(|at| {
            let mut bits = [0u8; 8];
            // SAFETY: the buffer of a computed node covers all its elements, and nobody writes to it any more.
            unsafe {
                std::ptr::copy_nonoverlapping(buffer.pointer().offset(at), bits.as_mut_ptr(), dtype.size());
            }
            Scalar::from_bits(dtype, u64::from_le_bytes(bits))
        })
        .collect();
    let mut shape = node.shape.to_vec();
    if parts == 2 {
        shape.push(2);
    }
    Tensor::new(dtype, &shape, elements).expect("as many elements as the shape says")
}
