//! What comes back from the device: metrics of epochs and steps, and what training makes of them.

use super::{
    EpochMetrics, Member, MetricsBySet, Norms, Observer, Score, Set, SetTruth, StepMetrics, TrainError, Trainer,
    evaluate, measured,
};
use crate::backend::Ticket;
use crate::kernel::step::state;
use crate::metrics::{Measure, Metrics, measure, measure_all};
use crate::recipe::{Record, ScheduleKind};
use std::collections::VecDeque;
use std::ops::Range;

/// An epoch's results on their way from the device.
pub(super) struct Pending {
    pub(super) epoch: u32,
    pub(super) step: u32,
    pub(super) rates: Vec<f32>,
    /// Those at which the epoch began.
    pub(super) began_at: Vec<f32>,
    pub(super) train: [Ticket; 2],
    pub(super) validation: Option<[Ticket; 2]>,
    pub(super) test: Option<[Ticket; 2]>,
    /// Of each member, what took the outputs.
    pub(super) metrics: Vec<MetricsBySet>,
    pub(super) weights: Option<Vec<Ticket>>,
    pub(super) seconds: f64,
}

/// Logged steps on their way from the device: the last `count` steps up to `last`.
pub(super) struct PendingSteps {
    pub(super) last: u32,
    pub(super) count: u32,
    pub(super) log: Ticket,
    pub(super) validation: Option<[Ticket; 2]>,
    pub(super) norms: Option<Ticket>,
    /// The scalars of training, where they say whether the last step was skipped.
    pub(super) scalars: Option<Ticket>,
}

impl Trainer {
    /// Every so many steps the log is read: at every logged step where more than loss and accuracy is recorded, else
    /// before the log wraps.
    pub(super) fn log_period(&self) -> Option<u32> {
        let every = self.spec.train.log_every;
        let detailed = self.training.recorded_step.is_some() || self.records(Record::Validation);
        let wraps = self.training.log_steps as u32;
        (every > 0).then_some(if detailed { every.min(wraps) } else { wraps })
    }

    /// Copies the log aside where its period or the epoch ends.
    pub(super) fn log_steps(&mut self, steps: &mut VecDeque<PendingSteps>) -> Result<(), TrainError> {
        let Some(period) = self.log_period() else { return Ok(()) };
        let ends = self.progress.step_in_epoch as usize == self.training.steps_per_epoch;
        if ends || self.progress.step.is_multiple_of(period) { self.copy_log(steps) } else { Ok(()) }
    }

    /// Whether a step is one of those that are logged.
    pub(super) fn logs(&self, step: u32) -> bool {
        self.spec.train.log_every > 0 && step.is_multiple_of(self.spec.train.log_every)
    }

    /// Copies the log of all steps since the last copy aside.
    pub(super) fn copy_log(&mut self, steps: &mut VecDeque<PendingSteps>) -> Result<(), TrainError> {
        let last = self.progress.step;
        let count = last - self.logged;
        if count == 0 {
            return Ok(());
        }
        self.settle()?;
        self.logged = last;
        let logged = self.logs(last);
        let recorded = self.training.recorded_step.is_some() && logged;
        let scaled = self.training.loss_scaling.is_some();
        let on = &mut self.on;
        let mut copy = |buffer| on.session.snapshot(on.plan.whole(buffer));
        let norms = recorded.then(|| copy(self.training.norms)).transpose()?;
        let scalars = (recorded && scaled).then(|| copy(self.training.scalars)).transpose()?;
        // A validate_every of 0 stands for every logged step.
        let validates = logged && last.is_multiple_of(self.spec.train.validate_every.max(1));
        let validation = match validates && self.records(Record::Validation) {
            true => self.evaluate_where_there(Set::Validation)?,
            false => None,
        };
        let log = self.on.session.snapshot(self.on.plan.whole(self.training.log))?;
        steps.push_back(PendingSteps { last, count, log, validation, norms, scalars });
        Ok(())
    }

    /// Whether train.checkpoint_steps asks for a checkpoint here.
    pub(super) fn saves_after_step(&self) -> bool {
        let every = self.spec.train.checkpoint_steps;
        every > 0 && self.progress.step.is_multiple_of(every)
    }

