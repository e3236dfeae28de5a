//! The hot loops of the link, compiled. A C interface for ctypes; no crates. Every function that can refuse returns -1.
//!
//! The readable twins in `diode/protocol` are the oracle and the fallback.

mod aes;
#[cfg(target_arch = "aarch64")]
mod arm;
mod coder;
mod cpu;
mod field;
mod gf;
mod gmac;
mod machine;
mod session;
mod syndromes;
mod take;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Rises with every change of the C interface; `diode/core/library.py` loads only the number it was written for.
#[no_mangle]
pub extern "C" fn diode_core_abi() -> u32 {
    1
}
