// A tile of a matrix product of operands rounded to f16, summed in f32.
enable f16;

alias Staged = f16;

// include: matmul_registers.wgsl
