//! A plan: a program with its kernels compiled and everything decided that does not depend on sizes: which arguments each
//! launch takes, when each array is allocated and freed, which result is written over an operand that dies with it. Running
//! it is `run.rs`; keeping plans is `cache.rs`.
//!
//! Invariants: an array that is no input is allocated before the first step that touches it and freed after the last one,
//! unless a result shares its memory; arrays in place of each other have the same extents and element size.

use crate::{
    backend::Executable,
    chain::{self, Chain},
    error::Error,
    in_place::may_overwrite,
    int_table::{IntTable, IntTableBuilder, RowId, StrideSource},
};
use fusewire_ir::{dtype::DType, routine::Routine, shape::SymId};
use fusewire_lowering::{
    canonical::name_symbols,
    kernel::{BufferId, IntExpr, Kernel, Role},
    program::{Argument, ArrayId, Program, Step, StridedView},
};
use smallvec::SmallVec;
use std::sync::Arc;

/// A kernel after the kernel passes, and its code.
pub struct CompiledKernel {
    /// What was compiled.
    pub kernel: Kernel,
    /// The code.
    pub executable: Arc<dyn Executable>,
}

/// A compiled graph, ready to run with any sizes.
pub struct Plan {
    pub(crate) ints: IntTable,
    pub(crate) arrays: Vec<PlannedArray>,
    pub(crate) steps: Vec<PlannedStep>,
    /// In order, apart.
    pub(crate) chains: Vec<Chain>,
    pub(crate) results: Vec<PlannedView>,
}

/// An array of a plan.
pub(crate) struct PlannedArray {
    pub(crate) dtype: DType,
    pub(crate) extents: SmallVec<[RowId; 4]>,
    /// Which input of the graph it is.
    pub(crate) input: Option<u32>,
}

/// A step, and what happens to memory around it.
pub(crate) struct PlannedStep {
    pub(crate) provide: SmallVec<[Provision; 2]>,
    pub(crate) work: Work,
    /// Arrays nobody needs after it.
    pub(crate) free: SmallVec<[ArrayId; 2]>,
}

/// Where the memory of an array comes from.
pub(crate) struct Provision {
    pub(crate) array: ArrayId,
    /// The array that dies with this step and gives its memory; `None`: from the pool.
    pub(crate) over: Option<ArrayId>,
}

pub(crate) enum Work {
    Launch(PlannedLaunch),
    Product(PlannedProduct),
    Call(PlannedCall),
}

pub(crate) struct PlannedLaunch {
    pub(crate) compiled: Arc<CompiledKernel>,
    pub(crate) arguments: Vec<PlannedArgument>,
    pub(crate) ints: Vec<RowId>,
    /// Numbers of the graph's parameters.
    pub(crate) params: Vec<u32>,
}

/// What a pointer argument of a kernel is, when it runs.
#[derive(Clone, Copy)]
pub(crate) enum PlannedArgument {
    Array(ArrayId),
    /// Memory of so many elements for this launch.
    Temporary {
        length: RowId,
        element: usize,
    },
    Scratch,
}

pub(crate) struct PlannedProduct {
    pub(crate) left: PlannedView,
    pub(crate) right: PlannedView,
    /// What is added to each row.
    pub(crate) row: Option<PlannedView>,
    pub(crate) destination: ArrayId,
}

pub(crate) struct PlannedCall {
    pub(crate) routine: Routine,
    pub(crate) operands: SmallVec<[PlannedView; 2]>,
    pub(crate) destination: ArrayId,
}

pub(crate) struct PlannedView {
    pub(crate) array: ArrayId,
    pub(crate) extents: SmallVec<[RowId; 4]>,
    pub(crate) offset: Option<RowId>,
    pub(crate) strides: SmallVec<[RowId; 4]>,
}

