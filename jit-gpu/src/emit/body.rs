//! Statements, values and loops. Folds of loops are `fold.rs`.

use super::{Emitter, Mode};
use crate::schedule::{columns, dealt_scan, exchanges};
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::{Emitted, Value};
use fusewire_jit_llvm::ops::needs_function;
use fusewire_lowering::kernel::{
    Affine, BufferId, Coefficient, Inst, Loop, LoopKind, Range, Role, Scan, Stmt, ValueId, VarId,
};
use inkwell::{
    IntPredicate,
    values::{IntValue, PointerValue},
};

impl<'c> Emitter<'_, 'c> {
    /// Statements one after another. Where the team goes through them together and one writes what another reads, all threads
    /// wait before (for those that still read what was there) and after.
    pub(super) fn block(&mut self, statements: &[Stmt]) -> Emitted<()> {
        for statement in statements {
            let waits = self.mode == Mode::Together && exchanges(self.schedule, statement);
            // A loop that the team goes through together waits inside.
            let waits = waits && !self.goes_together(statement);
            if waits {
                self.wait()?;
            }
            self.statement(statement)?;
            if waits {
                self.wait()?;
            }
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Stmt) -> Emitted<()> {
        match statement {
            Stmt::Let(id) => self.define(*id),
            Stmt::Store { buffer, at, value } => match self.mode {
                Mode::Alone => self.store_element(*buffer, at, *value),
                Mode::Together => {
                    // The output may be written over an input of which other threads are still to load the same element.
                    if std::mem::take(&mut self.loaded) {
                        self.wait()?;
                    }
                    let first = self.thread_below(1)?;
                    self.when(first, |e| e.store_element(*buffer, at, *value))
                }
            },
            Stmt::Loop(inner) => match (inner.kind, self.mode) {
                (LoopKind::Serial, Mode::Together) if self.schedule.inside && !inner.reductions.is_empty() => {
                    self.dealt_loop(inner, 1)
                }
                (LoopKind::Serial, Mode::Together) if dealt_scan(self.kernel, inner) => {
                    self.alone(|e| e.dealt_scan(inner))
                }
                (LoopKind::Serial, Mode::Together) => match (self.nest(inner), columns(self.kernel, inner)) {
                    (Some(vector), _) => self.alone(|e| e.dealt_nest(inner, vector)),
                    (None, Some(columns)) => self.alone(|e| e.dealt_columns(&columns)),
                    (None, None) => self.serial_loop(inner),
                },
                (LoopKind::Serial, Mode::Alone) => self.serial_loop(inner),
                (LoopKind::Vector { .. }, Mode::Together) if !inner.scans.is_empty() => {
                    self.alone(|e| e.dealt_scan(inner))
                }
                (LoopKind::Vector { lanes }, Mode::Together) => self.dealt_loop(inner, lanes.into()),
                (LoopKind::Vector { .. }, Mode::Alone) => unreachable!("vector loops do not nest"),
            },
        }
    }

    /// The body of an iteration. A running fold goes on right behind the statement that its value comes from; at the beginning,
    /// where that is outside of the loop.
    pub(super) fn body_with_scans(&mut self, inner: &Loop, running: &[Value<'c>]) -> Emitted<()> {
        let sources: Vec<Option<usize>> = inner.scans.iter().map(|scan| source(inner, scan.value)).collect();
        for place in std::iter::once(None).chain((0..inner.body.len()).map(Some)) {
            if let Some(number) = place {
                self.block(&inner.body[number..=number])?;
            }
            for ((scan, &old), _) in
                inner.scans.iter().zip(running).zip(&sources).filter(|(_, source)| **source == place)
            {
                self.run_on(scan, old)?;
            }
        }
        Ok(())
    }

    fn run_on(&mut self, scan: &Scan, old: Value<'c>) -> Emitted<()> {
        let (dtype, value) = (self.dtype(scan.value), self.value(scan.value));
        self.values[scan.running.0 as usize] = Some(self.i.op(scan.op, dtype, &[old, value])?);
        Ok(())
    }

    /// The iterations of a loop, each by a thread of the team.
    fn dealt_loop(&mut self, inner: &Loop, lanes: u32) -> Emitted<()> {
        let (begin, end) = self.bounds(inner.range)?;
        let everybody = self.everybody();
        self.alone(|e| match inner.reductions.is_empty() {
            true => e.dealt_elements(inner, begin, end, everybody),
            false => e.dealt_folds(inner, lanes, begin, end),
        })
    }

    /// Emits code in which each thread is by itself.
    fn alone(&mut self, emit: impl FnOnce(&mut Self) -> Emitted<()>) -> Emitted<()> {
        let mode = std::mem::replace(&mut self.mode, Mode::Alone);
        emit(self)?;
        self.mode = mode;
        Ok(())
    }

    /// The body for an iteration.
    pub(super) fn iteration(&mut self, inner: &Loop, iteration: IntValue<'c>) -> Emitted<()> {
        self.set_var(inner.var, iteration);
        self.block(&inner.body)
    }

    pub(super) fn set_var(&mut self, var: VarId, value: IntValue<'c>) {
        self.vars[var.0 as usize] = Some(value);
    }

    /// The first iteration and the one behind the last.
    pub(super) fn bounds(&self, range: Range) -> Emitted<(IntValue<'c>, IntValue<'c>)> {
        let i = self.i;
        match range {
            Range::Full(extent) => Ok((i.index(0), self.int(extent))),
            Range::Tile { extent, tile, size } => {
                let size = i.index(size.into());
                let begin = i.builder.build_int_mul(self.var(tile), size, "")?;
                let full = i.builder.build_int_add(begin, size, "")?;
                let end = i.intrinsic("smin", &[full.into(), self.int(extent).into()])?;
                Ok((begin, end.into_int_value()))
            }
        }
    }

    fn var(&self, var: VarId) -> IntValue<'c> {
        self.vars[var.0 as usize].expect("variables are used inside their loops")
    }

    pub(super) fn value(&self, id: ValueId) -> Value<'c> {
        self.values[id.0 as usize].expect("values are defined before use")
    }

    pub(super) fn dtype(&self, id: ValueId) -> DType {
        self.kernel.values[id.0 as usize].dtype
    }

    fn define(&mut self, id: ValueId) -> Emitted<()> {
        let i = self.i;
        let value = &self.kernel.values[id.0 as usize];
        let result = match &value.inst {
            Inst::Const(constant) => i.constant(*constant),
            Inst::Param(param) => self.params[param.0 as usize],
            Inst::Index(at) => self.affine(at)?.into(),
            Inst::Load { buffer, at } => match self.lanes_at(at) {
                _ if self.loads_together(*buffer) => {
                    self.loaded = true;
                    self.load(value.dtype, self.element(*buffer, at)?)?
                }
                1 => self.load(value.dtype, self.element(*buffer, at)?)?,
                lanes => self.load_packed(*buffer, at, lanes)?,
            },
            Inst::Position { index, extent } => self.position(self.value(*index), self.int(*extent))?,
            Inst::Gather { buffer, at, positions, strides } => {
                let mut index = self.affine(at)?;
                for (&position, &stride) in positions.iter().zip(strides) {
                    let part = self.times(self.value(position).into_int_value(), stride)?;
                    index = i.builder.build_int_add(index, part, "")?;
                }
                let place = i.element(value.dtype, self.buffers[buffer.0 as usize], index)?;
                self.load(value.dtype, place)?
            }
            Inst::Op(op, operands) => {
                // Of a choice, the first operand is the condition.
                let dtype = self.dtype(operands[operands.len() - 1]);
                let operands: Vec<Value<'c>> = operands.iter().map(|&operand| self.value(operand)).collect();
                match needs_function(*op, dtype) {
                    true => self.native(*op, dtype, &operands)?,
                    false => i.op(*op, dtype, &operands)?,
                }
            }
            Inst::Cast(operand) => i.cast(self.value(*operand), self.dtype(*operand), value.dtype)?,
            Inst::Reduced | Inst::Running => unreachable!("loops define what they fold"),
        };
        self.values[id.0 as usize] = Some(result);
        Ok(())
    }

    /// Do all threads of the team load the same element of an input now?
    fn loads_together(&self, buffer: BufferId) -> bool {
        self.mode == Mode::Together && self.kernel.buffers[buffer.0 as usize].role == Role::Input
    }

    /// A position in an extent; 0 and a fault where there is none.
    fn position(&mut self, index: Value<'c>, extent: IntValue<'c>) -> Emitted<Value<'c>> {
        let i = self.i;
        let negative = i.compare(IntPredicate::SLT, index, i.index(0).into())?;
        let from_end = i.builder.build_int_add(index.into_int_value(), extent, "")?;
        let position = i.select(negative, from_end.into(), index)?;
        let outside = i.compare(IntPredicate::UGE, position, extent.into())?;
        let fault = self.fault;
        self.when(outside, |e| e.store(DType::I32, fault, e.i.number(DType::I32, 1)))?;
        i.select(outside, i.index(0).into(), position)
    }

    fn store_element(&mut self, buffer: BufferId, at: &Affine, value: ValueId) -> Emitted<()> {
        match self.lanes_at(at) {
            1 => self.store(self.dtype(value), self.element(buffer, at)?, self.value(value)),
            lanes => self.store_packed(buffer, at, self.value(value), lanes),
        }
    }

    pub(super) fn element(&self, buffer: BufferId, at: &Affine) -> Emitted<PointerValue<'c>> {
        let dtype = self.kernel.buffers[buffer.0 as usize].dtype;
        self.i.element(dtype, self.buffers[buffer.0 as usize], self.affine(at)?)
    }

    fn affine(&self, at: &Affine) -> Emitted<IntValue<'c>> {
        let i = self.i;
        let mut sum = at.offset.map_or(i.index(0), |offset| self.int(offset));
        for &(var, coefficient) in &at.terms {
            let term = self.times(self.var(var), coefficient)?;
            sum = i.builder.build_int_add(sum, term, "")?;
        }
        Ok(sum)
    }

    fn times(&self, x: IntValue<'c>, coefficient: Coefficient) -> Emitted<IntValue<'c>> {
        match coefficient {
            Coefficient::Const(1) => Ok(x),
            Coefficient::Const(factor) => self.i.builder.build_int_mul(x, self.i.index(factor), ""),
            Coefficient::Int(int) => self.i.builder.build_int_mul(x, self.int(int), ""),
        }
    }
}

/// The statement of a loop behind which a value is known: its own, or that of the running fold that it is. None: outside.
pub(super) fn source(inner: &Loop, id: ValueId) -> Option<usize> {
    let own = inner.body.iter().position(|statement| defines(statement, id));
    own.or_else(|| inner.scans.iter().find(|scan| scan.running == id).and_then(|scan| source(inner, scan.value)))
}

/// Is this value a statement's?
fn defines(statement: &Stmt, id: ValueId) -> bool {
    match statement {
        Stmt::Let(defined) => *defined == id,
        Stmt::Store { .. } => false,
        Stmt::Loop(inner) => inner.results().any(|result| result == id),
    }
}
