// input_gradient[p, y, x] = activation'(saved[p, y, x]) * sum of output_gradient[p, window of pixel (y, x)], row by row
//
// output_gradient (models, planes, height * factor_height, width * factor_width); saved and input_gradient (models, planes,
// height, width): what the layer before saved, and the gradient at its pre-activation. ACTIVATION is the layer before's.
// A thread per element of the input; grid linear over groups of THREADS, z over models.
// include: upsample_shape.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;
@group(0) @binding(2) var<storage, read> saved: array<f32>;
@group(0) @binding(3) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;
const THREADS = 64u;

// include: activation.wgsl
// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = linear_group(group, groups) * THREADS + thread;
    let rows = params.planes * params.height;
    let place = row_by_row(index, params.width);
    if place.y >= rows {
        return;
    }
    let stride = params.width * params.factor_width;
    let first = (group.z * rows + place.y) * params.factor_height * stride + place.x * params.factor_width;
    var sum = 0.0;
    for (var row = 0u; row < params.factor_height; row++) {
        for (var column = 0u; column < params.factor_width; column++) {
            sum += output_gradient[first + row * stride + column];
        }
    }
    let i = group.z * rows * params.width + index;
    if ACTIVATION != LINEAR {
        sum *= activation_gradient(saved[i], ACTIVATION);
    }
    input_gradient[i] = sum;
}
