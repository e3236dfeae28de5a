//! Runs the sessions of the core without Python, for tools that cannot look through an interpreter.
//!
//! - `secrets`: keys, content and tags are marked undefined for valgrind, which reports every branch and every address
//!   that depends on them. With `leak`, one branch does, and has to be reported.
//! - `bounds`: buffers are as long as they are said to be, for a sanitizer; nothing is written but what should be.
//! - `vectors FILE`: lines of key, nonce, data, tag, and `good` or `bad`.

#[path = "../../diode/core/src/aes.rs"]
mod aes;
#[cfg(target_arch = "aarch64")]
#[path = "../../diode/core/src/arm.rs"]
mod arm;
#[path = "../../diode/core/src/cpu.rs"]
mod cpu;
#[path = "../../diode/core/src/gmac.rs"]
mod gmac;
#[path = "../../diode/core/src/machine.rs"]
mod machine;
#[path = "../../diode/core/src/session.rs"]
mod session;
#[cfg(target_arch = "x86_64")]
#[path = "../../diode/core/src/x86.rs"]
mod x86;

use gmac::{Row, HEADER, TAG};
use session::*;
use std::ptr::{null, null_mut};

const SIZES: [usize; 9] = [64, 65, 79, 95, 96, 512, 1472, 2128, 8960];
const ROWS: usize = 11;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["secrets"] => secrets(false),
        ["leak"] => secrets(true),
        ["bounds"] => bounds(),
        ["vectors", file] => vectors(&std::fs::read_to_string(file).expect("vectors")),
        _ => panic!("secrets, leak, bounds, or vectors FILE"),
    }
}

fn key() -> [u8; 32] {
    std::array::from_fn(|i| (i * 7 + 1) as u8)
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i % 251) as u8).collect()
}

/// A request of valgrind's memcheck: 1 makes memory undefined, 2 defined. Without valgrind it does nothing.
#[cfg(target_arch = "x86_64")]
fn mark(request: u64, bytes: &mut [u8]) {
    let arguments = [0x4d43_0000 + request, bytes.as_mut_ptr() as u64, bytes.len() as u64, 0, 0, 0];
    // SAFETY: four rotations by 128 bits in all, and an exchange of a register with itself, change nothing.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inout("rdx") 0u64 => _, out("rdi") _,
        )
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn mark(_: u64, _: &mut [u8]) {}

fn secrets(leak: bool) {
    for size in SIZES {
        let (mut secret, mut rows, mut ok) = (key(), content(ROWS * size), [0u8; ROWS]);
        mark(1, &mut secret);
        if leak && std::hint::black_box(secret[0]) > 7 {
            println!("a branch on a key");
        }
        // SAFETY: every pointer is of a buffer that lives longer, with its own length.
        unsafe {
            let session = diode_session_new(&secret);
            assert!(!session.is_null(), "this CPU cannot");
            for row in rows.chunks_mut(size) {
                mark(1, &mut row[HEADER..]);
            }
            let sealed = diode_seal_rows(session, rows.as_mut_ptr(), rows.len(), size, 0, ROWS, &[7; HEADER], 1, 2);
            let checked = diode_check_rows(session, rows.as_ptr(), rows.len(), size, null(), ROWS, ok.as_mut_ptr());
            assert_eq!((0, 0), (sealed, checked));
            diode_session_free(session);
        }
        mark(2, &mut ok);
        assert_eq!([1; ROWS], ok);
    }
}

fn bounds() {
    for size in SIZES.into_iter().chain(64..200) {
        for count in [0, 1, 8, 9] {
            // SAFETY: every pointer is of a buffer that lives longer, with its own length.
            unsafe { bounds_of(size, count) };
        }
    }
}

unsafe fn bounds_of(size: usize, count: usize) {
    let session = diode_session_new(&key());
    let (mut rows, mut ok) = (content(count * size).into_boxed_slice(), vec![9u8; count].into_boxed_slice());
    let (p, n) = (rows.as_mut_ptr(), rows.len());
    assert_eq!(0, diode_seal_rows(session, p, n, size, 0, count, &[7; HEADER], 1, 2));
    for (i, row) in rows.chunks(size).enumerate() {
        assert_eq!(row[HEADER..size - TAG], content(count * size)[i * size..][HEADER..size - TAG]);
    }
    assert_eq!(0, diode_check_rows(session, p, n, size, null(), count, ok.as_mut_ptr()));
    assert!(ok.iter().all(|&verdict| verdict == 1));
    for start in (0..count).step_by(8) {
        placed(&*session, &rows[start * size..(start + 8).min(count) * size], size);
    }
    let numbers = [count as u64];
    assert_eq!(-1, diode_check_rows(session, p, n, size, numbers.as_ptr(), 1, ok.as_mut_ptr().max(&mut 0)));
    assert_eq!(-1, diode_check_rows(session, p, n, size, null(), count + 1, ok.as_mut_ptr()));
    assert_eq!(-1, diode_seal_rows(session, p, n, size, 1, count, null(), 0, 0));
    diode_session_free(session);
}

/// What is copied while it is read is what was read, and no byte more.
unsafe fn placed(session: &Session, rows: &[u8], size: usize) {
    let symbol = size - HEADER - TAG;
    let mut places: Vec<Box<[u8]>> = rows.chunks(size).map(|_| vec![0; symbol].into_boxed_slice()).collect();
    let batch: Vec<Row> = rows
        .chunks(size)
        .zip(&mut places)
        .map(|(row, to)| Row { header: header_at(row.as_ptr()), rest: row[HEADER..].as_ptr(), to: to.as_mut_ptr() })
        .collect();
    assert_eq!((1u32 << batch.len()) - 1, session.check(&batch, symbol) as u32);
    assert!(rows.chunks(size).zip(&places).all(|(row, place)| row[HEADER..size - TAG] == place[..]));
    let unplaced: Vec<Row> = batch.iter().map(|row| Row { to: null_mut(), ..*row }).collect();
    assert_eq!((1u32 << batch.len()) - 1, session.check(&unplaced, symbol) as u32);
}

fn vectors(text: &str) {
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [key, nonce, data, expected, verdict] = fields[..] else { panic!("{line}") };
        let key: [u8; 32] = unhex(key).try_into().expect("32 bytes");
        let nonce: [u8; 12] = unhex(nonce).try_into().expect("12 bytes");
        let (data, mut tag) = (unhex(data.trim_matches('-')), [0; TAG]);
        // SAFETY: every pointer is of a buffer that lives longer, with its own length.
        unsafe {
            let session = diode_session_new(&key);
            assert!(!session.is_null(), "this CPU cannot");
            assert_eq!(0, diode_session_tag(session, &nonce, data.as_ptr(), data.len(), &mut tag));
            diode_session_free(session);
        }
        assert_eq!(unhex(expected) == tag, verdict == "good", "{line}");
        count += 1;
    }
    println!("{count} vectors");
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}
