// output[p, y, x] = input[p, y / factor_height, x / factor_width]
//
// input (models, planes, height, width), output (models, planes, height * factor_height, width * factor_width).
// A thread per element of the output; grid linear over groups of THREADS, z over models.
// include: upsample_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const THREADS = 64u;

// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = linear_group(group, groups) * THREADS + thread;
    // Rows of all planes, one below the other: those of the output come in whole factors too.
    let rows = params.planes * params.height;
    let place = row_by_row(index, params.width * params.factor_width);
    if place.y >= rows * params.factor_height {
        return;
    }
    let source = group.z * rows + place.y / params.factor_height;
    let area = rows * params.width * params.factor_height * params.factor_width;
    output[group.z * area + index] = input[source * params.width + place.x / params.factor_width];
}
