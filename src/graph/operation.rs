//! What a node of a graph computes.

use super::{Backward, Lowering, Node, ValueId};
use crate::ir::Slice;
use crate::kernel::fused::layers::DenseLayer;
use crate::kernel::{Activation, Launch};
use std::fmt::Debug;
use std::sync::Arc;

/// An operation: it knows its launches and its derivative.
pub trait Operation: Debug + Send + Sync {
    /// The launches that compute it, from the memory of its operands.
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>>;

    /// The activation in the operation's epilogue. Whoever makes the gradient of its output sees to the derivative, so that
    /// [`Operation::backward`] gets the gradient before it.
    fn activation(&self) -> Activation {
        Activation::Linear
    }

    /// Whether it has tensors that are trained.
    fn trains(&self) -> bool {
        false
    }

    /// Appends the operation's backward pass: `gradient` is that of what `node` writes.
    fn backward(&self, _node: &Node, _gradient: ValueId, _pass: &mut Backward) {}

    /// A value that it reads, and the gradient of it that it gives itself: what a loss does in training.
    fn own_gradient(&self, _node: &Node) -> Option<(ValueId, ValueId)> {
        None
    }

    /// Elements of scratch memory that it needs for a batch of so many rows.
    fn scratch_len(&self, _rows: usize, _models: usize) -> usize {
        0
    }

    /// The operation as a layer of a fused step, if it can be one; `offsets` are those of the parameters in a model.
    fn dense_layer(&self, _offsets: &[usize]) -> Option<DenseLayer> {
        None
    }

    /// The operation in words, such as `the convolution layers.0`.
    fn describe(&self) -> String;
}
