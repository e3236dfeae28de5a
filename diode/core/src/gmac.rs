//! AES-256-GMAC (NIST SP 800-38D: GCM without plaintext) of a few datagrams in one call.
//!
//! The tag is `AES(nonce, 1) + GHASH(body)`. GHASH is a polynomial in H over GF(2^128) whose coefficients are the blocks
//! of the body. Two things make it fast. Up to `CHUNK` blocks are multiplied by their own power of H, and only their sum
//! is reduced modulo the field's polynomial. A product of two blocks takes three products of halves (Karatsuba).
//!
//! GHASH reads the bits of a block in the other order than the CPU's products do. So the bytes of each block are reversed,
//! and each power of H is multiplied by x once more, which brings the bits of a product to their places.

use crate::aes::{RoundKeys, BATCH};
use crate::machine::{Machine, MAX_WIDTH};
use std::marker::PhantomData;
use std::sync::atomic::{compiler_fence, Ordering};

pub const HEADER: usize = 48;
pub const TAG: usize = 16;

const NONCE: std::ops::Range<usize> = 12..24;
const CHUNK: usize = 128;
const HEAD: usize = 4; // the header's three blocks behind a zero one, which adds nothing, so that they fill vectors
const TAIL: usize = 4; // the end of the body that fills no vector, the block of lengths, and zeros
const POWERS: usize = CHUNK + HEAD + TAIL;
const BLOCK: usize = 16;

/// x^128 is x^127 + x^126 + x^121 + 1 where the bits of a block are read in the CPU's order.
const POLYNOMIAL: u128 = 0xc2 << 120 | 1;

/// One datagram of a matrix. Its header is the caller's own copy, made before any of it was believed.
#[derive(Clone, Copy)]
pub struct Row {
    pub header: [u8; HEADER],
    /// The symbol, and behind it the tag.
    pub rest: *const u8,
    /// Where the symbol is copied to, or null.
    pub to: *mut u8,
}

impl Row {
    pub const EMPTY: Row = Row { header: [0; HEADER], rest: std::ptr::null(), to: std::ptr::null_mut() };
}

/// Computes tags. A key may be used by several threads at once.
pub trait Tags: Send + Sync {
    /// The tag that each of the rows ought to have; at most `BATCH` rows.
    ///
    /// A symbol is read once. Where the row says so it is copied, and then the tag is the one of the copy, whatever others
    /// write to the row meanwhile.
    ///
    /// # Safety
    /// For each row, `rest` must be readable for `symbol_bytes`, and `to` null or writable for as many. They may overlap
    /// nowhere.
    unsafe fn tags(&self, rows: &[Row], symbol_bytes: usize) -> [u128; BATCH];

    /// The tag of any bytes under any nonce, as test vectors have them.
    ///
    /// # Safety
    /// `bytes` must be readable for `count`.
    unsafe fn tag(&self, nonce: [u8; 12], bytes: *const u8, count: usize) -> u128;
}

/// No authentication: every tag is zero.
pub struct Untagged;

impl Tags for Untagged {
    unsafe fn tags(&self, rows: &[Row], symbol_bytes: usize) -> [u128; BATCH] {
        for row in rows.iter().filter(|row| !row.to.is_null()) {
            std::ptr::copy_nonoverlapping(row.rest, row.to, symbol_bytes);
        }
        [0; BATCH]
    }

    unsafe fn tag(&self, _: [u8; 12], _: *const u8, _: usize) -> u128 {
        0
    }
}

/// A key, with what can be computed of it once. It is overwritten when it is dropped.
#[repr(C, align(64))]
pub struct Gmac<M> {
    powers: [u128; POWERS + MAX_WIDTH - 1], // highest first; a vector that begins at the last one multiplies zeros by zeros
    folded: [u128; POWERS + MAX_WIDTH - 1],
    keys: RoundKeys,
    machine: PhantomData<M>,
}

