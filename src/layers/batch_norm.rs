//! `{ batch_norm = true }`: each feature, or each channel of images, to mean 0 and variance 1 over the batch, then scaled and
//! shifted. PyTorch's `nn.BatchNorm1d` and `nn.BatchNorm2d`: training divides by the batch's variance over n values, and moves the
//! running statistics towards the batch's mean and variance over n - 1; evaluations take the running statistics. A frozen one takes them
//! in training too and leaves them as they are, as Keras' does and PyTorch's in `eval()`.

use super::norm::{EPSILON, NormBackwardWeight, Scaled, channels};
use super::{
    Forward, Init, Layer, LayerKind, LayerProblem, Reader, Shape, TensorRole, TensorSpec, describe_activation,
    from_fields, reader,
};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::norm::over_ranks::{self, Meeting};
use crate::kernel::norm::{backward_weight, batch_backward_input, batch_forward, batch_statistics};
use crate::kernel::{Activation, Launch};
use crate::keys::{Number, Plain, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// A normalisation over the batch.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct BatchNorm {
        /// Always true.
        pub whole: () [Plain; "true"],
        /// Weight of a batch in the running statistics, from 0 to 1.
        pub momentum: f32 [Number("a number from 0 to 1", |x| (0.0..=1.0).contains(&x))] = 0.1,
        /// Added to the variance.
        pub epsilon: f32 [EPSILON] = 1e-5,
        /// Applied to every output.
        pub activation: Activation = Activation::Linear,
    }
}

pub(super) static READER: Reader = reader!(BatchNorm(whole), "batch_norm", "{ batch_norm = true }");

impl LayerKind for BatchNorm {
    from_fields!(word, write, activation);

    fn describe(&self, words: &mut Vec<String>) {
        words.push(READER.word.into());
        describe_activation(words, self.activation);
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        Ok(inputs[0])
    }

    fn tensors(&self, input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        let tensor = |suffix, role, init| {
            let (shape, init) = (vec![channels(input)], Some(init));
            TensorSpec { suffix, role, shape, fan_in: 1, fan_out: 1, init }
        };
        Ok(vec![
            tensor("weight", TensorRole::Scale, Init::Constant(1.0)),
            tensor("bias", TensorRole::Bias, Init::Zeros),
            tensor("running_mean", TensorRole::Statistic, Init::Zeros),
            tensor("running_var", TensorRole::Statistic, Init::Constant(1.0)),
        ])
    }

    fn terms_per_example(&self, layer: &Layer) -> usize {
        2 * plane(layer)
    }

    /// A channel of one value has no variance.
    fn least_rows(&self, layer: &Layer) -> usize {
        if plane(layer) == 1 && !layer.frozen { 2 } else { 1 }
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let channels = Channels::of(self, pass.layer);
        if !pass.own_statistics || pass.training && pass.layer.frozen {
            return pass.with_activation(self.activation, inputs, |activation| {
                Arc::new(NormByRunning { channels, activation })
            });
        }
        let name = format!("{}.statistics", pass.layer.name);
        let statistics = pass.graph.value_of_batch(name, 2 * channels.count);
        let momentum = self.momentum;
        pass.with_activation_and(self.activation, inputs, &[statistics], |activation| {
            Arc::new(NormByBatch { channels, momentum, activation })
        })
    }

    fn onnx(&self, _layer: &Layer, _inputs: &[&str], tensors: &[&str], graph: &mut onnx::Builder) {
        graph.node("BatchNormalization", tensors, vec![onnx::float("epsilon", self.epsilon)]);
    }
}

/// Values of a channel in an example.
fn plane(layer: &Layer) -> usize {
    layer.input.len() / channels(layer.input)
}

/// What is normalised.
#[derive(Debug, Clone)]
struct Channels {
    name: String,
    count: usize,
    plane: usize,
    epsilon: f32,
    scale: usize,
    bias: usize,
    /// Running mean and variance among the statistics.
    running: [usize; 2],
}

