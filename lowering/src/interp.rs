//! The kernel interpreter: the meaning of a kernel, one element at a time, in exactly the order that `kernel.rs` gives to
//! reductions and scans. Slow and obvious; the oracle of the kernel passes and of the code generators. It finds what
//! `verify.rs` cannot: indices outside a buffer, elements read before they are written, items that meet in one element.

use crate::{
    ints::evaluate_ints,
    kernel::{
        Affine, BufferId, CASCADE_BLOCK, Coefficient, Inst, IntId, Kernel, Loop, LoopKind, Range, Reduction, Role,
        Stmt, ValueId, VarId,
    },
};
use fusewire_ir::{dtype::DType, ops::ScalarOp, reference, scalar::Scalar};

/// The memory behind a pointer argument.
#[derive(Clone, PartialEq, Debug)]
pub struct TypedBuffer {
    /// Element type.
    pub dtype: DType,
    /// The elements' bits.
    pub elements: Vec<u64>,
    /// Which of the elements is `[0, 0, ...]`.
    pub origin: usize,
    /// Strides in elements, for inputs; an entry an axis.
    pub strides: Vec<i64>,
    /// Who wrote each element: 0 nobody yet, 1 the caller, else an item of a phase. Reading 0 is an error.
    writers: Vec<u32>,
}

const NOBODY: u32 = 0;
const CALLER: u32 = 1;

impl TypedBuffer {
    /// Elements with these values, of one axis unless `strides` are set.
    pub fn new(dtype: DType, values: impl IntoIterator<Item = Scalar>) -> TypedBuffer {
        let elements: Vec<u64> = values
            .into_iter()
            .inspect(|v| assert_eq!(v.dtype(), dtype, "a value of another dtype"))
            .map(Scalar::bits)
            .collect();
        let writers = vec![CALLER; elements.len()];
        TypedBuffer { dtype, elements, origin: 0, strides: vec![1], writers }
    }

    /// Elements that nothing has written.
    pub fn unwritten(dtype: DType, length: usize) -> TypedBuffer {
        TypedBuffer { dtype, elements: vec![0; length], origin: 0, strides: vec![1], writers: vec![NOBODY; length] }
    }

    /// With these strides and this origin.
    pub fn strided(mut self, origin: usize, strides: &[i64]) -> TypedBuffer {
        self.origin = origin;
        self.strides = strides.to_vec();
        self
    }

    /// The elements, in memory order.
    pub fn scalars(&self) -> Vec<Scalar> {
        self.elements.iter().map(|&bits| Scalar::from_bits(self.dtype, bits)).collect()
    }

    /// How many elements the kernel has not written.
    pub fn unwritten_count(&self) -> usize {
        self.writers.iter().filter(|&&w| w == NOBODY).count()
    }

    fn position(&self, index: i64) -> Option<usize> {
        let position = usize::try_from(self.origin as i64 + index).ok()?;
        (position < self.elements.len()).then_some(position)
    }
}

/// Every buffer of a kernel: the inputs given in order, the others unwritten and as long as the kernel says.
pub fn allocate(kernel: &Kernel, inputs: &[TypedBuffer], symbols: &[i64]) -> Result<Vec<TypedBuffer>, String> {
    let wanted = kernel.buffers.iter().filter(|b| b.role == Role::Input).count();
    if wanted != inputs.len() {
        return Err(format!("the kernel has {wanted} inputs, {} are given", inputs.len()));
    }
    let mut next = inputs.iter();
    let strides: Vec<&[i64]> = kernel
        .buffers
        .iter()
        .map(|b| if b.role == Role::Input { next.next().map_or(&[][..], |i| i.strides.as_slice()) } else { &[] })
        .collect();
    let ints = integers(kernel, symbols, &strides)?;
    let mut next = inputs.iter();
    kernel
        .buffers
        .iter()
        .map(|decl| match (decl.role, decl.length) {
            (Role::Input, _) => next.next().cloned().ok_or_else(|| "an input is missing".to_string()),
            (_, Some(length)) => match usize::try_from(ints[length.0 as usize]) {
                Ok(length) => Ok(TypedBuffer::unwritten(decl.dtype, length)),
                Err(_) => Err("a buffer has a negative length".to_string()),
            },
            (_, None) => Err("a buffer has no length".to_string()),
        })
        .collect()
}

