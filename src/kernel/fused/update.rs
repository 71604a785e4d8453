//! What the two fused updates share, the twin of `shaders/lib/fused_update.wgsl`: gradients of all weights and biases of a
//! network of dense layers and the bookkeeping after a batch, around an optimizer's step.

use crate::ir::{Cost, Slice, params};
use crate::kernel::fused::forward_backward::run;
use crate::kernel::fused::layers::{self, BLOCK, CORRECT, DenseLayer, DenseLayers, LOSS, SQUARES, TraceLayout};
use crate::kernel::optimizer::rules;
use crate::kernel::optimizer::update::case_state;
use crate::kernel::step::{finish_step, state};
use crate::kernel::{Args, Contents, Operand, Real, dense};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        rows: u32,
        /// Examples in the data set, or in as many batches as an epoch takes.
        examples: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Elements from one model's trace to the next's.
        trace_stride: u32,
        /// Partial sums of squared weights in the trace; 0 without an L2 penalty.
        penalty_parts: u32,
        /// Steps that the log holds before it wraps.
        log_steps: u32,
        /// Multiply-adds per row: for the cost alone.
        multiply_adds: u32,
    }
}

/// Slices that both updates bind.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, trace_stride): see [`DenseLayers::trace`].
    pub trace: Slice,
    /// (models, [`state::HYPER`]).
    pub hyper: Slice,
    /// (models, [`state::COUNTERS`]).
    pub counters: Slice,
    /// (models, [`state::SCALARS`]).
    pub scalars: Slice,
    /// (models, log_steps, 2): loss and accuracy of each step.
    pub log: Slice,
    /// All models' parameters.
    pub parameters: Slice,
}

impl Operands {
    /// In the order of the bindings, with the optimizer's own behind them.
    pub(crate) fn slices(&self, moments: &[Slice]) -> Vec<Slice> {
        let Operands { trace, hyper, counters, scalars, log, parameters } = *self;
        [&[trace, hyper, counters, scalars, log, parameters], moments].concat()
    }

    pub(crate) fn of(slices: &[Slice]) -> Operands {
        let [trace, hyper, counters, scalars, log, parameters] = [0, 1, 2, 3, 4, 5].map(|i| slices[i]);
        Operands { trace, hyper, counters, scalars, log, parameters }
    }
}

const END: [&str; layers::MOST] = ["END_1", "END_2", "END_3", "END_4", "END_5", "END_6", "END_7", "END_8"];
/// Outputs and inputs of a tile.
const TILE: [usize; 2] = [16, 64];

/// The constants of the shared shader text, and the grid.
pub(crate) fn launch(layers: &DenseLayers, models: usize, penalty: bool) -> (Vec<(&'static str, u32)>, [u32; 3]) {
    let mut constants = layers.constants();
    constants.extend([("UNROLL", 1), ("PENALTY", penalty.into())]);
    let mut end = 0;
    for (index, name) in END.into_iter().enumerate() {
        end += layers.0.get(index).map_or(0, tiles) as u32;
        constants.push((name, end));
    }
    // Behind the tiles the bookkeeping.
    (constants, [end + 1, 1, models as u32])
}

fn tiles(layer: &DenseLayer) -> usize {
    let columns = layer.inputs + usize::from(layer.bias.is_some());
    layer.outputs.div_ceil(TILE[0]) * columns.div_ceil(TILE[1])
}

/// One model in a reference: its gradients, which the optimizer's reference takes, and its bookkeeping.
pub(crate) struct Model<'a, T> {
    pub(crate) p: Params,
    pub(crate) layers: &'a DenseLayers,
    pub(crate) trace: &'a [T],
    pub(crate) hyper: &'a [T],
}

/// One weight matrix or bias vector and its gradient.
pub(crate) struct Piece<T> {
    /// Where it begins among the model's parameters.
    pub(crate) first: usize,
    pub(crate) gradient: Vec<T>,
    pub(crate) is_weight: bool,
}

