// The first largest pixel of a window, in the order of rows, as PyTorch breaks ties; a NaN is the largest. The including shader
// binds `input`, includes pool_shape.wgsl, and has the constants THREADS and LANES: the threads that share one window.
// include: nan.wgsl

var<workgroup> lane_values: array<f32, THREADS>;
var<workgroup> lane_places: array<u32, THREADS>;

fn is_larger(candidate: f32, largest: f32) -> bool {
    return (candidate > largest || is_nan(candidate)) && !is_nan(largest);
}

// The pixel's index in its plane, which starts at `start` in `input`. Every window covers at least one pixel.
fn window_maximum(start: u32, window_y: u32, window_x: u32) -> u32 {
    let rows = window_range(window_y, params.stride_height, params.pad_top, params.size_height, params.height);
    let columns = window_range(window_x, params.stride_width, params.pad_left, params.size_width, params.width);
    var largest = rows.x * params.width + columns.x;
    var value = input[start + largest];
    for (var y = rows.x; y < rows.y; y++) {
        for (var x = columns.x; x < columns.y; x++) {
            let candidate = input[start + y * params.width + x];
            if is_larger(candidate, value) {
                value = candidate;
                largest = y * params.width + x;
            }
        }
    }
    return largest;
}

// The same by LANES threads, which take every LANES-th pixel each; all threads of the workgroup call it together.
fn shared_window_maximum(start: u32, window_y: u32, window_x: u32, thread: u32) -> u32 {
    let rows = window_range(window_y, params.stride_height, params.pad_top, params.size_height, params.height);
    let columns = window_range(window_x, params.stride_width, params.pad_left, params.size_width, params.width);
    let width = columns.y - columns.x;
    let count = (rows.y - rows.x) * width;
    let lane = thread % LANES;
    // A lane without a pixel takes the first, which no other lane's makes larger.
    var largest = rows.x * params.width + columns.x;
    var value = input[start + largest];
    for (var i = lane; i < count; i += LANES) {
        let place = (rows.x + i / width) * params.width + columns.x + i % width;
        if is_larger(input[start + place], value) {
            value = input[start + place];
            largest = place;
        }
    }
    lane_values[thread] = value;
    lane_places[thread] = largest;
    workgroupBarrier();
    let first = thread - lane;
    for (var l = first; l < first + LANES; l++) {
        let better = is_larger(lane_values[l], value);
        let tied = !better && !is_larger(value, lane_values[l]);
        if better || (tied && lane_places[l] < largest) {
            value = lane_values[l];
            largest = lane_places[l];
        }
    }
    return largest;
}
