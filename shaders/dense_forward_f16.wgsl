// Dense layer, forward: lib/dense_forward.wgsl, operands rounded to f16.

// include: matmul_f16.wgsl
// include: matmul_sums.wgsl
// include: dense_forward.wgsl
