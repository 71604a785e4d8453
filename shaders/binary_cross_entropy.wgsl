// row_loss[r] = mean over j of -(t ln p + (1 - t) ln(1 - p)), p = 1 / (1 + exp(-z[r, j])), t = targets[indices[r], j],
// computed as max(z, 0) - z t + ln(1 + exp(-|z|)); gradient = (p - t) / (rows * outputs)
// row_correct[r] = share of outputs with z > 0 exactly where t > 0.5.
//
// logits, gradient (models, batch, outputs); targets (examples, outputs), shared by the models; indices, row_loss,
// row_correct (models, batch); counters (models, COUNTERS). Rows from `rows` on are not real: everything is 0 there.
// Grid: linear over groups of rows, z over models.
struct Params {
    batch: u32,
    examples: u32,
    outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
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
// include: math.wgsl
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

    let factor = loss_scale(group.z) / (f32(params.outputs) * f32(max(rows, 1u)));
    var own_loss = 0.0;
    var own_correct = 0.0;
    for (var j = lane; j < params.outputs && row < params.batch; j += LANES) {
        var difference = 0.0;
        if real && first_target + j < arrayLength(&targets) {
            let z = logits[first + j];
            let t = targets[first_target + j];
            let p = sigmoid_pair(z);
            // For t = 1, p - 1 would cancel as p nears 1.
            difference = select(p.x - t, -p.y, t == 1.0);
            // max(z, 0) - z t, without cancellation for t = 1.
            own_loss += select(-z * t, z * (1.0 - t), z > 0.0) + log1p_of(exp_of(-abs(z)));
            own_correct += select(0.0, 1.0, (z > 0.0) == (t > 0.5) && !is_invalid(z));
        }
        if GRADIENT == 1u {
            gradient[first + j] = factor * difference;
        }
    }
    let loss = row_sum(own_loss, thread);
    let correct = row_sum(own_correct, thread);
    if lane == 0u && row < params.batch {
        row_loss[model_row] = loss / f32(params.outputs);
        row_correct[model_row] = correct / f32(params.outputs);
    }
}
