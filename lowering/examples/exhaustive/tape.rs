//! A recorded expansion, evaluated over columns of numbers: each instruction is one loop over a block, which the compiler
//! vectorises, so that a function of all 2^32 float32 numbers takes a minute or two.
//!
//! Not an interpreter of kernels: it knows only the primitives that expansions use; the rest goes element by element through the op
//! table's reference evaluation.

use fusewire_ir::{
    dtype::DType,
    emit::{Emit, V},
    ops::{Class, ScalarOp as S},
    reference,
    scalar::Scalar,
};
use fusewire_lowering::math::expand;

/// Elements of a block.
pub const BLOCK: usize = 512;

#[derive(Clone)]
enum Instruction {
    Operand(usize),
    Constant(Scalar),
    Op(S, Vec<V>),
    Cast(V),
}

/// The recording.
#[derive(Default)]
pub struct Tape {
    instructions: Vec<(Instruction, DType)>,
    result: usize,
}

/// One block of one value.
#[derive(Clone)]
pub enum Column {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Tape {
    /// Records the expansion of `op` on operands of a float dtype.
    pub fn record(op: S, dtype: DType) -> Tape {
        let mut tape = Tape::default();
        let operands: Vec<V> = (0..op.row().arity).map(|i| tape.push(Instruction::Operand(i), dtype)).collect();
        tape.result = expand(op, &mut tape, &operands).0 as usize;
        tape
    }

    /// How many instructions, constants and operands not counted, and bit casts neither: they cost nothing.
    pub fn cost(&self) -> usize {
        let free = |i: &Instruction, dtype: DType| match i {
            Instruction::Operand(_) | Instruction::Constant(_) => true,
            Instruction::Op(op, _) => matches!(op, S::ToBits | S::FromBits),
            Instruction::Cast(_) => dtype.is_integer(),
        };
        self.instructions.iter().filter(|(i, dtype)| !free(i, *dtype)).count()
    }

    fn push(&mut self, instruction: Instruction, dtype: DType) -> V {
        self.instructions.push((instruction, dtype));
        V(self.instructions.len() as u32 - 1)
    }

    /// A machine with room for the values, constants filled in.
    pub fn machine(&self) -> Machine<'_> {
        let columns = self.instructions.iter().map(|(i, dtype)| match i {
            Instruction::Constant(value) => filled(*value),
            _ => filled(Scalar::from_bits(*dtype, 0)),
        });
        Machine { tape: self, columns: columns.collect() }
    }
}

impl Emit for Tape {
    fn constant(&mut self, value: Scalar) -> V {
        // Constants and everything that is computed twice are shared, as every builder of code does.
        let known = self.instructions.iter().position(|(i, _)| matches!(i, Instruction::Constant(v) if *v == value));
        known.map_or_else(|| self.push(Instruction::Constant(value), value.dtype()), |i| V(i as u32))
    }
    fn op(&mut self, op: S, operands: &[V]) -> V {
        match op.row().class {
            Class::Maths => return expand(op, self, operands),
            Class::Composite(body) => return body(self, operands),
            Class::Primitive | Class::Parts => {}
        }
        let same = |i: &Instruction| matches!(i, Instruction::Op(o, v) if *o == op && v[..] == *operands);
        if let Some(known) = self.instructions.iter().position(|(i, _)| same(i)) {
            return V(known as u32);
        }
        let dtypes: Vec<DType> = operands.iter().map(|&v| self.dtype(v)).collect();
        let dtype = op.result_dtype(&dtypes).unwrap_or_else(|| panic!("{op:?} does not accept {dtypes:?}"));
        self.push(Instruction::Op(op, operands.to_vec()), dtype)
    }
    fn cast(&mut self, to: DType, value: V) -> V {
        if self.dtype(value) == to { value } else { self.push(Instruction::Cast(value), to) }
    }
    fn dtype(&self, value: V) -> DType {
        self.instructions[value.0 as usize].1
    }
}

fn filled(value: Scalar) -> Column {
    match value.dtype() {
        DType::Bool => Column::Bool(vec![value.as_bool(); BLOCK]),
        DType::I32 => Column::I32(vec![value.as_i64() as i32; BLOCK]),
        DType::I64 => Column::I64(vec![value.as_i64(); BLOCK]),
        DType::U32 => Column::U32(vec![value.bits() as u32; BLOCK]),
        DType::U64 => Column::U64(vec![value.bits(); BLOCK]),
        DType::F32 => Column::F32(vec![value.as_f32(); BLOCK]),
        DType::F64 => Column::F64(vec![value.as_f64(); BLOCK]),
        other => panic!("no expansion uses {other}"),
    }
}

