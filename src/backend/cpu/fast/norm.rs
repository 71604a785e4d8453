//! Normalisation: rows or examples are shared out to threads, sums are taken in f64.

use crate::backend::cpu::fast::{math, simd};
use crate::backend::cpu::threads;
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::loss::rows::batch_rows;
use crate::kernel::norm::{
    RowShape, backward_weight, batch_backward_input, batch_forward, batch_moments, row_backward_input, row_forward,
};
use std::ops::Range;

/// Elements that a thread takes at a time.
const BLOCK: usize = 8 * 1024;

/// Sums are taken in so many lanes, whatever the processor's width: their bits are the same on every machine.
const LANES: usize = 8;

/// The two sums of what `f` gives for each pair of elements. To be called inside [`simd::vectorised`].
#[inline(always)]
fn sums(a: &[f32], b: &[f32], f: impl Fn(f64, f64) -> [f64; 2]) -> [f64; 2] {
    let mut lanes = [[0.0; LANES]; 2];
    let mut add = |a: &[f32], b: &[f32]| {
        for (lane, (a, b)) in a.iter().zip(b).enumerate() {
            let terms = f(f64::from(*a), f64::from(*b));
            lanes[0][lane] += terms[0];
            lanes[1][lane] += terms[1];
        }
    };
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (whole_a.remainder(), whole_b.remainder());
    whole_a.zip(whole_b).for_each(|(a, b)| add(&a[..LANES], &b[..LANES]));
    add(rest_a, rest_b);
    lanes.map(|lanes| lanes.iter().sum())
}

/// `value = f(value, other, a[c], b[c], d[c])` for the channels c of `plane` values each.
#[inline(always)]
fn map_channels(
    values: &mut [f32],
    others: &[f32],
    plane: usize,
    [a, b, d]: [&[f32]; 3],
    f: impl Fn(f32, f32, f32, f32, f32) -> f32,
) {
    let channels = a.iter().zip(b).zip(d);
    if plane == 1 {
        for ((value, other), ((a, b), d)) in values.iter_mut().zip(others).zip(channels) {
            *value = f(*value, *other, *a, *b, *d);
        }
    } else {
        let parts = values.chunks_exact_mut(plane).zip(others.chunks_exact(plane));
        for ((values, others), ((a, b), d)) in parts.zip(channels) {
            for (value, other) in values.iter_mut().zip(others) {
                *value = f(*value, *other, *a, *b, *d);
            }
        }
    }
}

/// Layer and group norm, forward.
pub(crate) fn row_forward(args: &mut Args<f32>) {
    let p: row_forward::Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [input, weight, bias, output, statistics] = args.operands();
    let (input, weight, bias) = (input.read(), weight.read(), bias.read());
    let (rows, len, channels) = (p.rows as usize, p.row_len(), p.channels_per_group as usize);
    let output = &mut output.write()[..models * rows * len];
    let statistics = &mut statistics.write()[..models * 2 * rows];
    let work = 10.0 * output.len() as f64;
    let block = (BLOCK / len).max(1);
    let of_models = output.chunks_exact_mut(rows * len).zip(statistics.chunks_exact_mut(2 * rows));
    let blocks = of_models.enumerate().flat_map(|(model, (output, statistics))| {
        let (means, inverses) = statistics.split_at_mut(rows);
        let blocks = output.chunks_mut(block * len).zip(means.chunks_mut(block)).zip(inverses.chunks_mut(block));
        blocks.enumerate().map(move |(index, block_of)| (model, index * block, block_of))
    });
    threads::for_each_if(work >= threads::WORTH_FLOPS, blocks, |(model, first, ((output, means), inverses))| {
        let statistics = means.iter_mut().zip(inverses);
        for ((row, output), (mean_out, inverse_out)) in (first..).zip(output.chunks_exact_mut(len)).zip(statistics) {
            let values = &input[(model * rows + row) * len..][..len];
            let first = model * p.parameter_stride as usize + p.first_channel(row);
            let (weight, bias) = (&weight[first..][..channels], &bias[first..][..channels]);
            let (mean, inverse) = simd::vectorised(
                #[inline(always)]
                || {
                    let mean = sums(values, values, |x, _| [x, 0.0])[0] / len as f64;
                    let squares = sums(values, values, |x, _| [(x - mean) * (x - mean), 0.0])[0];
                    let inverse = 1.0 / (squares / len as f64 + f64::from(p.epsilon)).sqrt();
                    for (output, x) in output.iter_mut().zip(values) {
                        *output = ((f64::from(*x) - mean) * inverse) as f32;
                    }
                    (mean, inverse)
                },
            );
            (*mean_out, *inverse_out) = (mean as f32, inverse as f32);
            simd::vectorised(
                #[inline(always)]
                || map_channels(output, values, p.plane as usize, [weight, bias, bias], |x, _, w, b, _| x * w + b),
            );
            math::activate(output, kind);
        }
    });
}

