// Dense layer, backward to its input: lib/dense_backward_input.wgsl, in f32.

// include: matmul_tile.wgsl
// include: matmul_sums.wgsl
// include: dense_backward_input.wgsl