impl Plan {
    /// Plans a program. `compile` runs the kernel passes and the back end (or finds that it did so before).
    pub fn build(
        program: Program,
        compile: &mut dyn FnMut(Kernel) -> Result<Arc<CompiledKernel>, Error>,
    ) -> Result<Plan, Error> {
        let mut ints = IntTableBuilder::default();
        let arrays: Vec<PlannedArray> = program
            .arrays
            .iter()
            .map(|array| PlannedArray {
                dtype: array.dtype,
                extents: ints.extents(&array.shape),
                input: array.input.map(|input| input.0),
            })
            .collect();
        let strides_of = |array: u32| stride_source(&arrays[array as usize]);
        let rows = ints.list(&program.ints, strides_of);
        let mut work = Vec::with_capacity(program.steps.len());
        for step in program.steps {
            work.push(match step {
                Step::Launch { mut kernel, arguments, params } => {
                    // The steps of a recorded loop over a field that shrinks have other sizes, and one kernel.
                    let symbols = name_symbols(&mut kernel);
                    let compiled = compile(kernel)?;
                    Work::Launch(launch(&mut ints, &arrays, compiled, &symbols, &arguments, &params)?)
                }
                Step::Product { left, right, row, destination } => {
                    let rank = arrays[destination.0 as usize].extents.len();
                    if rank < 2 || left.shape.len() != rank || right.shape.len() != rank {
                        return Err(Error::Internal("a product of operands that are no matrices".into()));
                    }
                    let (left, right) = (view(&mut ints, &rows, &left), view(&mut ints, &rows, &right));
                    let row = row.map(|row| self::view(&mut ints, &rows, &row));
                    Work::Product(PlannedProduct { left, right, row, destination })
                }
                Step::Call { routine, operands, destination } => {
                    let operands = operands.iter().map(|operand| view(&mut ints, &rows, operand)).collect();
                    Work::Call(PlannedCall { routine, operands, destination })
                }
            });
        }
        let results: Vec<PlannedView> = program.results.iter().map(|v| view(&mut ints, &rows, v)).collect();
        let (work, chains) = chain::gather(work, &arrays, &results);
        let steps = schedule_memory(ints.table(), &arrays, work, &results)?;
        Ok(Plan { ints: ints.finish(), arrays, steps, chains, results })
    }

    /// The names of its kernels, in the order of their launches.
    pub fn kernel_names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.work {
            Work::Launch(launch) => Some(launch.compiled.kernel.name.as_str()),
            Work::Product(_) | Work::Call(_) => None,
        })
    }

    /// Bytes of machine code of its kernels (counted again for every plan that shares one).
    pub fn code_bytes(&self) -> usize {
        let bytes = |step: &PlannedStep| match &step.work {
            Work::Launch(launch) => launch.compiled.executable.code_bytes(),
            Work::Product(_) | Work::Call(_) => 0,
        };
        self.steps.iter().map(bytes).sum()
    }

    /// Bytes of the plan itself, roughly.
    pub fn table_bytes(&self) -> usize {
        let launch = |step: &PlannedStep| match &step.work {
            Work::Launch(launch) => launch.arguments.len() * 24 + (launch.ints.len() + launch.params.len()) * 4,
            Work::Product(_) | Work::Call(_) => 0,
        };
        let steps: usize = self.steps.iter().map(|step| size_of::<PlannedStep>() + launch(step)).sum();
        steps + self.arrays.len() * size_of::<PlannedArray>() + self.results.len() * size_of::<PlannedView>()
    }
}

fn stride_source(array: &PlannedArray) -> StrideSource<'_> {
    match array.input {
        Some(input) => StrideSource::Input(input),
        None => StrideSource::Dense(&array.extents),
    }
}

fn view(ints: &mut IntTableBuilder, rows: &[RowId], view: &StridedView) -> PlannedView {
    PlannedView {
        array: view.array,
        extents: ints.extents(&view.shape),
        offset: view.offset.map(|int| rows[int.0 as usize]),
        strides: view.strides.iter().map(|int| rows[int.0 as usize]).collect(),
    }
}

fn launch(
    ints: &mut IntTableBuilder,
    arrays: &[PlannedArray],
    compiled: Arc<CompiledKernel>,
    symbols: &[SymId],
    arguments: &[Argument],
    params: &[fusewire_ir::node::ParamId],
) -> Result<PlannedLaunch, Error> {
    let kernel = &compiled.kernel;
    if kernel.params.len() != params.len() || kernel.buffers.len() < arguments.len() {
        return Err(Error::Internal(format!(
            "the arguments of kernel `{}` do not match its declarations",
            kernel.name
        )));
    }
    let of_graph = |int: &IntExpr| match *int {
        IntExpr::Sym(name) => IntExpr::Sym(symbols[name.0 as usize]),
        other => other,
    };
    let of_graph: Vec<IntExpr> = kernel.ints.iter().map(of_graph).collect();
    let rows = ints.list(&of_graph, |buffer| match arguments.get(buffer as usize) {
        Some(Argument::Array(array)) => stride_source(&arrays[array.0 as usize]),
        Some(Argument::Temporary | Argument::Scratch) | None => StrideSource::Dense(&[]),
    });
    let mut planned = Vec::with_capacity(kernel.buffers.len());
    for (number, buffer) in kernel.buffers.iter().enumerate() {
        planned.push(match (buffer.role, arguments.get(number), buffer.length) {
            (Role::Input | Role::Output, Some(&Argument::Array(array)), _) => PlannedArgument::Array(array),
            // Kernel passes may add temporaries and scratch behind what lowering declared.
            (Role::Temporary, Some(Argument::Temporary) | None, Some(length)) => {
                PlannedArgument::Temporary { length: rows[length.0 as usize], element: buffer.dtype.size() }
            }
            (Role::Scratch, Some(Argument::Scratch) | None, _) => PlannedArgument::Scratch,
            (role, argument, _) => {
                let name = &kernel.name;
                return Err(Error::Internal(format!(
                    "buffer {number} of kernel `{name}` is {role:?} but bound to {argument:?}"
                )));
            }
        });
    }
    let params = params.iter().map(|param| param.0).collect();
    Ok(PlannedLaunch { arguments: planned, ints: rows, params, compiled })
}

