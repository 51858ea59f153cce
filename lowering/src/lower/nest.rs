//! A region as a kernel: one phase, whose dims are the region's items; inside an item the loops over the row, one after
//! another, and around them what an item computes once. Each value stands in the outermost block in which it can: a value
//! that does not depend on a loop's variable is computed before the loop.

use crate::{
    ints::intern,
    kernel::{
        Affine, BufferDecl, BufferId, Coefficient, Inst, IntExpr, IntId, Kernel, KernelParam, Loop, LoopKind, Phase,
        Range, Reduction, Role, Scan, Stmt, ValueId, VarId,
    },
    lower::{
        affine::{affine, int},
        rows::{Element, Pull, Rows, Source, output_element, schedule},
    },
    program::{Argument, ArrayId},
};
use fusewire_ir::{
    dtype::DType,
    fusion::{
        Access, Nest, Partition, RegionId,
        index::{Index, Var},
        poly::Poly,
        strided::Strided,
    },
    graph::{Graph, NodeId},
    node::{InputId, Op, ParamId},
    ops::ScalarOp,
    shape::SymShape,
};
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

/// A kernel, and what its arguments are.
pub(super) struct Lowered {
    pub kernel: Kernel,
    /// The node behind each buffer; none: scratch.
    buffers: Vec<Option<NodeId>>,
    /// The graph's parameter behind each parameter.
    pub params: Vec<ParamId>,
}

impl Lowered {
    /// What the kernel's buffers are bound to.
    pub fn arguments(&self, array: impl Fn(NodeId) -> ArrayId) -> Vec<Argument> {
        self.buffers.iter().map(|node| node.map_or(Argument::Scratch, |node| Argument::Array(array(node)))).collect()
    }
}

/// Lowers region number `number` of the partition.
pub(super) fn lower(graph: &Graph, partition: &Partition, number: usize, nest: &Nest) -> Lowered {
    let pull = Pull { graph, partition, region: RegionId(number as u32), nest };
    let rows = schedule(&pull);
    let mut builder = Builder {
        pull: &pull,
        rows: &rows,
        kernel: Kernel::empty(name(graph, &partition.regions[number].members)),
        buffers: Vec::new(),
        params: Vec::new(),
        vars: vec![None; nest.vars.len()],
        blocks: vec![Block::default()],
        scratch: FxHashMap::default(),
    };
    for &read in &partition.regions[number].reads {
        builder.declare(read, Role::Input);
    }
    for output in &nest.outputs {
        if !builder.buffers.contains(&Some(output.node)) {
            builder.declare(output.node, Role::Output);
        }
    }
    builder.phase();
    Lowered { kernel: builder.kernel, buffers: builder.buffers, params: builder.params }
}

/// A block of statements that is being written.
#[derive(Default)]
struct Block {
    stmts: Vec<Stmt>,
    /// The elements that have values here.
    values: FxHashMap<Element, ValueId>,
    /// The running folds of the loop whose body this is.
    scans: Vec<Scan>,
}

struct Builder<'a> {
    pull: &'a Pull<'a>,
    rows: &'a Rows,
    kernel: Kernel,
    buffers: Vec<Option<NodeId>>,
    params: Vec<ParamId>,
    /// The loop variable that stands for each of the region's at the moment.
    vars: Vec<Option<VarId>>,
    /// The item's block, and inside it those of the open loops over the row.
    blocks: Vec<Block>,
    /// The scratch rows of elements that are kept and have been computed.
    scratch: FxHashMap<Element, BufferId>,
}

