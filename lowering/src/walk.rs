//! Going through a kernel's blocks, values and indices. No decisions are taken here.

use crate::kernel::{Affine, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, Range, Stmt, Value, ValueId, VarId};
use fusewire_ir::dtype::DType;

impl Kernel {
    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// The dtype of a value.
    pub fn dtype(&self, id: ValueId) -> DType {
        self.values[id.0 as usize].dtype
    }

    /// Adds a value to the table; a statement has to define it.
    pub fn new_value(&mut self, inst: Inst, dtype: DType) -> ValueId {
        self.values.push(Value { inst, dtype });
        ValueId(self.values.len() as u32 - 1)
    }

    /// A loop variable that nothing uses yet.
    pub fn new_var(&mut self) -> VarId {
        self.vars += 1;
        VarId(self.vars - 1)
    }
}

impl Inst {
    /// The values it is computed from.
    pub fn operands(&self) -> &[ValueId] {
        match self {
            Inst::Op(_, operands) | Inst::Gather { positions: operands, .. } => operands,
            Inst::Cast(operand) | Inst::Position { index: operand, .. } => std::slice::from_ref(operand),
            Inst::Const(_) | Inst::Param(_) | Inst::Index(_) | Inst::Load { .. } | Inst::Reduced | Inst::Running => &[],
        }
    }

    /// The values it is computed from, to be replaced.
    pub fn operands_mut(&mut self) -> &mut [ValueId] {
        match self {
            Inst::Op(_, operands) | Inst::Gather { positions: operands, .. } => operands,
            Inst::Cast(operand) | Inst::Position { index: operand, .. } => std::slice::from_mut(operand),
            Inst::Const(_) | Inst::Param(_) | Inst::Index(_) | Inst::Load { .. } | Inst::Reduced | Inst::Running => {
                &mut []
            }
        }
    }

    /// The index it has.
    pub fn affine(&self) -> Option<&Affine> {
        match self {
            Inst::Index(at) | Inst::Load { at, .. } | Inst::Gather { at, .. } => Some(at),
            Inst::Const(_)
            | Inst::Param(_)
            | Inst::Position { .. }
            | Inst::Op(..)
            | Inst::Cast(_)
            | Inst::Reduced
            | Inst::Running => None,
        }
    }

    /// The index it has, to be changed.
    pub fn affine_mut(&mut self) -> Option<&mut Affine> {
        match self {
            Inst::Index(at) | Inst::Load { at, .. } | Inst::Gather { at, .. } => Some(at),
            Inst::Const(_)
            | Inst::Param(_)
            | Inst::Position { .. }
            | Inst::Op(..)
            | Inst::Cast(_)
            | Inst::Reduced
            | Inst::Running => None,
        }
    }
}

impl Inst {
    /// The run-time integers it refers to.
    pub fn ints(&self) -> impl Iterator<Item = IntId> + '_ {
        let extent = match self {
            Inst::Position { extent, .. } => Some(*extent),
            _ => None,
        };
        let strides: &[Coefficient] = if let Inst::Gather { strides, .. } = self { strides } else { &[] };
        let strides = strides.iter().filter_map(|&stride| match stride {
            Coefficient::Int(id) => Some(id),
            Coefficient::Const(_) => None,
        });
        extent.into_iter().chain(self.affine().into_iter().flat_map(Affine::ints)).chain(strides)
    }

    /// The strides of a gather, to be changed.
    pub fn strides_mut(&mut self) -> &mut [Coefficient] {
        if let Inst::Gather { strides, .. } = self { strides } else { &mut [] }
    }

    /// The extent of a position, to be changed.
    pub fn extent_mut(&mut self) -> Option<&mut IntId> {
        if let Inst::Position { extent, .. } = self { Some(extent) } else { None }
    }
}

impl Affine {
    /// The index `var`, and with terms added by [`Affine::plus`] more.
    pub fn of(var: VarId) -> Affine {
        Affine::default().plus(var, Coefficient::Const(1))
    }

    /// With a term more. The variable must not be there yet.
    pub fn plus(mut self, var: VarId, coefficient: Coefficient) -> Affine {
        debug_assert!(self.coefficient(var).is_none());
        self.terms.push((var, coefficient));
        self
    }

    /// With an offset.
    pub fn at(mut self, offset: IntId) -> Affine {
        debug_assert!(self.offset.is_none());
        self.offset = Some(offset);
        self
    }

    /// What the variable is multiplied with; `None` when it does not occur.
    pub fn coefficient(&self, var: VarId) -> Option<Coefficient> {
        self.terms.iter().find(|(v, _)| *v == var).map(|&(_, c)| c)
    }

    /// Does the variable occur?
    pub fn mentions(&self, var: VarId) -> bool {
        self.coefficient(var).is_some()
    }

    /// Renames a variable.
    pub fn rename(&mut self, from: VarId, to: VarId) {
        for (var, _) in &mut self.terms {
            if *var == from {
                *var = to;
            }
        }
    }

    /// The same index with its terms in the order of their variables, so that equal indices are equal structures.
    pub fn sorted(mut self) -> Affine {
        self.terms.sort_unstable_by_key(|&(var, _)| var);
        self
    }

    /// The run-time integers it refers to.
    pub fn ints(&self) -> impl Iterator<Item = IntId> + '_ {
        let coefficients = self.terms.iter().filter_map(|&(_, c)| match c {
            Coefficient::Int(id) => Some(id),
            Coefficient::Const(_) => None,
        });
        self.offset.into_iter().chain(coefficients)
    }
}