impl<'a, T: Real> Model<'a, T> {
    /// The model's part of what a launch reads.
    pub(crate) fn of(model: usize, p: Params, layers: &'a DenseLayers, [trace, hyper]: [&'a [T]; 2]) -> Self {
        let trace = &trace[model * p.trace_stride as usize..];
        let hyper = &hyper[model * state::HYPER..][..state::HYPER];
        Model { p, layers, trace, hyper }
    }

    fn layout(&self) -> TraceLayout {
        self.layers.trace(self.p.rows as usize)
    }

    /// The scalars before the step.
    pub(crate) fn scalars(&self) -> &'a [T] {
        &self.trace[self.layout().scalars..][..state::SCALARS]
    }

    /// Each parameter with the gradient of the loss, without the penalty's.
    pub(crate) fn pieces(&self) -> Vec<Piece<T>> {
        let (rows, at) = (self.p.rows as usize, self.layout());
        let of_layer = |(index, layer): (usize, &DenseLayer)| {
            let mut gradient = vec![T::default(); layer.weights() + layer.outputs];
            let shape = dense::backward_weight::Params {
                rows: self.p.rows,
                inputs: layer.inputs as u32,
                outputs: layer.outputs as u32,
                parameter_stride: 0,
                bias_offset: layer.weights() as u32,
                input_stride: 0,
                split_rows: self.p.rows,
                split_stride: 0,
            };
            let [delta, input] = [at.deltas[index], at.inputs[index]].map(|matrix| matrix.of(self.trace, rows));
            let constants = [("ROW_SUMS", layer.bias.is_some().into())];
            let written = [Operand::Write(&mut gradient)];
            run(
                dense::backward_weight::reference,
                &shape.words(),
                &constants,
                [&delta, &input].map(|values| Operand::Read(values)),
                written,
            );
            let bias = gradient.split_off(layer.weights());
            let bias = layer.bias.map(|first| Piece { first, gradient: bias, is_weight: false });
            [Some(Piece { first: layer.weight, gradient, is_weight: true }), bias]
        };
        self.layers.0.iter().enumerate().flat_map(of_layer).flatten().collect()
    }

    /// The launch of the optimizer's reference for one piece, whose blocks are all of its kind.
    pub(crate) fn optimizer_shape(piece: &Piece<T>) -> (rules::Params, Vec<u32>) {
        let len = piece.gradient.len();
        let parameter_stride = len.next_multiple_of(64) as u32;
        let blocks = vec![u32::from(piece.is_weight); len.div_ceil(64)];
        (rules::Params { len: len as u32, first: 0, parameter_stride, norm_parts: 0 }, blocks)
    }

    pub(crate) fn finish(&self, counters: &mut [u32], scalars: &mut [T], log: &mut [T]) {
        let (rows, at) = (self.p.rows as usize, self.layout());
        let shape = finish_step::Params {
            rows: self.p.rows,
            examples: self.p.examples,
            penalty_parts: self.p.penalty_parts,
            log_steps: self.p.log_steps,
        };
        let [loss, correct] = [LOSS, CORRECT].map(|column| at.results.column(self.trace, column, rows));
        let part = |block: usize| self.trace[at.results.at(block * BLOCK, SQUARES)];
        let squares: Vec<T> = (0..self.p.penalty_parts as usize).map(part).collect();
        let operands = [&loss, &correct, &squares, self.hyper].map(Operand::Read);
        let written = [Operand::WriteU32(counters), Operand::Write(scalars), Operand::Write(log)];
        run(finish_step::reference, &shape.words(), &[], operands, written);
    }
}

