//! How the fast CPU variants use the machine: wide registers and several cores.

use crate::backend::cpu::threads;
use rayon::prelude::*;

/// Runs `f` compiled for the widest vector instructions of this processor: loops inside it vectorise to them.
#[inline(always)]
pub fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Asks the processor to load what is read soon; where there is no way to ask, it is loaded when it is read.
#[inline]
pub fn prefetch<T>(soon: &[T]) {
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of_val(soon)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86_64 processor has the instruction, which reads and writes nothing; `at` lies inside the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(soon.as_ptr().cast::<i8>().add(at)) };
    }
}

/// Elements per task: below this, waking a thread costs more than it saves.
const CHUNK: usize = 32 * 1024;

/// Runs `f(first, a)` over chunks of an array, on several threads when it is long.
pub fn chunks(a: &mut [f32], f: impl Fn(usize, &mut [f32]) + Sync) {
    if a.len() < 2 * CHUNK || threads::available() == 1 {
        return f(0, a);
    }
    a.par_chunks_mut(CHUNK).enumerate().for_each(|(i, a)| f(i * CHUNK, a));
}

/// Runs `f(first, a, b)` over chunks of two equally long arrays, on several threads when they are long.
pub fn zip_chunks(a: &mut [f32], b: &mut [f32], f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync) {
    if a.len() < 2 * CHUNK || threads::available() == 1 {
        return f(0, a, b);
    }
    let pairs = a.par_chunks_mut(CHUNK).zip(b.par_chunks_mut(CHUNK));
    pairs.enumerate().for_each(|(i, (a, b))| f(i * CHUNK, a, b));
}

/// Runs `f(first, a, b, c)` over chunks of three equally long arrays, on several threads when they are long.
pub fn zip3_chunks(
    a: &mut [f32],
    b: &mut [f32],
    c: &mut [f32],
    f: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) + Sync,
) {
    if a.len() < 2 * CHUNK || threads::available() == 1 {
        return f(0, a, b, c);
    }
    let triples = a.par_chunks_mut(CHUNK).zip(b.par_chunks_mut(CHUNK)).zip(c.par_chunks_mut(CHUNK));
    triples.enumerate().for_each(|(i, ((a, b), c))| f(i * CHUNK, a, b, c));
}

/// Runs `f(index, piece)` on pieces of `len` elements, on several threads when the `flops` of all of them pay for it.
pub fn pieces(values: &mut [f32], len: usize, flops: f64, f: impl Fn(usize, &mut [f32]) + Sync) {
    if threads::available() > 1 && flops >= threads::WORTH_FLOPS {
        values.par_chunks_mut(len).enumerate().for_each(|(index, piece)| f(index, piece));
    } else {
        values.chunks_mut(len).enumerate().for_each(|(index, piece)| f(index, piece));
    }
}