/// Layer and group norm, backward to the input.
pub(crate) fn row_backward_input(args: &mut Args<f32>) {
    let p: row_backward_input::Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, input, weight, statistics, saved, input_gradient] = args.operands();
    let (output_gradient, input, weight) = (output_gradient.read(), input.read(), weight.read());
    let (statistics, saved) = (statistics.read(), saved.read());
    let (rows, len, channels) = (p.rows as usize, p.row_len(), p.channels_per_group as usize);
    let input_gradient = &mut input_gradient.write()[..models * rows * len];
    let work = 14.0 * input_gradient.len() as f64;
    let block = (BLOCK / len).max(1);
    simd::pieces(input_gradient, block * len, work, |index, gradients| {
        for (row, gradient) in (index * block..).zip(gradients.chunks_exact_mut(len)) {
            let (model, range) = (row / rows, row * len..(row + 1) * len);
            let place = model * 2 * rows + row % rows;
            let (mean, inverse) = (f64::from(statistics[place]), f64::from(statistics[place + rows]));
            let weight = &weight[model * p.parameter_stride as usize + p.first_channel(row)..][..channels];
            let (values, output_gradient) = (&input[range.clone()], &output_gradient[range.clone()]);
            simd::vectorised(
                #[inline(always)]
                || {
                    let plane = p.plane as usize;
                    map_channels(gradient, output_gradient, plane, [weight, weight, weight], |_, g, w, _, _| g * w);
                    let totals = sums(gradient, values, |g, x| [g, g * (x - mean) * inverse]);
                    let [mean_gradient, mean_product] = totals.map(|total| total / len as f64);
                    for (gradient, x) in gradient.iter_mut().zip(values) {
                        let x = (f64::from(*x) - mean) * inverse;
                        *gradient = (inverse * (f64::from(*gradient) - mean_gradient - x * mean_product)) as f32;
                    }
                },
            );
            if kind != activation::LINEAR {
                math::activation_gradient(gradient, &saved[range], kind);
            }
        }
    });
}

/// The parts of examples that items are: of each its number and its pixels.
fn parts(items: Range<usize>, plane: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let examples = items.start / plane..items.end.div_ceil(plane);
    examples.map(move |example| {
        let first = example * plane;
        (example, items.start.max(first) - first..items.end.min(first + plane) - first)
    })
}

