//! Values one after the other.

use super::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::{Activation, Launch};
use std::sync::Arc;

/// inputs → each example's scalars of the first, of the second, and so on.
#[derive(Debug)]
pub struct Join {
    /// Scalars per example of each input.
    pub lens: Vec<usize>,
}

impl Operation for Join {
    fn lower(&self, _reads: &[Slice], _writes: &[Slice], _at: &Lowering) -> Vec<Arc<dyn Launch>> {
        unreachable!("to come")
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        let mut first = 0;
        for (input, len) in node.reads.iter().zip(&self.lens) {
            let (first_column, len) = (first, *len);
            pass.gradient_in_epilogue(*input, |activation, saved| {
                (Arc::new(Part { first: first_column, len, activation }), vec![gradient, saved])
            });
            first += len;
        }
    }

    fn describe(&self) -> String {
        "the concatenation".into()
    }
}

/// (gradient, saved) → some of its scalars, times the derivative of `activation` at what was saved.
#[derive(Debug)]
pub struct Part {
    /// The first scalar of an example.
    pub first: usize,
    /// Scalars per example.
    pub len: usize,
    /// Of the operation that made the input.
    pub activation: Activation,
}

impl Operation for Part {
    fn lower(&self, _reads: &[Slice], _writes: &[Slice], _at: &Lowering) -> Vec<Arc<dyn Launch>> {
        unreachable!("to come")
    }

    fn describe(&self) -> String {
        "a part of a gradient".into()
    }
}