    /// Hands a checkpoint over, after everything that was measured before it: a run that goes on from there measures
    /// none of that again.
    pub(super) fn save(
        &mut self,
        observer: &mut dyn Observer,
        epochs: &mut VecDeque<Pending>,
        steps: &mut VecDeque<PendingSteps>,
    ) -> Result<(), TrainError> {
        if self.log_period().is_some() {
            self.copy_log(steps)?;
        }
        self.report_steps(steps, observer)?;
        self.report_epochs(epochs, 0, observer)?;
        observer.checkpoint(self.checkpoint()?);
        Ok(())
    }

    /// Takes the models over a set that is held out, if there is one, and copies the results aside.
    pub(super) fn evaluate_where_there(&mut self, set: Set) -> Result<Option<[Ticket; 2]>, TrainError> {
        let there = self.on.io.evaluation(set.name()).is_some();
        there.then(|| self.on.evaluate(set.name())).transpose()
    }

    /// Takes the models over a set that is held out, if there is one, copies the results aside, and adds what is wanted of
    /// each epoch beyond them to the metrics of each member.
    pub(super) fn measure_epoch(
        &mut self,
        set: Set,
        metrics: &mut [MetricsBySet],
    ) -> Result<Option<[Ticket; 2]>, TrainError> {
        let everything = self.records(Record::Metrics);
        let watched = self.watched().into_iter().flatten().filter(|metric| metric.set == set);
        let wanted = watched.map(|metric| metric.measure).filter(|measure| !measure.is_counted_on_device());
        let wanted: Vec<Measure> = wanted.collect();
        let there = set.of(&self.spec.dataset).is_some();
        if !there || wanted.is_empty() && !everything {
            return self.evaluate_where_there(set);
        }
        let (tickets, outputs) = self.outputs(set, 0..metrics.len())?;
        for (member, (outputs, metrics)) in outputs.iter().zip(metrics).enumerate() {
            let wanted = if everything { None } else { Some(&wanted[..]) };
            metrics.extend(self.measured(set, member, outputs, wanted));
        }
        Ok(Some(tickets))
    }

    /// Scores of a set that is held out, if there is one; all its metrics are added to those of each member.
    pub(super) fn measure_all(
        &mut self,
        set: Set,
        metrics: &mut [MetricsBySet],
    ) -> Result<Option<Vec<Score>>, TrainError> {
        /// Outputs that are held at once.
        const MOST_BYTES: usize = 1 << 30;
        if set.of(&self.spec.dataset).is_none() {
            return Ok(None);
        }
        let bytes = self.spec.examples_of(set) * self.spec.model.outputs() * size_of::<f32>();
        let at_once = (MOST_BYTES / bytes.max(1)).clamp(1, metrics.len());
        let mut scores = Vec::new();
        for first in (0..metrics.len()).step_by(at_once) {
            let members = first..metrics.len().min(first + at_once);
            let (tickets, outputs) = self.outputs(set, members.clone())?;
            scores = self.fetch_scores(tickets)?;
            for (member, outputs) in members.zip(&outputs) {
                metrics[member].extend(self.measured(set, member, outputs, None));
            }
        }
        Ok(Some(scores))
    }

    /// Takes the models over a set and copies the results aside; the outputs of some of them, as they are reported.
    fn outputs(&mut self, set: Set, members: Range<usize>) -> Result<([Ticket; 2], Vec<Vec<f32>>), TrainError> {
        let width = self.spec.model.outputs();
        let wanted = width * self.spec.examples_of(set);
        let models = self.spec.members.len();
        let mut outputs = vec![Vec::with_capacity(wanted); members.len()];
        let tickets = self.on.evaluate_each(set.name(), |batch| {
            let by_model = batch.chunks_exact(batch.len() / models).skip(members.start);
            for (outputs, batch) in outputs.iter_mut().zip(by_model) {
                let left = wanted - outputs.len();
                outputs.extend_from_slice(&batch[..left.min(batch.len())]);
            }
        })?;
        let activation = self.spec.model.output_activation;
        let columns = measured::scaling_columns(self.task, &self.spec.trained_on);
        for outputs in &mut outputs {
            outputs.chunks_mut(width).for_each(|row| evaluate::apply(activation, row));
            if let Some(columns) = columns {
                columns.unscale(outputs, width);
            }
        }
        Ok((tickets, outputs))
    }

