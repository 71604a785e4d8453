//! What a trainer is made from.

use super::{Member, TrainError};
use crate::data::{Dataset, Examples, Scaling, Storage, Targets, TrainedOn};
use crate::ir::{Batches, DataLayout, TargetLayout};
use crate::kernel::formula::hash;
use crate::kernel::mixup;
use crate::kernel::step::{augment, state};
use crate::model::Model;
use crate::recipe::{AugmentSpec, Batch, Set, TrainSpec};
use std::borrow::{Borrow, Cow};
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
    /// How training changes and mixes examples.
    pub augment: AugmentSpec,
    /// The models that train side by side; usually one.
    pub members: Vec<Member>,
    /// Folds: data sets of equal size, of which each set of `dataset` holds the examples one after the other. Member `m` takes
    /// those of fold `m % folds`; usually there is one.
    pub folds: usize,
}

/// A training example as an epoch shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its features, scaled.
    pub values: Vec<f32>,
    /// What it is mixed with, if it is.
    pub mixed: Option<Mixed>,
}

/// The example that another one is mixed with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixed {
    /// Its number, from 0.
    pub example: usize,
    /// Its share.
    pub share: f32,
}

impl TrainerSpec {
    /// The numbers by which training changes images, if it does. An error where that makes no sense.
    pub(crate) fn changes(&self) -> Result<Option<augment::Params>, TrainError> {
        let scaled_by_feature = self.scaling.differs_within_channels(self.model.input);
        let mixup = self.augment.check_mixup(self.model.takes_levels(), self.batches().size);
        mixup.map_err(TrainError::Augment)?;
        self.augment.params(self.model.input, scaled_by_feature).map_err(TrainError::Augment)
    }

    /// A training example as it is, scaled, and as the first member sees it in each of the first epochs.
    pub fn augmented(&self, example: usize, epochs: u32) -> Result<(Vec<f32>, Vec<Seen>), TrainError> {
        let (features, scaling) = (&self.dataset.train.features, &self.scaling);
        let changes = self.changes()?.map(|changes| augment::Params { add: scaling.add, ..changes });
        let seed = self.members[0].initial_state().0[state::SEED];
        let len = features.shape.len();
        let plain = |example: usize| -> Vec<f32> {
            let value = |feature| scaling.apply(features.storage.get(example * len + feature), feature);
            (0..len).map(value).collect()
        };
        let changed = |example: usize, epoch: u32| match &changes {
            Some(changes) => {
                let place = [seed, epoch, example as u32];
                augment::image(changes, place, &plain(example), [&scaling.subtract, &scaling.divide])
            }
            None => plain(example),
        };
        let in_epoch = |epoch| {
            let (mut values, mixed) = (changed(example, epoch), self.mixed(seed, epoch, example as u32));
            if let Some(Mixed { example, share }) = mixed {
                let other = changed(example, epoch);
                values.iter_mut().zip(other).for_each(|(value, other)| *value += share * (other - *value));
            }
            Seen { values, mixed }
        };
        Ok((plain(example), (0..epochs).map(in_epoch).collect()))
    }

    /// What an example is mixed with in an epoch: nothing without mixup, and where the epoch leaves it out.
    fn mixed(&self, seed: u32, epoch: u32, example: u32) -> Option<Mixed> {
        let strength = self.augment.mixing()?;
        let (examples, Batches { size, shuffle }) = (self.examples_of(Set::Train) as u32, self.batches());
        let (size, key) = (size as u32, hash::epoch_key(seed, epoch));
        let at = |position: u32| if shuffle { hash::permute(position, examples, key) } else { position };
        let position = (0..examples).find(|position| at(*position) == example)?;
        let (batch, row) = (position / size, position % size);
        let rows = size.min(examples - batch * size);
        if rows < size && self.train.drop_last {
            return None;
        }
        let other = at(batch * size + mixup::other_row(row, rows)) as usize;
        Some(Mixed { example: other, share: mixup::quantiles(strength)[mixup::quantile(seed, epoch, batch)] })
    }

    /// Examples of a set that a member takes; 0 where there is no such set.
    pub fn examples_of(&self, set: Set) -> usize {
        set.of(&self.dataset).map_or(0, |examples| examples.count() / self.folds)
    }

    /// The targets of the examples of a set that a member takes.
    pub(super) fn targets_of(&self, set: Set, member: usize) -> Option<Cow<'_, Targets>> {
        let (targets, count) = (&set.of(&self.dataset)?.targets, self.examples_of(set));
        let first = member % self.folds * count;
        Some(match self.folds {
            1 => Cow::Borrowed(targets),
            _ => Cow::Owned(targets.select(&(first..first + count).collect::<Vec<_>>())),
        })
    }

    /// How training steps take the examples.
    pub fn batches(&self) -> Batches {
        let examples = self.examples_of(Set::Train);
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

/// How a set of so many folds lies on a device.
pub(crate) fn layout(examples: &Examples, folds: usize) -> DataLayout {
    DataLayout {
        examples: examples.features.count / folds,
        folds,
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
