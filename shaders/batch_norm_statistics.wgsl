// statistics[0, c] = mean of the batch's channel c, statistics[1, c] = 1 / sqrt(variance + epsilon)
// running = (1 - momentum) * running + momentum * (mean, or variance * n / (n - 1))
//
// The second step to a batch's statistics: the partials of batch_norm_moments.wgsl are put together in their order (Chan,
// Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979). n counts the channel's
// values without the rows past the end of the epoch; a single value says nothing of a variance and leaves running as it is.
// input (models, batch, channels, plane), partials (models, splits, 2, channels), counters (models, COUNTERS), statistics
// (models, 2, channels), running: model z's means at z * running_stride, the variances variance_offset further on.
// A thread per channel; grid linear over groups of THREADS, z over models.
struct Params {
    batch: u32,
    channels: u32,
    plane: u32,
    examples: u32,
    split_items: u32,
    running_stride: u32,
    variance_offset: u32,
    momentum: f32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> partials: array<f32>;
@group(0) @binding(3) var<storage, read> counters: array<u32>;
@group(0) @binding(4) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(5) var<storage, read_write> running: array<f32>;

const THREADS = 64u;

// include: batch.wgsl
// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let channel = linear_group(group, groups) * THREADS + thread;
    if channel >= params.channels {
        return;
    }
    let rows = batch_rows(params.batch, params.examples, counters[group.z * COUNTERS + BATCH]);
    let items = rows * params.plane;
    let count = f32(max(items, 1u));
    let splits = pieces(params.batch * params.plane, params.split_items);
    let first = group.z * splits * 2u * params.channels + channel;

    var offset = 0.0;
    for (var s = 0u; s < splits; s++) {
        let size = f32(min(params.split_items, items - min(items, s * params.split_items)));
        offset += partials[first + s * 2u * params.channels] * (size / count);
    }
    var squares = 0.0;
    for (var s = 0u; s < splits; s++) {
        let size = f32(min(params.split_items, items - min(items, s * params.split_items)));
        let at = first + s * 2u * params.channels;
        let difference = partials[at] - offset;
        squares += partials[at + params.channels] + difference * difference * size;
    }

    let mean = input[(group.z * params.batch * params.channels + channel) * params.plane] + offset;
    let result = group.z * 2u * params.channels + channel;
    statistics[result] = mean;
    statistics[result + params.channels] = 1.0 / sqrt(squares / count + params.epsilon);
    if items > 1u {
        let m = params.momentum;
        let at = group.z * params.running_stride + channel;
        running[at] = (1.0 - m) * running[at] + m * mean;
        let variance = at + params.variance_offset;
        running[variance] = (1.0 - m) * running[variance] + m * (squares / (count - 1.0));
    }
}
