//! `[model]`: the network, its loss and its initial weights.

use crate::kernel::Loss;
use crate::layers::{Init, LayerSpec};

/// The network as the recipe writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// `[features]` or `[height, width, channels]`; empty takes the data's own shape.
    pub input: Vec<usize>,
    /// The layers, from input to output.
    pub layers: Vec<LayerSpec>,
    /// What training makes small.
    pub loss: Loss,
    /// Of softmax cross-entropy: the share of the target that is spread over all classes, 0 to 1, as in
    /// `torch.nn.CrossEntropyLoss`. Evaluations smooth too: they measure what training makes small.
    pub label_smoothing: f32,
    /// Of Huber's loss: the difference up to which it is quadratic.
    pub delta: f32,
    /// Initial weights of every layer that names none of its own.
    pub init: Init,
    /// Initial biases of every layer that names none of its own; `None` means zeros.
    pub bias_init: Option<Init>,
}
