// Shape of a pooling. Planes are the channels of all images of the batch; padding at the bottom and right follows from
// the sizes.
struct Params {
    planes: u32,
    height: u32,
    width: u32,
    size_height: u32,
    size_width: u32,
    stride_height: u32,
    stride_width: u32,
    pad_top: u32,
    pad_left: u32,
    output_height: u32,
    output_width: u32,
}

// The part of window `window` inside the image along one axis: first row or column, and the one after the last.
fn window_range(window: u32, stride: u32, pad: u32, size: u32, limit: u32) -> vec2<u32> {
    let end = window * stride + size;
    return vec2<u32>(max(window * stride, pad) - pad, min(max(end, pad) - pad, limit));
}

// The windows that cover row or column `at` along one axis: the first, and the one after the last.
fn windows_covering(at: u32, stride: u32, pad: u32, size: u32, windows: u32) -> vec2<u32> {
    let first = (max(at + pad + 1u, size) - size + stride - 1u) / stride;
    return vec2<u32>(first, min((at + pad) / stride + 1u, windows));
}