impl<M: Machine> Gmac<M> {
    /// # Safety
    /// The CPU must be a machine `M`.
    pub unsafe fn new(key: &[u8; 32]) -> Box<Gmac<M>> {
        let blank = Gmac {
            powers: [0; POWERS + MAX_WIDTH - 1],
            folded: [0; POWERS + MAX_WIDTH - 1],
            keys: RoundKeys::blank(),
            machine: PhantomData,
        };
        let mut mine = Box::new(blank); // before there is a secret, so that moving it here leaves none behind
        M::run(
            #[inline(always)]
            || mine.prepare(key),
        );
        mine
    }

    #[inline(always)]
    unsafe fn prepare(&mut self, key: &[u8; 32]) {
        self.keys.expand::<M>(key);
        let mut blocks = [0; BATCH];
        self.keys.encrypt::<M>(&mut blocks);
        let h = blocks[0].swap_bytes();
        let h = h << 1 ^ POLYNOMIAL & (h >> 127).wrapping_neg();
        let mut power = h;
        for i in (0..POWERS).rev() {
            self.powers[i] = power;
            self.folded[i] = power ^ power.rotate_left(64);
            let mut sum = Sum::<M>::zero();
            sum.add(M::first(power), M::first(h), M::fold(M::first(h)));
            power = sum.reduced();
        }
    }

    /// GHASH of the head and of `count` bytes at `from`, whose lengths together are `bits`. `COPY`: these bytes go `to`.
    #[inline(always)]
    unsafe fn hash<const COPY: bool>(
        &self,
        head: &[u128; HEAD],
        from: *const u8,
        count: usize,
        to: *mut u8,
        bits: u64,
    ) -> u128 {
        let width = M::WIDTH * BLOCK;
        let whole = count / width * width;
        let mut end = [0u8; (TAIL - 1) * BLOCK];
        std::ptr::copy_nonoverlapping(from.add(whole), end.as_mut_ptr(), count - whole);
        if COPY {
            std::ptr::copy_nonoverlapping(end.as_ptr(), to.add(whole), count - whole);
        }
        let (tail, tail_blocks) = tail_of(&end, count - whole, bits);

        let mut done = 0;
        let mut hash = 0;
        loop {
            let blocks = (whole / BLOCK - done).min(CHUNK);
            let is_last = done + blocks == whole / BLOCK;
            let behind = if is_last { tail_blocks } else { 0 };
            let mut at = POWERS - blocks - behind;
            let mut sum = Sum::<M>::zero();
            if done == 0 {
                for i in (0..HEAD).step_by(M::WIDTH) {
                    self.add(&mut sum, M::load(head[i..].as_ptr().cast()), at - HEAD + i);
                }
            }
            let mut before = M::first(hash);
            for i in (0..blocks).step_by(M::WIDTH) {
                let offset = (done + i) * BLOCK;
                let bytes = M::load(from.add(offset));
                if COPY {
                    M::store(to.add(offset), bytes);
                }
                self.add(&mut sum, M::xor(M::reverse(bytes), before), at + i);
                before = M::zero();
            }
            at += blocks;
            for i in (0..behind).step_by(M::WIDTH) {
                self.add(&mut sum, M::load(tail[i..].as_ptr().cast()), at + i);
            }
            hash = sum.reduced();
            done += blocks;
            if is_last {
                return hash;
            }
        }
    }

    /// Adds a vector of blocks to the sum, each multiplied by its own power, of which the first lies at `at`.
    #[inline(always)]
    unsafe fn add(&self, sum: &mut Sum<M>, blocks: M::Vector, at: usize) {
        debug_assert!(at < POWERS);
        let power = M::load(self.powers.as_ptr().add(at).cast());
        let folded = M::load(self.folded.as_ptr().add(at).cast());
        sum.add(blocks, power, folded);
    }
}

impl<M: Machine + Send + Sync> Tags for Gmac<M> {
    unsafe fn tags(&self, rows: &[Row], symbol_bytes: usize) -> [u128; BATCH] {
        M::run(
            #[inline(always)]
            || {
                let mut tags = [0; BATCH];
                for (tag, row) in tags.iter_mut().zip(rows) {
                    *tag = first_counter(&row.header[NONCE]);
                }
                self.keys.encrypt::<M>(&mut tags);
                let bits = (HEADER + symbol_bytes) as u64 * 8;
                for (tag, row) in tags.iter_mut().zip(rows) {
                    let head = head_of(&row.header);
                    let hash = if row.to.is_null() {
                        self.hash::<false>(&head, row.rest, symbol_bytes, row.to, bits)
                    } else {
                        self.hash::<true>(&head, row.rest, symbol_bytes, row.to, bits)
                    };
                    *tag ^= hash.swap_bytes();
                }
                tags
            },
        )
    }

