//! The network for data that comes without one.

use crate::data::TargetKind;
use crate::model::Shape;
use crate::recipe::{Activation, Init, LayerSpec, Loss, ModelSpec};

/// A network that suits examples of this shape with these targets: for features two hidden layers.
pub fn default_network(input: Shape, targets: TargetKind) -> ModelSpec {
    let (outputs, loss) = match targets {
        TargetKind::Classes { outputs } => (outputs, Loss::SoftmaxCrossEntropy),
        TargetKind::Values { outputs } => (outputs, Loss::Mse),
        TargetKind::Probabilities { outputs } => (outputs, Loss::BinaryCrossEntropy),
    };
    let last = if loss == Loss::BinaryCrossEntropy { Activation::Sigmoid } else { Activation::Linear };
    let mut layers = match input {
        Shape::Features(_) => vec![LayerSpec::dense(128, Activation::Relu), LayerSpec::dense(64, Activation::Relu)],
        // A small convolutional network is to come here.
        Shape::Image { .. } => vec![LayerSpec::dense(128, Activation::Relu)],
    };
    layers.push(LayerSpec::dense(outputs, last));
    ModelSpec {
        input: Vec::new(),
        layers,
        loss,
        label_smoothing: 0.0,
        delta: 1.0,
        init: Init::default(),
        bias_init: None,
    }
}
