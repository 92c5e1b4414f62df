//! Asks the machine for a cache line that will be needed soon.
//!
//! The only `unsafe` of this crate. The instruction is a hint: it reads nothing into the program,
//! cannot fault and has no effect a program could see, so any address is sound. What it brings is
//! measured in `docs/performance.md`; why it is here, in `docs/decisions/0011`.

/// Asks for the line at the start of `value`.
#[inline]
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "a hint without effect on the program; see above")]
pub(crate) fn prefetch<T>(value: &T) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: prefetching has no requirement on its address, and this one is valid.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(value).cast()) }
}

/// Elsewhere nothing is asked for.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const fn prefetch<T>(_value: &T) {}
