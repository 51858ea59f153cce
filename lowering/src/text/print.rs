//! Kernels to text.

use super::LAST;
use crate::{
    canonical::canonicalise,
    kernel::{Affine, Coefficient, Inst, IntExpr, Kernel, Loop, LoopKind, Range, Role, Stmt, ValueId},
};
use fusewire_ir::{ops::ScalarOp, text as graph_text};
use std::fmt::{self, Write};

/// The text of a kernel, in canonical numbers: equal kernels print equal text.
pub fn print(kernel: &Kernel) -> String {
    let mut canonical = kernel.clone();
    canonicalise(&mut canonical);
    let mut text = String::new();
    Printer { kernel: &canonical, out: &mut text }.kernel().expect("writing to a string succeeds");
    text
}

struct Printer<'a> {
    kernel: &'a Kernel,
    out: &'a mut String,
}

impl Printer<'_> {
    fn kernel(&mut self) -> fmt::Result {
        let kernel = self.kernel;
        write!(self.out, "kernel @{}(", kernel.name)?;
        for (i, buffer) in kernel.buffers.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let role = match buffer.role {
                Role::Input => "in",
                Role::Output => "out",
                Role::Temporary => "tmp",
                Role::Scratch => "scratch",
            };
            write!(self.out, "{separator}b{i}: {role} {}", buffer.dtype)?;
            if let Some(length) = buffer.length {
                write!(self.out, "[i{}]", length.0)?;
            }
        }
        for (i, dtype) in kernel.params.iter().enumerate() {
            write!(self.out, "{}p{i}: {dtype}", if i == 0 { "; " } else { ", " })?;
        }
        self.out.write_str(") {\n")?;
        for (i, &expr) in kernel.ints.iter().enumerate() {
            writeln!(self.out, "  i{i} = {}", int_text(expr))?;
        }
        for phase in &kernel.phases {
            self.out.write_str("  phase (")?;
            for (i, (var, extent)) in phase.dims.iter().enumerate() {
                write!(self.out, "{}v{}: i{}", if i == 0 { "" } else { ", " }, var.0, extent.0)?;
            }
            self.out.write_str(") {\n")?;
            self.block(&phase.body, 2, None)?;
            self.out.write_str("  }\n")?;
        }
        self.out.write_str("}\n")
    }

    fn indent(&mut self, depth: usize) {
        (0..depth).for_each(|_| self.out.push_str("  "));
    }

    fn block(&mut self, block: &[Stmt], depth: usize, around: Option<&Loop>) -> fmt::Result {
        for stmt in block {
            self.indent(depth);
            match stmt {
                Stmt::Let(id) => {
                    let value = self.kernel.value(*id);
                    write!(self.out, "%{} = ", id.0)?;
                    self.inst(&value.inst, value.dtype)?;
                    writeln!(self.out, " : {}", value.dtype)?;
                    self.scans(around, *id, depth)?;
                }
                Stmt::Store { buffer, at, value } => {
                    writeln!(self.out, "store b{}[{}] = %{}", buffer.0, affine_text(at), value.0)?;
                }
                Stmt::Loop(inner) => {
                    write!(self.out, "loop v{} in ", inner.var.0)?;
                    match inner.range {
                        Range::Full(extent) => write!(self.out, "i{}", extent.0)?,
                        Range::Tile { extent, tile, size } => {
                            write!(self.out, "tile(i{}, v{}, {size})", extent.0, tile.0)?
                        }
                    }
                    match inner.kind {
                        LoopKind::Serial => self.out.write_str(" {\n")?,
                        LoopKind::Vector { lanes } => writeln!(self.out, " vector {lanes} {{")?,
                    }
                    self.block(&inner.body, depth + 1, Some(inner))?;
                    self.indent(depth);
                    self.out.push('}');
                    let folds = inner.reductions.iter().map(|r| (r.result, name(r.op), r.value));
                    let totals = inner.scans.iter().filter_map(|s| Some((s.total?, LAST, s.running)));
                    for (i, (result, op, value)) in folds.chain(totals).enumerate() {
                        let (lead, dtype) = (if i == 0 { " reduce" } else { "," }, self.kernel.dtype(result));
                        write!(self.out, "{lead} %{} = {op} %{} : {dtype}", result.0, value.0)?;
                    }
                    self.out.push('\n');
                    for result in inner.results() {
                        self.scans(around, result, depth)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The running folds of a value that was just defined in the body of `around`.
    fn scans(&mut self, around: Option<&Loop>, value: ValueId, depth: usize) -> fmt::Result {
        let Some(around) = around else { return Ok(()) };
        for scan in around.scans.iter().filter(|s| s.value == value) {
            self.indent(depth);
            let dtype = self.kernel.dtype(scan.running);
            writeln!(self.out, "%{} = scan {} %{} : {dtype}", scan.running.0, name(scan.op), value.0)?;
            self.scans(Some(around), scan.running, depth)?;
        }
        Ok(())
    }

    fn inst(&mut self, inst: &Inst, dtype: fusewire_ir::dtype::DType) -> fmt::Result {
        match inst {
            Inst::Const(value) => {
                debug_assert_eq!(value.dtype(), dtype);
                write!(self.out, "const {}", graph_text::literal(*value))
            }
            Inst::Param(param) => write!(self.out, "param p{}", param.0),
            Inst::Index(at) => write!(self.out, "index [{}]", affine_text(at)),
            Inst::Load { buffer, at } => write!(self.out, "load b{}[{}]", buffer.0, affine_text(at)),
            Inst::Position { index, extent } => write!(self.out, "position %{} in i{}", index.0, extent.0),
            Inst::Gather { buffer, at, positions, strides } => {
                write!(self.out, "gather b{}[{}]", buffer.0, affine_text(at))?;
                for (i, (position, stride)) in positions.iter().zip(strides).enumerate() {
                    write!(self.out, "{}%{}", if i == 0 { " " } else { ", " }, position.0)?;
                    match stride {
                        Coefficient::Const(value) => write!(self.out, "*{value}")?,
                        Coefficient::Int(id) => write!(self.out, "*i{}", id.0)?,
                    }
                }
                Ok(())
            }
            Inst::Op(op, operands) => {
                self.out.write_str(name(*op))?;
                for (i, id) in operands.iter().enumerate() {
                    write!(self.out, "{}%{}", if i == 0 { " " } else { ", " }, id.0)?;
                }
                Ok(())
            }
            Inst::Cast(operand) => write!(self.out, "cast %{}", operand.0),
            Inst::Reduced => self.out.write_str("reduced"),
            Inst::Running => self.out.write_str("running"),
        }
    }
}

fn name(op: ScalarOp) -> &'static str {
    op.row().name
}

/// The text of a run-time integer's definition.
fn int_text(expr: IntExpr) -> String {
    match expr {
        IntExpr::Const(value) => format!("const {value}"),
        IntExpr::Sym(symbol) => format!("sym {}", graph_text::symbol_name(symbol)),
        IntExpr::Workers => "workers".to_owned(),
        IntExpr::Stride { buffer, axis } => format!("stride b{} {axis}", buffer.0),
        IntExpr::Add(a, b) => format!("add i{}, i{}", a.0, b.0),
        IntExpr::Sub(a, b) => format!("sub i{}, i{}", a.0, b.0),
        IntExpr::Mul(a, b) => format!("mul i{}, i{}", a.0, b.0),
        IntExpr::CeilDiv(a, b) => format!("ceildiv i{}, i{}", a.0, b.0),
        IntExpr::Min(a, b) => format!("min i{}, i{}", a.0, b.0),
        IntExpr::Max(a, b) => format!("max i{}, i{}", a.0, b.0),
    }
}

/// The text of an index: `v0*i3 - v1 + i7`.
fn affine_text(at: &Affine) -> String {
    let mut text = String::new();
    for (var, coefficient) in &at.terms {
        let (sign, factor) = match coefficient {
            Coefficient::Const(1) => ('+', String::new()),
            Coefficient::Const(-1) => ('-', String::new()),
            Coefficient::Const(c) if *c < 0 => ('-', format!("*{}", c.unsigned_abs())),
            Coefficient::Const(c) => ('+', format!("*{c}")),
            Coefficient::Int(id) => ('+', format!("*i{}", id.0)),
        };
        match (text.is_empty(), sign) {
            (true, '-') => text.push('-'),
            (true, _) => {}
            (false, _) => text.extend([' ', sign, ' ']),
        }
        text.push('v');
        text.push_str(&var.0.to_string());
        text.push_str(&factor);
    }
    match (at.offset, text.is_empty()) {
        (Some(offset), true) => format!("i{}", offset.0),
        (Some(offset), false) => format!("{text} + i{}", offset.0),
        (None, true) => "0".to_string(),
        (None, false) => text,
    }
}
