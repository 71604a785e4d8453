//! Activations as operations of their own.

use super::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::pointwise::{
    activation_backward, activation_forward, add, add_gradients, softmax_backward, softmax_forward,
};
use crate::kernel::{Activation, Launch};
use std::sync::Arc;

/// input → output.
#[derive(Debug)]
pub struct Activate(pub Activation);

impl Operation for Activate {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = activation_forward::Params { len: at.per_model(reads[0]) };
        let operands = activation_forward::Operands { input: reads[0], output: writes[0] };
        vec![Arc::new(activation_forward::ActivationForward {
            label: self.0.to_string(),
            shape,
            models: at.models,
            activation: self.0.code(),
            operands,
        })]
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        // What the derivative is computed from: the output where that is enough.
        let saved = if self.0.derivative_from_output() { node.writes[0] } else { node.reads[0] };
        pass.gradient(node.reads[0], Arc::new(ActivateBackward(self.0)), &[gradient, saved]);
    }

    fn describe(&self) -> String {
        format!("the activation {}", self.0)
    }
}

/// (output gradient, saved) → gradient before the activation.
#[derive(Debug)]
pub struct ActivateBackward(pub Activation);

impl Operation for ActivateBackward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = activation_backward::Params { len: at.per_model(writes[0]) };
        let (output_gradient, saved, input_gradient) = (reads[0], reads[1], writes[0]);
        vec![Arc::new(activation_backward::ActivationBackward {
            label: format!("{} backward", self.0),
            shape,
            models: at.models,
            activation: self.0.code(),
            operands: activation_backward::Operands { output_gradient, saved, input_gradient },
        })]
    }

    fn describe(&self) -> String {
        format!("the gradient of {}", self.0)
    }
}

/// input → output, over all scalars of an example.
#[derive(Debug)]
pub struct Softmax;

impl Operation for Softmax {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = softmax_forward::Params { rows: at.rows as u32, classes: at.per_row(writes[0]) };
        let operands = softmax_forward::Operands { input: reads[0], output: writes[0] };
        let label = "softmax".into();
        vec![Arc::new(softmax_forward::SoftmaxForward { label, shape, models: at.models, operands })]
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        pass.gradient(node.reads[0], Arc::new(SoftmaxBackward), &[gradient, node.writes[0]]);
    }

    fn describe(&self) -> String {
        "the activation softmax".into()
    }
}

/// (output gradient, output) → input gradient.
#[derive(Debug)]
pub struct SoftmaxBackward;

impl Operation for SoftmaxBackward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = softmax_backward::Params { rows: at.rows as u32, classes: at.per_row(writes[0]) };
        let (output_gradient, output, input_gradient) = (reads[0], reads[1], writes[0]);
        let operands = softmax_backward::Operands { output_gradient, output, input_gradient };
        let label = "softmax backward".into();
        vec![Arc::new(softmax_backward::SoftmaxBackward { label, shape, models: at.models, operands })]
    }

    fn describe(&self) -> String {
        "the gradient of softmax".into()
    }
}

/// (a, b) → the activation of their sum.
#[derive(Debug)]
pub struct Add(pub Activation);

impl Operation for Add {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        vec![Arc::new(add::Add {
            label: "add".into(),
            shape: add::Params { len: at.per_model(writes[0]) },
            models: at.models,
            activation: self.0.code(),
            operands: add::Operands { a: reads[0], b: reads[1], output: writes[0] },
        })]
    }

    fn activation(&self) -> Activation {
        self.0
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        for input in &node.reads {
            pass.add(*input, gradient);
        }
    }

    fn describe(&self) -> String {
        "the addition".into()
    }
}

/// (gradient, gradient, saved) → their sum times the derivative of the activation at what was saved.
#[derive(Debug)]
pub struct SumGradients(pub Activation);

impl Operation for SumGradients {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let (a, b, saved, input_gradient) = (reads[0], reads[1], reads[2], writes[0]);
        vec![Arc::new(add_gradients::AddGradients {
            label: "add gradients".into(),
            shape: add_gradients::Params { len: at.per_model(input_gradient) },
            models: at.models,
            activation: self.0.code(),
            operands: add_gradients::Operands { a, b, saved, input_gradient },
        })]
    }

    fn describe(&self) -> String {
        "the sum of gradients".into()
    }
}
