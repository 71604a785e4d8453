//! The network for data that comes without one.

use crate::data::TargetKind;
use crate::model::Shape;
use crate::recipe::{Activation, Init, LayerSpec, Loss, ModelSpec, Recipe};

/// A network that suits examples of this shape with these targets: for features two hidden layers, for pictures
/// convolutions that halve them as long as they are large, and a hidden layer.
pub fn default_network(input: Shape, targets: TargetKind) -> ModelSpec {
    let (outputs, loss) = match targets {
        TargetKind::Classes { outputs } => (outputs, Loss::SoftmaxCrossEntropy),
        TargetKind::Values { outputs } => (outputs, Loss::Mse),
        TargetKind::Probabilities { outputs } => (outputs, Loss::BinaryCrossEntropy),
    };
    let last = if loss == Loss::BinaryCrossEntropy { Activation::Sigmoid } else { Activation::Linear };
    let mut layers = match input {
        Shape::Features(_) => vec![LayerSpec::dense(128, Activation::Relu), LayerSpec::dense(64, Activation::Relu)],
        Shape::Image { height, width, .. } => convolutional(height.min(width)),
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

/// The layers before the last one for pictures whose shorter side is this.
fn convolutional(mut side: usize) -> Vec<LayerSpec> {
    /// Filters of the convolutions; the picture is halved after each.
    const FILTERS: [usize; 5] = [16, 32, 64, 64, 64];
    /// Smaller pictures are not halved.
    const SMALLEST: usize = 8;
    let mut layers = String::new();
    for filters in FILTERS {
        if side < SMALLEST && !layers.is_empty() {
            break;
        }
        layers += &format!("{{ conv2d = {filters}, kernel = 3, padding = \"same\", activation = \"relu\" }},\n");
        if side >= SMALLEST {
            layers += "{ max_pool = 2 },\n";
        }
        side /= 2;
    }
    layers += "{ flatten = true },\n{ dropout = 0.25 },\n{ dense = 128, activation = \"relu\" },\n";
    let recipe = Recipe::parse(&format!("[model]\nlayers = [\n{layers}]\n"), "the default network", &[]);
    recipe.expect("these layers follow the rules of recipes").model.layers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    #[test]
    fn pictures_of_any_size_have_a_network() {
        for (height, width) in [(1, 1), (7, 300), (8, 8), (28, 28), (64, 85), (128, 128), (512, 512)] {
            let shape = Shape::Image { channels: 3, height, width };
            let spec = default_network(shape, TargetKind::Classes { outputs: 7 });
            let model = Model::build(&spec, Some(shape)).unwrap();
            assert_eq!(model.outputs(), 7);
            assert_eq!(model.loss, Loss::SoftmaxCrossEntropy);
            let pools = model.summary().to_string().matches("max_pool").count();
            let smaller = (3..8).filter(|power| height.min(width) >= 1 << power).count().min(5);
            assert_eq!(pools, smaller, "{height} x {width}");
        }
    }
}
