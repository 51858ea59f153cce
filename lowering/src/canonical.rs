//! One numbering for equal kernels: variables in the order in which they are opened, values in the order in which they are
//! defined, ints without duplicates and unused ones, indices with their terms in order. The meaning stays.

use crate::{
    kernel::{Affine, BufferDecl, Coefficient, IntExpr, IntId, Kernel, Loop, Range, Stmt, Value, ValueId, VarId},
    walk::for_each_stmt,
};
use fusewire_ir::shape::SymId;
use smallvec::SmallVec;

/// Renumbers a kernel.
pub fn canonicalise(kernel: &mut Kernel) {
    share_ints(kernel);
    renumber_vars(kernel);
    renumber_values(kernel);
}

/// Names the symbols in the order in which the ints mention them, so that kernels that differ in nothing else are equal. Gives what
/// each new name stood for.
pub fn name_symbols(kernel: &mut Kernel) -> Vec<SymId> {
    let mut symbols: Vec<SymId> = Vec::new();
    for int in &mut kernel.ints {
        if let IntExpr::Sym(symbol) = int {
            let name = symbols.iter().position(|known| known == symbol).unwrap_or(symbols.len());
            if name == symbols.len() {
                symbols.push(*symbol);
            }
            *symbol = SymId(name as u32);
        }
    }
    symbols
}

/// Gives equal ints one id and drops the unused. Ints keep their order of first definition.
fn share_ints(kernel: &mut Kernel) {
    let mut needed = vec![false; kernel.ints.len()];
    visit_ints(kernel, &mut |id| needed[id.0 as usize] = true);
    for (i, expr) in kernel.ints.iter().enumerate().rev() {
        if needed[i] {
            expr.operands().for_each(|id| needed[id.0 as usize] = true);
        }
    }
    let old = std::mem::take(&mut kernel.ints);
    let mut new_ids: Vec<IntId> = Vec::with_capacity(old.len());
    for (expr, needed) in old.into_iter().zip(needed) {
        // Unused ones are never looked up: what is needed refers to what is needed.
        new_ids.push(if needed { kernel.int(expr.map(|id| new_ids[id.0 as usize])) } else { IntId(u32::MAX) });
    }
    map_ints(kernel, &mut |id| new_ids[id.0 as usize]);
    drop_unused(kernel);
}

/// Folding leaves constants behind that nothing refers to any more.
fn drop_unused(kernel: &mut Kernel) {
    let mut needed = vec![false; kernel.ints.len()];
    visit_ints(kernel, &mut |id| needed[id.0 as usize] = true);
    for (i, expr) in kernel.ints.iter().enumerate().rev() {
        if needed[i] {
            expr.operands().for_each(|id| needed[id.0 as usize] = true);
        }
    }
    let mut new_ids = vec![IntId(u32::MAX); kernel.ints.len()];
    let mut kept: Vec<IntExpr> = Vec::new();
    for (i, expr) in kernel.ints.iter().enumerate().filter(|&(i, _)| needed[i]) {
        new_ids[i] = IntId(kept.len() as u32);
        kept.push(expr.map(|id| new_ids[id.0 as usize]));
    }
    kernel.ints = kept;
    map_ints(kernel, &mut |id| new_ids[id.0 as usize]);
}

fn visit_ints(kernel: &Kernel, f: &mut dyn FnMut(IntId)) {
    kernel.buffers.iter().filter_map(|b| b.length).for_each(&mut *f);
    for phase in &kernel.phases {
        phase.dims.iter().for_each(|&(_, extent)| f(extent));
        for_each_stmt(&phase.body, &mut |stmt| match stmt {
            Stmt::Let(id) => kernel.value(*id).inst.ints().for_each(&mut *f),
            Stmt::Store { at, .. } => at.ints().for_each(&mut *f),
            Stmt::Loop(inner) => f(inner.range.extent()),
        });
    }
}

