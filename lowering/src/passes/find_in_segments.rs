//! Finds an extremum and where it is in one read: a segment looks for its own extremum while it is in cache, and the phase that
//! puts segments together only counts those whose extremum is that of all.
//!
//! `argmax` is recorded as the smallest index of an element that equals the extremum, or is NaN, which the extremum is then too. A
//! segment without an element of either kind has another extremum, so that what it finds for itself does not count; one that
//! has some finds the same for its own extremum.

use super::equality::Equality;
use crate::{
    kernel::{Affine, BufferId, Inst, IntId, Kernel, Loop, Phase, Range, Reduction, Role, Stmt, ValueId, VarId},
    pass::KernelPass,
    walk::{for_each_definition, for_each_stmt, for_each_stmt_mut},
};
use fusewire_ir::{dtype::DType, ops::ScalarOp, scalar::Scalar};
use smallvec::smallvec;

/// The pass.
pub const PASS: KernelPass = KernelPass {
    name: "find-in-segments",
    doc: "Looks for the extremum of each segment where that is folded, instead of reading everything again.",
    run,
};

fn run(kernel: &mut Kernel) {
    for looks in (0..kernel.phases.len()).rev() {
        if let Some(search) = Search::of(kernel, looks) {
            search.rewrite(kernel);
        }
    }
}

/// What a phase does that folds each segment of a range into an element of a buffer, or all of them into its first one.
struct Fold<'k> {
    inner: &'k Loop,
    reduction: Reduction,
    stored: BufferId,
    /// The variable that numbers the segments, and how many there are.
    segments: Option<(VarId, IntId)>,
}

impl<'k> Fold<'k> {
    /// Of a phase that stores the result of one reduction of its only loop, and perhaps others.
    fn of(phase: &'k Phase, stores: impl Fn(&Fold<'k>) -> bool) -> Option<Fold<'k>> {
        let (segments, mut place) = match phase.dims[..] {
            [] => (None, Affine::default()),
            [(var, extent)] => (Some((var, extent)), Affine::of(var)),
            _ => return None,
        };
        place = place.sorted();
        let mut loops =
            phase.body.iter().filter_map(|stmt| if let Stmt::Loop(inner) = stmt { Some(inner) } else { None });
        let (inner, None) = (loops.next()?, loops.next()) else { return None };
        let stored = phase.body.iter().filter_map(|stmt| match stmt {
            Stmt::Store { buffer, at, value } if *at == place => Some((*buffer, *value)),
            _ => None,
        });
        let folds = stored.filter_map(|(stored, value)| {
            let reduction = *inner.reductions.iter().find(|r| r.result == value)?;
            Some(Fold { inner, reduction, stored, segments })
        });
        folds.into_iter().find(|fold| stores(fold))
    }

    /// The buffer of which the phase folds as many elements, when it does nothing else to them.
    fn folded(&self, kernel: &Kernel, count: IntId) -> Option<BufferId> {
        match &kernel.value(self.reduction.value).inst {
            Inst::Load { buffer, at }
                if self.segments.is_none()
                    && self.inner.range == Range::Full(count)
                    && *at == Affine::of(self.inner.var) =>
            {
                Some(*buffer)
            }
            _ => None,
        }
    }
}

/// A search for an extremum in a kernel. In the order of its phases: one folds segments, one folds these to the extremum of all,
/// one looks for that in segments, and one folds what they have found.
struct Search {
    folds: usize,
    looks: usize,
    decides: usize,
    /// The extrema of the segments, and that of all.
    extrema: BufferId,
    extremum: BufferId,
    /// A segment's extremum where it is folded, and the tile's variable there.
    segment: ValueId,
    tile: VarId,
    /// Where it is looked for: the tile's variable, the comparison, its other operand, and the load of the extremum of all.
    looking_tile: VarId,
    equal: ValueId,
    element: ValueId,
    load: ValueId,
    /// Are NaNs looked for as well?
    nan: bool,
}

