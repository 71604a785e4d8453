// Before the first batch of an epoch: sums and the batch counter to zero, the next epoch's key and warm-up factor.
// counters (models, COUNTERS), scalars (models, SCALARS), hyper (models, HYPER). One thread per model.
struct Params {
    models: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> hyper: array<f32>;
@group(0) @binding(2) var<storage, read_write> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> scalars: array<f32>;

// include: hash.wgsl
// include: step_state.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let model = id.x;
    if model >= params.models {
        return;
    }
    let c = model * COUNTERS;
    let s = model * SCALARS;
    let epoch = counters[c + EPOCH] + 1u;
    counters[c + EPOCH] = epoch;
    counters[c + BATCH] = 0u;
    counters[c + SEEN] = 0u;
    counters[c + KEY] = combine(combine(0x7065726du, counters[c + SEED]), epoch);
    scalars[s + LOSS_SUM] = 0.0;
    scalars[s + CORRECT_SUM] = 0.0;
    scalars[s + WARMUP] = min(1.0, f32(counters[c + STEP] + 1u) / hyper[model * HYPER + WARMUP_STEPS]);
}
