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

// include: value_loss.wgsl

fn loss_of(difference: f32) -> f32 {
    return difference * difference;
}

fn slope_of(difference: f32) -> f32 {
    return difference;
}

fn loss_factor() -> f32 {
    return params.scale;
}

fn slope_factor() -> f32 {
    return 2.0 * params.scale;
}
