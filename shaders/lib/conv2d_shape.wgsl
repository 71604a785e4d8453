// Shape of a convolution. Images are (batch, channels, height, width) and (batch, filters, output_height, output_width);
// weights are (filters, channels, kernel_height, kernel_width). Padding at the bottom and right follows from the sizes.
struct Params {
    batch: u32,
    channels: u32,
    height: u32,
    width: u32,
    filters: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride_height: u32,
    stride_width: u32,
    pad_top: u32,
    pad_left: u32,
    output_height: u32,
    output_width: u32,
    parameter_stride: u32,
    input_stride: u32,
}
