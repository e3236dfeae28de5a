//! Multiplying many bytes by elements of GF(2^8): the vectors of each kind of CPU, and the product by a matrix.
//!
//! A product by a constant is linear in the bits of a byte. AVX2 looks up the products of both nibbles of 32 bytes at
//! once (`vpshufb`) and adds them. GFNI has an instruction for 8 x 8 bit matrices. [`Plain`] is the readable twin of
//! both.
//!
//! A kernel is written once, generic in [`Vector`], as [`Work`]. [`Kernel::run`] compiles it for each kind of CPU: all
//! in it is inlined into a function that has the CPU's instructions switched on.

use crate::cpu;
use crate::field::{product, Matrix};

/// Bytes of a vector. Kernels work on whole vectors, so widths are multiples of `STEP`.
pub const LANES: usize = 32;
pub const STEP: usize = 2 * LANES;

/// Products of an element with the 16 low nibbles, then with the 16 high ones.
#[repr(C, align(32))]
#[derive(Clone, Copy)]
struct Nibbles([u8; 32]);

static NIBBLES: [Nibbles; 256] = nibbles();
/// The multiplication by an element as a matrix over GF(2), as GF2P8AFFINEQB has it: byte 7 - i tells output bit i.
#[cfg(target_arch = "x86_64")]
static AFFINE: [u64; 256] = affine();
#[cfg(target_arch = "x86_64")]
const _: () = assert!(affine()[1] == 0x0102_0408_1020_4080); // the identity, as Intel's manual has it

const fn nibbles() -> [Nibbles; 256] {
    let (mut all, mut c) = ([Nibbles([0; 32]); 256], 0);
    while c < 256 {
        let mut n = 0;
        while n < 16 {
            all[c].0[n] = product(c as u8, n as u8);
            all[c].0[16 + n] = product(c as u8, (n as u8) << 4);
            n += 1;
        }
        c += 1;
    }
    all
}

#[cfg(target_arch = "x86_64")]
const fn affine() -> [u64; 256] {
    let (mut all, mut c) = ([0; 256], 0);
    while c < 256 {
        let mut cell = 0;
        while cell < 64 {
            let (input, output) = (cell & 7, cell >> 3);
            if product(c as u8, 1 << input) >> output & 1 == 1 {
                all[c] |= 1 << (8 * (7 - output) + input);
            }
            cell += 1;
        }
        c += 1;
    }
    all
}

/// `LANES` bytes, and how a CPU multiplies them.
///
/// All functions are unsafe for two reasons: they use instructions that the CPU must have, and `load` and `store` trust
/// their pointer to `LANES` bytes, aligned or not.
pub trait Vector: Copy {
    /// A constant, prepared.
    type Factor: Copy;
    /// A vector, prepared to be multiplied by several constants.
    type Split: Copy;

    unsafe fn zero() -> Self;
    unsafe fn load(from: *const u8) -> Self;
    unsafe fn store(self, to: *mut u8);
    unsafe fn plus(self, other: Self) -> Self;
    unsafe fn factor(constant: u8) -> Self::Factor;
    unsafe fn split(self) -> Self::Split;
    unsafe fn times(split: Self::Split, factor: Self::Factor) -> Self;
}

/// Any CPU.
#[derive(Clone, Copy)]
pub struct Plain([u8; LANES]);

impl Vector for Plain {
    type Factor = &'static [u8; 32];
    type Split = Plain;

