// Softmax and cross-entropy of one row, and its gradient. The including shader defines `output_at(row, c)`, the row's
// logits, and `set_gradient(row, c, value)`, which may put the gradient in the logits' place.

// include: math.wgsl
// include: rows.wgsl

struct RowLoss {
    loss: f32,
    correct: f32,
}

// `rows`: real rows of the batch; `row`: what output_at and set_gradient know the row by. A row that is not real gets
// zeros. `stored`: classes whose gradient is stored, all or none. Contains barriers: call it in uniform control flow.
fn softmax_loss(
    row: u32,
    real: bool,
    classes: u32,
    stored: u32,
    label: u32,
    rows: u32,
    thread: u32,
) -> RowLoss {
    let lane = thread % LANES;
    // What the loops run to: no column of a row that is not real.
    let columns = select(0u, classes, real);

    var own = Largest(LOWEST, NONE);
    for (var c = lane; c < columns; c += LANES) {
        own = see(own, output_at(row, c), c);
    }
    let largest = row_largest(own, thread);

    // The label's own term stays out of the sum: 1 - p[label] would cancel as p[label] nears 1.
    var own_others = 0.0;
    for (var c = lane; c < columns; c += LANES) {
        if c != label {
            own_others += exp_of(output_at(row, c) - largest.value);
        }
    }
    let valid = label < classes && largest.column != INVALID;
    var gap = 0.0;
    if label < columns {
        gap = largest.value - output_at(row, label);
    }
    let others = row_sum(own_others, thread);

    let sum = others + exp_of(-gap);
    let scale = 1.0 / (sum * f32(max(rows, 1u)));
    for (var c = lane; c < stored; c += LANES) {
        var value = 0.0;
        if c == label {
            value = -others * scale;
        } else if c < columns {
            value = exp_of(output_at(row, c) - largest.value) * scale;
        }
        set_gradient(row, c, select(value, not_a_number(c), c < columns && !valid));
    }
    // Above 0 the largest term, which is 1, is among the others: ln(1 + (sum - 1)).
    let loss = log1p_of(select(sum - 1.0, others, label == largest.column)) + gap;
    return RowLoss(
        select(0.0, select(not_a_number(row), loss, valid), real),
        select(0.0, 1.0, real && valid && label == largest.column),
    );
}
