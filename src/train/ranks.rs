//! Training among ranks: each takes some rows of every batch, and their gradients are added up between the two halves of a step.
//!
//! What a rank counts on its device is of its own rows. The host adds that up over the ranks where somebody wants to know
//! it, and writes it to the device as if one process had counted it: nobody else knows of ranks.

use super::{Checkpoint, Draft, Set, TrainError, Trainer, TrainerSpec};
use crate::backend::{Backend, BackendError, Ticket};
use crate::ir::{BufferId, ProgramId, Slice};
use crate::kernel::loss::weights::{BATCH_WEIGHT, EPOCH_LOSS, EPOCH_WEIGHT, WEIGHT_SUMS};
use crate::kernel::norm::over_ranks::Meeting;
use crate::kernel::step::state;
use crate::planner::Meetings;
use crate::ranks::{Exchange, RankError, Share, agree};
use std::sync::Arc;

/// A trainer's place among the ranks.
pub(super) struct Ranks {
    exchange: Arc<dyn Exchange>,
    share: Share,
    /// Where a pass over its rows needs the others.
    meetings: Meetings,
    /// Batches whose sums are on their way from the device.
    copied: Vec<Copied>,
    /// Sums of this rank that the others do not know yet.
    own: Vec<(Counted, Vec<Sums>)>,
    /// Of each model, what all ranks counted in the epoch.
    epoch: Vec<Sums>,
    /// Batches of the epoch in it.
    batches: u32,
    /// Whether the batch to come is the first of an epoch.
    begins: bool,
    /// Whether the device's loss scale is that of parts: see [`Trainer::scale_for_parts`].
    scaled_for_parts: bool,
    /// Whether this rank's observer wants to stop, and whether that of any rank did in the last step.
    wants_to_stop: bool,
    stops: bool,
}

/// A batch whose sums were copied aside.
struct Copied {
    of: Counted,
    counters: Ticket,
    scalars: Ticket,
    weights: Option<Ticket>,
}

/// A batch that was counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// The step that it belongs to, from 0.
    step: u32,
    /// Whether it is the first of an epoch.
    begins: bool,
    /// Whether it is the step's last, which the log tells of.
    is_last: bool,
}

/// Sums over the rows of a batch, or of an epoch's batches, of one model.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Of the rows' losses, by their weights.
    loss: f32,
    /// Of their weights; the rows where they have none.
    weight: f32,
    correct: f32,
    rows: u32,
    /// 1 + the first step whose loss was not finite; 0: none.
    not_finite: u32,
}

/// Words of [`Sums`].
const SUMS: usize = 5;

impl Sums {
    fn words(self) -> [u32; SUMS] {
        let Sums { loss, weight, correct, rows, not_finite } = self;
        [loss.to_bits(), weight.to_bits(), correct.to_bits(), rows, not_finite]
    }

    /// Over several ranks, or batches, in their order.
    fn over(parts: impl Iterator<Item = Sums> + Clone) -> Sums {
        let total = |of: fn(Sums) -> f32| parts.clone().map(|part| f64::from(of(part))).sum::<f64>() as f32;
        Sums {
            loss: total(|part| part.loss),
            weight: total(|part| part.weight),
            correct: total(|part| part.correct),
            rows: parts.clone().map(|part| part.rows).sum(),
            not_finite: parts.map(|part| part.not_finite).filter(|step| *step > 0).min().unwrap_or(0),
        }
    }

    fn of_words(words: &[u32]) -> Sums {
        let float = |at: usize| f32::from_bits(words[at]);
        Sums { loss: float(0), weight: float(1), correct: float(2), rows: words[3], not_finite: words[4] }
    }

    fn mean_loss(self) -> f32 {
        if self.weight > 0.0 { self.loss / self.weight } else { self.loss }
    }

    fn accuracy(self) -> f32 {
        self.correct / self.rows.max(1) as f32
    }
}