impl Channels {
    fn of(kind: &BatchNorm, layer: &Layer) -> Channels {
        let (Some(scale), Some(bias), [mean, variance]) =
            (layer.tensor(TensorRole::Scale), layer.bias(), &layer.statistics[..])
        else {
            unreachable!("a batch norm has a scale, a bias and two statistics");
        };
        let running = [*mean, *variance];
        let (name, count, plane) = (layer.name.clone(), channels(layer.input), plane(layer));
        Channels { name, count, plane, epsilon: kind.epsilon, scale, bias, running }
    }

    /// What normalises by the running statistics.
    fn running(&self, at: &Lowering) -> batch_forward::Statistics {
        let [mean, variance] = self.running;
        let (running, variance_offset) = at.statistics_between(mean, variance);
        let (stride, epsilon) = (at.statistics_layout.stride, self.epsilon);
        batch_forward::Statistics::Running { running, stride, variance_offset, epsilon }
    }

    /// The launch that normalises.
    fn forward(
        &self,
        [input, output]: [Slice; 2],
        statistics: batch_forward::Statistics,
        activation: Activation,
        at: &Lowering,
    ) -> Arc<dyn Launch> {
        Arc::new(self.launch([input, output], statistics, activation, at))
    }

    fn launch(
        &self,
        [input, output]: [Slice; 2],
        statistics: batch_forward::Statistics,
        activation: Activation,
        at: &Lowering,
    ) -> batch_forward::BatchForward {
        batch_forward::BatchForward {
            label: format!("{} forward", self.name),
            batch: at.rows,
            channels: self.count,
            plane: self.plane,
            models: at.models,
            activation: activation.code(),
            gradient: false,
            operands: batch_forward::Operands {
                input,
                weight: at.parameter(self.scale),
                bias: at.parameter(self.bias),
                parameter_stride: at.layout.stride,
                statistics,
                output,
            },
        }
    }
}

impl Scaled for Channels {
    fn name(&self) -> &str {
        &self.name
    }

    fn tensors(&self) -> [usize; 2] {
        [self.scale, self.bias]
    }

    fn gradient(&self, rows: usize) -> backward_weight::Norm {
        backward_weight::Norm::batch(rows, self.count, self.plane)
    }
}

/// input → output, by the running statistics.
#[derive(Debug)]
struct NormByRunning {
    channels: Channels,
    activation: Activation,
}

impl Operation for NormByRunning {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        vec![self.channels.forward([reads[0], writes[0]], self.channels.running(at), self.activation, at)]
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    /// Of a frozen layer.
    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        pass.gradient(node.reads[0], Arc::new(NormByRunningBackward(self.channels.clone())), &[gradient]);
    }

    fn describe(&self) -> String {
        format!("the normalisation {}", self.channels.name)
    }
}

/// output gradient → input gradient, by the running statistics.
#[derive(Debug)]
struct NormByRunningBackward(Channels);

impl Operation for NormByRunningBackward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let launch = self.0.launch([reads[0], writes[0]], self.0.running(at), Activation::Linear, at);
        let label = format!("{} backward input", self.0.name);
        vec![Arc::new(batch_forward::BatchForward { label, gradient: true, ..launch })]
    }

    fn describe(&self) -> String {
        format!("the input gradient of {}", self.0.name)
    }
}

/// input → (output, the batch's statistics); moves the running statistics on.
#[derive(Debug)]
struct NormByBatch {
    channels: Channels,
    momentum: f32,
    activation: Activation,
}

impl NormByBatch {
    /// The sums over a batch; the numbers of the running statistics are those of a lowering.
    fn sums(&self, batch: usize) -> batch_statistics::Shape {
        let Channels { count, plane, epsilon, .. } = self.channels;
        batch_statistics::Shape {
            batch,
            channels: count,
            plane,
            examples: batch,
            running_stride: 0,
            variance_offset: 0,
            momentum: self.momentum,
            epsilon,
        }
    }

    /// The meeting of ranks whose statistics of their own rows lie here.
    fn moments(&self, statistics: Slice, running: Slice, at: &Lowering) -> Meeting {
        let Channels { count: channels, plane, epsilon, running: [mean, variance], .. } = self.channels;
        let (running_stride, variance_offset) = (at.statistics_layout.stride, at.statistics_between(mean, variance).1);
        let (models, momentum) = (at.models, self.momentum);
        Meeting::Moments(over_ranks::Moments {
            models,
            channels,
            plane,
            momentum,
            epsilon,
            statistics,
            running,
            running_stride,
            variance_offset,
        })
    }
}

