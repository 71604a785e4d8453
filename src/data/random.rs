//! Random numbers that are the same on every machine: ChaCha8 keyed by the seed and by what the numbers are for.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers for one purpose.
///
/// The key is the seed followed by the purpose, so that two uses of one seed never share numbers, and no library's own
/// idea of how to widen a seed can change the data that a seed stands for.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// Stream number `stream` of `purpose` (at most 24 bytes of it count) for `seed`.
    pub(crate) fn new(seed: u64, purpose: &str, stream: u64) -> Random {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for (slot, byte) in key[8..].iter_mut().zip(purpose.bytes()) {
            *slot = byte;
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Random(rng)
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in [low, high).
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Roughly normal with mean 0 and standard deviation 1, within ±3.46: the sum of four uniforms, which needs no
    /// logarithm or cosine and so is the same on every machine.
    pub(crate) fn bell(&mut self) -> f32 {
        // A uniform has variance 1/12, four of them 1/3.
        const TO_UNIT_VARIANCE: f32 = 1.732_050_8;
        (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * TO_UNIT_VARIANCE
    }

    /// Fills `bytes` with random bytes.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Uniform in 0..bound, without bias: values from the incomplete last round are drawn again.
    ///
    /// `bound` must not be 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let rounds_end = u64::MAX - u64::MAX % bound;
        loop {
            let draw = self.0.next_u64();
            if draw < rounds_end {
                return draw % bound;
            }
        }
    }

    /// Shuffles `items` (Fisher-Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_seed_are_fixed() {
        let mut random = Random::new(7, "test", 3);
        let drawn: Vec<u64> = (0..4).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, [122, 38, 348, 761]);
    }

    #[test]
    fn seeds_purposes_and_streams_differ() {
        let first = |seed, purpose, stream| Random::new(seed, purpose, stream).below(u64::MAX);
        let all = [first(0, "a", 0), first(1, "a", 0), first(0, "b", 0), first(0, "a", 1)];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one));
        }
    }

    #[test]
    fn the_bell_has_mean_0_and_deviation_1() {
        let mut random = Random::new(0, "bell", 0);
        let draws: Vec<f64> = (0..20_000).map(|_| f64::from(random.bell())).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(0, "shuffle", 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<u32>>());
    }
}
