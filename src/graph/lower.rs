//! From a node of the graph to dispatches.

use super::builder::{GraphMemory, PlanBuilder};
use super::{Node, Op, SourceBuffers};
use crate::kernel::{self, matmul};
use crate::model::Layer;
use crate::plan::{BufferId, Dispatch, Slice};
use crate::recipe::{Activation, Loss, Precision};

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
}
