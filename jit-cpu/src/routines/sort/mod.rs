//! Sorting along the last axis. Elements become unsigned integers in the same order ([`fusewire_runtime::order`]), and those are sorted in the
//! result's memory: no other is taken. Rows go in parallel, long rows each with all threads.
//!
//! Both orders are stable to the bit: zeros of both signs, which are equal, and NaN, which comes last, stay in their order.

mod argsort;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod counting;
#[cfg(target_arch = "x86_64")]
mod kernels;
mod quick;
mod rows;

pub(super) use argsort::argsort;

use crate::threads::Threads;
use fusewire_runtime::{
    backend::LibraryCall,
    error::Error,
    order::{Order, Word},
};
use rows::{Row, Rows};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Sorts values.
pub(super) fn sort(threads: &Threads, call: &LibraryCall<'_>, descending: bool) -> Result<(), Error> {
    match call.operands[0].dtype.size() {
        1 => sort_words::<u8>(threads, call, descending),
        2 => sort_words::<u16>(threads, call, descending),
        4 => sort_words::<u32>(threads, call, descending),
        _ => sort_words::<u64>(threads, call, descending),
    }
}

/// A word, and how many of them are sorted.
trait Sorted: Word {
    /// Sorts keys, and makes elements of them. `shared` is within a pool of threads. Told to stop, it leaves anything.
    fn sort_keys(keys: &mut [Self], order: &Order<Self>, shared: bool, stop: &AtomicBool);

    /// Writes elements in the order of their keys, within a pool of threads.
    fn sort_long(elements: &[Self], to: &mut [Self], order: &Order<Self>, stop: &AtomicBool);
}

fn sort_words<W: Sorted>(threads: &Threads, call: &LibraryCall<'_>, descending: bool) -> Result<(), Error> {
    let order = Order::<W>::new(call.operands[0].dtype, descending);
    let rows = Rows::new(call);
    rows.each_block(threads, call, &|numbers, long, stop| {
        let dense = rows.row::<W>(numbers.start).dense().filter(|_| long);
        if dense.is_none() {
            // SAFETY: the result's elements are words of this size, and each block is given once.
            unsafe { rows.write_keys(numbers.clone(), &order) };
        }
        for number in numbers {
            // SAFETY: as above.
            let to = unsafe { rows.result::<W>(number) };
            match dense {
                Some(elements) => W::sort_long(elements, to, &order, stop),
                None => W::sort_keys(to, &order, long, stop),
            }
            if !stop.load(Relaxed) {
                settle(&|| rows.row(number), to, &order);
            }
        }
    })
}

/// Brings what has no order of its own, and stands where its keys belong, to where it belongs: NaN behind the numbers, and
/// as it comes in the operand, like zeros of both signs.
fn settle<W: Word>(from: &dyn Fn() -> Row<W>, to: &mut [W], order: &Order<W>) {
    let Some((first_zero, second_zero)) = order.zeros() else { return };
    let (first, last) = order.numbers().into_inner();
    let ends = to.first().zip(to.last());
    let nans = ends.is_some_and(|(least, greatest)| order.key(*least) < first || order.key(*greatest) > last);
    let numbers = if nans { bring_nans_behind(from, to, order) } else { to.len() };
    let numbers = &mut to[..numbers];
    let start = numbers.partition_point(|&e| order.key(e) < first_zero);
    if numbers.get(start).is_some_and(|&e| order.key(e) == first_zero) {
        let count = numbers[start..].partition_point(|&e| order.key(e) <= second_zero);
        if order.key(numbers[start + count - 1]) == second_zero {
            let zeros = from().elements().filter(|&e| [first_zero, second_zero].contains(&order.key(e)));
            numbers[start..start + count].iter_mut().zip(zeros).for_each(|(to, zero)| *to = zero);
        }
    }
}

