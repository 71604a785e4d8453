//! Pooling, a plane at a time.

use super::{math, simd};
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::pool::shape::Params;
use crate::kernel::pool::{average_backward, average_forward, max_backward, max_forward};

/// How many of a convolution's floating point operations take as long as one of a pooling, whose windows are too small for
/// vectors: decides from where threads pay.
const SLOWNESS: f64 = 16.0;

pub(crate) fn max_forward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * max_forward::cost(args.params).flops * args.models() as f64;
    let [input, output] = args.operands();
    let (input, output) = (input.read(), &mut output.write()[..count * p.output_area()]);
    simd::pieces(output, p.output_area(), work, |plane, output| {
        let input = &input[plane * p.input_area()..][..p.input_area()];
        for (y, output) in output.chunks_exact_mut(p.output_width as usize).enumerate() {
            for (x, output) in output.iter_mut().enumerate() {
                *output = largest(&p, input, p.window(y, x));
            }
        }
    });
}

fn largest(p: &Params, input: &[f32], [rows, columns]: [std::ops::Range<usize>; 2]) -> f32 {
    let mut largest = f32::NEG_INFINITY;
    for y in rows {
        for &value in &input[y * p.width as usize..][columns.clone()] {
            // A NaN displaces every number, and no number displaces it.
            largest = if value > largest || value.is_nan() { value } else { largest };
        }
    }
    largest
}

pub(crate) fn max_backward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let kind = args.constant("ACTIVATION", 0);
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * max_backward::cost(args.params).flops * args.models() as f64;
    let [input, output_gradient, saved, input_gradient] = args.operands();
    let (input, output_gradient, saved) = (input.read(), output_gradient.read(), saved.read());
    let input_gradient = &mut input_gradient.write()[..count * p.input_area()];
    simd::pieces(input_gradient, p.input_area(), work, |plane, gradient| {
        let range = plane * p.input_area()..(plane + 1) * p.input_area();
        let input = &input[range.clone()];
        let windows =
            output_gradient[plane * p.output_area()..][..p.output_area()].chunks_exact(p.output_width as usize);
        gradient.fill(0.0);
        for (y, row) in windows.enumerate() {
            for (x, value) in row.iter().enumerate() {
                let larger = |a: f32, b: f32| (a > b) | (a.is_nan() & !b.is_nan());
                gradient[p.first_maximum(input, p.window(y, x), larger)] += value;
            }
        }
        if kind != activation::LINEAR {
            math::activation_gradient(gradient, &saved[range], kind);
        }
    });
}

pub(crate) fn average_forward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * average_forward::cost(args.params).flops * args.models() as f64;
    let [input, output] = args.operands();
    let (input, output) = (input.read(), &mut output.write()[..count * p.output_area()]);
    simd::pieces(output, p.output_area(), work, |plane, output| {
        let input = &input[plane * p.input_area()..][..p.input_area()];
        for (y, output) in output.chunks_exact_mut(p.output_width as usize).enumerate() {
            for (x, output) in output.iter_mut().enumerate() {
                let [rows, columns] = p.window(y, x);
                let pixels = (rows.len() * columns.len()) as f32;
                let row_sum = |y: usize| input[y * p.width as usize..][columns.clone()].iter().sum::<f32>();
                *output = rows.map(row_sum).sum::<f32>() / pixels;
            }
        }
    });
}

pub(crate) fn average_backward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let kind = args.constant("ACTIVATION", 0);
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * average_backward::cost(args.params).flops * args.models() as f64;
    let [output_gradient, saved, input_gradient] = args.operands();
    let (output_gradient, saved) = (output_gradient.read(), saved.read());
    let input_gradient = &mut input_gradient.write()[..count * p.input_area()];
    simd::pieces(input_gradient, p.input_area(), work, |plane, gradient| {
        let windows =
            output_gradient[plane * p.output_area()..][..p.output_area()].chunks_exact(p.output_width as usize);
        gradient.fill(0.0);
        for (y, row) in windows.enumerate() {
            for (x, value) in row.iter().enumerate() {
                let [rows, columns] = p.window(y, x);
                let share = value / (rows.len() * columns.len()) as f32;
                for y in rows {
                    let pixels = &mut gradient[y * p.width as usize..][columns.clone()];
                    pixels.iter_mut().for_each(|pixel| *pixel += share);
                }
            }
        }
        if kind != activation::LINEAR {
            math::activation_gradient(gradient, &saved[plane * p.input_area()..][..p.input_area()], kind);
        }
    });
}
