//! The loop.

use super::checkpoint::{Checkpoint, CheckpointError, Progress};
use super::{EpochMetrics, Member, Observer, Score, StepMetrics, Tracker, TrainError, TrainerSpec, spec, upload};
use crate::backend::{Backend, HostCounters, Session, Ticket};
use crate::graph::{Evaluation, PlanBuilder, Training, TrainingPlan, hyper_words};
use crate::kernel::state;
use crate::model::ParameterKind;
use crate::plan::{BufferId, Plan, Program, Slice};
use crate::recipe::{Metric, Record, ScheduleKind};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Trains one model, or several of one shape side by side, on a backend.
///
/// Between two epochs the host writes the learning rates if they changed; between two steps it writes nothing. Metrics
/// are copied aside in the order of the launches and fetched an epoch later, unless something (early stopping, a
/// plateau) needs them at once.
pub struct Trainer<'a> {
    spec: TrainerSpec<'a>,
    plan: Arc<Plan>,
    names: TrainingPlan,
    training: Training,
    validation: Option<Evaluation>,
    test: Option<Evaluation>,
    session: Box<dyn Session>,
    progress: Progress,
    best: Vec<Option<Vec<u32>>>,
    rates: Vec<f32>,
    begun: Instant,
    before: f64,
    /// Steps a launch may take: grows until a launch takes long enough to be worth the call.
    steps_per_launch: u32,
    first_step_at: Option<Instant>,
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All epochs are done.
    Finished,
    /// Early stopping ended it.
    Early,
    /// The observer asked for it: the last checkpoint goes on from there.
    Interrupted,
}

/// What came out for one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Final weights, one vector per parameter of the model: the best ones where early stopping was on.
    pub parameters: Vec<Vec<f32>>,
    /// On the validation set, with the final weights.
    pub validation: Option<Score>,
    /// On the test set, with the final weights.
    pub test: Option<Score>,
    /// Epoch of the final weights, from 1.
    pub epoch: u32,
}

/// An epoch's results on their way from the device.
struct Pending {
    epoch: u32,
    step: u32,
    rates: Vec<f32>,
    train: [Ticket; 2],
    validation: Option<[Ticket; 2]>,
    test: Option<[Ticket; 2]>,
    weights: Option<Ticket>,
    seconds: f64,
}

/// Logged steps on their way from the device: the last `count` steps up to `last`.
struct PendingSteps {
    last: u32,
    count: u32,
    log: Ticket,
    validation: Option<[Ticket; 2]>,
    norms: Option<Ticket>,
}

