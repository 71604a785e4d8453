// What the optimizers share. The including shader declares the bindings parameters, gradients, weight_blocks, hyper,
// scalars and norm_parts, and params with parameter_stride, first and norm_parts.
const CLIP = 0u;
// 1: the L2 penalty's gradient is added here, so that no pass over the weights is spent on it.
const PENALTY = 0u;

// 1: weight decay leaves out all that is no weight, such as biases.
const SPARES_BIASES = 0u;

// include: penalty.wgsl
// include: skipped.wgsl
// include: step_state.wgsl

// The factor that brings the gradient's norm down to the limit (torch.nn.utils.clip_grad_norm_).
fn clip_factor(model: u32) -> f32 {
    var squares = 0.0;
    for (var part = 0u; part < params.norm_parts; part++) {
        squares += norm_parts[model * params.norm_parts + part];
    }
    return min(1.0, hyper[model * HYPER + CLIP_NORM] / (sqrt(squares) + 1e-6));
}

fn is_weight(i: u32) -> bool {
    let element = (params.first + i) % params.parameter_stride;
    return weight_blocks[element / 64u] == 1u;
}

// The weight decay of element `i` of this launch.
fn weight_decay(i: u32, model: u32) -> f32 {
    if SPARES_BIASES == 1u {
        if !is_weight(i) {
            return 0.0;
        }
    }
    return hyper[model * HYPER + WEIGHT_DECAY];
}

// The gradient of the loss, penalty included and clipped, at element `i` of this launch.
fn loss_gradient(i: u32, model: u32, parameter: f32) -> f32 {
    var gradient = gradients[i];
    if PENALTY == 1u {
        if is_weight(i) {
            gradient += penalty_gradient(parameter, model);
        }
    }
    if CLIP == 1u {
        gradient *= clip_factor(model);
    }
    return gradient;
}

fn learning_rate(model: u32) -> f32 {
    return hyper[model * HYPER + LEARNING_RATE] * scalars[model * SCALARS + WARMUP];
}
