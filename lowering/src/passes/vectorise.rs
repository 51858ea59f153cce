//! Chooses each item's vector loop, and with it how parallel dims are cut into items. Sizes are not known here, so the
//! choice rests on which variable goes through memory element by element:
//!
//! - a dim: it is cut into tiles, an item's whole body moves into a vector loop over its tile, and the dim before it is
//!   cut into blocks of a few, so that short rows do not make tiny items (but for stencils). Where one array runs along the dim and
//!   another along a second one, both are cut into square blocks (`transpose.rs`);
//! - else the innermost loops of the items (rows that are reduced), each by itself, or the items side by side when rows
//!   are short (`short_rows.rs`).
//!
//! Lanes depend on the kernel's code only; sums depend on them.

use super::{
    lanes::lanes,
    short_rows,
    transpose::{self, Side},
};
use crate::{
    kernel::{
        Affine, BufferId, CASCADE_BLOCK, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Phase, Range, Stmt,
        VarId,
    },
    pass::KernelPass,
    walk::{for_each_definition, for_each_loop, for_each_stmt},
};
use fusewire_ir::ops::ScalarOp;

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "vectorise",
    doc: "Cuts parallel dims into tiles and makes vector loops of them, or of the innermost loops.",
    run,
};

/// Elements of a tile, and so of an item, of a phase of one dim.
const TILE: u32 = 8192;

/// Elements of a tile where the dim before it is cut into blocks too.
const ROW_TILE: u32 = 2048;

/// Rows of an item then.
const ROWS: u32 = 16;

/// Columns of an item that folds a segment of rows: long runs are what the hardware prefetches.
const SEGMENT_TILE: u32 = 4096;

/// Columns of an item with loops of unknown length.
const LOOP_TILE: u32 = 256;

/// From how many simple ops on it pays to do what all rows share only once, at the price of walking down columns.
const COSTLY: u32 = 4;

fn run(kernel: &mut Kernel) {
    for mut phase in std::mem::take(&mut kernel.phases) {
        let short = vectorise(kernel, &mut phase);
        kernel.phases.extend(short);
        kernel.phases.push(phase);
    }
}

/// Vectorises a phase. What it gives is a second phase that takes the items over when their rows are short.
fn vectorise(kernel: &mut Kernel, phase: &mut Phase) -> Option<Phase> {
    let mut has_vectors = false;
    for_each_loop(&phase.body, &mut |inner| has_vectors |= inner.kind != LoopKind::Serial);
    if has_vectors {
        return None;
    }
    let loops = loops_fitness(kernel, &phase.body);
    let best = (0..phase.dims.len())
        .filter(|&i| lanes_stay_apart(kernel, &phase.body, phase.dims[i].0))
        .map(|i| (fitness(kernel, &phase.body, phase.dims[i].0), i))
        .max();
    match best {
        Some((dim, i)) if loops.is_none_or(|loops| dim > loops) => {
            vectorise_dim(kernel, phase, i);
            None
        }
        _ => {
            let short = short_rows::split_off(kernel, phase);
            vectorise_loops(kernel, &mut phase.body);
            short
        }
    }
}

/// How well memory is gone through when neighbouring lanes are neighbours in a variable. The larger the better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Fitness {
    /// Stores that are contiguous, in phases without loops: what is gathered can come from blocks in scratch, what is
    /// scattered cannot.
    stores: u32,
    /// Loads and stores in the deepest loops that are contiguous or the same element for all lanes, of 1024.
    smooth: u32,
    /// Of them, those that are contiguous.
    contiguous: u32,
}

impl Fitness {
    fn of(accesses: &[Option<Coefficient>]) -> Fitness {
        let share = |count: usize| (count * 1024 / accesses.len().max(1)) as u32;
        let contiguous = accesses.iter().filter(|&&c| c == Some(Coefficient::Const(1))).count();
        let reversed = accesses.iter().filter(|&&c| c == Some(Coefficient::Const(-1))).count();
        let same = accesses.iter().filter(|c| c.is_none()).count();
        Fitness { stores: 0, smooth: share(contiguous + reversed + same), contiguous: share(contiguous) }
    }
}