impl Builder<'_> {
    fn phase(&mut self) {
        let nest = self.pull.nest;
        let mut dims = Vec::new();
        for (var, &extent) in nest.vars.iter().enumerate() {
            if !nest.row.contains(&(var as Var)) {
                let number = self.kernel.new_var();
                self.vars[var] = Some(number);
                dims.push((number, self.int(&Poly::extent(extent))));
            }
        }
        let rows = self.rows;
        for row_loop in &rows.loops {
            self.row_loop(&row_loop.folds, &row_loop.outputs);
        }
        for &output in &rows.item_outputs {
            self.store_output(output);
        }
        let body = std::mem::take(&mut self.blocks[0].stmts);
        self.kernel.phases.push(Phase { dims, body });
    }

    /// One loop nest over the row.
    fn row_loop(&mut self, folds: &[Element], outputs: &[usize]) {
        let row = &self.pull.nest.row;
        for &var in row {
            self.vars[var as usize] = Some(self.kernel.new_var());
            self.blocks.push(Block::default());
        }
        let mut reductions: Vec<Reduction> = Vec::with_capacity(folds.len());
        for fold in folds {
            let (_, Source::Fold(operand)) = self.pull.source(fold) else { continue };
            let value = self.value(&operand);
            let value = self.in_body(row.len(), value, self.pull.graph.node(fold.0).dtype);
            let result = self.folded(fold.0);
            reductions.push(Reduction { op: self.fold_op(fold.0), value, result });
        }
        for &output in outputs {
            self.store_output(output);
        }
        for (depth, &var) in row.iter().enumerate().rev() {
            let Some(Block { stmts: body, scans, .. }) = self.blocks.pop() else { continue };
            let range = Range::Full(self.int(&Poly::extent(self.pull.nest.vars[var as usize])));
            let Some(number) = self.vars[var as usize].take() else { continue };
            let done = Loop { var: number, range, kind: LoopKind::Serial, reductions: reductions.clone(), scans, body };
            self.block().push(Stmt::Loop(done));
            // The loop around folds what this one has folded.
            if depth > 0 {
                for (reduction, fold) in reductions.iter_mut().zip(folds) {
                    let result = self.folded(fold.0);
                    *reduction = Reduction { value: reduction.result, result, ..*reduction };
                }
            }
        }
        for (reduction, fold) in reductions.iter().zip(folds) {
            self.blocks[0].values.insert(fold.clone(), reduction.result);
        }
    }

    fn folded(&mut self, node: NodeId) -> ValueId {
        self.kernel.new_value(Inst::Reduced, self.pull.graph.node(node).dtype)
    }

    fn fold_op(&self, node: NodeId) -> ScalarOp {
        match self.pull.graph.node(node).op {
            Op::Reduce { op, .. } | Op::Scan { op, .. } => op,
            ref other => unreachable!("{other:?} is no fold"),
        }
    }

    fn store_output(&mut self, number: usize) {
        let output = &self.pull.nest.outputs[number];
        let value = self.value(&output_element(self.pull, number));
        let whole = self.pull.graph.node(output.node);
        let mut at = output.at.to_vec();
        if let (Some(part), Op::Concat { axis }) = (output.part, &whole.op) {
            for &before in &whole.inputs[..part] {
                let extent = Poly::extent(self.pull.graph.node(before).shape[*axis as usize]);
                at[*axis as usize].offset = at[*axis as usize].offset.plus(&extent);
            }
        }
        let address = Strided::dense(&whole.shape).address(&at);
        let (buffer, at) = (self.buffer_of(output.node), self.affine(&address));
        self.block().push(Stmt::Store { buffer, at, value });
    }

    /// The value of an element, computed in the block where it belongs if it is not there yet.
    fn value(&mut self, element: &Element) -> ValueId {
        let (element, source) = self.pull.source(element);
        let level = self.pull.level(&element.1);
        if let Some(&value) = self.blocks[level].values.get(&element) {
            return value;
        }
        if let Some(&row) = self.scratch.get(&element) {
            return self.load_scratch(row, level, element);
        }
        let value = match source {
            Source::Load { base, address } => return self.load(base, address),
            Source::Fold(_) => unreachable!("a reduction is complete before its result is used"),
            Source::Computed(operands) => {
                let operands: SmallVec<[ValueId; 3]> = operands.iter().map(|o| self.value(o)).collect();
                self.computed(&element, level, operands)
            }
        };
        if self.rows.kept.contains(&element) {
            self.keep(&element, level, value);
        }
        self.blocks[level].values.insert(element, value);
        value
    }

    fn computed(&mut self, element: &Element, level: usize, operands: SmallVec<[ValueId; 3]>) -> ValueId {
        let node = self.pull.graph.node(element.0);
        let inst = match &node.op {
            Op::Const(value) => Inst::Const(*value),
            Op::Param(id) => Inst::Param(self.param(*id, node.dtype)),
            Op::Iota { axis } => Inst::Index(self.affine(&element.1[*axis as usize])),
            Op::Map(op) => Inst::Op(*op, operands),
            Op::Cast => Inst::Cast(operands[0]),
            Op::Reduce { op, .. } | Op::Scan { op, .. } if self.pull.folds_nothing(node) => {
                let unit = op.unit(node.dtype).expect("what folds has a unit");
                let unit = self.define(level, Inst::Const(unit), node.dtype);
                Inst::Op(*op, smallvec![unit, operands[0]])
            }
            Op::Gather => return self.gather(element, level, &operands),
            Op::Scan { op, .. } => return self.running(*op, level, operands[0], node.dtype),
            Op::Input(_) | Op::View(_) | Op::Reduce { .. } | Op::Concat { .. } | Op::Dot | Op::Call(_) => {
                unreachable!("{:?} is not computed from its operands' elements", node.op)
            }
        };
        self.define(level, inst, node.dtype)
    }

    /// An element at computed indices, which are checked first. Where they stay the same, `hoist-invariants` leaves the check
    /// before the loop.
    fn gather(&mut self, element: &Element, level: usize, indices: &[ValueId]) -> ValueId {
        let node = self.pull.graph.node(element.0);
        let array = node.inputs[0];
        let Access { base, strided } = self.pull.memory(array).expect("what elements are gathered from is in memory");
        let extents = &self.pull.graph.node(array).shape[node.shape.len()..];
        let (mut positions, mut strides) = (SmallVec::new(), SmallVec::new());
        for (axis, (&index, &extent)) in indices.iter().zip(extents).enumerate() {
            let extent = self.int(&Poly::extent(extent));
            positions.push(self.define(level, Inst::Position { index, extent }, DType::I64));
            let stride = &strided.strides[node.shape.len() + axis];
            strides.push(match stride.as_literal() {
                Some(literal) => Coefficient::Const(literal),
                None => Coefficient::Int(self.int(stride)),
            });
        }
        let at = self.affine(&strided.address(&element.1));
        self.define(level, Inst::Gather { buffer: self.buffer_of(base), at, positions, strides }, node.dtype)
    }

    /// A running fold in the loop whose body is block `level`.
    fn running(&mut self, op: ScalarOp, level: usize, value: ValueId, dtype: DType) -> ValueId {
        let value = self.in_body(level, value, dtype);
        let running = self.kernel.new_value(Inst::Running, dtype);
        self.blocks[level].scans.push(Scan { op, value, running, total: None });
        running
    }

    /// A value that is folded has to be defined in the loop's body; what does not change is defined before the loop.
    fn in_body(&mut self, level: usize, value: ValueId, dtype: DType) -> ValueId {
        let defined = |stmt: &Stmt| {
            matches!(stmt, Stmt::Let(id) if *id == value)
                || matches!(stmt, Stmt::Loop(inner) if inner.results().any(|result| result == value))
        };
        let running = self.blocks[level].scans.iter().any(|scan| scan.running == value);
        if running || self.blocks[level].stmts.iter().any(defined) {
            value
        } else {
            self.define(level, Inst::Cast(value), dtype)
        }
    }

    fn load(&mut self, base: NodeId, address: Index) -> ValueId {
        let level = self.pull.level(std::slice::from_ref(&address));
        let element: Element = (base, [address].into());
        if let Some(&value) = self.blocks[level].values.get(&element) {
            return value;
        }
        let inst = Inst::Load { buffer: self.buffer_of(base), at: self.affine(&element.1[0]) };
        let value = self.define(level, inst, self.pull.graph.node(base).dtype);
        self.blocks[level].values.insert(element, value);
        value
    }

    /// Stores an element to a scratch row, for the loops that follow.
    fn keep(&mut self, element: &Element, level: usize, value: ValueId) {
        let extents: SymShape = self.pull.nest.row.iter().map(|&var| self.pull.nest.vars[var as usize]).collect();
        let length = self.int(&Poly::elements(&extents));
        let dtype = self.pull.graph.node(element.0).dtype;
        self.kernel.buffers.push(BufferDecl { dtype, role: Role::Scratch, length: Some(length) });
        self.buffers.push(None);
        let buffer = BufferId(self.kernel.buffers.len() as u32 - 1);
        self.scratch.insert(element.clone(), buffer);
        let at = self.row_index();
        self.blocks[level].stmts.push(Stmt::Store { buffer, at, value });
    }

    fn load_scratch(&mut self, buffer: BufferId, level: usize, element: Element) -> ValueId {
        let at = self.row_index();
        let value = self.define(level, Inst::Load { buffer, at }, self.pull.graph.node(element.0).dtype);
        self.blocks[level].values.insert(element, value);
        value
    }

    /// The place in a scratch row that the row's variables stand for.
    fn row_index(&mut self) -> Affine {
        let row = &self.pull.nest.row;
        let extents: SymShape = row.iter().map(|&var| self.pull.nest.vars[var as usize]).collect();
        let at: SmallVec<[Index; 2]> = row.iter().map(|&var| Index::var(var)).collect();
        self.affine(&Strided::dense(&extents).address(&at))
    }

    fn block(&mut self) -> &mut Vec<Stmt> {
        &mut self.blocks.last_mut().expect("the item's block is always open").stmts
    }

    fn define(&mut self, level: usize, inst: Inst, dtype: DType) -> ValueId {
        let value = self.kernel.new_value(inst, dtype);
        self.blocks[level].stmts.push(Stmt::Let(value));
        value
    }

    fn declare(&mut self, node: NodeId, role: Role) {
        let declared = self.pull.graph.node(node);
        let length = (role != Role::Input).then(|| self.int(&Poly::elements(&declared.shape)));
        self.kernel.buffers.push(BufferDecl { dtype: declared.dtype, role, length });
        self.buffers.push(Some(node));
    }

    fn buffer_of(&self, node: NodeId) -> BufferId {
        let position = self.buffers.iter().position(|b| *b == Some(node));
        BufferId(position.expect("a region declares what it reads and stores") as u32)
    }

    fn param(&mut self, id: ParamId, dtype: DType) -> KernelParam {
        let position = self.params.iter().position(|p| *p == id).unwrap_or_else(|| {
            self.params.push(id);
            self.kernel.params.push(dtype);
            self.params.len() - 1
        });
        KernelParam(position as u32)
    }

    fn affine(&mut self, index: &Index) -> Affine {
        let (graph, buffers, vars, ints) = (self.pull.graph, &self.buffers, &self.vars, &mut self.kernel.ints);
        let stride = |input, axis| stride_of(graph, buffers, input, axis);
        let var = |var: Var| vars[var as usize].expect("the loops that an element depends on are open");
        affine(index, var, |poly| int(poly, &stride, &mut |expr| intern(ints, expr)))
    }

    fn int(&mut self, poly: &Poly) -> IntId {
        let (graph, buffers, ints) = (self.pull.graph, &self.buffers, &mut self.kernel.ints);
        int(poly, &|input, axis| stride_of(graph, buffers, input, axis), &mut |expr| intern(ints, expr))
    }
}