impl<'a> Trainer<'a> {
    /// Plans, allocates and uploads. The weights are zero until [`Trainer::set_parameters`].
    pub fn new(backend: &dyn Backend, spec: TrainerSpec<'a>) -> Result<Self, TrainError> {
        check(&spec)?;
        let models = spec.members.len();
        let data = spec.dataset;
        let optimizer = &spec.members[0].optimizer;
        let mut builder =
            PlanBuilder::new(spec.model, models, spec.scaling.subtract.len(), spec.scaling.add, backend.limits());
        let source = builder.source("train", spec::layout(&data.train))?;
        let training = builder.training(&source, spec.batch(), spec.train, optimizer);
        let held_out = [("validation", &data.validation), ("test", &data.test)];
        let largest = held_out.iter().filter_map(|(_, set)| Some(set.as_ref()?.features.count)).max().unwrap_or(0);
        let batch = spec::evaluation_batch(spec.model, largest);
        let mut sources = vec![(source, &data.train)];
        let mut evaluations = [None, None];
        for ((name, set), evaluation) in held_out.into_iter().zip(&mut evaluations) {
            let Some(examples) = set else { continue };
            let source = builder.source(name, spec::layout(examples))?;
            *evaluation = Some(builder.evaluation(name, &source, batch, optimizer.l2));
            sources.push((source, examples));
        }
        let names = builder.finish_plan()?;
        let plan = Arc::new(names.plan.clone());
        let mut session = backend.prepare(Arc::clone(&plan))?;
        let mut write = |buffer: BufferId, words: &[u32]| session.write(buffer, 0, words);
        for (source, examples) in sources {
            upload::examples(&mut write, &source, examples)?;
        }
        upload::constants(&mut write, &names, spec.model, spec.scaling)?;
        let [validation, test] = evaluations;
        let mut trainer = Trainer {
            spec,
            plan,
            names,
            training,
            validation,
            test,
            session,
            progress: Progress {
                early_stop: vec![Tracker::default(); models],
                plateau: vec![(Tracker::default(), 1.0); models],
                ..Progress::default()
            },
            best: vec![None; models],
            rates: Vec::new(),
            begun: Instant::now(),
            before: 0.0,
            steps_per_launch: 1,
            first_step_at: None,
        };
        trainer.reset_state()?;
        Ok(trainer)
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the host did so far.
    pub fn host_counters(&self) -> HostCounters {
        self.session.counters()
    }

    /// When the first step was handed to the device.
    pub fn first_step_at(&self) -> Option<Instant> {
        self.first_step_at
    }

    /// Steps that the whole run takes.
    pub fn total_steps(&self) -> u64 {
        u64::from(self.spec.train.epochs) * self.training.steps_per_epoch as u64
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.training.steps_per_epoch
    }

    /// Steps taken so far.
    pub fn step(&self) -> u32 {
        self.progress.step
    }

    /// Sets the weights of one model: a vector per parameter, in the model's order.
    pub fn set_parameters(&mut self, member: usize, parameters: &[Vec<f32>]) -> Result<(), TrainError> {
        let words = self.names.layout.pack(parameters);
        Ok(self.session.write(self.names.parameters, member * self.names.layout.stride, &words)?)
    }

    /// The weights of one model.
    pub fn parameters(&mut self, member: usize) -> Result<Vec<Vec<f32>>, TrainError> {
        self.read_flat(self.names.parameters, member)
    }

    /// What one step runs.
    pub fn step_program(&self) -> &Program {
        &self.plan.programs[self.training.step.0]
    }

    /// Takes so many steps, epoch after epoch, without metrics, and waits for them: for benchmarks.
    pub fn time_steps(&mut self, steps: u32) -> Result<Duration, TrainError> {
        self.write_hyper()?;
        self.session.wait()?;
        let start = Instant::now();
        let mut left = steps;
        while left > 0 {
            let count = left.min(self.training.steps_per_epoch as u32);
            self.session.run(self.training.begin_epoch, 1)?;
            self.session.run(self.training.step, count)?;
            left -= count;
        }
        self.session.wait()?;
        Ok(start.elapsed())
    }

    /// Loss and gradients of the coming batch at the weights as they are, without a step. The run's state is put back.
    pub fn gradient(&mut self) -> Result<(f32, Vec<Vec<f32>>), TrainError> {
        let state = self.capture()?;
        if self.progress.step_in_epoch == 0 {
            self.write_hyper()?;
            self.session.run(self.training.begin_epoch, 1)?;
        }
        self.session.run(self.training.gradient, 1)?;
        let scalars = self.session.read(self.plan.whole(self.training.scalars))?;
        let mut gradients = self.read_flat(self.training.gradients, 0)?;
        let l2 = self.spec.members[0].optimizer.l2;
        for (index, weights) in self.parameters(0)?.iter().enumerate() {
            if self.spec.model.parameters[index].kind == ParameterKind::Weight {
                gradients[index].iter_mut().zip(weights).for_each(|(g, w)| *g += 2.0 * l2 * w);
            }
        }
        self.restore(&state)?;
        Ok((f32::from_bits(scalars[state::STEP_LOSS]), gradients))
    }

    /// Trains to the end, or until the observer interrupts.
    pub fn train(&mut self, observer: &mut dyn Observer) -> Result<Stop, TrainError> {
        self.begun = Instant::now();
        self.before = self.progress.seconds;
        let mut epochs = VecDeque::new();
        let mut steps = VecDeque::new();
        let stop = loop {
            if self.progress.epoch >= self.spec.train.epochs {
                break Stop::Finished;
            }
            let whole = self.epoch(observer, &mut steps)?;
            if !whole {
                break Stop::Interrupted;
            }
            epochs.push_back(self.end_epoch()?);
            self.report_steps(&mut steps, observer)?;
            let lag = usize::from(!self.needs_metrics_at_once());
            if self.report_epochs(&mut epochs, lag, observer)? {
                break Stop::Early;
            }
            let every = self.spec.train.checkpoint_every;
            if every > 0 && self.progress.epoch.is_multiple_of(every) && self.progress.epoch < self.spec.train.epochs {
                observer.checkpoint(self.capture()?);
            }
        };
        self.report_steps(&mut steps, observer)?;
        self.report_epochs(&mut epochs, 0, observer)?;
        if stop == Stop::Interrupted {
            observer.checkpoint(self.capture()?);
        }
        Ok(stop)
    }

    /// Final weights and scores of every model: the best weights where early stopping was on. The device keeps them.
    pub fn finish(&mut self) -> Result<Vec<Outcome>, TrainError> {
        let stride = self.names.layout.stride;
        for (member, best) in self.best.iter().enumerate() {
            if let Some(words) = best {
                self.session.write(self.names.parameters, member * stride, words)?;
            }
        }
        let validation = self.score(self.validation.clone())?;
        let test = self.score(self.test.clone())?;
        (0..self.spec.members.len())
            .map(|member| {
                let kept = self.best[member].is_some();
                let epoch = if kept { self.progress.early_stop[member].best_epoch } else { self.progress.epoch };
                let of = |scores: &Option<Vec<Score>>| scores.as_ref().map(|s| s[member]);
                let (validation, test) = (of(&validation), of(&test));
                Ok(Outcome { parameters: self.parameters(member)?, validation, test, epoch })
            })
            .collect()
    }

    /// Everything needed to go on from here.
    pub fn capture(&mut self) -> Result<Checkpoint, TrainError> {
        self.progress.seconds = self.seconds();
        let ids: Vec<BufferId> = self.training.state.iter().copied().chain([self.names.parameters]).collect();
        let mut buffers = Vec::new();
        for id in ids {
            buffers.push((self.plan.buffers[id.0].name.clone(), self.session.read(self.plan.whole(id))?));
        }
        buffers.sort();
        Ok(Checkpoint { progress: self.progress.clone(), buffers, best: self.best.clone() })
    }

    /// Goes back to a captured moment.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        let ids: Vec<BufferId> = self.training.state.iter().copied().chain([self.names.parameters]).collect();
        let mismatch = |text: String| TrainError::Checkpoint(CheckpointError::Mismatch(text));
        if checkpoint.best.len() != self.best.len() || checkpoint.buffers.len() != ids.len() {
            let (have, want) = (checkpoint.buffers.len(), ids.len());
            return Err(mismatch(format!("it holds {have} buffers where this run has {want}")));
        }
        for id in ids {
            let buffer = &self.plan.buffers[id.0];
            let found = checkpoint.buffers.iter().find(|(name, _)| *name == buffer.name);
            let (_, words) = found.ok_or_else(|| mismatch(format!("it has no {}", buffer.name)))?;
            if words.len() != buffer.len {
                return Err(mismatch(format!("its {} has {} words, not {}", buffer.name, words.len(), buffer.len)));
            }
            self.session.write(id, 0, words)?;
        }
        self.progress = checkpoint.progress.clone();
        self.before = self.progress.seconds;
        self.best = checkpoint.best.clone();
        self.rates.clear();
        self.begun = Instant::now();
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }

