//! Running folds: step after step in serial loops; in vector loops a group of lanes at a time, and one by one what fills no group, in
//! the order of `fusewire_lowering::kernel::Scan`.

use super::{
    Emitter,
    reduce::{take, values_of},
    values::{Bundle, Vectors},
};
use crate::vector;
use cranelift::prelude::*;
use fusewire_ir::dtype::DType;
use fusewire_lowering::kernel::{Loop, Scan, Stmt, ValueId};

/// Which iterations of a loop with running folds stand side by side.
pub(super) enum Steps<'a> {
    /// None: the loop is serial, in whatever lanes there are around it. A running fold has its value before.
    One,
    /// All lanes of the vector loop. A running fold has its value before the group.
    Group,
    /// A lane of a group that is not full, by its number, and the running folds' values before the group. A running fold has its
    /// value of the lane before, and for each level what the last lane before a block has come to.
    Lane(Value, &'a [Bundle]),
}

impl Emitter<'_> {
    /// The body, each running value right behind the value it adds. Takes and gives what the running folds have.
    pub(super) fn body_with_scans(
        &mut self,
        inner: &Loop,
        iteration: Value,
        before: &[Bundle],
        steps: Steps<'_>,
    ) -> Vec<Bundle> {
        if inner.scans.is_empty() {
            self.iteration(inner, iteration);
            return Vec::new();
        }
        self.vars[inner.var.0 as usize] = Some((iteration, self.depth));
        self.depth += 1;
        let width = before.len() / inner.scans.len();
        let mut after: Vec<Option<Vec<Bundle>>> = vec![None; inner.scans.len()];
        for index in 0..=inner.body.len() {
            for (number, (scan, before)) in inner.scans.iter().zip(before.chunks(width)).enumerate() {
                // A scan of a scan follows it at once; before the first statement come values defined outside the loop.
                let scanned = inner.scans.iter().position(|other| other.running == scan.value);
                let here = after[number].is_none()
                    && match (scanned, index.checked_sub(1).map(|i| &inner.body[i])) {
                        (Some(other), _) => after[other].is_some(),
                        (None, Some(Stmt::Let(id))) => *id == scan.value,
                        (None, Some(stmt @ (Stmt::Store { .. } | Stmt::Loop(_)))) => defines(stmt, scan.value),
                        (None, None) => !inner.body.iter().any(|s| defines(s, scan.value)),
                    };
                if here {
                    let (running, next) = match steps {
                        Steps::One => self.one_step(scan, &before[0]),
                        Steps::Group => self.group(scan, &before[0]),
                        Steps::Lane(lane, group) => self.lane_of_group(scan, before, lane, &group[number]),
                    };
                    self.values[scan.running.0 as usize] = Some(running);
                    after[number] = Some(next);
                }
            }
            if let Some(statement) = inner.body.get(index) {
                self.block(std::slice::from_ref(statement));
            }
        }
        self.leave(inner);
        after.into_iter().flat_map(|next| next.expect("verified kernels define what a scan adds")).collect()
    }

    fn one_step(&mut self, scan: &Scan, before: &Bundle) -> (Bundle, Vec<Bundle>) {
        let dtype = self.dtype(scan.value);
        let value = self.value(scan.value);
        let next = self.op(scan.op, dtype, &[before.clone(), value]);
        let next = self.accumulator(&next, dtype);
        (next.clone(), vec![next])
    }

    fn group(&mut self, scan: &Scan, before: &Bundle) -> (Bundle, Vec<Bundle>) {
        let dtype = self.dtype(scan.value);
        let value = self.value(scan.value);
        let mut own = self.vectors(&value, dtype);
        let unit = Bundle::Const(scan.op.unit(dtype).expect("verified kernels scan with ops that have a unit"));
        let units = self.vectors(&unit, dtype);
        // Lanes of a vector, of which the levels are within it; then those in which vectors take of others.
        let per_vector = (16 / dtype.size()).min(self.lanes as usize);
        let mut apart = 1;
        while apart < self.lanes as usize {
            let others: Vectors = match apart.checked_div(per_vector) {
                Some(0) | None => own.iter().map(|&x| self.lower_lanes(x, units[0], dtype, apart)).collect(),
                Some(vectors) => {
                    let last = |block: usize| block * 2 * vectors + vectors - 1;
                    let blocks = own.len() / (2 * vectors);
                    let lasts = (0..blocks).map(|block| self.last_lane(own[last(block)], dtype));
                    let lasts: Vec<Value> = lasts.collect();
                    let other = |index: usize| match index / vectors % 2 {
                        0 => units[0],
                        _ => lasts[index / (2 * vectors)],
                    };
                    (0..own.len()).map(other).collect()
                }
            };
            let next = self.op(scan.op, dtype, &[Bundle::Lanes(others), Bundle::Lanes(own)]);
            own = self.vectors(&next, dtype);
            apart *= 2;
        }
        let last = Bundle::One(self.lane(&own, self.lanes as usize - 1, dtype));
        let running = self.op(scan.op, dtype, &[before.clone(), Bundle::Lanes(own)]);
        let next = self.op(scan.op, dtype, &[before.clone(), last]);
        let next = Bundle::One(self.scalar(&next, dtype));
        (running, vec![next])
    }

    /// For each lane in the upper half of a block of `2 * apart` lanes the last one of the lower half, for the others a unit.
    fn lower_lanes(&mut self, x: Value, unit: Value, dtype: DType, apart: usize) -> Value {
        let from = |lane: usize| (lane & apart != 0).then(|| (lane & !(2 * apart - 1)) + apart - 1);
        vector::lanes_or(&mut self.b, x, unit, dtype.size(), from)
    }

    fn last_lane(&mut self, x: Value, dtype: DType) -> Value {
        let last = 16 / dtype.size() - 1;
        vector::lanes_or(&mut self.b, x, x, dtype.size(), |_| Some(last))
    }

    fn lane_of_group(&mut self, scan: &Scan, before: &[Bundle], lane: Value, group: &Bundle) -> (Bundle, Vec<Bundle>) {
        let dtype = self.dtype(scan.value);
        let value = self.value(scan.value);
        let mut own = self.scalar(&value, dtype);
        let mut after = Vec::new();
        for (level, lower) in before[1..].iter().enumerate() {
            let lower = self.scalar(lower, dtype);
            let upper = self.b.ins().band_imm_s(lane, 1 << level);
            let both = self.op(scan.op, dtype, &[Bundle::One(lower), Bundle::One(own)]);
            let both = self.scalar(&both, dtype);
            after.push(Bundle::One(self.b.ins().select(upper, lower, own)));
            own = self.b.ins().select(upper, both, own);
        }
        let running = self.op(scan.op, dtype, &[group.clone(), Bundle::One(own)]);
        let running = Bundle::One(self.scalar(&running, dtype));
        after.insert(0, running.clone());
        (running, after)
    }

    /// The iterations behind the last full group of so many lanes, one by one. Gives what the running folds have come to.
    pub(super) fn rest_with_scans(
        &mut self,
        inner: &Loop,
        groups: &[Bundle],
        lanes: u32,
        [begin, end]: [Value; 2],
    ) -> Vec<Bundle> {
        let mut first = Vec::new();
        for (scan, before) in inner.scans.iter().zip(groups) {
            let dtype = self.dtype(scan.value);
            let before = Bundle::One(self.scalar(before, dtype));
            first.extend(std::iter::repeat_n(before, 1 + lanes.ilog2() as usize));
        }
        let flat = first.iter().flat_map(values_of).collect();
        let last = self.counted_loop(begin, end, 1, flat, |e, iteration, carried| {
            let mut carried = carried;
            let before: Vec<Bundle> = first.iter().map(|like| take(&mut carried, like)).collect();
            let lane = e.b.ins().isub(iteration, begin);
            let after = e.body_with_scans(inner, iteration, &before, Steps::Lane(lane, groups));
            after.iter().flat_map(values_of).collect()
        });
        last.chunks(1 + lanes.ilog2() as usize).map(|values| Bundle::One(values[0])).collect()
    }
}

/// Is the value defined by this statement itself (a loop defines its results)?
fn defines(statement: &Stmt, value: ValueId) -> bool {
    match statement {
        Stmt::Let(id) => *id == value,
        Stmt::Store { .. } => false,
        Stmt::Loop(inner) => inner.results().any(|result| result == value),
    }
}
