//! From a node of the graph to dispatches.

use super::builder::{GraphMemory, PlanBuilder};
use super::{Node, Op, SourceBuffers};
use crate::kernel::{self, matmul, state};
use crate::model::Layer;
use crate::plan::{BufferId, Dispatch, Slice};
use crate::recipe::{Activation, Loss, OptimizerKind, OptimizerSpec, Precision};

/// What lowering a node needs to know.
pub(super) struct Lowering<'a> {
    pub(super) builder: &'a PlanBuilder<'a>,
    pub(super) memory: &'a GraphMemory,
    pub(super) source: &'a SourceBuffers,
    pub(super) counters: BufferId,
}

impl Lowering<'_> {
    /// The dispatches of one node.
    pub(super) fn node(&self, node: &Node) -> Vec<Dispatch> {
        let reads: Vec<Slice> = node.reads.iter().map(|v| self.builder.slice_of(self.memory, *v)).collect();
        let writes: Vec<Slice> = node.writes.iter().map(|v| self.builder.slice_of(self.memory, *v)).collect();
        match node.op {
            Op::Gather => vec![self.gather(writes[0])],
            Op::Dense { layer, activation } => vec![self.dense(layer, activation, reads[0], writes[0])],
            Op::DenseBackwardWeight { layer } => self.dense_backward_weight(layer, reads[0], reads[1]),
            Op::DenseBackwardInput { layer, activation } => {
                vec![self.dense_backward_input(layer, activation, &reads, writes[0])]
            }
            Op::Conv2d { layer, activation } => vec![self.conv2d(layer, activation, reads[0], writes[0])],
            Op::Conv2dBackwardWeight { layer } => self.conv2d_backward_weight(layer, reads[0], reads[1]),
            Op::Conv2dBackwardInput { layer, activation } => {
                vec![self.conv2d_backward_input(layer, activation, &reads, writes[0])]
            }
            Op::Pool { layer } => vec![self.pool(layer, reads[0], writes[0])],
            Op::PoolBackward { layer, activation } => vec![self.pool_backward(layer, activation, &reads, writes[0])],
            Op::Activation { kind } => vec![self.activation(kind, reads[0], writes[0])],
            Op::ActivationBackward { kind } => vec![self.activation_backward(kind, &reads, writes[0])],
            Op::Softmax => vec![self.softmax(self.width(node), reads[0], writes[0])],
            Op::SoftmaxBackward => vec![self.softmax_backward(self.width(node), &reads, writes[0])],
            Op::Dropout { layer, rate } => vec![self.dropout(layer, rate, reads[0], writes[0])],
            Op::Loss => vec![self.loss(reads[0], &writes)],
        }
    }

    pub(super) fn layer(&self, index: usize) -> &Layer {
        &self.builder.model.layers[index]
    }

    fn rows(&self) -> u32 {
        self.memory.batch as u32
    }

    fn gather(&self, batch: Slice) -> Dispatch {
        let layout = &self.source.layout;
        let plan = &self.builder.out.plan;
        let shape = kernel::gather::Params {
            rows: self.rows(),
            features: layout.features as u32,
            row_words: layout.row_words() as u32,
            examples: layout.examples as u32,
            window: self.source.window_rows(),
            add: self.builder.scaling_add,
        };
        let operands = kernel::gather::Operands {
            data: plan.whole(self.source.data),
            counters: plan.whole(self.counters),
            subtract: plan.whole(self.builder.out.scaling[0]),
            divide: plan.whole(self.builder.out.scaling[1]),
            batch,
            indices: plan.whole(self.memory.indices),
        };
        kernel::gather::dispatch("gather", shape, self.builder.models, self.source.variant(), operands)
    }

    /// The slice of a layer's parameter in a flat buffer.
    pub(super) fn parameter(&self, buffer: BufferId, index: usize) -> Slice {
        self.builder.out.layout.slice(buffer, index, index)
    }

    fn dense(&self, index: usize, activation: Activation, input: Slice, output: Slice) -> Dispatch {
        let layer = self.layer(index);
        let (rows, inputs, outputs) = (self.memory.batch, layer.input.len(), layer.output.len());
        let shape = kernel::dense_forward::Params {
            rows: rows as u32,
            inputs: inputs as u32,
            outputs: outputs as u32,
            parameter_stride: self.builder.out.layout.stride as u32,
            input_stride: (rows * inputs) as u32,
        };
        let parameters = self.builder.out.parameters;
        let operands = kernel::dense_forward::Operands {
            input,
            weight: self.parameter(parameters, layer.weight.unwrap_or_default()),
            bias: layer.bias.map(|bias| self.parameter(parameters, bias)),
            output,
        };
        let tiles = matmul::choose(rows, outputs, self.builder.models, self.builder.limits.busy_workgroups);
        let label = format!("layers.{index} forward");
        kernel::dense_forward::dispatch(label, shape, self.builder.models, activation.code(), tiles, operands)
    }

    fn dense_backward_weight(&self, index: usize, output_gradient: Slice, input: Slice) -> Vec<Dispatch> {
        let layer = self.layer(index);
        let models = self.builder.models;
        let layout = &self.builder.out.layout;
        let weight = layer.weight.unwrap_or_default();
        let shape = dense_gradient(layer, self.memory.batch);
        let len = shape.scratch_len(models);
        let operands = kernel::dense_backward_weight::Operands {
            output_gradient,
            input,
            input_stride: shape.rows * shape.inputs,
            gradient: layout.slice(self.builder.gradients, weight, layer.bias.unwrap_or(weight)),
            bias_offset: layer.bias.map_or(0, |bias| layout.offsets[bias] - layout.offsets[weight]),
            parameter_stride: layout.stride,
            scratch: self.memory.scratch.filter(|_| len > 0).map(|buffer| Slice { buffer, offset: 0, len }),
        };
        let tiles = matmul::choose(shape.outputs, shape.inputs, models, self.builder.limits.busy_workgroups);
        let label = format!("layers.{index} backward weight");
        kernel::dense_backward_weight::dispatches(&label, shape, models, tiles, operands)
    }

    fn dense_backward_input(
        &self,
        index: usize,
        activation: Activation,
        reads: &[Slice],
        input_gradient: Slice,
    ) -> Dispatch {
        let layer = self.layer(index);
        let (rows, inputs, outputs) = (self.memory.batch, layer.input.len(), layer.output.len());
        let shape = kernel::dense_backward_input::Params {
            rows: rows as u32,
            inputs: inputs as u32,
            outputs: outputs as u32,
            parameter_stride: self.builder.out.layout.stride as u32,
        };
        let weight = self.parameter(self.builder.out.parameters, layer.weight.unwrap_or_default());
        let operands = kernel::dense_backward_input::Operands {
            output_gradient: reads[0],
            weight,
            saved: reads[1],
            input_gradient,
        };
        let tiles = matmul::choose(rows, inputs, self.builder.models, self.builder.limits.busy_workgroups);
        let label = format!("layers.{index} backward input");
        kernel::dense_backward_input::dispatch(label, shape, self.builder.models, activation.code(), tiles, operands)
    }

    /// `writes`: row losses, row hits, and in training the gradient.
    fn loss(&self, output: Slice, writes: &[Slice]) -> Dispatch {
        let plan = &self.builder.out.plan;
        let model = self.builder.model;
        let [batch, examples, outputs] = [self.memory.batch, self.source.layout.examples, model.outputs()];
        let [batch, examples, outputs] = [batch, examples, outputs].map(|n| n as u32);
        let operands = kernel::loss::Operands {
            output,
            targets: plan.whole(self.source.targets),
            indices: plan.whole(self.memory.indices),
            counters: plan.whole(self.counters),
            gradient: writes.get(2).copied().unwrap_or(plan.whole(self.builder.unused)),
            row_loss: writes[0],
            row_correct: writes[1],
        };
        let (models, gradient) = (self.builder.models, writes.len() > 2);
        let mut dispatch = match model.loss {
            Loss::SoftmaxCrossEntropy => {
                let shape = kernel::softmax_cross_entropy::Params { batch, examples, classes: outputs };
                kernel::softmax_cross_entropy::dispatch("loss", shape, models, gradient, operands)
            }
            Loss::Mse | Loss::HalfMse => {
                let scale = if model.loss == Loss::Mse { 1.0 } else { 0.5 };
                let shape = kernel::squared_error::Params { batch, examples, outputs, scale };
                kernel::squared_error::dispatch("loss", shape, models, gradient, operands)
            }
            Loss::BinaryCrossEntropy => {
                let shape = kernel::binary_cross_entropy::Params { batch, examples, outputs };
                kernel::binary_cross_entropy::dispatch("loss", shape, models, gradient, operands)
            }
        };
        if gradient && self.builder.precision == Precision::Mixed {
            dispatch.constants.push(("SCALED", 1));
        }
        dispatch
    }

    /// Elements of one model in a slice of all models.
    fn per_model(&self, slice: Slice) -> u32 {
        (slice.len / self.builder.models) as u32
    }

    fn activation(&self, kind: Activation, input: Slice, output: Slice) -> Dispatch {
        let shape = kernel::activation_forward::Params { len: self.per_model(input) };
        let operands = kernel::activation_forward::Operands { input, output };
        kernel::activation_forward::dispatch(kind.to_string(), shape, self.builder.models, kind.code(), operands)
    }

    fn activation_backward(&self, kind: Activation, reads: &[Slice], input_gradient: Slice) -> Dispatch {
        let shape = kernel::activation_backward::Params { len: self.per_model(input_gradient) };
        let operands =
            kernel::activation_backward::Operands { output_gradient: reads[0], saved: reads[1], input_gradient };
        let label = format!("{kind} backward");
        kernel::activation_backward::dispatch(label, shape, self.builder.models, kind.code(), operands)
    }

    /// Scalars per example of what a node writes.
    fn width(&self, node: &Node) -> u32 {
        self.memory.graph.values[node.writes[0].0].len as u32
    }

    fn softmax(&self, classes: u32, input: Slice, output: Slice) -> Dispatch {
        let shape = kernel::softmax_forward::Params { rows: self.rows(), classes };
        let operands = kernel::softmax_forward::Operands { input, output };
        kernel::softmax_forward::dispatch("softmax", shape, self.builder.models, operands)
    }

    fn softmax_backward(&self, classes: u32, reads: &[Slice], input_gradient: Slice) -> Dispatch {
        let shape = kernel::softmax_backward::Params { rows: self.rows(), classes };
        let operands =
            kernel::softmax_backward::Operands { output_gradient: reads[0], output: reads[1], input_gradient };
        kernel::softmax_backward::dispatch("softmax backward", shape, self.builder.models, operands)
    }

    fn dropout(&self, layer: usize, rate: f32, input: Slice, output: Slice) -> Dispatch {
        let shape = kernel::dropout::Params::new(self.per_model(input), layer as u32, rate);
        let counters = self.builder.out.plan.whole(self.counters);
        let operands = kernel::dropout::Operands { input, counters, output };
        kernel::dropout::dispatch(format!("layers.{layer} dropout"), shape, self.builder.models, operands)
    }
}