    fn reset_state(&mut self) -> Result<(), TrainError> {
        let (mut counters, mut scalars) = (Vec::new(), Vec::new());
        for member in self.spec.members {
            let (c, s) = member.initial_state();
            counters.extend(c);
            scalars.extend(s.map(f32::to_bits));
        }
        self.session.write(self.training.counters, 0, &counters)?;
        Ok(self.session.write(self.training.scalars, 0, &scalars)?)
    }

    fn read_flat(&mut self, buffer: BufferId, member: usize) -> Result<Vec<Vec<f32>>, TrainError> {
        let stride = self.names.layout.stride;
        let words = self.session.read(Slice { buffer, offset: member * stride, len: stride })?;
        Ok(self.names.layout.unpack(&words))
    }

    /// Writes the members' numbers for the coming epoch, if their learning rates changed.
    fn write_hyper(&mut self) -> Result<(), TrainError> {
        let (epoch, epochs) = (self.progress.epoch, self.spec.train.epochs);
        let rate = |(member, plateau): (&Member, &(Tracker, f32))| {
            member.schedule.learning_rate(member.optimizer.learning_rate, epoch, epochs) * plateau.1
        };
        let rates: Vec<f32> = self.spec.members.iter().zip(&self.progress.plateau).map(rate).collect();
        if rates == self.rates {
            return Ok(());
        }
        let numbers = self.spec.members.iter().zip(&rates);
        let hyper: Vec<f32> =
            numbers.flat_map(|(m, rate)| hyper_words(&m.optimizer, *rate, m.schedule.warmup_steps)).collect();
        self.rates = rates;
        Ok(self.session.write(self.names.hyper, 0, bytemuck::cast_slice(&hyper))?)
    }

