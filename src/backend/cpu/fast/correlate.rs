//! The inner loops of the CPU's convolutions, on explicit vectors of the widest kind that the processor has.
//!
//! Both work on rows laid end to end: moving a window by one tap is then moving by a fixed offset, so that no matrix of
//! patches is needed. What the last columns of a row compute belongs to no window and is left out by the caller.

use pulp::{Arch, Simd, WithSimd};

/// Filters that [`correlate`] handles at once.
pub(super) const BLOCK: usize = 8;

/// Lengths are multiples of this many elements, the widest vector's.
pub(super) const LANES: usize = 16;

/// `out[f * len + n] = sum over t of weights[t * block + f] * source[offsets[t] + n]` for f below `block`, which is [`BLOCK`] or 1.
/// `len` is a multiple of [`LANES`].
pub(super) fn correlate(source: &[f32], offsets: &[usize], weights: &[f32], block: usize, out: &mut [f32], len: usize) {
    Arch::new().dispatch(Correlate { source, offsets, weights, block, out, len });
}

struct Correlate<'a> {
    source: &'a [f32],
    offsets: &'a [usize],
    weights: &'a [f32],
    block: usize,
    out: &'a mut [f32],
    len: usize,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Processors with vectors of 16 have 32 registers, the others 16.
        if self.block == 1 {
            self.filters::<S, 1, 1, 4>(simd, 0);
        } else if S::F32_LANES == LANES {
            self.filters::<S, BLOCK, 8, 2>(simd, 0);
        } else {
            self.filters::<S, BLOCK, 4, 2>(simd, 0);
            self.filters::<S, BLOCK, 4, 2>(simd, 4);
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn filters<S: Simd, const B: usize, const F: usize, const V: usize>(&mut self, simd: S, first: usize) {
        let mut n = 0;
        while n + V * S::F32_LANES <= self.len {
            self.tile::<S, B, F, V>(simd, first, n);
            n += V * S::F32_LANES;
        }
        while n < self.len {
            self.tile::<S, B, F, 1>(simd, first, n);
            n += S::F32_LANES;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const B: usize, const F: usize, const V: usize>(&mut self, simd: S, first: usize, n: usize) {
        let mut sums = [[simd.splat_f32s(0.0); V]; F];
        for (&offset, weights) in self.offsets.iter().zip(self.weights.chunks_exact(B)) {
            let (values, _) = S::as_simd_f32s(&self.source[offset + n..][..V * S::F32_LANES]);
            for f in 0..F {
                let weight = simd.splat_f32s(weights[first + f]);
                for v in 0..V {
                    sums[f][v] = simd.mul_add_e_f32s(weight, values[v], sums[f][v]);
                }
            }
        }
        for (f, sums) in sums.iter().enumerate() {
            let (out, _) = S::as_mut_simd_f32s(&mut self.out[(first + f) * self.len + n..][..V * S::F32_LANES]);
            out.copy_from_slice(sums);
        }
    }
}

/// `sums[f * taps + t] += sum over n of values[f * len + n] * source[offsets[t] + n]`, `taps` being the number of
/// offsets and `len` a multiple of [`LANES`].
pub(super) fn dot_products(source: &[f32], offsets: &[usize], values: &[f32], len: usize, sums: &mut [f32]) {
    Arch::new().dispatch(DotProducts { source, offsets, values, len, sums });
}

struct DotProducts<'a> {
    source: &'a [f32],
    offsets: &'a [usize],
    values: &'a [f32],
    len: usize,
    sums: &'a mut [f32],
}

impl WithSimd for DotProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::F32_LANES == LANES {
            self.taps::<S, 4>(simd);
        } else {
            self.taps::<S, 2>(simd);
        }
    }
}

impl DotProducts<'_> {
    #[inline(always)]
    fn taps<S: Simd, const T: usize>(&mut self, simd: S) {
        let filters = self.sums.len() / self.offsets.len();
        let mut tap = 0;
        while tap < self.offsets.len() {
            let full = tap + T <= self.offsets.len();
            let mut filter = 0;
            while filter < filters {
                match (full, filter + 4 <= filters) {
                    (true, true) => self.tile::<S, 4, T>(simd, filter, tap),
                    (true, false) => self.tile::<S, 1, T>(simd, filter, tap),
                    (false, true) => self.tile::<S, 4, 1>(simd, filter, tap),
                    (false, false) => self.tile::<S, 1, 1>(simd, filter, tap),
                }
                filter += if filter + 4 <= filters { 4 } else { 1 };
            }
            tap += if full { T } else { 1 };
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const F: usize, const T: usize>(&mut self, simd: S, filter: usize, tap: usize) {
        let len = self.len;
        let mut rows = [S::as_simd_f32s(&self.values[..0]).0; F];
        for (f, row) in rows.iter_mut().enumerate() {
            *row = S::as_simd_f32s(&self.values[(filter + f) * len..][..len]).0;
        }
        let mut shifted = [rows[0]; T];
        for (t, shifted) in shifted.iter_mut().enumerate() {
            *shifted = S::as_simd_f32s(&self.source[self.offsets[tap + t]..][..len]).0;
        }
        let mut sums = [[simd.splat_f32s(0.0); T]; F];
        for n in 0..len / S::F32_LANES {
            for f in 0..F {
                for t in 0..T {
                    sums[f][t] = simd.mul_add_e_f32s(rows[f][n], shifted[t][n], sums[f][t]);
                }
            }
        }
        let taps = self.offsets.len();
        for (f, sums) in sums.iter().enumerate() {
            for (t, &sum) in sums.iter().enumerate() {
                self.sums[(filter + f) * taps + tap + t] += simd.reduce_sum_f32s(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + seed * 11) % 101) as f32 - 50.0).collect()
    }

    #[test]
    fn correlate_is_its_formula() {
        for (taps, len, block) in [(1, 16, BLOCK), (3, 48, BLOCK), (7, 80, BLOCK), (9, 112, 1)] {
            let (source, weights) = (numbers(len + taps * 5, 1), numbers(taps * block, 2));
            let offsets: Vec<usize> = (0..taps).map(|t| t * 5).collect();
            let mut out = vec![f32::NAN; block * len];
            correlate(&source, &offsets, &weights, block, &mut out, len);
            for (i, &value) in out.iter().enumerate() {
                let (f, n) = (i / len, i % len);
                let want: f32 = (0..taps).map(|t| weights[t * block + f] * source[offsets[t] + n]).sum();
                assert_eq!(value, want, "{taps} taps, filter {f}, {n} of {len}");
            }
        }
    }

    #[test]
    fn dot_products_are_their_formula() {
        for (filters, taps, len) in [(1, 1, 16), (5, 7, 32), (8, 8, 48), (3, 5, 16)] {
            let (source, values) = (numbers(len + taps * 3, 1), numbers(filters * len, 2));
            let offsets: Vec<usize> = (0..taps).map(|t| t * 3).collect();
            let mut sums = vec![2.0; filters * taps];
            dot_products(&source, &offsets, &values, len, &mut sums);
            for (i, &sum) in sums.iter().enumerate() {
                let (f, t) = (i / taps, i % taps);
                let want: f32 = 2.0 + (0..len).map(|n| values[f * len + n] * source[offsets[t] + n]).sum::<f32>();
                assert_eq!(sum, want, "filter {f} of {filters}, tap {t} of {taps}");
            }
        }
    }
}
