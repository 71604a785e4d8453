// p = softmax(logits[r]), label = labels[indices[r]]
// row_loss[r] = -ln p[label], row_correct[r] = 1 where the first largest logit is the label's,
// gradient[r, c] = (p[c] - (c == label)) / rows
//
// logits, gradient (models, batch, classes); labels (examples), shared by the models; indices, row_loss, row_correct
// (models, batch); counters (models, COUNTERS). Rows from `rows` on are not real: everything is 0 there. A NaN or
// infinite logit and a label that is no class give NaN. Grid: linear over groups of rows, z over models.
struct Params {
    batch: u32,
    examples: u32,
    classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
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
// include: softmax_loss.wgsl

fn label_of(row: u32) -> u32 {
    let example = indices[row];
    if example < arrayLength(&labels) {
        return labels[example];
    }
    return params.classes;
}

fn output_at(row: u32, c: u32) -> f32 {
    return logits[row * params.classes + c];
}

fn set_gradient(row: u32, c: u32, value: f32) {
    gradient[row * params.classes + c] = value * loss_scale(row / params.batch);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = linear_group(group, groups) * ROWS + thread / LANES;
    let rows = batch_rows(params.batch, params.examples, counters[group.z * COUNTERS + BATCH]);
    let model_row = group.z * params.batch + row;
    var label = params.classes;
    if row < rows {
        label = label_of(model_row);
    }
    let stored = select(0u, params.classes, GRADIENT == 1u && row < params.batch);
    let result = softmax_loss(model_row, row < rows, params.classes, stored, label, rows, thread);
    if thread % LANES == 0u && row < params.batch {
        row_loss[model_row] = result.loss;
        row_correct[model_row] = result.correct;
    }
}
