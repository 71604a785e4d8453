//! Layers, their shapes and their parameters.

mod build;
mod error;
mod init;
mod shape;
mod summary;
mod window;

pub use error::{LayerProblem, ModelError};
pub use shape::Shape;
pub use summary::{Summary, SummaryRow};
pub use window::Window;

use crate::recipe::{Activation, Init, LayerSpec, Loss};

/// A network with every shape worked out.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Shape of one example.
    pub input: Shape,
    /// The layers, from input to output.
    pub layers: Vec<Layer>,
    /// What training makes small. The two cross entropies are computed on the network's outputs as logits.
    pub loss: Loss,
    /// What eval and predict apply to the network's outputs; training does not.
    pub output_activation: Activation,
    /// Weights and biases, in the order of the layers, a layer's weight before its bias.
    pub parameters: Vec<Parameter>,
}

/// One layer with its shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The layer as the recipe has it, except that a softmax or sigmoid that belongs to the loss is `Linear` here.
    pub spec: LayerSpec,
    /// Shape of one example going in.
    pub input: Shape,
    /// Shape of one example coming out.
    pub output: Shape,
    /// Index of the weight in [`Model::parameters`].
    pub weight: Option<usize>,
    /// Index of the bias in [`Model::parameters`].
    pub bias: Option<usize>,
}

/// One trained tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// `layers.N.weight` or `layers.N.bias`, N counting the layers that have parameters from 0.
    pub name: String,
    /// PyTorch's layout: (out, in) or (out, in, kernel height, kernel width); a bias is (out).
    pub shape: Vec<usize>,
    /// Weight or bias.
    pub kind: ParameterKind,
    /// Inputs that one output of the layer sees.
    pub fan_in: usize,
    /// Outputs that one input of the layer reaches, as Keras and PyTorch count them.
    pub fan_out: usize,
    /// Initial values.
    pub init: Init,
}

/// What a parameter does in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// Multiplies; the L2 penalty applies.
    Weight,
    /// Is added; the L2 penalty does not apply.
    Bias,
}

impl Parameter {
    /// Number of scalars.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True when there is no scalar; `Model::build` makes no such parameter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Layer {
    /// Number of trained scalars in this layer.
    pub fn parameters_count(&self) -> usize {
        match self.spec {
            LayerSpec::Dense { units, bias, .. } => units * (self.input.len() + usize::from(bias)),
            LayerSpec::Conv2d { filters, kernel, bias, .. } => {
                filters * (self.input.channels() * kernel[0] * kernel[1] + usize::from(bias))
            }
            _ => 0,
        }
    }

    /// The window of a convolution or pooling layer.
    pub fn window(&self) -> Option<Window> {
        Window::of(&self.spec, self.input)
    }
}

impl Model {
    /// Shape of one example coming out.
    pub fn output(&self) -> Shape {
        self.layers.last().map_or(self.input, |layer| layer.output)
    }

    /// Number of outputs of one example; the number of classes when the loss is over classes.
    pub fn outputs(&self) -> usize {
        self.output().len()
    }

    /// Number of trained scalars.
    pub fn parameters_count(&self) -> usize {
        self.parameters.iter().map(Parameter::len).sum()
    }
}