/// Runs a kernel: one buffer for each pointer argument, one scalar for each parameter.
pub fn run(kernel: &Kernel, buffers: &mut [TypedBuffer], symbols: &[i64], params: &[Scalar]) -> Result<(), String> {
    if buffers.len() != kernel.buffers.len() || params.len() != kernel.params.len() {
        return Err("the kernel has another number of arguments".to_string());
    }
    if buffers.iter().zip(&kernel.buffers).any(|(b, decl)| b.dtype != decl.dtype)
        || params.iter().zip(&kernel.params).any(|(p, &dtype)| p.dtype() != dtype)
    {
        return Err("an argument has another dtype".to_string());
    }
    let strides: Vec<&[i64]> = buffers.iter().map(|b| b.strides.as_slice()).collect();
    let ints = integers(kernel, symbols, &strides)?;
    run_on(kernel, &mut Checked { kernel, buffers, item: CALLER }, &ints, params)
}

/// Where a kernel's elements are. Indices count elements from `[0, 0, ...]`, whatever the strides.
pub trait Memory {
    /// The next item begins. What scratch held has no meaning any more.
    fn begin_item(&mut self) -> Result<(), String>;
    /// Reads an element.
    fn load(&self, buffer: BufferId, index: i64) -> Result<Scalar, String>;
    /// Writes an element.
    fn store(&mut self, buffer: BufferId, index: i64, value: Scalar) -> Result<(), String>;
    /// An index of the data is outside its axis. The launch has failed, and may go on or end here.
    fn fault(&mut self, what: &str) -> Result<(), String> {
        Err(what.to_owned())
    }
}

/// Runs a kernel on any memory, with its integers evaluated.
pub fn run_on(kernel: &Kernel, memory: &mut dyn Memory, ints: &[i64], params: &[Scalar]) -> Result<(), String> {
    let values = vec![Scalar::bool(false); kernel.values.len()];
    let mut machine = Machine { kernel, memory, params, ints, values, vars: vec![0; kernel.vars as usize] };
    for phase in &kernel.phases {
        machine.items(&phase.dims, &phase.body)?;
    }
    Ok(())
}

/// Buffers that know their length and who wrote what.
struct Checked<'a> {
    kernel: &'a Kernel,
    buffers: &'a mut [TypedBuffer],
    /// The item that runs, numbered across the phases.
    item: u32,
}

impl Memory for Checked<'_> {
    fn begin_item(&mut self) -> Result<(), String> {
        self.item += 1;
        for (buffer, decl) in self.buffers.iter_mut().zip(&self.kernel.buffers) {
            if decl.role == Role::Scratch {
                buffer.writers.fill(NOBODY);
            }
        }
        Ok(())
    }

    fn load(&self, buffer: BufferId, index: i64) -> Result<Scalar, String> {
        let memory = &self.buffers[buffer.0 as usize];
        let Some(position) = memory.position(index) else {
            return Err(format!("load b{}: element {index} of {}", buffer.0, memory.elements.len()));
        };
        if memory.writers[position] == NOBODY {
            return Err(format!("load b{}: element {index} is not written yet", buffer.0));
        }
        Ok(Scalar::from_bits(memory.dtype, memory.elements[position]))
    }

    fn store(&mut self, buffer: BufferId, index: i64, value: Scalar) -> Result<(), String> {
        let memory = &mut self.buffers[buffer.0 as usize];
        let Some(position) = memory.position(index) else {
            return Err(format!("store b{}: element {index} of {}", buffer.0, memory.elements.len()));
        };
        let writer = memory.writers[position];
        if writer > CALLER && writer != self.item && self.kernel.buffers[buffer.0 as usize].role != Role::Scratch {
            return Err(format!("store b{}: another item has written element {index}", buffer.0));
        }
        memory.writers[position] = self.item;
        memory.elements[position] = value.bits();
        Ok(())
    }
}