    unsafe fn tag(&self, nonce: [u8; 12], bytes: *const u8, count: usize) -> u128 {
        M::run(
            #[inline(always)]
            || {
                let mut masks = [first_counter(&nonce); BATCH];
                self.keys.encrypt::<M>(&mut masks);
                let hash =
                    self.hash::<false>(&[0; HEAD], bytes, count, std::ptr::null_mut(), (count as u64).wrapping_mul(8));
                masks[0] ^ hash.swap_bytes()
            },
        )
    }
}

impl<M> Drop for Gmac<M> {
    fn drop(&mut self) {
        let bytes = (self as *mut Gmac<M>).cast::<u64>();
        for i in 0..size_of::<Gmac<M>>() / size_of::<u64>() {
            // SAFETY: all of it is memory of our own, aligned to 64 bytes, and plain numbers that may be zero.
            // Volatile, because nothing reads it again, and a write that nobody reads could be left out.
            unsafe { bytes.add(i).write_volatile(0) };
        }
        compiler_fence(Ordering::SeqCst);
    }
}

/// A sum of products, by halves, before its reduction.
struct Sum<M: Machine> {
    low: M::Vector,
    middle: M::Vector,
    high: M::Vector,
}

impl<M: Machine> Sum<M> {
    #[inline(always)]
    unsafe fn zero() -> Sum<M> {
        Sum { low: M::zero(), middle: M::zero(), high: M::zero() }
    }

    #[inline(always)]
    unsafe fn add(&mut self, blocks: M::Vector, power: M::Vector, folded: M::Vector) {
        self.low = M::xor(self.low, M::low(blocks, power));
        self.high = M::xor(self.high, M::high(blocks, power));
        self.middle = M::xor(self.middle, M::low(M::fold(blocks), folded));
    }

    /// The sum modulo the field's polynomial, divided by x^128, which `x` in each power of H makes up for.
    #[inline(always)]
    unsafe fn reduced(&self) -> u128 {
        let (low, high) = (M::sum(self.low), M::sum(self.high));
        let middle = M::sum(self.middle) ^ low ^ high;
        high ^ middle >> 64 ^ divided(divided(low ^ middle << 64))
    }
}

/// A number divided by x^64 modulo the polynomial: its low half is folded into the rest.
#[inline(always)]
fn divided(number: u128) -> u128 {
    let low = number as u64 as u128;
    number.rotate_left(64) ^ low << 63 ^ low << 62 ^ low << 57
}

/// The counter block that masks the tag: the nonce, and one.
#[inline(always)]
fn first_counter(nonce: &[u8]) -> u128 {
    let mut block = [0; BLOCK];
    block[..12].copy_from_slice(nonce);
    block[15] = 1;
    u128::from_le_bytes(block)
}

#[inline(always)]
fn head_of(header: &[u8; HEADER]) -> [u128; HEAD] {
    let mut head = [0; HEAD];
    for (block, bytes) in head[1..].iter_mut().zip(header.chunks_exact(BLOCK)) {
        *block = number(bytes);
    }
    head
}

/// The blocks behind the whole vectors: what is left of the body, filled up with zeros, and the block of lengths.
#[inline(always)]
fn tail_of(end: &[u8; (TAIL - 1) * BLOCK], bytes: usize, bits: u64) -> ([u128; TAIL], usize) {
    let mut tail = [0; TAIL];
    let left = bytes.div_ceil(BLOCK);
    for (block, bytes) in tail.iter_mut().zip(end.chunks_exact(BLOCK)) {
        *block = number(bytes);
    }
    tail[left] = (bits as u128) << 64;
    (tail, left + 1)
}

/// 16 bytes as the number that the products want: reversed.
#[inline(always)]
fn number(bytes: &[u8]) -> u128 {
    let mut block = [0; BLOCK];
    block.copy_from_slice(bytes);
    u128::from_be_bytes(block)
}
