//! From a model to a plan. The model becomes a graph of operations ([`Graph::forward`]), the graph gets its backward pass
//! ([`Graph::add_backward`]), its values get memory ([`memory`]), and [`PlanBuilder`] lowers it to dispatches.

mod backward;
mod builder;
mod forward;
mod fuse;
mod loss_scale;
mod lower;
mod lower_update;
mod lower_window;
pub mod memory;
mod parameters;
mod sources;

pub use builder::{BuildError, PlanBuilder, TrainingPlan};
pub use fuse::{Fusion, NotFused};
pub use lower_update::hyper_words;
pub use parameters::ParameterLayout;

use crate::recipe::Activation;

/// Names one value of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// One tensor of a batch: `len` scalars per example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Readable name, such as `layers.0.output`.
    pub name: String,
    /// Scalars per example.
    pub len: usize,
}

/// What a node computes. `layer` counts the model's layers from 0; the node's operands are in [`Node`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// () → input. The batch out of the data set.
    Gather,
    /// input → output.
    Dense {
        /// The layer.
        layer: usize,
        /// Applied to the result.
        activation: Activation,
    },
    /// input → output.
    Conv2d {
        /// The layer.
        layer: usize,
        /// Applied to the result.
        activation: Activation,
    },
    /// input → output: max, average or global average, by the layer.
    Pool {
        /// The layer.
        layer: usize,
    },
    /// input → output.
    Activation {
        /// The function.
        kind: Activation,
    },
    /// input → output.
    Softmax,
    /// input → output; backward the same: output gradient → input gradient.
    Dropout {
        /// The layer: its number seeds the mask.
        layer: usize,
        /// Probability of a zero.
        rate: f32,
    },
    /// outputs → (row losses, row hits, gradient at the outputs if there is a second write).
    Loss,
    /// output gradient → parameter gradients; reads (output gradient, input).
    DenseBackwardWeight {
        /// The layer.
        layer: usize,
    },
    /// reads (output gradient, saved) → input gradient times the derivative of `activation` at `saved`.
    DenseBackwardInput {
        /// The layer.
        layer: usize,
        /// Activation of the operation that made the layer's input.
        activation: Activation,
    },
    /// reads (output gradient, input) → parameter gradients.
    Conv2dBackwardWeight {
        /// The layer.
        layer: usize,
    },
    /// reads (output gradient, saved) → input gradient times the derivative of `activation` at `saved`.
    Conv2dBackwardInput {
        /// The layer.
        layer: usize,
        /// Activation of the operation that made the layer's input.
        activation: Activation,
    },
    /// reads (output gradient, input) → input gradient times the derivative of `activation` at the input.
    PoolBackward {
        /// The layer.
        layer: usize,
        /// Activation of the operation that made the layer's input.
        activation: Activation,
    },
    /// reads (output gradient, saved) → gradient before the activation.
    ActivationBackward {
        /// The function.
        kind: Activation,
    },
    /// reads (output gradient, output) → input gradient.
    SoftmaxBackward,
}

/// One operation with its operands, in the order that [`Op`] documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// Values it reads.
    pub reads: Vec<ValueId>,
    /// Values it writes.
    pub writes: Vec<ValueId>,
}

/// Operations in order, over values that are each written once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// The values; a [`ValueId`] is an index.
    pub values: Vec<Value>,
    /// The operations.
    pub nodes: Vec<Node>,
}

impl Graph {
    fn value(&mut self, name: impl Into<String>, len: usize) -> ValueId {
        self.values.push(Value { name: name.into(), len });
        ValueId(self.values.len() - 1)
    }

    fn node(&mut self, op: Op, reads: &[ValueId], writes: &[ValueId]) {
        self.nodes.push(Node { op, reads: reads.to_vec(), writes: writes.to_vec() });
    }

    /// What the loss is computed on.
    pub fn outputs(&self) -> ValueId {
        let loss = self.nodes.iter().find(|n| n.op == Op::Loss);
        loss.map_or(ValueId(0), |n| n.reads[0])
    }
}