/// A tape with its values.
pub struct Machine<'t> {
    tape: &'t Tape,
    columns: Vec<Column>,
}

impl Machine<'_> {
    /// Evaluates one block.
    pub fn run(&mut self, operands: &[Column]) -> &Column {
        for index in 0..self.columns.len() {
            let (done, rest) = self.columns.split_at_mut(index);
            let out = &mut rest[0];
            match &self.tape.instructions[index].0 {
                Instruction::Constant(_) => {}
                Instruction::Operand(i) => out.clone_from(&operands[*i]),
                Instruction::Cast(v) => cast(out, &done[v.0 as usize]),
                Instruction::Op(op, v) => {
                    let inputs: Vec<&Column> = v.iter().map(|v| &done[v.0 as usize]).collect();
                    if !fast(*op, out, &inputs) {
                        slow(*op, out, &inputs);
                    }
                }
            }
        }
        &self.columns[self.tape.result]
    }
}

fn map1<A: Copy, O>(out: &mut [O], a: &[A], f: impl Fn(A) -> O) {
    for (o, &a) in out.iter_mut().zip(a) {
        *o = f(a);
    }
}
fn map2<A: Copy, B: Copy, O>(out: &mut [O], a: &[A], b: &[B], f: impl Fn(A, B) -> O) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = f(a, b);
    }
}
fn map3<A: Copy, B: Copy, C: Copy, O>(out: &mut [O], a: &[A], b: &[B], c: &[C], f: impl Fn(A, B, C) -> O) {
    for (((o, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *o = f(a, b, c);
    }
}

/// The loops for floats of one format and for the integers that are their bits.
macro_rules! loops {
    ($op:expr, $out:expr, $inputs:expr, $float:ident, $int:ident, $unsigned:ident, $bits:ty, $f:ty) => {
        match ($op, $out, $inputs) {
            (S::Add, Column::$float(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a + b),
            (S::Subtract, Column::$float(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a - b),
            (S::Multiply, Column::$float(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a * b),
            (S::Divide, Column::$float(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a / b),
            (S::Fma, Column::$float(o), [Column::$float(a), Column::$float(b), Column::$float(c)]) => {
                map3(o, a, b, c, |a, b, c| a.mul_add(b, c))
            }
            (S::Negative, Column::$float(o), [Column::$float(a)]) => map1(o, a, |a| -a),
            (S::Abs, Column::$float(o), [Column::$float(a)]) => map1(o, a, |a| a.abs()),
            (S::Sqrt, Column::$float(o), [Column::$float(a)]) => map1(o, a, |a| a.sqrt()),
            (S::Floor, Column::$float(o), [Column::$float(a)]) => map1(o, a, |a| a.floor()),
            (S::Round, Column::$float(o), [Column::$float(a)]) => map1(o, a, |a| a.round_ties_even()),
            (S::ToBits, Column::$int(o), [Column::$float(a)]) => map1(o, a, |a| a.to_bits() as $bits),
            (S::FromBits, Column::$float(o), [Column::$int(a)]) => map1(o, a, |a| <$f>::from_bits(a as _)),
            (S::Less, Column::Bool(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a < b),
            (S::LessEqual, Column::Bool(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a <= b),
            (S::Greater, Column::Bool(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a > b),
            (S::GreaterEqual, Column::Bool(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a >= b),
            (S::Equal, Column::Bool(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a == b),
            (S::NotEqual, Column::Bool(o), [Column::$float(a), Column::$float(b)]) => map2(o, a, b, |a, b| a != b),
            (S::Where, Column::$float(o), [Column::Bool(c), Column::$float(a), Column::$float(b)]) => {
                map3(o, c, a, b, |c, a, b| if c { a } else { b })
            }
            (S::Where, Column::$int(o), [Column::Bool(c), Column::$int(a), Column::$int(b)]) => {
                map3(o, c, a, b, |c, a, b| if c { a } else { b })
            }
            (S::Add, Column::$int(o), [Column::$int(a), Column::$int(b)]) => map2(o, a, b, <$bits>::wrapping_add),
            (S::Subtract, Column::$int(o), [Column::$int(a), Column::$int(b)]) => map2(o, a, b, <$bits>::wrapping_sub),
            (S::Subtract, Column::$unsigned(o), [Column::$unsigned(a), Column::$unsigned(b)]) => {
                map2(o, a, b, |a, b| a.wrapping_sub(b))
            }
            (S::And, Column::$int(o), [Column::$int(a), Column::$int(b)]) => map2(o, a, b, |a, b| a & b),
            (S::Or, Column::$int(o), [Column::$int(a), Column::$int(b)]) => map2(o, a, b, |a, b| a | b),
            (S::Or, Column::$unsigned(o), [Column::$unsigned(a), Column::$unsigned(b)]) => map2(o, a, b, |a, b| a | b),
            (S::Xor, Column::$int(o), [Column::$int(a), Column::$int(b)]) => map2(o, a, b, |a, b| a ^ b),
            (S::ShiftLeft, Column::$int(o), [Column::$int(a), Column::$int(by)]) => {
                assert!((0..<$bits>::BITS as $bits).contains(&by[0]), "shifts are by constants inside the width");
                let by = by[0];
                map1(o, a, |a| a << by)
            }
            (S::ShiftLeft, Column::$unsigned(o), [Column::$unsigned(a), Column::$unsigned(by)]) => {
                assert!(by[0] < <$bits>::BITS as _, "shifts are by constants inside the width");
                let by = by[0];
                map1(o, a, |a| a << by)
            }
            (S::ShiftRight, Column::$int(o), [Column::$int(a), Column::$int(by)]) => {
                assert!((0..<$bits>::BITS as $bits).contains(&by[0]), "shifts are by constants inside the width");
                let by = by[0];
                map1(o, a, |a| a >> by)
            }
            (S::ShiftRight, Column::$unsigned(o), [Column::$unsigned(a), Column::$unsigned(by)]) => {
                assert!(by[0] < <$bits>::BITS as _, "shifts are by constants inside the width");
                let by = by[0];
                map1(o, a, |a| a >> by)
            }
            _ => return false,
        }
    };
}

fn fast32(op: S, out: &mut Column, inputs: &[&Column]) -> bool {
    loops!(op, out, inputs, F32, I32, U32, i32, f32);
    true
}
fn fast64(op: S, out: &mut Column, inputs: &[&Column]) -> bool {
    loops!(op, out, inputs, F64, I64, U64, i64, f64);
    true
}
fn fast(op: S, out: &mut Column, inputs: &[&Column]) -> bool {
    match (op, &mut *out, inputs) {
        (S::And, Column::Bool(o), [Column::Bool(a), Column::Bool(b)]) => map2(o, a, b, |a, b| a & b),
        (S::Or, Column::Bool(o), [Column::Bool(a), Column::Bool(b)]) => map2(o, a, b, |a, b| a | b),
        (S::Xor, Column::Bool(o), [Column::Bool(a), Column::Bool(b)]) => map2(o, a, b, |a, b| a ^ b),
        (S::Not, Column::Bool(o), [Column::Bool(a)]) => map1(o, a, |a| !a),
        _ => return fast32(op, out, inputs) || fast64(op, out, inputs),
    }
    true
}

fn slow(op: S, out: &mut Column, inputs: &[&Column]) {
    for i in 0..BLOCK {
        let operands: Vec<Scalar> = inputs.iter().map(|c| element(c, i)).collect();
        set(out, i, (op.row().reference)(&operands));
    }
}

fn cast(out: &mut Column, input: &Column) {
    match (&mut *out, input) {
        (Column::F64(o), Column::F32(a)) => map1(o, a, f64::from),
        (Column::F32(o), Column::F64(a)) => map1(o, a, |a| a as f32),
        (Column::F32(o), Column::I32(a)) => map1(o, a, |a| a as f32),
        (Column::U64(o), Column::I64(a)) => map1(o, a, |a| a as u64),
        (Column::I64(o), Column::U64(a)) => map1(o, a, |a| a as i64),
        _ => {
            let to = element(out, 0).dtype();
            for i in 0..BLOCK {
                set(out, i, reference::cast(element(input, i), to));
            }
        }
    }
}

fn element(column: &Column, i: usize) -> Scalar {
    match column {
        Column::Bool(v) => Scalar::bool(v[i]),
        Column::I32(v) => Scalar::from_i64(DType::I32, v[i].into()),
        Column::I64(v) => Scalar::i64(v[i]),
        Column::U32(v) => Scalar::from_u64(DType::U32, v[i].into()),
        Column::U64(v) => Scalar::from_u64(DType::U64, v[i]),
        Column::F32(v) => Scalar::f32(v[i]),
        Column::F64(v) => Scalar::f64(v[i]),
    }
}

fn set(column: &mut Column, i: usize, value: Scalar) {
    match column {
        Column::Bool(v) => v[i] = value.as_bool(),
        Column::I32(v) => v[i] = value.as_i64() as i32,
        Column::I64(v) => v[i] = value.as_i64(),
        Column::U32(v) => v[i] = value.bits() as u32,
        Column::U64(v) => v[i] = value.bits(),
        Column::F32(v) => v[i] = value.as_f32(),
        Column::F64(v) => v[i] = value.as_f64(),
    }
}