/// The fitness of a dim: what the deepest loops access decides, because it happens most often.
fn fitness(kernel: &Kernel, body: &[Stmt], var: VarId) -> Fitness {
    let mut accesses = Vec::new();
    let deepest = depth(body);
    collect(kernel, body, deepest, &mut |at| accesses.push(at.coefficient(var)));
    let in_place =
        |stmt: &&Stmt| matches!(stmt, Stmt::Store { at, .. } if at.coefficient(var) == Some(Coefficient::Const(1)));
    let stores = if deepest == 0 { body.iter().filter(in_place).count() as u32 } else { 0 };
    Fitness { stores, ..Fitness::of(&accesses) }
}

/// The fitness of the innermost loops, each in its own variable; `None` when there is no loop.
fn loops_fitness(kernel: &Kernel, body: &[Stmt]) -> Option<Fitness> {
    let mut accesses = Vec::new();
    let deepest = depth(body);
    let mut any = false;
    for_each_loop(body, &mut |inner| {
        any = true;
        if depth(&inner.body) == 0 {
            let vector = is_vectorisable(kernel, inner);
            let coefficient =
                |at: &Affine| if vector { at.coefficient(inner.var) } else { Some(Coefficient::Const(0)) };
            if deepest == 1 || nesting(body, inner.var) == deepest {
                collect(kernel, &inner.body, 0, &mut |at| accesses.push(coefficient(at)));
            }
        }
    });
    any.then(|| Fitness::of(&accesses))
}

/// How many loops stand inside each other in a block, at most.
fn depth(block: &[Stmt]) -> usize {
    let inner = |stmt: &Stmt| match stmt {
        Stmt::Loop(inner) => 1 + depth(&inner.body),
        Stmt::Let(_) | Stmt::Store { .. } => 0,
    };
    block.iter().map(inner).max().unwrap_or(0)
}

/// In how many loops of the block the loop of a variable stands, itself included; 0 when it is not there.
fn nesting(block: &[Stmt], var: VarId) -> usize {
    let inner = |stmt: &Stmt| match stmt {
        Stmt::Loop(inner) if inner.var == var => 1,
        Stmt::Loop(inner) => match nesting(&inner.body, var) {
            0 => 0,
            n => n + 1,
        },
        Stmt::Let(_) | Stmt::Store { .. } => 0,
    };
    block.iter().map(inner).max().unwrap_or(0)
}

/// The indices of the loads and stores that stand in exactly so many loops of a block.
fn collect(kernel: &Kernel, block: &[Stmt], level: usize, f: &mut dyn FnMut(&Affine)) {
    for stmt in block {
        match stmt {
            Stmt::Let(id) if level == 0 => {
                if let Inst::Load { at, .. } | Inst::Gather { at, .. } = &kernel.value(*id).inst {
                    f(at);
                }
            }
            Stmt::Store { at, .. } if level == 0 => f(at),
            Stmt::Loop(inner) if level > 0 => collect(kernel, &inner.body, level - 1, f),
            Stmt::Let(_) | Stmt::Store { .. } | Stmt::Loop(_) => {}
        }
    }
}

/// May neighbours in the variable be computed at once? Not when they store to one element (scratch), load what another
/// one stores, or go through different blocks of a loop: all lanes are in the same iteration.
fn lanes_stay_apart(kernel: &Kernel, body: &[Stmt], var: VarId) -> bool {
    let mut stores = Vec::new();
    for_each_stmt(body, &mut |stmt| {
        if let Stmt::Store { buffer, at, .. } = stmt {
            stores.push((*buffer, at.clone()));
        }
    });
    let mut apart = stores.iter().all(|(_, at)| at.mentions(var));
    for_each_loop(body, &mut |inner| apart &= inner.range.tile() != Some(var));
    for_each_definition(body, &mut |id| {
        if let Inst::Load { buffer, at } = &kernel.value(id).inst {
            apart &= stores.iter().all(|(b, stored)| b != buffer || stored.coefficient(var) == at.coefficient(var));
        }
    });
    apart
}