/// The weight gradient of a dense layer for a batch.
pub(super) fn dense_gradient(layer: &Layer, batch: usize) -> kernel::dense_backward_weight::Layer {
    let (inputs, outputs) = (layer.input.len(), layer.output.len());
    let split_rows = kernel::dense_backward_weight::split_rows(batch, inputs * outputs);
    let bias = layer.bias.is_some();
    kernel::dense_backward_weight::Layer { rows: batch, inputs, outputs, bias, split_rows }
}

impl PlanBuilder<'_> {
    /// The bookkeeping after a batch. `buffers`: counters, scalars, log.
    pub(super) fn finish(
        &self,
        memory: &GraphMemory,
        buffers: [BufferId; 3],
        log_steps: usize,
        examples: usize,
        penalty: Option<Slice>,
        kind: kernel::finish_step::Kind,
    ) -> Dispatch {
        let loss = memory.graph.nodes.iter().find(|n| n.op == Op::Loss);
        let [row_loss, row_correct] = [0, 1].map(|i| {
            let value = loss.map_or(super::ValueId(0), |n| n.writes[i]);
            self.slice_of(memory, value)
        });
        let [counters, scalars, log] = buffers.map(|id| self.out.plan.whole(id));
        let shape = kernel::finish_step::Params {
            rows: memory.batch as u32,
            examples: examples as u32,
            penalty_parts: penalty.map_or(0, |s| s.len / self.models) as u32,
            log_steps: log_steps as u32,
        };
        let operands = kernel::finish_step::Operands {
            row_loss,
            row_correct,
            penalty: penalty.unwrap_or(row_loss),
            hyper: self.out.plan.whole(self.out.hyper),
            counters,
            scalars,
            log,
        };
        kernel::finish_step::dispatch("finish step", shape, self.models, kind, operands)
    }

    /// The sum of squared weights, for the L2 penalty.
    pub(super) fn penalty(&self, parts: Option<Slice>) -> Option<Dispatch> {
        let parts = parts?;
        Some(self.squares("l2 penalty", self.out.parameters, parts, [true, false]))
    }

    /// The sum of the squared gradient, for clipping.
    pub(super) fn gradient_norm(&self, parts: Option<Slice>, optimizer: &OptimizerSpec) -> Option<Dispatch> {
        let parts = parts?;
        Some(self.squares("gradient norm", self.gradients, parts, [false, optimizer.l2 != 0.0]))
    }

    /// The squared norm of each parameter's gradient, the L2 penalty's included, and of the parameter itself, into
    /// (models, parameters, 2) `norms`.
    pub(super) fn norm_records(&self, norms: BufferId, optimizer: &OptimizerSpec) -> Vec<Dispatch> {
        let plan = &self.out.plan;
        let layout = &self.out.layout;
        let both = [self.gradients, self.out.parameters];
        let each =
            (0..layout.lens.len()).flat_map(|index| both.into_iter().enumerate().map(move |(i, b)| (index, i, b)));
        let one = |(index, which, buffer): (usize, usize, BufferId)| {
            let shape = kernel::sum_squares::Params {
                len: layout.lens[index] as u32,
                stride: layout.stride as u32,
                first: layout.offsets[index] as u32,
                parts: 1,
                output_stride: 2 * layout.lens.len() as u32,
                output_first: (2 * index + which) as u32,
            };
            let operands = kernel::sum_squares::Operands {
                values: layout.slice(buffer, index, index),
                weights: layout.slice(self.out.parameters, index, index),
                weight_blocks: plan.whole(self.out.weight_blocks),
                hyper: plan.whole(self.out.hyper),
                parts: plan.whole(norms),
            };
            let label = format!("norm of {}", self.model.parameters[index].name);
            let with_l2 = which == 0 && optimizer.l2 != 0.0;
            kernel::sum_squares::dispatch(label, shape, self.models, false, with_l2, operands)
        };
        each.map(one).collect()
    }

    fn squares(&self, label: &str, values: BufferId, parts: Slice, [weights_only, with_l2]: [bool; 2]) -> Dispatch {
        let plan = &self.out.plan;
        let stride = self.out.layout.stride as u32;
        let count = (parts.len / self.models) as u32;
        let shape = kernel::sum_squares::Params {
            len: stride,
            stride,
            first: 0,
            parts: count,
            output_stride: count,
            output_first: 0,
        };
        let operands = kernel::sum_squares::Operands {
            values: plan.whole(values),
            weights: plan.whole(self.out.parameters),
            weight_blocks: plan.whole(self.out.weight_blocks),
            hyper: plan.whole(self.out.hyper),
            parts,
        };
        kernel::sum_squares::dispatch(label, shape, self.models, weights_only, with_l2, operands)
    }

    /// The optimizer's update of all parameters, in as many ranges as the device's bindings ask for.
    pub(super) fn update(
        &self,
        optimizer: &OptimizerSpec,
        moments: &[BufferId],
        scalars: BufferId,
        norm: Option<Slice>,
    ) -> Vec<Dispatch> {
        let layout = &self.out.layout;
        let whole = |id: BufferId| self.out.plan.whole(id);
        let range = |(first, len): (usize, usize)| {
            let part = |buffer: BufferId| Slice { buffer, offset: first, len };
            let shape = kernel::optimizer::Params {
                len: len as u32,
                first: first as u32,
                parameter_stride: layout.stride as u32,
                norm_parts: norm.map_or(0, |s| s.len / self.models) as u32,
            };
            let label = format!("update from {first}");
            let (clip, penalty) = (norm.is_some(), optimizer.l2 != 0.0);
            let skips = self.precision == Precision::Mixed;
            let [weight_blocks, hyper, scalars] = [self.out.weight_blocks, self.out.hyper, scalars].map(whole);
            let (parameters, gradients) = (part(self.out.parameters), part(self.gradients));
            let norm_parts = norm.unwrap_or(scalars);
            if optimizer.kind == OptimizerKind::Sgd {
                let momentum = optimizer.momentum != 0.0;
                let velocity = moments.first().map_or(whole(self.unused), |id| part(*id));
                let terms = kernel::sgd::Terms { momentum, nesterov: optimizer.nesterov, clip, penalty, skips };
                let operands = kernel::sgd::Operands {
                    parameters,
                    gradients,
                    velocity,
                    weight_blocks,
                    hyper,
                    scalars,
                    norm_parts,
                };
                kernel::sgd::dispatch(label, shape, terms, operands)
            } else {
                let decoupled = optimizer.kind == OptimizerKind::AdamW;
                let terms = kernel::adam::Terms { decoupled, clip, penalty, skips };
                let (mean, variance) = (part(moments[0]), part(moments[1]));
                let operands = kernel::adam::Operands {
                    parameters,
                    gradients,
                    mean,
                    variance,
                    weight_blocks,
                    hyper,
                    scalars,
                    norm_parts,
                };
                kernel::adam::dispatch(label, shape, terms, operands)
            }
        };
        layout.ranges(self.limits.binding_bytes).map(range).collect()
    }
}

