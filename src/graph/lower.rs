//! From a node of the graph to dispatches.

use super::builder::{GraphMemory, PlanBuilder};
use super::{Node, Op};
use crate::ir::{BufferId, Slice, SourceBuffers};
use crate::kernel::dense::tiling::{Tile, Tiling};
use crate::kernel::loss::rows::Gradient;
use crate::kernel::{self, Launch};
use crate::model::Layer;
use crate::recipe::{Activation, Loss, Precision};
use std::sync::Arc;

/// What lowering a node needs to know.
pub(super) struct Lowering<'a> {
    pub(super) builder: &'a PlanBuilder<'a>,
    pub(super) memory: &'a GraphMemory,
    pub(super) source: &'a SourceBuffers,
    pub(super) counters: BufferId,
}

impl Lowering<'_> {
    /// The dispatches of one node.
    pub(super) fn node(&self, node: &Node) -> Vec<Arc<dyn Launch>> {
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

    fn gather(&self, batch: Slice) -> Arc<dyn Launch> {
        let layout = &self.source.layout;
        let plan = &self.builder.out.plan;
        let shape = kernel::step::gather::Params {
            rows: self.rows(),
            features: layout.features as u32,
            row_words: layout.row_words() as u32,
            examples: layout.examples as u32,
            window: self.source.window_rows(),
            add: self.builder.scaling_add,
        };
        let operands = kernel::step::gather::Operands {
            data: plan.whole(self.source.data),
            counters: plan.whole(self.counters),
            subtract: plan.whole(self.builder.out.scaling[0]),
            divide: plan.whole(self.builder.out.scaling[1]),
            batch,
            indices: plan.whole(self.memory.indices),
        };
        Arc::new(kernel::step::gather::Gather {
            label: "gather".into(),
            shape,
            models: self.builder.models,
            variant: self.source.variant(),
            operands,
        })
    }

    /// How a product with results of so many rows and columns is cut.
    fn tiling(&self, results: [usize; 2]) -> Tiling {
        Tiling::plain(Tile::choose(results, self.builder.models, self.builder.limits.busy_workgroups))
    }

    /// The slice of a layer's parameter in a flat buffer.
    pub(super) fn parameter(&self, buffer: BufferId, index: usize) -> Slice {
        self.builder.out.layout.slice(buffer, index, index)
    }

    fn dense(&self, index: usize, activation: Activation, input: Slice, output: Slice) -> Arc<dyn Launch> {
        let layer = self.layer(index);
        let (rows, inputs, outputs) = (self.memory.batch, layer.input.len(), layer.output.len());
        let shape = kernel::dense::forward::Params {
            rows: rows as u32,
            inputs: inputs as u32,
            outputs: outputs as u32,
            parameter_stride: self.builder.out.layout.stride as u32,
            input_stride: (rows * inputs) as u32,
        };
        let parameters = self.builder.out.parameters;
        let operands = kernel::dense::forward::Operands {
            input,
            weight: self.parameter(parameters, layer.weight.unwrap_or_default()),
            bias: layer.bias.map(|bias| self.parameter(parameters, bias)),
            output,
        };
        Arc::new(kernel::dense::Forward {
            label: format!("layers.{index} forward"),
            shape,
            models: self.builder.models,
            activation: activation.code(),
            tiling: self.tiling([rows, outputs]),
            operands,
        })
    }

    fn dense_backward_weight(&self, index: usize, output_gradient: Slice, input: Slice) -> Vec<Arc<dyn Launch>> {
        let layer = self.layer(index);
        let models = self.builder.models;
        let layout = &self.builder.out.layout;
        let weight = layer.weight.unwrap_or_default();
        let shape = dense_gradient(layer, self.memory.batch);
        let len = shape.scratch_len(models);
        let operands = kernel::dense::backward_weight::Operands {
            output_gradient,
            input,
            input_stride: shape.rows * shape.inputs,
            gradient: layout.slice(self.builder.gradients, weight, layer.bias.unwrap_or(weight)),
            bias_offset: layer.bias.map_or(0, |bias| layout.offsets[bias] - layout.offsets[weight]),
            parameter_stride: layout.stride,
            scratch: self.memory.scratch.filter(|_| len > 0).map(|buffer| Slice { buffer, offset: 0, len }),
        };
        let tiling = self.tiling([shape.outputs, shape.inputs]);
        let label = format!("layers.{index} backward weight");
        kernel::dense::backward_weight::launches(&label, shape, models, tiling, operands)
    }

    fn dense_backward_input(
        &self,
        index: usize,
        activation: Activation,
        reads: &[Slice],
        input_gradient: Slice,
    ) -> Arc<dyn Launch> {
        let layer = self.layer(index);
        let (rows, inputs, outputs) = (self.memory.batch, layer.input.len(), layer.output.len());
        let shape = kernel::dense::backward_input::Params {
            rows: rows as u32,
            inputs: inputs as u32,
            outputs: outputs as u32,
            parameter_stride: self.builder.out.layout.stride as u32,
        };
        let weight = self.parameter(self.builder.out.parameters, layer.weight.unwrap_or_default());
        let operands = kernel::dense::backward_input::Operands {
            output_gradient: reads[0],
            weight,
            saved: reads[1],
            input_gradient,
        };
        Arc::new(kernel::dense::BackwardInput {
            label: format!("layers.{index} backward input"),
            shape,
            models: self.builder.models,
            activation: activation.code(),
            tiling: self.tiling([rows, inputs]),
            operands,
        })
    }

    /// `writes`: row losses, row hits, and in training the gradient.
    fn loss(&self, output: Slice, writes: &[Slice]) -> Arc<dyn Launch> {
        let plan = &self.builder.out.plan;
        let model = self.builder.model;
        let [batch, examples, outputs] = [self.memory.batch, self.source.layout.examples, model.outputs()];
        let [batch, examples, outputs] = [batch, examples, outputs].map(|n| n as u32);
        let operands = kernel::loss::rows::Operands {
            output,
            targets: plan.whole(self.source.targets),
            indices: plan.whole(self.memory.indices),
            counters: plan.whole(self.counters),
            gradient: writes.get(2).copied().unwrap_or(plan.whole(self.builder.unused)),
            row_loss: writes[0],
            row_correct: writes[1],
        };
        let gradient = match (writes.len() > 2, self.builder.precision) {
            (false, _) => Gradient::None,
            (true, Precision::F32) => Gradient::Plain,
            (true, Precision::Mixed) => Gradient::Scaled,
        };
        let (label, models) = ("loss".to_string(), self.builder.models);
        match model.loss {
            Loss::SoftmaxCrossEntropy => {
                let shape = kernel::loss::softmax_cross_entropy::Params { batch, examples, classes: outputs };
                Arc::new(kernel::loss::SoftmaxCrossEntropy { label, shape, models, gradient, operands })
            }
            Loss::Mse | Loss::HalfMse => {
                let scale = if model.loss == Loss::Mse { 1.0 } else { 0.5 };
                let shape = kernel::loss::squared_error::Params { batch, examples, outputs, scale };
                Arc::new(kernel::loss::SquaredError { label, shape, models, gradient, operands })
            }
            Loss::BinaryCrossEntropy => {
                let shape = kernel::loss::binary_cross_entropy::Params { batch, examples, outputs };
                Arc::new(kernel::loss::BinaryCrossEntropy { label, shape, models, gradient, operands })
            }
        }
    }

    /// Elements of one model in a slice of all models.
    fn per_model(&self, slice: Slice) -> u32 {
        (slice.len / self.builder.models) as u32
    }

    fn activation(&self, kind: Activation, input: Slice, output: Slice) -> Arc<dyn Launch> {
        let shape = kernel::pointwise::activation_forward::Params { len: self.per_model(input) };
        let operands = kernel::pointwise::activation_forward::Operands { input, output };
        Arc::new(kernel::pointwise::activation_forward::ActivationForward {
            label: kind.to_string(),
            shape,
            models: self.builder.models,
            activation: kind.code(),
            operands,
        })
    }

    fn activation_backward(&self, kind: Activation, reads: &[Slice], input_gradient: Slice) -> Arc<dyn Launch> {
        let shape = kernel::pointwise::activation_backward::Params { len: self.per_model(input_gradient) };
        let operands = kernel::pointwise::activation_backward::Operands {
            output_gradient: reads[0],
            saved: reads[1],
            input_gradient,
        };
        let label = format!("{kind} backward");
        Arc::new(kernel::pointwise::activation_backward::ActivationBackward {
            label,
            shape,
            models: self.builder.models,
            activation: kind.code(),
            operands,
        })
    }

    /// Scalars per example of what a node writes.
    fn width(&self, node: &Node) -> u32 {
        self.memory.graph.values[node.writes[0].0].len as u32
    }

    fn softmax(&self, classes: u32, input: Slice, output: Slice) -> Arc<dyn Launch> {
        let shape = kernel::pointwise::softmax_forward::Params { rows: self.rows(), classes };
        let operands = kernel::pointwise::softmax_forward::Operands { input, output };
        Arc::new(kernel::pointwise::softmax_forward::SoftmaxForward {
            label: "softmax".into(),
            shape,
            models: self.builder.models,
            operands,
        })
    }

    fn softmax_backward(&self, classes: u32, reads: &[Slice], input_gradient: Slice) -> Arc<dyn Launch> {
        let shape = kernel::pointwise::softmax_backward::Params { rows: self.rows(), classes };
        let operands = kernel::pointwise::softmax_backward::Operands {
            output_gradient: reads[0],
            output: reads[1],
            input_gradient,
        };
        Arc::new(kernel::pointwise::softmax_backward::SoftmaxBackward {
            label: "softmax backward".into(),
            shape,
            models: self.builder.models,
            operands,
        })
    }

    fn dropout(&self, layer: usize, rate: f32, input: Slice, output: Slice) -> Arc<dyn Launch> {
        let shape = kernel::pointwise::dropout::Params::new(self.per_model(input), layer as u32, rate);
        let counters = self.builder.out.plan.whole(self.counters);
        let operands = kernel::pointwise::dropout::Operands { input, counters, output };
        Arc::new(kernel::pointwise::dropout::Dropout {
            label: format!("layers.{layer} dropout"),
            shape,
            models: self.builder.models,
            operands,
        })
    }
}

