// output[i] = input[i] * scale where element i is kept in this step, else 0; scale = 1 / (1 - rate)
//
// Dropped: hash(seed of the model, step, layer, place in the batch), and the batch where a step takes several, < threshold = rate * 2^32. Nothing is stored: the backward pass makes the
// same mask from the same numbers. input, output (models, len); counters (models, COUNTERS). A thread per element; grid
// linear over groups of 256, z over models.
struct Params {
    len: u32,
    layer: u32,
    threshold: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

// 1: a step takes several batches, and each has a mask of its own.
const BY_BATCH = 0u;
// Parts in which a batch is taken: an element's place is that in the whole batch.
const PARTS = 1u;

// include: grid.wgsl
// include: hash.wgsl
// include: step_state.wgsl

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let element = linear_group(group, groups) * 256u + thread;
    if element < params.len {
        let i = group.z * params.len + element;
        let state = group.z * COUNTERS;
        var key = combine(combine(mix(counters[state + SEED]), counters[state + STEP]), params.layer);
        if BY_BATCH == 1u {
            key = combine(key, counters[state + BATCH] / PARTS);
        }
        let place = counters[state + BATCH] % PARTS * params.len + element;
        output[i] = select(input[i] * params.scale, 0.0, combine(key, place) < params.threshold);
    }
}
