// Muon's momentum of weights, and AdamW for all else
//
// Weights: m = momentum m + (1 - momentum) g; variance = m, or NESTEROV (1 - momentum) g + momentum m: the direction that
// muon_apply takes once it is orthogonal; p *= 1 - learning_rate * weight_decay. As torch.optim.Muon. The others take a step of
// AdamW (lib/adam_rule.wgsl, DECOUPLED) at ADAM_RATE times the learning rate. The arrays are the same range of the flat buffers
// of all models, `len` elements from element `first` on; one thread per element.
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

const NESTEROV = 0u;

// include: adam_rule.wgsl
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
    let old = AdamElement(parameters[i], mean[i], variance[i]);
    let slope = loss_gradient(i, model, old.parameter);
    let decay = weight_decay(i, model);
    let rate = learning_rate(model);
    if is_weight(i) {
        let momentum = hyper[h + MOMENTUM];
        let rest = hyper[h + ONE_MINUS_MOMENTUM];
        let next = momentum * old.mean + rest * slope;
        mean[i] = next;
        variance[i] = select(next, rest * slope + momentum * next, NESTEROV == 1u);
        parameters[i] = old.parameter * (1.0 - rate * decay);
    } else {
        let corrections = vec2(scalars[model * SCALARS + BETA1_CORRECTION], scalars[model * SCALARS + BETA2_CORRECTION]);
        let next = adam_step(old, slope, decay, rate * hyper[h + ADAM_RATE], corrections, model);
        parameters[i] = next.parameter;
        mean[i] = next.mean;
        variance[i] = next.variance;
    }
}
