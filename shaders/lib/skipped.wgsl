// 1: a step whose gradients are not all finite changes neither weights nor moments. The including shader declares the
// binding scalars.
const SKIPS = 0u;

// include: step_state.wgsl

fn is_skipped(model: u32) -> bool {
    return SKIPS == 1u && scalars[model * SCALARS + SKIPPED] != 0.0;
}
