//! Sums over long ranges.

use super::simd;
use crate::ir::SLICE_ALIGNMENT;
use crate::kernel::Args;
use crate::kernel::reduce::{sum_partials, sum_squares};
use crate::kernel::step::state;

pub(crate) fn sum_partials(args: &mut Args<f32>) {
    let p: sum_partials::Params = args.params();
    let models = args.models();
    let [partials, output] = args.operands();
    let (partials, output) = (partials.read(), output.write());
    let (len, count, first) = (p.len as usize, p.count as usize, p.first as usize);
    for model in 0..models {
        let output = &mut output[model * p.output_stride as usize..];
        let partials = &partials[model * count * len..][..count * len];
        sum_columns(partials, len, 0, &mut output[..first]);
        if first < len {
            sum_columns(partials, len, first, &mut output[p.second as usize..][..len - first]);
        }
    }
}

/// Sums the columns from `from` on of a matrix with rows of `len`.
fn sum_columns(partials: &[f32], len: usize, from: usize, output: &mut [f32]) {
    simd::chunks(output, |start, output| {
        simd::vectorised(|| {
            output.fill(0.0);
            for row in partials.chunks_exact(len) {
                for (sum, value) in output.iter_mut().zip(&row[from + start..]) {
                    *sum += value;
                }
            }
        });
    });
}

/// A group of weight blocks at a time: all of a group falls into one part.
pub(crate) fn sum_squares(args: &mut Args<f32>) {
    let p: sum_squares::Params = args.params();
    let models = args.models();
    let [weights_only, with_l2] = ["WEIGHTS_ONLY", "WITH_L2"].map(|n| args.constant(n, 0) == 1);
    let [values, weights, weight_blocks, hyper, parts] = args.operands();
    let (values, weights, weight_blocks) = (values.read(), weights.read(), weight_blocks.read_u32());
    let (hyper, parts) = (hyper.read(), parts.write());
    let (len, count) = (p.len as usize, p.parts as usize);
    let is_weight = &weight_blocks[p.first as usize / SLICE_ALIGNMENT..];
    let mut sums = vec![0.0f64; count];
    for model in 0..models {
        let range = model * p.stride as usize..model * p.stride as usize + len;
        let twice_l2 = if with_l2 { 2.0 * hyper[model * state::HYPER + state::L2] } else { 0.0 };
        sums.fill(0.0);
        simd::vectorised(
            #[inline(always)]
            || {
                let groups =
                    values[range.clone()].chunks(sum_squares::THREADS).zip(weights[range].chunks(sum_squares::THREADS));
                let groups = groups.zip(is_weight.chunks(sum_squares::THREADS / SLICE_ALIGNMENT));
                for (index, ((values, weights), is_weight)) in groups.enumerate() {
                    // Of every place in a block, so that the additions of one block need not wait for each other.
                    let mut squares = [0.0; SLICE_ALIGNMENT];
                    let blocks = values.chunks(SLICE_ALIGNMENT).zip(weights.chunks(SLICE_ALIGNMENT));
                    for ((values, weights), &is_weight) in blocks.zip(is_weight) {
                        match (is_weight == 1, with_l2) {
                            (true, true) => add_squares(&mut squares, values, weights, |v, w| v + twice_l2 * w),
                            // What is not asked for is not read: it may be infinite.
                            (is_weight, _) if is_weight || !weights_only => {
                                add_squares(&mut squares, values, weights, |v, _| v);
                            }
                            _ => {}
                        }
                    }
                    sums[index % count] += f64::from(sum(squares));
                }
            },
        );
        let first = model * p.output_stride as usize + p.output_first as usize;
        parts[first..].iter_mut().zip(&sums).for_each(|(part, sum)| *part = *sum as f32);
    }
}

/// Adds `x(value, weight)^2` of a block; the last one may be shorter.
#[inline(always)]
fn add_squares(squares: &mut [f32; SLICE_ALIGNMENT], values: &[f32], weights: &[f32], x: impl Fn(f32, f32) -> f32) {
    let add = |square: &mut f32, value: f32, weight: f32| {
        let x = x(value, weight);
        *square += x * x;
    };
    match (<&[f32; SLICE_ALIGNMENT]>::try_from(values), <&[f32; SLICE_ALIGNMENT]>::try_from(weights)) {
        (Ok(values), Ok(weights)) => (0..SLICE_ALIGNMENT).for_each(|i| add(&mut squares[i], values[i], weights[i])),
        _ => squares.iter_mut().zip(values).zip(weights).for_each(|((s, v), w)| add(s, *v, *w)),
    }
}

/// The sum of all, by halves: one after the other they would take longer than all the squares.
#[inline(always)]
fn sum(mut squares: [f32; SLICE_ALIGNMENT]) -> f32 {
    for half in [32, 16, 8, 4, 2, 1] {
        (0..half).for_each(|i| squares[i] += squares[half + i]);
    }
    squares[0]
}
