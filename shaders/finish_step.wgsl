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

// include: finish.wgsl
// include: reduce.wgsl

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
    finish_batch(model, loss, correct, squares);
}
