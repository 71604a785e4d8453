//! A network: layers with their shapes, their parameters, and the graph of what it computes.

mod build;
mod error;
mod freeze;
mod graph;
mod init;
mod summary;

pub use crate::layers::{Input, Layer, LayerProblem, Levels, Parameter, Shape, TensorRole, Window};
pub use error::ModelError;
pub use graph::{Changes, Network};
pub(crate) use summary::STATISTICS;
pub use summary::{Summary, SummaryRow};

use crate::kernel::{Activation, Loss};

/// A network with every shape worked out.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Shape of one example.
    pub input: Shape,
    /// The layers, from input to output.
    pub layers: Vec<Layer>,
    /// What training makes small. The two cross entropies are computed on the network's outputs as logits.
    pub loss: Loss,
    /// The share of the target that softmax cross-entropy spreads over all classes.
    pub label_smoothing: f32,
    /// The difference up to which Huber's loss is quadratic.
    pub delta: f32,
    /// What eval and predict apply to the network's outputs; training does not.
    pub output_activation: Activation,
    /// What is trained, in the order of the layers, a layer's weight before its bias.
    pub parameters: Vec<Parameter>,
    /// What is measured while training, not trained, and read by evaluations: a layer's mean before its variance.
    pub statistics: Vec<Parameter>,
}

impl Model {
    /// Shape of one example coming out.
    pub fn output(&self) -> Shape {
        self.layers.last().map_or(self.input, |layer| layer.output)
    }

    /// Whether the data are numbers of levels, which an embedding looks up.
    pub fn takes_levels(&self) -> bool {
        self.layers.iter().any(|layer| layer.kind.levels().is_some())
    }

    /// Number of outputs of one example; the number of classes when the loss is over classes.
    pub fn outputs(&self) -> usize {
        self.output().len()
    }

    /// All tensors in the order in which values are given for them, saved and hashed: the parameters, then the statistics.
    pub fn tensors(&self) -> impl Iterator<Item = &Parameter> + Clone {
        self.parameters.iter().chain(&self.statistics)
    }

    /// Number of scalars that are measured, not trained.
    pub fn statistics_count(&self) -> usize {
        self.statistics.iter().map(Parameter::len).sum()
    }

    /// Number of trained scalars.
    pub fn parameters_count(&self) -> usize {
        self.parameters.iter().map(Parameter::len).sum()
    }

    /// The loss with its numbers, in words.
    pub fn loss_words(&self) -> String {
        match self.loss {
            Loss::SoftmaxCrossEntropy if self.label_smoothing != 0.0 => {
                format!("{} with label smoothing {}", self.loss, self.label_smoothing)
            }
            Loss::Huber => format!("{} with delta {}", self.loss, self.delta),
            loss => loss.to_string(),
        }
    }

    /// Number of trained scalars of a layer.
    pub fn layer_parameters(&self, layer: &Layer) -> usize {
        layer.tensors.iter().map(|(_, index)| self.parameters[*index].len()).sum()
    }
}
