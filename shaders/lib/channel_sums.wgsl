// Sums over all examples and pixels of each channel of (examples, channels, plane). The including shader declares params with
// batch, channels and plane. A workgroup takes COLUMNS channels; its LANES threads of one channel take every LANES-th item
// each, an item being a pixel of an example.
const COLUMNS = 32u;
const LANES = 8u;
const THREADS = COLUMNS * LANES;

var<workgroup> column_values: array<f32, THREADS>;

// Where the value of a channel lies.
fn element_of(model: u32, item: u32, channel: u32) -> u32 {
    let example = model * params.batch + item / params.plane;
    return (example * params.channels + channel) * params.plane + item % params.plane;
}

// The sum of what the lanes of a channel have, in their order, to each of them. Contains barriers: call it in uniform control
// flow.
fn column_sum(own: f32, thread: u32) -> f32 {
    workgroupBarrier();
    column_values[thread] = own;
    workgroupBarrier();
    let column = thread % COLUMNS;
    var sum = column_values[column];
    for (var lane = 1u; lane < LANES; lane++) {
        sum += column_values[lane * COLUMNS + column];
    }
    return sum;
}
