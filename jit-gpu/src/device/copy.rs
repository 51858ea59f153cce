//! Copies inside a device's memory of arrays that lie anyhow, to where their elements are to lie, mostly one after another: a
//! kernel for each rank and size of elements.

use super::{Core, launch::Compiled};
use crate::driver::{Driver, Lender};
use fusewire_ir::{
    dtype::DType,
    shape::SymId,
    value::{Storage, dense_strides},
};
use fusewire_lowering::kernel::{
    Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, Phase, Role, Stmt, Value, ValueId, VarId,
};
use fusewire_runtime::{
    backend::{ArrayView, Launch},
    error::Error,
};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::{collections::BTreeMap, sync::Arc};

/// The kernels that there are already.
pub(crate) struct Copies<D: Driver>(Mutex<Kernels<D>>);

/// By bytes of an element and rank.
type Kernels<D> = BTreeMap<(usize, usize), Arc<Compiled<D>>>;

impl<D: Driver> Default for Copies<D> {
    fn default() -> Copies<D> {
        Copies(Mutex::default())
    }
}

impl<D: Driver> Lender for Arc<Core<D>> {
    fn memory(&self, bytes: usize) -> Result<Arc<dyn Storage>, Error> {
        let storage: Arc<dyn Storage> = self.allocate(bytes)?;
        self.stream()?;
        Ok(storage)
    }

    fn pack(&self, view: &ArrayView<'_>, to: *mut u8) -> Result<(), Error> {
        self.place(view, to, &dense_strides(view.shape))
    }
}

impl<D: Driver> Core<D> {
    /// Writes the elements of an array to memory, these strides apart.
    pub fn place(self: &Arc<Core<D>>, view: &ArrayView<'_>, to: *mut u8, places: &[isize]) -> Result<(), Error> {
        if view.shape.contains(&0) {
            return Ok(());
        }
        let mut shape: SmallVec<[usize; 8]> = view.shape.into();
        let mut strides: SmallVec<[isize; 8]> = view.strides.into();
        let mut places: SmallVec<[isize; 8]> = places.into();
        let mut size = view.dtype.size();
        if view.dtype.is_complex() {
            strides.iter_mut().chain(&mut places).for_each(|stride| *stride *= 2);
            shape.push(2);
            strides.push(1);
            places.push(1);
            size /= 2;
        }
        let kernel = {
            let mut kernels = self.copies.0.lock();
            let new = || Arc::new(Compiled::new(&kernel(size, shape.len())));
            kernels.entry((size, shape.len())).or_insert_with(new).clone()
        };
        let length = shape.iter().product::<usize>();
        let ints = shape.iter().map(|&extent| extent as i64).chain(strides.iter().map(|&stride| stride as i64));
        let ints: SmallVec<[i64; 24]> =
            ints.chain(places.iter().map(|&stride| stride as i64)).chain([length as i64]).collect();
        let buffers = [view.pointer, to];
        let bytes = 2 * (length * size) as u64;
        let launch = Launch { buffers: &buffers, ints: &ints, params: &[], bytes, interrupted: &|| false };
        kernel.launch(self, &launch)
    }
}

/// The copy of an array: its extents are the first integers, its strides the next, then those of where it goes, then the length.
fn kernel(size: usize, rank: usize) -> Kernel {
    let dtype = match size {
        1 => DType::U8,
        2 => DType::U16,
        4 => DType::U32,
        _ => DType::U64,
    };
    let int = |number: usize| IntId(number as u32);
    let vars = || (0..rank).map(|axis| VarId(axis as u32));
    let at = |first: usize| Affine {
        offset: None,
        terms: vars().enumerate().map(|(axis, var)| (var, Coefficient::Int(int(first + axis)))).collect(),
    };
    let load = Inst::Load { buffer: BufferId(0), at: at(rank) };
    let store = Stmt::Store { buffer: BufferId(1), at: at(2 * rank), value: ValueId(0) };
    Kernel {
        name: format!("copy-of-rank-{rank}"),
        buffers: vec![
            BufferDecl { dtype, role: Role::Input, length: None },
            BufferDecl { dtype, role: Role::Output, length: Some(int(3 * rank)) },
        ],
        params: Vec::new(),
        ints: (0..=3 * rank).map(|number| IntExpr::Sym(SymId(number as u32))).collect(),
        values: vec![Value { inst: load, dtype }],
        vars: rank as u32,
        phases: vec![Phase {
            dims: vars().enumerate().map(|(axis, var)| (var, int(axis))).collect(),
            body: vec![Stmt::Let(ValueId(0)), store],
        }],
    }
}
