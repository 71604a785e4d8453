// row_loss[r] = scale * mean over j of (y[r, j] - t[indices[r], j])^2, gradient = 2 * scale * (y - t) / (rows * outputs)
// row_correct[r] = 1 where the first largest output is the first largest target; for a single output, where both lie on
// the same side of 0.5.
//
// output, gradient (models, batch, outputs); targets (examples, outputs), shared by the models; indices, row_loss,
// row_correct (models, batch); counters (models, COUNTERS). Rows from `rows` on are not real: everything is 0 there.
// Grid: linear over groups of rows, z over models.
struct Params {
    batch: u32,
    examples: u32,
    outputs: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> counters: array<u32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> row_loss: array<f32>;
@group(0) @binding(7) var<storage, read_write> row_correct: array<f32>;

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

    let factor = loss_scale(group.z) * (2.0 * params.scale / (f32(params.outputs) * f32(max(rows, 1u))));
    var own_squares = 0.0;
    var own_output = Largest(LOWEST, NONE);
    var own_target = Largest(LOWEST, NONE);
    for (var j = lane; j < params.outputs && row < params.batch; j += LANES) {
        var difference = 0.0;
        if real && first_target + j < arrayLength(&targets) {
            let y = output[first + j];
            let t = targets[first_target + j];
            difference = y - t;
            own_squares += difference * difference;
            own_output = see(own_output, y, j);
            own_target = see(own_target, t, j);
        }
        if GRADIENT == 1u {
            gradient[first + j] = factor * difference;
        }
    }
    let squares = row_sum(own_squares, thread);
    let largest_output = row_largest(own_output, thread);
    let largest_target = row_largest(own_target, thread);

    if lane == 0u && row < params.batch {
        var correct = largest_output.column == largest_target.column;
        if params.outputs == 1u {
            correct = (largest_output.value > 0.5) == (largest_target.value > 0.5);
        }
        let valid = largest_output.column != INVALID && largest_output.column != NONE;
        row_loss[model_row] = params.scale * squares / f32(params.outputs);
        row_correct[model_row] = select(0.0, 1.0, real && valid && correct);
    }
}