impl Trainer {
    /// A trainer that takes its share of each batch, among ranks that take the others. All of them must be made from the
    /// same, and make the same calls. What comes out is what one process comes to, to rounding; with as many ranks, to the
    /// bit.
    pub fn among(backend: &dyn Backend, spec: TrainerSpec, exchange: Arc<dyn Exchange>) -> Result<Trainer, TrainError> {
        if exchange.size() == 1 {
            return Trainer::new(backend, spec);
        }
        if spec.augment.mixing().is_some() {
            return Err(RankError::Mixup.into());
        }
        let share = spec.share(exchange.rank(), exchange.size())?;
        takes_shares_at_once(&spec, &share, exchange.size())?;
        let mut draft = Draft::shared(spec, backend.limits(), &share)?;
        let meetings = std::mem::take(&mut draft.meetings);
        let mut trainer = Trainer::prepare(backend, draft)?;
        let epoch = vec![Sums::default(); trainer.spec.members.len()];
        let (copied, own, batches, begins) = (Vec::new(), Vec::new(), 0, false);
        let (scaled_for_parts, wants_to_stop, stops) = (false, false, false);
        trainer.ranks = Some(Ranks {
            exchange,
            share,
            meetings,
            copied,
            own,
            epoch,
            batches,
            begins,
            scaled_for_parts,
            wants_to_stop,
            stops,
        });
        Ok(trainer)
    }

    /// Parts of a batch that the plan takes for batches.
    pub(super) fn parts(&self) -> usize {
        self.ranks.as_ref().map_or(1, |ranks| ranks.share.parts)
    }

    /// Refuses to train with ranks that are about something else: other examples, another recipe, other weights.
    pub(super) fn agree(&mut self) -> Result<(), TrainError> {
        let Some(exchange) = self.exchange() else { return Ok(()) };
        let hash = self.data_seen().hash.clone();
        let Checkpoint { buffers, best, .. } = self.capture()?;
        let TrainerSpec { model, dataset, scaling, train, augment, members, .. } = &self.spec;
        let tensors = model.tensors().map(|tensor| (&tensor.name, &tensor.shape)).collect::<Vec<_>>();
        let recipe = format!("{train:?} {augment:?} {members:?} {tensors:?} {}", self.training.steps_per_epoch);
        let count = |set: Option<&crate::data::Examples>| set.map(|examples| examples.count());
        let counts = [Some(&dataset.train), dataset.validation.as_ref(), dataset.test.as_ref()].map(count);
        agree(&*exchange, "the settings", recipe.as_bytes())?;
        agree(&*exchange, "the examples or their scaling", format!("{counts:?} {hash:?} {scaling:?}").as_bytes())?;
        let words = buffers.iter().map(|(_, words)| words).chain(best.iter().flatten());
        let mut state: Vec<u8> = Vec::new();
        words.for_each(|words| state.extend_from_slice(blake3::hash(bytemuck::cast_slice(words)).as_bytes()));
        agree(&*exchange, "the weights or the moment that the training begins with", &state)?;
        if let Some(ranks) = &mut self.ranks {
            (ranks.wants_to_stop, ranks.stops) = (false, false);
        }
        Ok(())
    }

    /// Refuses to go on where the ranks' weights are no longer the same. All have made the same updates: devices that round
    /// otherwise, or err, would go on to train models of their own.
    pub(super) fn agree_on_weights(&mut self) -> Result<(), TrainError> {
        let Some(exchange) = self.exchange() else { return Ok(()) };
        for member in 0..self.spec.members.len() {
            let words = self.on.words(member)?;
            agree(&*exchange, "the weights after an epoch", bytemuck::cast_slice(&words))?;
        }
        Ok(())
    }

    fn exchange(&self) -> Option<Arc<dyn Exchange>> {
        self.ranks.as_ref().map(|ranks| Arc::clone(&ranks.exchange))
    }

    /// Rank 0's value, for what is decided by it.
    pub(super) fn as_first_rank(&self, value: f32) -> Result<f32, TrainError> {
        match &self.ranks {
            None => Ok(value),
            Some(ranks) => Ok(f32::from_bits(ranks.exchange.gather(&[value.to_bits()])?[0])),
        }
    }

