//! Where a host finds what in a plan: pure data, so that a plan says all that its replay needs to know.

use super::{BufferId, ProgramId, Slice};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a host reads and writes of a plan that trains or evaluates, and which program is what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Io {
    /// Models side by side.
    pub models: usize,
    /// Trained weights and biases.
    pub parameters: ParameterBuffers,
    /// What is measured while training, of a model that has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<StatisticBuffers>,
    /// (models, HYPER): what the host may write between epochs.
    pub hyper: BufferId,
    /// Where each number lies in `hyper` and in the step states.
    pub slots: Slots,
    /// Sets of examples. Each is filled by the host before the first step.
    pub sources: Vec<SourceBuffers>,
    /// The training loop over the set `train`.
    pub training: Option<Training>,
    /// Evaluations, each over the set of its name.
    pub evaluations: Vec<Evaluation>,
}

impl Io {
    /// The place in [`Io::sources`] of the set of this name.
    pub fn source(&self, name: &str) -> Option<usize> {
        self.sources.iter().position(|source| source.name == name)
    }

    /// The evaluation over the set of this name.
    pub fn evaluation(&self, name: &str) -> Option<&Evaluation> {
        self.evaluations.iter().find(|evaluation| evaluation.name == name)
    }

    /// The places of a model's tensors, the parameters before the statistics.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorPlace> + Clone {
        self.parameters.tensors.iter().chain(self.statistics.iter().flat_map(|statistics| &statistics.tensors))
    }

    /// The buffers of a model's tensors, and elements from one model to the next in each.
    pub fn buffers(&self) -> impl Iterator<Item = (BufferId, usize)> {
        let statistics = self.statistics.iter().map(|statistics| (statistics.buffer, statistics.stride));
        std::iter::once((self.parameters.buffer, self.parameters.stride)).chain(statistics)
    }

    /// One model's part of each buffer of its tensors.
    pub fn of_model(&self, model: usize) -> impl Iterator<Item = Slice> {
        self.buffers().map(move |(buffer, stride)| Slice { buffer, offset: model * stride, len: stride })
    }

    /// What is wrong with values that are to be a model's tensors; nothing where they are as many as those.
    pub fn misfit(&self, values: &[Vec<f32>]) -> Option<String> {
        misfit(self.tensors(), values)
    }

    /// One model's tensors as the flat words of each buffer, gaps zeroed.
    pub fn pack(&self, values: &[Vec<f32>]) -> Vec<Vec<u32>> {
        let (parameters, others) = values.split_at(self.parameters.tensors.len());
        let statistics = self.statistics.iter().map(|place| pack(place.stride, &place.tensors, others));
        std::iter::once(self.parameters.pack(parameters)).chain(statistics).collect()
    }

    /// One model's tensors from the flat words of each buffer.
    pub fn unpack(&self, words: &[&[u32]]) -> Vec<Vec<f32>> {
        let statistics =
            self.statistics.iter().zip(&words[1..]).flat_map(|(place, words)| unpack(&place.tensors, words));
        self.parameters.unpack(words[0]).into_iter().chain(statistics).collect()
    }
}

/// Where numbers lie among a model's words of the step state, by name; a model has as many words as the buffer has for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// Of `counters`, whole numbers: such as `step`, `epoch` and `seen`, the examples in this epoch.
    pub counters: BTreeMap<String, usize>,
    /// Of `scalars`, floats: such as `loss_sum` and `correct_sum` over this epoch, and `step_loss`.
    pub scalars: BTreeMap<String, usize>,
    /// Of `hyper`, floats: such as `learning_rate`.
    pub hyper: BTreeMap<String, usize>,
}

/// Where statistics are: as the parameters, model after model, `stride` elements each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticBuffers {
    /// Their buffer.
    pub buffer: BufferId,
    /// Elements from one model to the next.
    pub stride: usize,
    /// The statistics of a model, in its order.
    pub tensors: Vec<TensorPlace>,
}

fn misfit<'a>(tensors: impl Iterator<Item = &'a TensorPlace> + Clone, found: &[Vec<f32>]) -> Option<String> {
    let count = tensors.clone().count();
    if found.len() != count {
        return Some(format!("there are {} tensors, and the model has {count}", found.len()));
    }
    let (values, tensor) = found.iter().zip(tensors).find(|(values, tensor)| values.len() != tensor.len)?;
    Some(format!("{} has {} values, not the {} of {:?}", tensor.name, values.len(), tensor.len, tensor.shape))
}

