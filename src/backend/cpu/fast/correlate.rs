//! The inner loops of the CPU's convolutions, on explicit vectors of the widest kind that the processor has.
//!
//! All work on rows laid end to end: moving a window by one tap is then moving by a fixed offset, so that no matrix of
//! patches is needed. What the last columns of a row compute belongs to no window and is left out by the caller.
//!
//! Debug assertions, which the profile `ci` has, cost [`correlate`] more than half of its speed: its sums go to memory and back
//! there. Only a release tells how fast it is.

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
            self.filters::<S, 1, 0, 1, 4>(simd);
        } else if S::F32_LANES == LANES {
            self.filters::<S, BLOCK, 0, 8, 2>(simd);
        } else {
            self.filters::<S, BLOCK, 0, 4, 3>(simd);
            self.filters::<S, BLOCK, 4, 4, 3>(simd);
        }
    }
}

impl Correlate<'_> {
    /// The `F` filters from `FIRST` on of a block of `B`, `V` vectors at a time.
    #[inline(always)]
    fn filters<S: Simd, const B: usize, const FIRST: usize, const F: usize, const V: usize>(&mut self, simd: S) {
        let mut n = 0;
        while n + V * S::F32_LANES <= self.len {
            self.tile::<S, B, FIRST, F, V>(simd, n);
            n += V * S::F32_LANES;
        }
        if V > 2 && n + 2 * S::F32_LANES <= self.len {
            self.tile::<S, B, FIRST, F, 2>(simd, n);
            n += 2 * S::F32_LANES;
        }
        while n < self.len {
            self.tile::<S, B, FIRST, F, 1>(simd, n);
            n += S::F32_LANES;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const B: usize, const FIRST: usize, const F: usize, const V: usize>(&mut self, simd: S, n: usize) {
        let source = &self.source[n..];
        let mut sums = [[simd.splat_f32s(0.0); V]; F];
        for (&offset, weights) in self.offsets.iter().zip(self.weights.as_chunks::<B>().0) {
            let (values, _) = S::as_simd_f32s(&source[offset..][..V * S::F32_LANES]);
            for f in 0..F {
                let weight = simd.splat_f32s(weights[FIRST + f]);
                for v in 0..V {
                    sums[f][v] = simd.mul_add_e_f32s(weight, values[v], sums[f][v]);
                }
            }
        }
        for (f, sums) in sums.iter().enumerate() {
            let (out, _) = S::as_mut_simd_f32s(&mut self.out[(FIRST + f) * self.len + n..][..V * S::F32_LANES]);
            out.copy_from_slice(sums);
        }
    }
}

/// `sums[f * taps + t] += sum over n of values[f * len + n] * source[offsets[t] + n]`, `taps` being the number of
/// offsets and `len` a multiple of [`LANES`].
///
/// A lane sums every so many n, and the lanes are added by halves: [`dot_products_of_filters`] gives the same bits.
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

/// Places n, in the order in which [`dot_products_of_filters`] takes them: by the lane of a vector that n falls in, the lanes
/// in the order in which a vector's sum adds them, by halves: ((0 + 8) + (4 + 12)) + ((2 + 10) + (6 + 14)) and so on.
#[derive(Default)]
pub(super) struct ByLane {
    places: Vec<usize>,
    /// Where the places of each lane begin, and where those of the last end.
    bounds: [usize; LANES + 1],
}

impl ByLane {
    /// Of places in ascending order.
    pub(super) fn new(ascending: impl Iterator<Item = usize> + Clone) -> ByLane {
        let mut order = ByLane::default();
        for (index, lane) in Self::lanes().enumerate() {
            order.places.extend(ascending.clone().filter(|place| place % LANES == lane));
            order.bounds[index + 1] = order.places.len();
        }
        order
    }

    /// The lanes in order.
    fn lanes() -> impl Iterator<Item = usize> {
        (0..LANES).map(|index| index.reverse_bits() >> (usize::BITS - LANES.ilog2()))
    }

    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    /// Each lane with the range of its places.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        Self::lanes().zip(self.bounds.windows(2).map(|bounds| bounds[0]..bounds[1]))
    }
}

