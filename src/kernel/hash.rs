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