fn pack(stride: usize, tensors: &[TensorPlace], values: &[Vec<f32>]) -> Vec<u32> {
    let mut words = vec![0; stride];
    for (values, TensorPlace { offset, .. }) in values.iter().zip(tensors) {
        words[*offset..offset + values.len()].copy_from_slice(bytemuck::cast_slice(values));
    }
    words
}

fn unpack(tensors: &[TensorPlace], words: &[u32]) -> Vec<Vec<f32>> {
    let one = |tensor: &TensorPlace| bytemuck::cast_slice(&words[tensor.offset..tensor.offset + tensor.len]).to_vec();
    tensors.iter().map(one).collect()
}

/// Where parameters are: model after model, `stride` elements each, in a model each tensor from its offset on, gaps zeroed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterBuffers {
    /// Their buffer.
    pub buffer: BufferId,
    /// A word per 64 elements of a model: 1 where they are weights, which decay, 0 where they do not, or are frozen.
    pub weight_blocks: BufferId,
    /// Elements from one model to the next.
    pub stride: usize,
    /// The tensors of a model, in its order.
    pub tensors: Vec<TensorPlace>,
}

/// A parameter's place in its model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorPlace {
    /// Such as `layers.0.weight`.
    pub name: String,
    /// Its shape, as it is saved.
    pub shape: Vec<usize>,
    /// First element.
    pub offset: usize,
    /// Elements.
    pub len: usize,
}

impl ParameterBuffers {
    /// One model in a buffer that is laid out like the parameters'.
    pub fn of_model(&self, buffer: BufferId, model: usize) -> Slice {
        Slice { buffer, offset: model * self.stride, len: self.stride }
    }

    /// What is wrong with values that are to be a model's parameters; nothing where they are as many as those.
    pub fn misfit(&self, parameters: &[Vec<f32>]) -> Option<String> {
        misfit(self.tensors.iter(), parameters)
    }

    /// One model's parameters as flat words, gaps zeroed.
    pub fn pack(&self, parameters: &[Vec<f32>]) -> Vec<u32> {
        pack(self.stride, &self.tensors, parameters)
    }

    /// One model's parameters from its flat words.
    pub fn unpack(&self, words: &[u32]) -> Vec<Vec<f32>> {
        unpack(&self.tensors, words)
    }
}

/// How the targets of a set are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetLayout {
    /// One class per example.
    Classes,
    /// So many floats per example.
    Values(usize),
}

/// What a plan knows of a set of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataLayout {
    /// Number of examples that a model takes: of one fold, where there are several.
    pub examples: usize,
    /// Folds: sets of so many examples each, one after the other, which the models take in turn. Model `m` takes fold
    /// `m % folds`; usually there is one.
    #[serde(default = "one_fold", skip_serializing_if = "is_one_fold")]
    pub folds: usize,
    /// Scalars per example.
    pub features: usize,
    /// Stored as bytes, four to a word; otherwise as floats.
    pub bytes: bool,
    /// The targets.
    pub targets: TargetLayout,
    /// Whether each example has a weight in the loss.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weighted: bool,
}

fn one_fold() -> usize {
    1
}

fn is_one_fold(folds: &usize) -> bool {
    *folds == 1
}

impl DataLayout {
    /// Examples of all folds.
    pub fn rows(&self) -> usize {
        self.examples * self.folds
    }

    /// Words per example.
    pub fn row_words(&self) -> usize {
        if self.bytes { self.features.div_ceil(4) } else { self.features }
    }

    /// Bytes of so many examples on a device.
    pub fn bytes_of(&self, rows: usize) -> u64 {
        rows as u64 * self.row_words() as u64 * 4
    }
}

/// How the steps over a set take its examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// Examples in a batch.
    pub size: usize,
    /// Whether each model takes them in an order of its own, another in every epoch; otherwise all take the files' order.
    pub shuffle: bool,
}

/// The part of a streamed set that is on the device: whole batches that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Examples of one order.
    pub rows: usize,
    /// Orders side by side: one for each model where batches are shuffled, else one for each fold.
    pub orders: usize,
}

/// The buffers of a set of examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceBuffers {
    /// What the set is called: `train`, `validation`, `test`.
    pub name: String,
    /// What the set holds.
    pub layout: DataLayout,
    /// How steps take it.
    pub batches: Batches,
    /// The rows that `data` holds of a streamed set; nothing where it holds all of the set.
    pub window: Option<Window>,
    /// The examples, or a window of them: (orders, rows, row_words).
    pub data: BufferId,
    /// The classes (integers) or values (floats) of all examples.
    pub targets: BufferId,
    /// The weights of all examples, where they have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<BufferId>,
}

