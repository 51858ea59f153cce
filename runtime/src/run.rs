//! Running a plan with the sizes of the moment. This is the path every computation takes, so it neither hashes nor locks nor
//! allocates (but for the arrays): one pass over the integer table, then the steps.
//!
//! Invariant: whatever fails, everything allocated here is freed and nothing else has changed.

use crate::{
    backend::{ArrayView, Backend, Launch, LibraryCall, Matrix, MatrixProduct},
    counters,
    error::Error,
    int_table::Values,
    plan::{
        Plan, PlannedArgument, PlannedArray, PlannedCall, PlannedLaunch, PlannedProduct, PlannedStep, PlannedView, Work,
    },
};
use fusewire_ir::{
    dtype::DType,
    scalar::Scalar,
    shape::Shape,
    value::{Buffer, Storage, Strides, dense_strides},
};
use fusewire_lowering::program::ArrayId;
use smallvec::SmallVec;
use std::{ptr, sync::Arc};

/// The results of a plan, one a root of the graph.
pub type Results = SmallVec<[Buffer; 1]>;

impl Plan {
    /// Runs the plan. `symbols`, `params` and `inputs` are those of the captured graph, in its order. `interrupted` is
    /// asked between steps and now and then during them.
    pub fn run(
        &self,
        symbols: &[i64],
        params: &[Scalar],
        inputs: &[&Buffer],
        backend: &dyn Backend,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Results, Error> {
        backend.begin(inputs)?;
        let mut run = Run::new(self, symbols, params, inputs, backend, interrupted);
        let mut chains = self.chains.iter().peekable();
        let mut number = 0;
        while number < self.steps.len() {
            if number > 0 && interrupted() {
                return Err(Error::Interrupted);
            }
            number = match chains.next_if(|chain| chain.steps.start == number) {
                Some(chain) => run.chain(chain)?.unwrap_or(number),
                None => number,
            };
            let Some(step) = self.steps.get(number) else { break };
            run.step(step)?;
            number += 1;
        }
        backend.end(interrupted)?;
        self.results.iter().map(|view| run.result(view)).collect()
    }
}

/// An array's memory while the plan runs.
#[derive(Default)]
struct Live {
    /// `None` for inputs (their buffers hold it), and before and after the array's life.
    storage: Option<Arc<dyn Storage>>,
    /// Element `[0, 0, ...]`.
    pointer: Option<ptr::NonNull<u8>>,
}

/// The arguments of a launch, with what lives as long as it.
#[derive(Default)]
pub(crate) struct Prepared {
    temporaries: SmallVec<[Arc<dyn Storage>; 2]>,
    buffers: SmallVec<[*mut u8; 8]>,
    pub(crate) ints: SmallVec<[i64; 32]>,
    params: SmallVec<[u64; 8]>,
    bytes: u64,
}

impl Prepared {
    pub(crate) fn launch<'a>(&'a self, interrupted: &'a dyn Fn() -> bool) -> Launch<'a> {
        let Prepared { buffers, ints, params, bytes, .. } = self;
        Launch { buffers, ints, params, bytes: *bytes, interrupted }
    }
}

/// The matrices of a product.
pub(crate) struct Matrices {
    dtype: DType,
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) batch: SmallVec<[[Matrix; 3]; 1]>,
}

impl Matrices {
    pub(crate) fn product<'a>(&'a self, interrupted: &'a dyn Fn() -> bool) -> MatrixProduct<'a> {
        let &Matrices { dtype, m, n, k, ref batch } = self;
        MatrixProduct { dtype, m, n, k, batch, interrupted }
    }
}

/// A view with the sizes of the moment.
struct Placed {
    dtype: DType,
    pointer: *mut u8,
    shape: Shape,
    strides: Strides,
}