    /// Hands the rest of the current epoch to the device; false if the observer interrupted.
    fn epoch(&mut self, observer: &mut dyn Observer, steps: &mut VecDeque<PendingSteps>) -> Result<bool, TrainError> {
        self.write_hyper()?;
        if self.progress.step_in_epoch == 0 {
            self.session.run(self.training.begin_epoch, 1)?;
        }
        let in_epoch = self.training.steps_per_epoch as u32;
        while self.progress.step_in_epoch < in_epoch {
            if observer.interrupted() {
                return Ok(false);
            }
            let count = self.next_launch(in_epoch - self.progress.step_in_epoch);
            self.launch(count)?;
            self.log_steps(steps)?;
            observer.progress(u64::from(self.progress.step), self.total_steps());
        }
        Ok(true)
    }

    /// Steps of the next launch: bounded by time, by the end of the epoch, and by where the log must be read.
    fn next_launch(&self, left: u32) -> u32 {
        let mut count = self.steps_per_launch.min(left);
        if let Some(period) = self.log_period() {
            count = count.min(period - self.progress.step % period);
        }
        count
    }

    /// Every so many steps the log is read: at every logged step where more than loss and accuracy is recorded, else
    /// before the log wraps.
    fn log_period(&self) -> Option<u32> {
        let every = self.spec.train.log_every;
        let detailed = self.training.record.is_some() || self.records(Record::Validation);
        let wraps = self.training.log_steps as u32;
        (every > 0).then_some(if detailed { every.min(wraps) } else { wraps })
    }

    fn records(&self, what: Record) -> bool {
        self.spec.train.record.contains(&what)
    }

    fn launch(&mut self, count: u32) -> Result<(), TrainError> {
        const WORTH_A_CALL: Duration = Duration::from_millis(20);
        let start = Instant::now();
        self.session.run(self.training.step, count)?;
        self.first_step_at.get_or_insert_with(Instant::now);
        self.progress.step += count;
        self.progress.step_in_epoch += count;
        let took = start.elapsed();
        if took < WORTH_A_CALL && count == self.steps_per_launch {
            self.steps_per_launch = self.steps_per_launch.saturating_mul(2).min(1 << 16);
        } else if took > 4 * WORTH_A_CALL {
            self.steps_per_launch = (self.steps_per_launch / 2).max(1);
        }
        Ok(())
    }

