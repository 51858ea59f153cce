//! `make exhaustive`: the worst error of the maths expansions in float32, over all 2^32 operands or every n-th of them, and
//! a random search in float64.
//!
//! Usage: `exhaustive [--stride N] [--first BITS] [--last BITS] [--doubles N] [op ...]`. A function of two operands takes pairs: each of the first with
//! one drawn at random. The measure in float32 is the float64 function of the standard library; an error is in units in
//! the last place of the exact result. With `--doubles N`, N random float64 operands are compared with the standard
//! library's float64 function, whose own error is then part of the measure: a search for gross errors, while
//! `testdata/` holds the correctly rounded results. The exit status is 1 when a bound of the op table is broken.
//!
//! Build with `cargo rustc --release -p fusewire-lowering --example exhaustive -- -C target-cpu=native`: without fma
//! instructions it takes ten times as long.

mod tape;

use fusewire_ir::{
    dtype::DType,
    ops::{Class, OPS, OpRow},
    scalar::Scalar,
};
use std::{process::ExitCode, thread};
use tape::{BLOCK, Column, Tape};

/// The worst operands that were met.
#[derive(Clone, Copy, Default)]
struct Worst {
    ulps: f64,
    at: (f64, f64),
    mismatches: u64,
    mismatch: (f64, f64),
}

impl Worst {
    fn merge(self, other: Worst) -> Worst {
        let worse = if other.ulps > self.ulps { other } else { self };
        let mismatch = if self.mismatches == 0 { other.mismatch } else { self.mismatch };
        Worst { mismatches: self.mismatches + other.mismatches, mismatch, ..worse }
    }

    /// Takes one result in. `exact` is the result before rounding to the format, as well as it is known.
    fn note(&mut self, got: f64, exact: f64, dtype: DType, at: (f64, f64)) {
        let rounded = if dtype == DType::F32 { exact as f32 as f64 } else { exact };
        let same = got.to_bits() == rounded.to_bits() || got.is_nan() && rounded.is_nan();
        if same && (dtype == DType::F64 || rounded == 0.0 || !rounded.is_finite()) {
            return;
        }
        // NaN, infinity or the sign of zero where the other is not.
        let zeros = got == 0.0 && rounded == 0.0;
        if got.is_nan() || rounded.is_nan() || zeros || got * rounded < 0.0 {
            if self.mismatches == 0 {
                self.mismatch = at;
            }
            self.mismatches += 1;
            return;
        }
        let ulps = if dtype == DType::F32 { fractional_ulps(got, exact) } else { steps_between(got, exact) };
        if ulps > self.ulps {
            (self.ulps, self.at) = (ulps, at);
        }
    }
}

/// The difference between a float32 and an exact result of the same sign, in units in the last place of the latter.
fn fractional_ulps(got: f64, exact: f64) -> f64 {
    // Infinity counts as the number after the largest.
    let finite = |x: f64| x.clamp(-(2f64.powi(128)), 2f64.powi(128));
    let (got, exact) = (finite(got), finite(exact));
    let exponent = ((exact.abs().to_bits() >> 52) as i32 - 1023).clamp(-126, 127);
    (got - exact).abs() / 2f64.powi(exponent - 23)
}

/// How many float64 numbers one is from the other; both have the same sign.
fn steps_between(got: f64, exact: f64) -> f64 {
    (got.to_bits() & i64::MAX as u64).abs_diff(exact.to_bits() & i64::MAX as u64) as f64
}

/// A small generator (SplitMix64), so that runs repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Any bits, or a number from the row's samples, or one of moderate size: each a third of the time.
    fn operand(&mut self, row: &OpRow) -> f64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        match self.next() % 3 {
            0 => f64::from_bits(self.next()),
            1 => row.samples.0 + (row.samples.1 - row.samples.0) * unit,
            _ => (unit * 40.0 - 20.0).exp2().copysign(if self.next() & 1 == 0 { 1.0 } else { -1.0 }),
        }
    }
}

/// The function in float64; the standard library's, but for the few that the op table takes elsewhere.
fn reference(row: &OpRow, x: f64, y: f64) -> f64 {
    let operands = [Scalar::f64(x), Scalar::f64(y)];
    (row.reference)(&operands[..row.arity]).as_f64()
}

