// Dense layer, backward to its parameters: lib/dense_backward_weight.wgsl, operands rounded to f16 and multiplied by matrix units.

// include: matmul_cooperative.wgsl
// include: dense_backward_weight.wgsl