impl Range {
    /// The extent of the whole range.
    pub fn extent(self) -> IntId {
        match self {
            Range::Full(extent) | Range::Tile { extent, .. } => extent,
        }
    }

    /// The variable that numbers the blocks.
    pub fn tile(self) -> Option<VarId> {
        match self {
            Range::Full(_) => None,
            Range::Tile { tile, .. } => Some(tile),
        }
    }
}

impl Loop {
    /// The values that the loop defines for what stands behind it: of its reductions, then of its running folds.
    pub fn results(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.reductions.iter().map(|r| r.result).chain(self.scans.iter().filter_map(|s| s.total))
    }
}

impl IntExpr {
    /// The earlier integers it refers to.
    pub fn operands(self) -> impl Iterator<Item = IntId> {
        let (a, b) = match self {
            IntExpr::Const(_) | IntExpr::Sym(_) | IntExpr::Workers | IntExpr::Stride { .. } => (None, None),
            IntExpr::Add(a, b)
            | IntExpr::Sub(a, b)
            | IntExpr::Mul(a, b)
            | IntExpr::CeilDiv(a, b)
            | IntExpr::Min(a, b)
            | IntExpr::Max(a, b) => (Some(a), Some(b)),
        };
        a.into_iter().chain(b)
    }

    /// With other integers in the place of those it refers to.
    pub fn map(self, mut f: impl FnMut(IntId) -> IntId) -> IntExpr {
        match self {
            IntExpr::Const(_) | IntExpr::Sym(_) | IntExpr::Workers | IntExpr::Stride { .. } => self,
            IntExpr::Add(a, b) => IntExpr::Add(f(a), f(b)),
            IntExpr::Sub(a, b) => IntExpr::Sub(f(a), f(b)),
            IntExpr::Mul(a, b) => IntExpr::Mul(f(a), f(b)),
            IntExpr::CeilDiv(a, b) => IntExpr::CeilDiv(f(a), f(b)),
            IntExpr::Min(a, b) => IntExpr::Min(f(a), f(b)),
            IntExpr::Max(a, b) => IntExpr::Max(f(a), f(b)),
        }
    }
}

/// Every statement of a block and of the blocks inside it, each loop before its body.
pub fn for_each_stmt<'a>(block: &'a [Stmt], f: &mut dyn FnMut(&'a Stmt)) {
    for stmt in block {
        f(stmt);
        if let Stmt::Loop(inner) = stmt {
            for_each_stmt(&inner.body, f);
        }
    }
}

/// Every loop of a block and of the blocks inside it, outer ones first.
pub fn for_each_loop<'a>(block: &'a [Stmt], f: &mut dyn FnMut(&'a Loop)) {
    for_each_stmt(block, &mut |stmt| {
        if let Stmt::Loop(inner) = stmt {
            f(inner);
        }
    });
}

/// The statements of a block and of the blocks inside it, to be changed; each loop before its body.
pub fn for_each_stmt_mut(block: &mut [Stmt], f: &mut dyn FnMut(&mut Stmt)) {
    for stmt in block {
        f(stmt);
        if let Stmt::Loop(inner) = stmt {
            for_each_stmt_mut(&mut inner.body, f);
        }
    }
}

/// The values that statements of a block use (not those of the values' own operands): stored, and folded by loops.
pub fn for_each_root(block: &[Stmt], f: &mut dyn FnMut(ValueId)) {
    for_each_stmt(block, &mut |stmt| match stmt {
        Stmt::Let(_) => {}
        Stmt::Store { value, .. } => f(*value),
        Stmt::Loop(inner) => {
            inner.reductions.iter().for_each(|r| f(r.value));
            inner.scans.iter().for_each(|s| f(s.value));
        }
    });
}

/// Every value that a block defines, in order: lets, running folds, results of loops.
pub fn for_each_definition(block: &[Stmt], f: &mut dyn FnMut(ValueId)) {
    for stmt in block {
        match stmt {
            Stmt::Let(id) => f(*id),
            Stmt::Store { .. } => {}
            Stmt::Loop(inner) => {
                inner.scans.iter().for_each(|s| f(s.running));
                for_each_definition(&inner.body, f);
                inner.results().for_each(&mut *f);
            }
        }
    }
}

/// Every index in a block: of loads and `index` values it defines, and of its stores.
pub fn for_each_affine(values: &[Value], block: &[Stmt], f: &mut dyn FnMut(&Affine)) {
    for_each_stmt(block, &mut |stmt| match stmt {
        Stmt::Let(id) => {
            if let Some(at) = values[id.0 as usize].inst.affine() {
                f(at);
            }
        }
        Stmt::Store { at, .. } => f(at),
        Stmt::Loop(_) => {}
    });
}

/// Every index in a block, to be changed.
pub fn for_each_affine_mut(values: &mut [Value], block: &mut [Stmt], f: &mut dyn FnMut(&mut Affine)) {
    for_each_stmt_mut(block, &mut |stmt| match stmt {
        Stmt::Let(id) => {
            if let Some(at) = values[id.0 as usize].inst.affine_mut() {
                f(at);
            }
        }
        Stmt::Store { at, .. } => f(at),
        Stmt::Loop(_) => {}
    });
}