    #[inline(always)]
    unsafe fn zero() -> Plain {
        Plain([0; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Plain {
        // SAFETY: the caller's pointer is good for LANES bytes, and a byte array has no alignment.
        Plain(unsafe { from.cast::<[u8; LANES]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[u8; LANES]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn plus(self, other: Plain) -> Plain {
        Plain(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }
    #[inline(always)]
    unsafe fn factor(constant: u8) -> &'static [u8; 32] {
        &NIBBLES[constant as usize].0
    }
    #[inline(always)]
    unsafe fn split(self) -> Plain {
        self
    }
    #[inline(always)]
    unsafe fn times(split: Plain, factor: &'static [u8; 32]) -> Plain {
        Plain(split.0.map(|x| factor[(x & 15) as usize] ^ factor[16 + (x >> 4) as usize]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Vector, AFFINE, NIBBLES};
    use std::arch::x86_64::*;

    /// A CPU with AVX2.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256i);

    // SAFETY of every block below: the trait's contract gives AVX2 to the instructions and LANES bytes to `load` and
    // `store`, which take any alignment; an entry of NIBBLES has 32 bytes, aligned to 32.
    impl Vector for Avx2 {
        type Factor = (__m256i, __m256i);
        type Split = (__m256i, __m256i);

        #[inline(always)]
        unsafe fn zero() -> Avx2 {
            // SAFETY: see the head of this block.
            Avx2(unsafe { _mm256_setzero_si256() })
        }
        #[inline(always)]
        unsafe fn load(from: *const u8) -> Avx2 {
            // SAFETY: see the head of this block.
            Avx2(unsafe { _mm256_loadu_si256(from.cast()) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut u8) {
            // SAFETY: see the head of this block.
            unsafe { _mm256_storeu_si256(to.cast(), self.0) }
        }
        #[inline(always)]
        unsafe fn plus(self, other: Avx2) -> Avx2 {
            // SAFETY: see the head of this block.
            Avx2(unsafe { _mm256_xor_si256(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn factor(constant: u8) -> (__m256i, __m256i) {
            let table = NIBBLES[constant as usize].0.as_ptr();
            // SAFETY: see the head of this block.
            unsafe {
                let (low, high) = (_mm_load_si128(table.cast()), _mm_load_si128(table.add(16).cast()));
                (_mm256_broadcastsi128_si256(low), _mm256_broadcastsi128_si256(high))
            }
        }
        #[inline(always)]
        unsafe fn split(self) -> (__m256i, __m256i) {
            // SAFETY: see the head of this block.
            unsafe {
                let mask = _mm256_set1_epi8(15);
                (_mm256_and_si256(self.0, mask), _mm256_and_si256(_mm256_srli_epi16(self.0, 4), mask))
            }
        }
        #[inline(always)]
        unsafe fn times(split: (__m256i, __m256i), factor: (__m256i, __m256i)) -> Avx2 {
            // SAFETY: see the head of this block.
            unsafe {
                let (low, high) = (_mm256_shuffle_epi8(factor.0, split.0), _mm256_shuffle_epi8(factor.1, split.1));
                Avx2(_mm256_xor_si256(low, high))
            }
        }
    }

    /// A CPU with GFNI and AVX2.
    #[derive(Clone, Copy)]
    pub struct Gfni(Avx2);

    // SAFETY of every block below: as for `Avx2`, and the contract gives GFNI too.
    impl Vector for Gfni {
        type Factor = __m256i;
        type Split = Gfni;

        #[inline(always)]
        unsafe fn zero() -> Gfni {
            // SAFETY: see the head of this block.
            Gfni(unsafe { Avx2::zero() })
        }
        #[inline(always)]
        unsafe fn load(from: *const u8) -> Gfni {
            // SAFETY: see the head of this block.
            Gfni(unsafe { Avx2::load(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut u8) {
            // SAFETY: see the head of this block.
            unsafe { self.0.store(to) }
        }
        #[inline(always)]
        unsafe fn plus(self, other: Gfni) -> Gfni {
            // SAFETY: see the head of this block.
            Gfni(unsafe { self.0.plus(other.0) })
        }
        #[inline(always)]
        unsafe fn factor(constant: u8) -> __m256i {
            // SAFETY: see the head of this block.
            unsafe { _mm256_set1_epi64x(AFFINE[constant as usize] as i64) }
        }
        #[inline(always)]
        unsafe fn split(self) -> Gfni {
            self
        }
        #[inline(always)]
        unsafe fn times(split: Gfni, factor: __m256i) -> Gfni {
            // SAFETY: see the head of this block.
            Gfni(Avx2(unsafe { _mm256_gf2p8affine_epi64_epi8::<0>(split.0 .0, factor) }))
        }
    }
}

/// Something to be computed with vectors of any kind.
pub trait Work {
    /// `inline(always)`, or it is compiled without the CPU's instructions.
    ///
    /// # Safety
    /// The CPU has what `V` needs, and the pointers of the work are good for what it says.
    unsafe fn run<V: Vector>(self);
}

/// Which vectors this CPU has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kernel {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Gfni,
}

impl Kernel {
    /// The best of this CPU.
    pub fn best() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        for (kernel, needs) in [(Kernel::Gfni, cpu::Feature::Gfni), (Kernel::Avx2, cpu::Feature::Avx2)] {
            if cpu::has(needs) {
                return kernel;
            }
        }
        Kernel::Plain
    }

    /// # Safety
    /// The kernel is of [`Kernel::best`], and the pointers of the work are good for what it says.
    pub unsafe fn run(self, work: impl Work) {
        match self {
            // SAFETY: any CPU has what `Plain` needs; the rest is the caller's promise.
            Kernel::Plain => unsafe { work.run::<Plain>() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` has found AVX2; the rest is the caller's promise.
            Kernel::Avx2 => unsafe { with_avx2(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` has found GFNI and AVX2; the rest is the caller's promise.
            Kernel::Gfni => unsafe { with_gfni(work) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn with_avx2(work: impl Work) {
    // SAFETY: this function has AVX2; the rest is the caller's promise.
    unsafe { work.run::<x86::Avx2>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,gfni")]
unsafe fn with_gfni(work: impl Work) {
    // SAFETY: this function has both; the rest is the caller's promise.
    unsafe { work.run::<x86::Gfni>() }
}

/// Rows that are read and rows that are written, all in the same stretch of their bytes.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub from: &'a [*const u8],
    pub to: &'a [*mut u8],
    /// The first byte of each row.
    pub at: usize,
    /// A multiple of `STEP`.
    pub bytes: usize,
}

/// Rows of output that one reading of the input gives: their sums, both halves of a step, fit into 16 registers.
const AT_ONCE: usize = 4;
/// Bytes from what is read to what is fetched meanwhile. CPUs follow some tens of rows by themselves, and these are 200.
const AHEAD: usize = 512;

/// A matrix, laid out for multiplying rows by it: output row i = sum over j of cell (i, j) * input row j.
pub struct Product {
    pub outputs: usize,
    pub inputs: usize,
    /// For every `AT_ONCE` outputs, and every input in it, their cells; missing outputs have 0.
    cells: Vec<[u8; AT_ONCE]>,
}

impl Product {
    pub fn by(matrix: &Matrix) -> Product {
        let cell = |row: usize, column: usize| if row < matrix.rows { matrix.row(row)[column] } else { 0 };
        let blocks = (0..matrix.rows).step_by(AT_ONCE);
        let cells = blocks
            .flat_map(|row| (0..matrix.columns).map(move |column| std::array::from_fn(|m| cell(row + m, column))))
            .collect();
        Product { outputs: matrix.rows, inputs: matrix.columns, cells }
    }

    /// Multiply one stretch.
    ///
    /// # Safety
    /// The CPU has what `V` needs. `rows` has `inputs` and `outputs` pointers, all good for the stretch, and no output
    /// overlaps an input or another output.
    #[inline(always)]
    pub unsafe fn multiply<V: Vector>(&self, rows: Rows) {
        debug_assert!(rows.from.len() == self.inputs && rows.to.len() == self.outputs && rows.bytes % STEP == 0);
        for (cells, to) in self.cells.chunks_exact(self.inputs.max(1)).zip(rows.to.chunks(AT_ONCE)) {
            // SAFETY: the caller's promise, for a part of the outputs; each call has as many as it says.
            unsafe {
                match to.len() {
                    1 => block::<V, 1>(cells, to, rows),
                    2 => block::<V, 2>(cells, to, rows),
                    3 => block::<V, 3>(cells, to, rows),
                    _ => block::<V, 4>(cells, to, rows),
                }
            }
        }
    }
}

/// Ask for a line of the cache that will be read soon. The address need not exist.
#[inline(always)]
fn fetch(_from: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint, which never faults; SSE is in every CPU of this architecture.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(_from.cast())
    }
}

/// The first M rows of `to`.
#[inline(always)]
unsafe fn block<V: Vector, const M: usize>(cells: &[[u8; AT_ONCE]], to: &[*mut u8], rows: Rows) {
    for at in (rows.at..rows.at + rows.bytes).step_by(STEP) {
        // SAFETY: `at + STEP` stays within the stretch, for which the pointers are good.
        unsafe {
            let mut sums = [[V::zero(); 2]; M];
            for (cells, &from) in cells.iter().zip(rows.from) {
                fetch(from.wrapping_add(at + AHEAD));
                let halves = [V::load(from.add(at)).split(), V::load(from.add(at + LANES)).split()];
                for m in 0..M {
                    let factor = V::factor(cells[m]);
                    sums[m][0] = sums[m][0].plus(V::times(halves[0], factor));
                    sums[m][1] = sums[m][1].plus(V::times(halves[1], factor));
                }
            }
            for m in 0..M {
                sums[m][0].store(to[m].add(at));
                sums[m][1].store(to[m].add(at + LANES));
            }
        }
    }
}
