// The factor of the learning rate in the step to come, from a table of all steps; behind its end the last one stays on.
// factors (models, steps), counters (models, COUNTERS), scalars (models, SCALARS). One thread per model.
struct Params {
    models: u32,
    steps: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> scalars: array<f32>;

// include: step_state.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let model = id.x;
    if model < params.models {
        let step = min(counters[model * COUNTERS + STEP], params.steps - 1u);
        scalars[model * SCALARS + WARMUP] = factors[model * params.steps + step];
    }
}
