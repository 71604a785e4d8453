// include: hash.wgsl

// A keyed permutation of 0..count without a table: Feistel rounds over the smallest power of two that holds `count`,
// walked until the result is inside. Two walks on average at most. Its twin is `permute` in src/kernel/formula/hash.rs.
fn permute(index: u32, count: u32, key: u32) -> u32 {
    let bits = max(32u - countLeadingZeros(max(count, 2u) - 1u), 2u);
    let low_bits = bits / 2u;
    let low_mask = (1u << low_bits) - 1u;
    let high_mask = (1u << (bits - low_bits)) - 1u;
    var x = index;
    loop {
        var low = x & low_mask;
        var high = x >> low_bits;
        for (var round = 0u; round < 8u; round += 2u) {
            high ^= combine(key + round, low) & high_mask;
            low ^= combine(key + round + 1u, high) & low_mask;
        }
        x = (high << low_bits) | low;
        if x < count {
            break;
        }
    }
    return x;
}
