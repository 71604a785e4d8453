//! Forward pass, loss and backward pass of a network of dense layers, a block of rows at a time: the first half of a fused
//! training step.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::fused::layers::{self, BLOCK, CORRECT, DenseLayers, LOSS, SQUARES};
use crate::kernel::loss::softmax_cross_entropy;
use crate::kernel::pointwise::activation_backward;
use crate::kernel::step::{gather, state};
use crate::kernel::{Args, Case, Contents, Launch, Operand, Real, Specification, dense};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        rows: u32,
        /// Examples in the data set, or in as many batches as an epoch takes; of one fold, where there are several.
        examples: u32,
        /// Rows of one order in the data of a streamed set; elsewhere it has no meaning.
        window: u32,
        /// Words in a row of the data.
        row_words: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Elements from one model's trace to the next's.
        trace_stride: u32,
        /// Multiply-adds per row: for the cost alone.
        multiply_adds: u32,
        /// Added to each feature last.
        add: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "fused_forward_backward",
    wgsl: include_str!("../../../shaders/fused_forward_backward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read_u32("data"),
        read_u32("labels"),
        read("subtract"),
        read("divide"),
        read_u32("counters"),
        read("scalars"),
        read("parameters"),
        write("trace"),
    ],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 2e-5,
    cases,
};

const THREADS: usize = 256;

/// Bytes of workgroup memory that the shader takes for a network.
pub fn workgroup_bytes(layers: &DenseLayers) -> usize {
    let vectors = layers.values() + THREADS;
    let reductions = THREADS + 2 * THREADS;
    16 * (vectors + layers.outputs()) + 4 * reductions + 4 * 4 * BLOCK
}

/// What varies beside the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// How the data is read.
    pub data: gather::Variant,
    /// The squared weights are summed, for the L2 penalty.
    pub squares: bool,
}

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// The whole data set, or a window of each order.
    pub data: Slice,
    /// (folds, examples): the classes.
    pub labels: Slice,
    /// One per feature, or one for all.
    pub subtract: Slice,
    /// As long as `subtract`.
    pub divide: Slice,
    /// (models, [`state::COUNTERS`]).
    pub counters: Slice,
    /// (models, [`state::SCALARS`]).
    pub scalars: Slice,
    /// All models' parameters.
    pub parameters: Slice,
    /// (models, trace_stride): see [`DenseLayers::trace`].
    pub trace: Slice,
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct ForwardBackward {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// The network.
    pub layers: DenseLayers,
    /// How it is computed.
    pub variant: Variant,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for ForwardBackward {
    fn lower(&self) -> Dispatch {
        let ForwardBackward { label, shape, models, layers, variant, operands } = self.clone();
        let o = operands;
        // Few classes need few threads a row, and the fewer, the fewer steps their reductions take.
        let lanes = if layers.outputs() <= 32 { 16 } else { 64 };
        let mut constants = layers.constants();
        constants.extend(variant.data.constants());
        constants.extend([
            ("THREADS", THREADS as u32),
            ("LANES", lanes),
            ("UNROLL", 1),
            ("SQUARES", variant.squares.into()),
            ("PER_FEATURE", (o.subtract.len > 1).into()),
            ("OUTPUT_ACTIVATION", layers.0.last().map_or(0, |layer| layer.activation)),
        ]);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants,
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![o.data, o.labels, o.subtract, o.divide, o.counters, o.scalars, o.parameters, o.trace],
            grid: linear_grid((shape.rows as usize).div_ceil(BLOCK), models as u32),
            demands: Demands { vectors: true, ..Demands::default() },
        }
    }
}

