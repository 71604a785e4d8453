//! A network of dense layers as shader constants, and the trace that a fused training step keeps of it: the twin of
//! `shaders/lib/dense_layers.wgsl`.

use crate::kernel::step::state;
use crate::kernel::{Args, Real};

/// Most layers that the shaders' constants have room for.
pub const MOST: usize = 8;
/// Rows of a batch that one workgroup takes through the network.
pub const BLOCK: usize = 4;
const NO_BIAS: u32 = u32::MAX;

const WIDTH: [&str; MOST + 1] =
    ["WIDTH_0", "WIDTH_1", "WIDTH_2", "WIDTH_3", "WIDTH_4", "WIDTH_5", "WIDTH_6", "WIDTH_7", "WIDTH_8"];
const WEIGHT: [&str; MOST] =
    ["WEIGHT_1", "WEIGHT_2", "WEIGHT_3", "WEIGHT_4", "WEIGHT_5", "WEIGHT_6", "WEIGHT_7", "WEIGHT_8"];
const BIAS: [&str; MOST] = ["BIAS_1", "BIAS_2", "BIAS_3", "BIAS_4", "BIAS_5", "BIAS_6", "BIAS_7", "BIAS_8"];
const ACTIVATION: [&str; MOST] = [
    "ACTIVATION_1",
    "ACTIVATION_2",
    "ACTIVATION_3",
    "ACTIVATION_4",
    "ACTIVATION_5",
    "ACTIVATION_6",
    "ACTIVATION_7",
    "ACTIVATION_8",
];

/// One dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DenseLayer {
    /// Features in.
    pub inputs: usize,
    /// Features out.
    pub outputs: usize,
    /// First element of the weights, (outputs, inputs), among a model's parameters.
    pub weight: usize,
    /// First element of the biases, if there are any.
    pub bias: Option<usize>,
    /// Code of the activation.
    pub activation: u32,
}

impl DenseLayer {
    /// Weights of the layer.
    pub fn weights(&self) -> usize {
        self.inputs * self.outputs
    }
}

/// The layers, first to last: each takes what the one before gives. At least one, at most [`MOST`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenseLayers(pub Vec<DenseLayer>);

impl DenseLayers {
    /// The shader constants.
    pub fn constants(&self) -> Vec<(&'static str, u32)> {
        let mut constants =
            vec![("LAYERS", self.0.len() as u32), (WIDTH[0], self.inputs() as u32), ("OUTPUTS", self.outputs() as u32)];
        for (index, layer) in self.0.iter().enumerate() {
            constants.extend([
                (WIDTH[index + 1], layer.outputs as u32),
                (WEIGHT[index], layer.weight as u32),
                (BIAS[index], layer.bias.map_or(NO_BIAS, |bias| bias as u32)),
                (ACTIVATION[index], layer.activation),
            ]);
        }
        constants
    }

    /// The layers that a dispatch's constants tell.
    pub(crate) fn of<T>(args: &Args<T>) -> DenseLayers {
        let constant = |name| args.constant(name, 0);
        let layer = |index: usize| {
            let bias = constant(BIAS[index]);
            DenseLayer {
                inputs: constant(WIDTH[index]) as usize,
                outputs: constant(WIDTH[index + 1]) as usize,
                weight: constant(WEIGHT[index]) as usize,
                bias: (bias != NO_BIAS).then_some(bias as usize),
                activation: constant(ACTIVATION[index]),
            }
        };
        DenseLayers((0..constant("LAYERS") as usize).map(layer).collect())
    }

    /// Features of an example.
    pub fn inputs(&self) -> usize {
        self.0.first().map_or(0, |layer| layer.inputs)
    }

    /// Outputs of the network.
    pub fn outputs(&self) -> usize {
        self.0.last().map_or(0, |layer| layer.outputs)
    }

    /// Weights of all layers.
    pub fn weights(&self) -> usize {
        self.0.iter().map(DenseLayer::weights).sum()
    }

    /// Multiply-adds per row of the forward pass and the backward pass to the layers' inputs.
    pub fn multiply_adds(&self) -> usize {
        2 * self.weights() - self.0.first().map_or(0, DenseLayer::weights)
    }

    /// Values of one example: the inputs, then each layer's outputs.
    pub fn values(&self) -> usize {
        self.inputs() + self.0.iter().map(|layer| layer.outputs).sum::<usize>()
    }

