//! Integer hashes: the twins of `shaders/lib/hash.wgsl`, the same bits on every machine.

/// A bijective mixer of 32 bits (lowbias32 by Chris Wellons).
pub fn mix(value: u32) -> u32 {
    let mut x = value;
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

/// Mixes a further word into a hash.
pub fn combine(hash: u32, word: u32) -> u32 {
    mix(hash ^ mix(word.wrapping_add(0x9e37_79b9)))
}

/// A keyed permutation of `0..count` without a table: Feistel rounds over the smallest power of two that holds `count`,
/// walked until the result is inside. `index` must be below `count`.
pub fn permute(index: u32, count: u32, key: u32) -> u32 {
    let bits = (32 - (count.max(2) - 1).leading_zeros()).max(2);
    let low_bits = bits / 2;
    let (low_mask, high_mask) = ((1 << low_bits) - 1, (1u32 << (bits - low_bits)) - 1);
    let mut x = index;
    loop {
        let (mut low, mut high) = (x & low_mask, x >> low_bits);
        for round in (0..8).step_by(2) {
            high ^= combine(key.wrapping_add(round), low) & high_mask;
            low ^= combine(key.wrapping_add(round + 1), high) & low_mask;
        }
        x = high << low_bits | low;
        if x < count {
            return x;
        }
    }
}

/// The key of an epoch's permutation.
pub fn epoch_key(seed: u32, epoch: u32) -> u32 {
    combine(combine(0x7065_726d, seed), epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permute_is_a_permutation_that_depends_on_the_key() {
        for count in [1, 2, 3, 5, 17, 64, 65, 1000, 10_007] {
            let order = |key| (0..count).map(|i| permute(i, count, key)).collect::<Vec<_>>();
            let mut sorted = order(7);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            assert!(count < 17 || order(7) != order(8));
        }
    }

    #[test]
    fn every_example_reaches_every_place() {
        // Chi-squared of where example 0 of 10 lands over 10,000 keys: 9 degrees of freedom, 99.9 % below 27.9.
        let mut places = [0f64; 10];
        for key in 0..10_000 {
            places[permute(0, 10, epoch_key(key, 3)) as usize] += 1.0;
        }
        let chi_squared: f64 = places.iter().map(|n| (n - 1000.0) * (n - 1000.0) / 1000.0).sum();
        assert!(chi_squared < 27.9, "{chi_squared}");
    }
}
