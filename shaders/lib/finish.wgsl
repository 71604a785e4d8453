// What follows a batch: its mean loss and accuracy into the epoch's sums and the log, and the counters one step on. The
// including shader declares the bindings hyper, counters, scalars and log, and params with rows, examples and log_steps.
// 1: a training step, which moves the optimizer's state on; 0: an evaluation.
const TRAINING = 1u;

// include: finite.wgsl
// include: skipped.wgsl
// include: step_state.wgsl

// `loss` and `correct`: sums over the rows; `squares`: the sum of the squared weights. One thread per model calls it.
fn finish_batch(model: u32, loss: f32, correct: f32, squares: f32) {
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
        if is_skipped(model) {
            return;
        }
        // 1 - beta^(t+1) = beta * (1 - beta^t) + (1 - beta): no cancellation, unlike 1 - pow(beta, t).
        scalars[s + BETA1_CORRECTION] = hyper[h + BETA1] * scalars[s + BETA1_CORRECTION] + hyper[h + ONE_MINUS_BETA1];
        scalars[s + BETA2_CORRECTION] = hyper[h + BETA2] * scalars[s + BETA2_CORRECTION] + hyper[h + ONE_MINUS_BETA2];
    }
}
