// Convolution, forward: lib/conv2d_forward.wgsl, in f32. For many filters; conv2d_forward_direct.wgsl does the same for few.

// include: matmul_tile.wgsl
// include: matmul_sums.wgsl
// include: conv2d_forward.wgsl
