// row_loss[r] *= w * rows / (sum of the batch's weights), gradient[r, c] *= w * rows / (sum of the update's weights), where
// w = weights[indices[r]] and rows are the real rows of the batch and of the update.
//
// So a mean over the rows becomes the mean weighted by w, of the loss over the batch and of the gradient over the update; where
// the sum is 0 it is 0. gradient (models, batch, outputs), row_loss and indices (models, batch), weights (examples), shared by
// the models, weight_sums (models, WEIGHT_SUMS), counters (models, COUNTERS). A thread per element of the gradient; grid linear
// over groups of 128, z over models.
struct Params {
    batch: u32,
    in_epoch: u32,
    batches: u32,
    outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> weight_sums: array<f32>;
@group(0) @binding(4) var<storage, read> counters: array<u32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> row_loss: array<f32>;

// include: batch.wgsl
// include: grid.wgsl
// include: weight_sums.wgsl

fn rows_per_weight(rows: u32, sum: f32) -> f32 {
    return select(0.0, f32(rows) / sum, sum > 0.0);
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = linear_group(group, groups) * 128u + thread;
    let row = item / params.outputs;
    if row >= params.batch {
        return;
    }
    let taken = counters[group.z * COUNTERS + BATCH];
    let sums = group.z * WEIGHT_SUMS;
    let model_row = group.z * params.batch + row;
    let weight = weights[indices[model_row]];
    // The batches of an update are one large batch to the count of rows.
    let in_update = batch_rows(params.batch * params.batches, params.in_epoch, taken / params.batches);
    gradient[group.z * params.batch * params.outputs + item] *=
        weight * rows_per_weight(in_update, weight_sums[sums + UPDATE_WEIGHT]);
    if item % params.outputs == 0u {
        let rows = batch_rows(params.batch, params.in_epoch, taken);
        row_loss[model_row] *= weight * rows_per_weight(rows, weight_sums[sums + BATCH_WEIGHT]);
    }
}