    /// Whether to stop, where the observer's answer is `wants`. All ranks stop after the same step.
    pub(super) fn stops(&mut self, wants: bool) -> bool {
        let Some(ranks) = &mut self.ranks else { return wants };
        ranks.wants_to_stop |= wants;
        ranks.stops
    }

    /// Takes so many steps of an epoch that has taken `first`, the last one by a program that records norms or not.
    pub(super) fn take_shared_steps(&mut self, program: ProgramId, first: u32, count: u32) -> Result<(), TrainError> {
        let recorded = self.training.recorded_update.filter(|_| self.training.recorded_step == Some(program));
        let [_, update] = self.training.halves.ok_or(TrainError::NoHalves)?;
        for step in first..first + count {
            let gradients = self.take_shared_gradients(step)?;
            self.on.session.write(self.training.gradients, 0, &gradients)?;
            self.on.session.run(recorded.unwrap_or(update), 1)?;
            self.copy_sums(step, true)?;
        }
        Ok(())
    }

    /// The first half of a step: the words of the gradients of all models over the rows of all ranks.
    pub(super) fn take_shared_gradients(&mut self, step: u32) -> Result<Vec<u32>, TrainError> {
        let (Some(ranks), Some(accumulation)) = (&mut self.ranks, self.training.accumulation.clone()) else {
            return Err(TrainError::NoHalves);
        };
        ranks.begins = step == 0;
        let (share, meetings) = (ranks.share.clone(), ranks.meetings.clone());
        self.scale_for_parts()?;
        let [before, _] = self.training.halves.ok_or(TrainError::NoHalves)?;
        let gradients = self.on.plan.whole(self.training.gradients);
        // Who takes a step's first part begins its sum anew; the others add to what is there.
        if !share.is_first() {
            self.on.session.write(gradients.buffer, 0, &vec![0; gradients.len])?;
        }
        let (in_epoch, of_step) = (accumulation.batches_per_epoch, accumulation.batches);
        let begin = step as usize * of_step;
        let mut batches = (begin..(begin + of_step).min(in_epoch)).step_by(share.parts).peekable();
        while let Some(first) = batches.next() {
            let own = share.of_batch(first, in_epoch);
            self.begin_batch(own.start as u32)?;
            let count = own.len() as u32;
            if batches.peek().is_some() {
                self.on.run(accumulation.batch, count)?;
                self.go_on(&meetings.of_batch, first)?;
                self.copy_sums(step, false)?;
            } else {
                self.on.run(accumulation.batch, count - 1)?;
                self.on.run(before, 1)?;
                self.go_on(&meetings.of_step, first)?;
            }
        }
        self.exchange_gradients()
    }

    /// The rest of a pass over the batch that begins with part `first`, of which each rank has one part.
    fn go_on(&mut self, meetings: &[(Meeting, ProgramId)], first: usize) -> Result<(), TrainError> {
        for (meeting, program) in meetings {
            self.meet(meeting, first)?;
            // The batch is there: nothing reads other examples.
            self.on.session.run(*program, 1)?;
        }
        Ok(())
    }

    /// Tells the other ranks what this one computed of its rows, and writes what all go on with.
    fn meet(&mut self, meeting: &Meeting, first: usize) -> Result<(), TrainError> {
        let Some(ranks) = &self.ranks else { return Err(TrainError::NoHalves) };
        let session = &mut self.on.session;
        let mut aside = |places: Vec<Slice>| places.into_iter().map(|place| session.snapshot(place)).collect();
        let tickets: [Result<Vec<Ticket>, BackendError>; 2] = [aside(meeting.told()), aside(meeting.known())];
        let [told, known] = tickets;
        let mut fetched = |tickets: Vec<Ticket>| -> Result<Vec<u32>, BackendError> {
            let words = tickets.into_iter().map(|ticket| session.fetch(ticket)).collect::<Result<Vec<_>, _>>()?;
            Ok(words.concat())
        };
        let (told, known) = (fetched(told?)?, fetched(known?)?);
        let all: Vec<f32> = bytemuck::cast_vec(ranks.exchange.gather(&told)?);
        let all: Vec<&[f32]> = all.chunks(told.len()).collect();
        let rows = ranks.share.rows_of_parts(first, self.spec.dataset.train.count());
        for (place, values) in meeting.results(&all, bytemuck::cast_slice(&known), &rows) {
            session.write(place.buffer, place.offset, bytemuck::cast_slice(&values))?;
        }
        Ok(())
    }

