// p -= learning_rate * (sign(beta1 m + (1 - beta1) g) + weight_decay * p), then m = beta2 m + (1 - beta2) g
//
// As the Lion of Chen et al. (2023). The arrays are the same range of the flat buffers of all models, `len` elements from
// element `first` on; one thread per element.
struct Params {
    len: u32,
    first: u32,
    parameter_stride: u32,
    norm_parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> mean: array<f32>;
@group(0) @binding(4) var<storage, read> weight_blocks: array<u32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>;
@group(0) @binding(6) var<storage, read> scalars: array<f32>;
@group(0) @binding(7) var<storage, read> norm_parts: array<f32>;

// include: grid.wgsl
// include: nan.wgsl
// include: optimizer.wgsl

// 1, 0 or -1; NaN of NaN.
fn direction(value: f32) -> f32 {
    if is_nan(value) {
        return value;
    }
    return sign(value);
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = linear_group(group, groups) * 128u + thread;
    if i >= params.len {
        return;
    }
    let model = (params.first + i) / params.parameter_stride;
    if is_skipped(model) {
        return;
    }
    let h = model * HYPER;
    let parameter = parameters[i];
    let gradient = loss_gradient(i, model, parameter);
    let step = direction(hyper[h + BETA1] * mean[i] + hyper[h + ONE_MINUS_BETA1] * gradient);
    let shrunk = parameter * (1.0 - learning_rate(model) * weight_decay(i, model));
    parameters[i] = shrunk - learning_rate(model) * step;
    mean[i] = hyper[h + BETA2] * mean[i] + hyper[h + ONE_MINUS_BETA2] * gradient;
}
