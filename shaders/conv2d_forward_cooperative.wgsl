// Convolution, forward: lib/conv2d_forward.wgsl, operands rounded to f16 and multiplied by matrix units.

// include: matmul_cooperative.wgsl
// include: conv2d_forward.wgsl
