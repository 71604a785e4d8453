// Dense layer, forward: lib/dense_forward.wgsl, in f32.

// include: matmul_tile.wgsl
// include: matmul_sums.wgsl
// include: dense_forward.wgsl
