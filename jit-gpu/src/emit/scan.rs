//! Running folds of loops that a team shares: a thread an iteration, as many iterations at a time as there are threads. Vector
//! loops are folded by all of them, group of lanes by group, and so are integers, whose order shows in no bit. Floats in serial
//! loops have one order, step after step, so one thread folds them, in shared memory; all others load and store.

use super::{Emitter, body::source};
use crate::schedule::WARP;
use fusewire_ir::dtype::DType;
use fusewire_jit_llvm::instructions::{Emitted, Value};
use fusewire_lowering::kernel::{Loop, LoopKind, Scan, Stmt};
use inkwell::{IntPredicate, values::IntValue};

/// Elements that are loaded at a time to be folded one after another.
const AHEAD: u32 = 8;

impl<'c> Emitter<'_, 'c> {
    /// All iterations of a loop with running folds.
    pub(super) fn dealt_scan(&mut self, inner: &Loop) -> Emitted<()> {
        let i = self.i;
        let b = &i.builder;
        let (begin, end) = self.bounds(inner.range)?;
        let units: Vec<Value<'c>> = inner.scans.iter().map(|scan| self.scan_unit(scan)).collect();
        let sources: Vec<Option<usize>> = inner.scans.iter().map(|scan| source(inner, scan.value)).collect();
        let after_scans = sources.iter().flatten().max().map_or(0, |last| last + 1);
        let carried = i.counted_loop(begin, end, i.index(self.width.into()), &units, |first, carried| {
            let own = b.build_int_add(first, self.thread, "")?;
            let active = i.compare(IntPredicate::SLT, own.into(), end.into())?;
            // Who has no iteration computes the last one, too, and stores nothing.
            let last = b.build_int_sub(end, i.index(1), "")?;
            self.set_var(inner.var, i.intrinsic("smin", &[own.into(), last.into()])?.into_int_value());
            let count = b.build_int_sub(end, first, "")?;
            let mut carried = carried.to_vec();
            for place in std::iter::once(None).chain((0..after_scans).map(Some)) {
                if let Some(number) = place {
                    let statement = &inner.body[number..=number];
                    match statement {
                        [Stmt::Store { .. }] => self.when(active, |e| e.block(statement))?,
                        _ => self.block(statement)?,
                    }
                }
                for (number, scan) in inner.scans.iter().enumerate().filter(|&(number, _)| sources[number] == place) {
                    carried[number] = match self.order(inner, scan) {
                        Some(group) => self.all_at_once(scan, number as u32, carried[number], active, group)?,
                        None => self.one_after_another(scan, number as u32, carried[number], count)?,
                    };
                }
            }
            self.when(active, |e| e.block(&inner.body[after_scans..]))?;
            Ok(carried)
        })?;
        for (number, scan) in inner.scans.iter().enumerate() {
            let Some(total) = scan.total else { continue };
            self.values[total.0 as usize] = Some(match self.order(inner, scan) {
                Some(_) => carried[number],
                None => self.told_by_the_first(number as u32, self.dtype(total), carried[number])?,
            });
        }
        Ok(())
    }

    /// How many threads fold together before they are put behind each other; none: they go one after another.
    fn order(&self, inner: &Loop, scan: &Scan) -> Option<u32> {
        match inner.kind {
            LoopKind::Vector { lanes } => Some(lanes.into()),
            LoopKind::Serial if self.dtype(scan.value).is_float() => None,
            LoopKind::Serial => Some(WARP),
        }
    }

    /// What only the first thread knows.
    fn told_by_the_first(&mut self, number: u32, dtype: DType, known: Value<'c>) -> Emitted<Value<'c>> {
        let place = self.shared(self.schedule.scan_place + number * self.width * 8)?;
        self.wait()?;
        let first = self.thread_below(1)?;
        self.when(first, |e| e.store(dtype, place, known))?;
        self.wait()?;
        let told = self.load(dtype, place)?;
        self.wait()?;
        Ok(told)
    }

    /// In order, by the first thread.
    fn one_after_another(
        &mut self,
        scan: &Scan,
        number: u32,
        carried: Value<'c>,
        count: IntValue<'c>,
    ) -> Emitted<Value<'c>> {
        let (i, dtype) = (self.i, self.dtype(scan.value));
        let b = &i.builder;
        let place = self.shared(self.schedule.scan_place + number * self.width * 8)?;
        let own = i.element(dtype, place, self.thread)?;
        self.store(dtype, own, self.value(scan.value))?;
        self.wait()?;
        let count = i.intrinsic("smin", &[count.into(), i.index(self.width.into()).into()])?.into_int_value();
        let this = &*self;
        let carried = i.rarely(self.thread_below(1)?, carried, || {
            // Several at a time, so that loads do not wait for sums.
            let some = |first: IntValue<'c>, elements: u32, sum: Value<'c>| -> Emitted<Value<'c>> {
                let at = |number: u32| i.element(dtype, place, b.build_int_add(first, i.index(number.into()), "")?);
                let values = (0..elements).map(|number| this.load(dtype, at(number)?)).collect::<Emitted<Vec<_>>>()?;
                let mut sums = vec![sum];
                for value in values {
                    sums.push(i.op(scan.op, dtype, &[sums[sums.len() - 1], value])?);
                }
                for (number, &sum) in (0..).zip(&sums[1..]) {
                    this.store(dtype, at(number)?, sum)?;
                }
                Ok(sums[sums.len() - 1])
            };
            let whole = b.build_and(count, i.index(-i64::from(AHEAD)), "")?;
            let sum = i.counted_loop(i.index(0), whole, i.index(AHEAD.into()), &[carried], |first, sum| {
                Ok(vec![some(first, AHEAD, sum[0])?])
            })?;
            let sum = i.counted_loop(whole, count, i.index(1), &sum, |first, sum| Ok(vec![some(first, 1, sum[0])?]))?;
            Ok(sum[0])
        })?;
        self.wait()?;
        self.values[scan.running.0 as usize] = Some(self.load(dtype, own)?);
        Ok(carried)
    }

    /// By all threads: in each group of so many, then between them. What the fold has come to in the end is known to all.
    fn all_at_once(
        &mut self,
        scan: &Scan,
        number: u32,
        carried: Value<'c>,
        active: Value<'c>,
        group: u32,
    ) -> Emitted<Value<'c>> {
        let (i, dtype) = (self.i, self.dtype(scan.value));
        let b = &i.builder;
        let op = |x: Value<'c>, y: Value<'c>| i.op(scan.op, dtype, &[x, y]);
        let warp = self.width.min(WARP);
        let group = group.min(warp);
        let in_warp = b.build_and(self.thread, i.index(i64::from(warp) - 1), "")?;
        // The thread that has so many behind the first of this one's block.
        let take = |value: Value<'c>, block: u32, behind: u32| {
            let first = b.build_and(in_warp, i.index(-i64::from(block)), "")?;
            let from = b.build_int_add(first, i.index(behind.into()), "")?;
            self.in_words(value, dtype, |word| self.machine.take(i, word, from, warp))
        };
        let mut sum = i.select(active, self.value(scan.value), self.scan_unit(scan))?;
        let mut apart = 1;
        while apart < group {
            let lower = take(sum, 2 * apart, apart - 1)?;
            let upper = b.build_and(in_warp, i.index(apart.into()), "")?;
            let upper = i.compare(IntPredicate::NE, upper.into(), i.index(0).into())?;
            sum = i.select(upper, op(lower, sum)?, sum)?;
            apart *= 2;
        }
        if self.width == group {
            let total = take(sum, group, group - 1)?;
            self.values[scan.running.0 as usize] = Some(op(carried, sum)?);
            return op(carried, total);
        }
        let place = self.shared(self.schedule.scan_place + number * self.width * 8)?;
        // What was there before is still being read.
        self.wait()?;
        self.store(dtype, i.element(dtype, place, self.thread)?, sum)?;
        self.wait()?;
        let (mut before, mut total) = (carried, carried);
        for other in 0..self.width / group {
            let (first, last) = (i.index((other * group).into()), i.index((other * group + group - 1).into()));
            total = op(total, self.load(dtype, i.element(dtype, place, last)?)?)?;
            let behind = b.build_int_sub(self.thread, first, "")?;
            let is_before = i.compare(IntPredicate::SGE, behind.into(), i.index(group.into()).into())?;
            before = i.select(is_before, total, before)?;
        }
        self.values[scan.running.0 as usize] = Some(op(before, sum)?);
        Ok(total)
    }

    fn scan_unit(&self, scan: &Scan) -> Value<'c> {
        self.i.constant(super::fold::op_unit(scan.op, self.dtype(scan.value)))
    }
}