/// Whether [`dot_products_of_filters`] can take the place of [`dot_products`], and is faster. Whose vectors have filters in
/// their lanes has no sums over lanes and leaves out places that belong to no window: what counts where rows are short. A
/// vector of 16 filters and 4 taps takes about a quarter longer than one of 4 filters and 4 taps, whose sum over lanes takes as
/// long as three vectors.
pub(super) fn filters_in_lanes(filters: usize, places: usize, len: usize) -> bool {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    let cost = filters.next_multiple_of(LANES) * places * 5 / 4;
    Arch::new().dispatch(Lanes) == LANES && cost < filters * (len + 3 * LANES)
}

/// What [`dot_products`] sums, with the same bits, on vectors of [`LANES`] filters; only where [`filters_in_lanes`] says so.
/// `values` are blocks of that many filters, each with a vector for every one of the places, and `sums` has for each tap a vector
/// for each block.
pub(super) fn dot_products_of_filters(
    source: &[f32],
    offsets: &[usize],
    order: &ByLane,
    values: &[f32],
    sums: &mut [f32],
) {
    Arch::new().dispatch(DotProductsOfFilters { source, offsets, order, values, sums });
}

struct DotProductsOfFilters<'a> {
    source: &'a [f32],
    offsets: &'a [usize],
    order: &'a ByLane,
    values: &'a [f32],
    sums: &'a mut [f32],
}

/// Taps that are summed at the same time: the sums of a lane are over before others would pay.
const TAPS: usize = 4;

impl WithSimd for DotProductsOfFilters<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        assert_eq!(S::F32_LANES, LANES, "the order of the sums is that of vectors of {LANES}");
        let places = &self.order.places[..];
        let (values, sums) = (S::as_simd_f32s(self.values).0, S::as_mut_simd_f32s(self.sums).0);
        let Some(reach) = places.iter().max().map(|last| last + 1) else { return };
        let blocks = values.len() / places.len();
        for (offsets, sums) in self.offsets.chunks(TAPS).zip(sums.chunks_mut(TAPS * blocks)) {
            // Where fewer taps are left, the last is summed several times.
            let sources = std::array::from_fn(|t| &self.source[offsets[t.min(offsets.len() - 1)]..][..reach]);
            for (block, values) in values.chunks_exact(places.len()).enumerate() {
                let tile = Tile { simd, sources, places, bounds: &self.order.bounds, values };
                let all = tile.add(tile.eight_lanes(0), tile.eight_lanes(1));
                for (sums, added) in sums.chunks_exact_mut(blocks).zip(all) {
                    sums[block] = simd.add_f32s(sums[block], added);
                }
            }
        }
    }
}

/// A block of filters and a few taps.
struct Tile<'a, S: Simd> {
    simd: S,
    sources: [&'a [f32]; TAPS],
    places: &'a [usize],
    bounds: &'a [usize; LANES + 1],
    values: &'a [S::f32s],
}

