//! Which elements of a buffer the items of a phase touch, with the integers of a launch: what the runtime needs to know to run
//! several kernels block by block. An interval that is too long costs work there; one that is too short would be a mistake.

use crate::kernel::{Affine, BufferId, Coefficient, Inst, Kernel, Phase, Range, Stmt, VarId};
use smallvec::{SmallVec, smallvec};

/// What the items of a phase touch of a buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Nothing.
    Nothing,
    /// The item at indices `i` lies within `sum(steps * i) + low ..= sum(steps * i) + high`.
    Along {
        /// Elements from one index of an item to the next, one for each of the phase's dims.
        steps: SmallVec<[i64; 3]>,
        /// The first element of the first item.
        low: i64,
        /// The last one of it.
        high: i64,
    },
    /// Any: at computed positions, or at places that move apart from item to item.
    Anywhere,
}

impl Kernel {
    /// What the items of a phase touch of a buffer. `ints` are the kernel's, evaluated.
    pub fn reach(&self, phase: &Phase, ints: &[i64], buffer: BufferId) -> Reach {
        let dims = phase.dims.len();
        let mut vars: Vec<(VarId, Span)> = Vec::new();
        for (number, &(var, _)) in phase.dims.iter().enumerate() {
            let mut steps: SmallVec<[i64; 3]> = smallvec![0; dims];
            steps[number] = 1;
            vars.push((var, Span { steps, low: 0, high: 0 }));
        }
        let mut search = Search { kernel: self, ints, buffer, vars, found: Reach::Nothing };
        search.block(&phase.body);
        search.found
    }
}

/// A number that depends on the item's indices linearly, and otherwise lies between two others.
#[derive(Clone)]
struct Span {
    steps: SmallVec<[i64; 3]>,
    low: i64,
    high: i64,
}

struct Search<'a> {
    kernel: &'a Kernel,
    ints: &'a [i64],
    buffer: BufferId,
    /// The variables in scope.
    vars: Vec<(VarId, Span)>,
    found: Reach,
}

