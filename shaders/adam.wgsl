// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
// p -= learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//
// As torch.optim.Adam (weight decay added to g) or, DECOUPLED, torch.optim.AdamW (p *= 1 - learning_rate * weight_decay
// first). The arrays are the same range of the flat buffers of all models, `len` elements from element `first` on; one
// thread per element.
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
@group(0) @binding(4) var<storage, read_write> variance: array<f32>;
@group(0) @binding(5) var<storage, read> weight_blocks: array<u32>;
@group(0) @binding(6) var<storage, read> hyper: array<f32>;
@group(0) @binding(7) var<storage, read> scalars: array<f32>;
@group(0) @binding(8) var<storage, read> norm_parts: array<f32>;

const DECOUPLED = 0u;

// include: grid.wgsl
// include: optimizer.wgsl

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
    let h = model * HYPER;
    let s = model * SCALARS;
    let rate = learning_rate(model);
    let decay = hyper[h + WEIGHT_DECAY];
    var parameter = parameters[i];
    var gradient = loss_gradient(i, model, parameter);
    if DECOUPLED == 1u {
        parameter *= 1.0 - rate * decay;
    } else {
        gradient += decay * parameter;
    }
    let m = hyper[h + BETA1] * mean[i] + hyper[h + ONE_MINUS_BETA1] * gradient;
    let v = hyper[h + BETA2] * variance[i] + hyper[h + ONE_MINUS_BETA2] * gradient * gradient;
    mean[i] = m;
    variance[i] = v;
    let denominator = sqrt(v) / sqrt(scalars[s + BETA2_CORRECTION]) + hyper[h + EPSILON];
    parameters[i] = parameter - rate / scalars[s + BETA1_CORRECTION] * m / denominator;
}
