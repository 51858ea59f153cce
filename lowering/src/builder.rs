//! Building kernels statement by statement: fresh ids, integers without duplicates, dtypes from the op table. What a kernel
//! should do is decided elsewhere. A builder whose loops and phases are all closed holds a kernel that `verify.rs` accepts,
//! as long as indices and variables are used where they mean something.

use crate::kernel::{
    Affine, BufferDecl, BufferId, Inst, IntExpr, IntId, Kernel, KernelParam, Loop, LoopKind, Phase, Range, Reduction,
    Role, Scan, Stmt, ValueId, VarId,
};
use fusewire_ir::{
    dtype::DType,
    emit::{Emit, V},
    ops::ScalarOp,
    scalar::Scalar,
    shape::SymId,
};
use smallvec::SmallVec;

/// A kernel under construction.
#[derive(Debug)]
pub struct KernelBuilder {
    kernel: Kernel,
    /// The loops that are open, outermost first, each with the statements that stood before it.
    open: Vec<(Loop, Vec<Stmt>)>,
    /// The dims of the open phase.
    dims: Option<Vec<(VarId, IntId)>>,
    /// The innermost open block.
    block: Vec<Stmt>,
}

impl KernelBuilder {
    /// An empty kernel.
    pub fn new(name: impl Into<String>) -> KernelBuilder {
        KernelBuilder { kernel: Kernel::empty(name), open: Vec::new(), dims: None, block: Vec::new() }
    }

    /// The finished kernel. Every phase and loop must be closed.
    pub fn finish(self) -> Kernel {
        assert!(self.open.is_empty() && self.dims.is_none(), "a loop or a phase is still open");
        self.kernel
    }

    /// The kernel as far as it is built.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// A pointer argument; `length` for everything but inputs.
    pub fn buffer(&mut self, dtype: DType, role: Role, length: Option<IntId>) -> BufferId {
        self.kernel.buffers.push(BufferDecl { dtype, role, length });
        BufferId(self.kernel.buffers.len() as u32 - 1)
    }

    /// A scalar argument.
    pub fn declare_param(&mut self, dtype: DType) -> KernelParam {
        self.kernel.params.push(dtype);
        KernelParam(self.kernel.params.len() as u32 - 1)
    }

    /// A run-time integer.
    pub fn int(&mut self, expr: IntExpr) -> IntId {
        self.kernel.int(expr)
    }

    /// A literal as a run-time integer.
    pub fn int_const(&mut self, value: i64) -> IntId {
        self.kernel.int_const(value)
    }

    /// A symbol of the graph.
    pub fn sym(&mut self, symbol: SymId) -> IntId {
        self.int(IntExpr::Sym(symbol))
    }

    /// The stride of an input's axis.
    pub fn stride(&mut self, buffer: BufferId, axis: u8) -> IntId {
        self.int(IntExpr::Stride { buffer, axis })
    }

    /// Opens a phase over these extents, outermost first, and gives its variables.
    pub fn begin_phase(&mut self, extents: &[IntId]) -> SmallVec<[VarId; 4]> {
        assert!(self.dims.is_none(), "phases do not nest");
        let vars: SmallVec<[VarId; 4]> = extents.iter().map(|_| self.kernel.new_var()).collect();
        self.dims = Some(vars.iter().copied().zip(extents.iter().copied()).collect());
        vars
    }

    /// Closes the phase.
    pub fn end_phase(&mut self) {
        assert!(self.open.is_empty(), "a loop is still open");
        let dims = self.dims.take().expect("no phase is open");
        self.kernel.phases.push(Phase { dims, body: std::mem::take(&mut self.block) });
    }

    /// Opens a loop and gives its variable.
    pub fn begin_loop(&mut self, range: Range, kind: LoopKind) -> VarId {
        assert!(self.dims.is_some(), "a loop stands in a phase");
        let var = self.kernel.new_var();
        let inner = Loop { var, range, kind, reductions: Vec::new(), scans: Vec::new(), body: Vec::new() };
        self.open.push((inner, std::mem::take(&mut self.block)));
        var
    }

    /// Adds a fold to the innermost open loop and gives its result, which may be used once the loop is closed.
    pub fn reduce(&mut self, op: ScalarOp, value: ValueId) -> ValueId {
        let dtype = self.kernel.dtype(value);
        let result = self.kernel.new_value(Inst::Reduced, dtype);
        let (inner, _) = self.open.last_mut().expect("a reduction stands in a loop");
        inner.reductions.push(Reduction { op, value, result });
        result
    }

    /// Adds a running fold to the innermost open loop and gives the running value.
    pub fn scan(&mut self, op: ScalarOp, value: ValueId) -> ValueId {
        let dtype = self.kernel.dtype(value);
        let running = self.kernel.new_value(Inst::Running, dtype);
        let (inner, _) = self.open.last_mut().expect("a scan stands in a loop");
        inner.scans.push(Scan { op, value, running, total: None });
        running
    }