/// Any norm, backward to weight and bias.
pub(crate) fn backward_weight(args: &mut Args<f32>) {
    let p: backward_weight::Params = args.params();
    let models = args.models();
    let [output_gradient, input, statistics, gradient] = args.operands();
    let (output_gradient, input, statistics) = (output_gradient.read(), input.read(), statistics.read());
    let gradient = gradient.write();
    let (channels, plane, len) = (p.channels as usize, p.plane as usize, p.statistics_len as usize);
    let of_model = p.batch as usize * channels * plane;
    let count = p.splits().count();
    let bias_offset = p.bias_offset as usize;
    for model in 0..models {
        let statistics = &statistics[model * 2 * len..][..2 * len];
        let gradient = &mut gradient[model * p.parameter_stride as usize..];
        // One split has no stride: its sums are the whole of the model's.
        let stride = if count == 1 { usize::MAX } else { p.split_stride as usize };
        let splits = gradient.chunks_mut(stride).zip(p.splits());
        threads::for_each_if(5.0 * of_model as f64 >= threads::WORTH_FLOPS, splits, |(result, items)| {
            let mut totals = vec![[0.0f64; 2]; channels];
            for (example, pixels) in parts(items, plane) {
                let first = model * of_model + example * channels * plane;
                for (channel, totals) in totals.iter_mut().enumerate() {
                    let s = example * p.example_step as usize + channel / p.channels_per_statistic as usize;
                    let (mean, inverse) = (f64::from(statistics[s]), f64::from(statistics[s + len]));
                    let range = first + channel * plane + pixels.start..first + channel * plane + pixels.end;
                    let added =
                        both(&output_gradient[range.clone()], &input[range], |dy, x| [dy * ((x - mean) * inverse), dy]);
                    totals[0] += added[0];
                    totals[1] += added[1];
                }
            }
            for (channel, [weight, bias]) in totals.into_iter().enumerate() {
                result[channel] = weight as f32;
                result[bias_offset + channel] = bias as f32;
            }
        });
    }
}

/// As [`sums`], of a single pair too.
#[inline(always)]
fn both(a: &[f32], b: &[f32], f: impl Fn(f64, f64) -> [f64; 2]) -> [f64; 2] {
    match (a, b) {
        ([a], [b]) => f(f64::from(*a), f64::from(*b)),
        _ => simd::vectorised(
            #[inline(always)]
            || sums(a, b, f),
        ),
    }
}

/// Batch norm, mean and squared differences of each split.
pub(crate) fn batch_moments(args: &mut Args<f32>) {
    let p: batch_moments::Params = args.params();
    let models = args.models();
    let [input, counters, partials] = args.operands();
    let (input, counters) = (input.read(), counters.read_u32());
    let (channels, plane, splits) = (p.channels as usize, p.plane as usize, p.splits());
    let of_model = p.batch as usize * channels * plane;
    let partials = &mut partials.write()[..models * splits * 2 * channels];
    simd::pieces(partials, 2 * channels, 6.0 * (models * of_model) as f64, |part, result| {
        let (model, split) = (part / splits, part % splits);
        let items = p.items(counters, model, split);
        let count = items.len().max(1) as f64;
        let input = &input[model * of_model..][..of_model];
        // Relative to the channel's first value, so that in f64 a mean far from 0 takes no digits from the squares.
        let mut totals = vec![[0.0f64; 2]; channels];
        for (example, pixels) in parts(items, plane) {
            for (channel, totals) in totals.iter_mut().enumerate() {
                let shift = f64::from(input[channel * plane]);
                let first = (example * channels + channel) * plane;
                let values = &input[first + pixels.start..first + pixels.end];
                let added = both(values, values, |x, _| [x - shift, (x - shift) * (x - shift)]);
                totals[0] += added[0];
                totals[1] += added[1];
            }
        }
        let (means, squares) = result.split_at_mut(channels);
        for ((mean, squares), [sum, sum_of_squares]) in means.iter_mut().zip(squares).zip(totals) {
            let rest = sum_of_squares - sum * sum / count;
            *mean = (sum / count) as f32;
            // Not `max`, which would turn NaN into 0 and hide it.
            *squares = if rest < 0.0 { 0.0 } else { rest as f32 };
        }
    });
}

