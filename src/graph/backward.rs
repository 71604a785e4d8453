//! The backward pass.

use super::{Graph, Node, Op, ValueId};
use crate::recipe::Activation;

impl Graph {
    /// Appends the backward pass: for every forward operation, last to first, the gradients of its parameters and of its
    /// input.
    ///
    /// An operation with a fused activation wants the gradient *before* that activation. So whoever makes the gradient
    /// of a value also multiplies by the derivative of the activation that made the value: in its epilogue where the
    /// kernel has one, in an operation of its own otherwise. The first layer's input needs no gradient.
    pub fn add_backward(&mut self) {
        let forward: Vec<Node> = self.nodes.clone();
        let Some(loss) = forward.iter().find(|n| n.op == Op::Loss && n.writes.len() == 3) else { return };
        let mut gradient = self.through_activation(&forward, loss.reads[0], loss.writes[2]);
        for node in forward.iter().rev().filter(|n| !matches!(n.op, Op::Loss | Op::Gather)) {
            gradient = self.backward_of(&forward, node, gradient);
        }
    }

    /// Appends what `node` needs and returns the gradient at its input, before the activation that made the input.
    fn backward_of(&mut self, forward: &[Node], node: &Node, gradient: ValueId) -> ValueId {
        let input = node.reads[0];
        let maker = forward.iter().find(|n| n.writes.contains(&input));
        let activation = maker.map_or(Activation::Linear, fused_activation);
        let is_first = maker.is_none_or(|n| n.op == Op::Gather);
        match node.op {
            Op::Dense { layer, .. } => self.node(Op::DenseBackwardWeight { layer }, &[gradient, input], &[]),
            Op::Conv2d { layer, .. } => self.node(Op::Conv2dBackwardWeight { layer }, &[gradient, input], &[]),
            _ => {}
        }
        if is_first {
            return gradient;
        }
        let (op, saved) = match node.op {
            Op::Dense { layer, .. } => (Op::DenseBackwardInput { layer, activation }, Some(input)),
            Op::Conv2d { layer, .. } => (Op::Conv2dBackwardInput { layer, activation }, Some(input)),
            Op::Pool { layer } => (Op::PoolBackward { layer, activation }, Some(input)),
            Op::Activation { kind } => {
                // What the derivative is computed from: the output where that is enough.
                let saved = if kind.derivative_from_output() { node.writes[0] } else { input };
                (Op::ActivationBackward { kind }, Some(saved))
            }
            Op::Softmax => (Op::SoftmaxBackward, Some(node.writes[0])),
            other => (other, None),
        };
        let name = format!("{}.gradient", self.values[input.0].name);
        let result = self.value(name, self.values[input.0].len);
        let reads: Vec<ValueId> = std::iter::once(gradient).chain(saved).collect();
        self.node(op, &reads, &[result]);
        let in_epilogue =
            matches!(op, Op::DenseBackwardInput { .. } | Op::Conv2dBackwardInput { .. } | Op::PoolBackward { .. });
        if in_epilogue { result } else { self.through_activation(forward, input, result) }
    }

    /// The gradient before the activation that is fused into the operation that made `value`.
    fn through_activation(&mut self, forward: &[Node], value: ValueId, gradient: ValueId) -> ValueId {
        let maker = forward.iter().find(|n| n.writes.contains(&value));
        let kind = maker.map_or(Activation::Linear, fused_activation);
        if kind == Activation::Linear {
            return gradient;
        }
        let name = format!("{}.preactivation.gradient", self.values[value.0].name);
        let result = self.value(name, self.values[value.0].len);
        self.node(Op::ActivationBackward { kind }, &[gradient, value], &[result]);
        result
    }
}

fn fused_activation(node: &Node) -> Activation {
    match node.op {
        Op::Dense { activation, .. } | Op::Conv2d { activation, .. } => activation,
        _ => Activation::Linear,
    }
}
