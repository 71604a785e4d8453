// gradient[r, c] += shares[r] * (other_gradient[r, c] - gradient[r, c]), and the same for row_loss[r] and row_correct[r]
//
// So the loss by a row's own target and that by the other's become the loss by both, each by its share. gradient (models, rows,
// outputs), all else (models, rows). A thread per element of the gradient; grid linear over groups of 128, z over models.
struct Params {
    rows: u32,
    outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> shares: array<f32>;
@group(0) @binding(2) var<storage, read> other_gradient: array<f32>;
@group(0) @binding(3) var<storage, read> other_loss: array<f32>;
@group(0) @binding(4) var<storage, read> other_correct: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> row_loss: array<f32>;
@group(0) @binding(7) var<storage, read_write> row_correct: array<f32>;

// include: grid.wgsl

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = linear_group(group, groups) * 128u + thread;
    let row = item / params.outputs;
    if row >= params.rows {
        return;
    }
    let at = group.z * params.rows + row;
    let element = group.z * params.rows * params.outputs + item;
    let share = shares[at];
    gradient[element] += share * (other_gradient[element] - gradient[element]);
    if item % params.outputs == 0u {
        row_loss[at] += share * (other_loss[at] - row_loss[at]);
        row_correct[at] += share * (other_correct[at] - row_correct[at]);
    }
}
