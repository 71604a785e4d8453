// output[i] = sum over s of partials[s, i], in a fixed order; the elements from `first` on go to output[second + i - first]
//
// partials (models, count, len), output: model z's starts at z * output_stride. With first = len the output is one piece;
// else it is two, such as a weight's gradient and its bias's. A workgroup sums COLUMNS elements; its LANES threads of one
// element take every LANES-th partial each. Grid: linear over groups of elements, z over models.
struct Params {
    len: u32,
    count: u32,
    first: u32,
    second: u32,
    output_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

const COLUMNS = 32u;
const LANES = 8u;

// include: grid.wgsl

var<workgroup> lane_sums: array<f32, COLUMNS * LANES>;

@compute @workgroup_size(COLUMNS * LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = linear_group(group, groups) * COLUMNS + thread % COLUMNS;
    let lane = thread / COLUMNS;
    var sum = 0.0;
    if i < params.len {
        for (var s = lane; s < params.count; s += LANES) {
            sum += partials[(group.z * params.count + s) * params.len + i];
        }
    }
    lane_sums[thread] = sum;
    workgroupBarrier();
    if lane == 0u && i < params.len {
        for (var l = 1u; l < LANES; l++) {
            sum += lane_sums[l * COLUMNS + thread];
        }
        let place = select(params.second + i - params.first, i, i < params.first);
        output[group.z * params.output_stride + place] = sum;
    }
}
