// One step of stochastic gradient descent (lib/sgd_rule.wgsl). parameters, gradients and velocity are the same range of the
// flat buffers of all models, `len` elements from element `first` on; one thread per element.
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

// include: grid.wgsl
// include: optimizer.wgsl
// include: sgd_rule.wgsl

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
    var old = SgdElement(parameters[i], 0.0);
    if WITH_MOMENTUM == 1u {
        old.velocity = velocity[i];
    }
    let slope = loss_gradient(i, model, old.parameter);
    let next = sgd_step(old, slope, weight_decay(i, model), learning_rate(model), model);
    parameters[i] = next.parameter;
    if WITH_MOMENTUM == 1u {
        velocity[i] = next.velocity;
    }
}
