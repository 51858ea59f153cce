//! Programs to text, for people: what a graph was cut into. The kernels have texts of their own; this one is not parsed.
//!
//! ```text
//! program {
//!   array0: f32[m, n] = input 0
//!   array1: f32[m]
//!   launch @add_sum(array0, array1, temporary; param 0)
//!   product array1 = array0[m, p] at 4 by (p, 1), array2[p, n] by (n, 1)
//!   call sort array2 = array1[m] by (1)
//!   return array1[m] by (1)
//! }
//! ```

use crate::{
    kernel::{IntExpr, IntId},
    program::{Argument, Program, Step, StridedView},
};
use fusewire_ir::{
    shape::{Dim, SymShape},
    text::symbol_name,
};
use std::fmt::{self, Write};

/// The text of a program.
pub fn print_program(program: &Program) -> String {
    let mut text = String::new();
    write(program, &mut text).expect("writing to a string succeeds");
    text
}

fn write(program: &Program, out: &mut String) -> fmt::Result {
    out.push_str("program {\n");
    for (number, array) in program.arrays.iter().enumerate() {
        write!(out, "  array{number}: {}{}", array.dtype, shape_text(&array.shape))?;
        match array.input {
            Some(input) => writeln!(out, " = input {}", input.0)?,
            None => out.push('\n'),
        }
    }
    for step in &program.steps {
        match step {
            Step::Launch { kernel, arguments, params } => {
                let arguments: Vec<String> = arguments.iter().map(argument_text).collect();
                let params: Vec<String> = params.iter().map(|param| format!("param {}", param.0)).collect();
                let separator = if params.is_empty() { "" } else { "; " };
                let (arguments, params) = (arguments.join(", "), params.join(", "));
                writeln!(out, "  launch @{}({arguments}{separator}{params})", kernel.name)?;
            }
            Step::Product { left, right, row, destination } => {
                let (left, right) = (view_text(program, left), view_text(program, right));
                let row = row.as_ref().map_or(String::new(), |row| format!(" plus {}", view_text(program, row)));
                writeln!(out, "  product array{} = {left}, {right}{row}", destination.0)?;
            }
            Step::Call { routine, operands, destination } => {
                let operands: Vec<String> = operands.iter().map(|view| view_text(program, view)).collect();
                writeln!(out, "  call {} array{} = {}", routine.name(), destination.0, operands.join(", "))?;
            }
        }
    }
    let results: Vec<String> = program.results.iter().map(|view| view_text(program, view)).collect();
    writeln!(out, "  return {}\n}}", results.join(", "))
}

fn argument_text(argument: &Argument) -> String {
    match argument {
        Argument::Array(array) => format!("array{}", array.0),
        Argument::Temporary => "temporary".into(),
        Argument::Scratch => "scratch".into(),
    }
}

fn shape_text(shape: &SymShape) -> String {
    let dims: Vec<String> = shape
        .iter()
        .map(|dim| match dim {
            Dim::Zero => "0".into(),
            Dim::One => "1".into(),
            Dim::Two => "2".into(),
            Dim::Sym(symbol) => symbol_name(*symbol),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}

fn view_text(program: &Program, view: &StridedView) -> String {
    let strides: Vec<String> = view.strides.iter().map(|&int| int_text(program, int)).collect();
    let offset = view.offset.map(|int| format!(" at {}", int_text(program, int))).unwrap_or_default();
    format!("array{}{}{offset} by ({})", view.array.0, shape_text(&view.shape), strides.join(", "))
}

fn int_text(program: &Program, int: IntId) -> String {
    let at = |int| int_text(program, int);
    match program.ints[int.0 as usize] {
        IntExpr::Const(value) => value.to_string(),
        IntExpr::Sym(symbol) => symbol_name(symbol),
        IntExpr::Workers => "workers".to_owned(),
        IntExpr::Stride { buffer, axis } => format!("stride(array{}, {axis})", buffer.0),
        IntExpr::Add(a, b) => format!("({} + {})", at(a), at(b)),
        IntExpr::Sub(a, b) => format!("({} - {})", at(a), at(b)),
        IntExpr::Mul(a, b) => format!("{} * {}", at(a), at(b)),
        IntExpr::CeilDiv(a, b) => format!("ceil({} / {})", at(a), at(b)),
        IntExpr::Min(a, b) => format!("min({}, {})", at(a), at(b)),
        IntExpr::Max(a, b) => format!("max({}, {})", at(a), at(b)),
    }
}
