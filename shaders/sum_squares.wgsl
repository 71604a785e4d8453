// parts[model, output_first + part] = sum over this part's elements of x^2, where x = values, plus 2 * l2 * weights if WITH_L2
//
// values (models of `stride` elements each, the first `len` of them counted, which lie from `first` on among a model's parameters), parts (models, output_stride). WEIGHTS_ONLY leaves out
// blocks of 64 elements that hold no weights. Grid: x over parts, z over models; sums in a fixed order.
struct Params {
    len: u32,
    stride: u32,
    first: u32,
    parts: u32,
    output_stride: u32,
    output_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> weight_blocks: array<u32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

const REDUCE_THREADS = 256u;
const WEIGHTS_ONLY = 0u;
const WITH_L2 = 0u;

// include: reduce.wgsl
// include: step_state.wgsl

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let base = group.z * params.stride;
    let step = params.parts * REDUCE_THREADS;
    var sum = 0.0;
    for (var i = group.x * REDUCE_THREADS + thread; i < params.len; i += step) {
        var x = values[base + i];
        if WEIGHTS_ONLY == 1u || WITH_L2 == 1u {
            let is_weight = weight_blocks[(params.first + i) / 64u] == 1u;
            if WITH_L2 == 1u && is_weight {
                x += 2.0 * hyper[group.z * HYPER + L2] * weights[base + i];
            }
            if WEIGHTS_ONLY == 1u && !is_weight {
                x = 0.0;
            }
        }
        sum += x * x;
    }
    sum = workgroup_sum(sum, thread);
    if thread == 0u {
        parts[group.z * params.output_stride + params.output_first + group.x] = sum;
    }
}