impl<S: Simd> Tile<'_, S> {
    #[inline(always)]
    fn lane(&self, index: usize) -> [S::f32s; TAPS] {
        let range = self.bounds[index]..self.bounds[index + 1];
        let mut sums = [self.simd.splat_f32s(0.0); TAPS];
        for (&place, values) in self.places[range.clone()].iter().zip(&self.values[range]) {
            for (sum, source) in sums.iter_mut().zip(self.sources) {
                *sum = self.simd.mul_add_e_f32s(*values, self.simd.splat_f32s(source[place]), *sum);
            }
        }
        sums
    }

    #[inline(always)]
    fn add(&self, mut a: [S::f32s; TAPS], b: [S::f32s; TAPS]) -> [S::f32s; TAPS] {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = self.simd.add_f32s(*a, b));
        a
    }

    #[inline(always)]
    fn two_lanes(&self, index: usize) -> [S::f32s; TAPS] {
        self.add(self.lane(2 * index), self.lane(2 * index + 1))
    }

    #[inline(always)]
    fn four_lanes(&self, index: usize) -> [S::f32s; TAPS] {
        self.add(self.two_lanes(2 * index), self.two_lanes(2 * index + 1))
    }

    #[inline(always)]
    fn eight_lanes(&self, index: usize) -> [S::f32s; TAPS] {
        self.add(self.four_lanes(2 * index), self.four_lanes(2 * index + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + seed * 11) % 101) as f32 - 50.0).collect()
    }

    /// Numbers whose sums are rounded.
    fn fractions(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed) % 10_007) as f32 / 1777.0 - 2.8).collect()
    }

    /// Runs the loops on this processor's vectors, and on narrower ones that it has too.
    fn on_each_width(mut run: impl FnMut(&dyn Fn(Correlate<'_>), &dyn Fn(DotProducts<'_>))) {
        run(&|c| Arch::new().dispatch(c), &|d| Arch::new().dispatch(d));
        run(&|c| c.with_simd(pulp::Scalar), &|d| d.with_simd(pulp::Scalar));
        #[cfg(target_arch = "x86_64")]
        if let Some(narrow) = pulp::x86::V3::try_new() {
            run(&|c| Simd::vectorize(narrow, c), &|d| Simd::vectorize(narrow, d));
        }
    }

    #[test]
    fn correlate_is_its_formula() {
        let shapes = [(1, 16, BLOCK), (3, 48, BLOCK), (7, 80, BLOCK), (2, 64, BLOCK), (9, 112, 1), (4, 32, 1)];
        on_each_width(|correlate, _| {
            for (taps, len, block) in shapes {
                let (source, weights) = (numbers(len + taps * 5, 1), numbers(taps * block, 2));
                let offsets: Vec<usize> = (0..taps).map(|t| t * 5).collect();
                let mut out = vec![f32::NAN; block * len];
                let (source, offsets, weights) = (&source[..], &offsets[..], &weights[..]);
                correlate(Correlate { source, offsets, weights, block, out: &mut out, len });
                for (i, &value) in out.iter().enumerate() {
                    let (f, n) = (i / len, i % len);
                    let want: f32 = (0..taps).map(|t| weights[t * block + f] * source[offsets[t] + n]).sum();
                    assert_eq!(value, want, "{taps} taps, filter {f}, {n} of {len}");
                }
            }
        });
    }

    #[test]
    fn dot_products_are_their_formula() {
        on_each_width(|_, dot_products| {
            for (filters, taps, len) in [(1, 1, 16), (5, 7, 32), (8, 8, 48), (3, 5, 16)] {
                let (source, values) = (numbers(len + taps * 3, 1), numbers(filters * len, 2));
                let offsets: Vec<usize> = (0..taps).map(|t| t * 3).collect();
                let mut sums = vec![2.0; filters * taps];
                let (source, offsets, values) = (&source[..], &offsets[..], &values[..]);
                dot_products(DotProducts { source, offsets, values, len, sums: &mut sums });
                for (i, &sum) in sums.iter().enumerate() {
                    let (f, t) = (i / taps, i % taps);
                    let want: f32 = 2.0 + (0..len).map(|n| values[f * len + n] * source[offsets[t] + n]).sum::<f32>();
                    assert_eq!(sum, want, "filter {f} of {filters}, tap {t} of {taps}");
                }
            }
        });
    }

    #[test]
    fn filters_in_lanes_give_the_same_bits() {
        // (blocks of filters, taps, rows, windows of a row, length of a row)
        for (blocks, taps, rows, windows, width) in
            [(1, 9, 7, 7, 9), (2, 5, 14, 14, 16), (1, 3, 1, 1, 1), (3, 4, 6, 6, 10)]
        {
            let (filters, len) = (blocks * LANES, usize::next_multiple_of(rows * width, LANES));
            if !filters_in_lanes(filters, 1, len) {
                return; // This processor has no such vectors.
            }
            let places = (0..rows * width).filter(|n| n % width < windows);
            let order = ByLane::new(places.clone());
            let offsets: Vec<usize> = (0..taps).map(|t| t * 3).collect();
            let (source, gradients) = (fractions(len + taps * 3, 1), fractions(filters * len, 5));
            let mut rows_of = vec![0.0; filters * len];
            let mut values = vec![0.0; filters * order.places().len()];
            for f in 0..filters {
                for n in places.clone() {
                    rows_of[f * len + n] = gradients[f * len + n];
                }
                for (index, n) in order.places().iter().enumerate() {
                    values[(f / LANES * order.places().len() + index) * LANES + f % LANES] = gradients[f * len + n];
                }
            }
            let (mut want, mut sums) = (vec![0.1; filters * taps], vec![0.1; filters * taps]);
            dot_products(&source, &offsets, &rows_of, len, &mut want);
            dot_products_of_filters(&source, &offsets, &order, &values, &mut sums);
            for (i, want) in want.iter().enumerate() {
                let (f, t) = (i / taps, i % taps);
                assert_eq!(
                    sums[t * filters + f].to_bits(),
                    want.to_bits(),
                    "filter {f} of {filters}, tap {t} of {taps}"
                );
            }
        }
    }
}
