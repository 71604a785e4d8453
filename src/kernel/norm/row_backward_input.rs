//! Layer norm and group norm, backward to their input, times the layer before's activation derivative.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write};
use crate::kernel::formula::{activation, rows};
use crate::kernel::norm::RowShape;
use crate::kernel::norm::channel_sums::{statistics, values};
use crate::kernel::norm::row_forward::{SHAPES, case_shape};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch: rows and channels are those of [`row_forward`](super::row_forward::Params).
    Params {
        /// Rows of each model: the examples of a batch times `groups`.
        rows: u32,
        /// Groups of each example.
        groups: u32,
        /// Channels of a group.
        channels_per_group: u32,
        /// Pixels of a channel.
        plane: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
    }
}

impl RowShape for Params {
    fn numbers(&self) -> [usize; 4] {
        [self.rows, self.groups, self.channels_per_group, self.plane].map(|n| n as usize)
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "row_norm_backward_input",
    wgsl: include_str!("../../../shaders/row_norm_backward_input.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("output_gradient"),
        read("input"),
        read("weight"),
        read("statistics"),
        read("saved"),
        write("input_gradient"),
    ],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-5,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, channels_per_group * plane), before the norm's activation.
    pub output_gradient: Slice,
    /// As the output's gradient: the norm's input.
    pub input: Slice,
    /// (groups * channels_per_group), model z's from z * parameter_stride on.
    pub weight: Slice,
    /// (models, 2, rows), as the forward pass left them.
    pub statistics: Slice,
    /// As the input: what the layer before saved, often the same.
    pub saved: Slice,
    /// As the input, at the layer before's pre-activation.
    pub input_gradient: Slice,
}

