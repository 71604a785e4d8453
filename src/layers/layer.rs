//! A layer in its place in a model.

use super::{LayerKind, LayerSpec, Shape, TensorRole};
use std::sync::Arc;

/// Where a layer's input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// The data.
    Data,
    /// The output of an earlier layer.
    Layer(usize),
}

/// A layer with its shapes worked out.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Position among the model's layers, from 0; seeds what the layer draws.
    pub index: usize,
    /// Names it and its values.
    pub name: String,
    /// What it does; a softmax or sigmoid that belongs to the loss is linear here.
    pub kind: Arc<dyn LayerKind>,
    /// Where its inputs come from.
    pub inputs: Vec<Input>,
    /// Shape of one example going in, by the first of its inputs.
    pub input: Shape,
    /// Shape of one example coming out.
    pub output: Shape,
    /// Its tensors among the model's parameters, each with its role.
    pub tensors: Vec<(TensorRole, usize)>,
    /// Its tensors among the model's statistics.
    pub statistics: Vec<usize>,
    /// Whether training leaves its tensors as they are.
    pub frozen: bool,
}

impl PartialEq for Layer {
    fn eq(&self, other: &Layer) -> bool {
        let key = |layer: &Layer| {
            let spec = LayerSpec { name: None, from: None, kind: Arc::clone(&layer.kind) };
            (
                layer.index,
                layer.name.clone(),
                spec,
                layer.inputs.clone(),
                layer.input,
                layer.output,
                layer.tensors.clone(),
                layer.statistics.clone(),
                layer.frozen,
            )
        };
        key(self) == key(other)
    }
}

impl Layer {
    /// The name that the recipe gives it.
    pub fn given_name(&self) -> Option<&str> {
        (!self.name.starts_with("layers.")).then_some(&*self.name)
    }

    /// The layer's tensor of a role, if it has one.
    pub fn tensor(&self, role: TensorRole) -> Option<usize> {
        self.tensors.iter().find(|(found, _)| *found == role).map(|(_, index)| *index)
    }

    /// The tensor that multiplies.
    pub fn weight(&self) -> Option<usize> {
        self.tensor(TensorRole::Weight)
    }

    /// Whether its training normalises each batch by the batch's own statistics.
    pub fn normalises_batches(&self) -> bool {
        !self.frozen && !self.statistics.is_empty()
    }

    /// The tensor that is added.
    pub fn bias(&self) -> Option<usize> {
        self.tensor(TensorRole::Bias)
    }
}
