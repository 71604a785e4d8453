// p = softmax(logits[r]), label = labels[indices[r]]
// row_loss[r] = -ln p[label], row_correct[r] = 1 where the first largest logit is the label's,
// gradient[r, c] = (p[c] - (c == label)) / rows
//
// SMOOTHED: the target is (1 - smoothing) * (c == label) + smoothing / classes, as in torch.nn.CrossEntropyLoss. That adds
// smoothing * mean over c of (logits[r, label] - logits[r, c]) to the loss.
//
// logits, gradient (models, batch, classes); labels (examples), shared by the models; indices, row_loss, row_correct
// (models, batch); counters (models, COUNTERS). Rows from `rows` on are not real: everything is 0 there. A NaN or
// infinite logit and a label that is no class give NaN. Grid: linear over groups of rows, z over models.
struct Params {
    batch: u32,
    examples: u32,
    classes: u32,
    smoothing: f32,
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
// 1: labels are smoothed.
const SMOOTHED = 0u;

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

// The row's label, and what smoothing adds to the gradient at it for each class; set before set_gradient is called.
var<private> own_label: u32;
var<private> smoothing_slope: f32;

fn set_gradient(row: u32, c: u32, value: f32) {
    var slope = value;
    if SMOOTHED == 1u {
        slope += smoothing_slope * (select(0.0, f32(params.classes), c == own_label) - 1.0);
    }
    gradient[row * params.classes + c] = slope * loss_scale(row / params.batch);
}

// The mean over the classes of how far their logits lie below the label's; 0 where there is no label.
fn mean_gap(row: u32, label: u32, thread: u32) -> f32 {
    var own_gaps = 0.0;
    if label < params.classes {
        for (var c = thread % LANES; c < params.classes; c += LANES) {
            own_gaps += output_at(row, label) - output_at(row, c);
        }
    }
    return row_sum(own_gaps, thread) / f32(params.classes);
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
    own_label = label;
    smoothing_slope = select(0.0, params.smoothing / (f32(params.classes) * f32(max(rows, 1u))), row < rows);
    let stored = select(0u, params.classes, GRADIENT == 1u && row < params.batch);
    var result = softmax_loss(model_row, row < rows, params.classes, stored, label, rows, thread);
    if SMOOTHED == 1u {
        result.loss += params.smoothing * mean_gap(model_row, label, thread);
    }
    if thread % LANES == 0u && row < params.batch {
        row_loss[model_row] = result.loss;
        row_correct[model_row] = result.correct;
    }
}
