//! The few vector instructions that AES and GHASH are written in. Each CPU that has them is a `Machine`.
//!
//! The instructions named here take the same time whatever bytes they work on.

/// The widest vector of any machine, in blocks.
pub const MAX_WIDTH: usize = 2;

/// A CPU with instructions for AES and for products without carries.
///
/// A block is 16 bytes. As a `u128` it is the number that a load of them from memory gives (little-endian).
///
/// # Safety
/// Every function but `run` may be called only by the work that `run` was given, because it needs the same instructions.
/// `run` may be called only where the CPU has them.
pub trait Machine {
    /// `WIDTH` blocks side by side.
    type Vector: Copy;
    const WIDTH: usize;

    /// Does the work with the machine's instructions. All that the work calls must be inlined into it.
    unsafe fn run<R>(work: impl FnOnce() -> R) -> R;

    /// `from` must be readable for the whole vector. It is read once, and need not be aligned.
    unsafe fn load(from: *const u8) -> Self::Vector;
    /// `to` must be writable for the whole vector. It need not be aligned.
    unsafe fn store(to: *mut u8, vector: Self::Vector);
    unsafe fn zero() -> Self::Vector;
    /// The block in each place.
    unsafe fn broadcast(block: u128) -> Self::Vector;
    /// The block in the first place, zero elsewhere.
    unsafe fn first(block: u128) -> Self::Vector;
    /// All blocks of the vector, added.
    unsafe fn sum(vector: Self::Vector) -> u128;

    unsafe fn xor(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The bytes of each block in reversed order.
    unsafe fn reverse(vector: Self::Vector) -> Self::Vector;
    /// Each half of each block becomes the sum of both halves.
    unsafe fn fold(vector: Self::Vector) -> Self::Vector;
    /// The product without carries of the low halves of each block, and of the high halves.
    unsafe fn low(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn high(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// A round of AES (FIPS 197, 5.1): SubBytes, ShiftRows, MixColumns, AddRoundKey; the last one mixes no columns.
    unsafe fn round(state: Self::Vector, key: Self::Vector) -> Self::Vector;
    unsafe fn last_round(state: Self::Vector, key: Self::Vector) -> Self::Vector;
}