fn integers(kernel: &Kernel, symbols: &[i64], strides: &[&[i64]]) -> Result<Vec<i64>, String> {
    for expr in &kernel.ints {
        match *expr {
            crate::kernel::IntExpr::Sym(symbol) if symbol.0 as usize >= symbols.len() => {
                return Err(format!("there is no symbol {}", symbol.0));
            }
            crate::kernel::IntExpr::Stride { buffer, axis } if axis as usize >= strides[buffer.0 as usize].len() => {
                return Err(format!("b{} has no axis {axis}", buffer.0));
            }
            _ => {}
        }
    }
    Ok(evaluate_ints(&kernel.ints, symbols, |buffer, axis| strides[buffer.0 as usize][axis as usize]))
}

struct Machine<'a> {
    kernel: &'a Kernel,
    memory: &'a mut dyn Memory,
    params: &'a [Scalar],
    ints: &'a [i64],
    values: Vec<Scalar>,
    vars: Vec<i64>,
}

impl Machine<'_> {
    fn items(&mut self, dims: &[(VarId, IntId)], body: &[Stmt]) -> Result<(), String> {
        match dims.split_first() {
            Some((&(var, extent), inner)) => {
                for i in 0..self.int(extent) {
                    self.vars[var.0 as usize] = i;
                    self.items(inner, body)?;
                }
                Ok(())
            }
            None => {
                self.memory.begin_item()?;
                self.block(body, None, &mut [])
            }
        }
    }

    fn int(&self, id: IntId) -> i64 {
        self.ints[id.0 as usize]
    }

    fn get(&self, id: ValueId) -> Scalar {
        self.values[id.0 as usize]
    }

    /// Runs a block. `around` is the loop whose body it is, and `running` the state of that loop's scans.
    fn block(&mut self, block: &[Stmt], around: Option<&Loop>, running: &mut [Running]) -> Result<(), String> {
        for stmt in block {
            match stmt {
                Stmt::Let(id) => {
                    let value = self.evaluate(*id)?;
                    self.define(*id, value, around, running);
                }
                Stmt::Store { buffer, at, value } => self.memory.store(*buffer, self.index(at), self.get(*value))?,
                Stmt::Loop(inner) => {
                    let values = self.inner_loop(inner)?;
                    for (result, value) in inner.results().zip(values) {
                        self.define(result, value, around, running);
                    }
                }
            }
        }
        Ok(())
    }

    /// Sets a value and the running folds over it.
    fn define(&mut self, id: ValueId, value: Scalar, around: Option<&Loop>, running: &mut [Running]) {
        self.values[id.0 as usize] = value;
        for (i, scan) in around.into_iter().flat_map(|l| &l.scans).enumerate().filter(|(_, s)| s.value == id) {
            let next = running[i].step(value);
            self.define(scan.running, next, around, running);
        }
    }

    fn inner_loop(&mut self, inner: &Loop) -> Result<Vec<Scalar>, String> {
        let (start, end) = match inner.range {
            Range::Full(extent) => (0, self.int(extent)),
            Range::Tile { extent, tile, size } => {
                let start = self.vars[tile.0 as usize] * size as i64;
                (start, (start + size as i64).min(self.int(extent)))
            }
        };
        let lanes = match inner.kind {
            LoopKind::Serial => 1,
            LoopKind::Vector { lanes } => lanes as usize,
        };
        let mut folds: Vec<Vec<Fold>> =
            inner.reductions.iter().map(|r| vec![Fold::new(r, self.kernel.dtype(r.value)); lanes]).collect();
        let scans = inner.scans.iter();
        let mut running: Vec<Running> = scans.map(|s| Running::new(s.op, self.kernel.dtype(s.value), lanes)).collect();
        for (number, i) in (start..end).enumerate() {
            self.vars[inner.var.0 as usize] = i;
            self.block(&inner.body, Some(inner), &mut running)?;
            for (reduction, lanes_of_fold) in inner.reductions.iter().zip(&mut folds) {
                lanes_of_fold[number % lanes].step(self.get(reduction.value));
            }
        }
        let folds = folds.into_iter().map(|lanes| tree(lanes.into_iter().map(|f| (f.op, f.finish())).collect()));
        let totals = inner.scans.iter().zip(running).filter(|(s, _)| s.total.is_some()).map(|(_, r)| r.last);
        Ok(folds.chain(totals).collect())
    }

    fn evaluate(&mut self, id: ValueId) -> Result<Scalar, String> {
        let value = self.kernel.value(id);
        Ok(match &value.inst {
            Inst::Const(constant) => *constant,
            Inst::Param(param) => self.params[param.0 as usize],
            Inst::Index(at) => Scalar::i64(self.index(at)),
            Inst::Load { buffer, at } => {
                self.memory.load(*buffer, self.index(at)).map_err(|message| format!("%{} = {message}", id.0))?
            }
            Inst::Position { index, extent } => {
                let (index, extent) = (self.get(*index).as_i64(), self.int(*extent));
                let counted = if index < 0 { index.wrapping_add(extent) } else { index };
                if (0..extent).contains(&counted) {
                    Scalar::i64(counted)
                } else {
                    self.memory.fault(&format!("index {index} is out of bounds for size {extent}"))?;
                    Scalar::i64(0)
                }
            }
            Inst::Gather { buffer, at, positions, strides } => {
                let position = |(&position, &stride): (&ValueId, &Coefficient)| {
                    self.coefficient(stride).wrapping_mul(self.get(position).as_i64())
                };
                let offset = positions.iter().zip(strides).map(position).fold(self.index(at), i64::wrapping_add);
                self.memory.load(*buffer, offset).map_err(|message| format!("%{} = gather: {message}", id.0))?
            }
            Inst::Op(op, operands) => {
                let operands: Vec<Scalar> = operands.iter().map(|&operand| self.get(operand)).collect();
                (op.row().reference)(&operands)
            }
            Inst::Cast(operand) => reference::cast(self.get(*operand), value.dtype),
            Inst::Reduced | Inst::Running => return Err(format!("%{} is defined by a loop", id.0)),
        })
    }

    fn index(&self, at: &Affine) -> i64 {
        let offset = at.offset.map_or(0, |id| self.int(id));
        at.terms.iter().fold(offset, |sum, &(var, coefficient)| {
            sum.wrapping_add(self.coefficient(coefficient).wrapping_mul(self.vars[var.0 as usize]))
        })
    }

    fn coefficient(&self, coefficient: Coefficient) -> i64 {
        match coefficient {
            Coefficient::Const(value) => value,
            Coefficient::Int(id) => self.int(id),
        }
    }
}