fn is_vectorisable(kernel: &Kernel, inner: &Loop) -> bool {
    inner.scans.is_empty() && depth(&inner.body) == 0 && lanes_stay_apart(kernel, &inner.body, inner.var)
}

fn vectorise_loops(kernel: &Kernel, block: &mut [Stmt]) {
    for stmt in block {
        if let Stmt::Loop(inner) = stmt {
            if is_vectorisable(kernel, inner) {
                inner.kind = LoopKind::Vector { lanes: lanes(kernel, inner.body.as_slice(), &inner.reductions) };
            } else {
                vectorise_loops(kernel, &mut inner.body);
            }
        }
    }
}

/// Is an array read at several places that are always as far apart, as in a stencil? Then an item is a single row: what runs block by
/// block of rows computes those at the blocks' edges twice, item by item.
fn reads_neighbours(kernel: &Kernel, body: &[Stmt]) -> bool {
    let mut loads: Vec<(BufferId, &Affine)> = Vec::new();
    for_each_definition(body, &mut |id| {
        if let Inst::Load { buffer, at } = &kernel.value(id).inst {
            loads.push((*buffer, at));
        }
    });
    let apart = |(a, at): &(BufferId, &Affine), (b, other): &(BufferId, &Affine)| {
        a == b && at.terms == other.terms && at.offset != other.offset
    };
    loads.iter().enumerate().any(|(place, load)| loads[..place].iter().any(|before| apart(load, before)))
}

/// Moves the body of a phase into a vector loop over tiles of a dim.
fn vectorise_dim(kernel: &mut Kernel, phase: &mut Phase, chosen: usize) {
    let dim = phase.dims.remove(chosen);
    let other = transposed_dim(kernel, phase, dim.0);
    let body = std::mem::take(&mut phase.body);
    let kind = LoopKind::Vector { lanes: lanes(kernel, &in_lanes(kernel, &body, dim.0), &[]) };
    let has_loops = body.iter().any(|stmt| matches!(stmt, Stmt::Loop(_)));
    let (rows, tile) = match other {
        Some(other) => {
            let other = phase.dims.remove(other);
            phase.dims.push(other);
            (Some(transpose::BLOCK), transpose::BLOCK)
        }
        None if has_loops => (None, if folds_segments(&body) { SEGMENT_TILE } else { LOOP_TILE }),
        None if phase.dims.is_empty() => (None, TILE),
        None if reads_neighbours(kernel, &body) => (None, ROW_TILE),
        None => (Some(ROWS), ROW_TILE),
    };
    let (tile_dim, columns) = cut(kernel, dim.1, tile);
    let row = if rows.is_some() { phase.dims.pop() } else { None };
    phase.body = match (rows, row) {
        (Some(size), Some(row)) => {
            let (row_dim, range) = cut(kernel, row.1, size);
            phase.dims.push(row_dim);
            if other.is_some() {
                let across = Side { var: dim.0, range: columns, size };
                let along = Side { var: row.0, range, size };
                let mut staged = transpose::through_scratch(kernel, &body, across, along);
                let inner = wrap(dim.0, columns, kind, body);
                staged.push(wrap(row.0, range, LoopKind::Serial, vec![inner]));
                staged
            // The outer one of the two loops is where what only depends on it will be hoisted to.
            } else if depends_on_columns_only(kernel, &body, row.0) {
                let inner = wrap(row.0, range, LoopKind::Serial, body);
                vec![wrap(dim.0, columns, kind, vec![inner])]
            } else {
                let inner = wrap(dim.0, columns, kind, body);
                vec![wrap(row.0, range, LoopKind::Serial, vec![inner])]
            }
        }
        (Some(_) | None, _) => vec![wrap(dim.0, columns, kind, body)],
    };
    phase.dims.push(tile_dim);
}

