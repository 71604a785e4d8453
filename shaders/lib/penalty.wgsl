// include: step_state.wgsl

// The gradient of the penalty l2 * sum(w^2) at one weight. The including shader declares the binding hyper.
fn penalty_gradient(weight: f32, model: u32) -> f32 {
    return 2.0 * hyper[model * HYPER + L2] * weight;
}