/// Operands `first + i * step` up to `last`, as float32 bit patterns.
fn sweep(row: &OpRow, first: u64, last: u64, step: u64) -> Worst {
    let tape = Tape::record(row.op, DType::F32);
    let mut machine = tape.machine();
    let mut random = Random(first);
    let mut worst = Worst::default();
    let mut next = first;
    while next <= last {
        let xs: Vec<f32> = (0..BLOCK as u64).map(|i| f32::from_bits((next + i * step).min(last) as u32)).collect();
        next += BLOCK as u64 * step;
        let ys: Vec<f32> = if row.arity == 1 {
            vec![0.0; BLOCK]
        } else {
            (0..BLOCK)
                .map(|_| {
                    if random.next().is_multiple_of(4) {
                        f32::from_bits(random.next() as u32)
                    } else {
                        random.operand(row) as f32
                    }
                })
                .collect()
        };
        let operands = [Column::F32(xs.clone()), Column::F32(ys.clone())];
        let Column::F32(results) = machine.run(&operands[..row.arity]) else { panic!("float32 gives float32") };
        for ((&x, &y), &result) in xs.iter().zip(&ys).zip(results) {
            let (x, y) = (x.into(), y.into());
            worst.note(result.into(), reference(row, x, y), DType::F32, (x, y));
        }
    }
    worst
}

/// `count` random float64 operands.
fn search(row: &OpRow, count: u64, seed: u64) -> Worst {
    let tape = Tape::record(row.op, DType::F64);
    let mut machine = tape.machine();
    let mut random = Random(seed);
    let mut worst = Worst::default();
    for _ in 0..count.div_ceil(BLOCK as u64) {
        let xs: Vec<f64> = (0..BLOCK).map(|_| random.operand(row)).collect();
        let ys: Vec<f64> = (0..BLOCK).map(|_| random.operand(row)).collect();
        let operands = [Column::F64(xs.clone()), Column::F64(ys.clone())];
        let Column::F64(results) = machine.run(&operands[..row.arity]) else { panic!("float64 gives float64") };
        for ((&x, &y), &result) in xs.iter().zip(&ys).zip(results) {
            worst.note(result, reference(row, x, y), DType::F64, (x, y));
        }
    }
    worst
}

fn in_threads(work: impl Fn(u64, u64) -> Worst + Sync) -> Worst {
    let count = thread::available_parallelism().map_or(2, |n| n.get()).min(2) as u64;
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count).map(|i| scope.spawn(move || work(i, count))).collect();
        threads.into_iter().map(|t| t.join().expect("no thread panics")).fold(Worst::default(), Worst::merge)
    })
}

fn main() -> ExitCode {
    let (mut stride, mut first, mut last, mut doubles, mut names) = (1, 0, u32::MAX.into(), 0, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok());
        match argument.as_str() {
            "--stride" => stride = number().expect("--stride takes a number"),
            "--first" => first = number().expect("--first takes a number"),
            "--last" => last = number().expect("--last takes a number"),
            "--doubles" => doubles = number().expect("--doubles takes a number"),
            name => names.push(name.to_string()),
        }
    }
    let rows = OPS.iter().filter(|row| matches!(row.class, Class::Maths));
    let mut broken = false;
    println!("| op | dtype | ops | bound | worst ulp | at | special results missed |\n|---|---|---|---|---|---|---|");
    for row in rows.filter(|row| names.is_empty() || names.iter().any(|n| n == row.name)) {
        let (dtype, worst) = if doubles == 0 {
            (DType::F32, in_threads(|i, n| sweep(row, first + i * stride, last, n * stride)))
        } else {
            (DType::F64, in_threads(|i, n| search(row, doubles / n, i + 1)))
        };
        let show = |(x, y): (f64, f64)| if row.arity == 1 { format!("{x:e}") } else { format!("{x:e}, {y:e}") };
        let steps = Tape::record(row.op, dtype).cost();
        let mismatch =
            if worst.mismatches == 0 { String::new() } else { format!(" first at {}", show(worst.mismatch)) };
        let (name, ulps, at) = (row.name, worst.ulps, show(worst.at));
        let (missed, dtype_name, bound) = (worst.mismatches, dtype.short_name(), row.ulps);
        println!("| {name} | {dtype_name} | {steps} | {bound} | {ulps:.3} | {at} | {missed}{mismatch} |");
        // In float64 the standard library's own error comes on top.
        let allowance = if dtype == DType::F64 { 1.0 } else { 0.0 };
        broken |= worst.mismatches > 0 || ulps > row.ulps as f64 + allowance;
    }
    ExitCode::from(broken as u8)
}
