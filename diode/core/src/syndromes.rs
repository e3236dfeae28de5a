//! Repair rows by syndromes: zfec's code with a third of the multiplications.
//!
//! **The idea.** Take the k source rows and the r repair rows wanted as one code of k + r rows. Its words c are exactly
//! those with sum(w_i * c_i * h(x_i)) = 0 for every polynomial h of degree below r (`field::check_weights`). Take for h
//! the r polynomials H_0, ..., H_(r-1) of the novel basis. The part of each sum over the source rows is a *syndrome*
//! S_j, and the part over the repair rows must be the same, because adding is xor. So the repair rows are the inverse
//! of the small matrix A(j, p) = w_p * H_j(x_p), times the syndromes.
//!
//! **The transform.** H_j(x) is the product of s_i(x) over the bits i of j. Sums of v(x) * H_j(x) over a coset of 2^m
//! points split in halves by the last bit of the count: let u and v be what two neighbouring halves came to so far, of
//! which s_i is t and t + 1. Without bit i in j they add to u + v; with it, to t * u + (t + 1) * v = t * (u + v) + v.
//! So u += v, v += t * u: one multiplication for two sums, and m layers of them. This is the transpose of the additive
//! FFT. The field is 2^8 / 2^m cosets, with 2^m the next power of two from r on; their sums add up.
//!
//! **The cost** a column: k + 128 * m + r * r multiplications instead of k * r. For 200 + 20 it is 1240 instead of
//! 4000.
//!
//! The layers work on strips that stay in the first cache: eight points at a time for the first three, which read the
//! source, then four at a time for two layers, so that each sum is loaded and stored once for two layers.

use crate::field::{basis_polynomial, check_weights, element, row_at, vanishing, Matrix, MAX_ROWS, POINTS};
use crate::gf::{Product, Rows, Vector, Work, LANES, STEP};

/// Bytes of each row that go through all layers together: 32 sums of it take half of a 32 KiB cache.
const STRIP: usize = 512;
/// The layers of `first_layers`.
const FIRST: usize = 3;
/// A point of the field whose row is not source.
const NONE: u16 = u16::MAX;

pub struct Syndromes {
    outputs: usize,
    /// A coset has 2^layers points.
    layers: usize,
    /// The source row and the weight at each count of the field.
    row: Vec<u16>,
    weight: Vec<u8>,
    /// Whether some weight is not 1. With 256 rows in all, all are 1.
    weighted: bool,
    /// t of each pair of halves, by layer.
    twiddles: Vec<Vec<u8>>,
    solve: Product,
}

impl Syndromes {
    /// For repair rows `first .. first + r` of k source rows; r is 1 at least, and the last row below 256.
    pub fn new(k: usize, first: usize, r: usize) -> Syndromes {
        let layers = (r.next_power_of_two().trailing_zeros() as usize).max(FIRST);
        let rows: Vec<usize> = (0..k).chain(k + first..k + first + r).collect();
        let weights = check_weights(&rows);
        let (mut row, mut weight) = (vec![NONE; MAX_ROWS], vec![0; MAX_ROWS]);
        for count in 0..MAX_ROWS {
            let at = row_at(element(count));
            if at < k {
                row[count] = at as u16;
                weight[count] = weights[at];
            }
        }
        let twiddles =
            |layer| (0..MAX_ROWS >> (layer + 1)).map(|pair| vanishing(layer, element(pair << (layer + 1)))).collect();
        let checks =
            Matrix::of(r, r, |j, p| crate::field::multiply(weights[k + p], basis_polynomial(j, POINTS[rows[k + p]])));
        let inverse = checks.inverse().expect("any r rows of a code with r checks are independent of the others");
        Syndromes {
            outputs: r,
            layers,
            weighted: weights[..k].iter().any(|&weight| weight != 1),
            row,
            weight,
            twiddles: (0..layers).map(twiddles).collect(),
            solve: Product::by(&inverse),
        }
    }

    /// Multiplications a column, for the choice between ways.
    pub fn cost(k: usize, r: usize) -> usize {
        let layers = (r.next_power_of_two().trailing_zeros() as usize).max(FIRST);
        k + MAX_ROWS / 2 * layers + r * r
    }
}

/// One coset of a strip in work.
struct Strip<'a> {
    plan: &'a Syndromes,
    /// The first count of the coset.
    base: usize,
    /// 2^layers sums of `STRIP` bytes.
    sums: *mut u8,
    /// What the cosets before came to: `outputs` sums of `STRIP` bytes.
    totals: *mut u8,
    bytes: usize,
}

/// All strips of a stretch.
pub struct Encode<'a> {
    pub plan: &'a Syndromes,
    pub rows: Rows<'a>,
}

