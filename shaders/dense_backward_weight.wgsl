// Dense layer, backward to its parameters: lib/dense_backward_weight.wgsl, in f32.

// include: matmul_tile.wgsl
// include: matmul_sums.wgsl
// include: dense_backward_weight.wgsl
