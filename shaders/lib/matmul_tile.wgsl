// A tile of a matrix product in f32.
alias Staged = f32;

// include: matmul_registers.wgsl
