// v = momentum * v + g, p -= learning_rate * v (or g + momentum * v for Nesterov), g = gradient + weight_decay * p
//
// As torch.optim.SGD. The including shader declares the binding hyper.
const WITH_MOMENTUM = 0u;
const NESTEROV = 0u;

// include: step_state.wgsl

struct SgdElement {
    parameter: f32,
    velocity: f32,
}

// One element after a step; without momentum the velocity is not used.
fn sgd_step(old: SgdElement, loss_slope: f32, decay: f32, rate: f32, model: u32) -> SgdElement {
    var step = loss_slope + decay * old.parameter;
    var velocity = old.velocity;
    if WITH_MOMENTUM == 1u {
        let momentum = hyper[model * HYPER + MOMENTUM];
        velocity = momentum * velocity + step;
        step = select(velocity, step + momentum * velocity, NESTEROV == 1u);
    }
    return SgdElement(old.parameter - rate * step, velocity);
}