    /// Copies the log aside where its period or the epoch ends.
    fn log_steps(&mut self, steps: &mut VecDeque<PendingSteps>) -> Result<(), TrainError> {
        let Some(period) = self.log_period() else { return Ok(()) };
        let last = self.progress.step;
        let in_epoch = self.progress.step_in_epoch;
        let since_period = if last.is_multiple_of(period) { period } else { last % period };
        let ends = in_epoch as usize == self.training.steps_per_epoch;
        if !last.is_multiple_of(period) && !ends {
            return Ok(());
        }
        let count = since_period.min(in_epoch);
        let logged = last.is_multiple_of(self.spec.train.log_every);
        let mut norms = None;
        if let Some(record) = self.training.record.filter(|_| logged) {
            self.session.run(record, 1)?;
            norms = Some(self.session.snapshot(self.plan.whole(self.training.norms))?);
        }
        let validation = match self.validation.clone().filter(|_| logged && self.records(Record::Validation)) {
            Some(evaluation) => Some(self.evaluate(&evaluation)?),
            None => None,
        };
        let log = self.session.snapshot(self.plan.whole(self.training.log))?;
        steps.push_back(PendingSteps { last, count, log, validation, norms });
        Ok(())
    }

    /// Evaluates what is measured after an epoch and copies all results aside.
    fn end_epoch(&mut self) -> Result<Pending, TrainError> {
        self.progress.epoch += 1;
        self.progress.step_in_epoch = 0;
        let train = self.snapshots([self.training.counters, self.training.scalars])?;
        let validation = match self.validation.clone() {
            Some(evaluation) => Some(self.evaluate(&evaluation)?),
            None => None,
        };
        let test = match self.test.clone().filter(|_| self.measures_test()) {
            Some(evaluation) => Some(self.evaluate(&evaluation)?),
            None => None,
        };
        let weights = match self.records(Record::Weights) {
            true => Some(self.session.snapshot(self.plan.whole(self.names.parameters))?),
            false => None,
        };
        let (epoch, step, rates) = (self.progress.epoch, self.progress.step, self.rates.clone());
        Ok(Pending { epoch, step, rates, train, validation, test, weights, seconds: self.seconds() })
    }

    fn measures_test(&self) -> bool {
        let watched = |metric| matches!(metric, Metric::TestLoss | Metric::TestAccuracy);
        self.records(Record::Test) || self.watched().into_iter().flatten().any(watched)
    }

    /// Metrics that early stopping and the plateau schedule watch.
    fn watched(&self) -> [Option<Metric>; 2] {
        let plateau = match &self.spec.members[0].schedule.kind {
            ScheduleKind::Plateau { metric, .. } => Some(*metric),
            _ => None,
        };
        [self.spec.train.early_stop.map(|e| e.metric), plateau]
    }

    fn needs_metrics_at_once(&self) -> bool {
        self.watched().iter().any(Option::is_some)
    }

    fn snapshots(&mut self, buffers: [BufferId; 2]) -> Result<[Ticket; 2], TrainError> {
        let [a, b] = buffers.map(|id| self.plan.whole(id));
        Ok([self.session.snapshot(a)?, self.session.snapshot(b)?])
    }

    fn evaluate(&mut self, evaluation: &Evaluation) -> Result<[Ticket; 2], TrainError> {
        self.session.run(evaluation.begin, 1)?;
        self.session.run(evaluation.step, evaluation.steps as u32)?;
        self.snapshots([evaluation.counters, evaluation.scalars])
    }

    fn score(&mut self, evaluation: Option<Evaluation>) -> Result<Option<Vec<Score>>, TrainError> {
        let Some(evaluation) = evaluation else { return Ok(None) };
        self.write_hyper()?;
        let tickets = self.evaluate(&evaluation)?;
        self.fetch_scores(tickets).map(Some)
    }

