//! Is a kernel well formed? What `kernel.rs` promises is checked here, after each kernel pass; a failure is a mistake of ours.
//! Not decided here: whether indices stay inside their buffers, and whether two items really never meet in one element
//! (only that each store's index depends on every dim); `interp.rs` finds both when it runs the kernel.

use crate::kernel::{
    Affine, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, Loop, LoopKind, Range, Role, Stmt, ValueId, VarId,
};
use crate::{math, walk::for_each_stmt};
use fusewire_ir::{
    dtype::DType,
    ops::{Class, ScalarOp},
};
use smallvec::SmallVec;

/// Checks a kernel that may still have ops that are expanded: between the kernel passes.
pub fn verify(kernel: &Kernel) -> Result<(), String> {
    check(kernel, true)
}

/// Checks a kernel as the back ends take it.
pub fn verify_lowered(kernel: &Kernel) -> Result<(), String> {
    check(kernel, false)
}

fn check(kernel: &Kernel, maths: bool) -> Result<(), String> {
    let mut checker = Checker {
        kernel,
        maths,
        visible: vec![false; kernel.values.len()],
        defined: vec![false; kernel.values.len()],
        opened: vec![false; kernel.vars as usize],
        vars: Vec::new(),
        vector: None,
        stored: vec![false; kernel.buffers.len()],
    };
    checker.arguments()?;
    for (i, phase) in kernel.phases.iter().enumerate() {
        checker.phase(&phase.dims, &phase.body).map_err(|message| format!("phase {i}: {message}"))?;
    }
    Ok(())
}

struct Checker<'a> {
    kernel: &'a Kernel,
    maths: bool,
    /// Values that may be used here.
    visible: Vec<bool>,
    /// Values that some statement has defined.
    defined: Vec<bool>,
    opened: Vec<bool>,
    /// Variables that may be used here, each with the variable that numbers its block.
    vars: Vec<(VarId, Option<VarId>)>,
    /// The variable of the vector loop around.
    vector: Option<VarId>,
    /// Buffers that an earlier statement has written.
    stored: Vec<bool>,
}

type Checked = Result<(), String>;

