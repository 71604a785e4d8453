//! What can be wrong with a model.

use crate::keys::did_you_mean;
use crate::layers::LayerProblem;

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
    /// Nothing of that name is there to be frozen.
    #[error(
        "start.freeze: no layer with tensors is called \"{name}\", and no name begins with it and a dot{}; gputrain inspect lists them, and \
             what has no name is layers.N, N counting those with tensors from 0",
        did_you_mean(suggestion)
    )]
    NothingToFreeze {
        /// What the recipe says.
        name: String,
        /// The name that looks most like it.
        suggestion: Option<String>,
    },
    /// Nothing is left to train.
    #[error(
        "start.freeze freezes every layer that has parameters, and nothing is left to train; leave the last one out"
    )]
    AllFrozen,
    /// One layer is wrong.
    #[error("layer {place} ({kind}): {problem}")]
    Layer {
        /// Position in `model.layers`, from 0, such as `3` or `3.residual.0`.
        place: String,
        /// The key that names the kind.
        kind: &'static str,
        /// What is wrong and what to do.
        problem: LayerProblem,
    },
}