    fn fetch_scores(&mut self, tickets: [Ticket; 2]) -> Result<Vec<Score>, TrainError> {
        let (counters, scalars) = self.fetch_state(tickets)?;
        let pairs = counters.chunks(state::COUNTERS).zip(scalars.chunks(state::SCALARS));
        Ok(pairs.map(|(c, s)| Score::of(c, s)).collect())
    }

    fn fetch_state(&mut self, [counters, scalars]: [Ticket; 2]) -> Result<(Vec<u32>, Vec<f32>), TrainError> {
        let counters = self.session.fetch(counters)?;
        let scalars = self.session.fetch(scalars)?;
        Ok((counters, bytemuck::cast_vec(scalars)))
    }

    /// Reports all but the last `lag` epochs. True when every member has stopped early.
    fn report_epochs(
        &mut self,
        epochs: &mut VecDeque<Pending>,
        lag: usize,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let mut stopped = false;
        while epochs.len() > lag {
            let Some(pending) = epochs.pop_front() else { break };
            let metrics = self.fetch_epoch(&pending, observer)?;
            stopped = self.react(&metrics)?;
        }
        Ok(stopped)
    }

    fn fetch_epoch(&mut self, pending: &Pending, observer: &mut dyn Observer) -> Result<Vec<EpochMetrics>, TrainError> {
        let (counters, scalars) = self.fetch_state(pending.train)?;
        let validation = pending.validation.map(|t| self.fetch_scores(t)).transpose()?;
        let test = pending.test.map(|t| self.fetch_scores(t)).transpose()?;
        let mut epochs = Vec::new();
        for member in 0..self.spec.members.len() {
            let counters = &counters[member * state::COUNTERS..];
            let train = Score::of(counters, &scalars[member * state::SCALARS..]);
            let validation = validation.as_ref().map(|s| s[member]);
            let test = test.as_ref().map(|s| s[member]);
            let metrics = EpochMetrics {
                epoch: pending.epoch,
                step: pending.step,
                train_loss: train.loss,
                train_accuracy: train.accuracy,
                validation_loss: validation.map(|s| s.loss),
                validation_accuracy: validation.map(|s| s.accuracy),
                test_loss: test.map(|s| s.loss),
                test_accuracy: test.map(|s| s.accuracy),
                learning_rate: pending.rates[member],
                seconds: pending.seconds,
            };
            observer.epoch(member, &metrics);
            let bad = counters[state::NOT_FINITE];
            // One member of a population may diverge while the others go on; a lone model ends the run.
            if bad != 0 && self.spec.members.len() == 1 {
                return Err(TrainError::NotFinite { step: bad, epoch: pending.epoch });
            }
            epochs.push(metrics);
        }
        if let Some(ticket) = pending.weights {
            let words = self.session.fetch(ticket)?;
            for (member, words) in words.chunks(self.names.layout.stride).enumerate() {
                observer.weights(member, pending.epoch, self.names.layout.unpack(words));
            }
        }
        Ok(epochs)
    }

    /// Early stopping and the plateau schedule. True when every member has stopped.
    fn react(&mut self, metrics: &[EpochMetrics]) -> Result<bool, TrainError> {
        let mut all_stopped = self.spec.train.early_stop.is_some();
        for (member, epoch) in metrics.iter().enumerate() {
            if let Some(rule) = self.spec.train.early_stop {
                let tracker = &mut self.progress.early_stop[member];
                // Once a member has waited long enough its best is fixed, though others may train on beside it.
                if tracker.waited <= rule.patience {
                    let value = epoch.get(rule.metric).unwrap_or(f32::NAN);
                    if tracker.improves(rule.metric, value, epoch.epoch, rule.min_delta) {
                        let stride = self.names.layout.stride;
                        let slice = Slice { buffer: self.names.parameters, offset: member * stride, len: stride };
                        self.best[member] = Some(self.session.read(slice)?);
                    }
                }
                all_stopped &= self.progress.early_stop[member].waited > rule.patience;
            }
            if let ScheduleKind::Plateau { metric, factor, patience } = &self.spec.members[member].schedule.kind {
                let (tracker, scale) = &mut self.progress.plateau[member];
                let value = epoch.get(*metric).unwrap_or(f32::NAN);
                if !tracker.improves(*metric, value, epoch.epoch, 0.0) && tracker.waited > *patience {
                    *scale *= factor;
                    tracker.waited = 0;
                }
            }
        }
        Ok(all_stopped)
    }

