//! AES-256 (FIPS 197): the key schedule, and the encryption of a few blocks at once, by the CPU's own instructions.

use crate::machine::{Machine, MAX_WIDTH};

/// How many blocks are encrypted together, so that the CPU works on the next while it waits for the last.
pub const BATCH: usize = 8;

const ROUNDS: usize = 14;
const KEY_WORDS: usize = 8;

/// The round keys, as words in the order of memory.
pub struct RoundKeys([u32; 4 * (ROUNDS + 1)]);

impl RoundKeys {
    pub const fn blank() -> RoundKeys {
        RoundKeys([0; 4 * (ROUNDS + 1)])
    }

    /// The key schedule (FIPS 197, 5.2).
    ///
    /// # Safety
    /// Only within `M::run`.
    #[inline(always)]
    pub unsafe fn expand<M: Machine>(&mut self, key: &[u8; 32]) {
        let words = &mut self.0;
        for (word, bytes) in words.iter_mut().zip(key.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        let mut constant = 1;
        for i in KEY_WORDS..words.len() {
            let before = words[i - 1];
            let changed = match i % KEY_WORDS {
                0 => substitute::<M>(before.rotate_right(8)) ^ constant,
                4 => substitute::<M>(before),
                _ => before,
            };
            constant <<= (i % KEY_WORDS == 0) as u32;
            words[i] = words[i - KEY_WORDS] ^ changed;
        }
    }

    /// Encrypts each of the blocks in place.
    ///
    /// # Safety
    /// Only within `M::run`.
    #[inline(always)]
    pub unsafe fn encrypt<M: Machine>(&self, blocks: &mut [u128; BATCH]) {
        let vectors = BATCH / M::WIDTH;
        let at = blocks.as_mut_ptr().cast::<u8>();
        let mut states = [M::zero(); BATCH];
        let whitening = M::broadcast(self.round_key(0));
        for (i, state) in states[..vectors].iter_mut().enumerate() {
            *state = M::xor(M::load(at.add(16 * M::WIDTH * i)), whitening);
        }
        for round in 1..ROUNDS {
            let key = M::broadcast(self.round_key(round));
            for state in &mut states[..vectors] {
                *state = M::round(*state, key);
            }
        }
        let key = M::broadcast(self.round_key(ROUNDS));
        for (i, state) in states[..vectors].iter().enumerate() {
            M::store(at.add(16 * M::WIDTH * i), M::last_round(*state, key));
        }
    }

    #[inline(always)]
    fn round_key(&self, round: usize) -> u128 {
        self.0[4 * round..4 * round + 4].iter().rev().fold(0, |key, word| key << 32 | *word as u128)
    }
}

/// SubWord: each byte through the S-box. The last round does it, because shifting the rows of four equal columns changes
/// nothing. A table would tell by its time which of its lines were read.
#[inline(always)]
unsafe fn substitute<M: Machine>(word: u32) -> u32 {
    let columns = word as u128 * 0x0000_0001_0000_0001_0000_0001_0000_0001;
    let mut out = [0u128; MAX_WIDTH];
    M::store(out.as_mut_ptr().cast(), M::last_round(M::broadcast(columns), M::zero()));
    out[0] as u32
}
