//! GF(2^8), the field of the repair code, and what the code's points need of it.
//!
//! Elements are bytes. Adding is xor. Multiplying is that of polynomials over GF(2) modulo
//! x^8 + x^4 + x^3 + x^2 + 1 (0x11D), where a = 2 generates all elements but 0, so products go by logarithms.
//!
//! **The code.** It is zfec's. A column of a slab is the polynomial of degree below k whose value at `POINTS[i]` is
//! source byte i. Row n of the code is its value at `POINTS[n]`, and the points are 0, 1, a, a^2, ..., a^254. So every
//! row is a weighted sum of any k others, and Lagrange's formula gives the weights: [`weights`].
//!
//! **Cantor's basis.** Let s(x) = x^2 + x, and s_i be s applied i times. s is linear over GF(2) and takes everything to
//! 0 after eight times. `BASIS[0]` = 1 and s(`BASIS[i + 1]`) = `BASIS[i]`, so s_i is 0 on the span of the first i
//! elements and 1 on element i. [`element`] counts through the field in this basis: the 2^m numbers from a multiple of
//! 2^m on are a coset of a subspace, and s_i depends on the higher bits alone. The transform in `coder.rs` lives on
//! that.
//! References: Cantor, "On arithmetical algorithms over finite fields" (1989); Gao and Mateer, "Additive fast Fourier
//! transforms over finite fields" (2010); Lin, Chung and Han, "Novel polynomial basis and its application to
//! Reed-Solomon erasure codes" (2014), from which the polynomials [`basis_polynomial`] are.

/// A row has a point of its own, so there are no more.
pub const MAX_ROWS: usize = 256;

const POLYNOMIAL: usize = 0x11D;

/// Powers of the generator, three times over: a sum of three logarithms needs no reduction.
static EXP: [u8; 765] = powers();
/// Logarithms; that of 0 does not exist, and its place is never read for a product.
static LOG: [u16; 256] = logarithms();
/// Where each row is evaluated.
pub static POINTS: [u8; MAX_ROWS] = points();
/// Cantor's basis of the field.
static BASIS: [u8; 8] = cantor_basis();

const fn powers() -> [u8; 765] {
    let mut table = [0; 765];
    let (mut x, mut i) = (1usize, 0);
    while i < table.len() {
        table[i] = x as u8;
        x <<= 1;
        if x & 0x100 != 0 {
            x ^= POLYNOMIAL;
        }
        i += 1;
    }
    table
}

const fn logarithms() -> [u16; 256] {
    let (exp, mut table, mut i) = (powers(), [0; 256], 0);
    while i < 255 {
        table[exp[i] as usize] = i as u16;
        i += 1;
    }
    table
}

const fn points() -> [u8; MAX_ROWS] {
    let (exp, mut table, mut i) = (powers(), [0; MAX_ROWS], 1);
    while i < MAX_ROWS {
        table[i] = exp[i - 1];
        i += 1;
    }
    table
}

const fn cantor_basis() -> [u8; 8] {
    let (mut basis, mut i) = ([1; 8], 1);
    while i < 8 {
        let mut x = 2u8;
        while product(x, x) ^ x != basis[i - 1] {
            x += 1; // there are two solutions, which differ by 1, for each of the first seven
        }
        basis[i] = x;
        i += 1;
    }
    basis
}

/// The product of two elements, bit by bit: slow, and good for tables that the compiler makes.
pub const fn product(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut sum) = (a as usize, b, 0);
    while b != 0 {
        if b & 1 != 0 {
            sum ^= a;
        }
        a <<= 1;
        if a & 0x100 != 0 {
            a ^= POLYNOMIAL;
        }
        b >>= 1;
    }
    sum as u8
}

/// The product of two elements.
pub fn multiply(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    EXP[(log(a) + log(b)) as usize]
}

fn log(a: u8) -> u32 {
    LOG[a as usize] as u32
}

fn inverse(a: u8) -> u8 {
    EXP[255 - log(a) as usize]
}

/// The logarithm of the difference of two rows' points.
fn distance(row: usize, other: usize) -> u32 {
    log(POINTS[row] ^ POINTS[other])
}

/// A matrix over the field, row by row.
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    cells: Vec<u8>,
}

impl Matrix {
    /// The matrix whose cells are `cell(row, column)`.
    pub fn of(rows: usize, columns: usize, cell: impl Fn(usize, usize) -> u8) -> Matrix {
        let cells = (0..rows * columns).map(|at| cell(at / columns, at % columns)).collect();
        Matrix { rows, columns, cells }
    }

