// The first largest pixel of a window, in the order of rows, as PyTorch breaks ties. The including shader binds `input`
// and includes pool_shape.wgsl.
// include: nan.wgsl

// The pixel's index in its plane, which starts at `start` in `input`. Every window covers at least one pixel.
fn window_maximum(start: u32, window_y: u32, window_x: u32) -> u32 {
    let rows = window_range(window_y, params.stride_height, params.pad_top, params.size_height, params.height);
    let columns = window_range(window_x, params.stride_width, params.pad_left, params.size_width, params.width);
    var largest = rows.x * params.width + columns.x;
    var value = input[start + largest];
    for (var y = rows.x; y < rows.y; y++) {
        for (var x = columns.x; x < columns.y; x++) {
            let candidate = input[start + y * params.width + x];
            if (candidate > value || is_nan(candidate)) && !is_nan(value) {
                value = candidate;
                largest = y * params.width + x;
            }
        }
    }
    return largest;
}
