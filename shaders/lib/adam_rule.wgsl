// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
// p -= learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//
// As torch.optim.Adam (weight decay added to g) or, DECOUPLED, torch.optim.AdamW (p *= 1 - learning_rate * weight_decay
// first). The including shader declares the binding hyper.
const DECOUPLED = 0u;

// include: step_state.wgsl

struct AdamElement {
    parameter: f32,
    mean: f32,
    variance: f32,
}

// One element after a step. `corrections`: 1 - beta1^t and 1 - beta2^t.
fn adam_step(
    old: AdamElement,
    loss_slope: f32,
    decay: f32,
    rate: f32,
    corrections: vec2<f32>,
    model: u32,
) -> AdamElement {
    let h = model * HYPER;
    var parameter = old.parameter;
    var gradient = loss_slope;
    if DECOUPLED == 1u {
        parameter *= 1.0 - rate * decay;
    } else {
        gradient += decay * parameter;
    }
    let m = hyper[h + BETA1] * old.mean + hyper[h + ONE_MINUS_BETA1] * gradient;
    let v = hyper[h + BETA2] * old.variance + hyper[h + ONE_MINUS_BETA2] * gradient * gradient;
    let denominator = sqrt(v) / sqrt(corrections.y) + hyper[h + EPSILON];
    return AdamElement(parameter - rate / corrections.x * m / denominator, m, v);
}
