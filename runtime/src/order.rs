//! The order of elements as that of unsigned integers: an element's *key* has its bits, changed so that keys ascend where
//! elements follow each other. Where NaN is to come last it need not: its keys lie beyond those of the infinities, on either
//! side.

use fusewire_ir::dtype::{DType, Kind};
use std::ops::{Add, BitAnd, BitXor, Not, RangeInclusive, Shl, Shr, Sub};

/// The bits of an element, or its key.
pub trait Word:
    Copy
    + Ord
    + Send
    + Sync
    + BitXor<Output = Self>
    + BitAnd<Output = Self>
    + Not<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// All bits.
    const MAX: Self;
    /// How many bits it has.
    const BITS: u32;
    /// With zeros above.
    fn widened(self) -> u64;
    /// The lower bits.
    fn narrowed(bits: u64) -> Self;
}

macro_rules! words {
    ($($word:ident)*) => {$(
        impl Word for $word {
            const ZERO: $word = 0;
            const ONE: $word = 1;
            const MAX: $word = $word::MAX;
            const BITS: u32 = $word::BITS;
            fn widened(self) -> u64 {
                self.into()
            }
            fn narrowed(bits: u64) -> $word {
                bits as $word
            }
        }
    )*};
}
words!(u8 u16 u32 u64);

/// Bits to be changed in a word, by whether its highest bit is set.
#[derive(Clone, Copy, Debug)]
pub struct Flips<W> {
    /// Where it is.
    pub set: W,
    /// Where it is not.
    pub clear: W,
}

impl<W: Word> Flips<W> {
    /// The word with these bits changed.
    #[inline(always)]
    pub fn apply(self, word: W) -> W {
        word ^ if word >> (W::BITS - 1) == W::ZERO { self.clear } else { self.set }
    }
}

/// How the elements of a dtype are ordered.
#[derive(Clone, Copy, Debug)]
pub struct Order<W> {
    /// From elements to keys.
    pub keys: Flips<W>,
    /// Back.
    pub elements: Flips<W>,
    /// The keys of the first and the last number: the rest is NaN.
    numbers: (W, W),
    /// The keys of both zeros, the first first, where there are two.
    zeros: Option<(W, W)>,
}

impl<W: Word> Order<W> {
    /// `W` has the size of the dtype's elements.
    pub fn new(dtype: DType, descending: bool) -> Order<W> {
        let sign = W::ONE << (W::BITS - 1);
        let (set, clear) = match dtype.kind() {
            Kind::Bool | Kind::Unsigned => (W::ZERO, W::ZERO),
            Kind::Signed => (sign, sign),
            Kind::Float => (W::MAX, sign),
            Kind::Complex => unreachable!("complex numbers have no order"),
        };
        let keys = if descending { Flips { set: !set, clear: !clear } } else { Flips { set, clear } };
        // A key's highest bit says which of the two made it.
        let elements =
            if (sign ^ keys.set) & sign != W::ZERO { keys } else { Flips { set: keys.clear, clear: keys.set } };
        let ordered = |a: W, b: W| {
            let (a, b) = (keys.apply(a), keys.apply(b));
            if a < b { (a, b) } else { (b, a) }
        };
        let is_float = dtype.kind() == Kind::Float;
        let infinity = W::narrowed(match dtype {
            DType::F16 => 0x7c00,
            DType::BF16 => 0x7f80,
            DType::F32 => f32::INFINITY.to_bits().into(),
            _ => f64::INFINITY.to_bits(),
        });
        Order {
            keys,
            elements,
            numbers: if is_float { ordered(infinity, infinity ^ sign) } else { (W::ZERO, W::MAX) },
            zeros: is_float.then(|| ordered(W::ZERO, sign)),
        }
    }

    /// An element's key.
    pub fn key(&self, element: W) -> W {
        self.keys.apply(element)
    }

    /// The keys of what is no NaN.
    pub fn numbers(&self) -> RangeInclusive<W> {
        self.numbers.0..=self.numbers.1
    }

    /// The keys of both zeros, the first first, where there are two.
    pub fn zeros(&self) -> Option<(W, W)> {
        self.zeros
    }

    /// As [`Order::key`], but equal for equal elements, and just behind the last number for NaN.
    pub fn rank(&self, element: W) -> W {
        let key = self.key(element);
        match self.zeros {
            Some((first, second)) if key == second => first,
            Some(_) if key < self.numbers.0 || key > self.numbers.1 => self.numbers.1 + W::ONE,
            _ => key,
        }
    }
}