/// A launch for `models` models; `activation` is the code of the layer before's activation. With
/// [`activation::LINEAR`], `saved` is not read and may be any slice of floats that the launch does not write. With
/// `g = output_gradient * weight[c]` and `x = (input - mean) * inverse`:
/// `input_gradient = f'(saved) * inverse * (g - mean of g - x * (mean of g x))`, the means being the row's.
#[derive(Debug, Clone)]
pub struct RowBackwardInput {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Code of the activation.
    pub activation: u32,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for RowBackwardInput {
    fn lower(&self) -> Dispatch {
        let RowBackwardInput { label, shape, models, activation, operands } = self.clone();
        let Operands { output_gradient, input, weight, statistics, saved, input_gradient } = operands;
        let mut constants = rows::constants(shape.row_len() as u32);
        constants.push(("ACTIVATION", activation));
        Dispatch {
            kernel: &KERNEL,
            label,
            constants,
            cost: cost(&shape).times(models),
            params: shape.words(),
            slices: vec![output_gradient, input, weight, statistics, saved, input_gradient],
            grid: rows::grid(shape.rows, shape.row_len() as u32, models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, input, weight, statistics, saved, input_gradient] = args.operands();
    let (output_gradient, input, weight) = (output_gradient.read(), input.read(), weight.read());
    let (statistics, saved, input_gradient) = (statistics.read(), saved.read(), input_gradient.write());
    let (rows, len) = (p.rows as usize, p.row_len());
    for row in 0..models * rows {
        let model = row / rows;
        let place = model * 2 * rows + row % rows;
        let (mean, inverse) = (statistics[place].to_f64(), statistics[place + rows].to_f64());
        let first = model * p.parameter_stride as usize + p.first_channel(row);
        let at = |i: usize| {
            let weight = weight[first + i / p.plane as usize].to_f64();
            let x = (input[row * len + i].to_f64() - mean) * inverse;
            (output_gradient[row * len + i].to_f64() * weight, x)
        };
        let mean_gradient = (0..len).map(|i| at(i).0).sum::<f64>() / len as f64;
        let mean_product = (0..len).map(|i| at(i).0 * at(i).1).sum::<f64>() / len as f64;
        for i in 0..len {
            let (gradient, x) = at(i);
            let linear = kind == activation::LINEAR;
            let derivative = if linear { 1.0 } else { activation::gradient(saved[row * len + i].to_f64(), kind) };
            let result = inverse * (gradient - mean_gradient - x * mean_product);
            input_gradient[row * len + i] = T::from_f64(result * derivative);
        }
    }
}

fn cost(shape: &Params) -> Cost {
    let elements = f64::from(shape.rows) * shape.row_len() as f64;
    Cost { flops: 14.0 * elements, bytes: 16.0 * elements }
}

fn cases() -> Vec<Case> {
    let case = |(index, row): (usize, [usize; 5])| {
        let forward = case_shape(row);
        let (models, rows) = (row[0], forward.rows as usize);
        let super::row_forward::Params { groups, channels_per_group, plane, parameter_stride, .. } = forward;
        let shape = Params { rows: forward.rows, groups, channels_per_group, plane, parameter_stride };
        let kind = activation::FROM_OUTPUT[index % activation::FROM_OUTPUT.len()];
        let len = models * rows * shape.row_len();
        let contents = vec![
            Contents::random(len, if index % 2 == 1 { 1000.0 } else { 1.0 }, 1),
            values(len, index, 2),
            Contents::random(models * parameter_stride as usize - 5, 1.0, 3),
            statistics(models, rows, index, 4),
            Contents::random(if kind == activation::LINEAR { 1 } else { len }, 1.0, 5),
            Contents::random(len, 1.0, 6),
        ];
        let s = Case::slices(&contents);
        let (output_gradient, input, weight, statistics) = (s[0], s[1], s[2], s[3]);
        let operands = Operands { output_gradient, input, weight, statistics, saved: s[4], input_gradient: s[5] };
        let dispatch = RowBackwardInput { label: "case".into(), shape, models, activation: kind, operands }.lower();
        Case { name: format!("{row:?} activation {kind}, kind {} of values", index % 3), dispatch, contents }
    };
    SHAPES.into_iter().enumerate().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run, slope};
    use crate::kernel::norm::backward_weight::{self, Norm};
    use crate::kernel::norm::row_forward::{self, RowForward};

    /// The loss is the sum of factors times the norm of tanh(u); the gradients are to u, weight and bias.
    #[test]
    fn the_gradients_are_slopes() {
        // (examples, groups, channels of a group, plane)
        for [examples, groups, channels, plane] in [[3, 1, 5, 1], [2, 2, 2, 3], [2, 3, 1, 4], [1, 1, 2, 1]] {
            let (rows, len) = (examples * groups, examples * groups * channels * plane);
            let count = groups * channels;
            let numbers = |len: usize, seed: u32| Data::of(&[Contents::random(len, 1.0, seed)]).remove(0);
            let (u, factors): (Data<f64>, Data<f64>) = (numbers(len, 1), numbers(len, 2));
            let parameters: [Data<f64>; 2] = [numbers(count, 3), numbers(count, 4)];
            let s = Case::slices(&[0; 6].map(|_| Contents::F32(vec![0.0])));
            let [rows_u32, groups, channels_per_group, plane] = [rows, groups, channels, plane].map(|n| n as u32);

            let forward = |u: &[f64], weight: &[f64], bias: &[f64]| {
                let input: Vec<f64> = u.iter().map(|u| u.tanh()).collect();
                let floats = |values: &[f64]| Data::Floats(values.to_vec());
                let mut memory = vec![
                    floats(&input),
                    floats(weight),
                    floats(bias),
                    floats(&vec![9.0; len]),
                    floats(&vec![9.0; 2 * rows]),
                ];
                let shape = row_forward::Params {
                    rows: rows_u32,
                    groups,
                    channels_per_group,
                    plane,
                    parameter_stride: 0,
                    epsilon: 1e-3,
                };
                let operands =
                    row_forward::Operands { input: s[0], weight: s[1], bias: s[2], output: s[3], statistics: s[4] };
                let launch =
                    RowForward { label: "".into(), shape, models: 1, activation: activation::LINEAR, operands };
                run(&launch.lower(), &mut memory);
                let loss: f64 = memory[3].floats().iter().zip(factors.floats()).map(|(y, f)| y * f).sum();
                (input, memory[4].floats().to_vec(), loss)
            };
            let [weight, bias] = &parameters;
            let (input, statistics, _) = forward(u.floats(), weight.floats(), bias.floats());

            let shape = Params { rows: rows_u32, groups, channels_per_group, plane, parameter_stride: 0 };
            let (output_gradient, saved, input_gradient) = (s[0], s[4], s[5]);
            let operands =
                Operands { output_gradient, input: s[1], weight: s[2], statistics: s[3], saved, input_gradient };
            let launch =
                RowBackwardInput { label: "".into(), shape, models: 1, activation: activation::TANH, operands };
            let input = Data::Floats(input);
            let statistics = Data::Floats(statistics);
            let mut memory = vec![
                factors.clone(),
                input.clone(),
                weight.clone(),
                statistics.clone(),
                input.clone(),
                Data::Floats(vec![9.0; len]),
            ];
            run(&launch.lower(), &mut memory);
            let input_gradient = memory[5].floats().to_vec();

            let norm = Norm::rows(examples, groups as usize, channels, plane as usize);
            let operands = backward_weight::Operands {
                output_gradient: s[0],
                input: s[1],
                statistics: s[2],
                gradient: s[3],
                bias_offset: count,
                parameter_stride: 2 * count,
                scratch: None,
            };
            let mut memory = vec![factors.clone(), input, statistics, Data::Floats(vec![9.0; 2 * count])];
            run(&backward_weight::launches("", norm, 1, operands)[0].lower(), &mut memory);
            let parameter_gradient = memory[3].floats();

            for at in 0..len + 2 * count {
                let numeric = slope(|h| {
                    let [mut u, mut weight, mut bias] =
                        [u.floats(), weight.floats(), bias.floats()].map(|values| values.to_vec());
                    match at {
                        _ if at < len => u[at] += h,
                        _ if at < len + count => weight[at - len] += h,
                        _ => bias[at - len - count] += h,
                    }
                    forward(&u, &weight, &bias).2
                });
                let gradient = if at < len { input_gradient[at] } else { parameter_gradient[at - len] };
                let close = (gradient - numeric).abs() < 1e-7 + 1e-7 * numeric.abs();
                assert!(close, "{examples} {groups} {channels} {plane}, {at}: {gradient} {numeric}");
            }
        }
    }
}
