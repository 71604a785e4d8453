//! How the fast CPU variants use the machine: wide registers and several cores.

use crate::backend::cpu::threads;

/// Runs `f` compiled for the widest vector instructions of this processor: loops inside it vectorise to them.
#[inline(always)]
pub(super) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Sums and maxima are taken in so many lanes, whatever the processor's width: their bits are the same on every machine.
const LANES: usize = 16;

/// The two sums of what `f` gives for each pair of elements. To be called inside [`vectorised`].
#[inline(always)]
pub(super) fn sums(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> [f32; 2]) -> [f32; 2] {
    let mut lanes = [[0.0; LANES]; 2];
    let mut add = |a: &[f32], b: &[f32]| {
        for (lane, (a, b)) in a.iter().zip(b).enumerate() {
            let terms = f(*a, *b);
            lanes[0][lane] += terms[0];
            lanes[1][lane] += terms[1];
        }
    };
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (whole_a.remainder(), whole_b.remainder());
    whole_a.zip(whole_b).for_each(|(a, b)| add(&a[..LANES], &b[..LANES]));
    add(rest_a, rest_b);
    lanes.map(|lanes| lanes.iter().sum())
}

/// Position of the first largest number; without meaning where some element is no number.
pub(super) fn first_largest(values: &[f32]) -> usize {
    let largest = vectorised(
        #[inline(always)]
        || {
            let mut lanes = [f32::NEG_INFINITY; LANES];
            for values in values.chunks(LANES) {
                for (lane, value) in lanes.iter_mut().zip(values) {
                    *lane = if value > lane { *value } else { *lane };
                }
            }
            lanes.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
        },
    );
    values.iter().position(|value| *value == largest).unwrap_or(0)
}

/// Asks the processor to load what is read soon.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn prefetch<T>(soon: &[T]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    const LINE: usize = 64;
    for at in (0..size_of_val(soon)).step_by(LINE) {
        // SAFETY: every x86_64 processor has the instruction, which reads and writes nothing; `at` lies inside the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(soon.as_ptr().cast::<i8>().add(at)) };
    }
}

/// There is no stable way to ask this processor: what is read is loaded when it is read.
#[cfg(not(target_arch = "x86_64"))]
pub fn prefetch<T>(_soon: &[T]) {}

/// Elements that make a piece of an elementwise pass worth a thread: what it has to fetch from the caches of another costs
/// more than a short pass saves.
const WORTH: usize = 16 * 1024;

/// Length of the pieces of an elementwise pass over `len` elements, of which `worth` are worth a thread.
fn piece(len: usize, worth: usize) -> usize {
    let threads = threads::available().min(len / worth).max(1);
    len.div_ceil(threads).next_multiple_of(64).max(64)
}

/// Runs `f(first, a)` over pieces of an array, on several threads when it is long.
pub(super) fn chunks(a: &mut [f32], f: impl Fn(usize, &mut [f32]) + Sync) {
    let len = piece(a.len(), WORTH);
    threads::for_each(a.chunks_mut(len).enumerate(), |(i, a)| f(i * len, a));
}

/// Runs `f(first, a, b)` over pieces of two equally long arrays, on several threads when they are long.
pub(super) fn zip_chunks(a: &mut [f32], b: &mut [f32], f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync) {
    let len = piece(a.len(), WORTH);
    threads::for_each(a.chunks_mut(len).zip(b.chunks_mut(len)).enumerate(), |(i, (a, b))| f(i * len, a, b));
}

/// Runs `f(first, a, b, c)` over pieces of three equally long arrays, on several threads when they are long.
pub(super) fn zip3_chunks(
    a: &mut [f32],
    b: &mut [f32],
    c: &mut [f32],
    f: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) + Sync,
) {
    // More arrays, more work.
    let len = piece(a.len(), WORTH / 4);
    let pieces = a.chunks_mut(len).zip(b.chunks_mut(len)).zip(c.chunks_mut(len));
    threads::for_each(pieces.enumerate(), |(i, ((a, b), c))| f(i * len, a, b, c));
}

/// Runs `f(index, piece)` on pieces of `len` elements, on several threads when the `flops` of all of them pay for it.
pub(super) fn pieces(values: &mut [f32], len: usize, flops: f64, f: impl Fn(usize, &mut [f32]) + Sync) {
    let worth = flops >= threads::WORTH_FLOPS;
    threads::for_each_if(worth, values.chunks_mut(len).enumerate(), |(index, piece)| f(index, piece));
}
