// What each row of a batch is mixed with: the row before it, and the first one with the last of the real rows. All rows of a batch
// have one ratio: shares[r] = quantiles[hash of the model's seed, the epoch and the batch], the share of the other.
//
// own, other (models, rows): places among the rows of all models; other_examples and indices (models, rows): examples; shares
// (models, rows); quantiles (4096), shared by the models; counters (models, COUNTERS). Rows that are not real stay alone. A
// thread per row; grid linear over groups of 64, z over models. Its twin is src/kernel/mixup/mod.rs.
struct Params {
    rows: u32,
    examples: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read> quantiles: array<f32>;
@group(0) @binding(4) var<storage, read_write> own: array<u32>;
@group(0) @binding(5) var<storage, read_write> other: array<u32>;
@group(0) @binding(6) var<storage, read_write> other_examples: array<u32>;
@group(0) @binding(7) var<storage, read_write> shares: array<f32>;

// What the hash of a ratio starts from.
const MIXUP = 0x6d697875u;

// include: batch.wgsl
// include: grid.wgsl
// include: hash.wgsl

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = linear_group(group, groups) * 64u + thread;
    if row >= params.rows {
        return;
    }
    let state = group.z * COUNTERS;
    let taken = counters[state + BATCH];
    let rows = batch_rows(params.rows, params.examples, taken);
    let first = group.z * params.rows;
    var partner = first + row;
    var share = 0.0;
    if row < rows {
        partner = first + select(row, rows, row == 0u) - 1u;
        let of_epoch = combine(combine(MIXUP, counters[state + SEED]), counters[state + EPOCH]);
        share = quantiles[combine(of_epoch, taken) >> 20u];
    }
    own[first + row] = first + row;
    other[first + row] = partner;
    other_examples[first + row] = indices[partner];
    shares[first + row] = share;
}