    /// The loss of a part is a mean over fewer rows than that of its batch, and its gradients are larger by as much. Of mixed
    /// precision the loss scale is smaller by that, to a power of two, so that f16 holds what it would hold in one process.
    fn scale_for_parts(&mut self) -> Result<(), TrainError> {
        let Some(ranks) = &mut self.ranks else { return Ok(()) };
        if self.training.loss_scaling.is_none() || std::mem::replace(&mut ranks.scaled_for_parts, true) {
            return Ok(());
        }
        let factor = power_of_two(ranks.share.parts);
        for model in 0..self.spec.members.len() {
            let offset = model * state::COUNTERS + state::LOSS_SCALE;
            let place = Slice { buffer: self.training.counters, offset, len: 1 };
            let scale = f32::from_bits(self.on.session.read(place)?[0]) / factor;
            self.on.session.write(place.buffer, offset, &[scale.max(f32::MIN_POSITIVE).to_bits()])?;
        }
        Ok(())
    }

    /// Puts the device where this rank's part of a batch begins, with nothing counted.
    fn begin_batch(&mut self, part: u32) -> Result<(), TrainError> {
        let weight_sums = self.buffer(WEIGHTS);
        let (counters, scalars) = (self.training.counters, self.training.scalars);
        self.on.seek(part);
        for model in 0..self.spec.members.len() {
            const { assert!(state::SEEN == state::BATCH + 1) };
            let session = &mut self.on.session;
            session.write(counters, model * state::COUNTERS + state::BATCH, &[part, 0])?;
            session.write(scalars, model * state::SCALARS + state::LOSS_SUM, &[0])?;
            session.write(scalars, model * state::SCALARS + state::CORRECT_SUM, &[0])?;
            if let Some(buffer) = weight_sums {
                session.write(buffer, model * WEIGHT_SUMS, &[0; WEIGHT_SUMS])?;
            }
        }
        Ok(())
    }

    /// Adds up the gradients of all ranks, and what goes with them: whether any is not finite, where that decides whether the
    /// step is skipped, and whether anybody wants to stop.
    fn exchange_gradients(&mut self) -> Result<Vec<u32>, TrainError> {
        let not_finite = self.buffer("train.not_finite");
        let gradients = self.on.session.snapshot(self.on.plan.whole(self.training.gradients))?;
        let marks = not_finite.map(|buffer| self.on.session.snapshot(self.on.plan.whole(buffer))).transpose()?;
        let mut values: Vec<f32> = bytemuck::cast_vec(self.on.session.fetch(gradients)?);
        let count = values.len();
        if let Some(ticket) = marks {
            values.extend(bytemuck::cast_vec::<u32, f32>(self.on.session.fetch(ticket)?));
        }
        // The device is through with the steps before: their sums are there.
        self.fetch_sums()?;
        let Some(ranks) = &mut self.ranks else { return Err(TrainError::NoHalves) };
        values.push(f32::from(u8::from(ranks.wants_to_stop)));
        ranks.exchange.sum(&mut values)?;
        ranks.stops = values.pop().is_some_and(|wishes| wishes > 0.0);
        if let Some(buffer) = not_finite {
            self.on.session.write(buffer, 0, bytemuck::cast_slice(&values[count..]))?;
        }
        values.truncate(count);
        Ok(bytemuck::cast_vec(values))
    }

    /// Copies aside what this rank counted of a batch.
    pub(super) fn copy_sums(&mut self, step_in_epoch: u32, is_last: bool) -> Result<(), TrainError> {
        let weights = self.buffer(WEIGHTS);
        let [counters, scalars] = self.on.copy_state(self.training.counters, self.training.scalars)?;
        let weights = weights.map(|buffer| self.on.session.snapshot(self.on.plan.whole(buffer))).transpose()?;
        let step = self.progress.epoch.wrapping_mul(self.training.steps_per_epoch as u32).wrapping_add(step_in_epoch);
        if let Some(ranks) = &mut self.ranks {
            let begins = std::mem::take(&mut ranks.begins);
            ranks.copied.push(Copied { of: Counted { step, begins, is_last }, counters, scalars, weights });
        }
        Ok(())
    }

