//! The forward pass of a model as a graph.

use super::Model;
use crate::graph::augment::Augment;
use crate::graph::gather::Gather;
use crate::graph::loss::LossOperation;
use crate::graph::mixup::Mixup;
use crate::graph::{Graph, ValueId};
use crate::kernel::step::augment;
use crate::layers::{Forward, Input};
use std::sync::Arc;

/// What training makes of its batches before they enter the network.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Changes {
    /// How images change, if they do.
    pub images: Option<augment::Params>,
    /// Whether the examples of a batch are mixed.
    pub mixup: bool,
    /// Whether its examples have weights.
    pub weighted: bool,
}

/// A model's graph, and the values that are read from outside.
#[derive(Debug, Clone)]
pub struct Network {
    /// The operations: the batch, the layers, the loss, and in training the backward pass.
    pub graph: Graph,
    /// Number of operations that change the batch, right behind the first.
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
        self.graph(training, training, Changes::default())
    }

    /// The network of training steps, on batches that are changed by the way.
    pub fn training_network(&self, changes: Changes) -> Network {
        self.graph(true, true, changes)
    }

    /// The same as for evaluation, but that batches are normalised by their own statistics.
    pub fn network_by_batch(&self) -> Network {
        self.graph(false, true, Changes::default())
    }

    fn graph(&self, training: bool, own_statistics: bool, changes: Changes) -> Network {
        let mut graph = Graph::default();
        let mut input = graph.value("input", self.input.len());
        graph.node(Arc::new(Gather), &[], &[input]);
        if let Some(images) = changes.images {
            let changed = graph.value("augmented", self.input.len());
            graph.node(Arc::new(Augment(images)), &[input], &[changed]);
            input = changed;
        }
        let mut mixed_targets = Vec::new();
        if changes.mixup {
            let mixed = graph.value("mixed", self.input.len());
            if !self.loss.is_linear_in_targets() {
                mixed_targets.push(graph.value("mixed.targets", self.outputs()));
                mixed_targets.extend(changes.weighted.then(|| graph.value("mixed.weights", 1)));
            }
            graph.node(Arc::new(Mixup), &[input], &[&[mixed], &mixed_targets[..]].concat());
            input = mixed;
        }
        let augmentations = graph.nodes.len() - 1;
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
        if changes.mixup && self.loss.is_linear_in_targets() {
            writes.extend([("other.row_loss", 1), ("other.row_correct", 1)].map(|(name, len)| graph.value(name, len)));
            writes.push(graph.value("other.gradient", self.outputs()));
        }
        graph.node(Arc::new(self.loss_operation()), &[&[outputs], &mixed_targets[..]].concat(), &writes);
        if training {
            graph.differentiate();
        }
        Network { graph, augmentations, before_loss, outputs, row_loss, row_correct }
    }
}
