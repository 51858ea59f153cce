//! Rust micro-benchmarks: a timer for small things. The benchmarks are `bin/micro.rs`; the figures they gave, and those from
//! Python against other packages, stand in `README.md`.
//!
//! The timer is our own because it is thirty lines, prints the table that the README shows, and needs no statistics beyond
//! the median: on a shared machine outliers are the neighbours', and the least time says what the code can do.

use std::{hint::black_box, time::Instant};

/// Times of one call, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Times {
    /// The median of the rounds.
    pub median: f64,
    /// The least of the rounds.
    pub least: f64,
}

/// Rounds that are timed.
const ROUNDS: usize = 31;
/// How long a round should take, in nanoseconds: long against the clock's resolution, short against a time slice.
const ROUND: f64 = 1e6;

/// Times a call. What it returns is dropped inside the timed span, as a user's code would.
pub fn time<R>(mut call: impl FnMut() -> R) -> Times {
    let mut round = |calls: usize| {
        let start = Instant::now();
        for _ in 0..calls {
            drop(black_box(call()));
        }
        start.elapsed().as_nanos() as f64 / calls as f64
    };
    // Twice, so that the count does not come from a cold call.
    let rough = round(1).min(round(3));
    let calls = (ROUND / rough.max(1.0)).clamp(1.0, 100_000.0) as usize;
    times((0..ROUNDS).map(|_| round(calls)).collect())
}

/// Times a call whose set-up must not count.
pub fn time_prepared<T, R>(mut prepare: impl FnMut() -> T, mut call: impl FnMut(T) -> R) -> Times {
    let mut samples = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let prepared = prepare();
        let start = Instant::now();
        let result = black_box(call(black_box(prepared)));
        samples.push(start.elapsed().as_nanos() as f64);
        drop(result);
    }
    times(samples)
}

fn times(mut samples: Vec<f64>) -> Times {
    samples.sort_by(f64::total_cmp);
    Times { median: samples[samples.len() / 2], least: samples[0] }
}

/// Nanoseconds for people: `83 ns`, `4.2 us`, `1.3 ms`.
pub fn readable(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        t if t < 1e3 => (t, "ns"),
        t if t < 1e6 => (t / 1e3, "us"),
        t => (t / 1e6, "ms"),
    };
    if value < 10.0 { format!("{value:.2} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_least_are_of_the_rounds() {
        assert_eq!(times(vec![5.0, 1.0, 9.0]), Times { median: 5.0, least: 1.0 });
        let mut calls = 0;
        let measured = time_prepared(|| 7, |seven| calls += seven);
        assert_eq!(calls, 7 * ROUNDS);
        assert!(measured.least <= measured.median);
    }

    #[test]
    fn times_are_readable() {
        assert_eq!([83.0, 4200.0, 1.26e6].map(readable), ["83 ns", "4.20 us", "1.26 ms"]);
    }
}
