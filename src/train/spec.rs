//! What a trainer is made from.

use super::{Member, TrainError};
use crate::data::{Dataset, Examples, Scaling, Storage, Targets, TrainedOn};
use crate::ir::{Batches, DataLayout, TargetLayout};
use crate::kernel::step::{augment, state};
use crate::model::Model;
use crate::recipe::{AugmentSpec, Batch, Set, TrainSpec};
use std::borrow::Borrow;
use std::sync::Arc;

/// Everything a [`Trainer`](super::Trainer) works on.
#[derive(Debug, Clone)]
pub struct TrainerSpec {
    /// The network.
    pub model: Model,
    /// Training, validation and test examples.
    pub dataset: Arc<Dataset>,
    /// How features are scaled.
    pub scaling: Scaling,
    /// What else is known of the data: names and units of what is measured.
    pub trained_on: TrainedOn,
    /// The loop.
    pub train: TrainSpec,
    /// How training changes images.
    pub augment: AugmentSpec,
    /// The models that train side by side; usually one.
    pub members: Vec<Member>,
}

impl TrainerSpec {
    /// The numbers by which training changes images, if it does. An error where that makes no sense.
    pub(crate) fn changes(&self) -> Result<Option<augment::Params>, TrainError> {
        let scaled_by_feature = self.scaling.subtract.len() > 1;
        self.augment.params(self.model.input, scaled_by_feature).map_err(TrainError::Augment)
    }

    /// A training example as it is, scaled, and as the first member sees it in each of the first epochs; no such where nothing
    /// is changed.
    pub fn augmented(&self, example: usize, epochs: u32) -> Result<(Vec<f32>, Vec<Vec<f32>>), TrainError> {
        let Some(changes) = self.changes()? else { return Ok((Vec::new(), Vec::new())) };
        let (features, scaling) = (&self.dataset.train.features, &self.scaling);
        let len = features.shape.len();
        let value = |feature| scaling.apply(features.storage.get(example * len + feature), feature);
        let plain: Vec<f32> = (0..len).map(value).collect();
        let changes = augment::Params { add: scaling.add, ..changes };
        let seed = self.members[0].initial_state().0[state::SEED];
        let in_epoch = |epoch| {
            let place = [seed, epoch, example as u32];
            augment::image(&changes, place, &plain, [&scaling.subtract, &scaling.divide])
        };
        let changed = (0..epochs).map(in_epoch).collect();
        Ok((plain, changed))
    }

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

impl Set {
    /// Its examples, if there are any.
    pub fn of(self, dataset: &Dataset) -> Option<&Examples> {
        match self {
            Set::Train => Some(&dataset.train),
            Set::Validation => dataset.validation.as_ref(),
            Set::Test => dataset.test.as_ref(),
        }
    }
}

/// One part of a data set that several own; it is there.
pub(crate) struct SharedSet {
    dataset: Arc<Dataset>,
    set: Set,
}

impl SharedSet {
    /// The part, if the data set has it.
    pub(crate) fn of(dataset: &Arc<Dataset>, set: Set) -> Option<SharedSet> {
        set.of(dataset).map(|_| SharedSet { dataset: Arc::clone(dataset), set })
    }
}

impl Borrow<Examples> for SharedSet {
    fn borrow(&self) -> &Examples {
        self.set.of(&self.dataset).unwrap_or_else(|| unreachable!("the {} set was there before", self.set.name()))
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
        weighted: examples.weights.is_some(),
    }
}

/// How evaluations take sets, the largest of so many examples: as many at a time as keep a batch's widest layer within
/// 16 MiB for each model, at most 1024. The same whether other models train beside this one: the losses are summed in the
/// batches' order.
pub(crate) fn evaluation_batches(model: &Model, examples: usize) -> Batches {
    let widest = model.layers.iter().map(|l| l.output.len()).chain([model.input.len()]).max().unwrap_or(1);
    Batches { size: (4 * 1024 * 1024 / widest).clamp(1, 1024).min(examples.max(1)), shuffle: false }
}