/// The numbers of one model's `hyper` for an optimizer, at a learning rate.
pub fn hyper_words(optimizer: &OptimizerSpec, learning_rate: f32, warmup_steps: u64) -> [f32; state::HYPER] {
    let mut hyper = [0.0; state::HYPER];
    hyper[state::LEARNING_RATE] = learning_rate;
    hyper[state::MOMENTUM] = optimizer.momentum;
    hyper[state::BETA1] = optimizer.beta1;
    hyper[state::BETA2] = optimizer.beta2;
    hyper[state::ONE_MINUS_BETA1] = one_minus(optimizer.beta1);
    hyper[state::ONE_MINUS_BETA2] = one_minus(optimizer.beta2);
    hyper[state::EPSILON] = optimizer.epsilon;
    hyper[state::L2] = optimizer.l2;
    hyper[state::WEIGHT_DECAY] = optimizer.weight_decay;
    hyper[state::CLIP_NORM] = optimizer.clip_norm.unwrap_or(f32::INFINITY);
    hyper[state::WARMUP_STEPS] = warmup_steps.max(1) as f32;
    hyper
}

/// `1 - beta`, where `beta` is taken as the decimal number that it was written as: in f32, `1 - 0.999` is off by 5e-5.
fn one_minus(beta: f32) -> f32 {
    let written: f64 = beta.to_string().parse().unwrap_or(f64::from(beta));
    (1.0 - written) as f32
}