    /// Where things lie in one model's trace of a batch of `rows`.
    pub fn trace(&self, rows: usize) -> TraceLayout {
        let (blocks, mut scalars) = (rows.div_ceil(BLOCK), 0);
        let mut matrix = |columns: usize| {
            let first = scalars;
            scalars += blocks * BLOCK * columns;
            TraceMatrix { first, columns }
        };
        let inputs = self.0.iter().map(|layer| matrix(layer.inputs)).collect();
        let deltas = self.0.iter().map(|layer| matrix(layer.outputs)).collect();
        let results = matrix(3);
        TraceLayout { inputs, deltas, results, scalars, blocks, len: scalars + state::SCALARS }
    }
}

/// The parts of a trace: what the forward and backward pass hand to the update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLayout {
    /// For each layer (rows, inputs).
    pub inputs: Vec<TraceMatrix>,
    /// For each layer (rows, outputs): gradients at its outputs, before the activation; 0 behind the last row.
    pub deltas: Vec<TraceMatrix>,
    /// (rows, 3): losses, hits and, in the first row of each block, the block's part of the sum of the squared weights.
    pub results: TraceMatrix,
    /// Where a copy of the model's scalars begins, as they were before the step.
    pub scalars: usize,
    /// Number of blocks of rows.
    pub blocks: usize,
    /// Elements in all, a multiple of [`BLOCK`].
    pub len: usize,
}

/// A matrix in a trace, in blocks of [`BLOCK`] rows: a block's rows of the first column, those of the second, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceMatrix {
    /// Its first element in the trace.
    pub first: usize,
    /// Its columns.
    pub columns: usize,
}

impl TraceMatrix {
    /// Where an element lies in the trace.
    pub(crate) fn at(&self, row: usize, column: usize) -> usize {
        self.first + (row / BLOCK * self.columns + column) * BLOCK + row % BLOCK
    }

    /// Copies a column into a trace, with zeros up to the end of the last block.
    pub(crate) fn put_column<T: Real>(&self, trace: &mut [T], column: usize, values: impl ExactSizeIterator<Item = T>) {
        let padding = values.len().next_multiple_of(BLOCK) - values.len();
        let padded = values.chain(std::iter::repeat_n(T::default(), padding));
        padded.enumerate().for_each(|(row, value)| trace[self.at(row, column)] = value);
    }

    /// Copies a matrix into a trace, row after row, with zeros up to the end of the last block.
    pub(crate) fn put<T: Real>(&self, trace: &mut [T], values: &[T]) {
        for column in 0..self.columns {
            self.put_column(trace, column, values.iter().skip(column).step_by(self.columns).copied());
        }
    }

    /// So many rows of it.
    pub(crate) fn of<T: Real>(&self, trace: &[T], rows: usize) -> Vec<T> {
        (0..rows).flat_map(|row| (0..self.columns).map(move |column| trace[self.at(row, column)])).collect()
    }

    /// So many rows of one of its columns.
    pub(crate) fn column<T: Real>(&self, trace: &[T], column: usize, rows: usize) -> Vec<T> {
        (0..rows).map(|row| trace[self.at(row, column)]).collect()
    }
}

/// Columns of [`TraceLayout::results`].
pub(crate) const LOSS: usize = 0;
pub(crate) const CORRECT: usize = 1;
pub(crate) const SQUARES: usize = 2;

/// A network for cases: widths from the inputs on, the layers' activations, and whether they have biases.
type Network = (&'static [usize], &'static [u32], bool);

/// Narrow and wide layers, with depths and widths around the sizes of blocks, lanes and tiles.
pub(crate) const CASE_NETWORKS: [Network; 9] = [
    (&[1, 1], &[0], true),
    (&[3, 17, 5], &[1, 0], true),
    (&[65, 10], &[3], false),
    (&[17, 67, 31, 10], &[3, 4, 0], true),
    (&[257, 77, 3], &[3, 0], true),
    (&[133, 131, 126, 2], &[2, 4, 1], false),
    (&[5, 300, 7], &[3, 0], true),
    (&[7, 6, 5, 4, 3, 4, 5, 6, 7], &[3, 1, 4, 2, 0, 3, 4, 0], true),
    (&[63, 33, 16, 70], &[0, 3, 0], true),
];

/// The layers of a case's network, its parameters laid out with gaps; and the elements of one model's parameters.
pub(crate) fn case_layers((widths, activations, bias): Network) -> (DenseLayers, usize) {
    let mut at = 0;
    let mut place = |len: usize| {
        let first = at;
        at += len.next_multiple_of(64);
        first
    };
    let layer = |(pair, activation): (&[usize], &u32)| {
        let (inputs, outputs) = (pair[0], pair[1]);
        let weight = place(inputs * outputs);
        let bias = bias.then(|| place(outputs));
        DenseLayer { inputs, outputs, weight, bias, activation: *activation }
    };
    let layers = widths.windows(2).zip(activations).map(layer).collect();
    (DenseLayers(layers), at)
}