/// A block without what is computed of indices that are the same in all lanes: it takes no registers of vectors.
fn in_lanes(kernel: &Kernel, block: &[Stmt], var: VarId) -> Vec<Stmt> {
    let mut same = vec![false; kernel.values.len()];
    for_each_definition(block, &mut |id| {
        same[id.0 as usize] = match &kernel.value(id).inst {
            Inst::Index(at) => !at.mentions(var),
            Inst::Op(_, operands) => operands.iter().all(|operand| same[operand.0 as usize]),
            Inst::Cast(operand) => same[operand.0 as usize],
            _ => false,
        };
    });
    fn kept(block: &[Stmt], same: &[bool]) -> Vec<Stmt> {
        let rest = block.iter().filter(|stmt| !matches!(stmt, Stmt::Let(id) if same[id.0 as usize]));
        let inside = |stmt: &Stmt| match stmt {
            Stmt::Loop(inner) => Stmt::Loop(Loop { body: kept(&inner.body, same), ..inner.clone() }),
            Stmt::Let(_) | Stmt::Store { .. } => stmt.clone(),
        };
        rest.map(inside).collect()
    }
    kept(block, &same)
}

/// Is there costly work that is the same for all rows? Then each column does it once for the rows of an item.
fn depends_on_columns_only(kernel: &Kernel, body: &[Stmt], row: VarId) -> bool {
    let mut varies = vec![false; kernel.values.len()];
    let mut cost = 0;
    for_each_definition(body, &mut |id| {
        let inst = &kernel.value(id).inst;
        let operands = inst.operands();
        let changes = inst.affine().is_some_and(|at| at.mentions(row))
            || operands.iter().any(|operand| varies[operand.0 as usize]);
        varies[id.0 as usize] = changes;
        // A value of constants and parameters alone leaves both loops.
        let leaves = matches!(inst, Inst::Const(_) | Inst::Param(_));
        if !changes && !leaves {
            cost += match inst {
                Inst::Op(ScalarOp::Sqrt | ScalarOp::Divide | ScalarOp::TruncatedRemainder, _) => COSTLY,
                Inst::Op(..) | Inst::Cast(_) | Inst::Position { .. } => 1,
                Inst::Const(_)
                | Inst::Param(_)
                | Inst::Index(_)
                | Inst::Load { .. }
                | Inst::Gather { .. }
                | Inst::Reduced
                | Inst::Running => 0,
            };
        }
    });
    cost >= COSTLY
}

/// A dim that numbers the tiles of an extent, and the range of a tile.
pub(super) fn cut(kernel: &mut Kernel, extent: IntId, size: u32) -> ((VarId, IntId), Range) {
    let size_int = kernel.int_const(size as i64);
    let tile = kernel.new_var();
    let tiles = kernel.int(IntExpr::CeilDiv(extent, size_int));
    ((tile, tiles), Range::Tile { extent, tile, size })
}

fn wrap(var: VarId, range: Range, kind: LoopKind, body: Vec<Stmt>) -> Stmt {
    Stmt::Loop(Loop { var, range, kind, reductions: Vec::new(), scans: Vec::new(), body })
}

/// Are all loops short segments, as `split-reductions` makes them?
fn folds_segments(body: &[Stmt]) -> bool {
    let mut short = true;
    for_each_loop(body, &mut |inner| {
        short &= matches!(inner.range, Range::Tile { size, .. } if size <= CASCADE_BLOCK);
    });
    short
}

