// Gradients of a network of dense layers and a step of Adam or AdamW, in one dispatch: lib/fused_update.wgsl with
// lib/adam_rule.wgsl. parameters, mean and variance of model z start at z * parameter_stride.
//
// hyper (models, HYPER), counters (models, COUNTERS), scalars (models, SCALARS), log (models, log_steps, 2).
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> trace: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> hyper: array<f32>;
@group(0) @binding(3) var<storage, read_write> counters: array<u32>;
@group(0) @binding(4) var<storage, read_write> scalars: array<f32>;
@group(0) @binding(5) var<storage, read_write> log: array<f32>;
@group(0) @binding(6) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(7) var<storage, read_write> mean: array<f32>;
@group(0) @binding(8) var<storage, read_write> variance: array<f32>;

// include: adam_rule.wgsl
// include: fused_update.wgsl

var<private> old_mean: vec4<f32>;
var<private> old_variance: vec4<f32>;
var<private> rate: f32;
var<private> corrections: vec2<f32>;

fn load_state(at: vec4<u32>, model: u32) {
    old_mean = vec4(mean[at.x], mean[at.y], mean[at.z], mean[at.w]);
    old_variance = vec4(variance[at.x], variance[at.y], variance[at.z], variance[at.w]);
    rate = hyper[model * HYPER + LEARNING_RATE] * scalar_before(WARMUP, model);
    corrections = vec2(scalar_before(BETA1_CORRECTION, model), scalar_before(BETA2_CORRECTION, model));
}

fn update(at: vec4<u32>, parameter: vec4<f32>, gradient: vec4<f32>, model: u32) {
    let decay = hyper[model * HYPER + WEIGHT_DECAY];
    var next: array<AdamElement, 4>;
    for (var i = 0u; i < 4u; i++) {
        let old = AdamElement(parameter[i], old_mean[i], old_variance[i]);
        next[i] = adam_step(old, gradient[i], decay, rate, corrections, model);
    }
    for (var i = 0u; i < 4u; i++) {
        if at[i] != NONE {
            parameters[at[i]] = next[i].parameter;
            mean[at[i]] = next[i].mean;
            variance[at[i]] = next[i].variance;
        }
    }
}
