// d = y[r, j] - t[indices[r], j], row_loss[r] = mean over j of |d|, gradient = sign(d) / (rows * outputs); with HUBER
// d^2 / 2 and d up to |d| = delta, and delta * (|d| - delta / 2) and delta * sign(d) beyond
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
    delta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> counters: array<u32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> row_loss: array<f32>;
@group(0) @binding(7) var<storage, read_write> row_correct: array<f32>;

// 1: quadratic up to delta.
const HUBER = 0u;

// include: value_loss.wgsl

fn loss_of(difference: f32) -> f32 {
    let size = abs(difference);
    if HUBER == 0u {
        return size;
    }
    return select(0.5 * size * size, params.delta * (size - 0.5 * params.delta), size > params.delta);
}

// 0 at 0; NaN of NaN, which WGSL's sign and clamp need not keep.
fn slope_of(difference: f32) -> f32 {
    let limit = select(0.0, params.delta, HUBER == 1u);
    let beyond = select(1.0, params.delta, HUBER == 1u);
    if difference > limit {
        return beyond;
    }
    if difference < -limit {
        return -beyond;
    }
    return difference;
}

fn loss_factor() -> f32 {
    return 1.0;
}

fn slope_factor() -> f32 {
    return 1.0;
}