fn apply(op: ScalarOp, a: Scalar, b: Scalar) -> Scalar {
    (op.row().reference)(&[a, b])
}

fn unit(op: ScalarOp, dtype: DType) -> Scalar {
    op.unit(dtype).expect("verify: the op folds the dtype")
}

/// One lane of a reduction.
#[derive(Clone)]
struct Fold {
    op: ScalarOp,
    unit: Scalar,
    cascades: bool,
    /// The block that is being folded, and how many steps it has.
    block: Scalar,
    steps: u32,
    finished: u64,
    stack: Vec<Scalar>,
}

impl Fold {
    fn new(reduction: &Reduction, dtype: DType) -> Fold {
        let unit = unit(reduction.op, dtype);
        let cascades = Reduction::cascades(reduction.op, dtype);
        Fold { op: reduction.op, unit, cascades, block: unit, steps: 0, finished: 0, stack: Vec::new() }
    }

    fn step(&mut self, value: Scalar) {
        self.block = apply(self.op, self.block, value);
        self.steps += 1;
        if self.cascades && self.steps == CASCADE_BLOCK {
            for _ in 0..self.finished.trailing_ones() {
                let popped = self.stack.pop().expect("a one bit is an entry");
                self.block = apply(self.op, popped, self.block);
            }
            self.stack.push(self.block);
            self.finished += 1;
            self.block = self.unit;
            self.steps = 0;
        }
    }

    fn finish(mut self) -> Scalar {
        while let Some(popped) = self.stack.pop() {
            self.block = apply(self.op, popped, self.block);
        }
        self.block
    }
}

/// A running fold.
struct Running {
    op: ScalarOp,
    /// What it was in the last iteration, and before the group of lanes at hand.
    last: Scalar,
    before: Scalar,
    /// The lane of the next iteration, of so many.
    lane: usize,
    lanes: usize,
    /// What the last lane before a block of `2^k` lanes has come to at level `k`.
    lower: Vec<Scalar>,
}

