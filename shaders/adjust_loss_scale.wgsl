// Before an update: whether the step is skipped, since a gradient is not finite, and the scale of the next step's loss. It
// is halved by a skipped step and doubled by INTERVAL steps in a row that were not.
//
// parts (models, parts): gradients that are not finite; counters (models, COUNTERS), scalars (models, SCALARS), history
// (models, 2): steps in a row that were not skipped, and steps that were. One workgroup per model.
struct Params {
    parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> scalars: array<f32>;
@group(0) @binding(4) var<storage, read_write> history: array<u32>;

const REDUCE_THREADS = 256u;
const INTERVAL = 2000u;
// Within these the scale and its inverse are normal numbers: 2^-126 and 2^126.
const LEAST_SCALE: u32 = 0x00800000;
const MOST_SCALE: u32 = 0x7e800000;

// include: reduce.wgsl
// include: step_state.wgsl

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let model = group.z;
    var bad = 0.0;
    for (var part = thread; part < params.parts; part += REDUCE_THREADS) {
        bad += parts[model * params.parts + part];
    }
    bad = workgroup_sum(bad, thread);
    if thread != 0u {
        return;
    }
    let c = model * COUNTERS;
    // The scale is a power of two, so that one more or less in its exponent doubles or halves it.
    var scale = counters[c + LOSS_SCALE];
    if bad > 0.0 {
        scale = max(scale - 0x00800000u, LEAST_SCALE);
        history[2u * model] = 0u;
        history[2u * model + 1u] += 1u;
        scalars[model * SCALARS + SKIPPED] = 1.0;
    } else {
        history[2u * model] += 1u;
        if history[2u * model] == INTERVAL {
            scale = min(scale + 0x00800000u, MOST_SCALE);
            history[2u * model] = 0u;
        }
        scalars[model * SCALARS + SKIPPED] = 0.0;
    }
    counters[c + LOSS_SCALE] = scale;
}
