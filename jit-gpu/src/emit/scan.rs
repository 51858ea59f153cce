//! Running folds of loops that a team shares: a thread an iteration, as many iterations at a time as there are threads. Integers
//! are folded by all of them. Floats have one order, step after step, so one thread folds them, in shared memory; all others
//! load and store.

use super::{Emitter, body::source};
use crate::schedule::WARP;
use fusewire_jit_llvm::instructions::{Emitted, Value};
use fusewire_lowering::kernel::{Loop, Scan, Stmt};
use inkwell::{
    IntPredicate,
    values::{IntValue, PointerValue},
};

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
        i.counted_loop(begin, end, i.index(self.width.into()), &units, |first, carried| {
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
                    carried[number] = self.run_together(scan, number as u32, carried[number], active, count)?;
                }
            }
            self.when(active, |e| e.block(&inner.body[after_scans..]))?;
            Ok(carried)
        })?;
        Ok(())
    }

    /// A running fold over the iterations of the threads, of which some have none; what it has come to in the end.
    fn run_together(
        &mut self,
        scan: &Scan,
        number: u32,
        carried: Value<'c>,
        active: Value<'c>,
        count: IntValue<'c>,
    ) -> Emitted<Value<'c>> {
        let dtype = self.dtype(scan.value);
        let place = self.shared(self.schedule.scan_place + number * self.width * 8)?;
        let (running, carried) = match dtype.is_float() {
            true => self.one_after_another(scan, place, carried, count)?,
            false => self.all_at_once(scan, place, carried, active)?,
        };
        self.values[scan.running.0 as usize] = Some(running);
        Ok(carried)
    }

    /// In order, by the first thread.
    fn one_after_another(
        &mut self,
        scan: &Scan,
        place: PointerValue<'c>,
        carried: Value<'c>,
        count: IntValue<'c>,
    ) -> Emitted<(Value<'c>, Value<'c>)> {
        let (i, dtype) = (self.i, self.dtype(scan.value));
        let b = &i.builder;
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
        Ok((self.load(dtype, own)?, carried))
    }

    /// In any order, by all threads: in each warp, then between them.
    fn all_at_once(
        &mut self,
        scan: &Scan,
        place: PointerValue<'c>,
        carried: Value<'c>,
        active: Value<'c>,
    ) -> Emitted<(Value<'c>, Value<'c>)> {
        let (i, dtype) = (self.i, self.dtype(scan.value));
        let b = &i.builder;
        let op = |x: Value<'c>, y: Value<'c>| i.op(scan.op, dtype, &[x, y]);
        let warp = self.width.min(WARP);
        let in_warp = b.build_and(self.thread, i.index(i64::from(warp) - 1), "")?;
        let take = |value: Value<'c>, from: IntValue<'c>| {
            self.in_words(value, dtype, |word| self.machine.take(i, word, from, warp))
        };
        let mut sum = i.select(active, self.value(scan.value), self.scan_unit(scan))?;
        let mut distance = 1;
        while distance < warp {
            let from = b.build_int_sub(in_warp, i.index(distance.into()), "")?;
            let other = take(sum, b.build_and(from, i.index(i64::from(warp) - 1), "")?)?;
            let there = i.compare(IntPredicate::SGE, from.into(), i.index(0).into())?;
            sum = i.select(there, op(other, sum)?, sum)?;
            distance *= 2;
        }
        if self.width == warp {
            let total = take(sum, i.index(i64::from(warp) - 1))?;
            return Ok((op(carried, sum)?, op(carried, total)?));
        }
        // What was there before is still being read.
        self.wait()?;
        self.store(dtype, i.element(dtype, place, self.thread)?, sum)?;
        self.wait()?;
        let (mut before, mut total) = (carried, carried);
        for other in 0..self.width / warp {
            let (first, last) = (i.index((other * warp).into()), i.index((other * warp + warp - 1).into()));
            total = op(total, self.load(dtype, i.element(dtype, place, last)?)?)?;
            let behind = b.build_int_sub(self.thread, first, "")?;
            let is_before = i.compare(IntPredicate::SGE, behind.into(), i.index(warp.into()).into())?;
            before = i.select(is_before, total, before)?;
        }
        Ok((op(before, sum)?, total))
    }

    fn scan_unit(&self, scan: &Scan) -> Value<'c> {
        self.i.constant(super::fold::op_unit(scan.op, self.dtype(scan.value)))
    }
}