impl Checker<'_> {
    fn arguments(&self) -> Checked {
        for (i, expr) in self.kernel.ints.iter().enumerate() {
            if expr.operands().any(|id| id.0 as usize >= i) {
                return Err(format!("i{i} refers to an integer that is not before it"));
            }
            if let IntExpr::Stride { buffer, .. } = expr
                && self.buffer(*buffer)?.role != Role::Input
            {
                return Err(format!("i{i} is the stride of b{}, which is no input", buffer.0));
            }
        }
        let mut dtypes = self.kernel.buffers.iter().map(|b| b.dtype).chain(self.kernel.values.iter().map(|v| v.dtype));
        if let Some(dtype) = dtypes.find(|dtype| !DType::IN_KERNELS.contains(dtype)) {
            return Err(format!("{dtype} is of graphs only"));
        }
        for (i, buffer) in self.kernel.buffers.iter().enumerate() {
            match buffer.length {
                Some(length) => self.int(length)?,
                None if buffer.role == Role::Input => {}
                None => return Err(format!("b{i} has no length")),
            }
        }
        Ok(())
    }

    fn phase(&mut self, dims: &[(VarId, IntId)], body: &[Stmt]) -> Checked {
        for &(var, extent) in dims {
            self.int(extent)?;
            self.open(var, None)?;
        }
        self.independence(dims, body)?;
        let before = self.visible.clone();
        self.block(body, None)?;
        self.visible = before;
        self.vars.clear();
        Ok(())
    }

    /// No two items may store to one element: each dim must occur in each store's index, by itself or through a loop over
    /// its blocks. And what an item reads, no other item of the phase may write.
    fn independence(&self, dims: &[(VarId, IntId)], body: &[Stmt]) -> Checked {
        let constant = |extent: IntId| match self.kernel.ints.get(extent.0 as usize) {
            Some(IntExpr::Const(value)) => Some(*value),
            _ => None,
        };
        if dims.iter().any(|&(_, extent)| constant(extent) == Some(0)) {
            return Ok(()); // no item ever runs
        }
        let mut tiles: Vec<(VarId, VarId)> = Vec::new();
        let mut error = None;
        for_each_stmt(body, &mut |stmt| match stmt {
            Stmt::Loop(inner) => tiles.extend(inner.range.tile().map(|tile| (inner.var, tile))),
            Stmt::Store { buffer, at, .. } => {
                let scratch = self.buffer(*buffer).is_ok_and(|b| b.role == Role::Scratch);
                for &(dim, extent) in dims {
                    if !scratch && constant(extent) != Some(1) && !depends(at, dim, &tiles) {
                        error = Some(format!("two items store to one element of b{}: no v{} in it", buffer.0, dim.0));
                    }
                }
            }
            Stmt::Let(_) => {}
        });
        error.map_or(Ok(()), Err)
    }

    fn open(&mut self, var: VarId, tile: Option<VarId>) -> Checked {
        match self.opened.get_mut(var.0 as usize) {
            None => return Err(format!("there is no v{}", var.0)),
            Some(true) => return Err(format!("v{} is opened twice", var.0)),
            Some(opened) => *opened = true,
        }
        self.vars.push((var, tile));
        Ok(())
    }

    fn block(&mut self, block: &[Stmt], around: Option<&Loop>) -> Checked {
        for stmt in block {
            match stmt {
                Stmt::Let(id) => {
                    self.inst(*id)?;
                    self.define(*id, around)?;
                }
                Stmt::Store { buffer, at, value } => self.store(*buffer, at, *value)?,
                Stmt::Loop(inner) => {
                    self.inner_loop(inner)?;
                    for result in inner.results() {
                        self.define(result, around)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes a value visible, and the running folds over it in the loop around.
    fn define(&mut self, id: ValueId, around: Option<&Loop>) -> Checked {
        match self.defined.get_mut(id.0 as usize) {
            None => return Err(format!("there is no %{}", id.0)),
            Some(true) => return Err(format!("%{} is defined twice", id.0)),
            Some(defined) => *defined = true,
        }
        self.visible[id.0 as usize] = true;
        for scan in around.into_iter().flat_map(|l| &l.scans).filter(|s| s.value == id) {
            self.define(scan.running, around)?;
        }
        Ok(())
    }

    fn store(&mut self, buffer: BufferId, at: &Affine, value: ValueId) -> Checked {
        let decl = self.buffer(buffer)?;
        if decl.role == Role::Input {
            return Err(format!("b{} is an input and cannot be written", buffer.0));
        }
        self.affine(at)?;
        if self.operand(value)? != decl.dtype {
            return Err(format!("%{} is stored to b{} of another dtype", value.0, buffer.0));
        }
        if let Some(lane) = self.vector
            && !self.depends(at, lane)
        {
            return Err(format!("the lanes of v{} store to one element of b{}", lane.0, buffer.0));
        }
        self.stored[buffer.0 as usize] = true;
        Ok(())
    }

    fn inner_loop(&mut self, inner: &Loop) -> Checked {
        let var = inner.var.0;
        self.int(inner.range.extent())?;
        if let Range::Tile { tile, size, .. } = inner.range {
            self.var(tile)?;
            if self.vector == Some(tile) {
                return Err(format!("the lanes of v{} run through different ranges of v{var}", tile.0));
            }
            if size == 0 {
                return Err(format!("the blocks of v{var} are empty"));
            }
        }
        let outer_vector = self.vector;
        if let LoopKind::Vector { lanes } = inner.kind {
            if let Some(outer) = self.vector {
                return Err(format!("the vector loop of v{var} stands inside that of v{}", outer.0));
            }
            if !lanes.is_power_of_two() || lanes < 2 {
                return Err(format!("v{var} has {lanes} lanes"));
            }
            let nested = inner.body.iter().any(|stmt| matches!(stmt, Stmt::Loop(_)));
            if !inner.scans.is_empty() && (nested || !inner.reductions.is_empty()) {
                return Err(format!("the loop of v{var} has running folds in lanes, and others or a loop beside"));
            }
            self.vector = Some(inner.var);
            self.lanes_do_not_meet(inner)?;
        }
        self.open(inner.var, inner.range.tile())?;
        let before = self.visible.clone();
        self.block(&inner.body, Some(inner))?;
        for reduction in &inner.reductions {
            self.fold(reduction.op, reduction.value, reduction.result, &Inst::Reduced)?;
        }
        for scan in &inner.scans {
            let value = scan.value;
            if !self.defined_by_body(inner, value) {
                return Err(format!("the loop of v{var} scans %{}, which its body does not define", value.0));
            }
            self.fold(scan.op, value, scan.running, &Inst::Running)?;
            if let Some(total) = scan.total {
                self.fold(scan.op, scan.running, total, &Inst::Reduced)?;
            }
        }
        self.visible = before;
        self.vars.pop();
        self.vector = outer_vector;
        Ok(())
    }

    /// Is the value defined right in the loop's body, where the running fold over it has its place?
    fn defined_by_body(&self, inner: &Loop, value: ValueId) -> bool {
        inner.scans.iter().any(|s| s.running == value)
            || inner.body.iter().any(|stmt| match stmt {
                Stmt::Let(id) => *id == value,
                Stmt::Store { .. } => false,
                Stmt::Loop(nested) => nested.results().any(|result| result == value),
            })
    }

    fn fold(&self, op: ScalarOp, value: ValueId, result: ValueId, inst: &Inst) -> Checked {
        let (from, to) = (self.operand(value)?, self.kernel.values.get(result.0 as usize));
        let Some(to) = to.filter(|to| to.inst == *inst && to.dtype == from) else {
            return Err(format!("%{} cannot be the fold of %{}", result.0, value.0));
        };
        let allowed = match op {
            ScalarOp::Add | ScalarOp::Multiply => true,
            ScalarOp::Minimum | ScalarOp::Maximum | ScalarOp::And | ScalarOp::Or | ScalarOp::Xor => {
                *inst == Inst::Reduced
            }
            _ => false,
        };
        if allowed && op.unit(to.dtype).is_some() {
            Ok(())
        } else {
            Err(format!("{} cannot fold {}", op.row().name, to.dtype))
        }
    }

    /// In a vector loop, an element that is both stored and loaded is the same lane's.
    fn lanes_do_not_meet(&self, inner: &Loop) -> Checked {
        let mut stores: Vec<(BufferId, &Affine)> = Vec::new();
        for_each_stmt(&inner.body, &mut |stmt| {
            if let Stmt::Store { buffer, at, .. } = stmt {
                stores.push((*buffer, at));
            }
        });
        let mut error = None;
        for_each_stmt(&inner.body, &mut |stmt| {
            if let Stmt::Let(id) = stmt
                && let Some(Inst::Load { buffer, at }) = self.kernel.values.get(id.0 as usize).map(|v| &v.inst)
                && stores
                    .iter()
                    .any(|(b, stored)| b == buffer && stored.coefficient(inner.var) != at.coefficient(inner.var))
            {
                error = Some(format!("lanes of v{} load what other lanes store to b{}", inner.var.0, buffer.0));
            }
        });
        error.map_or(Ok(()), Err)
    }

    fn inst(&self, id: ValueId) -> Checked {
        let Some(value) = self.kernel.values.get(id.0 as usize) else {
            return Err(format!("there is no %{}", id.0));
        };
        let expected = match &value.inst {
            Inst::Const(constant) => constant.dtype(),
            Inst::Param(param) => match self.kernel.params.get(param.0 as usize) {
                Some(&dtype) => dtype,
                None => return Err(format!("there is no p{}", param.0)),
            },
            Inst::Index(at) => {
                self.affine(at)?;
                DType::I64
            }
            Inst::Load { buffer, at } => {
                let decl = self.buffer(*buffer)?;
                self.affine(at)?;
                if decl.role != Role::Input && !self.stored[buffer.0 as usize] {
                    return Err(format!("%{} loads from b{}, which nothing has written yet", id.0, buffer.0));
                }
                decl.dtype
            }
            Inst::Position { index, extent } => {
                self.int(*extent)?;
                self.operand(*index)?
            }
            Inst::Gather { buffer, at, positions, strides } => {
                let decl = self.buffer(*buffer)?;
                self.affine(at)?;
                if decl.role != Role::Input {
                    return Err(format!("%{} gathers from b{}, which is no input", id.0, buffer.0));
                }
                if positions.is_empty() || positions.len() != strides.len() {
                    return Err(format!("%{} has a stride for each position", id.0));
                }
                for &position in positions {
                    if self.operand(position)? != DType::I64 {
                        return Err(format!("%{} gathers at %{}, which is no position", id.0, position.0));
                    }
                }
                for stride in strides {
                    if let Coefficient::Int(int) = stride {
                        self.int(*int)?;
                    }
                }
                decl.dtype
            }
            Inst::Op(op, operands) => self.op(*op, operands)?,
            Inst::Cast(operand) => {
                self.operand(*operand)?;
                value.dtype
            }
            Inst::Reduced | Inst::Running => return Err(format!("%{} is defined by a loop, not by a let", id.0)),
        };
        if expected == value.dtype {
            Ok(())
        } else {
            Err(format!("%{} is a {}, not a {}", id.0, expected, value.dtype))
        }
    }

    fn op(&self, op: ScalarOp, operands: &[ValueId]) -> Result<DType, String> {
        let dtypes =
            operands.iter().map(|&operand| self.operand(operand)).collect::<Result<SmallVec<[DType; 3]>, _>>()?;
        let Some(dtype) = op.result_dtype(&dtypes) else {
            let dtypes: Vec<String> = dtypes.iter().map(DType::to_string).collect();
            return Err(format!("{} does not accept {}", op.row().name, dtypes.join(", ")));
        };
        match op.row().class {
            Class::Primitive | Class::Maths if self.maths || !math::expands(op, dtypes[0]) => Ok(dtype),
            Class::Primitive | Class::Maths => Err(format!("{} of {dtype} is not expanded", op.row().name)),
            Class::Composite(_) => Err(format!("{} is a composite", op.row().name)),
            Class::Parts => Err(format!("{} is of graphs only", op.row().name)),
        }
    }

    fn operand(&self, id: ValueId) -> Result<DType, String> {
        match self.visible.get(id.0 as usize) {
            Some(true) => Ok(self.kernel.dtype(id)),
            Some(false) => Err(format!("%{} is used where it is not defined", id.0)),
            None => Err(format!("there is no %{}", id.0)),
        }
    }

    fn affine(&self, at: &Affine) -> Checked {
        for (i, &(var, coefficient)) in at.terms.iter().enumerate() {
            self.var(var)?;
            if at.terms[..i].iter().any(|&(other, _)| other == var) {
                return Err(format!("v{} occurs twice in an index", var.0));
            }
            if let Coefficient::Int(id) = coefficient {
                self.int(id)?;
            }
        }
        at.offset.map_or(Ok(()), |id| self.int(id))
    }

    fn var(&self, var: VarId) -> Checked {
        if self.vars.iter().any(|&(v, _)| v == var) {
            Ok(())
        } else {
            Err(format!("v{} is used outside its loop", var.0))
        }
    }

    fn int(&self, id: IntId) -> Checked {
        if (id.0 as usize) < self.kernel.ints.len() { Ok(()) } else { Err(format!("there is no i{}", id.0)) }
    }

    fn buffer(&self, id: BufferId) -> Result<&crate::kernel::BufferDecl, String> {
        self.kernel.buffers.get(id.0 as usize).ok_or_else(|| format!("there is no b{}", id.0))
    }

    fn depends(&self, at: &Affine, var: VarId) -> bool {
        let tiles: Vec<(VarId, VarId)> = self.vars.iter().filter_map(|&(v, tile)| Some((v, tile?))).collect();
        depends(at, var, &tiles)
    }
}

/// Does an index depend on a variable, by itself or through loops over its blocks?
fn depends(at: &Affine, var: VarId, tiles: &[(VarId, VarId)]) -> bool {
    at.mentions(var) || tiles.iter().any(|&(inner, tile)| tile == var && depends(at, inner, tiles))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    const VARIANCE: &str = "
kernel @centred(b0: in f32, b1: out f32[i2], b2: scratch f32[i1]) {
  i0 = sym m
  i1 = sym n
  i2 = mul i0, i1
  phase (v0: i0) {
    %0 = const 2.0 : f32
    loop v1 in i1 vector 8 {
      %1 = load b0[v0*i1 + v1] : f32
      %2 = multiply %1, %0 : f32
      store b2[v1] = %2
    } reduce %3 = add %2 : f32
    loop v2 in i1 vector 8 {
      %4 = load b2[v2] : f32
      %5 = subtract %4, %3 : f32
      store b1[v0*i1 + v2] = %5
    }
    loop v3 in i1 {
      %6 = load b2[v3] : f32
      %7 = scan add %6 : f32
      %8 = add %7, %0 : f32
      store b2[v3] = %8
    }
  }
}";

    #[test]
    fn a_well_formed_kernel_passes() {
        verify_lowered(&parse(VARIANCE).unwrap()).unwrap();
    }

    #[test]
    fn each_broken_invariant_is_named() {
        let cases = [
            ("%5 = subtract %4, %3", "%5 = subtract %4, %2", "used where it is not defined"),
            ("= multiply %1, %0 : f32", "= square %1 : f32", "composite"),
            ("= multiply %1, %0 : f32", "= multiply %1, %0 : f64", "is a f32, not a f64"),
            ("= multiply %1, %0 : f32", "= bitwise_and %1, %0 : f32", "does not accept f32, f32"),
            ("= multiply %1, %0 : f32", "= exp %1 : f32", "not expanded"),
            ("store b2[v1]", "store b2[v0]", "lanes of v1 store to one element"),
            ("store b1[v0*i1 + v2]", "store b1[v2]", "two items store to one element"),
            ("store b1[v0*i1 + v2]", "store b0[v0*i1 + v2]", "cannot be written"),
            ("%4 = load b2[v2]", "%4 = load b1[v2]", "nothing has written yet"),
            ("loop v3 in i1 {", "loop v3 in i1 vector 8 { loop v4 in i0 { }", "running folds in lanes"),
            ("vector 8 {\n      %4", "vector 6 {\n      %4", "has 6 lanes"),
            ("load b2[v2]", "load b2[v1]", "outside its loop"),
            ("reduce %3 = add %2", "reduce %3 = subtract %2", "cannot fold"),
            ("%7 = scan add %6 : f32", "%7 = add %0, %6 : f32 %9 = scan add %0 : f32", "does not define"),
            ("%7 = scan add %6", "%7 = scan maximum %6", "cannot fold"),
            ("scratch f32[i1]", "scratch f64[i1]", "another dtype"),
            ("load b2[v2] : f32", "load b2[v2 + i0] : f32\n store b2[v2*2] = %0", "other lanes store"),
        ];
        for (from, to, message) in cases {
            assert!(VARIANCE.contains(from), "{from}");
            let kernel = parse(&VARIANCE.replacen(from, to, 1)).unwrap();
            let error = verify_lowered(&kernel).unwrap_err();
            assert!(error.contains(message), "{from} -> {to}: {error}");
        }
        let maths = parse(&VARIANCE.replace("= multiply %1, %0 : f32", "= exp %1 : f32")).unwrap();
        verify(&maths).unwrap();
    }
}