    /// What a member's outputs for a set give: the wanted measures, or everything.
    fn measured(
        &self,
        set: Set,
        member: usize,
        outputs: &[f32],
        wanted: Option<&[Measure]>,
    ) -> Option<(String, Metrics)> {
        let width = self.spec.model.outputs();
        let trained_on = &self.spec.trained_on;
        let targets = self.spec.targets_of(set, member)?;
        let truth = SetTruth::new(self.task, &targets, trained_on);
        let metrics = match wanted {
            Some(wanted) => {
                Metrics { values: measure(outputs, width, truth.truth(None), wanted), ..Metrics::default() }
            }
            None => measure_all(outputs, width, truth.truth(None), &trained_on.targets(width)),
        };
        Some((set.name().into(), metrics))
    }

    pub(super) fn fetch_scores(&mut self, tickets: [Ticket; 2]) -> Result<Vec<Score>, TrainError> {
        let (counters, scalars) = self.on.fetch_state(tickets)?;
        let pairs = counters.chunks(state::COUNTERS).zip(scalars.chunks(state::SCALARS));
        Ok(pairs.map(|(c, s)| Score::of(c, s, self.counts_answers)).collect())
    }

    /// Reports all but the last `lag` epochs.
    pub(super) fn report_epochs(
        &mut self,
        epochs: &mut VecDeque<Pending>,
        lag: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        while epochs.len() > lag {
            let Some(pending) = epochs.pop_front() else { break };
            let metrics = self.fetch_epoch(pending, observer)?;
            self.react(&metrics)?;
        }
        Ok(())
    }

    pub(super) fn fetch_epoch(
        &mut self,
        pending: Pending,
        observer: &mut dyn Observer,
    ) -> Result<Vec<EpochMetrics>, TrainError> {
        let (counters, scalars) = self.on.fetch_state(pending.train)?;
        let validation = pending.validation.map(|t| self.fetch_scores(t)).transpose()?;
        let test = pending.test.map(|t| self.fetch_scores(t)).transpose()?;
        let mut epochs = Vec::new();
        for member in 0..self.spec.members.len() {
            let counters = &counters[member * state::COUNTERS..];
            let train = Score::of(counters, &scalars[member * state::SCALARS..], self.counts_answers);
            let validation = validation.as_ref().map(|s| s[member]);
            let test = test.as_ref().map(|s| s[member]);
            let before = pending.began_at.get(member).copied();
            let metrics = EpochMetrics {
                epoch: pending.epoch,
                step: pending.step,
                train_loss: train.loss,
                train_accuracy: train.accuracy,
                validation_loss: validation.map(|s| s.loss),
                validation_accuracy: validation.and_then(|s| s.accuracy),
                test_loss: test.map(|s| s.loss),
                test_accuracy: test.and_then(|s| s.accuracy),
                metrics: pending.metrics[member].clone(),
                learning_rate: pending.rates[member] * self.rate_factor(member, pending.step),
                learning_rate_before: before.filter(|rate| *rate != pending.rates[member]),
                seconds: pending.seconds,
            };
            observer.epoch(member, &metrics);
            // One member of a population may diverge while the others go on; a lone model ends the run. Losses may be
            // finite and their sum over the epoch not.
            let bad = match counters[state::NOT_FINITE] {
                0 if train.loss.is_finite() => None,
                0 => Some(pending.step),
                step => Some(step),
            };
            if let Some(step) = bad.filter(|_| self.spec.members.len() == 1) {
                return Err(TrainError::NotFinite { step, epoch: pending.epoch });
            }
            epochs.push(metrics);
        }
        if let Some(tickets) = pending.weights {
            for (member, tensors) in self.on.fetch_tensors(tickets)?.into_iter().enumerate() {
                observer.weights(member, pending.epoch, tensors);
            }
        }
        Ok(epochs)
    }

    /// What a schedule by step made of a member's learning rate in a step, counted from 1.
    fn rate_factor(&self, member: usize, step: u32) -> f32 {
        let Member { schedule, optimizer, .. } = &self.spec.members[member];
        let (in_epoch, epochs) = (self.training.steps_per_epoch, self.spec.train.epochs);
        schedule.factor(optimizer.learning_rate, u64::from(step.saturating_sub(1)), in_epoch, epochs)
    }

