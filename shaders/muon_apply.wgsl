// parameters -= learning_rate * factor * matrix
//
// parameters (rows, columns), model z's at z * stride; matrix (models, short side, long side) is turned where rows > columns. One
// thread per element; grid linear over groups of 128, z over models.
struct Params {
    rows: u32,
    columns: u32,
    stride: u32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> matrix: array<f32>;
@group(0) @binding(2) var<storage, read> hyper: array<f32>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;
@group(0) @binding(4) var<storage, read_write> parameters: array<f32>;

// include: grid.wgsl
// include: muon_place.wgsl
// include: skipped.wgsl

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = linear_group(group, groups) * 128u + thread;
    if i >= params.rows * params.columns || is_skipped(group.z) {
        return;
    }
    let rate = hyper[group.z * HYPER + LEARNING_RATE] * scalars[group.z * SCALARS + WARMUP];
    parameters[group.z * params.stride + i] -= rate * params.factor * matrix[place(i, group.z)];
}
