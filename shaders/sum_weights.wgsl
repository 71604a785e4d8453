// weight_sums[BATCH_WEIGHT] = sum of weights[example(r)] over the rows r of the batch, weight_sums[UPDATE_WEIGHT] the same over
// the rows of all batches of its update.
//
// example(r) is the r-th example of the epoch's order. weights (folds, examples), of which model z takes fold z % FOLDS; counters (models, COUNTERS);
// weight_sums (models, WEIGHT_SUMS). An update takes `batches` batches, the last one of an epoch what is left of `in_epoch`
// rows. One workgroup per model; sums in a fixed order.
struct Params {
    batch: u32,
    examples: u32,
    in_epoch: u32,
    batches: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> weight_sums: array<f32>;

const REDUCE_THREADS = 256u;
const SHUFFLE = 1u;
const FOLDS = 1u;

// include: batch.wgsl
// include: permute.wgsl
// include: reduce.wgsl
// include: weight_sums.wgsl

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let state = group.z * COUNTERS;
    let taken = counters[state + BATCH];
    // The batches of an update are one large batch to the count of rows.
    let size = params.batch * params.batches;
    let update = taken / params.batches;
    let rows = batch_rows(size, params.in_epoch, update);
    let first = (taken - update * params.batches) * params.batch;
    var of_batch = 0.0;
    var of_update = 0.0;
    for (var row = thread; row < rows; row += REDUCE_THREADS) {
        var example = update * size + row;
        if SHUFFLE == 1u {
            example = permute(example, params.examples, counters[state + KEY]);
        }
        let weight = weights[group.z % FOLDS * params.examples + example];
        of_update += weight;
        if row >= first && row - first < params.batch {
            of_batch += weight;
        }
    }
    of_batch = workgroup_sum(of_batch, thread);
    of_update = workgroup_sum(of_update, thread);
    if thread == 0u {
        let sums = group.z * WEIGHT_SUMS;
        weight_sums[sums + BATCH_WEIGHT] = of_batch;
        weight_sums[sums + UPDATE_WEIGHT] = of_update;
    }
}