/// The reference of both updates: `step(model, piece, parameters, moments)` is the optimizer's, on one piece of one model
/// and the same piece of its moments.
pub(crate) fn reference<'a, T: Real, const MOMENTS: usize>(
    (p, models): (Params, usize),
    layers: &DenseLayers,
    operands: [Operand<'a, T>; 6],
    mut moments: [&'a mut [T]; MOMENTS],
    step: impl Fn(&Model<T>, &Piece<T>, &mut [T], [&mut [T]; MOMENTS]),
) {
    let [trace, hyper, counters, scalars, log, parameters] = operands;
    let (read, counters) = ([trace.read(), hyper.read()], counters.write_u32());
    let (scalars, log, parameters) = (scalars.write(), log.write(), parameters.write());
    let log_len = 2 * p.log_steps as usize;
    for number in 0..models {
        let model = Model::of(number, p, layers, read);
        for piece in model.pieces() {
            let first = number * p.parameter_stride as usize + piece.first;
            let range = first..first + piece.gradient.len();
            let moments = moments.each_mut().map(|moment| {
                // Without momentum there is nothing behind the binding.
                let range = if moment.len() < range.end { 0..0 } else { range.clone() };
                &mut moment[range]
            });
            step(&model, &piece, &mut parameters[range.clone()], moments);
        }
        let counters = &mut counters[number * state::COUNTERS..][..state::COUNTERS];
        let scalars = &mut scalars[number * state::SCALARS..][..state::SCALARS];
        model.finish(counters, scalars, &mut log[number * log_len..][..log_len]);
    }
}

/// Parameters, layers and models of a launch on the CPU.
pub(crate) fn of_args<T>(args: &Args<T>) -> ((Params, usize), DenseLayers) {
    ((args.params(), args.models()), DenseLayers::of(args))
}

pub(crate) fn cost(params: &[u32]) -> Cost {
    let [rows, parameters, trace, multiply_adds] = [0, 2, 3, 6].map(|i| f64::from(params[i]));
    Cost { flops: 2.0 * rows * multiply_adds + 14.0 * parameters, bytes: 4.0 * (trace + 6.0 * parameters) }
}

/// Rows, examples, number of the batch, steps in the log, steps so far, models.
const CASE_BATCHES: [[u32; 6]; 5] =
    [[1, 1, 0, 1, 0, 1], [3, 10, 3, 4, 13, 1], [17, 67, 3, 7, 100, 2], [261, 523, 2, 16, 3, 1], [33, 1009, 5, 5, 9, 3]];

/// What the cases of both updates have in common: the network, the launch, and the contents without the moments.
pub(crate) struct CaseParts {
    pub(crate) name: String,
    pub(crate) layers: DenseLayers,
    pub(crate) shape: Params,
    pub(crate) models: usize,
    pub(crate) penalty: bool,
    pub(crate) contents: Vec<Contents>,
}

pub(crate) fn case_parts() -> Vec<CaseParts> {
    let networks = 0..layers::CASE_NETWORKS.len();
    networks
        .flat_map(|network| [0, 2].map(|shift| case_part(network, (network + shift) % CASE_BATCHES.len())))
        .collect()
}

fn case_part(network: usize, batch: usize) -> CaseParts {
    let [rows, examples, number, log_steps, step, models] = CASE_BATCHES[batch];
    let (layers, stride) = layers::case_layers(layers::CASE_NETWORKS[network]);
    let (m, at) = (models as usize, layers.trace(rows as usize));
    // By the network, so that its cases share what is compiled.
    let penalty = network % 2 == 1;
    let [_, hyper, scalars, _] = case_state(m, stride, 1);
    let trace_stride = at.len + 2 * BLOCK;
    // Large values on a grid: their sums are exact, since Adam makes much of a sum that nearly cancels.
    let (scale, grid) = if network == 4 { (1000.0, 8.0) } else { (1.0, 2.0f32.powi(-40)) };
    let mut trace = Contents::random(m * trace_stride, scale, 1).rounded(grid);
    if let (Contents::F32(trace), Contents::F32(scalars)) = (&mut trace, &scalars) {
        for (model, trace) in trace.chunks_mut(trace_stride).enumerate() {
            trace[at.scalars..][..state::SCALARS].copy_from_slice(&scalars[model * state::SCALARS..][..state::SCALARS]);
            trace[at.results.first..at.scalars].iter_mut().for_each(|x| *x = x.abs());
            for matrix in &at.deltas {
                let values = matrix.of(trace, rows as usize);
                matrix.put(trace, &values);
            }
            if step == 9 {
                trace[at.results.at(0, LOSS)] = f32::NAN;
            }
        }
    }
    let mut counters = vec![0; m * state::COUNTERS];
    for counters in counters.chunks_mut(state::COUNTERS) {
        counters[state::BATCH] = number;
        counters[state::STEP] = step;
        counters[state::SEEN] = number * rows;
    }
    let contents = vec![
        trace,
        hyper,
        Contents::U32(counters),
        // Others than those in the trace: the update must not take what the bookkeeping changes.
        Contents::random(m * state::SCALARS, 1.0, 5),
        Contents::random(m * log_steps as usize * 2, 1.0, 6),
        Contents::random(m * stride, 1.0, 7),
    ];
    let shape = Params {
        rows,
        examples,
        parameter_stride: stride as u32,
        trace_stride: trace_stride as u32,
        penalty_parts: if penalty { at.blocks as u32 } else { 0 },
        log_steps,
        multiply_adds: layers.weights() as u32,
    };
    let widths = layers::CASE_NETWORKS[network].0;
    let name = format!("{models}x{rows} of {examples}, {widths:?}, values up to {scale}");
    CaseParts { name, layers, shape, models: m, penalty, contents }
}
