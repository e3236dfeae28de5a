//! Sessions for Python: seal or check the rows of a matrix of datagrams in one call.

use crate::aes::BATCH;
use crate::gmac::{Row, Tags, Untagged, HEADER, TAG};

const COUNTER: std::ops::Range<usize> = 16..24;
pub const SYMBOL: std::ops::Range<usize> = 36..38;
pub const MAX_SYMBOLS: usize = 1 << 16;
const MAX_SIZE: usize = 1 << 16; // no datagram is larger

/// The key of one session, ready to use. Several threads may use it at once.
pub struct Session(Box<dyn Tags>);

impl Session {
    /// Which of at most eight rows are authentic, one bit each. Where a row says so its symbol is copied before that.
    ///
    /// What was copied for a row that is not authentic must be forgotten. The tag is read after the symbol, once, and is
    /// compared as a whole.
    ///
    /// # Safety
    /// As `Tags::tags`, and `rest` must be readable for `TAG` bytes more.
    pub unsafe fn check(&self, rows: &[Row], symbol_bytes: usize) -> u8 {
        debug_assert!(rows.len() <= BATCH);
        let tags = self.0.tags(rows, symbol_bytes);
        let mut authentic = 0;
        for (i, (row, tag)) in rows.iter().zip(tags).enumerate() {
            let found = row.rest.add(symbol_bytes).cast::<u128>().read_unaligned();
            authentic |= u8::from(found ^ tag == 0) << i;
        }
        authentic
    }
}

/// Whether a matrix of `n` bytes with rows of `size` has the rows up to `end`.
pub fn fits(n: usize, size: usize, end: Option<usize>) -> bool {
    (HEADER + TAG..=MAX_SIZE).contains(&size) && end.is_some_and(|end| end <= n / size)
}

/// The header at `row`, copied.
///
/// # Safety
/// `row` must be readable for `HEADER` bytes.
pub unsafe fn header_at(row: *const u8) -> [u8; HEADER] {
    row.cast::<[u8; HEADER]>().read()
}

/// A session under a key of 32 bytes, or without authentication where `key` is null. Null where the CPU lacks what is
/// needed. `diode_session_free` must be called once for it.
///
/// # Safety
/// `key` must be null or readable for 32 bytes.
#[no_mangle]
pub unsafe extern "C" fn diode_session_new(key: *const [u8; 32]) -> *mut Session {
    let tags = if key.is_null() { Some(Box::new(Untagged) as Box<dyn Tags>) } else { under(&*key) };
    tags.map_or(std::ptr::null_mut(), |tags| Box::into_raw(Box::new(Session(tags))))
}

#[cfg(target_arch = "x86_64")]
fn under(key: &[u8; 32]) -> Option<Box<dyn Tags>> {
    use crate::cpu::{has, Feature};
    use crate::gmac::Gmac;
    use crate::x86::{AesNi, Vaes};

    if has(Feature::Vaes) {
        // SAFETY: the CPU has the instructions of this machine, as was just asked.
        return Some(unsafe { Gmac::<Vaes>::new(key) });
    }
    if has(Feature::Aes) {
        // SAFETY: the CPU has the instructions of this machine, as was just asked.
        return Some(unsafe { Gmac::<AesNi>::new(key) });
    }
    None
}