/// What all models of a launch share.
struct Shared<'a, T> {
    p: Params,
    layers: DenseLayers,
    constants: &'a [(&'static str, u32)],
    data: &'a [u32],
    labels: &'a [u32],
    scaling: [&'a [T]; 2],
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (p, layers) = (args.params::<Params>(), DenseLayers::of(args));
    let (models, constants, squares) = (args.models(), args.constants, args.constant("SQUARES", 0) == 1);
    let [data, labels, subtract, divide, counters, scalars, parameters, trace] = args.operands();
    let (scaling, parameters, counters) = ([subtract.read(), divide.read()], parameters.read(), counters.read_u32());
    let (scalars, trace) = (scalars.read(), trace.write());
    let shared = Shared { p, layers, constants, data: data.read_u32(), labels: labels.read_u32(), scaling };
    let at = shared.layers.trace(p.rows as usize);
    for model in 0..models {
        let parameters = &parameters[model * p.parameter_stride as usize..];
        let counters = &counters[model * state::COUNTERS..][..state::COUNTERS];
        let trace = &mut trace[model * p.trace_stride as usize..];
        shared.one_model(model, parameters, counters, trace);
        trace[at.scalars..][..state::SCALARS].copy_from_slice(&scalars[model * state::SCALARS..][..state::SCALARS]);
        if squares {
            let mut sums = vec![T::default(); at.blocks * BLOCK];
            for (block, sum) in sums.iter_mut().step_by(BLOCK).enumerate() {
                *sum = T::from_f64(shared.squares(parameters, block, at.blocks));
            }
            at.results.put_column(trace, SQUARES, sums.into_iter());
        }
    }
}

impl<T: Real> Shared<'_, T> {
    /// One model's batch by the kernels of the plain step.
    fn one_model(&self, model: usize, parameters: &[T], counters: &[u32], trace: &mut [T]) {
        let at = self.layers.trace(self.p.rows as usize);
        // Up to the end of the last block.
        let rows = at.blocks * BLOCK;
        let zeros = |columns: usize| vec![T::default(); rows * columns];
        let (mut batch, mut indices) = (zeros(self.layers.inputs()), vec![0; self.p.rows as usize]);
        self.gather(model, counters, &mut batch[..indices.len() * self.layers.inputs()], &mut indices);
        let mut values = vec![batch];
        for (index, layer) in self.layers.0.iter().enumerate() {
            at.inputs[index].put(trace, &values[index]);
            let mut output = zeros(layer.outputs);
            let shape = dense::forward::Params {
                rows: rows as u32,
                inputs: layer.inputs as u32,
                outputs: layer.outputs as u32,
                parameter_stride: 0,
                input_stride: 0,
            };
            let constants = [("ACTIVATION", layer.activation), ("BIAS", layer.bias.is_some().into())];
            let weight = &parameters[layer.weight..];
            let bias = layer.bias.map_or(weight, |bias| &parameters[bias..]);
            let operands = [&values[index], weight, bias].map(Operand::Read);
            run(dense::forward::reference, &shape.words(), &constants, operands, [Operand::Write(&mut output)]);
            values.push(output);
        }
        let mut delta = self.loss(&values[values.len() - 1], &indices, counters, trace);
        for (index, layer) in self.layers.0.iter().enumerate().rev() {
            at.deltas[index].put(trace, &delta);
            let Some(before) = index.checked_sub(1).map(|before| self.layers.0[before]) else { continue };
            let mut gradient = zeros(layer.inputs);
            let shape = dense::backward_input::Params {
                rows: rows as u32,
                inputs: layer.inputs as u32,
                outputs: layer.outputs as u32,
                parameter_stride: 0,
            };
            let operands = [&delta, &parameters[layer.weight..], &values[index]].map(Operand::Read);
            let constants = [("ACTIVATION", before.activation)];
            run(
                dense::backward_input::reference,
                &shape.words(),
                &constants,
                operands,
                [Operand::Write(&mut gradient)],
            );
            delta = gradient;
        }
    }

    fn gather(&self, model: usize, counters: &[u32], batch: &mut [T], indices: &mut [u32]) {
        let p = &self.p;
        let shape = gather::Params {
            rows: p.rows,
            features: self.layers.inputs() as u32,
            row_words: p.row_words,
            examples: p.examples,
            window: p.window,
            add: p.add,
        };
        let [subtract, divide] = self.scaling.map(Operand::Read);
        let constants = self.constants;
        let variant = gather::Variant::of(constants);
        // The model's own window, or its fold.
        let (fold, order) = variant.fold_and_order(model);
        let first = fold as u32 * p.examples;
        let row = if variant.streamed { order * p.window as usize } else { first as usize };
        let own = row * p.row_words as usize;
        let operands = [Operand::ReadU32(&self.data[own..]), Operand::ReadU32(counters), subtract, divide];
        let written = [Operand::Write(batch), Operand::WriteU32(indices)];
        run(gather::reference, &shape.words(), constants, operands, written);
        indices.iter_mut().for_each(|index| *index += first);
    }

    /// Losses and hits into the trace; the gradient at the last layer's outputs before its activation.
    fn loss(&self, outputs: &[T], indices: &[u32], counters: &[u32], trace: &mut [T]) -> Vec<T> {
        let p = &self.p;
        let at = self.layers.trace(p.rows as usize);
        let mut gradient = vec![T::default(); outputs.len()];
        let mut results = [vec![T::default(); p.rows as usize], vec![T::default(); p.rows as usize]];
        let classes = self.layers.outputs() as u32;
        let shape = softmax_cross_entropy::Params { batch: p.rows, examples: p.examples, classes, smoothing: 0.0 };
        let [loss, correct] = &mut results;
        let own = p.rows as usize * self.layers.outputs();
        let operands = [Operand::Read(&outputs[..own]), Operand::ReadU32(self.labels), Operand::ReadU32(indices)];
        let operands = operands.into_iter().chain([Operand::ReadU32(counters)]);
        let written = [&mut gradient[..own], loss, correct].map(|values| Operand::Write(values));
        run(softmax_cross_entropy::reference, &shape.words(), &[("GRADIENT", 1)], operands, written);
        for (column, values) in [LOSS, CORRECT].into_iter().zip(results) {
            at.results.put_column(trace, column, values.into_iter());
        }
        let mut delta = vec![T::default(); outputs.len()];
        let shape = activation_backward::Params { len: outputs.len() as u32 };
        let constants = [("ACTIVATION", self.layers.0.last().map_or(0, |layer| layer.activation))];
        let operands = [&gradient[..], outputs].map(Operand::Read);
        run(activation_backward::reference, &shape.words(), &constants, operands, [Operand::Write(&mut delta)]);
        delta
    }

    /// One block's part of the sum of the squared weights.
    fn squares(&self, parameters: &[T], block: usize, blocks: usize) -> f64 {
        let of_layer = |layer: &layers::DenseLayer| {
            let weights = &parameters[layer.weight..][..layer.weights()];
            let own = weights.chunks(THREADS).skip(block).step_by(blocks).flatten();
            own.map(|w| w.to_f64() * w.to_f64()).sum::<f64>()
        };
        self.layers.0.iter().map(of_layer).sum()
    }
}

