//! Columns copied from row to row.

use crate::backend::cpu::fast::{math, simd};
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::pointwise::copy_columns::Params;

/// Row by row.
pub(crate) fn copy(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (rows, kind) = (p.rows as usize * args.models(), args.constant("ACTIVATION", 0));
    let [input, saved, output] = args.operands();
    let (input, saved) = (input.read(), saved.read());
    let (len, to_stride, to_first) = (p.len as usize, p.to_stride as usize, p.to_first as usize);
    let output = &mut output.write()[..rows * to_stride];
    let work = 4.0 * (rows * len) as f64;
    simd::pieces(output, to_stride, work, |row, output| {
        let from = row * p.from_stride as usize + p.from_first as usize;
        let output = &mut output[to_first..][..len];
        output.copy_from_slice(&input[from..][..len]);
        if kind != activation::LINEAR {
            math::activation_gradient(output, &saved[row * to_stride + to_first..][..len], kind);
        }
    });
}