/// Another dim along which an array runs that has to be gathered along the chosen one, in a phase without loops.
fn transposed_dim(kernel: &Kernel, phase: &Phase, chosen: VarId) -> Option<usize> {
    if depth(&phase.body) > 0 {
        return None;
    }
    let mut found = None;
    for_each_definition(&phase.body, &mut |id| {
        if let Inst::Load { at, .. } = &kernel.value(id).inst {
            found = found.or(phase.dims.iter().position(|&(var, _)| transpose::is_transposed(at, chosen, var)));
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use crate::{
        kernel::{IntId, Kernel, Loop, LoopKind, Range},
        passes::testing,
        walk::for_each_loop,
    };

    fn vectorised(text: &str, symbols: &[i64], tolerance: f64) -> Kernel {
        let (before, after) = testing::run_named(text, &["vectorise"]);
        testing::assert_same_results(&before, &after, symbols, tolerance);
        after
    }

    fn loops(kernel: &Kernel) -> Vec<Loop> {
        let mut loops = Vec::new();
        kernel.phases.iter().for_each(|p| for_each_loop(&p.body, &mut |l| loops.push(l.clone())));
        loops
    }

    fn is_vector(inner: &Loop) -> bool {
        matches!(inner.kind, LoopKind::Vector { .. })
    }

    const ONE_DIM: &str = "kernel @double(b0: in f32, b1: out f32[i0]) {
      i0 = sym m
      phase (v0: i0) {
        %0 = load b0[v0] : f32
        %1 = add %0, %0 : f32
        store b1[v0] = %1
      }
    }";

    #[test]
    fn a_single_dim_is_cut_into_tiles() {
        for n in [1, 8191, 8192, 8193] {
            let after = vectorised(ONE_DIM, &[n], 0.0);
            assert_eq!(after.phases[0].dims.len(), 1);
            let loops = loops(&after);
            assert!(loops.len() == 1 && is_vector(&loops[0]));
            assert!(matches!(loops[0].range, Range::Tile { size: 8192, .. }));
        }
    }

    /// Nothing is contiguous in the strided loop, and the store is along the blocks; but a block is all that tells the lanes apart.
    #[test]
    fn blocks_of_a_loop_are_never_lanes() {
        let text = "kernel @segments(b0: in i32, b1: out i32[i4]) {
          i1 = stride b0 0
          i2 = sym m
          i3 = const 64
          i4 = ceildiv i2, i3
          phase (v0: i4) {
            loop v1 in tile(i2, v0, 64) {
              %0 = load b0[v1*i1] : i32
            } reduce %1 = add %0 : i32
            store b1[v0] = %1
          }
        }";
        for n in [1, 64, 65, 1000] {
            let loops = loops(&vectorised(text, &[n], 0.0));
            assert!(loops.len() == 1 && is_vector(&loops[0]));
        }
    }

    #[test]
    fn rows_are_taken_in_blocks() {
        let text = "kernel @rows(b0: in f32, b1: in f32, b2: out f32[i2]) {
          i0 = sym m
          i1 = sym n
          i2 = mul i0, i1
          phase (v0: i0, v1: i1) {
            %0 = load b0[v0*i1 + v1] : f32
            %1 = load b1[v1] : f32
            %2 = subtract %0, %1 : f32
            store b2[v0*i1 + v1] = %2
          }
        }";
        let plain = loops(&vectorised(text, &[37, 5], 0.0));
        assert!(!is_vector(&plain[0]) && is_vector(&plain[1]));
        let costly = text.replace("%2 = subtract", "%3 = divide %1, %1 : f32 %4 = add %3, %1 : f32 %2 = subtract");
        let costly = loops(&vectorised(&costly, &[37, 5], 0.0));
        assert!(is_vector(&costly[0]) && !is_vector(&costly[1]));
    }

    #[test]
    fn items_of_a_stencil_are_rows() {
        let text = "kernel @stencil(b0: in f32, b1: out f32[i4]) {
          i0 = sym m
          i1 = sym n
          i2 = const 2
          i3 = add i1, i2
          i4 = mul i0, i1
          phase (v0: i0, v1: i1) {
            %0 = load b0[v0*i3 + v1] : f32
            %1 = load b0[v0*i3 + v1 + i2] : f32
            %2 = subtract %1, %0 : f32
            store b1[v0*i1 + v1] = %2
          }
        }";
        let after = vectorised(text, &[37, 5], 0.0);
        assert_eq!(after.phases[0].dims[0].1, IntId(0));
        assert!(loops(&after).len() == 1 && is_vector(&loops(&after)[0]));
    }

    #[test]
    fn a_transposition_goes_in_square_blocks() {
        let text = "kernel @transpose(b0: in f32, b1: out f32[i2]) {
          i0 = sym m
          i1 = sym n
          i2 = mul i0, i1
          phase (v0: i0, v1: i1) {
            %0 = load b0[v1*i0 + v0] : f32
            store b1[v0*i1 + v1] = %0
          }
        }";
        let loops = loops(&vectorised(text, &[140, 135], 0.0));
        assert!(
            loops.len() == 4
                && loops.iter().all(|l| matches!(l.range, Range::Tile { size: super::transpose::BLOCK, .. }))
        );
        assert!(is_vector(&loops[1]) && is_vector(&loops[3]));
    }

    /// Each row is reduced and then gone through again.
    const NORMS: &str = "kernel @norm(b0: in f32, b1: out f32[i2], b2: scratch f32[i1]) {
        i0 = sym m
        i1 = sym n
        i2 = mul i0, i1
        phase (v0: i0) {
          loop v1 in i1 {
            %0 = load b0[v0*i1 + v1] : f32
            %1 = multiply %0, %0 : f32
            store b2[v1] = %1
          } reduce %2 = add %1 : f32
          loop v2 in i1 {
            %3 = load b2[v2] : f32
            %4 = divide %3, %2 : f32
            store b1[v0*i1 + v2] = %4
          }
        }
      }";

    #[test]
    fn rows_that_are_reduced_are_vector_loops_themselves() {
        let after = vectorised(NORMS, &[4, 50], 1e-6);
        let long = Kernel { phases: after.phases[1..].to_vec(), ..after };
        assert_eq!(long.phases[0].dims.len(), 1);
        assert!(loops(&long).len() == 2 && loops(&long).iter().all(is_vector));
    }

    #[test]
    fn short_rows_go_side_by_side() {
        for (symbols, short) in [([300, 31], true), ([300, 32], false), ([1, 2], true)] {
            let text = NORMS.replace("store b2[v1]", "%5 = scan add %1 : f32 store b2[v1]");
            let after = vectorised(&text, &symbols, 1e-6);
            assert_eq!(after.phases.len(), 2);
            let ints = crate::ints::evaluate_ints(&after.ints, &symbols, |_, _| 0);
            let items = after.phases.iter().map(|p| p.dims.iter().map(|d| ints[d.1.0 as usize]).product::<i64>());
            let items: Vec<i64> = items.collect();
            assert_eq!(items, if short { [(symbols[0] + 255) / 256, 0] } else { [0, symbols[0]] });
        }
    }

    #[test]
    fn a_product_of_matrices_has_columns_for_lanes() {
        let text = "kernel @product(b0: in f32, b1: in f32, b2: out f32[i3]) {
          i0 = sym m
          i1 = sym n
          i2 = sym p
          i3 = mul i0, i1
          phase (v0: i0, v1: i1) {
            loop v2 in i2 {
              %0 = load b0[v0*i2 + v2] : f32
              %1 = load b1[v2*i1 + v1] : f32
              %2 = multiply %0, %1 : f32
            } reduce %3 = add %2 : f32
            store b2[v0*i1 + v1] = %3
          }
        }";
        let columns = loops(&vectorised(text, &[3, 19, 40], 0.0));
        assert!(is_vector(&columns[0]) && !is_vector(&columns[1]));
        let rows = loops(&vectorised(&text.replace("v2*i1 + v1", "v1*i2 + v2"), &[3, 19, 40], 1e-5));
        // The first five are the phase for short rows, which copies them first.
        assert!(rows.len() == 6 && is_vector(&rows[5]));
    }

    #[test]
    fn running_folds_stay_serial_but_may_run_in_lanes() {
        let text = "kernel @cumulative(b0: in f32, b1: out f32[i2]) {
          i0 = sym m
          i1 = sym n
          i2 = mul i0, i1
          phase (v0: i1) {
            loop v1 in i0 {
              %0 = load b0[v1*i1 + v0] : f32
              %1 = scan add %0 : f32
              store b1[v1*i1 + v0] = %1
            }
          }
        }";
        let down = loops(&vectorised(text, &[7, 20], 0.0));
        assert!(is_vector(&down[0]) && !is_vector(&down[1]));
        let along = loops(&vectorised(&text.replace("v1*i1 + v0", "v0*i0 + v1"), &[7, 20], 0.0));
        assert!(along.len() == 3 && !is_vector(&along[2]));
    }
}
