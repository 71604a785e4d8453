// Dense layer, backward to its parameters: lib/dense_backward_weight.wgsl, operands rounded to f16.

// include: matmul_f16.wgsl
// include: matmul_sums.wgsl
// include: dense_backward_weight.wgsl