    fn report_steps(
        &mut self,
        steps: &mut VecDeque<PendingSteps>,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        while let Some(pending) = steps.pop_front() {
            let log: Vec<f32> = bytemuck::cast_vec(self.session.fetch(pending.log)?);
            let validation = pending.validation.map(|t| self.fetch_scores(t)).transpose()?;
            let norms = pending.norms.map(|t| self.session.fetch(t)).transpose()?;
            let (every, capacity) = (self.spec.train.log_every, self.training.log_steps);
            let numbers = pending.last - pending.count + 1..=pending.last;
            for step in numbers.filter(|step| step.is_multiple_of(every)) {
                for member in 0..self.spec.members.len() {
                    let entry = (member * capacity + (step - 1) as usize % capacity) * 2;
                    let mut metrics =
                        StepMetrics { step, loss: log[entry], accuracy: log[entry + 1], ..Default::default() };
                    if step == pending.last {
                        let score = validation.as_ref().map(|s| s[member]);
                        metrics.validation_loss = score.map(|s| s.loss);
                        metrics.validation_accuracy = score.map(|s| s.accuracy);
                        self.add_norms(&mut metrics, member, norms.as_deref());
                    }
                    observer.step(member, &metrics);
                }
            }
        }
        Ok(())
    }

    fn add_norms(&self, metrics: &mut StepMetrics, member: usize, norms: Option<&[u32]>) {
        let parameters = &self.spec.model.parameters;
        let Some(words) = norms.and_then(|n| n.chunks(2 * parameters.len()).nth(member)) else { return };
        let norm = |which: usize| -> BTreeMap<String, f32> {
            let squares = words.chunks(2).map(|pair| f32::from_bits(pair[which]).sqrt());
            parameters.iter().map(|p| p.name.clone()).zip(squares).collect()
        };
        metrics.gradient_norms = self.records(Record::GradientNorms).then(|| norm(0));
        metrics.weight_norms = self.records(Record::WeightNorms).then(|| norm(1));
    }
}

/// Refuses what could not train.
fn check(spec: &TrainerSpec) -> Result<(), TrainError> {
    let data = spec.dataset;
    let examples = data.train.features.count;
    let count = |set: &Option<crate::data::Examples>| set.as_ref().map_or(0, |s| s.features.count);
    if examples == 0 {
        return Err(TrainError::NoExamples { held_out: count(&data.validation) + count(&data.test) });
    }
    if spec.train.drop_last && spec.batch() > examples {
        return Err(TrainError::NoBatch { batch: spec.batch(), examples });
    }
    let plateau = match &spec.members[0].schedule.kind {
        ScheduleKind::Plateau { metric, .. } => Some(*metric),
        _ => None,
    };
    let watchers = [("train.early_stop", spec.train.early_stop.map(|e| e.metric)), ("schedule", plateau)];
    for (watcher, metric) in watchers.into_iter().filter_map(|(w, m)| Some((w, m?))) {
        let (set, missing) = match metric {
            Metric::TrainLoss | Metric::TrainAccuracy => continue,
            Metric::ValidationLoss | Metric::ValidationAccuracy => ("validation", data.validation.is_none()),
            Metric::TestLoss | Metric::TestAccuracy => ("test", data.test.is_none()),
        };
        if missing {
            return Err(TrainError::NoMetric { watcher, metric: metric.to_string(), set });
        }
    }
    Ok(())
}
