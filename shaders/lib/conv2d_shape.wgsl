// Shape of a convolution. Images are (batch, groups, channels, height, width) and (batch, groups, filters, output_height,
// output_width); weights are (groups, filters, channels, kernel_height, kernel_width). Padding at the bottom and right follows
// from the sizes. Taps of a filter lie dilation_height rows and dilation_width columns apart.
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
    dilation_height: u32,
    dilation_width: u32,
    groups: u32,
}
