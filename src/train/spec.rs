//! What a trainer is made from.

use super::Member;
use crate::data::{Dataset, Examples, Scaling, Storage, Targets};
use crate::model::Model;
use crate::planner::{Batches, DataLayout, TargetLayout};
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
    /// How training steps take the examples.
    pub fn batches(&self) -> Batches {
        let examples = self.dataset.train.features.count;
        let size = match self.train.batch {
            Batch::Full => examples,
            Batch::Size(size) if self.train.drop_last => size,
            Batch::Size(size) => size.min(examples),
        };
        Batches { size, shuffle: self.train.shuffle }
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

/// How evaluations take sets, the largest of so many examples: as many at a time as keep a batch's widest layer within
/// 16 MiB for each model, at most 1024. The same whether other models train beside this one: the losses are summed in the
/// batches' order.
pub(crate) fn evaluation_batches(model: &Model, examples: usize) -> Batches {
    let widest = model.layers.iter().map(|l| l.output.len()).chain([model.input.len()]).max().unwrap_or(1);
    Batches { size: (4 * 1024 * 1024 / widest).clamp(1, 1024).min(examples.max(1)), shuffle: false }
}
