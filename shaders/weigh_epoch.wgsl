// After the bookkeeping of a weighted batch: scalars[LOSS_SUM] such that LOSS_SUM / SEEN is the mean of the epoch's losses so
// far, weighted by the sums of their batches' weights; 0 where those are 0.
//
// counters (models, COUNTERS), the batch already counted; weight_sums (models, WEIGHT_SUMS), scalars (models, SCALARS). One
// thread per model.
struct Params {
    models: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counters: array<u32>;
@group(0) @binding(2) var<storage, read_write> weight_sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> scalars: array<f32>;

// include: step_state.wgsl
// include: weight_sums.wgsl

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let model = id.x;
    if model >= params.models {
        return;
    }
    let c = model * COUNTERS;
    let s = model * SCALARS;
    let sums = model * WEIGHT_SUMS;
    var loss = weight_sums[sums + BATCH_WEIGHT] * scalars[s + STEP_LOSS];
    var weight = weight_sums[sums + BATCH_WEIGHT];
    if counters[c + BATCH] > 1u {
        loss += weight_sums[sums + EPOCH_LOSS];
        weight += weight_sums[sums + EPOCH_WEIGHT];
    }
    weight_sums[sums + EPOCH_LOSS] = loss;
    weight_sums[sums + EPOCH_WEIGHT] = weight;
    scalars[s + LOSS_SUM] = select(loss, loss / weight * f32(counters[c + SEEN]), weight > 0.0);
}