    fn fetch_sums(&mut self) -> Result<(), TrainError> {
        let Some(ranks) = &mut self.ranks else { return Ok(()) };
        for Copied { of, counters, scalars, weights } in std::mem::take(&mut ranks.copied) {
            let (counters, scalars) = self.on.fetch_state([counters, scalars])?;
            let weights = weights.map(|ticket| self.on.session.fetch(ticket)).transpose()?;
            let sums = (0..ranks.epoch.len()).map(|model| counted(model, &counters, &scalars, weights.as_deref()));
            ranks.own.push((of, sums.collect()));
        }
        Ok(())
    }

    /// Adds up over the ranks what they counted since the last time, and writes it to the device: its counters, sums and log
    /// are then those of one process.
    pub(super) fn settle(&mut self) -> Result<(), TrainError> {
        self.fetch_sums()?;
        let Some(ranks) = &mut self.ranks else { return Ok(()) };
        let own = std::mem::take(&mut ranks.own);
        if own.is_empty() {
            return Ok(());
        }
        let models = ranks.epoch.len();
        let words: Vec<u32> = own.iter().flat_map(|(_, sums)| sums).flat_map(|sums| sums.words()).collect();
        let all: Vec<Sums> = ranks.exchange.gather(&words)?.chunks(SUMS).map(Sums::of_words).collect();
        let of_rank = own.len() * models;
        let mut lines = Vec::new();
        let mut last = vec![Sums::default(); models];
        for (number, (of, _)) in own.iter().enumerate() {
            if of.begins {
                (ranks.epoch, ranks.batches) = (vec![Sums::default(); models], 0);
            }
            for (model, last) in last.iter_mut().enumerate() {
                let batch = Sums::over(all.iter().skip(number * models + model).step_by(of_rank).copied());
                ranks.epoch[model] = Sums::over([ranks.epoch[model], batch].into_iter());
                *last = batch;
                if of.is_last {
                    lines.push((model, of.step, [batch.mean_loss(), batch.accuracy()]));
                }
            }
            ranks.batches += 1;
        }
        let (epoch, batches) = (ranks.epoch.clone(), ranks.batches);
        self.write_log(&lines)?;
        self.write_sums(&epoch, &last, batches)
    }

    fn write_log(&mut self, lines: &[(usize, u32, [f32; 2])]) -> Result<(), TrainError> {
        if self.log_period().is_none() {
            return Ok(());
        }
        let capacity = self.training.log_steps;
        for (model, step, line) in lines {
            let place = (model * capacity + *step as usize % capacity) * 2;
            self.on.session.write(self.training.log, place, bytemuck::cast_slice(line))?;
        }
        Ok(())
    }

    fn write_sums(&mut self, epoch: &[Sums], last: &[Sums], batches: u32) -> Result<(), TrainError> {
        let tickets = self.on.copy_state(self.training.counters, self.training.scalars)?;
        let (mut counters, mut scalars) = self.on.fetch_state(tickets)?;
        let is_scaled = self.ranks.as_mut().is_some_and(|ranks| std::mem::take(&mut ranks.scaled_for_parts));
        let factor = if is_scaled { power_of_two(self.parts()) } else { 1.0 };
        for (model, (epoch, last)) in epoch.iter().zip(last).enumerate() {
            let counters = &mut counters[model * state::COUNTERS..];
            let scalars = &mut scalars[model * state::SCALARS..];
            (counters[state::BATCH], counters[state::SEEN]) = (batches, epoch.rows);
            counters[state::NOT_FINITE] = epoch.not_finite;
            counters[state::LOSS_SCALE] = (f32::from_bits(counters[state::LOSS_SCALE]) * factor).to_bits();
            scalars[state::LOSS_SUM] = epoch.loss;
            scalars[state::CORRECT_SUM] = epoch.correct;
            (scalars[state::STEP_LOSS], scalars[state::STEP_ACCURACY]) = (last.mean_loss(), last.accuracy());
            if let Some(buffer) = self.buffer(WEIGHTS) {
                // What counts is the mean by weights.
                scalars[state::LOSS_SUM] = epoch.mean_loss() * epoch.rows as f32;
                let place = model * WEIGHT_SUMS;
                self.on.session.write(buffer, place + BATCH_WEIGHT, &[last.weight.to_bits()])?;
                self.on.session.write(buffer, place + EPOCH_WEIGHT, &[epoch.weight.to_bits()])?;
                self.on.session.write(buffer, place + EPOCH_LOSS, &[epoch.loss.to_bits()])?;
            }
        }
        self.on.session.write(self.training.counters, 0, &counters)?;
        Ok(self.on.session.write(self.training.scalars, 0, bytemuck::cast_slice(&scalars))?)
    }

