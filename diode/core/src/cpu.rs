//! What this CPU can do, asked once. Tests take features away by a mask, to be a CPU that lacks them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// Instructions that belong together. The number of each is its bit in `diode_core_features` and in the mask.
#[allow(dead_code)]
#[derive(Clone, Copy, PartialEq)]
pub enum Feature {
    /// AVX2.
    Avx2,
    /// AES-NI, PCLMULQDQ and SSE4.1; on aarch64 AES and PMULL.
    Aes,
    /// VAES and VPCLMULQDQ on 256 bits, which take `Avx2` and `Aes` for granted.
    Vaes,
    /// GFNI on 256 bits, which takes `Avx2` for granted.
    Gfni,
}

const ALL: [Feature; 4] = [Feature::Avx2, Feature::Aes, Feature::Vaes, Feature::Gfni];

static MASKED: AtomicU32 = AtomicU32::new(0);

/// Whether a kernel that needs `feature` may run.
pub fn has(feature: Feature) -> bool {
    features() & bit(feature) != 0
}

/// What `has` says of each feature, as bits in the order of `Feature`.
#[no_mangle]
pub extern "C" fn diode_core_features() -> u32 {
    features()
}

/// Emulate a CPU that lacks the features whose bits are set; 0 gives all back. For tests: a session or a coder that
/// stands already keeps what it chose.
#[no_mangle]
pub extern "C" fn diode_core_mask(lacking: u32) {
    MASKED.store(lacking, Ordering::Relaxed);
}

fn features() -> u32 {
    static FOUND: OnceLock<u32> = OnceLock::new();
    let left = FOUND.get_or_init(found) & !MASKED.load(Ordering::Relaxed);
    ALL.iter()
        .filter(|feature| left & needs(**feature) == needs(**feature))
        .fold(0, |bits, feature| bits | bit(*feature))
}

fn bit(feature: Feature) -> u32 {
    1 << feature as u32
}

fn needs(feature: Feature) -> u32 {
    bit(feature)
        | match feature {
            Feature::Avx2 | Feature::Aes => 0,
            Feature::Vaes => bit(Feature::Avx2) | bit(Feature::Aes),
            Feature::Gfni => bit(Feature::Avx2),
        }
}

#[cfg(target_arch = "x86_64")]
fn found() -> u32 {
    let answers = [
        (Feature::Avx2, is_x86_feature_detected!("avx2")),
        (
            Feature::Aes,
            is_x86_feature_detected!("aes")
                && is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("sse4.1"),
        ),
        (Feature::Vaes, is_x86_feature_detected!("vaes") && is_x86_feature_detected!("vpclmulqdq")),
        (Feature::Gfni, is_x86_feature_detected!("gfni")),
    ];
    answers.iter().filter(|(_, there)| *there).fold(0, |bits, (feature, _)| bits | bit(*feature))
}

#[cfg(target_arch = "aarch64")]
fn found() -> u32 {
    use std::arch::is_aarch64_feature_detected;
    let has_aes = is_aarch64_feature_detected!("aes") && is_aarch64_feature_detected!("pmull");
    u32::from(has_aes) << Feature::Aes as u32
}

/// No kernel is written for another machine yet.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn found() -> u32 {
    0
}