impl Placed {
    fn view(&self) -> ArrayView<'_> {
        ArrayView { dtype: self.dtype, pointer: self.pointer, shape: &self.shape, strides: &self.strides }
    }

    /// As an array of the last axis alone, all others being 1.
    fn row(&self) -> ArrayView<'_> {
        let last = self.shape.len() - 1;
        ArrayView { shape: &self.shape[last..], strides: &self.strides[last..], ..self.view() }
    }
}

/// A plan that is being run.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    params: &'a [Scalar],
    inputs: &'a [&'a Buffer],
    pub(crate) backend: &'a dyn Backend,
    pub(crate) interrupted: &'a dyn Fn() -> bool,
    pub(crate) values: Values,
    arrays: SmallVec<[Live; 8]>,
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        symbols: &[i64],
        params: &'a [Scalar],
        inputs: &'a [&'a Buffer],
        backend: &'a dyn Backend,
        interrupted: &'a dyn Fn() -> bool,
    ) -> Run<'a> {
        let values = plan.ints.evaluate(symbols, inputs, backend.workers());
        let live = |array: &PlannedArray| Live {
            storage: None,
            pointer: array.input.and_then(|input| ptr::NonNull::new(inputs[input as usize].pointer())),
        };
        let arrays = plan.arrays.iter().map(live).collect();
        Run { plan, params, inputs, backend, interrupted, values, arrays }
    }

    fn step(&mut self, step: &PlannedStep) -> Result<(), Error> {
        for provision in &step.provide {
            match provision.over {
                None => self.allocate(provision.array)?,
                Some(over) => self.hand_over(over, provision.array),
            }
        }
        self.work(&step.work)?;
        for array in &step.free {
            self.free(*array);
        }
        Ok(())
    }

    pub(crate) fn work(&self, work: &Work) -> Result<(), Error> {
        match work {
            Work::Launch(launch) => self.launch(launch),
            Work::Product(product) => self.product(product),
            Work::Call(call) => self.call(call),
        }
    }

    pub(crate) fn free(&mut self, array: ArrayId) {
        self.arrays[array.0 as usize] = Live::default();
    }

    /// Bytes of the whole array; `None` when they do not fit.
    pub(crate) fn bytes(&self, array: &PlannedArray) -> Option<usize> {
        let mut bytes = array.dtype.size();
        for &extent in &array.extents {
            let extent = self.values[extent] as usize;
            if extent == 0 {
                return Some(0);
            }
            bytes = bytes.saturating_mul(extent);
        }
        (bytes <= isize::MAX as usize).then_some(bytes)
    }

    /// Bytes of memory behind an argument: axes along which an input repeats count once.
    pub(crate) fn traffic(&self, array: &PlannedArray) -> u64 {
        let elements = |count: u64, axis: usize| {
            let repeats = array.input.is_some_and(|input| self.inputs[input as usize].strides[axis] == 0);
            if repeats { count } else { count.saturating_mul(self.values[array.extents[axis]] as u64) }
        };
        (0..array.extents.len()).fold(array.dtype.size() as u64, elements)
    }

    pub(crate) fn allocate(&mut self, array: ArrayId) -> Result<(), Error> {
        let bytes = self.bytes(&self.plan.arrays[array.0 as usize]).ok_or(Error::OutOfMemory { bytes: usize::MAX })?;
        let storage = self.backend.allocate(bytes)?;
        let pointer = ptr::NonNull::new(storage.pointer());
        self.arrays[array.0 as usize] = Live { storage: Some(storage), pointer };
        Ok(())
    }

    fn hand_over(&mut self, from: ArrayId, to: ArrayId) {
        counters::BUFFERS_REUSED_IN_PLACE.add(1);
        // The step at hand still reads the dying array, at the same address.
        let Live { storage, pointer } = &mut self.arrays[from.0 as usize];
        self.arrays[to.0 as usize] = Live { storage: storage.take(), pointer: *pointer };
    }

    fn pointer(&self, array: ArrayId) -> *mut u8 {
        self.arrays[array.0 as usize].pointer.map_or(ptr::null_mut(), ptr::NonNull::as_ptr)
    }

    fn launch(&self, launch: &PlannedLaunch) -> Result<(), Error> {
        let prepared = self.prepare(launch)?;
        counters::KERNEL_LAUNCHES.add(1);
        counters::BYTES_MOVED.add(prepared.bytes);
        self.backend.launch(&*launch.compiled.executable, &prepared.launch(self.interrupted))
    }

    /// The arguments of a launch. An array that is not there is null.
    pub(crate) fn prepare(&self, launch: &PlannedLaunch) -> Result<Prepared, Error> {
        let mut prepared = Prepared::default();
        for argument in &launch.arguments {
            prepared.buffers.push(match *argument {
                PlannedArgument::Array(array) => {
                    let bytes = self.traffic(&self.plan.arrays[array.0 as usize]);
                    prepared.bytes = prepared.bytes.saturating_add(bytes);
                    self.pointer(array)
                }
                PlannedArgument::Temporary { length, element } => {
                    let wanted = usize::try_from(self.values[length]).ok().and_then(|n| n.checked_mul(element));
                    let storage = self.backend.allocate(wanted.ok_or(Error::OutOfMemory { bytes: usize::MAX })?)?;
                    let pointer = storage.pointer();
                    prepared.temporaries.push(storage);
                    pointer
                }
                PlannedArgument::Scratch => ptr::null_mut(),
            });
        }
        prepared.ints = launch.ints.iter().map(|&row| self.values[row]).collect();
        prepared.params = launch.params.iter().map(|&p| self.params[p as usize].bits()).collect();
        Ok(prepared)
    }

    fn product(&self, product: &PlannedProduct) -> Result<(), Error> {
        let Some(matrices) = self.matrices(product)? else { return Ok(()) };
        counters::LIBRARY_CALLS.add(1);
        counters::BYTES_MOVED.add(self.product_bytes(product));
        let matrices = matrices.product(self.interrupted);
        match &product.row {
            None => self.backend.matrix_product(&matrices),
            Some(row) => self.backend.matrix_product_plus_row(&matrices, &self.placed(row).row()),
        }
    }

    pub(crate) fn product_bytes(&self, product: &PlannedProduct) -> u64 {
        let row = product.row.as_ref().map(|row| row.array);
        let arrays = [product.left.array, product.right.array, product.destination].into_iter().chain(row);
        arrays.map(|array| self.traffic(&self.plan.arrays[array.0 as usize])).sum()
    }

    /// The matrices of a product, as long as there are any elements. Those of an array that is not there lie around null.
    pub(crate) fn matrices(&self, product: &PlannedProduct) -> Result<Option<Matrices>, Error> {
        let destination = &self.plan.arrays[product.destination.0 as usize];
        let rank = destination.extents.len();
        let extent = |view: &PlannedView, axis: usize| self.values[view.extents[axis]] as usize;
        let (m, k, n) =
            (extent(&product.left, rank - 2), extent(&product.left, rank - 1), extent(&product.right, rank - 1));
        let batch_extents = &destination.extents[..rank - 2];
        let count = batch_extents.iter().map(|&row| self.values[row] as usize).product::<usize>();
        if m == 0 || n == 0 || count == 0 {
            return Ok(None);
        }
        let dtype = destination.dtype;
        let size = dtype.size() as isize;
        let (left, right) = (self.operand(&product.left, size), self.operand(&product.right, size));
        let mut matrices = [
            left,
            right,
            Matrix { pointer: self.pointer(product.destination), row_stride: n as isize, column_stride: 1 },
        ];
        let mut batch: SmallVec<[[Matrix; 3]; 1]> = SmallVec::new();
        batch.try_reserve(count).map_err(|_| Error::OutOfMemory { bytes: count.saturating_mul(72) })?;
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, rank - 2);
        loop {
            batch.push(matrices);
            // The next index of the batch, innermost axis first, moving the three pointers along.
            matrices[2].pointer = matrices[2].pointer.wrapping_offset((m * n) as isize * size);
            let mut axis = rank - 2;
            loop {
                let Some(next) = axis.checked_sub(1) else {
                    return Ok(Some(Matrices { dtype, m, n, k, batch }));
                };
                axis = next;
                let steps = [&product.left, &product.right].map(|view| self.values[view.strides[axis]] as isize * size);
                index[axis] += 1;
                let wrapped = index[axis] == self.values[batch_extents[axis]] as usize;
                let distance = if wrapped { 1 - index[axis] as isize } else { 1 };
                for (matrix, step) in matrices.iter_mut().zip(steps) {
                    matrix.pointer = matrix.pointer.wrapping_offset(step * distance);
                }
                if !wrapped {
                    break;
                }
                index[axis] = 0;
            }
        }
    }

    fn operand(&self, view: &PlannedView, size: isize) -> Matrix {
        let rank = view.extents.len();
        let offset = view.offset.map_or(0, |row| self.values[row] as isize);
        Matrix {
            pointer: self.pointer(view.array).wrapping_offset(offset * size),
            row_stride: self.values[view.strides[rank - 2]] as isize,
            column_stride: self.values[view.strides[rank - 1]] as isize,
        }
    }

    fn call(&self, call: &PlannedCall) -> Result<(), Error> {
        let operands: SmallVec<[Placed; 2]> = call.operands.iter().map(|view| self.placed(view)).collect();
        let array = &self.plan.arrays[call.destination.0 as usize];
        let shape: Shape = array.extents.iter().map(|&row| self.values[row] as usize).collect();
        // What a routine writes follows from its operands; that it fits is not left to the graph.
        let taken: SmallVec<[&[usize]; 2]> = operands.iter().map(|operand| operand.shape.as_slice()).collect();
        if call.routine.result_shape_of_pairs(&taken).as_ref() != Some(&shape) {
            let name = call.routine.name();
            return Err(Error::Internal(format!("the result of {name} of {taken:?} was recorded as {shape:?}")));
        }
        let strides = dense_strides(&shape);
        let pointer = self.pointer(call.destination);
        let destination = ArrayView { dtype: array.dtype, pointer, shape: &shape, strides: &strides };
        let views: SmallVec<[ArrayView<'_>; 2]> = operands.iter().map(Placed::view).collect();
        counters::LIBRARY_CALLS.add(1);
        let arrays = call.operands.iter().map(|operand| operand.array).chain([call.destination]);
        counters::BYTES_MOVED.add(arrays.map(|array| self.traffic(&self.plan.arrays[array.0 as usize])).sum());
        let interrupted = self.interrupted;
        self.backend.call(&LibraryCall { routine: call.routine, operands: &views, destination, interrupted })
    }

    fn placed(&self, view: &PlannedView) -> Placed {
        let dtype = self.plan.arrays[view.array.0 as usize].dtype;
        let offset = view.offset.map_or(0, |row| self.values[row] as isize) * dtype.size() as isize;
        Placed {
            dtype,
            pointer: self.pointer(view.array).wrapping_offset(offset),
            shape: view.extents.iter().map(|&row| self.values[row] as usize).collect(),
            strides: view.strides.iter().map(|&row| self.values[row] as isize).collect(),
        }
    }

    fn result(&self, view: &PlannedView) -> Result<Buffer, Error> {
        let array = &self.plan.arrays[view.array.0 as usize];
        let (storage, start) = match (array.input, &self.arrays[view.array.0 as usize].storage) {
            (Some(input), _) => {
                let buffer = self.inputs[input as usize];
                (buffer.storage.clone(), buffer.offset)
            }
            (None, Some(storage)) => (storage.clone(), 0),
            (None, None) => return Err(Error::Internal("a result was freed while the plan ran".into())),
        };
        let offset = view.offset.map_or(0, |row| self.values[row] as isize) * array.dtype.size() as isize;
        let strides = view.strides.iter().map(|&row| self.values[row] as isize).collect();
        Ok(Buffer { storage, offset: start.wrapping_add_signed(offset), strides })
    }
}
