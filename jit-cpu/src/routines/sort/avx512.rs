//! The loops of `kernels.rs` for AVX-512.

use super::kernels::{self, Division, Lanes, Machine};
use fusewire_runtime::order::Flips;
use std::{arch::x86_64::*, sync::atomic::AtomicBool};

/// Keys of 16 bits.
#[derive(Clone, Copy)]
pub(super) struct Short(__m512i);
/// Keys of 32 bits.
#[derive(Clone, Copy)]
pub(super) struct Narrow(__m512i);
/// Keys of 64 bits.
#[derive(Clone, Copy)]
pub(super) struct Wide(__m512i);

/// The lower `count` bits.
#[inline(always)]
fn first(count: usize) -> u32 {
    ((1u64 << count) - 1) as u32
}

/// The lanes whose number has the bit.
#[inline(always)]
fn with(bit: usize) -> u32 {
    match bit {
        1 => 0xaaaa_aaaa,
        2 => 0xcccc_cccc,
        4 => 0xf0f0_f0f0,
        8 => 0xff00_ff00,
        _ => 0xffff_0000,
    }
}

macro_rules! lanes {
    ($vector:ident, [$($feature:tt)*], $features:literal, $word:ident, $signed:ident, $mask:ident, $count:literal, $numbers:expr, $splat:ident, $load:ident,
     $load_part:ident, $store:ident, $store_part:ident, $min:ident, $max:ident, $max_part:ident, $permute:ident, $less:ident,
     $is_set:ident, $blend:ident, $xor:ident, $pack:ident, $expand:ident) => {
        impl Machine for $vector {
            fn is_there() -> bool {
                $(is_x86_feature_detected!($feature))&&*
            }
            #[target_feature(enable = $features)]
            unsafe fn divide(keys: &mut [$word], pivot: $word, stop: &AtomicBool) -> Division<$word> {
                // SAFETY: as the caller promises.
                unsafe { kernels::divide::<$vector>(keys, pivot, stop) }
            }
            #[target_feature(enable = $features)]
            unsafe fn count_below(elements: &[$word], flips: Flips<$word>, pivot: $word) -> usize {
                elements.iter().filter(|&&element| flips.apply(element) < pivot).count()
            }
            #[target_feature(enable = $features)]
            unsafe fn divide_elements(
                elements: &[$word],
                flips: Flips<$word>,
                pivot: $word,
                below: &mut [$word],
                above: &mut [$word],
            ) {
                // SAFETY: as the caller promises.
                unsafe { kernels::divide_elements::<$vector>(elements, flips, pivot, below, above) }
            }
            #[target_feature(enable = $features)]
            unsafe fn sort_few(keys: &mut [$word], flips: Flips<$word>) {
                // SAFETY: as the caller promises.
                unsafe { kernels::sort_few::<$vector>(keys, flips) }
            }
            #[target_feature(enable = $features)]
            unsafe fn sample(keys: &[$word]) -> ($word, $word) {
                // SAFETY: as the caller promises.
                unsafe { kernels::sample::<$vector>(keys) }
            }
        }

        impl Lanes for $vector {
            type Word = $word;
            const COUNT: usize = $count;

            #[inline(always)]
            unsafe fn splat(word: $word) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $vector($splat(word as $signed))
                }
            }
            #[inline(always)]
            unsafe fn load(from: *const $word) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $vector($load(from.cast()))
                }
            }
            #[inline(always)]
            unsafe fn load_part(from: *const $word, count: usize, rest: $vector) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $vector($load_part(rest.0, first(count) as $mask, from.cast()))
                }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $word) {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $store(to.cast(), self.0);
                }
            }
            #[inline(always)]
            unsafe fn store_part(self, to: *mut $word, count: usize) {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $store_part(to.cast(), first(count) as $mask, self.0);
                }
            }
            #[inline(always)]
            unsafe fn least(self, other: $vector) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $vector($min(self.0, other.0))
                }
            }
            #[inline(always)]
            unsafe fn greatest(self, other: $vector) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $vector($max(self.0, other.0))
                }
            }
            #[inline(always)]
            unsafe fn exchanged(self, distance: usize) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    let from = $xor($numbers, $splat(distance as $signed));
                    $vector($permute(from, self.0))
                }
            }
            #[inline(always)]
            unsafe fn ordered(self, other: $vector, bit: usize) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $vector($max_part($min(self.0, other.0), with(bit) as $mask, self.0, other.0))
                }
            }
            #[inline(always)]
            unsafe fn with_lanes(self, other: $vector, bit: usize) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe { $vector($blend(with(bit) as $mask, self.0, other.0)) }
            }
            #[inline(always)]
            unsafe fn flipped(self, flips: Flips<$word>) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    let set = $is_set(self.0, $splat($signed::MIN));
                    $vector($xor(self.0, $blend(set, $splat(flips.clear as $signed), $splat(flips.set as $signed))))
                }
            }
            #[inline(always)]
            unsafe fn below(self, pivot: $vector) -> u32 {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $less(self.0, pivot.0).into()
                }
            }
            #[inline(always)]
            unsafe fn packed(self, lanes: u32) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    $vector($pack(lanes as $mask, self.0))
                }
            }
            #[inline(always)]
            unsafe fn packed_at_ends(self, first_lanes: u32, last_lanes: u32, count: usize) -> $vector {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    let last = $pack(last_lanes as $mask, self.0);
                    $vector($expand($pack(first_lanes as $mask, self.0), !first($count - count) as $mask, last))
                }
            }
            #[inline(always)]
            unsafe fn prefetch(from: *const $word) {
                // SAFETY: as for all methods of the trait.
                unsafe {
                    _mm_prefetch::<_MM_HINT_T0>(from.cast());
                }
            }
        }
    };
}