fn map_ints(kernel: &mut Kernel, f: &mut dyn FnMut(IntId) -> IntId) {
    for BufferDecl { length, .. } in &mut kernel.buffers {
        *length = length.map(&mut *f);
    }
    for phase in &mut kernel.phases {
        phase.dims.iter_mut().for_each(|(_, extent)| *extent = f(*extent));
        let values = &mut kernel.values;
        crate::walk::for_each_stmt_mut(&mut phase.body, &mut |stmt| match stmt {
            Stmt::Let(id) => {
                let inst = &mut values[id.0 as usize].inst;
                inst.strides_mut().iter_mut().for_each(|stride| map_coefficient(stride, f));
                if let Some(extent) = inst.extent_mut() {
                    *extent = f(*extent);
                }
            }
            Stmt::Store { .. } => {}
            Stmt::Loop(inner) => {
                let (Range::Full(extent) | Range::Tile { extent, .. }) = &mut inner.range;
                *extent = f(*extent);
            }
        });
        crate::walk::for_each_affine_mut(&mut kernel.values, &mut phase.body, &mut |at| {
            at.offset = at.offset.map(&mut *f);
            at.terms.iter_mut().for_each(|(_, coefficient)| map_coefficient(coefficient, f));
        });
    }
    let literal = |id: IntId| match kernel.ints[id.0 as usize] {
        IntExpr::Const(value) => Some(value),
        _ => None,
    };
    for phase in &mut kernel.phases {
        crate::walk::for_each_affine_mut(&mut kernel.values, &mut phase.body, &mut |at| simplify(at, &literal));
    }
    for value in &mut kernel.values {
        for stride in value.inst.strides_mut() {
            *stride = simple_coefficient(*stride, &literal);
        }
    }
}

fn map_coefficient(coefficient: &mut Coefficient, f: &mut dyn FnMut(IntId) -> IntId) {
    if let Coefficient::Int(id) = coefficient {
        *id = f(*id);
    }
}

fn simple_coefficient(coefficient: Coefficient, literal: &dyn Fn(IntId) -> Option<i64>) -> Coefficient {
    match coefficient {
        Coefficient::Int(id) => literal(id).map_or(coefficient, Coefficient::Const),
        Coefficient::Const(_) => coefficient,
    }
}

/// Literal coefficients are `Const`, and an offset or a term that is nothing is not there.
fn simplify(at: &mut Affine, literal: &dyn Fn(IntId) -> Option<i64>) {
    if at.offset.and_then(literal) == Some(0) {
        at.offset = None;
    }
    at.terms.iter_mut().for_each(|(_, coefficient)| *coefficient = simple_coefficient(*coefficient, literal));
    at.terms.retain(|(_, coefficient)| *coefficient != Coefficient::Const(0));
}

fn renumber_vars(kernel: &mut Kernel) {
    let mut order: Vec<VarId> = Vec::new();
    for phase in &kernel.phases {
        order.extend(phase.dims.iter().map(|&(var, _)| var));
        crate::walk::for_each_loop(&phase.body, &mut |inner| order.push(inner.var));
    }
    let mut new_ids = vec![None; kernel.vars as usize];
    for (i, var) in order.iter().enumerate() {
        new_ids[var.0 as usize].get_or_insert(VarId(i as u32));
    }
    // A variable that nothing opens (verify.rs will say so) keeps a name of its own.
    let mut next = order.len() as u32;
    let new_ids: Vec<VarId> = new_ids
        .into_iter()
        .map(|id| {
            id.unwrap_or_else(|| {
                next += 1;
                VarId(next - 1)
            })
        })
        .collect();
    let map = |var: VarId| new_ids[var.0 as usize];
    for phase in &mut kernel.phases {
        phase.dims.iter_mut().for_each(|(var, _)| *var = map(*var));
        crate::walk::for_each_stmt_mut(&mut phase.body, &mut |stmt| {
            if let Stmt::Loop(inner) = stmt {
                inner.var = map(inner.var);
                if let Range::Tile { tile, .. } = &mut inner.range {
                    *tile = map(*tile);
                }
            }
        });
        crate::walk::for_each_affine_mut(&mut kernel.values, &mut phase.body, &mut |at| {
            at.terms.iter_mut().for_each(|(var, _)| *var = map(*var));
            at.terms.sort_unstable_by_key(|&(var, _)| var);
        });
    }
    kernel.vars = order.len() as u32;
}