fn stride_of(graph: &Graph, buffers: &[Option<NodeId>], input: InputId, axis: u8) -> IntExpr {
    let is_input = |node: &Option<NodeId>| node.is_some_and(|node| graph.node(node).op == Op::Input(input));
    let position = buffers.iter().position(is_input).expect("a stride belongs to an input that the region reads");
    IntExpr::Stride { buffer: BufferId(position as u32), axis }
}

/// Names a kernel after what it computes: the first few different ops.
fn name(graph: &Graph, members: &[NodeId]) -> String {
    const LONGEST: usize = 60;
    let mut names: Vec<String> = Vec::new();
    for &member in members {
        let node = graph.node(member);
        let name = match &node.op {
            Op::Map(op) => op.row().name.to_owned(),
            Op::Reduce { op, .. } => format!("reduce_{}", op.row().name),
            Op::Scan { op, .. } => format!("scan_{}", op.row().name),
            Op::Cast => "cast".to_owned(),
            Op::Iota { .. } => "iota".to_owned(),
            Op::Gather => "gather".to_owned(),
            Op::Input(_) | Op::Const(_) | Op::Param(_) | Op::View(_) | Op::Concat { .. } | Op::Dot | Op::Call(_) => {
                continue;
            }
        };
        if !names.contains(&name) {
            names.push(name.replace('-', "_"));
        }
    }
    let mut whole = if names.is_empty() { "copy".to_owned() } else { names.join("_") };
    if whole.len() > LONGEST {
        whole.truncate(LONGEST);
        whole.push_str("_etc");
    }
    whole
}