lanes!(
    Narrow, ["avx512f" "popcnt" "bmi2"], "avx512f,popcnt,bmi2", u32, i32, __mmask16, 16, _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32,
    _mm512_loadu_epi32, _mm512_mask_loadu_epi32, _mm512_storeu_epi32, _mm512_mask_storeu_epi32, _mm512_min_epu32,
    _mm512_max_epu32, _mm512_mask_max_epu32, _mm512_permutexvar_epi32, _mm512_cmplt_epu32_mask, _mm512_test_epi32_mask,
    _mm512_mask_blend_epi32, _mm512_xor_epi32, _mm512_maskz_compress_epi32, _mm512_mask_expand_epi32
);
lanes!(
    Wide, ["avx512f" "popcnt" "bmi2"], "avx512f,popcnt,bmi2", u64, i64, __mmask8, 8, _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_set1_epi64, _mm512_loadu_epi64,
    _mm512_mask_loadu_epi64, _mm512_storeu_epi64, _mm512_mask_storeu_epi64, _mm512_min_epu64, _mm512_max_epu64,
    _mm512_mask_max_epu64, _mm512_permutexvar_epi64, _mm512_cmplt_epu64_mask, _mm512_test_epi64_mask,
    _mm512_mask_blend_epi64, _mm512_xor_epi64, _mm512_maskz_compress_epi64, _mm512_mask_expand_epi64
);
lanes!(
    Short, ["avx512f" "avx512bw" "avx512vbmi2" "popcnt" "bmi2"], "avx512f,avx512bw,avx512vbmi2,popcnt,bmi2", u16, i16,
    __mmask32, 32,
    _mm512_set_epi16(
        31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0
    ),
    _mm512_set1_epi16, _mm512_loadu_epi16, _mm512_mask_loadu_epi16, _mm512_storeu_epi16, _mm512_mask_storeu_epi16,
    _mm512_min_epu16, _mm512_max_epu16, _mm512_mask_max_epu16, _mm512_permutexvar_epi16, _mm512_cmplt_epu16_mask,
    _mm512_test_epi16_mask, _mm512_mask_blend_epi16, _mm512_xor_si512, _mm512_maskz_compress_epi16,
    _mm512_mask_expand_epi16
);
