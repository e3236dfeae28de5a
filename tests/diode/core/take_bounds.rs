//! A program that calls `diode_take` with random arguments over memory of exactly their sizes, for AddressSanitizer.
//!
//! Arguments: a seed, and how many calls. A third of the calls lie about a length; these must be refused.

#[path = "../../../diode/core/src/aes.rs"]
#[allow(dead_code)]
mod aes;
#[path = "../../../diode/core/src/cpu.rs"]
#[allow(dead_code)]
mod cpu;
#[path = "../../../diode/core/src/gmac.rs"]
#[allow(dead_code)]
mod gmac;
#[path = "../../../diode/core/src/machine.rs"]
#[allow(dead_code)]
mod machine;
#[path = "../../../diode/core/src/session.rs"]
#[allow(dead_code)]
mod session;
#[path = "../../../diode/core/src/take.rs"]
#[allow(dead_code)]
mod take;
#[cfg(target_arch = "x86_64")]
#[path = "../../../diode/core/src/x86.rs"]
mod x86;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

fn main() {
    let given: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().unwrap()).collect();
    let mut numbers = Numbers(given[0] | 1);
    let key: Vec<u8> = (0..32).collect();
    let (mut done, mut refused) = (0, 0);
    for _ in 0..given[1] {
        // SAFETY: all that is handed over is as long as it is said to be, but where a lie is told, which is refused.
        let result = unsafe { call(&mut numbers, &key) };
        done += u64::from(result == 0);
        refused += u64::from(result == -1);
    }
    assert!(done > 0 && refused > 0 && done + refused == given[1]);
    println!("{done} taken, {refused} refused");
}

unsafe fn call(numbers: &mut Numbers, key: &[u8]) -> i32 {
    let symbol_bytes = [0, 16, 64, 448, 1408, 33][numbers.below(6)];
    let size = symbol_bytes + 64;
    let (rows, count, places) = (1 + numbers.below(20), numbers.below(30), numbers.below(20));
    let mut region = vec![0u8; rows * size];
    region.iter_mut().for_each(|byte| *byte = numbers.below(256) as u8);
    let is_tagged = numbers.below(2) == 0;
    if !is_tagged {
        for row in region.chunks_exact_mut(size) {
            row[size - 16..].fill(0); // authentic where there are no tags
        }
    }
    let mut picked: Vec<u64> = (0..count).map(|_| numbers.below(rows) as u64).collect();
    let mut headers = vec![[0u8; 48]; count];
    for header in &mut headers {
        header[36..38].copy_from_slice(&(numbers.below(places + 3) as u16).to_be_bytes());
    }
    let mut symbols = vec![0u8; places * symbol_bytes];
    let mut have = vec![0u8; places];
    have.iter_mut().for_each(|byte| *byte = (numbers.below(4) == 0) as u8);
    let mut status = vec![9u8; count];
    let (mut n, mut size, mut symbols_n, mut have_n) = (region.len(), size, symbols.len(), have.len());
    let mut is_lie = true;
    match numbers.below(18) {
        0 => n = n.saturating_sub(rows * size),
        1 => size = [0, 63, 65537, usize::MAX][numbers.below(4)],
        2 if symbols_n > 0 => symbols_n -= 1,
        3 if symbol_bytes > 0 => have_n += 1,
        4 => have_n = usize::MAX,
        5 if count > 0 => picked[count - 1] = [rows as u64, u64::MAX][numbers.below(2)],
        _ => is_lie = false,
    }
    let handle = session::diode_session_new(if is_tagged { key.as_ptr().cast() } else { std::ptr::null() });
    let are_places = numbers.below(4) > 0;
    let result = take::diode_take(
        handle,
        region.as_ptr(),
        n,
        size,
        picked.as_ptr(),
        headers.as_ptr(),
        count,
        if are_places { symbols.as_mut_ptr() } else { std::ptr::null_mut() },
        symbols_n,
        if are_places { have.as_mut_ptr() } else { std::ptr::null_mut() },
        have_n,
        status.as_mut_ptr(),
    );
    session::diode_session_free(handle);
    assert!(result == 0 || (is_lie && status.iter().all(|one| *one == 9)));
    result
}
