//! Takes received datagrams: checks their tags while their symbols go to the places that their slab lacks.
//!
//! The datagrams may lie in memory that a hostile process writes meanwhile. So nothing of a row is read twice. Its
//! header is the caller's copy, of which the number of the symbol comes. The symbol is copied once, and its tag is
//! computed over what was copied. The tag in the row is read once. `have` says that a place is filled only after the
//! verdict, so a place that is lacked may hold the symbol of a forged row.
//!
//! Rows are taken one after another, as if each verdict were known before the next row is looked at: the eight rows of a
//! batch have eight different places.

use crate::aes::BATCH;
use crate::gmac::{Row, HEADER, TAG};
use crate::session::{fits, Session, MAX_SYMBOLS, SYMBOL};

const LEFT: u8 = 0; // not verified: the place of its symbol is filled, or there is none
const TAKEN: u8 = 1; // authentic, and its symbol is in its place
const FORGED: u8 = 2;

/// The places of one slab's symbols. None: rows are only verified.
#[derive(Clone, Copy)]
struct Places {
    symbols: *mut u8,
    have: *mut u8,
    count: usize,
}

/// Up to eight rows that are verified together, of different places.
struct Batch {
    rows: [Row; BATCH],
    numbers: [usize; BATCH], // of their symbols; 0 without places
    status: [*mut u8; BATCH],
    filled: usize,
}

impl Batch {
    fn has(&self, number: usize) -> bool {
        self.numbers[..self.filled].contains(&number)
    }

    fn add(&mut self, row: Row, number: usize, status: *mut u8) {
        self.rows[self.filled] = row;
        self.numbers[self.filled] = number;
        self.status[self.filled] = status;
        self.filled += 1;
    }

    /// Verifies what is in it, and empties it.
    ///
    /// # Safety
    /// As `Session::check` for each row. `status` and `places.have` must be writable at what was added.
    unsafe fn settle(&mut self, session: &Session, symbol_bytes: usize, places: Option<Places>) {
        let authentic = session.check(&self.rows[..self.filled], symbol_bytes);
        for i in 0..self.filled {
            let is_authentic = authentic >> i & 1 == 1;
            *self.status[i] = if is_authentic { TAKEN } else { FORGED };
            if let (true, Some(places)) = (is_authentic, places) {
                *places.have.add(self.numbers[i]) = 1;
            }
        }
        self.filled = 0;
    }
}

/// Takes `count` rows of the matrix at `p`, whose numbers are `rows`, under the headers that the caller copied from them.
///
/// `status` becomes 1 where a row is authentic and its symbol is in its place, 2 where it is not authentic, and 0 where
/// it was not looked at, because `have` is not 0 at its place, or `have_n` places end before it. `have` becomes 1 where a
/// symbol was placed. Where `have` is 0 afterwards, the symbols may hold anything. Where `symbols` and `have` are null,
/// rows are verified only. -1 if an argument does not fit; then nothing was written.
///
/// # Safety
/// `session` must be null or of `diode_session_new`. `p` must be readable for `n` bytes, whoever writes there; `rows` for
/// `count` numbers; `headers` for `count` headers. `symbols`, `have` and `status` must be writable for `symbols_n`,
/// `have_n` and `count` bytes. Nobody else may write these five meanwhile, and they may overlap nowhere.
#[no_mangle]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn diode_take(
    session: *const Session,
    p: *const u8,
    n: usize,
    size: usize,
    rows: *const u64,
    headers: *const [u8; HEADER],
    count: usize,
    symbols: *mut u8,
    symbols_n: usize,
    have: *mut u8,
    have_n: usize,
    status: *mut u8,
) -> i32 {
    let is_given = !(session.is_null() || p.is_null() || rows.is_null() || headers.is_null() || status.is_null());
    if !is_given || symbols.is_null() != have.is_null() || !fits(n, size, Some(0)) {
        return -1;
    }
    let symbol_bytes = size - HEADER - TAG;
    if have_n > MAX_SYMBOLS || have_n * symbol_bytes > symbols_n {
        return -1;
    }
    for i in 0..count {
        if *rows.add(i) >= (n / size) as u64 {
            return -1;
        }
    }
    let places = if have.is_null() { None } else { Some(Places { symbols, have, count: have_n }) };
    let mut batch = Batch {
        rows: [Row::EMPTY; BATCH],
        numbers: [0; BATCH],
        status: [std::ptr::null_mut(); BATCH],
        filled: 0,
    };
    for i in 0..count {
        let header = *headers.add(i);
        let (mut number, mut to) = (0, std::ptr::null_mut());
        if let Some(places) = places {
            number = usize::from(u16::from_be_bytes([header[SYMBOL.start], header[SYMBOL.start + 1]]));
            if batch.has(number) {
                batch.settle(&*session, symbol_bytes, Some(places));
            }
            if number >= places.count || *places.have.add(number) != 0 {
                *status.add(i) = LEFT;
                continue;
            }
            to = places.symbols.add(number * symbol_bytes);
        }
        let rest = p.add(*rows.add(i) as usize * size + HEADER);
        batch.add(Row { header, rest, to }, number, status.add(i));
        if batch.filled == BATCH {
            batch.settle(&*session, symbol_bytes, places);
        }
    }
    batch.settle(&*session, symbol_bytes, places);
    0
}