/// Returns how many numbers there are.
fn bring_nans_behind<W: Word>(from: &dyn Fn() -> Row<W>, to: &mut [W], order: &Order<W>) -> usize {
    let (first, last) = order.numbers().into_inner();
    let numbers = to.partition_point(|&e| order.key(e) < first)..to.partition_point(|&e| order.key(e) <= last);
    let count = numbers.len();
    let mut nans = to[..numbers.start].iter().chain(&to[numbers.end..]).copied();
    let one = nans.next().filter(|&one| nans.all(|other| other == one));
    to.copy_within(numbers, 0);
    match one {
        Some(nan) => to[count..].fill(nan),
        None => {
            let unordered = from().elements().filter(|&e| !order.numbers().contains(&order.key(e)));
            to[count..].iter_mut().zip(unordered).for_each(|(to, nan)| *to = nan);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use fusewire_ir::dtype::DType;

    /// Words as they make trouble: at random, in order, backwards, few different ones, one, and the extremes.
    fn patterns<W: Word>(length: usize) -> Vec<Vec<W>> {
        let mut state = 88_172_645_463_325_252u64 ^ length as u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let words: Vec<W> = (0..length).map(|_| W::narrowed(random() >> 5)).collect();
        let mut ascending = words.clone();
        ascending.sort_unstable();
        let descending = ascending.iter().rev().copied().collect();
        let few = (0..length).map(|_| W::narrowed(random() % 3)).collect();
        let one = vec![W::MAX; length];
        let extremes = (0..length).map(|_| if random() % 2 == 0 { W::MAX } else { W::ZERO }).collect();
        let pipe = (0..length).map(|i| W::narrowed(i.min(length - i) as u64)).collect();
        vec![words, ascending, descending, few, one, extremes, pipe]
    }

    fn sorts<W: Sorted + std::fmt::Debug>(dtype: DType, sort: impl Fn(&[W], &Order<W>) -> Vec<W>, lengths: &[usize]) {
        for &length in lengths {
            for elements in patterns::<W>(length) {
                for descending in [false, true] {
                    let order = Order::<W>::new(dtype, descending);
                    let mut expected = elements.clone();
                    expected.sort_by_key(|&element| order.key(element));
                    assert!(sort(&elements, &order) == expected, "{length} of {dtype:?}, descending: {descending}");
                }
            }
        }
    }

    fn sorts_keys_and_elements<W: Sorted + std::fmt::Debug>(dtype: DType) {
        let never = AtomicBool::new(false);
        let keys = |elements: &[W], order: &Order<W>| {
            let mut keys: Vec<W> = elements.iter().map(|&element| order.key(element)).collect();
            W::sort_keys(&mut keys, order, false, &never);
            keys
        };
        let long = |elements: &[W], order: &Order<W>| {
            let mut to = elements.to_vec();
            W::sort_long(elements, &mut to, order, &never);
            to
        };
        let short: Vec<usize> = (0..300).chain([511, 512, 513, 777, 1024, 4000, 9999]).collect();
        sorts(dtype, keys, &short);
        sorts(dtype, long, &[1, 600, 40_000, 300_001]);
    }

    #[test]
    fn words_of_any_size_are_sorted() {
        sorts_keys_and_elements::<u8>(DType::I8);
        sorts_keys_and_elements::<u16>(DType::I16);
        sorts_keys_and_elements::<u16>(DType::U16);
        sorts_keys_and_elements::<u32>(DType::F32);
        sorts_keys_and_elements::<u64>(DType::I64);
        sorts_keys_and_elements::<u64>(DType::F64);
    }

    #[test]
    fn machines_without_vectors_sort_too() {
        let plainly = |elements: &[u64], order: &Order<u64>| {
            let mut keys: Vec<u64> = elements.iter().map(|&element| order.key(element)).collect();
            quick::sort_plainly(&mut keys, order, elements.len() > 1000);
            keys
        };
        sorts(DType::F64, plainly, &[0, 1, 2, 100, 5000]);
    }

    #[test]
    fn ranks_are_equal_for_equal_elements_and_greatest_for_nan() {
        let ascending = [f64::NEG_INFINITY, -1.5, -5e-324, -0.0, 5e-324, 2.0, f64::INFINITY, f64::NAN];
        for descending in [false, true] {
            let order = Order::<u64>::new(DType::F64, descending);
            let rank = |value: f64| order.rank(value.to_bits());
            let numbers = ascending[..7].windows(2);
            assert!({ numbers }.all(|pair| (rank(pair[0]) < rank(pair[1])) != descending));
            assert_eq!(rank(0.0), rank(-0.0));
            assert!(ascending[..7].iter().all(|&number| rank(number) < rank(f64::NAN)));
            assert_eq!(rank(f64::NAN), rank(-f64::NAN));
            for value in ascending {
                assert_eq!(order.elements.apply(order.key(value.to_bits())), value.to_bits());
            }
        }
    }

    #[test]
    fn halves_have_their_own_infinities() {
        for (dtype, infinity) in [(DType::F16, 0x7c00u16), (DType::BF16, 0x7f80)] {
            for descending in [false, true] {
                let order = Order::<u16>::new(dtype, descending);
                assert!(order.numbers().contains(&order.key(infinity)));
                assert!(!order.numbers().contains(&order.key(infinity + 1)));
                assert!(order.rank(infinity | 1 << 15) < order.rank(infinity + 1));
            }
        }
    }
}