/// Runs another kernel's reference for one model.
pub(crate) fn run<'a, T: Real>(
    code: fn(&mut Args<'a, T>),
    params: &'a [u32],
    constants: &'a [(&'static str, u32)],
    read: impl IntoIterator<Item = Operand<'a, T>>,
    written: impl IntoIterator<Item = Operand<'a, T>>,
) {
    code(&mut Args { params, constants, grid: [1, 1, 1], operands: read.into_iter().chain(written).collect() });
}

fn cost(params: &[u32]) -> Cost {
    let [rows, multiply_adds] = [0, 6].map(|i| f64::from(params[i]));
    let [row_words, parameters, trace] = [3, 4, 5].map(|i| f64::from(params[i]));
    Cost { flops: 2.0 * rows * multiply_adds, bytes: 4.0 * (rows * row_words + parameters + trace) }
}

/// Batches of cases: (rows, examples, number of the batch, models): full and partly empty ones, blocks that are not full.
const CASE_BATCHES: [[u32; 4]; 5] = [[1, 1, 0, 1], [3, 11, 3, 1], [17, 67, 3, 2], [65, 131, 2, 1], [12, 1009, 5, 3]];
/// Folds of those of the most models.
const CASE_FOLDS: u32 = 2;

/// The values of the data, as the shader takes them after scaling: about ±1, or ±1000.
fn case(index: usize, batch: usize, large: bool) -> Case {
    let [rows, examples, number, models] = CASE_BATCHES[batch];
    let (layers, stride) = layers::case_layers(layers::CASE_NETWORKS[index]);
    let (features, classes, m) = (layers.inputs(), layers.outputs(), models as usize);
    // By the network, so that its cases share what is compiled.
    let (bytes, shuffle, streamed) = (index.is_multiple_of(2), index != 2, index % 4 > 1);
    let folds = if models == 3 { CASE_FOLDS } else { 1 };
    let variant = Variant { data: gather::Variant { bytes, shuffle, streamed, folds }, squares: index % 3 == 1 };
    let window = 3 * rows;
    let data_rows = match streamed {
        true => window * if shuffle { models } else { folds },
        false => folds * examples,
    };
    let row_words = if bytes { features.div_ceil(4) } else { features };
    let scale = if large { 1000.0 } else { 1.0 };
    let data = match Contents::random(data_rows as usize * row_words, scale, 1) {
        Contents::F32(values) if bytes => values.iter().map(|x| x.to_bits().rotate_left(9)).collect(),
        Contents::F32(values) => values.iter().map(|x| x.to_bits()).collect(),
        Contents::U32(words) => words,
    };
    let scales = if index % 4 < 2 { features } else { 1 };
    let divide = match Contents::random(scales, 0.25, 3) {
        // Bytes come to about ±1 like the floats.
        Contents::F32(values) => values.iter().map(|x| if bytes { 128.0 / scale } else { 1.0 } * (1.0 + x)).collect(),
        Contents::U32(_) => Vec::new(),
    };
    let mut counters = vec![0; m * state::COUNTERS];
    for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
        counters[state::BATCH] = number - model.min(1) as u32;
        // With these keys `permute` comes back even from places past the end, so that a broken guard shows at once.
        counters[state::KEY] = 98 + model as u32;
    }
    let trace_stride = layers.trace(rows as usize).len + 2 * BLOCK;
    let weight_scale = 2.0 / (features as f32).sqrt();
    let contents = vec![
        Contents::U32(data),
        Contents::U32((0..folds * examples).map(|i| i * 5 % classes as u32).collect()),
        Contents::F32(vec![if bytes { 127.5 } else { 0.25 }; scales]),
        Contents::F32(divide),
        Contents::U32(counters),
        Contents::random(m * state::SCALARS, 1.0, 4),
        Contents::random(m * stride, weight_scale, 5),
        Contents::random(m * trace_stride, 1.0, 6),
    ];
    let s = Case::slices(&contents);
    let operands = Operands {
        data: s[0],
        labels: s[1],
        subtract: s[2],
        divide: s[3],
        counters: s[4],
        scalars: s[5],
        parameters: s[6],
        trace: s[7],
    };
    let shape = Params {
        rows,
        examples,
        window,
        row_words: row_words as u32,
        parameter_stride: stride as u32,
        trace_stride: trace_stride as u32,
        multiply_adds: layers.multiply_adds() as u32,
        add: 0.125,
    };
    let dispatch =
        ForwardBackward { label: "case".into(), shape, models: m, layers: layers.clone(), variant, operands }.lower();
    let widths = layers::CASE_NETWORKS[index].0;
    let name = format!("{models}x{rows} of {examples}, {widths:?}, {variant:?}, values up to {scale}");
    Case { name, dispatch, contents }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for network in 0..layers::CASE_NETWORKS.len() {
        cases.push(case(network, network % CASE_BATCHES.len(), false));
        cases.push(case(network, (network + 2) % CASE_BATCHES.len(), network.is_multiple_of(4)));
    }
    // Without a ReLU: whether NaN times its slope of 0 is NaN is up to the driver.
    let smooth = 3;
    let mut wrong = case(smooth, 2, false);
    if let Contents::U32(labels) = &mut wrong.contents[1] {
        labels.iter_mut().skip(3).step_by(5).for_each(|label| *label = 10);
        labels.iter_mut().skip(4).step_by(7).for_each(|label| *label = u32::MAX);
    }
    wrong.name.push_str(", labels that are no class give NaN");
    cases.push(wrong);
    cases
}