impl Work for Encode<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Encode { plan, rows } = self;
        let points = 1 << plan.layers;
        let mut memory = vec![0u8; (points + plan.outputs) * STRIP + STEP];
        let skip = memory.as_ptr().align_offset(STEP).min(STEP);
        // SAFETY: `skip` is STEP at most, and `memory` has STEP bytes more than the sums and the totals take.
        let (sums, totals) = unsafe { (memory.as_mut_ptr().add(skip), memory.as_mut_ptr().add(skip + points * STRIP)) };
        // SAFETY: one total an output, of which the last ends where `memory` does or before.
        let from: Vec<*const u8> = (0..plan.outputs).map(|j| unsafe { totals.add(j * STRIP) }.cast_const()).collect();
        let mut to = vec![std::ptr::null_mut(); plan.outputs];
        for at in (rows.at..rows.at + rows.bytes).step_by(STRIP) {
            let bytes = STRIP.min(rows.at + rows.bytes - at);
            // SAFETY: the caller's pointers are good for `rows`, of which this strip is a part; sums and totals have
            // STRIP bytes each, and lie in memory of this function's own.
            unsafe {
                totals.write_bytes(0, plan.outputs * STRIP);
                for base in (0..MAX_ROWS).step_by(points) {
                    let strip = Strip { plan, base, sums, totals, bytes };
                    if plan.weighted {
                        strip.first_layers::<V, true>(rows.from, at);
                    } else {
                        strip.first_layers::<V, false>(rows.from, at);
                    }
                    strip.later_layers::<V>();
                }
                for (to, output) in to.iter_mut().zip(rows.to) {
                    *to = output.add(at);
                }
                plan.solve.multiply::<V>(Rows { from: &from, to: &to, at: 0, bytes });
            }
        }
    }
}

/// One step of a layer: u += v, v += t * u.
#[inline(always)]
unsafe fn fly<V: Vector>(u: &mut V, v: &mut V, t: V::Factor) {
    // SAFETY: the CPU has what `V` needs, by the caller's promise.
    unsafe {
        *u = u.plus(*v);
        *v = v.plus(V::times(u.split(), t));
    }
}

