//! Sums of two values or gradients.

use crate::backend::cpu::fast::{math, simd};
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::pointwise::{add, add_gradients};

/// Of two values, and an activation.
pub(crate) fn values(args: &mut Args<f32>) {
    let (count, kind) = (args.params::<add::Params>().len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [a, b, output] = args.operands();
    let (a, b, output) = (a.read(), b.read(), output.write());
    simd::chunks(&mut output[..count], |first, output| {
        add(output, &a[first..], &b[first..]);
        math::activate(output, kind);
    });
}

/// Of two gradients, times an activation's derivative.
pub(crate) fn gradients(args: &mut Args<f32>) {
    let shape: add_gradients::Params = args.params();
    let (count, kind) = (shape.len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [a, b, saved, input_gradient] = args.operands();
    let (a, b, saved, input_gradient) = (a.read(), b.read(), saved.read(), input_gradient.write());
    simd::chunks(&mut input_gradient[..count], |first, gradient| {
        add(gradient, &a[first..], &b[first..]);
        if kind != activation::LINEAR {
            math::activation_gradient(gradient, &saved[first..first + gradient.len()], kind);
        }
    });
}

/// `sum = a + b`, as far as `sum` goes.
fn add(sum: &mut [f32], a: &[f32], b: &[f32]) {
    simd::vectorised(
        #[inline(always)]
        || {
            for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
                *sum = a + b;
            }
        },
    );
}
