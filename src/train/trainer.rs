//! The loop.

use super::checkpoint::Progress;
use super::mounted::Mounted;
use super::ranks::Ranks;
use super::results::{Pending, PendingSteps};
use super::spec::SharedSet;
use super::{
    Draft, Member, MetricsBySet, Observer, Score, Set, Tracker, TrainError, TrainerSpec, check, draft, measured,
};
use crate::backend::{Backend, BackendError, HostCounters, LaunchTime};
use crate::ir::{Plan, Program, ProgramId, SourceBuffers, Training};
use crate::kernel::optimizer::adjust_loss_scale;
use crate::metrics::Task;
use crate::planner::{Fusion, NotFused, hyper_words};
use crate::recipe::{Metric, Record, ScheduleKind};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Trains one model, or several of one shape side by side, on a backend.
///
/// Between two epochs the host writes the learning rates if they changed; between two steps it writes nothing but the
/// windows of sets that are streamed. Metrics are copied aside in the order of the launches and fetched an epoch later, unless something (early stopping, a
/// plateau) needs them at once.
///
/// It owns all that it works on and can go to another thread. [`Trainer::train`] trains to the end, or until its observer
/// interrupts, and goes on where it is called again; [`Trainer::step`] and [`Trainer::scores`] are for loops of one's own.
pub struct Trainer {
    pub(super) spec: TrainerSpec,
    pub(super) on: Mounted<SharedSet>,
    pub(super) training: Training,
    not_fused: Option<NotFused>,
    pub(super) progress: Progress,
    pub(super) best: Vec<Option<Vec<u32>>>,
    /// Whether answers are right or wrong, so that there is an accuracy.
    pub(super) counts_answers: bool,
    /// What is asked of the model, which decides what can be measured.
    pub(super) task: Task,
    pub(super) rates: Vec<f32>,
    /// Steps whose log was copied aside.
    pub(super) logged: u32,
    pub(super) begun: Instant,
    pub(super) before: f64,
    /// Steps a launch may take: grows until a launch takes long enough to be worth the call.
    pub(super) steps_per_launch: u32,
    pub(super) first_step_at: Option<Instant>,
    /// Whether the gradients of a step were taken that has had no update yet.
    pub(super) half: bool,
    /// Whether the observer gets all weights after every epoch, though the recipe does not record them.
    shows_weights: bool,
    /// Its place among ranks, where others take a part of each batch.
    pub(super) ranks: Option<Ranks>,
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
    /// Final weights and running statistics, one vector per tensor of the model: the best ones where early stopping was on.
    pub parameters: Vec<Vec<f32>>,
    /// On the validation set, with the final weights.
    pub validation: Option<Score>,
    /// On the test set, with the final weights.
    pub test: Option<Score>,
    /// All that can be measured on what is held out, with the final weights.
    pub metrics: MetricsBySet,
    /// Epoch of the final weights, from 1.
    pub epoch: u32,
    /// The epoch after which it stopped early, though others may have trained on beside it.
    pub stopped: Option<u32>,
    /// Steps whose update was skipped, since a gradient was not finite; `None` but in mixed precision.
    pub skipped_steps: Option<u32>,
}

impl Outcome {
    /// Refuses weights, or losses with them, that are not finite.
    pub fn check(&self) -> Result<(), TrainError> {
        let loss = |score: Option<Score>| score.is_none_or(|score| score.loss.is_finite());
        let finite = [
            ("weights or running statistics", self.parameters.iter().flatten().all(|value| value.is_finite())),
            ("a validation loss", loss(self.validation)),
            ("a test loss", loss(self.test)),
        ];
        match finite.into_iter().find(|(_, finite)| !finite) {
            Some((what, _)) => Err(TrainError::NotFiniteEnd { what }),
            None => Ok(()),
        }
    }
}

