//! Encoding and restoring whole slabs: the C interface, its bounds, and the choice of a way for each code.
//!
//! Rows are codeword positions, so one call covers all columns of a slab. A width that is no multiple of 64 is finished
//! in padded copies of the last bytes. Memory: below 128 KiB a call, whatever the slab.

use crate::field::{Matrix, Points, MAX_ROWS};
use crate::gf::{Kernel, Product, Rows, Vector, Work, STEP};
use crate::syndromes::{Encode, Syndromes};

/// Of each row that `Product` reads at once: its 256 rows of this many bytes stay in a second cache of 512 KiB.
const STRIP: usize = 1024;

/// Repair rows `first .. first + r` of `k` source rows.
pub struct Coder {
    k: usize,
    r: usize,
    kernel: Kernel,
    way: Way,
}

enum Way {
    Direct(Product),
    Syndromes(Box<Syndromes>),
}

impl Coder {
    fn new(k: usize, first: usize, r: usize) -> Coder {
        let kernel = Kernel::best();
        // Where both count as many multiplications, they take as long.
        let way = if k >= 16 && Syndromes::cost(k, r) < k * r {
            Way::Syndromes(Box::new(Syndromes::new(k, first, r)))
        } else {
            Way::Direct(Product::by(&repair_rows(k, first, r)))
        };
        Coder { k, r, kernel, way }
    }

    /// # Safety
    /// `rows` has k and r pointers, good for the stretch; no output overlaps another row.
    unsafe fn encode(&self, rows: Rows) {
        // SAFETY: the caller's promise; the kernel is the best of this CPU.
        unsafe {
            match &self.way {
                Way::Direct(product) => self.kernel.run(Multiply { product, rows }),
                Way::Syndromes(plan) => self.kernel.run(Encode { plan, rows }),
            }
        }
    }
}

/// zfec's matrix: the weights that give repair rows from all source rows.
fn repair_rows(k: usize, first: usize, r: usize) -> Matrix {
    let row_numbers: Vec<u8> = (0..k + first + r).map(|row| row as u8).collect();
    Points::new(k, k + first + r).weights(&row_numbers[..k], &[], &[], &row_numbers[k + first..])
}

/// A product over a long stretch, strip by strip.
struct Multiply<'a> {
    product: &'a Product,
    rows: Rows<'a>,
}

impl Work for Multiply<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Multiply { product, rows } = self;
        let end = rows.at + rows.bytes;
        for at in (rows.at..end).step_by(STRIP) {
            // SAFETY: the caller's promise, for a part of the stretch.
            unsafe { product.multiply::<V>(Rows { at, bytes: STRIP.min(end - at), ..rows }) }
        }
    }
}

/// Call `work` on all `bytes` of the rows: as they are as far as whole steps go, and on padded copies of what is left.
///
/// # Safety
/// All pointers are good for `bytes`; no output overlaps another row. `work` keeps to the stretch that it is given.
unsafe fn in_steps(from: &[*const u8], to: &[*mut u8], bytes: usize, work: impl Fn(Rows)) {
    let whole = bytes - bytes % STEP;
    if whole > 0 {
        work(Rows { from, to, at: 0, bytes: whole });
    }
    if whole == bytes {
        return;
    }
    let mut copies = vec![[0u8; STEP]; from.len()];
    let mut results = vec![[0u8; STEP]; to.len()];
    for (copy, row) in copies.iter_mut().zip(from) {
        // SAFETY: the row is good for `bytes`, which are less than STEP from `whole` on.
        unsafe { std::ptr::copy_nonoverlapping(row.add(whole), copy.as_mut_ptr(), bytes - whole) }
    }
    let copied: Vec<*const u8> = copies.iter().map(|copy| copy.as_ptr()).collect();
    let computed: Vec<*mut u8> = results.iter_mut().map(|result| result.as_mut_ptr()).collect();
    work(Rows { from: &copied, to: &computed, at: 0, bytes: STEP });
    for (result, row) in results.iter().zip(to) {
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), row.add(whole), bytes - whole) }
    }
}

/// The symbols of a slab, (rows, columns, size) bytes, and which of them are there.
struct Symbols<'a> {
    base: *mut u8,
    have: &'a [u8],
    k: usize,
    columns: usize,
    size: usize,
}

/// What a column misses, and the repair rows that stand in for it, as many.
#[derive(Clone, PartialEq, Default)]
struct Pattern {
    missing: Vec<u8>,
    repair: Vec<u8>,
}