/// The weight gradient of a dense layer for a batch.
pub(super) fn dense_gradient(layer: &Layer, batch: usize) -> kernel::dense::backward_weight::Layer {
    let (inputs, outputs) = (layer.input.len(), layer.output.len());
    let split_rows = kernel::dense::backward_weight::split_rows(batch, inputs * outputs);
    let bias = layer.bias.is_some();
    kernel::dense::backward_weight::Layer { rows: batch, inputs, outputs, bias, split_rows }
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
        kind: kernel::step::finish_step::Kind,
    ) -> Arc<dyn Launch> {
        let loss = memory.graph.nodes.iter().find(|n| n.op == Op::Loss);
        let [row_loss, row_correct] = [0, 1].map(|i| {
            let value = loss.map_or(super::ValueId(0), |n| n.writes[i]);
            self.slice_of(memory, value)
        });
        let [counters, scalars, log] = buffers.map(|id| self.out.plan.whole(id));
        let shape = kernel::step::finish_step::Params {
            rows: memory.batch as u32,
            examples: examples as u32,
            penalty_parts: penalty.map_or(0, |s| s.len / self.models) as u32,
            log_steps: log_steps as u32,
        };
        let operands = kernel::step::finish_step::Operands {
            row_loss,
            row_correct,
            penalty: penalty.unwrap_or(row_loss),
            hyper: self.out.plan.whole(self.out.hyper),
            counters,
            scalars,
            log,
        };
        Arc::new(kernel::step::finish_step::FinishStep {
            label: "finish step".into(),
            shape,
            models: self.models,
            kind,
            operands,
        })
    }
}
