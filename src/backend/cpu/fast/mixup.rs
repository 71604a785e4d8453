//! Mixup, a row at a time.

use crate::backend::cpu::threads;
use crate::kernel::Args;
use crate::kernel::mixup::rows::Params;

/// The same in f32.
pub(crate) fn mixup_rows(args: &mut Args<f32>) {
    let (p, models): (Params, _) = (args.params(), args.models());
    let [input, own, other, shares, output] = args.operands();
    let (input, own, other, shares) = (input.read(), own.read_u32(), other.read_u32(), shares.read());
    let len = p.len as usize;
    let output = &mut output.write()[..models * p.rows as usize * len];
    let worth = 3.0 * output.len() as f64 >= threads::WORTH_FLOPS;
    threads::for_each_if(worth, output.chunks_mut(len).enumerate(), |(at, output)| {
        let row = |rows: &[u32]| &input[rows[at] as usize * len..][..len];
        for ((mixed, x), y) in output.iter_mut().zip(row(own)).zip(row(other)) {
            *mixed = x + shares[at] * (y - x);
        }
    });
}