impl Trainer {
    /// Plans, allocates and uploads. The weights are zero until [`Trainer::set_parameters`].
    pub fn new(backend: &dyn Backend, spec: TrainerSpec) -> Result<Self, TrainError> {
        Trainer::with_fusion(backend, spec, Fusion::Auto)
    }

    /// The same, with training steps fused or not as `fusion` says.
    pub fn with_fusion(backend: &dyn Backend, spec: TrainerSpec, fusion: Fusion) -> Result<Self, TrainError> {
        Trainer::prepare(backend, Draft::new(spec, fusion, backend.limits())?)
    }

    /// Allocates and uploads what was planned for this backend.
    pub fn prepare(backend: &dyn Backend, draft: Draft) -> Result<Self, TrainError> {
        let plan = backend.tuned(&draft.plan);
        Trainer::mount(backend, draft.spec, plan, draft.not_fused)
    }

    /// Allocates and uploads a plan that was read, its weights too if it has any. It must be what would be planned here, on a
    /// device with the limits of this one, but that its launches may be of other variants.
    pub fn with_plan(backend: &dyn Backend, spec: TrainerSpec, plan: Plan) -> Result<Self, TrainError> {
        let io = plan.io()?;
        check::fits(&spec, io)?;
        let is_plain = io.training.as_ref().is_some_and(|training| training.halves.is_some());
        let fusion = if is_plain { Fusion::Never } else { Fusion::Always };
        let draft = Draft::new(spec, fusion, backend.limits())?;
        check::is_drafted(&draft, &plan)?;
        Trainer::mount(backend, draft.spec, plan, is_plain.then_some(NotFused::Read))
    }

    fn mount(
        backend: &dyn Backend,
        spec: TrainerSpec,
        plan: Plan,
        not_fused: Option<NotFused>,
    ) -> Result<Self, TrainError> {
        let io = plan.io()?;
        let training = io.training.clone().ok_or_else(|| TrainError::OtherPlan("it trains nothing".into()))?;
        let steps = u64::from(spec.train.epochs) * training.steps_per_epoch as u64;
        if steps > u64::from(u32::MAX) {
            return Err(TrainError::TooManySteps { steps });
        }
        let models = spec.members.len();
        let sets = draft::sets(&spec, io)?;
        let counts_answers = measured::counts_answers(spec.model.loss, &spec.dataset);
        let task = measured::task_of(&spec.model, &spec.dataset);
        let mut trainer = Trainer {
            on: Mounted::new(backend, plan, sets)?,
            spec,
            training,
            not_fused,
            progress: Progress {
                early_stop: vec![Tracker::default(); models],
                plateau: vec![(Tracker::default(), 1.0); models],
                ..Progress::default()
            },
            best: vec![None; models],
            counts_answers,
            task,
            rates: Vec::new(),
            logged: 0,
            begun: Instant::now(),
            before: 0.0,
            steps_per_launch: 1,
            first_step_at: None,
            half: false,
            shows_weights: false,
            ranks: None,
        };
        trainer.progress.watched = trainer.watched_words();
        Ok(trainer)
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        &self.on.plan
    }

    /// The sets of examples, and how they lie on the device.
    pub fn sources(&self) -> &[SourceBuffers] {
        &self.on.io.sources
    }

    /// Why a training step is not fused into two launches; nothing if it is.
    pub fn not_fused(&self) -> Option<&NotFused> {
        self.not_fused.as_ref()
    }

    /// What one step runs.
    pub fn step_program(&self) -> &Program {
        &self.on.plan.programs[self.training.step.0]
    }

    /// What runs before it for each batch of a step but the last, and for how many batches, where gradients are accumulated.
    pub fn batch_program(&self) -> Option<(&Program, usize)> {
        let accumulation = self.training.accumulation.as_ref()?;
        Some((&self.on.plan.programs[accumulation.batch.0], self.training.batches_before_last(0)))
    }

