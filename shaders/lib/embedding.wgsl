struct Params {
    rows: u32,
    numbers: u32,
    inputs: u32,
    width: u32,
    levels: u32,
    parameter_stride: u32,
}

// The number of a level, where the value is one: below 0 it is none. What is beyond the last is taken for that, so that nothing
// is read or written out of bounds.
fn level_of(value: f32) -> u32 {
    return min(u32(max(value, 0.0)), params.levels - 1u);
}

// Where the values of an example lie, and what is made of them.
fn row_of_values(row: u32) -> u32 {
    return row * (params.numbers + params.inputs);
}

fn row_of_outputs(row: u32) -> u32 {
    return row * outputs();
}

fn outputs() -> u32 {
    return params.numbers + params.inputs * params.width;
}
