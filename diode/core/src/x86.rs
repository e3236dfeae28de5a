//! x86-64: one block at a time by AES-NI and PCLMULQDQ, two by VAES and VPCLMULQDQ.

use crate::machine::Machine;
use std::arch::x86_64::*;

/// Needs `Feature::Aes`.
pub struct AesNi;

/// Needs `Feature::Vaes`.
pub struct Vaes;

const HALVES_SWAPPED: i32 = 0x4e;

#[inline(always)]
unsafe fn block(number: u128) -> __m128i {
    _mm_set_epi64x((number >> 64) as i64, number as i64)
}

#[inline(always)]
unsafe fn number(block: __m128i) -> u128 {
    (_mm_extract_epi64(block, 1) as u64 as u128) << 64 | _mm_extract_epi64(block, 0) as u64 as u128
}

#[inline(always)]
unsafe fn reversal() -> __m128i {
    _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

impl Machine for AesNi {
    type Vector = __m128i;
    const WIDTH: usize = 1;

    #[inline(always)]
    unsafe fn run<R>(work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "aes,pclmulqdq,sse4.1")]
        unsafe fn with<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        with(work)
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m128i {
        _mm_loadu_si128(from.cast())
    }
    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: __m128i) {
        _mm_storeu_si128(to.cast(), vector)
    }
    #[inline(always)]
    unsafe fn zero() -> __m128i {
        _mm_setzero_si128()
    }
    #[inline(always)]
    unsafe fn broadcast(number: u128) -> __m128i {
        block(number)
    }
    #[inline(always)]
    unsafe fn first(number: u128) -> __m128i {
        block(number)
    }
    #[inline(always)]
    unsafe fn sum(vector: __m128i) -> u128 {
        number(vector)
    }
    #[inline(always)]
    unsafe fn xor(a: __m128i, b: __m128i) -> __m128i {
        _mm_xor_si128(a, b)
    }
    #[inline(always)]
    unsafe fn reverse(vector: __m128i) -> __m128i {
        _mm_shuffle_epi8(vector, reversal())
    }
    #[inline(always)]
    unsafe fn fold(vector: __m128i) -> __m128i {
        _mm_xor_si128(vector, _mm_shuffle_epi32(vector, HALVES_SWAPPED))
    }
    #[inline(always)]
    unsafe fn low(a: __m128i, b: __m128i) -> __m128i {
        _mm_clmulepi64_si128(a, b, 0x00)
    }
    #[inline(always)]
    unsafe fn high(a: __m128i, b: __m128i) -> __m128i {
        _mm_clmulepi64_si128(a, b, 0x11)
    }
    #[inline(always)]
    unsafe fn round(state: __m128i, key: __m128i) -> __m128i {
        _mm_aesenc_si128(state, key)
    }
    #[inline(always)]
    unsafe fn last_round(state: __m128i, key: __m128i) -> __m128i {
        _mm_aesenclast_si128(state, key)
    }
}

impl Machine for Vaes {
    type Vector = __m256i;
    const WIDTH: usize = 2;

    #[inline(always)]
    unsafe fn run<R>(work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "aes,pclmulqdq,sse4.1,avx2,vaes,vpclmulqdq")]
        unsafe fn with<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        with(work)
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m256i {
        _mm256_loadu_si256(from.cast())
    }
    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: __m256i) {
        _mm256_storeu_si256(to.cast(), vector)
    }
    #[inline(always)]
    unsafe fn zero() -> __m256i {
        _mm256_setzero_si256()
    }
    #[inline(always)]
    unsafe fn broadcast(number: u128) -> __m256i {
        _mm256_broadcastsi128_si256(block(number))
    }
    #[inline(always)]
    unsafe fn first(number: u128) -> __m256i {
        _mm256_set_m128i(_mm_setzero_si128(), block(number))
    }
    #[inline(always)]
    unsafe fn sum(vector: __m256i) -> u128 {
        number(_mm_xor_si128(_mm256_castsi256_si128(vector), _mm256_extracti128_si256(vector, 1)))
    }
    #[inline(always)]
    unsafe fn xor(a: __m256i, b: __m256i) -> __m256i {
        _mm256_xor_si256(a, b)
    }
    #[inline(always)]
    unsafe fn reverse(vector: __m256i) -> __m256i {
        _mm256_shuffle_epi8(vector, _mm256_broadcastsi128_si256(reversal()))
    }
    #[inline(always)]
    unsafe fn fold(vector: __m256i) -> __m256i {
        _mm256_xor_si256(vector, _mm256_shuffle_epi32(vector, HALVES_SWAPPED))
    }
    #[inline(always)]
    unsafe fn low(a: __m256i, b: __m256i) -> __m256i {
        _mm256_clmulepi64_epi128(a, b, 0x00)
    }
    #[inline(always)]
    unsafe fn high(a: __m256i, b: __m256i) -> __m256i {
        _mm256_clmulepi64_epi128(a, b, 0x11)
    }
    #[inline(always)]
    unsafe fn round(state: __m256i, key: __m256i) -> __m256i {
        _mm256_aesenc_epi128(state, key)
    }
    #[inline(always)]
    unsafe fn last_round(state: __m256i, key: __m256i) -> __m256i {
        _mm256_aesenclast_epi128(state, key)
    }
}
