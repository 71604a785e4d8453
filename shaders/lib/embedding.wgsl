struct Params {
    rows: u32,
    inputs: u32,
    width: u32,
    levels: u32,
    parameter_stride: u32,
}

// The number of a level. What is no level is taken for the nearest, so that nothing is read or written out of bounds.
fn level_of(value: f32) -> u32 {
    return min(u32(max(value, 0.0)), params.levels - 1u);
}