impl Running {
    fn new(op: ScalarOp, dtype: DType, lanes: usize) -> Running {
        let unit = unit(op, dtype);
        let lower = vec![unit; lanes.ilog2() as usize];
        Running { op, last: unit, before: unit, lane: 0, lanes, lower }
    }

    fn step(&mut self, value: Scalar) -> Scalar {
        let mut own = value;
        for (level, lower) in self.lower.iter_mut().enumerate() {
            if self.lane >> level & 1 == 1 {
                own = apply(self.op, *lower, own);
            } else {
                *lower = own;
            }
        }
        self.last = apply(self.op, self.before, own);
        self.lane += 1;
        if self.lane == self.lanes {
            (self.lane, self.before) = (0, self.last);
        }
        self.last
    }
}

/// Folds the lanes: the lower half with the upper half until one is left.
fn tree(mut lanes: Vec<(ScalarOp, Scalar)>) -> Scalar {
    while lanes.len() > 1 {
        let upper = lanes.split_off(lanes.len() / 2);
        for ((op, lower), (_, upper)) in lanes.iter_mut().zip(upper) {
            *lower = apply(*op, *lower, upper);
        }
    }
    lanes[0].1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{text::parse, verify::verify_lowered};

    fn floats(values: &[f32]) -> TypedBuffer {
        TypedBuffer::new(DType::F32, values.iter().map(|&v| Scalar::f32(v)))
    }

    fn run_text(text: &str, inputs: &[TypedBuffer], symbols: &[i64]) -> Result<Vec<TypedBuffer>, String> {
        let kernel = parse(text).unwrap();
        verify_lowered(&kernel)?;
        let mut buffers = allocate(&kernel, inputs, symbols)?;
        run(&kernel, &mut buffers, symbols, &[])?;
        Ok(buffers)
    }

    fn sum_kernel(kind: &str) -> String {
        format!(
            "kernel @sum(b0: in f32, b1: out f32[i1]) {{
               i0 = sym m
               i1 = const 1
               phase () {{
                 loop v0 in i0 {kind} {{
                   %0 = load b0[v0] : f32
                 }} reduce %1 = add %0 : f32
                 store b1[0] = %1
               }}
             }}"
        )
    }

    /// The cascade as its definition reads, on slices instead of a stack.
    fn cascade(values: &[f32]) -> f32 {
        let blocks: Vec<f32> =
            values.chunks_exact(CASCADE_BLOCK as usize).map(|b| b.iter().fold(0.0, |a, x| a + x)).collect();
        let mut acc = values.chunks_exact(CASCADE_BLOCK as usize).remainder().iter().fold(0.0, |a, x| a + x);
        // The stack holds one entry for each bit of the number of blocks, the largest at the bottom.
        let mut end = blocks.len();
        for bit in (0..32).filter(|bit| blocks.len() >> bit & 1 == 1) {
            acc += pairwise(&blocks[end - (1 << bit)..end]);
            end -= 1 << bit;
        }
        acc
    }

    fn pairwise(values: &[f32]) -> f32 {
        match values {
            [one] => *one,
            _ => pairwise(&values[..values.len() / 2]) + pairwise(&values[values.len() / 2..]),
        }
    }

    #[test]
    fn serial_sums_cascade() {
        for n in [1, 15, 16, 17, 33, 100, 1000, 2047] {
            let values: Vec<f32> = (0..n).map(|i| 1.0 / (i as f32 + 0.3)).collect();
            let buffers = run_text(&sum_kernel(""), &[floats(&values)], &[n]).unwrap();
            assert_eq!(buffers[1].scalars()[0].as_f32().to_bits(), cascade(&values).to_bits(), "n = {n}");
        }
    }

    #[test]
    fn vector_sums_cascade_in_each_lane_and_then_fold_lanes_as_a_tree() {
        for n in [1, 7, 8, 9, 300, 1025] {
            let values: Vec<f32> = (0..n).map(|i| 1.0 / (i as f32 + 0.3)).collect();
            let lane = |l: usize| cascade(&values.iter().skip(l).step_by(4).copied().collect::<Vec<_>>());
            let expected = (lane(0) + lane(2)) + (lane(1) + lane(3));
            let buffers = run_text(&sum_kernel("vector 4"), &[floats(&values)], &[n]).unwrap();
            assert_eq!(buffers[1].scalars()[0].as_f32().to_bits(), expected.to_bits(), "n = {n}");
        }
    }

    #[test]
    fn tiles_cover_a_range_and_strides_are_respected() {
        let text = "kernel @double(b0: in f32, b1: out f32[i0]) {
            i0 = sym m
            i1 = const 4
            i2 = ceildiv i0, i1
            i3 = stride b0 0
            phase (v0: i2) {
              loop v1 in tile(i0, v0, 4) vector 2 {
                %0 = load b0[v1*i3] : f32
                %1 = add %0, %0 : f32
                store b1[v1] = %1
              }
            }
          }";
        let values: Vec<f32> = (0..19).map(|i| i as f32).collect();
        let reversed = floats(&values).strided(18, &[-2]);
        let buffers = run_text(text, &[reversed], &[10]).unwrap();
        let got: Vec<f32> = buffers[1].scalars().iter().map(|s| s.as_f32()).collect();
        assert_eq!(got, [36.0, 32.0, 28.0, 24.0, 20.0, 16.0, 12.0, 8.0, 4.0, 0.0]);
    }

    #[test]
    fn scans_run_step_after_step() {
        let text = "kernel @cumulative(b0: in i32, b1: out i32[i0]) {
            i0 = sym m
            phase () {
              loop v0 in i0 {
                %0 = load b0[v0] : i32
                %1 = scan add %0 : i32
                store b1[v0] = %1
              }
            }
          }";
        let input = TypedBuffer::new(DType::I32, [3, -1, 4, 1, -5].map(|v| Scalar::from_i64(DType::I32, v)));
        let buffers = run_text(text, &[input], &[5]).unwrap();
        assert_eq!(buffers[1].scalars().iter().map(|s| s.as_i64()).collect::<Vec<_>>(), [3, 2, 6, 7, 2]);
    }

    #[test]
    fn scans_in_lanes_fold_each_group_by_itself() {
        let text = "kernel @cumulative(b0: in f32, b1: out f32[i0], b2: out f32[i1]) {
            i0 = sym m
            i1 = const 1
            phase () {
              loop v0 in i0 vector 4 {
                %0 = load b0[v0] : f32
                %1 = scan add %0 : f32
                store b1[v0] = %1
              } reduce %2 = last %1 : f32
              store b2[0] = %2
            }
          }";
        let x: Vec<f32> = (0..7).map(|i| 1.0 / (i as f32 + 0.3)).collect();
        let buffers = run_text(text, &[floats(&x)], &[7]).unwrap();
        let group = |x: &[f32]| [x[0], x[0] + x[1], (x[0] + x[1]) + x[2], (x[0] + x[1]) + (x[2] + x[3])];
        let first = group(&x);
        let second = group(&[x[4], x[5], x[6], 0.0]).map(|own| first[3] + own);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let got: Vec<f32> = buffers[1].scalars().iter().map(|s| s.as_f32()).collect();
        assert_eq!(bits(&got), bits(&[&first[..], &second[..3]].concat()));
        assert_eq!(buffers[2].scalars()[0].as_f32(), second[2]);
    }

    #[test]
    fn mistakes_are_errors_that_name_the_statement() {
        let short = run_text(&sum_kernel(""), &[floats(&[1.0, 2.0])], &[3]).unwrap_err();
        assert_eq!(short, "%0 = load b0: element 2 of 2");
        let unwritten = "kernel @bad(b0: out f32[i0], b1: tmp f32[i0]) {
            i0 = const 2
            phase (v0: i0) {
              %0 = const 1.0 : f32
              store b1[v0*2] = %0
            }
            phase (v1: i0) {
              %1 = load b1[v1] : f32
              store b0[v1] = %1
            }
          }";
        assert_eq!(run_text(unwritten, &[], &[]).unwrap_err(), "store b1: element 2 of 2");
        let unread = unwritten.replace("v0*2", "v0").replace("phase (v0: i0)", "phase ()").replace("b1[v0]", "b1[0]");
        assert_eq!(run_text(&unread, &[], &[]).unwrap_err(), "%1 = load b1: element 1 is not written yet");
    }
}