impl Operation for NormByBatch {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let [mean, variance] = self.channels.running;
        let (running, variance_offset) = at.statistics_between(mean, variance);
        let (examples, running_stride) = (at.source.layout.examples, at.statistics_layout.stride);
        let mut shape = batch_statistics::Shape { examples, running_stride, variance_offset, ..self.sums(at.rows) };
        if at.norm_sums.is_some() {
            // Of this rank's rows alone, which move nothing on.
            (shape.momentum, shape.epsilon) = (0.0, over_ranks::OWN_EPSILON);
        }
        let Some(scratch) = at.scratch(shape.scratch_len(at.models)) else {
            unreachable!("scratch memory is as large as the operations ask for");
        };
        let operands = batch_statistics::Operands {
            input: reads[0],
            counters: at.counters,
            scratch,
            statistics: writes[1],
            running,
        };
        let label = format!("{} statistics", self.channels.name);
        let mut launches = batch_statistics::launches(&label, shape, at.models, operands);
        let statistics = batch_forward::Statistics::Batch(writes[1]);
        let forward = self.channels.forward([reads[0], writes[0]], statistics, self.activation, at);
        launches.push(match at.norm_sums {
            None => forward,
            Some(_) => over_ranks::after(self.moments(writes[1], running, at), forward),
        });
        launches
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn trains(&self) -> bool {
        true
    }

    fn scratch_len(&self, rows: usize, models: usize) -> usize {
        self.sums(rows).scratch_len(models)
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        let (input, statistics) = (node.reads[0], node.writes[1]);
        // The gradient of the input reads those of the tensors.
        pass.gradient_of_tensors(NormBackwardWeight(self.channels.clone()), &[gradient, input, statistics]);
        pass.gradient_in_epilogue(input, |activation, saved| {
            let operation = BatchNormBackwardInput { channels: self.channels.clone(), activation };
            (Arc::new(operation), vec![gradient, input, statistics, saved])
        });
    }

    fn describe(&self) -> String {
        format!("the normalisation {} over the batch", self.channels.name)
    }
}

/// (output gradient, input, statistics, saved) → input gradient times the derivative of `activation` at `saved`.
#[derive(Debug)]
struct BatchNormBackwardInput {
    channels: Channels,
    /// Of the operation that made the layer's input.
    activation: Activation,
}

impl Operation for BatchNormBackwardInput {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let Channels { name, count, plane, scale, bias, .. } = &self.channels;
        let (own, stride, offset) =
            (at.gradient(*scale, Some(*bias)), at.layout.stride, at.offset_from(*scale, Some(*bias)));
        let (sums, sums_stride, bias_offset) = match at.norm_sums {
            None => (own, stride, offset),
            Some(sums) => (Slice { len: at.models * 2 * count, ..sums }, 2 * count, *count),
        };
        let numbers = [at.rows, *count, *plane, at.source.layout.examples, stride, sums_stride, bias_offset];
        let [batch, channels, plane, examples, parameter_stride, sums_stride, bias_offset] = numbers.map(|n| n as u32);
        let launch = Arc::new(batch_backward_input::BatchBackwardInput {
            label: format!("{name} backward input"),
            shape: batch_backward_input::Params {
                batch,
                channels,
                plane,
                examples,
                parameter_stride,
                sums_stride,
                bias_offset,
            },
            models: at.models,
            activation: self.activation.code(),
            operands: batch_backward_input::Operands {
                output_gradient: reads[0],
                input: reads[1],
                weight: at.parameter(*scale),
                statistics: reads[2],
                sums,
                saved: reads[3],
                counters: at.counters,
                input_gradient: writes[0],
            },
        });
        vec![match at.norm_sums {
            None => launch,
            Some(_) => {
                let (models, channels) = (at.models, *count);
                let (own_stride, bias_offset) = (stride, offset);
                let of_ranks = over_ranks::Sums { models, channels, own, own_stride, bias_offset, of_all: sums };
                over_ranks::after(Meeting::Sums(of_ranks), launch)
            }
        }]
    }

    fn describe(&self) -> String {
        format!("the input gradient of {}", self.channels.name)
    }
}
