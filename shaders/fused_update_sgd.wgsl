// Gradients of a network of dense layers and a step of stochastic gradient descent, in one dispatch: lib/fused_update.wgsl
// with lib/sgd_rule.wgsl. parameters and velocity of model z start at z * parameter_stride; without momentum there is no
// velocity.
//
// hyper (models, HYPER), counters (models, COUNTERS), scalars (models, SCALARS), log (models, log_steps, 2).
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> trace: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> hyper: array<f32>;
@group(0) @binding(3) var<storage, read_write> counters: array<u32>;
@group(0) @binding(4) var<storage, read_write> scalars: array<f32>;
@group(0) @binding(5) var<storage, read_write> log: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(7) var<storage, read_write> velocity: array<f32>;

// include: fused_update.wgsl
// include: sgd_rule.wgsl

var<private> old_velocity: vec4<f32>;
var<private> rate: f32;

fn load_state(at: vec4<u32>, model: u32) {
    if WITH_MOMENTUM == 1u {
        old_velocity = vec4(velocity[at.x], velocity[at.y], velocity[at.z], velocity[at.w]);
    }
    rate = hyper[model * HYPER + LEARNING_RATE] * scalar_before(WARMUP, model);
}

fn update(at: vec4<u32>, parameter: vec4<f32>, gradient: vec4<f32>, model: u32) {
    let decay = hyper[model * HYPER + WEIGHT_DECAY];
    var next: array<SgdElement, 4>;
    for (var i = 0u; i < 4u; i++) {
        next[i] = sgd_step(SgdElement(parameter[i], old_velocity[i]), gradient[i], decay, rate, model);
    }
    for (var i = 0u; i < 4u; i++) {
        if at[i] != NONE {
            parameters[at[i]] = next[i].parameter;
            if WITH_MOMENTUM == 1u {
                velocity[at[i]] = next[i].velocity;
            }
        }
    }
}
