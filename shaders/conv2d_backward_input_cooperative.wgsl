// Convolution, backward to its input: lib/conv2d_backward_input.wgsl, operands rounded to f16 and multiplied by matrix units.

// include: matmul_cooperative.wgsl
// include: conv2d_backward_input.wgsl
