//! What can be wrong with a model.

use crate::model::Shape;
use crate::recipe::Activation;

/// A model that cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// An empty list of layers.
    #[error("model.layers is empty; give at least one layer, such as {{ dense = 10 }}")]
    NoLayers,
    /// More layers than anyone means.
    #[error("model.layers has {count} layers; at most {limit} are supported")]
    TooManyLayers {
        /// Layers of the recipe.
        count: usize,
        /// The most there may be.
        limit: usize,
    },
    /// Neither the recipe nor the data says what goes in.
    #[error("model.input is not given; write [features] or [height, width, channels], such as [28, 28, 1]")]
    NoInput,
    /// Not one or three positive numbers.
    #[error("model.input = {given:?} is no shape; write [features] or [height, width, channels], all above 0")]
    BadInput {
        /// What the recipe says.
        given: Vec<usize>,
    },
    /// All parameters together exceed what a run can address.
    #[error("the model has more than {limit} parameters; make its layers smaller")]
    TooManyParameters {
        /// The most there may be.
        limit: u64,
    },
    /// One layer is wrong.
    #[error("layer {index} ({kind}): {problem}")]
    Layer {
        /// Position in `model.layers`, from 0.
        index: usize,
        /// The key that names the kind.
        kind: &'static str,
        /// What is wrong and what to do.
        problem: LayerProblem,
    },
}

/// What is wrong with one layer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LayerProblem {
    /// A number that must be positive is 0.
    #[error("{key} is 0; expected 1 or more")]
    Zero {
        /// The key of the recipe.
        key: &'static str,
    },
    /// A layer for images gets a vector.
    #[error(
        "needs an image, but gets {got} flat features; put it before flatten and dense layers, and write model.input \
         as [height, width, channels]"
    )]
    NeedsImage {
        /// How many features come in.
        got: usize,
    },
    /// The window does not fit into the image.
    #[error(
        "its window is {}x{}, but the image it gets is only {}x{}; use a smaller window, fewer poolings before it, or \
         padding = \"same\"",
        size[0], size[1], image[0], image[1]
    )]
    WindowTooLarge {
        /// Height and width of the window.
        size: [usize; 2],
        /// Height and width of the image.
        image: [usize; 2],
    },
    /// A dropout rate that is no probability below 1.
    #[error("rate is {rate}; expected 0 or more, below 1")]
    DropoutRate {
        /// What the recipe says.
        rate: f32,
    },
    /// A softmax over more than one pixel.
    #[error("softmax needs one row of numbers, but this is an image {output}; put {{ flatten = true }} in front of it")]
    SoftmaxOverImage {
        /// What it would be taken over.
        output: Shape,
    },
    /// Binary cross-entropy without a probability to compare.
    #[error(
        "loss = \"binary_cross_entropy\" needs a last layer with activation = \"sigmoid\", but this one {}",
        found.map_or("has none".to_string(), |found| format!("has \"{found}\""))
    )]
    NeedsSigmoid {
        /// The last layer's activation, if its kind has one.
        found: Option<Activation>,
    },
    /// Class probabilities over an image.
    #[error(
        "gives an image {output}, but loss = \"softmax_cross_entropy\" needs one number per class; end with \
         {{ global_average_pool = true }} or {{ flatten = true }} and {{ dense = CLASSES }}"
    )]
    NeedsClasses {
        /// What comes out.
        output: Shape,
    },
    /// A softmax over one number is always 1.
    #[error(
        "gives one output, but loss = \"softmax_cross_entropy\" needs one per class, at least two; for one probability \
         use activation = \"sigmoid\" with loss = \"binary_cross_entropy\""
    )]
    OneClass,
    /// A tensor beyond what a shader can index.
    #[error("{what} has {size} numbers, more than the {limit} that can be indexed; make the layer smaller")]
    TooLarge {
        /// Which tensor.
        what: &'static str,
        /// Its size in words, because it may not fit a number.
        size: String,
        /// The most there may be.
        limit: u64,
    },
}
