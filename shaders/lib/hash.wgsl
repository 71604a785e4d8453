// Integer hashes: the same bits on every machine. Their twins are in src/kernel/formula/hash.rs.

// A bijective mixer of 32 bits (lowbias32 by Chris Wellons).
fn mix(value: u32) -> u32 {
    var x = value;
    x ^= x >> 16u;
    x *= 0x7feb352du;
    x ^= x >> 15u;
    x *= 0x846ca68bu;
    x ^= x >> 16u;
    return x;
}

// Mixes a further word into a hash.
fn combine(hash: u32, word: u32) -> u32 {
    return mix(hash ^ mix(word + 0x9e3779b9u));
}
