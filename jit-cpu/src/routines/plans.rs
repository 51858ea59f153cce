//! Plans of transforms: the last ones used are kept, since for short rows planning takes longer than transforming. How
//! transforms are run is in `fourier.rs`.
//!
//! Invariant: what is kept of each kind has at most `ROOM` elements together.

use crate::product::check_workspace;
use fusewire_runtime::error::Error;
use parking_lot::Mutex;
use realfft::{ComplexToReal, FftNum, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftDirection, FftPlanner, num_complex::Complex};
use std::sync::Arc;

/// The lengths of all plans kept of one kind make up at most so many elements, a few megabytes.
const ROOM: usize = 1 << 17;
/// Elements that the library takes for each of a plan: most for lengths that are primes.
const FACTORS: usize = 12;

/// Numbers that are transformed.
pub(super) trait Number: FftNum {
    /// The plans kept.
    fn plans() -> &'static Plans<Self>;
}

impl Number for f32 {
    fn plans() -> &'static Plans<f32> {
        static PLANS: Plans<f32> = Plans::new();
        &PLANS
    }
}

impl Number for f64 {
    fn plans() -> &'static Plans<f64> {
        static PLANS: Plans<f64> = Plans::new();
        &PLANS
    }
}

/// Plans by length, the last one used first.
type Kept<P> = Mutex<Vec<(usize, Arc<P>)>>;

/// The plans of one type of numbers.
pub(super) struct Plans<T: FftNum> {
    forward: Kept<dyn Fft<T>>,
    inverse: Kept<dyn Fft<T>>,
    of_reals: Kept<dyn RealToComplex<T>>,
    to_real: Kept<dyn ComplexToReal<T>>,
}

impl<T: FftNum> Plans<T> {
    const fn new() -> Plans<T> {
        Plans {
            forward: Mutex::new(Vec::new()),
            inverse: Mutex::new(Vec::new()),
            of_reals: Mutex::new(Vec::new()),
            to_real: Mutex::new(Vec::new()),
        }
    }

    /// The plan of a transform of complex numbers.
    pub(super) fn complex(&self, length: usize, direction: FftDirection) -> Result<Arc<dyn Fft<T>>, Error> {
        let kept = match direction {
            FftDirection::Forward => &self.forward,
            FftDirection::Inverse => &self.inverse,
        };
        plan::<T, _>(kept, length, || FftPlanner::new().plan_fft(length, direction))
    }

    /// The plan of a transform of real numbers to half of a spectrum.
    pub(super) fn of_reals(&self, length: usize) -> Result<Arc<dyn RealToComplex<T>>, Error> {
        plan::<T, _>(&self.of_reals, length, || RealFftPlanner::new().plan_fft_forward(length))
    }

    /// The plan of the way back.
    pub(super) fn to_real(&self, length: usize) -> Result<Arc<dyn ComplexToReal<T>>, Error> {
        plan::<T, _>(&self.to_real, length, || RealFftPlanner::new().plan_fft_inverse(length))
    }
}

/// The plan that is kept, or a new one. Who finds the lock taken does without: in a child made by fork nobody might ever
/// release it.
fn plan<T, P: ?Sized>(kept: &Kept<P>, length: usize, make: impl FnOnce() -> Arc<P>) -> Result<Arc<P>, Error> {
    if let Some(mut plans) = kept.try_lock()
        && let Some(place) = plans.iter().position(|(known, _)| *known == length)
    {
        plans[..=place].rotate_right(1);
        return Ok(Arc::clone(&plans[0].1));
    }
    // The library ends the process where there is no memory.
    check_workspace(length.saturating_mul(FACTORS * size_of::<Complex<T>>()))?;
    let new = make();
    if length <= ROOM
        && let Some(mut plans) = kept.try_lock()
    {
        plans.insert(0, (length, Arc::clone(&new)));
        while plans.iter().map(|(length, _)| length).sum::<usize>() > ROOM {
            plans.pop();
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_kept_within_the_room_and_the_last_used_longest() {
        let plans = Plans::<f64>::new();
        let first = plans.complex(64, FftDirection::Forward).unwrap();
        assert!(Arc::ptr_eq(&first, &plans.complex(64, FftDirection::Forward).unwrap()));
        assert!(!Arc::ptr_eq(&first, &plans.complex(64, FftDirection::Inverse).unwrap()));
        for length in (0..200).map(|i| 1000 + i) {
            plans.complex(length, FftDirection::Forward).unwrap();
            assert!(Arc::ptr_eq(&first, &plans.complex(64, FftDirection::Forward).unwrap()));
        }
        let total: usize = plans.forward.lock().iter().map(|(length, _)| length).sum();
        assert!(total <= ROOM, "{total}");
        plans.complex(ROOM + 1, FftDirection::Forward).unwrap();
        assert!(plans.forward.lock().iter().all(|(length, _)| *length <= ROOM));
    }
}
