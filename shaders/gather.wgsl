// batch[r, f] = (data[example(r), f] - subtract[f]) / divide[f] + add, and indices[r] = example(r)
//
// example(r) is the r-th example of the current batch in this epoch's order; rows past the end of the data set are zero.
// data holds rows of `row_words` words: four bytes a word (BYTES = 1), or the bits of one f32. They are all examples, or
// (STREAMED = 1) a window of `window` rows of each order.
// batch (models, rows, features), indices (models, rows). A thread takes one word of one row; z is the model.
struct Params {
    rows: u32,
    features: u32,
    row_words: u32,
    examples: u32,
    window: u32,
    add: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read> subtract: array<f32>;
@group(0) @binding(4) var<storage, read> divide: array<f32>;
@group(0) @binding(5) var<storage, read_write> batch: array<f32>;
@group(0) @binding(6) var<storage, read_write> indices: array<u32>;

const BYTES = 1u;

// include: examples.wgsl
// include: grid.wgsl
// include: step_state.wgsl

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = linear_group(group, groups) * 128u + thread;
    let row = item / params.row_words;
    let word = item % params.row_words;
    if row >= params.rows {
        return;
    }
    let state = group.z * COUNTERS;
    let position = counters[state + BATCH] * params.rows + row;
    let inside = position < params.examples;
    var example = 0u;
    var bits = 0u;
    if inside {
        example = example_at(position, counters[state + KEY], group.z);
        bits = data[data_row(position, example, group.z) * params.row_words + word];
    }
    let at = group.z * params.rows + row;
    if word == 0u {
        indices[at] = example;
    }
    if BYTES == 1u {
        for (var i = 0u; i < 4u; i++) {
            let feature = word * 4u + i;
            if feature < params.features {
                let value = scaled(f32((bits >> (8u * i)) & 0xffu), feature);
                batch[at * params.features + feature] = select(0.0, value, inside);
            }
        }
    } else {
        batch[at * params.features + word] = select(0.0, scaled(bitcast<f32>(bits), word), inside);
    }
}
