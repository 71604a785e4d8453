// output[r] = input[own[r]] + shares[r] * (input[other[r]] - input[own[r]])
//
// input: rows of `len` numbers; own, other, shares (models, rows); output (models, rows, len). A thread per element; grid linear
// over groups of 128, z over models.
struct Params {
    rows: u32,
    len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> own: array<u32>;
@group(0) @binding(3) var<storage, read> other: array<u32>;
@group(0) @binding(4) var<storage, read> shares: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

// include: grid.wgsl

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = linear_group(group, groups) * 128u + thread;
    let row = item / params.len;
    let column = item % params.len;
    if row >= params.rows {
        return;
    }
    let at = group.z * params.rows + row;
    let value = input[own[at] * params.len + column];
    let other_value = input[other[at] * params.len + column];
    output[at * params.len + column] = value + shares[at] * (other_value - value);
}
