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
// include: math.wgsl
// include: rows.wgsl

fn label_of(row: u32) -> u32 {
    let example = indices[row];
    if example < arrayLength(&labels) {
        return labels[example];
    }
    return params.classes;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = linear_group(group, groups) * ROWS + thread / LANES;
    let lane = thread % LANES;
    let rows = batch_rows(params.batch, params.examples, counters[group.z * COUNTERS + BATCH]);
    let model_row = group.z * params.batch + row;
    let first = model_row * params.classes;
    // What the loops run to: no column of a row that is not real.
    let columns = select(0u, params.classes, row < rows);

    var own = Largest(LOWEST, NONE);
    for (var c = lane; c < columns; c += LANES) {
        own = see(own, logits[first + c], c);
    }
    let largest = row_largest(own, thread);

    var label = params.classes;
    if row < rows {
        label = label_of(model_row);
    }
    // The label's own term stays out of the sum: 1 - p[label] would cancel as p[label] nears 1.
    var own_others = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        if c != label {
            own_others += exp_of(logits[first + c] - largest.value);
        }
    }
    let others = row_sum(own_others, thread);

    let valid = label < params.classes && largest.column != INVALID;
    var gap = 0.0;
    if label < columns {
        gap = largest.value - logits[first + label];
    }
    let sum = others + exp_of(-gap);
    if GRADIENT == 1u && row < params.batch {
        let scale = 1.0 / (sum * f32(max(rows, 1u)));
        for (var c = lane; c < params.classes; c += LANES) {
            var value = 0.0;
            if c == label {
                value = -others * scale;
            } else if c < columns {
                value = exp_of(logits[first + c] - largest.value) * scale;
            }
            gradient[first + c] = select(value, not_a_number(c), c < columns && !valid);
        }
    }
    if lane == 0u && row < params.batch {
        // Above 0 the largest term, which is 1, is among the others: ln(1 + (sum - 1)).
        let loss = log1p_of(select(sum - 1.0, others, label == largest.column)) + gap;
        let real = row < rows;
        row_loss[model_row] = select(0.0, select(not_a_number(row), loss, valid), real);
        row_correct[model_row] = select(0.0, 1.0, real && valid && label == largest.column);
    }
}
