//! Copies of code: a block again, with new names for everything it defines.

use crate::{
    kernel::{Affine, Kernel, Range, Stmt, ValueId, VarId},
    walk::{for_each_affine_mut, for_each_definition, for_each_loop, for_each_stmt_mut},
};
use rustc_hash::FxHashMap;

/// What old values and variables are called in a copy.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub values: FxHashMap<ValueId, ValueId>,
    pub vars: Vec<(VarId, VarId)>,
}

impl Names {
    /// A value's name in the copy; what has none keeps its old one.
    pub fn value(&self, old: ValueId) -> ValueId {
        self.values.get(&old).copied().unwrap_or(old)
    }

    /// A variable's name in the copy.
    pub fn var(&self, old: VarId) -> VarId {
        self.vars.iter().find(|&&(o, _)| o == old).map_or(old, |&(_, new)| new)
    }

    /// Renames all variables of an index at once: old and new names may not meet.
    pub fn rename(&self, at: &mut Affine) {
        at.terms.iter_mut().for_each(|(var, _)| *var = self.var(*var));
    }
}

/// A copy of a block, in which names that are known stand for what they name and everything defined gets a new one.
pub(super) fn copy_block(kernel: &mut Kernel, block: &[Stmt], names: &mut Names) -> Vec<Stmt> {
    for_each_loop(block, &mut |inner| names.vars.push((inner.var, kernel.new_var())));
    let mut definitions = Vec::new();
    for_each_definition(block, &mut |id| definitions.push(id));
    for old in definitions {
        let mut value = kernel.value(old).clone();
        value.inst.operands_mut().iter_mut().for_each(|operand| *operand = names.value(*operand));
        let new = kernel.new_value(value.inst, value.dtype);
        names.values.insert(old, new);
    }
    let mut copied = block.to_vec();
    for_each_stmt_mut(&mut copied, &mut |stmt| match stmt {
        Stmt::Let(id) => *id = names.value(*id),
        Stmt::Store { value, .. } => *value = names.value(*value),
        Stmt::Loop(inner) => {
            inner.var = names.var(inner.var);
            if let Range::Tile { tile, .. } = &mut inner.range {
                *tile = names.var(*tile);
            }
            for reduction in &mut inner.reductions {
                reduction.value = names.value(reduction.value);
                reduction.result = names.value(reduction.result);
            }
            for scan in &mut inner.scans {
                scan.value = names.value(scan.value);
                scan.running = names.value(scan.running);
                scan.total = scan.total.map(|total| names.value(total));
            }
        }
    });
    for_each_affine_mut(&mut kernel.values, &mut copied, &mut |at| names.rename(at));
    copied
}