/// Batch norm, forward.
pub(crate) fn batch_forward(args: &mut Args<f32>) {
    let p: batch_forward::Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [running, gradient] = ["RUNNING", "GRADIENT"].map(|name| args.constant(name, 0) == 1);
    let [input, weight, bias, statistics, output] = args.operands();
    let (input, weight, bias, statistics) = (input.read(), weight.read(), bias.read(), statistics.read());
    let output = output.write();
    let (len, channels, plane) = (p.len as usize, p.channels as usize, p.plane as usize);
    let zeros = vec![0.0; channels];
    for (model, output) in output.chunks_exact_mut(len).take(models).enumerate() {
        let statistics = &statistics[model * p.statistics_stride as usize..];
        let means = &statistics[..channels];
        let second = &statistics[p.second as usize..][..channels];
        let inverse = |x: &f32| if running { (1.0 / (f64::from(*x) + f64::from(p.epsilon)).sqrt()) as f32 } else { *x };
        let parameters = model * p.parameter_stride as usize;
        let (weight, bias) = (&weight[parameters..][..channels], &bias[parameters..][..channels]);
        let (means, bias) = if gradient { (&zeros[..], &zeros[..]) } else { (means, bias) };
        let scales: Vec<f32> =
            second.iter().map(inverse).zip(weight).map(|(inverse, weight)| inverse * weight).collect();
        let of_example = channels * plane;
        simd::pieces(output, of_example, 4.0 * len as f64, |example, output| {
            let values = &input[model * len + example * of_example..][..of_example];
            simd::vectorised(
                #[inline(always)]
                || {
                    map_channels(output, values, plane, [means, &scales, bias], |_, x, mean, scale, b| {
                        (x - mean) * scale + b
                    })
                },
            );
            math::activate(output, kind);
        });
    }
}

/// Batch norm, backward to the input.
pub(crate) fn batch_backward_input(args: &mut Args<f32>) {
    let p: batch_backward_input::Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, input, weight, statistics, sums, saved, counters, input_gradient] = args.operands();
    let (output_gradient, input, weight) = (output_gradient.read(), input.read(), weight.read());
    let (statistics, sums, saved) = (statistics.read(), sums.read(), saved.read());
    let (counters, input_gradient) = (counters.read_u32(), input_gradient.write());
    let (channels, plane) = (p.channels as usize, p.plane as usize);
    let of_example = channels * plane;
    let len = p.batch as usize * of_example;
    for (model, input_gradient) in input_gradient.chunks_exact_mut(len).take(models).enumerate() {
        let rows = batch_rows(p.batch, p.examples, counters, model);
        let count = (rows * plane).max(1) as f32;
        let means = &statistics[model * 2 * channels..][..channels];
        let inverses = &statistics[(model * 2 + 1) * channels..][..channels];
        let weight = &weight[model * p.parameter_stride as usize..][..channels];
        let sums = &sums[model * p.sums_stride as usize..];
        let of_count = |sums: &[f32]| sums[..channels].iter().map(|sum| sum / count).collect::<Vec<f32>>();
        let (products, biases) = (of_count(sums), of_count(&sums[p.bias_offset as usize..]));
        let scales: Vec<f32> = weight.iter().zip(inverses).map(|(weight, inverse)| weight * inverse).collect();
        simd::pieces(input_gradient, of_example, 9.0 * len as f64, |example, gradient| {
            if example >= rows {
                gradient.fill(0.0);
                return;
            }
            let first = model * len + example * of_example;
            let (values, output_gradient) = (&input[first..][..of_example], &output_gradient[first..][..of_example]);
            simd::vectorised(
                #[inline(always)]
                || {
                    let normal = [means, inverses, &products];
                    map_channels(gradient, values, plane, normal, |_, x, mean, inverse, product| {
                        (x - mean) * inverse * product
                    });
                    let rest = [&biases, &scales, &scales].map(|values| &values[..]);
                    map_channels(gradient, output_gradient, plane, rest, |product, dy, bias, scale, _| {
                        scale * (dy - (bias + product))
                    });
                },
            );
            if kind != activation::LINEAR {
                math::activation_gradient(gradient, &saved[first..][..of_example], kind);
            }
        });
    }
}
