//! aarch64: one block at a time by the cryptographic extension (AES and PMULL).

use crate::machine::Machine;
use std::arch::aarch64::*;
use std::arch::asm;
use std::mem::transmute;

/// One instruction of two vectors. Those of std are functions that are inlined only where the caller is known to have the
/// instructions, and these callers get them by being inlined themselves.
macro_rules! instruction {
    ($what:literal, $a:expr, $b:expr) => {{
        let out: uint8x16_t;
        asm!($what, out = lateout(vreg) out, a = in(vreg) $a, b = in(vreg) $b, options(pure, nomem, nostack, preserves_flags));
        out
    }};
}

/// SubBytes and ShiftRows, and MixColumns if told so. The instruction adds a key first, which is zero here.
macro_rules! substituted {
    ($state:expr, $mix:literal) => {{
        let mut state: uint8x16_t = $state;
        asm!("aese {state:v}.16b, {zero:v}.16b", $mix, state = inout(vreg) state, zero = in(vreg) vdupq_n_u8(0), options(pure, nomem, nostack, preserves_flags));
        state
    }};
}

/// Needs `Feature::Aes`.
pub struct Arm;

impl Machine for Arm {
    type Vector = uint8x16_t;
    const WIDTH: usize = 1;

    #[inline(always)]
    unsafe fn run<R>(work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "neon,aes")]
        unsafe fn with<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        with(work)
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> uint8x16_t {
        vld1q_u8(from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut u8, vector: uint8x16_t) {
        vst1q_u8(to, vector)
    }
    #[inline(always)]
    unsafe fn zero() -> uint8x16_t {
        vdupq_n_u8(0)
    }
    #[inline(always)]
    unsafe fn broadcast(number: u128) -> uint8x16_t {
        transmute(number)
    }
    #[inline(always)]
    unsafe fn first(number: u128) -> uint8x16_t {
        transmute(number)
    }
    #[inline(always)]
    unsafe fn sum(vector: uint8x16_t) -> u128 {
        transmute(vector)
    }
    #[inline(always)]
    unsafe fn xor(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        veorq_u8(a, b)
    }
    #[inline(always)]
    unsafe fn reverse(vector: uint8x16_t) -> uint8x16_t {
        let halves = vrev64q_u8(vector);
        vextq_u8(halves, halves, 8)
    }
    #[inline(always)]
    unsafe fn fold(vector: uint8x16_t) -> uint8x16_t {
        veorq_u8(vector, vextq_u8(vector, vector, 8))
    }
    #[inline(always)]
    unsafe fn low(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        instruction!("pmull {out:v}.1q, {a:v}.1d, {b:v}.1d", a, b)
    }
    #[inline(always)]
    unsafe fn high(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        instruction!("pmull2 {out:v}.1q, {a:v}.2d, {b:v}.2d", a, b)
    }
    #[inline(always)]
    unsafe fn round(state: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
        veorq_u8(substituted!(state, "aesmc {state:v}.16b, {state:v}.16b"), key)
    }
    #[inline(always)]
    unsafe fn last_round(state: uint8x16_t, key: uint8x16_t) -> uint8x16_t {
        veorq_u8(substituted!(state, ""), key)
    }
}
