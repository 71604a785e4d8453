// 1: the gradient is multiplied by the model's loss scale, so that f16 holds small gradients. The including shader declares
// the binding counters.
const SCALED = 0u;

// include: step_state.wgsl

fn loss_scale(model: u32) -> f32 {
    if SCALED == 1u {
        return bitcast<f32>(counters[model * COUNTERS + LOSS_SCALE]);
    }
    return 1.0;
}
