// Dense layer, forward: lib/dense_forward.wgsl, operands rounded to f16 and multiplied by matrix units.

// include: matmul_cooperative.wgsl
// include: dense_forward.wgsl