    /// Takes over the sums of a step state that was written to the device, which are those of all ranks.
    pub(super) fn follow_sums(&mut self) -> Result<(), TrainError> {
        if self.ranks.is_none() {
            return Ok(());
        }
        let tickets = self.on.copy_state(self.training.counters, self.training.scalars)?;
        let (counters, scalars) = self.on.fetch_state(tickets)?;
        let weights =
            self.buffer(WEIGHTS).map(|buffer| self.on.session.read(self.on.plan.whole(buffer))).transpose()?;
        if let Some(ranks) = &mut self.ranks {
            let sums = |model: usize| counted(model, &counters, &scalars, weights.as_deref());
            ranks.epoch = (0..ranks.epoch.len()).map(sums).collect();
            ranks.batches = counters[state::BATCH];
            (ranks.copied, ranks.own, ranks.scaled_for_parts) = (Vec::new(), Vec::new(), false);
        }
        Ok(())
    }

    /// The plan's buffer of this name, if it has it.
    fn buffer(&self, name: &str) -> Option<BufferId> {
        self.on.plan.buffers.iter().position(|buffer| buffer.name == name).map(BufferId)
    }
}

/// Refuses shares that are cut further where a layer needs all rows of a batch.
fn takes_shares_at_once(spec: &TrainerSpec, share: &Share, ranks: usize) -> Result<(), RankError> {
    match spec.model.layers.iter().find(|layer| layer.normalises_batches()) {
        Some(layer) if share.parts != ranks => {
            let (layer, batch) = (layer.name.clone(), spec.batches().size);
            Err(RankError::BatchNorm { layer, batch, ranks, better: batch.next_multiple_of(ranks) })
        }
        _ => Ok(()),
    }
}

/// The sums of weights, where examples have them.
const WEIGHTS: &str = "train.weight_sums";

/// The smallest power of two that is as large.
fn power_of_two(parts: usize) -> f32 {
    parts.next_power_of_two() as f32
}

/// What a device has counted for a model.
fn counted(model: usize, counters: &[u32], scalars: &[f32], weights: Option<&[u32]>) -> Sums {
    let counters = &counters[model * state::COUNTERS..];
    let scalars = &scalars[model * state::SCALARS..];
    let rows = counters[state::SEEN];
    let weighed = weights.map(|words| {
        let sum = |slot: usize| f32::from_bits(words[model * WEIGHT_SUMS + slot]);
        (sum(EPOCH_LOSS), sum(EPOCH_WEIGHT))
    });
    let (loss, weight) = weighed.unwrap_or((scalars[state::LOSS_SUM], rows as f32));
    Sums { loss, weight, correct: scalars[state::CORRECT_SUM], rows, not_finite: counters[state::NOT_FINITE] }
}

impl TrainerSpec {
    /// The share of each batch that a rank takes.
    pub fn share(&self, rank: usize, ranks: usize) -> Result<Share, RankError> {
        let (batch, examples) = (self.batches().size, self.examples_of(Set::Train));
        Share::of(batch, batch >= examples && !self.train.drop_last, rank, ranks)
    }
}
