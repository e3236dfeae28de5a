//! Drives the repair code from Rust, in memory that ends exactly where the data does: for sanitizers and valgrind.
//!
//! `restoring ROUNDS [LACKING]`: LACKING are the CPU's features to leave out, as bits. Every round makes a slab of random
//! shape, encodes it, loses symbols at random, restores it and compares; then it tells lies about its lengths.
#![allow(dead_code)]

#[path = "../../diode/core/src/coder.rs"]
mod coder;
#[path = "../../diode/core/src/cpu.rs"]
mod cpu;
#[path = "../../diode/core/src/field.rs"]
mod field;
#[path = "../../diode/core/src/gf.rs"]
mod gf;
#[path = "../../diode/core/src/syndromes.rs"]
mod syndromes;

/// Numbers that look random, from a seed (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

fn round(numbers: &mut Numbers) {
    let (small, long) = (numbers.below(2) == 0, numbers.below(4) == 0);
    let k = 1 + numbers.below(if small { 40 } else { 255 });
    let r = 1 + numbers.below((256 - k).min(70));
    let (columns, size) = (1 + numbers.below(4), 1 + numbers.below(if long { 1500 } else { 150 }));
    let width = columns * size;
    let mut symbols: Vec<u8> = (0..(k + r) * width).map(|_| numbers.below(256) as u8).collect();
    let coder = coder::diode_coder_new(k, 0, r);
    let (source, repair) = symbols.split_at_mut(k * width);
    // SAFETY: both are good for their lengths, and the coder is alive until it is freed.
    let encoded = unsafe {
        let (to, n) = (repair.as_mut_ptr(), repair.len());
        let done = coder::diode_encode(coder, source.as_ptr(), source.len(), width, to, n, width, width);
        assert_eq!(-1, coder::diode_encode(coder, source.as_ptr(), source.len() - 1, width, to, n, width, width));
        assert_eq!(-1, coder::diode_encode(coder, source.as_ptr(), source.len(), width, to, n - 1, width, width));
        coder::diode_coder_free(coder);
        done
    };
    assert_eq!(0, encoded);
    let mut have = vec![1u8; (k + r) * columns];
    for column in 0..columns {
        for _ in 0..numbers.below(r + 1) {
            have[numbers.below(k + r) * columns + column] = 0;
        }
    }
    let mut received = symbols.clone();
    for (at, there) in have.iter().enumerate() {
        if *there == 0 {
            received[at * size..][..size].fill(0x5A);
        }
    }
    let n = received.len();
    let mut restore = |n: usize, have_n: usize, k: usize, columns: usize, size: usize| {
        // SAFETY: lies are about lengths that are smaller than these, or refused.
        unsafe { coder::diode_restore(received.as_mut_ptr(), n, have.as_ptr(), have_n, k, columns, size) }
    };
    assert_eq!(-1, restore(n - 1, have.len(), k, columns, size));
    assert_eq!(-1, restore(n, have.len(), k, columns, size + 1));
    assert_eq!(-1, restore(n, have.len(), k + r + 1, columns, size));
    assert!(restore(n, have.len(), k, columns, size) >= 0);
    assert_eq!(symbols[..k * width], received[..k * width]);
}

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    cpu::diode_core_mask(*given.get(1).unwrap_or(&0) as u32);
    let mut numbers = Numbers(0xD10DE);
    for _ in 0..given[0] {
        round(&mut numbers);
    }
    println!("{} rounds", given[0]);
}