#[cfg(target_arch = "aarch64")]
fn under(key: &[u8; 32]) -> Option<Box<dyn Tags>> {
    use crate::arm::Arm;
    use crate::cpu::{has, Feature};
    use crate::gmac::Gmac;

    // SAFETY: the CPU has the instructions of this machine, as was just asked.
    has(Feature::Aes).then(|| unsafe { Gmac::<Arm>::new(key) } as Box<dyn Tags>)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn under(_: &[u8; 32]) -> Option<Box<dyn Tags>> {
    None
}

/// Overwrites the key, and gives its memory back.
///
/// # Safety
/// `session` must be null or of `diode_session_new`, and not be used again.
#[no_mangle]
pub unsafe extern "C" fn diode_session_free(session: *mut Session) {
    if !session.is_null() {
        drop(Box::from_raw(session));
    }
}

/// Writes headers and tags into `count` rows from `first` on; symbols stand there already.
///
/// Headers are the template, but for the counter and the symbol's number, which rise by one from row to row. Where the
/// template is null, headers stand there too.
///
/// # Safety
/// `p` must be writable for `n` bytes, and nobody else may write there meanwhile. `template` must be null or readable
/// for 48 bytes.
#[no_mangle]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn diode_seal_rows(
    session: *const Session,
    p: *mut u8,
    n: usize,
    size: usize,
    first: usize,
    count: usize,
    template: *const [u8; HEADER],
    counter: u64,
    symbol: u32,
) -> i32 {
    let last_counter = counter.checked_add(count as u64);
    let is_numbered = (symbol as usize).checked_add(count).is_some_and(|end| end <= MAX_SYMBOLS);
    if session.is_null() || p.is_null() || !fits(n, size, first.checked_add(count)) {
        return -1;
    }
    if !template.is_null() && (last_counter.is_none() || !is_numbered) {
        return -1;
    }
    let mut rows = [Row::EMPTY; BATCH];
    for start in (0..count).step_by(BATCH) {
        let some = (count - start).min(BATCH);
        for i in 0..some {
            let at = p.add((first + start + i) * size);
            if !template.is_null() {
                let number = start + i;
                let mut header = *template;
                header[COUNTER].copy_from_slice(&(counter + number as u64).to_be_bytes());
                header[SYMBOL].copy_from_slice(&((symbol as usize + number) as u16).to_be_bytes());
                at.cast::<[u8; HEADER]>().write(header);
            }
            rows[i] = Row { header: header_at(at), rest: at.add(HEADER), to: std::ptr::null_mut() };
        }
        let tags = (*session).0.tags(&rows[..some], size - HEADER - TAG);
        for (i, tag) in tags[..some].iter().enumerate() {
            p.add((first + start + i + 1) * size - TAG).cast::<u128>().write_unaligned(*tag);
        }
    }
    0
}

/// Judges `count` rows: the first ones, or those whose numbers are given. `ok` becomes 1 for each authentic one, else 0.
///
/// # Safety
/// `p` must be readable for `n` bytes, `rows` null or readable for `count` numbers, `ok` writable for `count` bytes.
#[no_mangle]
pub unsafe extern "C" fn diode_check_rows(
    session: *const Session,
    p: *const u8,
    n: usize,
    size: usize,
    rows: *const u64,
    count: usize,
    ok: *mut u8,
) -> i32 {
    let is_all = rows.is_null();
    if session.is_null() || p.is_null() || ok.is_null() || !fits(n, size, Some(if is_all { count } else { 0 })) {
        return -1;
    }
    let mut batch = [Row::EMPTY; BATCH];
    for start in (0..count).step_by(BATCH) {
        let some = (count - start).min(BATCH);
        for (i, row) in batch[..some].iter_mut().enumerate() {
            let number = if is_all { (start + i) as u64 } else { *rows.add(start + i) };
            if number >= (n / size) as u64 {
                return -1;
            }
            let at = p.add(number as usize * size);
            *row = Row { header: header_at(at), rest: at.add(HEADER), to: std::ptr::null_mut() };
        }
        let authentic = (*session).check(&batch[..some], size - HEADER - TAG);
        for i in 0..some {
            *ok.add(start + i) = authentic >> i & 1;
        }
    }
    0
}

/// The tag of any `n` bytes under any nonce, for test vectors.
///
/// # Safety
/// `nonce` must be readable for 12 bytes, `p` for `n`, and `tag` writable for 16.
#[no_mangle]
pub unsafe extern "C" fn diode_session_tag(
    session: *const Session,
    nonce: *const [u8; 12],
    p: *const u8,
    n: usize,
    tag: *mut [u8; TAG],
) -> i32 {
    if session.is_null() || nonce.is_null() || p.is_null() || tag.is_null() {
        return -1;
    }
    *tag = (*session).0.tag(*nonce, p, n).to_le_bytes();
    0
}
