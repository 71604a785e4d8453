// Dense layer, backward to its input: lib/dense_backward_input.wgsl, operands rounded to f16 and multiplied by matrix units.

// include: matmul_cooperative.wgsl
// include: dense_backward_input.wgsl