    pub fn row(&self, row: usize) -> &[u8] {
        &self.cells[row * self.columns..][..self.columns]
    }

    /// The inverse of a square matrix (Gauss and Jordan), or None if there is none.
    pub fn inverse(&self) -> Option<Matrix> {
        let n = self.rows;
        let mut both: Vec<Vec<u8>> =
            (0..n).map(|i| self.row(i).iter().copied().chain((0..n).map(|j| (i == j) as u8)).collect()).collect();
        for column in 0..n {
            let pivot = (column..n).find(|&row| both[row][column] != 0)?;
            both.swap(column, pivot);
            let mut pivot = std::mem::take(&mut both[column]);
            let scale = inverse(pivot[column]);
            pivot.iter_mut().for_each(|cell| *cell = multiply(*cell, scale));
            for row in both.iter_mut().filter(|row| row.get(column).is_some_and(|&cell| cell != 0)) {
                let factor = row[column];
                row.iter_mut().zip(&pivot).for_each(|(cell, &p)| *cell ^= multiply(factor, p));
            }
            both[column] = pivot;
        }
        Some(Matrix::of(n, n, |i, j| both[i][n + j]))
    }
}

/// What Lagrange's formula needs of k source rows, for any choice of k known rows.
pub struct Points {
    k: usize,
    /// Of each row: the sum of its distances to all source rows but itself.
    sums: Vec<u32>,
}

impl Points {
    /// For a code of `rows` rows, of which the first `k` are source.
    pub fn new(k: usize, rows: usize) -> Points {
        let sum = |row| (0..k).filter(|&source| source != row).map(|source| distance(row, source)).sum();
        Points { k, sums: (0..rows).map(sum).collect() }
    }

    /// Weights that give each row of `wanted` from the rows `known`, one row of the matrix each.
    ///
    /// `known` are the source rows without those of `missing`, then as many rows of `repair`, all distinct.
    pub fn weights(&self, known: &[u8], missing: &[u8], repair: &[u8], wanted: &[u8]) -> Matrix {
        debug_assert_eq!(self.k, known.len());
        // product over the known points but its own, as logarithm
        let span = |&row: &u8| {
            let row = row as usize;
            let far = |rows: &[u8]| {
                rows.iter()
                    .map(|&other| other as usize)
                    .filter(|&other| other != row)
                    .map(|other| distance(row, other))
                    .sum::<u32>()
            };
            (self.sums[row] + far(repair) + 255 * missing.len() as u32 - far(missing)) % 255
        };
        let slopes: Vec<u32> = known.iter().map(|row| 255 - span(row)).collect();
        let spans: Vec<u32> = wanted.iter().map(span).collect();
        Matrix::of(wanted.len(), known.len(), |i, j| {
            EXP[(spans[i] + slopes[j] + 255 - distance(wanted[i] as usize, known[j] as usize)) as usize]
        })
    }
}

/// The number `count` in Cantor's basis: all 256 elements, each once.
pub fn element(count: usize) -> u8 {
    (0..8).filter(|bit| count >> bit & 1 == 1).fold(0, |sum, bit| sum ^ BASIS[bit])
}

/// The row that is evaluated at an element.
pub fn row_at(element: u8) -> usize {
    if element == 0 {
        0
    } else {
        log(element) as usize + 1
    }
}

/// s_i: x^2 + x, `i` times over. It is 0 on the span of the first i elements of the basis.
pub fn vanishing(i: usize, x: u8) -> u8 {
    (0..i).fold(x, |y, _| multiply(y, y) ^ y)
}

/// Polynomial `j` of the novel basis, of degree j, at `x`: the product of s_i over the bits i of j.
pub fn basis_polynomial(j: usize, x: u8) -> u8 {
    (0..8).filter(|bit| j >> bit & 1 == 1).fold(1, |product, bit| multiply(product, vanishing(bit, x)))
}

/// The weight of each of `rows` in every check of the code with these rows: 1 / product of its distances to the others.
///
/// A code word c of k of these rows' values has sum(weight_i * c_i * h(x_i)) = 0 for each polynomial h of degree below
/// rows - k.
pub fn check_weights(rows: &[usize]) -> Vec<u8> {
    let weight = |&row: &usize| {
        let sum: u32 = rows.iter().filter(|&&other| other != row).map(|&other| distance(row, other)).sum();
        EXP[(255 - sum % 255) as usize]
    };
    rows.iter().map(weight).collect()
}
