// v = alpha v + (1 - alpha) g^2, p -= learning_rate * g / (sqrt(v) + epsilon), g = gradient + weight_decay * p
//
// CENTERED: m += (1 - alpha) (g - m), and v - m^2 in the place of v. WITH_MOMENTUM: u = momentum * u + g / (...), p -=
// learning_rate * u. As torch.optim.RMSprop; alpha lies where Adam has its beta 2. The arrays are the same range of the flat
// buffers of all models, `len` elements from element `first` on; averages has v of each element and, CENTERED, m behind it.
// One thread per element.
struct Params {
    len: u32,
    first: u32,
    parameter_stride: u32,
    norm_parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> averages: array<f32>;
@group(0) @binding(4) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(5) var<storage, read> weight_blocks: array<u32>;
@group(0) @binding(6) var<storage, read> hyper: array<f32>;
@group(0) @binding(7) var<storage, read> scalars: array<f32>;
@group(0) @binding(8) var<storage, read> norm_parts: array<f32>;

const CENTERED = 0u;
const WITH_MOMENTUM = 0u;

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
    if is_skipped(model) {
        return;
    }
    let h = model * HYPER;
    let at = i * (1u + CENTERED);
    let parameter = parameters[i];
    let gradient = loss_gradient(i, model, parameter) + weight_decay(i, model) * parameter;
    var square = hyper[h + BETA2] * averages[at] + hyper[h + ONE_MINUS_BETA2] * gradient * gradient;
    averages[at] = square;
    if CENTERED == 1u {
        let mean = averages[at + 1u] + hyper[h + ONE_MINUS_BETA2] * (gradient - averages[at + 1u]);
        averages[at + 1u] = mean;
        // Rounding may bring the difference below 0.
        square = max(square - mean * mean, 0.0);
    }
    var step = gradient / (sqrt(square) + hyper[h + EPSILON]);
    if WITH_MOMENTUM == 1u {
        step += hyper[h + MOMENTUM] * velocity[i];
        velocity[i] = step;
    }
    parameters[i] = parameter - learning_rate(model) * step;
}
