// v = momentum * v + g, p -= learning_rate * v (or g + momentum * v for Nesterov), g = gradient + weight_decay * p
//
// As torch.optim.SGD. parameters, gradients and velocity are the same range of the flat buffers of all models, `len`
// elements from element `first` on; one thread per element.
struct Params {
    len: u32,
    first: u32,
    parameter_stride: u32,
    norm_parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(4) var<storage, read> weight_blocks: array<u32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>;
@group(0) @binding(6) var<storage, read> scalars: array<f32>;
@group(0) @binding(7) var<storage, read> norm_parts: array<f32>;

const WITH_MOMENTUM = 0u;
const NESTEROV = 0u;

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
    let parameter = parameters[i];
    var step = loss_gradient(i, model, parameter) + hyper[h + WEIGHT_DECAY] * parameter;
    if WITH_MOMENTUM == 1u {
        let momentum = hyper[h + MOMENTUM];
        let v = momentum * velocity[i] + step;
        velocity[i] = v;
        step = select(v, step + momentum * v, NESTEROV == 1u);
    }
    parameters[i] = parameter - learning_rate(model) * step;
}
