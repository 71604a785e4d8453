//! What works on each element by itself, in loops that vectorise.

use super::{math, simd};
use crate::kernel::Args;
use crate::kernel::formula::hash;
use crate::kernel::pointwise::{activation_backward, activation_forward, dropout};

pub(crate) fn activation_forward(args: &mut Args<f32>) {
    let (count, kind) =
        (args.params::<activation_forward::Params>().len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [input, output] = args.operands();
    let (input, output) = (input.read(), output.write());
    simd::chunks(&mut output[..count], |first, output| {
        output.copy_from_slice(&input[first..first + output.len()]);
        math::activate(output, kind);
    });
}

pub(crate) fn activation_backward(args: &mut Args<f32>) {
    let (count, kind) =
        (args.params::<activation_backward::Params>().len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, saved, input_gradient] = args.operands();
    let (output_gradient, saved, input_gradient) = (output_gradient.read(), saved.read(), input_gradient.write());
    simd::chunks(&mut input_gradient[..count], |first, input_gradient| {
        let range = first..first + input_gradient.len();
        input_gradient.copy_from_slice(&output_gradient[range.clone()]);
        math::activation_gradient(input_gradient, &saved[range], kind);
    });
}

pub(crate) fn dropout(args: &mut Args<f32>) {
    let p: dropout::Params = args.params();
    let (models, len, masks) = (args.models(), p.len as usize, dropout::Masks::of(args));
    let [input, counters, output] = args.operands();
    let (input, counters, output) = (input.read(), counters.read_u32(), output.write());
    for model in 0..models {
        let (key, place) = masks.start(counters, model, &p);
        let range = model * len..(model + 1) * len;
        let input = &input[range.clone()];
        simd::chunks(&mut output[range], |first, output| {
            simd::vectorised(
                #[inline(always)]
                || {
                    for ((element, output), input) in (first as u32..).zip(output).zip(&input[first..]) {
                        let kept = hash::combine(key, place.wrapping_add(element)) >= p.threshold;
                        *output = if kept { input * p.scale } else { 0.0 };
                    }
                },
            );
        });
    }
}
