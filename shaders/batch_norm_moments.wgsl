// partials[s, 0, c] = mean over split s of input[n, c, p], minus the channel's first value
// partials[s, 1, c] = sum over split s of (input[n, c, p] - that mean)^2
//
// The first step to a batch's statistics: split s has the items (see lib/channel_sums.wgsl) from s * split_items on, without
// the rows past the end of the epoch; 0 where nothing is left. batch_norm_statistics.wgsl puts the splits together.
// input (models, batch, channels, plane), counters (models, COUNTERS), partials (models, splits, 2, channels).
// Grid: linear over the blocks of channels of each split, z over models.
struct Params {
    batch: u32,
    channels: u32,
    plane: u32,
    examples: u32,
    split_items: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> counters: array<u32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;

// include: batch.wgsl
// include: channel_sums.wgsl
// include: grid.wgsl

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let place = row_by_row(linear_group(group, groups), pieces(params.channels, COLUMNS));
    let splits = pieces(params.batch * params.plane, params.split_items);
    // Behind the last split there is no place for the sums.
    if place.y >= splits {
        return;
    }
    let rows = batch_rows(params.batch, params.examples, counters[group.z * COUNTERS + BATCH]);
    let items = rows * params.plane;
    let first = min(place.y * params.split_items, items);
    let count = min(params.split_items, items - first);
    let channel = place.x * COLUMNS + thread % COLUMNS;
    let lane = thread / COLUMNS;
    let end = first + select(0u, count, channel < params.channels);

    var shift = 0.0;
    if channel < params.channels {
        shift = input[element_of(group.z, 0u, channel)];
    }
    var own = 0.0;
    for (var item = first + lane; item < end; item += LANES) {
        own += input[element_of(group.z, item, channel)] - shift;
    }
    let offset = column_sum(own, thread) / f32(max(count, 1u));
    var own_squares = 0.0;
    for (var item = first + lane; item < end; item += LANES) {
        let difference = input[element_of(group.z, item, channel)] - shift - offset;
        own_squares += difference * difference;
    }
    let squares = column_sum(own_squares, thread);
    if lane == 0u && channel < params.channels {
        let result = (group.z * splits + place.y) * 2u * params.channels + channel;
        partials[result] = offset;
        partials[result + params.channels] = squares;
    }
}
