// After a batch: its mean loss and accuracy into the epoch's sums and the log, and the counters one step on.
//
// loss = sum(row_loss) / n + l2 * sum(penalty), accuracy = sum(row_correct) / n, n the examples in this batch.
// row_loss and row_correct (models, rows), penalty (models, penalty_parts), log (models, log_steps, 2). One workgroup
// per model; sums in a fixed order.
struct Params {
    rows: u32,
    examples: u32,
    penalty_parts: u32,
    log_steps: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> row_loss: array<f32>;
@group(0) @binding(2) var<storage, read> row_correct: array<f32>;
@group(0) @binding(3) var<storage, read> penalty: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;
@group(0) @binding(5) var<storage, read_write> counters: array<u32>;
@group(0) @binding(6) var<storage, read_write> scalars: array<f32>;
@group(0) @binding(7) var<storage, read_write> log: array<f32>;

const REDUCE_THREADS = 256u;
// 1: a training step, which moves the optimizer's state on; 0: an evaluation.
const TRAINING = 1u;

// include: reduce.wgsl
// include: step_state.wgsl

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let model = group.z;
    var loss = 0.0;
    var correct = 0.0;
    for (var row = thread; row < params.rows; row += REDUCE_THREADS) {
        loss += row_loss[model * params.rows + row];
        correct += row_correct[model * params.rows + row];
    }
    var squares = 0.0;
    for (var part = thread; part < params.penalty_parts; part += REDUCE_THREADS) {
        squares += penalty[model * params.penalty_parts + part];
    }
    loss = workgroup_sum(loss, thread);
    correct = workgroup_sum(correct, thread);
    squares = workgroup_sum(squares, thread);
    if thread != 0u {
        return;
    }
    let c = model * COUNTERS;
    let s = model * SCALARS;
    let h = model * HYPER;
    let first = counters[c + BATCH] * params.rows;
    let n = min(params.rows, params.examples - min(first, params.examples));
    let count = f32(max(n, 1u));
    let mean = loss / count + hyper[h + L2] * squares;
    scalars[s + STEP_LOSS] = mean;
    scalars[s + STEP_ACCURACY] = correct / count;
    scalars[s + LOSS_SUM] += mean * f32(n);
    scalars[s + CORRECT_SUM] += correct;
    counters[c + SEEN] += n;
    counters[c + BATCH] += 1u;
    let step = counters[c + STEP];
    if !is_finite(mean) && counters[c + NOT_FINITE] == 0u {
        counters[c + NOT_FINITE] = step + 1u;
    }
    if TRAINING == 1u {
        let entry = (model * params.log_steps + step % params.log_steps) * 2u;
        log[entry] = mean;
        log[entry + 1u] = correct / count;
        counters[c + STEP] = step + 1u;
        scalars[s + WARMUP] = min(1.0, f32(step + 2u) / hyper[h + WARMUP_STEPS]);
        // 1 - beta^(t+1) = beta * (1 - beta^t) + (1 - beta): no cancellation, unlike 1 - pow(beta, t).
        scalars[s + BETA1_CORRECTION] = hyper[h + BETA1] * scalars[s + BETA1_CORRECTION] + hyper[h + ONE_MINUS_BETA1];
        scalars[s + BETA2_CORRECTION] = hyper[h + BETA2] * scalars[s + BETA2_CORRECTION] + hyper[h + ONE_MINUS_BETA2];
    }
}