/// The first and the last step that touch an array.
#[derive(Clone, Copy, Default)]
struct Lifetime {
    steps: Option<(usize, usize)>,
    /// A result shares its memory: it outlives the plan.
    kept: bool,
}

fn schedule_memory(
    table: &IntTable,
    arrays: &[PlannedArray],
    work: Vec<Work>,
    results: &[PlannedView],
) -> Result<Vec<PlannedStep>, Error> {
    let mut lifetimes = vec![Lifetime::default(); arrays.len()];
    for (number, work) in work.iter().enumerate() {
        for_each_array(work, &mut |array| {
            let steps = &mut lifetimes[array.0 as usize].steps;
            *steps = Some((steps.map_or(number, |(first, _)| first), number));
        });
    }
    for result in results {
        lifetimes[result.array.0 as usize].kept = true;
    }
    if let Some(array) =
        (0..arrays.len()).find(|&a| arrays[a].input.is_none() && lifetimes[a].kept && lifetimes[a].steps.is_none())
    {
        return Err(Error::Internal(format!("no step writes array {array}, which is a result")));
    }
    let mut steps = Vec::with_capacity(work.len());
    for (number, work) in work.into_iter().enumerate() {
        let mut touched: SmallVec<[ArrayId; 8]> = SmallVec::new();
        for_each_array(&work, &mut |array| {
            if arrays[array.0 as usize].input.is_none() && !touched.contains(&array) {
                touched.push(array);
            }
        });
        let first = |a: ArrayId| lifetimes[a.0 as usize].steps.is_some_and(|(first, _)| first == number);
        let dies = |a: ArrayId| {
            let lifetime = lifetimes[a.0 as usize];
            !lifetime.kept && lifetime.steps.is_some_and(|(_, last)| last == number)
        };
        let mut free: SmallVec<[ArrayId; 2]> = touched.iter().copied().filter(|&a| dies(a)).collect();
        let mut provide = SmallVec::new();
        for array in touched.into_iter().filter(|&a| first(a)) {
            let over = match &work {
                Work::Launch(launch) => free
                    .iter()
                    .copied()
                    .filter(|&dying| !first(dying) && same_size(arrays, dying, array))
                    .find(|&dying| overwrites(table, launch, dying, array)),
                Work::Product(_) | Work::Call(_) => None,
            };
            if let Some(over) = over {
                // Its memory goes on under another name.
                free.retain(|dying| *dying != over);
            }
            provide.push(Provision { array, over });
        }
        steps.push(PlannedStep { provide, work, free });
    }
    Ok(steps)
}

fn for_each_array(work: &Work, visit: &mut dyn FnMut(ArrayId)) {
    match work {
        Work::Launch(launch) => {
            for argument in &launch.arguments {
                match *argument {
                    PlannedArgument::Array(array) => visit(array),
                    PlannedArgument::Temporary { .. } | PlannedArgument::Scratch => {}
                }
            }
        }
        Work::Product(product) => {
            visit(product.left.array);
            visit(product.right.array);
            product.row.iter().for_each(|row| visit(row.array));
            visit(product.destination);
        }
        Work::Call(call) => {
            call.operands.iter().for_each(|operand| visit(operand.array));
            visit(call.destination);
        }
    }
}

fn same_size(arrays: &[PlannedArray], a: ArrayId, b: ArrayId) -> bool {
    let (a, b) = (&arrays[a.0 as usize], &arrays[b.0 as usize]);
    a.dtype.size() == b.dtype.size() && a.extents == b.extents
}

/// Is each of the two arrays one argument of the launch, and may the kernel write the one over the other?
fn overwrites(table: &IntTable, launch: &PlannedLaunch, dying: ArrayId, array: ArrayId) -> bool {
    let only_argument = |wanted: ArrayId| {
        let mut found = launch
            .arguments
            .iter()
            .enumerate()
            .filter(|(_, argument)| matches!(argument, PlannedArgument::Array(a) if *a == wanted))
            .map(|(number, _)| BufferId(number as u32));
        found.next().filter(|_| found.next().is_none())
    };
    let (Some(input), Some(output)) = (only_argument(dying), only_argument(array)) else { return false };
    let kernel = &launch.compiled.kernel;
    kernel.buffers[input.0 as usize].role == Role::Input
        && kernel.buffers[output.0 as usize].role == Role::Output
        && may_overwrite(kernel, table, &launch.ints, input, output)
}
