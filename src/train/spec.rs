//! What a trainer is made from.

use super::Member;
use crate::data::{Dataset, Examples, Scaling, Storage, Targets};
use crate::graph::{DataLayout, TargetLayout};
use crate::model::Model;
use crate::recipe::{Batch, TrainSpec};

/// Everything a [`Trainer`](super::Trainer) works on.
#[derive(Debug, Clone, Copy)]
pub struct TrainerSpec<'a> {
    /// The network.
    pub model: &'a Model,
    /// Training, validation and test examples.
    pub dataset: &'a Dataset,
    /// How features are scaled.
    pub scaling: &'a Scaling,
    /// The loop.
    pub train: &'a TrainSpec,
    /// The models that train side by side; usually one.
    pub members: &'a [Member],
}

impl TrainerSpec<'_> {
    /// Examples in a training batch.
    pub(crate) fn batch(&self) -> usize {
        let examples = self.dataset.train.features.count;
        match self.train.batch {
            Batch::Full => examples,
            Batch::Size(size) if self.train.drop_last => size,
            Batch::Size(size) => size.min(examples),
        }
    }
}

/// How a set lies on a device.
pub(crate) fn layout(examples: &Examples) -> DataLayout {
    DataLayout {
        examples: examples.features.count,
        features: examples.features.shape.len(),
        bytes: matches!(examples.features.storage, Storage::U8(_)),
        targets: match examples.targets {
            Targets::Classes { .. } => TargetLayout::Classes,
            Targets::Values { outputs, .. } => TargetLayout::Values(outputs),
        },
    }
}

/// Examples in an evaluation batch: as many as keep its widest layer within 16 MiB for each model, at most 1024 and the
/// largest set. The same whether other models train beside this one: the losses are summed in the batches' order.
pub(crate) fn evaluation_batch(model: &Model, examples: usize) -> usize {
    let widest = model.layers.iter().map(|l| l.output.len()).chain([model.input.len()]).max().unwrap_or(1);
    (4 * 1024 * 1024 / widest).clamp(1, 1024).min(examples.max(1))
}
