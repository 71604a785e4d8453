//! Nearest-neighbour upsampling, plane by plane.

use crate::backend::cpu::fast::{math, simd};
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::pool::upsample_forward::Params;

/// Each row of pixels is widened once, and then copied.
pub(crate) fn forward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let count = args.models() * p.planes as usize;
    let [input, output] = args.operands();
    let (input, output) = (input.read(), &mut output.write()[..count * p.output_area()]);
    let work = 4.0 * output.len() as f64;
    simd::pieces(output, p.output_area(), work, |plane, output| {
        let input = &input[plane * p.input_area()..][..p.input_area()];
        let windows = output.chunks_exact_mut(p.factor_height as usize * p.output_width());
        for (pixels, rows) in input.chunks_exact(p.width as usize).zip(windows) {
            let (first, others) = rows.split_at_mut(p.output_width());
            for (pixel, window) in pixels.iter().zip(first.chunks_exact_mut(p.factor_width as usize)) {
                window.fill(*pixel);
            }
            others.chunks_exact_mut(p.output_width()).for_each(|row| row.copy_from_slice(first));
        }
    });
}

/// Each pixel sums its window, row by row.
pub(crate) fn backward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (count, kind) = (args.models() * p.planes as usize, args.constant("ACTIVATION", 0));
    let [output_gradient, saved, input_gradient] = args.operands();
    let (output_gradient, saved) = (output_gradient.read(), saved.read());
    let input_gradient = &mut input_gradient.write()[..count * p.input_area()];
    let work = 4.0 * (count * p.output_area()) as f64;
    simd::pieces(input_gradient, p.input_area(), work, |plane, gradient| {
        let windows = output_gradient[plane * p.output_area()..][..p.output_area()]
            .chunks_exact(p.factor_height as usize * p.output_width());
        for (pixels, rows) in gradient.chunks_exact_mut(p.width as usize).zip(windows) {
            pixels.fill(0.0);
            for row in rows.chunks_exact(p.output_width()) {
                for (pixel, window) in pixels.iter_mut().zip(row.chunks_exact(p.factor_width as usize)) {
                    window.iter().for_each(|value| *pixel += value);
                }
            }
        }
        if kind != activation::LINEAR {
            math::activation_gradient(gradient, &saved[plane * p.input_area()..][..p.input_area()], kind);
        }
    });
}
