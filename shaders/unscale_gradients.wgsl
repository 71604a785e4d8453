// gradients[i] /= scale, the factor that the loss's gradient was multiplied by; parts[model, part] = how many of this part's
// gradients were not finite before.
//
// gradients (models, len), counters (models, COUNTERS), parts (models, parts). Grid: x over parts, z over models.
struct Params {
    len: u32,
    parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

const REDUCE_THREADS = 256u;

// include: finite.wgsl
// include: reduce.wgsl
// include: step_state.wgsl

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    // The scale is a power of two: its inverse is exact.
    let factor = 1.0 / bitcast<f32>(counters[group.z * COUNTERS + LOSS_SCALE]);
    let step = params.parts * REDUCE_THREADS;
    var bad = 0.0;
    for (var i = group.x * REDUCE_THREADS + thread; i < params.len; i += step) {
        let gradient = gradients[group.z * params.len + i];
        if !is_finite(gradient) {
            bad += 1.0;
        }
        gradients[group.z * params.len + i] = gradient * factor;
    }
    bad = workgroup_sum(bad, thread);
    if thread == 0u {
        parts[group.z * params.parts + group.x] = bad;
    }
}