impl SourceBuffers {
    /// Bytes of the set's examples: on the device where it holds them all, else in the host's memory.
    pub fn bytes(&self) -> u64 {
        self.layout.bytes_of(self.layout.rows())
    }

    /// Bytes that the examples take on the device.
    pub fn resident_bytes(&self) -> u64 {
        self.window.map_or(self.bytes(), |window| self.layout.bytes_of(window.orders * window.rows))
    }
}

/// Programs and buffers of the training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Resets the epoch's sums; run before the first batch of every epoch.
    pub begin_epoch: ProgramId,
    /// One step: batch, forward, backward, update, bookkeeping.
    pub step: ProgramId,
    /// The batch's loss and gradients without an update.
    pub gradient: ProgramId,
    /// A step that also takes the norms of every parameter and its gradient, before the update, where asked for.
    pub recorded_step: Option<ProgramId>,
    /// A step up to the exchange of gradients, and the rest of it; nothing where it is fused.
    pub halves: Option<[ProgramId; 2]>,
    /// The rest of a step that also takes norms, where those are asked for and ranks share the batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_update: Option<ProgramId>,
    /// (models, parameters, 2): sums of squares of each gradient and each parameter.
    pub norms: BufferId,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// Epochs of the run.
    pub epochs: u32,
    /// The learning rates that the host writes into `hyper` between epochs: the first ones, and each change. Nothing where what
    /// is measured decides them (a plateau schedule, early stopping that slows down), or where a schedule changes them over more than
    /// a million epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rates: Option<Vec<EpochRates>>,
    /// Where a step takes several batches; else each takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<Accumulation>,
    /// The weights that steps train, where [`Io::parameters`] are their moving average; else those are trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<BufferId>,
    /// (models, steps of the run): factors of the learning rate in `hyper`, where the schedule changes it from step to step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_factors: Option<BufferId>,
    /// Flat gradients, laid out like the parameters.
    pub gradients: BufferId,
    /// (models, COUNTERS).
    pub counters: BufferId,
    /// (models, SCALARS).
    pub scalars: BufferId,
    /// (models, log_steps, 2): loss and accuracy of the last steps.
    pub log: BufferId,
    /// Steps that `log` holds.
    pub log_steps: usize,
    /// Everything that a resumed run needs beside the parameters.
    pub state: Vec<BufferId>,
    /// (models, HISTORY) of loss scaling, in mixed precision.
    pub loss_scaling: Option<BufferId>,
}

/// The learning rates from an epoch on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRates {
    /// The first epoch that has them, from 0.
    pub epoch: u32,
    /// The rate of each model, as the bits of a float.
    pub bits: Vec<u32>,
}

impl Training {
    /// Batches of an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.accumulation.as_ref().map_or(self.steps_per_epoch, |accumulation| accumulation.batches_per_epoch)
    }

    /// The first batch of a step of an epoch.
    pub fn first_batch(&self, step_in_epoch: usize) -> usize {
        self.accumulation.as_ref().map_or(step_in_epoch, |accumulation| step_in_epoch * accumulation.batches)
    }

    /// Batches that a step of an epoch takes before its last one: the runs of [`Accumulation::batch`].
    pub fn batches_before_last(&self, step_in_epoch: usize) -> usize {
        let end = self.first_batch(step_in_epoch + 1).min(self.batches_per_epoch());
        end.saturating_sub(self.first_batch(step_in_epoch) + 1)
    }
}

/// Steps of several batches: each but the last runs `batch`, and the last one runs the step's own program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accumulation {
    /// One batch's gradients into the sum, and its bookkeeping, without an update.
    pub batch: ProgramId,
    /// Batches of a step; the last step of an epoch takes what is left.
    pub batches: usize,
    /// Batches of an epoch.
    pub batches_per_epoch: usize,
}

/// Programs and buffers of an evaluation over one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The set's name.
    pub name: String,
    /// Resets the sums.
    pub begin: ProgramId,
    /// One batch.
    pub step: ProgramId,
    /// Batches in the set.
    pub steps: usize,
    /// (models, COUNTERS).
    pub counters: BufferId,
    /// (models, SCALARS).
    pub scalars: BufferId,
    /// The network's outputs for the last batch: (models, batch, outputs).
    pub outputs: Slice,
}

/// What is written before the first step: words from the start of a buffer on, floats as their bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initial {
    /// The buffer.
    pub buffer: BufferId,
    /// Its first words.
    pub words: Vec<u32>,
}