    /// Closes the innermost open loop.
    pub fn end_loop(&mut self) {
        let (mut inner, before) = self.open.pop().expect("no loop is open");
        inner.body = std::mem::replace(&mut self.block, before);
        self.block.push(Stmt::Loop(inner));
    }

    /// A scalar argument's value.
    pub fn param(&mut self, param: KernelParam) -> ValueId {
        let dtype = self.kernel.params[param.0 as usize];
        self.define(Inst::Param(param), dtype)
    }

    /// A constant.
    pub fn constant(&mut self, value: Scalar) -> ValueId {
        self.define(Inst::Const(value), value.dtype())
    }

    /// An index as int64.
    pub fn index(&mut self, at: Affine) -> ValueId {
        self.define(Inst::Index(at), DType::I64)
    }

    /// An element of a buffer.
    pub fn load(&mut self, buffer: BufferId, at: Affine) -> ValueId {
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        self.define(Inst::Load { buffer, at }, dtype)
    }

    /// An op on operands that its row accepts.
    pub fn op(&mut self, op: ScalarOp, operands: &[ValueId]) -> ValueId {
        let dtypes: SmallVec<[DType; 3]> = operands.iter().map(|&v| self.kernel.dtype(v)).collect();
        let dtype = op.result_dtype(&dtypes).expect("the op's row accepts the operands");
        self.define(Inst::Op(op, operands.into()), dtype)
    }

    /// A conversion; nothing when the value has the dtype already.
    pub fn cast(&mut self, to: DType, value: ValueId) -> ValueId {
        if self.kernel.dtype(value) == to { value } else { self.define(Inst::Cast(value), to) }
    }

    /// Writes an element.
    pub fn store(&mut self, buffer: BufferId, at: Affine, value: ValueId) {
        self.block.push(Stmt::Store { buffer, at, value });
    }

    fn define(&mut self, inst: Inst, dtype: DType) -> ValueId {
        assert!(self.dims.is_some(), "a value stands in a phase");
        let id = self.kernel.new_value(inst, dtype);
        self.block.push(Stmt::Let(id));
        id
    }
}

impl Kernel {
    /// A kernel without arguments and phases.
    pub fn empty(name: impl Into<String>) -> Kernel {
        Kernel {
            name: name.into(),
            buffers: Vec::new(),
            params: Vec::new(),
            ints: Vec::new(),
            values: Vec::new(),
            vars: 0,
            phases: Vec::new(),
        }
    }
}

/// Builds scalar code into a block of a kernel: op bodies and maths expansions are written against [`Emit`].
#[derive(Debug)]
pub struct BlockEmitter<'a> {
    /// Whose table of values grows.
    pub kernel: &'a mut Kernel,
    /// Where the definitions are appended.
    pub block: &'a mut Vec<Stmt>,
}

impl BlockEmitter<'_> {
    fn define(&mut self, inst: Inst, dtype: DType) -> V {
        let id = self.kernel.new_value(inst, dtype);
        self.block.push(Stmt::Let(id));
        V(id.0)
    }
}

impl Emit for BlockEmitter<'_> {
    fn constant(&mut self, value: Scalar) -> V {
        self.define(Inst::Const(value), value.dtype())
    }

    fn op(&mut self, op: ScalarOp, operands: &[V]) -> V {
        let operands: SmallVec<[ValueId; 3]> = operands.iter().map(|v| ValueId(v.0)).collect();
        let dtypes: SmallVec<[DType; 3]> = operands.iter().map(|&v| self.kernel.dtype(v)).collect();
        let dtype = op.result_dtype(&dtypes).expect("the op's row accepts the operands");
        self.define(Inst::Op(op, operands), dtype)
    }

    fn cast(&mut self, to: DType, value: V) -> V {
        if self.dtype(value) == to { value } else { self.define(Inst::Cast(ValueId(value.0)), to) }
    }

    fn dtype(&self, value: V) -> DType {
        self.kernel.dtype(ValueId(value.0))
    }
}

impl Emit for KernelBuilder {
    fn constant(&mut self, value: Scalar) -> V {
        V(KernelBuilder::constant(self, value).0)
    }

    fn op(&mut self, op: ScalarOp, operands: &[V]) -> V {
        let operands: SmallVec<[ValueId; 3]> = operands.iter().map(|v| ValueId(v.0)).collect();
        V(KernelBuilder::op(self, op, &operands).0)
    }

    fn cast(&mut self, to: DType, value: V) -> V {
        V(KernelBuilder::cast(self, to, ValueId(value.0)).0)
    }

    fn dtype(&self, value: V) -> DType {
        self.kernel.dtype(ValueId(value.0))
    }
}