impl Search {
    fn of(kernel: &Kernel, looks: usize) -> Option<Search> {
        let phase = &kernel.phases[looks];
        let fold = Fold::of(phase, |fold| fold.reduction.op == ScalarOp::Minimum)?;
        let (looking_tile, count) = fold.segments?;
        let operands = operands_of(kernel, fold.reduction.value, ScalarOp::Where)?;
        let nowhere = Inst::Const(Scalar::i64(i64::MAX));
        let is_index = matches!(kernel.value(operands[1]).inst, Inst::Index(_));
        if !is_index || kernel.value(operands[2]).inst != nowhere || fold.inner.reductions.len() != 1 {
            return None;
        }
        let (equal, unequal) = match operands_of(kernel, operands[0], ScalarOp::Or) {
            Some(either) => (either[0], Some(either[1])),
            None => (operands[0], None),
        };
        let compared = operands_of(kernel, equal, ScalarOp::Equal)?;
        let first = |id: &ValueId| match &kernel.value(*id).inst {
            Inst::Load { buffer, at } if *at == Affine::default() => Some(*buffer),
            _ => None,
        };
        let (load, extremum) = compared.iter().find_map(|id| Some((*id, first(id)?)))?;
        let element = *compared.iter().find(|&&id| id != load)?;
        if let Some(unequal) = unequal
            && operands_of(kernel, unequal, ScalarOp::NotEqual)? != [element, element]
        {
            return None;
        }
        let mut uses = 0;
        for_each_definition(&phase.body, &mut |id| {
            uses += kernel.value(id).inst.operands().iter().filter(|&&operand| operand == load).count();
        });
        if uses != 1 {
            return None;
        }
        let (total, extrema) = kernel.phases[..looks].iter().enumerate().find_map(|(number, phase)| {
            let fold = Fold::of(phase, |fold| fold.stored == extremum)?;
            Some((number, fold.folded(kernel, count)?))
        })?;
        let folds = (0..total).find(|&number| {
            Fold::of(&kernel.phases[number], |fold| fold.stored == extrema).is_some_and(|fold| fold.segments.is_some())
        })?;
        let segment = Fold::of(&kernel.phases[folds], |fold| fold.stored == extrema)?;
        let (tile, segments) = segment.segments?;
        let alike = match (segment.inner.range, fold.inner.range) {
            (Range::Tile { extent, size, tile: first }, Range::Tile { extent: e, size: s, tile: second }) => {
                (extent, size, first, second) == (e, s, tile, looking_tile)
            }
            _ => false,
        };
        let vars = [(segment.inner.var, fold.inner.var), (tile, looking_tile)];
        let mut equality = Equality::of(kernel, &vars);
        let is_extremum = matches!(segment.reduction.op, ScalarOp::Minimum | ScalarOp::Maximum);
        if !alike || segments != count || !is_extremum || !equality.holds(segment.reduction.value, element) {
            return None;
        }
        let decides = (looks + 1..kernel.phases.len()).find(|&number| {
            let least = |fold: &Fold<'_>| fold.reduction.op == ScalarOp::Minimum && fold.inner.reductions.len() == 1;
            let other = Fold::of(&kernel.phases[number], least);
            other.and_then(|other| other.folded(kernel, count)) == Some(fold.stored)
        })?;
        if !moves_up(kernel, phase, load) || loads(kernel, fold.stored) != 1 {
            return None;
        }
        let (segment, nan) = (segment.reduction.result, unequal.is_some());
        Some(Search {
            folds,
            looks,
            decides,
            extrema,
            extremum,
            segment,
            tile,
            looking_tile,
            equal,
            element,
            load,
            nan,
        })
    }

    fn rewrite(self, kernel: &mut Kernel) {
        self.decide(kernel);
        let mut looks = kernel.phases.remove(self.looks);
        looks.body.retain(|stmt| !matches!(stmt, Stmt::Let(id) if *id == self.load));
        for_each_stmt_mut(&mut looks.body, &mut |stmt| match stmt {
            Stmt::Let(id) => {
                if let Some(at) = kernel.values[id.0 as usize].inst.affine_mut() {
                    at.rename(self.looking_tile, self.tile);
                }
            }
            Stmt::Store { at, .. } => at.rename(self.looking_tile, self.tile),
            Stmt::Loop(inner) => {
                inner.body.retain(|stmt| !matches!(stmt, Stmt::Let(id) if *id == self.load));
                if let Range::Tile { tile, .. } = &mut inner.range {
                    *tile = self.tile;
                }
            }
        });
        kernel.values[self.equal.0 as usize].inst = Inst::Op(ScalarOp::Equal, smallvec![self.element, self.segment]);
        kernel.phases[self.folds].body.extend(looks.body);
    }

    /// Lets the last phase count what those segments have found whose extremum is that of all.
    fn decide(&self, kernel: &mut Kernel) {
        let mut body = std::mem::take(&mut kernel.phases[self.decides].body);
        for stmt in &mut body {
            let Stmt::Loop(inner) = stmt else { continue };
            let dtype = kernel.buffers[self.extrema.0 as usize].dtype;
            let mut new = |inst, dtype| {
                let id = kernel.new_value(inst, dtype);
                inner.body.push(Stmt::Let(id));
                id
            };
            let own = new(Inst::Load { buffer: self.extrema, at: Affine::of(inner.var) }, dtype);
            let all = new(Inst::Load { buffer: self.extremum, at: Affine::default() }, dtype);
            let mut counts = new(Inst::Op(ScalarOp::Equal, smallvec![own, all]), DType::Bool);
            if self.nan {
                let unequal = new(Inst::Op(ScalarOp::NotEqual, smallvec![own, own]), DType::Bool);
                counts = new(Inst::Op(ScalarOp::Or, smallvec![counts, unequal]), DType::Bool);
            }
            let nowhere = new(Inst::Const(Scalar::i64(i64::MAX)), DType::I64);
            let found = inner.reductions[0].value;
            inner.reductions[0].value = new(Inst::Op(ScalarOp::Where, smallvec![counts, found, nowhere]), DType::I64);
        }
        kernel.phases[self.decides].body = body;
    }
}

/// May the phase run before all others, if it did not load this? It needs nothing that a phase stores, and stores one thing.
fn moves_up(kernel: &Kernel, phase: &Phase, without: ValueId) -> bool {
    let (mut needs_inputs, mut stores) = (true, 0);
    for_each_definition(&phase.body, &mut |id| {
        if let Inst::Load { buffer, .. } = kernel.value(id).inst {
            needs_inputs &= id == without || kernel.buffers[buffer.0 as usize].role == Role::Input;
        }
    });
    for_each_stmt(&phase.body, &mut |stmt| stores += usize::from(matches!(stmt, Stmt::Store { .. })));
    needs_inputs && stores == 1
}

/// How often the kernel loads from a buffer.
fn loads(kernel: &Kernel, from: BufferId) -> usize {
    let mut count = 0;
    for phase in &kernel.phases {
        for_each_definition(&phase.body, &mut |id| {
            count += usize::from(matches!(kernel.value(id).inst, Inst::Load { buffer, .. } if buffer == from));
        });
    }
    count
}

/// The operands of a value that is this op.
fn operands_of(kernel: &Kernel, id: ValueId, op: ScalarOp) -> Option<&[ValueId]> {
    match &kernel.value(id).inst {
        Inst::Op(found, operands) if *found == op => Some(operands),
        _ => None,
    }
}