impl Search<'_> {
    fn block(&mut self, block: &[Stmt]) {
        for statement in block {
            match statement {
                Stmt::Let(value) => match &self.kernel.value(*value).inst {
                    Inst::Load { buffer, at } if *buffer == self.buffer => self.access(at),
                    Inst::Gather { buffer, .. } if *buffer == self.buffer => self.found = Reach::Anywhere,
                    _ => {}
                },
                Stmt::Store { buffer, at, .. } if *buffer == self.buffer => self.access(at),
                Stmt::Store { .. } => {}
                Stmt::Loop(inner) => {
                    let extent = self.ints[inner.range.extent().0 as usize].max(1);
                    let span = match inner.range {
                        Range::Full(_) => {
                            let steps = smallvec![0; self.dims()];
                            Span { steps, low: 0, high: extent - 1 }
                        }
                        Range::Tile { tile, size, .. } => {
                            let (size, tile) = (i64::from(size), self.var(tile));
                            Span {
                                steps: tile.steps.iter().map(|step| step.saturating_mul(size)).collect(),
                                low: tile.low.saturating_mul(size),
                                high: tile.high.saturating_mul(size).saturating_add(size.min(extent) - 1),
                            }
                        }
                    };
                    self.vars.push((inner.var, span));
                    self.block(&inner.body);
                    self.vars.pop();
                }
            }
        }
    }

    fn dims(&self) -> usize {
        self.vars.first().map_or(0, |(_, span)| span.steps.len())
    }

    fn var(&self, wanted: VarId) -> Span {
        let known = self.vars.iter().rev().find(|(var, _)| *var == wanted);
        known.expect("the verifier has seen each variable inside its loop").1.clone()
    }

    fn access(&mut self, at: &Affine) {
        let offset = at.offset.map_or(0, |int| self.ints[int.0 as usize]);
        let mut span = Span { steps: smallvec![0; self.dims()], low: offset, high: offset };
        for &(var, coefficient) in &at.terms {
            let factor = match coefficient {
                Coefficient::Const(value) => value,
                Coefficient::Int(int) => self.ints[int.0 as usize],
            };
            let Span { steps, low, high } = self.var(var);
            for (sum, step) in span.steps.iter_mut().zip(steps) {
                *sum = sum.saturating_add(step.saturating_mul(factor));
            }
            let ends = [low.saturating_mul(factor), high.saturating_mul(factor)];
            span.low = span.low.saturating_add(ends[0].min(ends[1]));
            span.high = span.high.saturating_add(ends[0].max(ends[1]));
        }
        self.found = match std::mem::replace(&mut self.found, Reach::Anywhere) {
            Reach::Nothing => Reach::Along { steps: span.steps, low: span.low, high: span.high },
            Reach::Along { steps, low, high } if steps == span.steps => {
                Reach::Along { steps, low: low.min(span.low), high: high.max(span.high) }
            }
            Reach::Along { .. } | Reach::Anywhere => Reach::Anywhere,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    fn reach(text: &str, ints: &[i64], buffer: u32) -> Reach {
        let kernel = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        kernel.reach(&kernel.phases[0], ints, BufferId(buffer))
    }

    fn along(steps: &[i64], low: i64, high: i64) -> Reach {
        Reach::Along { steps: steps.into(), low, high }
    }

    const ROWS: &str = "kernel @rows(b0: in f32, b1: in f32, b2: out f32[i2]) {
        i0 = sym n
        i1 = sym m
        i2 = mul i0, i1
        i3 = const 2048
        i4 = ceildiv i0, i3
        i5 = const 16
        i6 = ceildiv i1, i5
        phase (v0: i6, v1: i4) {
          loop v2 in tile(i1, v0, 16) {
            loop v3 in tile(i0, v1, 2048) vector 16 {
              %0 = load b0[v2*i0 + v3] : f32
              %1 = load b1[v3] : f32
              %2 = add %0, %1 : f32
              store b2[v2*i0 + v3] = %2
            }
          }
        }
      }";

    #[test]
    fn tiles_of_rows_and_columns() {
        // 256 columns, 3406 rows: an item has 16 rows, and its last column is that of the rows.
        let ints = [256, 3406, 256 * 3406, 2048, 1, 16, 213];
        assert_eq!(reach(ROWS, &ints, 0), along(&[16 * 256, 2048], 0, 15 * 256 + 255));
        assert_eq!(reach(ROWS, &ints, 1), along(&[0, 2048], 0, 255));
        assert_eq!(reach(ROWS, &ints, 2), along(&[16 * 256, 2048], 0, 15 * 256 + 255));
    }

    #[test]
    fn several_places_are_one_interval_and_reversed_ones_go_back() {
        let text = "kernel @several(b0: in f32, b1: in f32, b2: in f32, b3: out f32[i0]) {
            i0 = sym m
            i1 = const 2
            i2 = const 9
            phase (v0: i0) {
              %0 = load b0[v0] : f32
              %1 = load b0[v0 + i1] : f32
              %2 = load b1[-v0 + i2] : f32
              %3 = load b2[v0*3] : f32
              %4 = load b2[v0] : f32
              %5 = add %0, %1 : f32
              %6 = add %2, %3 : f32
              %7 = add %4, %5 : f32
              %8 = add %6, %7 : f32
              store b3[v0] = %8
            }
          }";
        let ints = [10, 2, 9];
        assert_eq!(reach(text, &ints, 0), along(&[1], 0, 2));
        assert_eq!(reach(text, &ints, 1), along(&[-1], 9, 9));
        assert_eq!(reach(text, &ints, 2), Reach::Anywhere);
        assert_eq!(reach(text, &ints, 3), along(&[1], 0, 0));
        assert_eq!(reach(text, &ints, 4), Reach::Nothing);
    }
}
