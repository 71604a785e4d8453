// matrix = direction / max(norm of direction, 1e-7), lying on its side: turned where rows > columns
//
// direction (rows, columns), model z's at z * stride; norm_parts (models, parts) add up to its squared norm; matrix (models,
// short side, long side). One thread per element; grid linear over groups of 128, z over models.
struct Params {
    rows: u32,
    columns: u32,
    stride: u32,
    parts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> direction: array<f32>;
@group(0) @binding(2) var<storage, read> norm_parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> matrix: array<f32>;

const LEAST_NORM: f32 = 1e-7;

// include: grid.wgsl
// include: muon_place.wgsl

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = linear_group(group, groups) * 128u + thread;
    if i >= params.rows * params.columns {
        return;
    }
    var squares = 0.0;
    for (var part = 0u; part < params.parts; part++) {
        squares += norm_parts[group.z * params.parts + part];
    }
    matrix[place(i, group.z)] = direction[group.z * params.stride + i] / max(sqrt(squares), LEAST_NORM);
}
