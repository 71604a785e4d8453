//! What a network computes, as operations over values: a graph without circles. [`Graph::differentiate`] appends the backward pass,
//! [`memory`] gives the values their place, and each [`Operation`] lowers itself to launches.

pub mod augment;
pub mod columns;
mod differentiate;
pub mod gather;
pub mod loss;
mod lowering;
pub mod memory;
pub mod mixup;
mod operation;
mod parameters;
pub mod pointwise;
mod sources;

pub use differentiate::Backward;
pub use lowering::{Lowering, Scaling, Weighing};
pub use operation::Operation;
pub use parameters::ParameterLayout;

use std::sync::Arc;

/// Names one value of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// One tensor of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Readable name, such as `layers.0.output`.
    pub name: String,
    /// Scalars per example, or of the batch as a whole.
    pub len: usize,
    /// Whether the batch has `len` scalars, however many examples it has.
    pub of_batch: bool,
}

impl Value {
    /// Scalars for a batch of so many rows.
    pub fn elements(&self, rows: usize) -> usize {
        if self.of_batch { self.len } else { rows * self.len }
    }
}

/// One operation with its operands.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it computes.
    pub operation: Arc<dyn Operation>,
    /// Values it reads.
    pub reads: Vec<ValueId>,
    /// Values it writes.
    pub writes: Vec<ValueId>,
    /// Whether its tensors are not trained, though it has some.
    pub frozen: bool,
}

/// Operations in order, over values that are each written once.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The values; a [`ValueId`] is an index.
    pub values: Vec<Value>,
    /// The operations.
    pub nodes: Vec<Node>,
    /// Whether the operations that are added now are those of a frozen layer.
    pub frozen: bool,
}

impl Graph {
    /// Adds a value of so many scalars per example.
    pub fn value(&mut self, name: impl Into<String>, len: usize) -> ValueId {
        self.values.push(Value { name: name.into(), len, of_batch: false });
        ValueId(self.values.len() - 1)
    }

    /// Adds a value of so many scalars, however many examples the batch has.
    pub fn value_of_batch(&mut self, name: impl Into<String>, len: usize) -> ValueId {
        self.values.push(Value { name: name.into(), len, of_batch: true });
        ValueId(self.values.len() - 1)
    }

    /// Adds an operation.
    pub fn node(&mut self, operation: Arc<dyn Operation>, reads: &[ValueId], writes: &[ValueId]) {
        self.nodes.push(Node { operation, reads: reads.to_vec(), writes: writes.to_vec(), frozen: self.frozen });
    }
}
