// Says so by its bits: a compiler may take for granted that a float is a number.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
