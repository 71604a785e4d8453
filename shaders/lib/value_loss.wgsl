// A loss of values, which is the mean over a row's outputs of a function of output minus target. The including shader declares
// the bindings output, targets, indices, counters, gradient, row_loss and row_correct, and params with batch, examples and
// outputs; it defines `loss_of(difference)`, its slope `slope_of(difference)`, and what those are multiplied by:
// `loss_factor()` and `slope_factor()`.

// 0: no gradient; its binding is then a dummy.
const GRADIENT = 1u;

// include: batch.wgsl
// include: grid.wgsl
// include: loss_scale.wgsl
// include: rows.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = linear_group(group, groups) * ROWS + thread / LANES;
    let lane = thread % LANES;
    let rows = batch_rows(params.batch, params.examples, counters[group.z * COUNTERS + BATCH]);
    let real = row < rows;
    let model_row = group.z * params.batch + row;
    let first = model_row * params.outputs;
    var first_target = 0u;
    if real {
        first_target = indices[model_row] * params.outputs;
    }

    let factor = loss_scale(group.z) * (slope_factor() / (f32(params.outputs) * f32(max(rows, 1u))));
    var own_sum = 0.0;
    var own_output = Largest(LOWEST, NONE);
    var own_target = Largest(LOWEST, NONE);
    for (var j = lane; j < params.outputs && row < params.batch; j += LANES) {
        var difference = 0.0;
        if real && first_target + j < arrayLength(&targets) {
            let y = output[first + j];
            let t = targets[first_target + j];
            difference = y - t;
            own_sum += loss_of(difference);
            own_output = see(own_output, y, j);
            own_target = see(own_target, t, j);
        }
        if GRADIENT == 1u {
            gradient[first + j] = factor * slope_of(difference);
        }
    }
    let sum = row_sum(own_sum, thread);
    let largest_output = row_largest(own_output, thread);
    let largest_target = row_largest(own_target, thread);

    if lane == 0u && row < params.batch {
        var correct = largest_output.column == largest_target.column;
        if params.outputs == 1u {
            correct = (largest_output.value > 0.5) == (largest_target.value > 0.5);
        }
        let valid = largest_output.column != INVALID && largest_output.column != NONE;
        row_loss[model_row] = loss_factor() * sum / f32(params.outputs);
        row_correct[model_row] = select(0.0, 1.0, real && valid && correct);
    }
}
