// Whether x is NaN. `min` and `max` may drop one, and so may a comparison with `select`, of which some compilers make a
// `min` or `max` (that of OpenGL in Mesa does): only the bits are sure to tell.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
