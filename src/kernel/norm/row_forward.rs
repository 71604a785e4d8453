//! Layer norm and group norm, forward: each row (a group of an example's channels) to mean 0 and variance 1, then scaled and
//! shifted by a weight and a bias for each channel.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write};
use crate::kernel::formula::{activation, rows};
use crate::kernel::norm::RowShape;
use crate::kernel::norm::channel_sums::values;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch. Channel `c` of element `i` of row `r` is `(r % groups) * channels_per_group + i / plane`.
    Params {
        /// Rows of each model: the examples of a batch times `groups`.
        rows: u32,
        /// Groups of each example: 1 in layer norm.
        groups: u32,
        /// Channels of a group. In layer norm over an example's whole shape, as PyTorch's, all its elements: each has a weight.
        channels_per_group: u32,
        /// Pixels of a channel: 1 in layer norm.
        plane: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Added to the variance.
        epsilon: f32,
    }
}

impl RowShape for Params {
    fn numbers(&self) -> [usize; 4] {
        [self.rows, self.groups, self.channels_per_group, self.plane].map(|n| n as usize)
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "row_norm_forward",
    wgsl: include_str!("../../../shaders/row_norm_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("weight"), read("bias"), write("output"), write("statistics")],
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
    /// (models, rows, channels_per_group * plane).
    pub input: Slice,
    /// (groups * channels_per_group), model z's from z * parameter_stride on.
    pub weight: Slice,
    /// (groups * channels_per_group), model z's from z * parameter_stride on.
    pub bias: Slice,
    /// As the input.
    pub output: Slice,
    /// (models, 2, rows): the means, and then 1 / sqrt(variance + epsilon); for the backward pass.
    pub statistics: Slice,
}

/// A launch for `models` models: `output = f((input - mean) / sqrt(variance + epsilon) * weight[c] + bias[c])`, mean and variance
/// (divided by the number of values, not one less) being the row's. PyTorch's `nn.LayerNorm` over an example's whole shape
/// (one group, a plane of 1) and `nn.GroupNorm`. `activation` is an [`activation`] code, for training one of
/// [`FROM_OUTPUT`](activation::FROM_OUTPUT).
#[derive(Debug, Clone)]
pub struct RowForward {
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

impl Launch for RowForward {
    fn lower(&self) -> Dispatch {
        let RowForward { label, shape, models, activation, operands } = self.clone();
        let Operands { input, weight, bias, output, statistics } = operands;
        let mut constants = rows::constants(shape.row_len() as u32);
        constants.push(("ACTIVATION", activation));
        Dispatch {
            kernel: &KERNEL,
            label,
            constants,
            cost: cost(&shape).times(models),
            params: shape.words(),
            slices: vec![input, weight, bias, output, statistics],
            grid: rows::grid(shape.rows, shape.row_len() as u32, models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [input, weight, bias, output, statistics] = args.operands();
    let (input, weight, bias) = (input.read(), weight.read(), bias.read());
    let (output, statistics) = (output.write(), statistics.write());
    let (rows, len) = (p.rows as usize, p.row_len());
    for row in 0..models * rows {
        let model = row / rows;
        let values: Vec<f64> = input[row * len..][..len].iter().map(|x| x.to_f64()).collect();
        let mean = values.iter().sum::<f64>() / len as f64;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / len as f64;
        let inverse = 1.0 / (variance + f64::from(p.epsilon)).sqrt();
        let place = model * 2 * rows + row % rows;
        statistics[place] = T::from_f64(mean);
        statistics[place + rows] = T::from_f64(inverse);
        let first = model * p.parameter_stride as usize + p.first_channel(row);
        for (i, x) in values.iter().enumerate() {
            let c = first + i / p.plane as usize;
            let value = (x - mean) * inverse * weight[c].to_f64() + bias[c].to_f64();
            output[row * len + i] = T::from_f64(activation::activate(value, kind));
        }
    }
}

pub(super) fn cost(shape: &Params) -> Cost {
    let elements = f64::from(shape.rows) * shape.row_len() as f64;
    Cost { flops: 10.0 * elements, bytes: 8.0 * elements }
}

/// Shapes for cases: (models, examples, groups, channels of a group, plane).
pub(super) const SHAPES: [[usize; 5]; 13] = [
    [1, 1, 1, 1, 1],
    [2, 3, 1, 2, 1],
    [3, 65, 1, 10, 1],
    [1, 5, 1, 33, 1],
    [2, 7, 1, 101, 1],
    [1, 2, 1, 1031, 1],
    [2, 3, 2, 3, 5],
    [1, 9, 3, 1, 7],
    [1, 33, 4, 2, 4],
    [2, 2, 5, 3, 49],
    [1, 3, 2, 17, 81],
    [1, 130, 2, 2, 3],
    [2, 4, 7, 1, 64],
];

/// The shape of a case: parameters have a gap between models.
pub(super) fn case_shape([_, examples, groups, channels, plane]: [usize; 5]) -> Params {
    let [rows, groups, channels_per_group, plane, parameter_stride] =
        [examples * groups, groups, channels, plane, groups * channels + 5].map(|n| n as u32);
    // Two values are one deviation from their mean, but for epsilon: it must be seen.
    let epsilon = if rows % 2 == 1 { 0.25 } else { 1e-5 };
    Params { rows, groups, channels_per_group, plane, parameter_stride, epsilon }
}

fn cases() -> Vec<Case> {
    let case = |(index, row): (usize, [usize; 5])| {
        let (models, shape) = (row[0], case_shape(row));
        let kind = activation::FROM_OUTPUT[index % activation::FROM_OUTPUT.len()];
        let len = models * shape.rows as usize * shape.row_len();
        let parameters = models * shape.parameter_stride as usize - 5;
        let contents = vec![
            values(len, index, 1),
            Contents::random(parameters, 1.0, 2),
            Contents::random(parameters, 1.0, 3),
            Contents::random(len, 1.0, 4),
            Contents::random(models * 2 * shape.rows as usize, 1.0, 5),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { input: s[0], weight: s[1], bias: s[2], output: s[3], statistics: s[4] };
        let dispatch = RowForward { label: "case".into(), shape, models, activation: kind, operands }.lower();
        Case { name: format!("{row:?} activation {kind}, kind {} of values", index % 3), dispatch, contents }
    };
    let mut cases: Vec<Case> = SHAPES.into_iter().enumerate().map(case).collect();
    // The same in another kind of values.
    cases.extend(SHAPES.into_iter().enumerate().map(|(index, row)| case((index + 1, row))));
    // All values of a row alike: nothing is left but the bias. And a NaN stays in its row.
    let mut constant = case((0, [2, 5, 1, 33, 1]));
    constant.name.push_str(", all alike");
    constant.contents[0] = Contents::F32(vec![1000.3; 2 * 5 * 33]);
    let mut with_nan = case((0, [1, 5, 2, 3, 5]));
    with_nan.name.push_str(", with NaN");
    if let Contents::F32(values) = &mut with_nan.contents[0] {
        values[37] = f32::NAN;
    }
    cases.extend([constant, with_nan]);
    cases
}
