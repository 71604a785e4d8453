//! The forward pass of a model as a graph.

use super::Model;
use crate::graph::augment::Augment;
use crate::graph::gather::Gather;
use crate::graph::loss::LossOperation;
use crate::graph::{Graph, ValueId};
use crate::kernel::step::augment;
use crate::layers::{Forward, Input};
use std::sync::Arc;

/// A model's graph, and the values that are read from outside.
#[derive(Debug, Clone)]
pub struct Network {
    /// The operations: the batch, the layers, the loss, and in training the backward pass.
    pub graph: Graph,
    /// Number of operations that change the batch's images, right behind the first.
    pub augmentations: usize,
    /// Number of operations before the loss.
    pub before_loss: usize,
    /// What the loss is computed on.
    pub outputs: ValueId,
    /// The loss of each row.
    pub row_loss: ValueId,
    /// 1 for each row whose answer is right.
    pub row_correct: ValueId,
}

impl Model {
    fn loss_operation(&self) -> LossOperation {
        let Model { loss, label_smoothing, delta, .. } = *self;
        LossOperation { loss, outputs: self.outputs(), label_smoothing, delta }
    }

    /// The batch, the layers, the loss. With `training` dropout is in place, batches are normalised by their own statistics, and
    /// the backward pass follows.
    pub fn network(&self, training: bool) -> Network {
        self.graph(training, training, None)
    }

    /// The network of training steps, on images that are changed by the way.
    pub fn training_network(&self, augment: Option<augment::Params>) -> Network {
        self.graph(true, true, augment)
    }

    /// The same as for evaluation, but that batches are normalised by their own statistics.
    pub fn network_by_batch(&self) -> Network {
        self.graph(false, true, None)
    }

    fn graph(&self, training: bool, own_statistics: bool, augment: Option<augment::Params>) -> Network {
        let mut graph = Graph::default();
        let mut input = graph.value("input", self.input.len());
        graph.node(Arc::new(Gather), &[], &[input]);
        if let Some(changes) = augment {
            let changed = graph.value("augmented", self.input.len());
            graph.node(Arc::new(Augment(changes)), &[input], &[changed]);
            input = changed;
        }
        let mut values: Vec<ValueId> = Vec::new();
        for layer in &self.layers {
            let inputs = layer.inputs.iter().map(|from| match from {
                Input::Data => input,
                Input::Layer(index) => values[*index],
            });
            let inputs: Vec<ValueId> = inputs.collect();
            graph.frozen = layer.frozen;
            let mut pass = Forward { graph: &mut graph, layer, training, own_statistics };
            values.push(layer.kind.forward(&mut pass, &inputs));
        }
        graph.frozen = false;
        let outputs = values.last().copied().unwrap_or(input);
        let before_loss = graph.nodes.len();
        let row_loss = graph.value("row_loss", 1);
        let row_correct = graph.value("row_correct", 1);
        let mut writes = vec![row_loss, row_correct];
        if training {
            writes.push(graph.value("output.gradient", self.outputs()));
        }
        graph.node(Arc::new(self.loss_operation()), &[outputs], &writes);
        if training {
            graph.differentiate();
        }
        let augmentations = usize::from(augment.is_some());
        Network { graph, augmentations, before_loss, outputs, row_loss, row_correct }
    }
}
