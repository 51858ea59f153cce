//! Running folds: step after step in serial loops, a group of lanes at a time in vector loops, in the order of
//! `fusewire_lowering::kernel::Scan`. Lanes that are not there count as units, so the last lane always has what its group comes to.

use super::{emit::Emitter, folds::Fold};
use crate::instructions::{Emitted, Value};
use fusewire_lowering::kernel::{Loop, Stmt, ValueId};
use inkwell::values::IntValue;

impl<'c> Emitter<'_, 'c> {
    /// The body, each running value right behind the value it adds. Gives what the folds have come to.
    pub(super) fn step_with_scans(
        &mut self,
        inner: &Loop,
        folds: &[Fold],
        iteration: IntValue<'c>,
        before: &[Value<'c>],
    ) -> Emitted<Vec<Value<'c>>> {
        let (before_reductions, before_scans) = before.split_at(inner.reductions.len());
        let (folds_of_reductions, folds_of_scans) = folds.split_at(inner.reductions.len());
        self.enter(inner.var, iteration);
        let mut next: Vec<Option<Value<'c>>> = vec![None; inner.scans.len()];
        for index in 0..=inner.body.len() {
            for (number, scan) in inner.scans.iter().enumerate() {
                // A scan of a scan follows it at once; before the first statement come values defined outside the loop.
                let scanned = inner.scans.iter().position(|other| other.running == scan.value);
                let here = next[number].is_none()
                    && match (scanned, index.checked_sub(1).map(|i| &inner.body[i])) {
                        (Some(other), _) => next[other].is_some(),
                        (None, Some(statement)) => defines(statement, scan.value),
                        (None, None) => !inner.body.iter().any(|s| defines(s, scan.value)),
                    };
                if here {
                    let (fold, value) = (&folds_of_scans[number], self.value(scan.value));
                    let [running, after] = match self.vector_var == Some(inner.var) {
                        true => self.along_lanes(fold, before_scans[number], value)?,
                        false => [self.combine(fold, before_scans[number], value)?; 2],
                    };
                    self.values[scan.running.0 as usize] = Some(running);
                    next[number] = Some(after);
                }
            }
            if let Some(statement) = inner.body.get(index) {
                self.block(std::slice::from_ref(statement))?;
            }
        }
        self.leave(inner.var);
        let mut after = Vec::new();
        for ((fold, reduction), &before) in folds_of_reductions.iter().zip(&inner.reductions).zip(before_reductions) {
            let value = self.value(reduction.value);
            after.push(self.combine(fold, before, value)?);
        }
        after.extend(next.into_iter().map(|after| after.expect("verified kernels define what a scan adds")));
        Ok(after)
    }

    /// A running fold along the lanes of a group, and what it is behind them, both from what it was before in every lane.
    fn along_lanes(&mut self, fold: &Fold, before: Value<'c>, value: Value<'c>) -> Emitted<[Value<'c>; 2]> {
        let (to, lanes) = (self.to, self.lanes);
        let units = self.unit(fold)?;
        let mut own = to.splat(value, lanes)?;
        if let Some(mask) = self.mask() {
            own = to.select(mask.into(), own, units)?;
        }
        let mut apart = 1;
        while apart < lanes {
            // Where the upper half of a block finds the last lane of the lower one; a unit for that.
            let from = |lane: u32| if lane & apart != 0 { (lane & !(2 * apart - 1)) + apart - 1 } else { lanes + lane };
            let others = to.shuffle(own.into_vector_value(), Some(units.into_vector_value()), (0..lanes).map(from))?;
            own = self.combine(fold, others.into(), own)?;
            apart *= 2;
        }
        let last = to.shuffle(own.into_vector_value(), None, (0..lanes).map(|_| lanes - 1))?;
        Ok([self.combine(fold, before, own)?, self.combine(fold, before, last.into())?])
    }

    /// What running folds have come to, where it is wanted.
    pub(super) fn define_totals(&mut self, inner: &Loop, scans: &[Value<'c>]) -> Emitted<()> {
        for (scan, &value) in inner.scans.iter().zip(scans) {
            if let Some(total) = scan.total {
                let along = self.vector_var == Some(inner.var);
                self.values[total.0 as usize] = Some(match value {
                    Value::VectorValue(lanes) if along => {
                        self.to.builder.build_extract_element(lanes, self.to.index(0), "")?
                    }
                    value => value,
                });
            }
        }
        Ok(())
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
