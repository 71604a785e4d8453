// gradients[i] += batch_gradients[i] * (rows of this batch) / (rows of all batches of this update); the first batch of an
// update takes the place of what was there. So the last one leaves the mean over the examples of all.
//
// The arrays are the same range of the flat buffers of all models, `len` elements from element `first` on; one thread per
// element. counters (models, COUNTERS). An update takes `batches` batches, the last one of an epoch what is left.
struct Params {
    len: u32,
    first: u32,
    parameter_stride: u32,
    batch: u32,
    examples: u32,
    batches: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> batch_gradients: array<f32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradients: array<f32>;

// include: batch.wgsl
// include: grid.wgsl

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = linear_group(group, groups) * 128u + thread;
    if i >= params.len {
        return;
    }
    let model = (params.first + i) / params.parameter_stride;
    let taken = counters[model * COUNTERS + BATCH];
    let rows = batch_rows(params.batch, params.examples, taken);
    // The batches of an update are one large batch to the count of rows.
    let all = batch_rows(params.batch * params.batches, params.examples, taken / params.batches);
    let part = batch_gradients[i] * (f32(rows) / f32(max(all, 1u)));
    gradients[i] = select(gradients[i] + part, part, taken % params.batches == 0u);
}
