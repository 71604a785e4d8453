// average[i] += rest * (parameters[i] - average[i]), rest = 1 - decay: the moving average of the weights; after the first step
// it is the weights. As torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(decay).
//
// The arrays are the same range of the flat buffers of all models, `len` elements from element `first` on; one thread per
// element. counters (models, COUNTERS), after the step was counted.
struct Params {
    len: u32,
    first: u32,
    parameter_stride: u32,
    rest: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> average: array<f32>;

// include: grid.wgsl
// include: step_state.wgsl

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
    let parameter = parameters[i];
    let moved = average[i] + params.rest * (parameter - average[i]);
    average[i] = select(moved, parameter, counters[model * COUNTERS + STEP] == 1u);
}
