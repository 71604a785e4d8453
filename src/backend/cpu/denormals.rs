//! Subnormal floats as zero while kernels run: GPUs flush them too, and on many CPUs each one costs a hundred cycles.

/// Subnormals are zero on this thread until the guard is dropped, which puts the thread back as it was: a program that
/// uses gputrain as a library keeps its own arithmetic.
#[derive(Debug)]
pub struct FlushDenormals {
    before: control::Word,
    /// The setting belongs to a thread, so the guard must not move to another.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl FlushDenormals {
    /// Changes the current thread's setting.
    pub fn here() -> FlushDenormals {
        let before = control::get();
        control::set(before | control::FLUSH);
        FlushDenormals { before, _not_send: std::marker::PhantomData }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        control::set(self.before);
    }
}

/// Flushes subnormals on the current thread for good; for threads that only ever run kernels.
pub fn flush_forever() {
    control::set(control::get() | control::FLUSH);
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    pub(super) type Word = u32;

    /// Flush-to-zero and denormals-are-zero.
    pub(super) const FLUSH: Word = 1 << 15 | 1 << 6;

    pub(super) fn get() -> Word {
        let mut word: Word = 0;
        // SAFETY: stores MXCSR in the local whose address it is given, and touches nothing else.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word
    }

    pub(super) fn set(word: Word) {
        // SAFETY: loads MXCSR from the local. `word` is what `get` returned, with or without the two flush bits, so no
        // reserved bit is set, no exception unmasked and the rounding mode stays. Rust's own promise is weaker: it takes
        // the default mode for granted, flush bits included, and gives no word for code that runs in another. What it may
        // do there is fold or reorder arithmetic as if subnormals were kept; kernels give the same answers to rounding
        // either way, and no branch that memory safety rests on compares subnormals.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, readonly)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    pub type Word = u64;

    /// FZ: subnormal operands and results are zero.
    pub const FLUSH: Word = 1 << 24;

    pub fn get() -> Word {
        let word: Word;
        // SAFETY: reads FPCR, nothing else.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word
    }

    pub fn set(word: Word) {
        // SAFETY: writes FPCR with what `get` returned, with or without FZ; rounding and traps stay as they were. Rust
        // takes the default mode for granted, as on x86-64 above: what it folds may at most keep a subnormal.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nostack)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub type Word = u32;
    pub const FLUSH: Word = 0;

    pub fn get() -> Word {
        0
    }

    pub fn set(_: Word) {}
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use std::hint::black_box;

    fn half_of_the_smallest_normal() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    #[test]
    fn flushes_while_the_guard_lives_and_restores_after() {
        assert!(half_of_the_smallest_normal() > 0.0);
        {
            let _outer = FlushDenormals::here();
            assert_eq!(half_of_the_smallest_normal(), 0.0);
            drop(FlushDenormals::here());
            assert_eq!(half_of_the_smallest_normal(), 0.0, "an inner guard must not end the outer one's effect");
        }
        assert!(half_of_the_smallest_normal() > 0.0);
    }
}