/// # Safety of all The CPU has what `V` needs; `sums` and `totals` are as `Strip` says; `bytes` is a multiple of LANES
/// and STRIP at most.
impl Strip<'_> {
    /// Read the source rows from byte `at` on, weigh them, and do three layers.
    #[inline(always)]
    unsafe fn first_layers<V: Vector, const WEIGHTED: bool>(&self, from: &[*const u8], at: usize) {
        let plan = self.plan;
        for group in (0..1 << plan.layers).step_by(8) {
            let count = self.base + group;
            let rows: [Option<*const u8>; 8] = std::array::from_fn(|e| from.get(plan.row[count + e] as usize).copied());
            // SAFETY: a row's pointer is good for `at + bytes`; eight sums from `group` on are within 2^layers.
            unsafe {
                let weights: [V::Factor; 8] = std::array::from_fn(|e| V::factor(plan.weight[count + e]));
                let t0: [V::Factor; 4] = std::array::from_fn(|p| V::factor(plan.twiddles[0][count / 2 + p]));
                let t1: [V::Factor; 2] = std::array::from_fn(|p| V::factor(plan.twiddles[1][count / 4 + p]));
                let t2 = V::factor(plan.twiddles[2][count / 8]);
                let sums = self.sums.add(group * STRIP);
                for q in (0..self.bytes).step_by(LANES) {
                    let read = |e: usize| match rows[e] {
                        None => V::zero(),
                        Some(row) if WEIGHTED => V::times(V::load(row.add(at + q)).split(), weights[e]),
                        Some(row) => V::load(row.add(at + q)),
                    };
                    let (mut a, mut b, mut c, mut d) = (read(0), read(1), read(2), read(3));
                    fly(&mut a, &mut b, t0[0]);
                    fly(&mut c, &mut d, t0[1]);
                    fly(&mut a, &mut c, t1[0]);
                    fly(&mut b, &mut d, t1[0]);
                    let (mut e, mut f, mut g, mut h) = (read(4), read(5), read(6), read(7));
                    fly(&mut e, &mut f, t0[2]);
                    fly(&mut g, &mut h, t0[3]);
                    fly(&mut e, &mut g, t1[1]);
                    fly(&mut f, &mut h, t1[1]);
                    fly(&mut a, &mut e, t2);
                    fly(&mut b, &mut f, t2);
                    fly(&mut c, &mut g, t2);
                    fly(&mut d, &mut h, t2);
                    for (i, sum) in [a, b, c, d, e, f, g, h].into_iter().enumerate() {
                        sum.store(sums.add(i * STRIP + q));
                    }
                }
            }
        }
    }

    /// The layers after the first three, two at a time; the last one or two add to the totals.
    #[inline(always)]
    unsafe fn later_layers<V: Vector>(&self) {
        let plan = self.plan;
        let mut layer = FIRST;
        // SAFETY: the caller's promise; layers and points are within those of the plan.
        unsafe {
            while layer + 2 < plan.layers {
                let half = 1 << layer;
                for block in (0..1 << plan.layers).step_by(4 * half) {
                    let twiddles = self.twiddles(layer, block);
                    for point in block..block + half {
                        self.four::<V, 4, false>(point, half, twiddles);
                    }
                }
                layer += 2;
            }
            let half = 1 << layer;
            for point in 0..half {
                let wanted = plan.outputs.saturating_sub(point).div_ceil(half);
                match plan.layers - layer {
                    0 if wanted > 0 => self.add::<V>(point),
                    1 => {
                        let t = plan.twiddles[layer][self.base >> (layer + 1)];
                        match wanted {
                            0 => (),
                            1 => self.two::<V, 1>(point, half, t),
                            _ => self.two::<V, 2>(point, half, t),
                        }
                    }
                    2 => {
                        let twiddles = self.twiddles(layer, 0);
                        match wanted {
                            0 => (),
                            1 => self.four::<V, 1, true>(point, half, twiddles),
                            2 => self.four::<V, 2, true>(point, half, twiddles),
                            3 => self.four::<V, 3, true>(point, half, twiddles),
                            _ => self.four::<V, 4, true>(point, half, twiddles),
                        }
                    }
                    _ => (),
                }
            }
        }
    }

    /// The twiddles of two layers for the points from `block` on: two pairs of halves, then one.
    #[inline(always)]
    fn twiddles(&self, layer: usize, block: usize) -> [u8; 3] {
        let (count, plan) = (self.base + block, self.plan);
        let pair = count >> (layer + 1);
        [plan.twiddles[layer][pair], plan.twiddles[layer][pair + 1], plan.twiddles[layer + 1][pair / 2]]
    }

    /// Two layers for the sums `point`, `point + half`, `+ 2 half`, `+ 3 half`. With TOTAL the first WANTED are added
    /// to the totals and the others are not needed; else they are stored where they were.
    #[inline(always)]
    unsafe fn four<V: Vector, const WANTED: usize, const TOTAL: bool>(
        &self,
        point: usize,
        half: usize,
        twiddles: [u8; 3],
    ) {
        // SAFETY: point + 3 * half is below 2^layers; with TOTAL, point + (WANTED - 1) * half is below `outputs`.
        unsafe {
            let [t0, t1, t2] = [V::factor(twiddles[0]), V::factor(twiddles[1]), V::factor(twiddles[2])];
            let sum = |i: usize| self.sums.add((point + i * half) * STRIP);
            for q in (0..self.bytes).step_by(LANES) {
                let load = |i: usize| V::load(sum(i).add(q));
                let (mut a, mut b, mut c, mut d) = (load(0), load(1), load(2), load(3));
                fly(&mut a, &mut b, t0);
                fly(&mut c, &mut d, t1);
                if WANTED > 2 {
                    fly(&mut a, &mut c, t2);
                } else {
                    a = a.plus(c);
                }
                if WANTED > 3 {
                    fly(&mut b, &mut d, t2);
                } else {
                    b = b.plus(d);
                }
                for (i, sum_of) in [a, b, c, d].into_iter().enumerate().take(WANTED) {
                    if TOTAL {
                        self.add_to_total(point + i * half, q, sum_of);
                    } else {
                        sum_of.store(sum(i).add(q));
                    }
                }
            }
        }
    }

    /// One layer for the sums `point` and `point + half`, of which the first WANTED are added to the totals.
    #[inline(always)]
    unsafe fn two<V: Vector, const WANTED: usize>(&self, point: usize, half: usize, twiddle: u8) {
        // SAFETY: point + half is below 2^layers, and point + (WANTED - 1) * half below `outputs`.
        unsafe {
            let t = V::factor(twiddle);
            for q in (0..self.bytes).step_by(LANES) {
                let mut a = V::load(self.sums.add(point * STRIP + q));
                let mut b = V::load(self.sums.add((point + half) * STRIP + q));
                if WANTED > 1 {
                    fly(&mut a, &mut b, t);
                    self.add_to_total(point + half, q, b);
                } else {
                    a = a.plus(b);
                }
                self.add_to_total(point, q, a);
            }
        }
    }

    /// No layer: the sum `point`, which is below `outputs`, is added to its total.
    #[inline(always)]
    unsafe fn add<V: Vector>(&self, point: usize) {
        for q in (0..self.bytes).step_by(LANES) {
            // SAFETY: both are STRIP bytes of ours.
            unsafe { self.add_to_total(point, q, V::load(self.sums.add(point * STRIP + q))) }
        }
    }

    #[inline(always)]
    unsafe fn add_to_total<V: Vector>(&self, output: usize, at: usize, sum: V) {
        // SAFETY: `output` is below `outputs`, and `at + LANES` is STRIP at most.
        unsafe {
            let total = self.totals.add(output * STRIP + at);
            V::load(total).plus(sum).store(total);
        }
    }
}
