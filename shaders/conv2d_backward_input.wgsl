// Convolution, backward to its input: lib/conv2d_backward_input.wgsl, in f32. For many channels; conv2d_backward_input_direct.wgsl does the same for few.

// include: matmul_tile.wgsl
// include: matmul_sums.wgsl
// include: conv2d_backward_input.wgsl
