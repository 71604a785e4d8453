// Convolution, forward: lib/conv2d_forward.wgsl, operands rounded to f16.

// include: matmul_f16.wgsl
// include: matmul_sums.wgsl
// include: conv2d_forward.wgsl
