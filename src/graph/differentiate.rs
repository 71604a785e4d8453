//! The backward pass.

use super::pointwise::{ActivateBackward, SumGradients};
use super::{Graph, Node, Operation, ValueId};
use crate::kernel::Activation;
use std::sync::Arc;

impl Graph {
    /// Appends the backward pass: for every operation, last to first, the gradients of its tensors and of what it reads, where that
    /// depends on tensors that are trained. The loss gives the first gradient. Where several flow into a value, they are added up
    /// in the order in which they come.
    ///
    /// An operation with an activation in its epilogue wants the gradient *before* that activation. So whoever makes the gradient
    /// of a value also multiplies by the derivative of the activation that made the value: in its own epilogue where it has one
    /// and its gradient is the only one, in an operation of its own otherwise.
    pub fn differentiate(&mut self) {
        let forward = self.nodes.clone();
        let mut pass = Backward::new(self, &forward);
        for node in forward.iter().rev() {
            pass.frozen = node.frozen;
            if let Some((value, gradient)) = node.operation.own_gradient(node) {
                pass.add(value, gradient);
            } else if let Some(gradient) = node.writes.first().and_then(|value| pass.total(*value)) {
                node.operation.backward(node, gradient, &mut pass);
            }
        }
    }
}

/// The backward pass as it grows.
pub struct Backward<'a> {
    graph: &'a mut Graph,
    /// For each value of the forward pass, whether its gradient is asked for: there are trained tensors behind it.
    needed: Vec<bool>,
    /// Gradients that will flow into each value.
    uses: Vec<usize>,
    /// Activation in the epilogue of the operation that made each value.
    activations: Vec<Activation>,
    /// Gradients that flowed into each value.
    arrived: Vec<Vec<Gradient>>,
    /// Whether the operation whose turn it is has tensors that are not trained.
    frozen: bool,
}

/// A gradient of a value.
#[derive(Debug, Clone, Copy)]
struct Gradient {
    value: ValueId,
    /// Whether it is the one before the value's activation.
    before_activation: bool,
}

impl<'a> Backward<'a> {
    fn new(graph: &'a mut Graph, forward: &[Node]) -> Backward<'a> {
        let count = graph.values.len();
        let (mut needed, mut uses, mut activations) =
            (vec![false; count], vec![0; count], vec![Activation::Linear; count]);
        for node in forward {
            let trains = node.operation.trains() && !node.frozen || node.reads.iter().any(|value| needed[value.0]);
            for value in &node.writes {
                needed[value.0] = trains;
                activations[value.0] = node.operation.activation();
            }
            node.reads.iter().for_each(|value| uses[value.0] += 1);
        }
        Backward { graph, needed, uses, activations, arrived: vec![Vec::new(); count], frozen: false }
    }

    /// Whether the gradient of a value is asked for.
    pub fn needs(&self, value: ValueId) -> bool {
        self.needed[value.0]
    }

    /// Appends an operation that makes the gradients of tensors from these values, unless they are frozen.
    pub fn gradient_of_tensors(&mut self, operation: impl Operation + 'static, reads: &[ValueId]) {
        if !self.frozen {
            self.node(operation, reads, &[]);
        }
    }

    /// Appends an operation.
    fn node(&mut self, operation: impl Operation + 'static, reads: &[ValueId], writes: &[ValueId]) {
        self.graph.node(Arc::new(operation), reads, writes);
    }

    /// Adds a value to those that flow into the gradient of `value`.
    pub fn add(&mut self, value: ValueId, gradient: ValueId) {
        self.arrived[value.0].push(Gradient { value: gradient, before_activation: false });
    }

    /// Appends an operation that makes a gradient of `value`, if that is needed.
    pub fn gradient(&mut self, value: ValueId, operation: Arc<dyn Operation>, reads: &[ValueId]) {
        if self.needs(value) {
            let result = self.gradient_value(value, "gradient");
            self.graph.node(operation, reads, &[result]);
            self.add(value, result);
        }
    }

    /// The same with an operation whose epilogue multiplies by the derivative of an activation at what it saved: `make` gets the
    /// activation that made `value`, or linear where other gradients flow into `value` too, and `value` itself, and gives the
    /// operation and what it reads.
    pub fn gradient_in_epilogue(
        &mut self,
        value: ValueId,
        make: impl FnOnce(Activation, ValueId) -> (Arc<dyn Operation>, Vec<ValueId>),
    ) {
        if self.needs(value) {
            let only = self.uses[value.0] == 1;
            let activation = if only { self.activations[value.0] } else { Activation::Linear };
            let result = self.gradient_value(value, "gradient");
            let (operation, reads) = make(activation, value);
            self.graph.node(operation, &reads, &[result]);
            self.arrived[value.0].push(Gradient { value: result, before_activation: only });
        }
    }

    /// The gradient of a value before its activation: all that flowed into it.
    fn total(&mut self, value: ValueId) -> Option<ValueId> {
        let arrived = std::mem::take(&mut self.arrived[value.0]);
        let (first, others) = arrived.split_first()?;
        let activation = self.activations[value.0];
        let mut total = first.value;
        if let Some((last, others)) = others.split_last() {
            for other in others {
                total = self.sum(value, total, other.value, Activation::Linear);
            }
            return Some(self.sum(value, total, last.value, activation));
        }
        if first.before_activation || activation == Activation::Linear {
            return Some(total);
        }
        let result = self.gradient_value(value, "preactivation.gradient");
        self.node(ActivateBackward(activation), &[total, value], &[result]);
        Some(result)
    }

    /// The sum of two gradients of a value, times the derivative of an activation at the value.
    fn sum(&mut self, value: ValueId, a: ValueId, b: ValueId, activation: Activation) -> ValueId {
        let result = self.gradient_value(value, "gradient.sum");
        self.node(SumGradients(activation), &[a, b, value], &[result]);
        result
    }

    fn gradient_value(&mut self, value: ValueId, what: &str) -> ValueId {
        let name = format!("{}.{what}", self.graph.values[value.0].name);
        let len = self.graph.values[value.0].len;
        self.graph.value(name, len)
    }
}
