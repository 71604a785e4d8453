//! The forward pass of a model as a graph.

use super::{Graph, Op, ValueId};
use crate::model::{Layer, Model};
use crate::recipe::{Activation, LayerSpec};

impl Graph {
    /// Gather, the layers, the loss. With `training` dropout is in place and the loss also gives its gradient.
    ///
    /// An activation is part of the operation before it where its derivative follows from its output; otherwise (gelu,
    /// silu, softmax) it is an operation of its own, so that its input is kept for the backward pass.
    pub fn forward(model: &Model, training: bool) -> Graph {
        let mut graph = Graph::default();
        let mut at = graph.value("input", model.input.len());
        graph.node(Op::Gather, &[], &[at]);
        for (index, layer) in model.layers.iter().enumerate() {
            at = graph.layer(index, layer, at, training);
        }
        let rows = graph.value("row_loss", 1);
        let hits = graph.value("row_correct", 1);
        let mut writes = vec![rows, hits];
        if training {
            writes.push(graph.value("output.gradient", model.outputs()));
        }
        graph.node(Op::Loss, &[at], &writes);
        graph
    }

    fn layer(&mut self, index: usize, layer: &Layer, input: ValueId, training: bool) -> ValueId {
        let len = layer.output.len();
        let activation = layer.spec.activation().unwrap_or_default();
        let fused = if activation.derivative_from_output() { activation } else { Activation::Linear };
        let op = match layer.spec {
            LayerSpec::Dense { .. } => Op::Dense { layer: index, activation: fused },
            LayerSpec::Conv2d { .. } => Op::Conv2d { layer: index, activation: fused },
            LayerSpec::MaxPool { .. } | LayerSpec::AveragePool { .. } | LayerSpec::GlobalAveragePool => {
                Op::Pool { layer: index }
            }
            LayerSpec::Dropout { rate } if training && rate > 0.0 => Op::Dropout { layer: index, rate },
            LayerSpec::Flatten | LayerSpec::Dropout { .. } | LayerSpec::Activation(Activation::Linear) => return input,
            LayerSpec::Activation(kind) => return self.activation(index, kind, input, len),
        };
        let suffix = if fused == activation { "output" } else { "preactivation" };
        let output = self.value(format!("layers.{index}.{suffix}"), len);
        self.node(op, &[input], &[output]);
        if fused == activation { output } else { self.activation(index, activation, output, len) }
    }

    fn activation(&mut self, index: usize, kind: Activation, input: ValueId, len: usize) -> ValueId {
        let output = self.value(format!("layers.{index}.output"), len);
        let op = if kind == Activation::Softmax { Op::Softmax } else { Op::Activation { kind } };
        self.node(op, &[input], &[output]);
        output
    }
}
