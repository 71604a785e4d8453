// square = A I + B gram + C square, where square is that of gram: the factor that Newton and Schulz's iteration multiplies by
//
// gram, square (models, side, side). One thread per element; grid linear over groups of 128, z over models.
struct Params {
    side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gram: array<f32>;
@group(0) @binding(2) var<storage, read_write> square: array<f32>;

const A: f32 = 3.4445;
const B: f32 = -4.775;
const C: f32 = 2.0315;

// include: grid.wgsl

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let element = linear_group(group, groups) * 128u + thread;
    if element >= params.side * params.side {
        return;
    }
    let i = group.z * params.side * params.side + element;
    let at = row_by_row(element, params.side);
    square[i] = select(0.0, A, at.x == at.y) + B * gram[i] + C * square[i];
}