struct Renumbering {
    new_ids: Vec<Option<ValueId>>,
    values: Vec<Value>,
}

impl Renumbering {
    fn define(&mut self, old: &[Value], id: ValueId) {
        if self.new_ids[id.0 as usize].is_none() {
            self.new_ids[id.0 as usize] = Some(ValueId(self.values.len() as u32));
            self.values.push(old[id.0 as usize].clone());
        }
    }

    /// Defines what the scans of a value give, right after it.
    fn define_scans(&mut self, old: &[Value], inner: &Loop, value: ValueId) {
        for scan in inner.scans.iter().filter(|s| s.value == value) {
            self.define(old, scan.running);
            self.define_scans(old, inner, scan.running);
        }
    }

    fn block(&mut self, old: &[Value], block: &[Stmt], around: Option<&Loop>) {
        for stmt in block {
            let mut defined: SmallVec<[ValueId; 2]> = SmallVec::new();
            match stmt {
                Stmt::Let(id) => defined.push(*id),
                Stmt::Store { .. } => {}
                Stmt::Loop(inner) => {
                    self.block(old, &inner.body, Some(inner));
                    defined.extend(inner.reductions.iter().map(|r| r.result));
                    // Running folds will stand in the order of what is running.
                    let mut totals: SmallVec<[_; 2]> =
                        inner.scans.iter().filter_map(|s| Some((s.running, s.total?))).collect();
                    totals.sort_by_key(|&(running, _)| self.new_ids[running.0 as usize]);
                    defined.extend(totals.into_iter().map(|(_, total)| total));
                }
            }
            defined.iter().for_each(|&id| self.define(old, id));
            if let Some(around) = around {
                defined.iter().for_each(|&id| self.define_scans(old, around, id));
            }
        }
    }
}

fn renumber_values(kernel: &mut Kernel) {
    let old = std::mem::take(&mut kernel.values);
    let mut renumbering = Renumbering { new_ids: vec![None; old.len()], values: Vec::with_capacity(old.len()) };
    for phase in &kernel.phases {
        renumbering.block(&old, &phase.body, None);
    }
    // Values that are used but defined nowhere (verify.rs will say so) come last.
    let mut next = 0;
    while next < renumbering.values.len() {
        for operand in renumbering.values[next].inst.operands().to_vec() {
            renumbering.define(&old, operand);
        }
        next += 1;
    }
    for phase in &kernel.phases {
        crate::walk::for_each_root(&phase.body, &mut |id| renumbering.define(&old, id));
    }
    let Renumbering { new_ids, mut values } = renumbering;
    let map = |id: &mut ValueId| *id = new_ids[id.0 as usize].unwrap_or(*id);
    for value in &mut values {
        value.inst.operands_mut().iter_mut().for_each(map);
    }
    kernel.values = values;
    for phase in &mut kernel.phases {
        crate::walk::for_each_stmt_mut(&mut phase.body, &mut |stmt| match stmt {
            Stmt::Let(id) => map(id),
            Stmt::Store { value, .. } => map(value),
            Stmt::Loop(inner) => {
                for reduction in &mut inner.reductions {
                    map(&mut reduction.value);
                    map(&mut reduction.result);
                }
                for scan in &mut inner.scans {
                    map(&mut scan.value);
                    map(&mut scan.running);
                    scan.total.iter_mut().for_each(map);
                }
                inner.scans.sort_by_key(|s| s.running);
            }
        });
    }
}