    /// What the host did so far.
    pub fn host_counters(&self) -> HostCounters {
        self.on.session.counters()
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
    pub fn steps_taken(&self) -> u32 {
        self.progress.step
    }

    /// Takes so many steps, epoch after epoch, without metrics, and waits for them: for benchmarks.
    pub fn time_steps(&mut self, steps: u32) -> Result<Duration, TrainError> {
        self.write_hyper()?;
        self.on.session.wait()?;
        let start = Instant::now();
        let mut left = steps;
        while left > 0 {
            let count = left.min(self.training.steps_per_epoch as u32);
            self.on.begin(self.training.begin_epoch)?;
            self.run_steps(self.training.step, 0, count)?;
            left -= count;
        }
        self.on.session.wait()?;
        Ok(start.elapsed())
    }

    /// Takes one step and says how long each of its launches took: for benchmarks.
    pub fn profile_step(&mut self) -> Result<Vec<LaunchTime>, TrainError> {
        self.write_hyper()?;
        self.on.begin(self.training.begin_epoch)?;
        Ok(self.on.profile(self.training.step)?)
    }

    /// Trains to the end, or until the observer interrupts.
    pub fn train(&mut self, observer: &mut dyn Observer) -> Result<Stop, TrainError> {
        self.refuse_half("the gradients of a step were taken: apply them before training goes on")?;
        if self.progress.step == 0 && self.hands_weights() {
            for member in 0..self.spec.members.len() {
                observer.weights(member, 0, self.parameters(member)?);
            }
        }
        self.agree()?;
        self.begun = Instant::now();
        self.before = self.progress.seconds;
        let mut epochs = VecDeque::new();
        let mut steps = VecDeque::new();
        let stop = loop {
            // Also where the run goes on from a checkpoint of its end.
            if self.has_stopped() {
                break Stop::Early;
            }
            if self.progress.epoch >= self.spec.train.epochs {
                break Stop::Finished;
            }
            let whole = self.train_epoch(observer, &mut epochs, &mut steps)?;
            if !whole {
                break Stop::Interrupted;
            }
            epochs.push_back(self.end_epoch()?);
            self.report_steps(&mut steps, observer)?;
            let every = self.spec.train.checkpoint_every;
            let saves = every > 0 && self.progress.epoch.is_multiple_of(every) || self.saves_after_step();
            // The end has no checkpoint yet: a run that nobody concluded must be able to go on to it.
            let saves = saves && self.progress.epoch < self.spec.train.epochs;
            // A run that goes on from a checkpoint measures nothing before it again, so all of that is reported first.
            let lag = usize::from(!saves && !self.needs_metrics_at_once());
            self.report_epochs(&mut epochs, lag, observer)?;
            if saves && !self.has_stopped() {
                observer.checkpoint(self.checkpoint()?);
            }
        };
        if stop == Stop::Interrupted {
            self.save(observer, &mut epochs, &mut steps)?;
        } else {
            self.report_steps(&mut steps, observer)?;
            self.report_epochs(&mut epochs, 0, observer)?;
        }
        Ok(stop)
    }

    /// Final weights and scores of every model: the best weights where early stopping was on. The device keeps them.
    pub fn finish(&mut self) -> Result<Vec<Outcome>, TrainError> {
        for (member, best) in self.best.iter().enumerate() {
            if let Some(words) = best {
                self.on.set_words(member, words)?;
            }
        }
        self.write_hyper()?;
        let mut metrics = vec![MetricsBySet::new(); self.spec.members.len()];
        let validation = self.measure_all(Set::Validation, &mut metrics)?;
        let test = self.measure_all(Set::Test, &mut metrics)?;
        let history = match self.training.loss_scaling {
            Some(buffer) => Some(self.on.session.read(self.on.plan.whole(buffer))?),
            None => None,
        };
        let skips = |member: usize| history.as_ref().map(|words| words[member * adjust_loss_scale::HISTORY + 1]);
        (0..self.spec.members.len())
            .map(|member| {
                let kept = self.best[member].is_some();
                let Tracker { best_epoch, stopped, .. } = self.progress.early_stop[member];
                let restores = self.spec.train.early_stop.is_some_and(|rule| rule.restore_best);
                let epoch = match stopped {
                    _ if kept && restores => best_epoch,
                    Some(epoch) if kept => epoch,
                    _ => self.progress.epoch,
                };
                let of = |scores: &Option<Vec<Score>>| scores.as_ref().map(|s| s[member]);
                let (validation, test) = (of(&validation), of(&test));
                let (skipped_steps, metrics) = (skips(member), std::mem::take(&mut metrics[member]));
                let parameters = self.parameters(member)?;
                Ok(Outcome { parameters, validation, test, metrics, epoch, stopped, skipped_steps })
            })
            .collect()
    }

    pub(super) fn seconds(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }

    /// Writes the members' numbers for the coming epoch, if their learning rates changed.
    pub(super) fn write_hyper(&mut self) -> Result<(), TrainError> {
        let epochs = self.spec.train.epochs;
        let epoch = self.progress.epoch.min(epochs.saturating_sub(1));
        let rule = self.spec.train.early_stop;
        let rate = |((member, plateau), stop): ((&Member, &(Tracker, f32)), &Tracker)| {
            let rate = member.schedule.scaled(member.optimizer.learning_rate, epoch, epochs, plateau.1);
            rule.map_or(rate, |rule| stop.slows(&rule, rate))
        };
        let Progress { plateau, early_stop, .. } = &self.progress;
        let rates: Vec<f32> = self.spec.members.iter().zip(plateau).zip(early_stop).map(rate).collect();
        if rates == self.rates {
            return Ok(());
        }
        let in_epoch = self.training.steps_per_epoch;
        let numbers = self.spec.members.iter().zip(&rates);
        let hyper: Vec<f32> =
            numbers.flat_map(|(m, rate)| hyper_words(&m.optimizer, *rate, m.schedule.warmup(in_epoch))).collect();
        self.rates = rates;
        Ok(self.on.session.write(self.on.io.hyper, 0, bytemuck::cast_slice(&hyper))?)
    }

    /// Hands the rest of the current epoch to the device; false if the observer interrupted.
    fn train_epoch(
        &mut self,
        observer: &mut dyn Observer,
        epochs: &mut VecDeque<Pending>,
        steps: &mut VecDeque<PendingSteps>,
    ) -> Result<bool, TrainError> {
        self.write_hyper()?;
        if self.progress.step_in_epoch == 0 {
            self.progress.began_at.clone_from(&self.rates);
        }
        let in_epoch = self.training.steps_per_epoch as u32;
        while self.progress.step_in_epoch < in_epoch {
            if self.stops(observer.interrupted()) {
                return Ok(false);
            }
            // Only now: a checkpoint between two epochs must not hold an epoch that has begun.
            if self.progress.step_in_epoch == 0 {
                self.on.begin(self.training.begin_epoch)?;
            }
            let count = self.next_launch(in_epoch - self.progress.step_in_epoch);
            self.launch(count)?;
            self.log_steps(steps)?;
            // At the end of an epoch the checkpoint waits for the epoch's results.
            if self.saves_after_step() && self.progress.step_in_epoch < in_epoch {
                self.save(observer, epochs, steps)?;
            }
            observer.progress(u64::from(self.progress.step), self.total_steps());
        }
        Ok(true)
    }

    /// Steps of the next launch: bounded by time, by the end of the epoch, and by where the log must be read or a
    /// checkpoint be written.
    pub(super) fn next_launch(&self, left: u32) -> u32 {
        // Ranks hear of each other in every step, and must stop after the same one.
        let mut count = if self.ranks.is_some() { 1 } else { self.steps_per_launch.min(left) };
        if let Some(period) = self.log_period() {
            count = count.min(period - self.progress.step % period);
        }
        if self.spec.train.checkpoint_steps > 0 {
            let every = self.spec.train.checkpoint_steps;
            count = count.min(every - self.progress.step % every);
        }
        count
    }

    pub(super) fn launch(&mut self, count: u32) -> Result<(), TrainError> {
        const WORTH_A_CALL: Duration = Duration::from_millis(20);
        let start = Instant::now();
        let last = self.progress.step + count;
        match self.training.recorded_step.filter(|_| self.logs(last)) {
            Some(recorded) => {
                self.run_steps(self.training.step, self.progress.step_in_epoch, count - 1)?;
                self.run_steps(recorded, self.progress.step_in_epoch + count - 1, 1)?;
            }
            None => self.run_steps(self.training.step, self.progress.step_in_epoch, count)?,
        }
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

    /// Takes so many steps of an epoch that has taken `first`, each by this program, which takes a step's last batch.
    pub(super) fn run_steps(&mut self, program: ProgramId, first: u32, count: u32) -> Result<(), TrainError> {
        if self.ranks.is_some() {
            return self.take_shared_steps(program, first, count);
        }
        if self.training.accumulation.is_none() {
            return Ok(self.on.run(program, count)?);
        }
        for step in first..first + count {
            self.run_batches_before_last(step)?;
            self.on.run(program, 1)?;
        }
        Ok(())
    }

    /// Adds up the gradients of a step's batches, but for its last one.
    pub(super) fn run_batches_before_last(&mut self, step_in_epoch: u32) -> Result<(), BackendError> {
        let Some(accumulation) = &self.training.accumulation else { return Ok(()) };
        let batches = self.training.batches_before_last(step_in_epoch as usize);
        self.on.run(accumulation.batch, batches as u32)
    }

    pub(super) fn measures_test(&self) -> bool {
        let watched = |metric: Metric| metric.set == Set::Test;
        self.records(Record::Test) || self.watched().into_iter().flatten().any(watched)
    }

    /// Metrics that early stopping and the plateau schedule watch.
    pub(super) fn watched(&self) -> [Option<Metric>; 2] {
        let plateau = match &self.spec.members[0].schedule.kind {
            ScheduleKind::Plateau { metric, .. } => Some(*metric),
            _ => None,
        };
        [self.spec.train.early_stop.map(|e| e.metric), plateau]
    }

    /// The same in words.
    pub(super) fn watched_words(&self) -> [Option<String>; 2] {
        self.watched().map(|metric| Some(metric?.to_string()))
    }

    pub(super) fn needs_metrics_at_once(&self) -> bool {
        self.watched().iter().any(Option::is_some)
    }

    /// Evaluates what is measured after an epoch and copies all results aside.
    pub(super) fn end_epoch(&mut self) -> Result<Pending, TrainError> {
        self.settle()?;
        self.agree_on_weights()?;
        self.progress.epoch += 1;
        self.progress.step_in_epoch = 0;
        let train = self.on.copy_state(self.training.counters, self.training.scalars)?;
        let mut metrics = vec![MetricsBySet::new(); self.spec.members.len()];
        let validation = self.measure_epoch(Set::Validation, &mut metrics)?;
        let test = match self.measures_test() {
            true => self.measure_epoch(Set::Test, &mut metrics)?,
            false => None,
        };
        let weights = match self.hands_weights() {
            true => Some(self.on.snapshot_tensors()?),
            false => None,
        };
        let (epoch, step, rates) = (self.progress.epoch, self.progress.step, self.rates.clone());
        let began_at = self.progress.began_at.clone();
        let seconds = self.seconds();
        Ok(Pending { epoch, step, rates, began_at, train, validation, test, metrics, weights, seconds })
    }

    /// Hands all weights to the observer after every epoch, though the recipe does not record them.
    pub fn show_weights(&mut self) {
        self.shows_weights = true;
    }

    fn hands_weights(&self) -> bool {
        self.shows_weights || self.records(Record::Weights)
    }

    pub(super) fn records(&self, what: Record) -> bool {
        self.spec.train.record.contains(&what)
    }
}