impl Symbols<'_> {
    fn rows(&self) -> usize {
        self.have.len() / self.columns
    }

    fn has(&self, row: usize, column: usize) -> bool {
        self.have[row * self.columns + column] != 0
    }

    /// None where a column has fewer than k symbols.
    fn pattern(&self, column: usize) -> Option<Pattern> {
        let missing: Vec<u8> = (0..self.k).filter(|&row| !self.has(row, column)).map(|row| row as u8).collect();
        let spare = (self.k..self.rows()).filter(|&row| self.has(row, column)).map(|row| row as u8);
        let repair: Vec<u8> = spare.take(missing.len()).collect();
        (repair.len() == missing.len()).then_some(Pattern { missing, repair })
    }

    /// Restore every damaged column, or none if one has too few symbols. Returns how many were damaged.
    ///
    /// # Safety
    /// `base` is good for all symbols.
    unsafe fn restore(&self) -> Option<usize> {
        let patterns: Vec<Pattern> = (0..self.columns).map(|column| self.pattern(column)).collect::<Option<_>>()?;
        let points = Points::new(self.k, self.rows());
        let kernel = Kernel::best();
        let (mut damaged, mut column) = (0, 0);
        while column < self.columns {
            let pattern = &patterns[column];
            let alike = patterns[column..].iter().take_while(|other| *other == pattern).count();
            if !pattern.missing.is_empty() {
                damaged += alike;
                // SAFETY: these columns lie within the symbols.
                unsafe { self.restore_alike(&points, kernel, pattern, column, alike) }
            }
            column += alike;
        }
        Some(damaged)
    }

    /// Restore a run of columns that miss the same rows: in each row they are one stretch of bytes.
    ///
    /// # Safety
    /// As for `restore`, and the columns exist.
    unsafe fn restore_alike(&self, points: &Points, kernel: Kernel, pattern: &Pattern, column: usize, count: usize) {
        let Pattern { missing, repair } = pattern;
        let there = (0..self.k).filter(|&row| self.has(row, column)).map(|row| row as u8);
        let known: Vec<u8> = there.chain(repair.iter().copied()).collect();
        let product = &Product::by(&points.weights(&known, missing, repair, missing));
        // SAFETY: `row` and `column` exist, so the stretch begins within the symbols.
        let address = |&row: &u8| unsafe { self.base.add((row as usize * self.columns + column) * self.size) };
        let from: Vec<*const u8> = known.iter().map(|row| address(row).cast_const()).collect();
        let to: Vec<*mut u8> = missing.iter().map(address).collect();
        // SAFETY: `count` columns from this one on are in each row; known and missing rows are different ones.
        unsafe { in_steps(&from, &to, count * self.size, |rows| kernel.run(Multiply { product, rows })) }
    }
}

/// The code of repair rows `first .. first + r` of `k` source rows, or NULL if there is none. 64 KiB, to be freed.
#[no_mangle]
pub extern "C" fn diode_coder_new(k: usize, first: usize, r: usize) -> *mut Coder {
    let last = k.checked_add(first).and_then(|rows| rows.checked_add(r));
    if k == 0 || r == 0 || last.is_none_or(|last| last > MAX_ROWS) {
        return std::ptr::null_mut();
    }
    Box::into_raw(Box::new(Coder::new(k, first, r)))
}

/// # Safety
/// `coder` is NULL, or of `diode_coder_new` and not freed before.
#[no_mangle]
pub unsafe extern "C" fn diode_coder_free(coder: *mut Coder) {
    if !coder.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(coder) });
    }
}

/// Whether `rows` rows of `width` bytes, `stride` apart, lie within `n` bytes and do not overlap.
fn fits(rows: usize, width: usize, stride: usize, n: usize) -> bool {
    let last = (rows - 1).checked_mul(stride).and_then(|at| at.checked_add(width));
    width <= stride && last.is_some_and(|last| last <= n)
}

/// Fill r repair rows from k source rows; a row has `width` bytes, and its next is `stride` bytes on. 0, or -1 where
/// they do not fit into their `n` bytes.
///
/// # Safety
/// `coder` is NULL or alive; each pointer is NULL or good for its `n` bytes, and the two do not overlap.
#[no_mangle]
pub unsafe extern "C" fn diode_encode(
    coder: *const Coder,
    source: *const u8,
    source_n: usize,
    source_stride: usize,
    repair: *mut u8,
    repair_n: usize,
    repair_stride: usize,
    width: usize,
) -> i32 {
    // SAFETY: NULL or alive.
    let Some(coder) = (unsafe { coder.as_ref() }) else { return -1 };
    let bounded = fits(coder.k, width, source_stride, source_n) && fits(coder.r, width, repair_stride, repair_n);
    if source.is_null() || repair.is_null() || !bounded {
        return -1;
    }
    // SAFETY: `fits` has shown that row i begins within `n` bytes.
    let from: Vec<*const u8> = (0..coder.k).map(|i| unsafe { source.add(i * source_stride) }).collect();
    // SAFETY: likewise.
    let to: Vec<*mut u8> = (0..coder.r).map(|i| unsafe { repair.add(i * repair_stride) }).collect();
    // SAFETY: `fits` has shown that each row has `width` bytes of its own.
    unsafe { in_steps(&from, &to, width, |rows| coder.encode(rows)) }
    0
}

/// Fill the missing source symbols of a slab in place. `have` has a byte for each symbol, not 0 where it is there.
/// Returns the columns that missed some; -1, and nothing is written, where one has fewer than k symbols or something
/// does not fit.
///
/// # Safety
/// `symbols` is NULL or good for `n` bytes, `have` is NULL or good for `have_n`.
#[no_mangle]
pub unsafe extern "C" fn diode_restore(
    symbols: *mut u8,
    n: usize,
    have: *const u8,
    have_n: usize,
    k: usize,
    columns: usize,
    size: usize,
) -> i64 {
    if symbols.is_null() || have.is_null() || columns == 0 || size == 0 || have_n % columns != 0 {
        return -1;
    }
    let rows = have_n / columns;
    if k == 0 || k > rows || rows > MAX_ROWS || have_n.checked_mul(size).is_none_or(|bytes| bytes > n) {
        return -1;
    }
    // SAFETY: good for `have_n` by the caller's promise.
    let have = unsafe { std::slice::from_raw_parts(have, have_n) };
    // SAFETY: `symbols` is good for have_n * size bytes, as compared above.
    unsafe { Symbols { base: symbols, have, k, columns, size }.restore() }.map_or(-1, |columns| columns as i64)
}