    /// Whether every member has stopped early.
    pub(super) fn has_stopped(&self) -> bool {
        let rule = self.spec.train.early_stop;
        rule.is_some_and(|rule| self.progress.early_stop.iter().all(|tracker| tracker.has_waited(&rule)))
    }

    /// Early stopping and the plateau schedule.
    pub(super) fn react(&mut self, metrics: &[EpochMetrics]) -> Result<(), TrainError> {
        for (member, epoch) in metrics.iter().enumerate() {
            if let Some(rule) = self.spec.train.early_stop {
                let value = self.as_first_rank(epoch.get(rule.metric).unwrap_or(f32::NAN))?;
                let tracker = &mut self.progress.early_stop[member];
                if tracker.follow(&rule, value, epoch.epoch, epoch.learning_rate) {
                    self.best[member] = Some(self.on.words(member)?);
                } else if !rule.restore_best && tracker.stopped.is_none() {
                    // A run that goes on with more patience has gone beyond its end.
                    self.best[member] = None;
                }
            }
            let schedule = &self.spec.members[member].schedule.kind;
            if let ScheduleKind::Plateau { metric, factor, patience, threshold, cooldown, .. } = *schedule {
                let value = self.as_first_rank(epoch.get(metric).unwrap_or(f32::NAN))?;
                let (tracker, scale) = &mut self.progress.plateau[member];
                if tracker.is_at_plateau(metric, value, epoch.epoch, threshold, patience) {
                    *scale *= factor;
                    tracker.cooldown = cooldown;
                }
            }
        }
        Ok(())
    }

    pub(super) fn report_steps(
        &mut self,
        steps: &mut VecDeque<PendingSteps>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        while let Some(pending) = steps.pop_front() {
            let log: Vec<f32> = bytemuck::cast_vec(self.on.session.fetch(pending.log)?);
            let validation = pending.validation.map(|t| self.fetch_scores(t)).transpose()?;
            let mut fetch = |ticket: Option<Ticket>| ticket.map(|ticket| self.on.session.fetch(ticket)).transpose();
            let (norms, scalars) = (fetch(pending.norms)?, fetch(pending.scalars)?);
            let (every, capacity) = (self.spec.train.log_every, self.training.log_steps);
            let numbers = pending.last - pending.count + 1..=pending.last;
            for step in numbers.filter(|step| step.is_multiple_of(every)) {
                for member in 0..self.spec.members.len() {
                    let entry = (member * capacity + (step - 1) as usize % capacity) * 2;
                    let accuracy = self.counts_answers.then_some(log[entry + 1]);
                    let mut metrics = StepMetrics { step, loss: log[entry], accuracy, ..Default::default() };
                    if step == pending.last {
                        let score = validation.as_ref().map(|s| s[member]);
                        metrics.validation_loss = score.map(|s| s.loss);
                        metrics.validation_accuracy = score.and_then(|s| s.accuracy);
                        self.add_norms(&mut metrics, member, norms.as_deref());
                        let skipped = |words: &Vec<u32>| words[member * state::SCALARS + state::SKIPPED] != 0;
                        metrics.skipped = scalars.as_ref().map(skipped);
                    }
                    observer.step(member, &metrics);
                }
            }
        }
        Ok(())
    }

    pub(super) fn add_norms(&self, metrics: &mut StepMetrics, member: usize, norms: Option<&[u32]>) {
        let parameters = &self.spec.model.parameters;
        let Some(words) = norms.and_then(|n| n.chunks(2 * parameters.len()).nth(member)) else { return };
        let norm = |which: usize| -> Norms {
            let norms = words.chunks(2).map(|pair| f32::from_bits(pair[which]).sqrt());
            let finite = norms.map(|norm| Some(norm).filter(|norm| norm.is_finite()));
            parameters.iter().map(|p| p.name.clone()).zip(finite).collect()
        };
        metrics.gradient_norms = self.records(Record::GradientNorms).then(|| norm(0));
        metrics.weight_norms = self.records(Record::WeightNorms).then(|| norm(1));
    }
}
