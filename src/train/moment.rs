//! A trainer's state as a whole: weights, checkpoints, and the gradients at a moment.

use super::checkpoint::{Checkpoint, CheckpointError, DataSeen, Progress};
use super::{Tracker, TrainError, Trainer};
use crate::ir::{BufferId, Element, Slice};
use crate::kernel::optimizer::adjust_loss_scale;
use crate::kernel::step::state;
use crate::layers::TensorRole;
use crate::planner::WEIGHT_SUMS_BUFFER;
use crate::ranks::RankError;
use std::time::Instant;

impl Trainer {
    /// Sets the weights of one model, and its running statistics if it has any: a vector per tensor, in the model's order.
    pub fn set_parameters(&mut self, member: usize, parameters: &[Vec<f32>]) -> Result<(), TrainError> {
        self.on.set_tensors(member, parameters)?;
        match self.training.trained {
            Some(trained) => self.on.write_model(trained, member, &parameters[..self.spec.model.parameters.len()]),
            None => Ok(()),
        }
    }

    /// What the run is trained on: its checkpoints keep it. All training examples are gone through when it is first asked for.
    pub fn data_seen(&mut self) -> &DataSeen {
        self.progress.data.get_or_insert_with(|| DataSeen::of(&self.spec))
    }

    /// The weights of one model, with `train.ema` their moving average, which is what is evaluated and saved; and its running
    /// statistics if it has any: a vector per tensor, in the model's order.
    pub fn parameters(&mut self, member: usize) -> Result<Vec<Vec<f32>>, TrainError> {
        Ok(self.on.tensors(member)?)
    }

    /// Loss and gradients of the coming batch at the weights as they are, without a step. The run's state is put back. In
    /// mixed precision the loss scale is halved until the gradients fit f16, as training does it from step to step.
    pub fn gradient(&mut self) -> Result<(f32, Vec<Vec<f32>>), TrainError> {
        self.refuse_half("the gradients of a step were taken: apply them first")?;
        if self.ranks.is_some() {
            let why = "a gradient without a step is that of one process: ask a trainer that is not among ranks";
            return Err(RankError::OneProcess(why).into());
        }
        let state = self.capture()?;
        let place = Slice { buffer: self.training.counters, offset: state::LOSS_SCALE, len: 1 };
        let mut scale = self.on.session.read(place)?[0];
        loop {
            let (loss, gradients) = self.gradient_as_scaled()?;
            self.put_back(&state)?;
            let fits = gradients.iter().flatten().all(|gradient| gradient.is_finite());
            match adjust_loss_scale::halved(scale).filter(|_| !fits && loss.is_finite()) {
                Some(half) => scale = half,
                None => return Ok((loss, gradients)),
            }
            self.on.session.write(place.buffer, place.offset, &[scale])?;
        }
    }

    /// The same at the loss scale as it is; the state moves on.
    fn gradient_as_scaled(&mut self) -> Result<(f32, Vec<Vec<f32>>), TrainError> {
        if self.progress.step_in_epoch == 0 {
            self.write_hyper()?;
            self.on.begin(self.training.begin_epoch)?;
        }
        self.on.run(self.training.gradient, 1)?;
        let scalars = self.on.session.read(self.on.plan.whole(self.training.scalars))?;
        let mut gradients = self.on.read_model(self.training.gradients, 0)?;
        let l2 = self.spec.members[0].optimizer.l2;
        let trained = self.training.trained.unwrap_or(self.on.io.parameters.buffer);
        let weights = self.on.read_model(trained, 0)?;
        for ((gradients, weights), parameter) in gradients.iter_mut().zip(&weights).zip(&self.spec.model.parameters) {
            if parameter.role == TensorRole::Weight {
                gradients.iter_mut().zip(weights).for_each(|(g, w)| *g += 2.0 * l2 * w);
            }
        }
        Ok((f32::from_bits(scalars[state::STEP_LOSS]), gradients))
    }

    /// Everything needed to go on from here.
    pub fn capture(&mut self) -> Result<Checkpoint, TrainError> {
        self.refuse_half("the gradients of a step were taken: apply them before its state is kept")?;
        self.settle()?;
        self.progress.seconds = self.seconds();
        let ids: Vec<BufferId> = self.training.state.iter().copied().chain([self.on.io.parameters.buffer]).collect();
        let mut buffers = Vec::new();
        for id in ids {
            buffers.push((self.on.plan.buffers[id.0].name.clone(), self.on.session.read(self.on.plan.whole(id))?));
        }
        buffers.sort();
        Ok(Checkpoint { progress: self.progress.clone(), buffers, best: self.best.clone() })
    }

    /// The same, to be kept in place of an earlier one: of a lone model that has left the finite numbers nothing is. One
    /// member of a population may, while the others go on.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, TrainError> {
        self.data_seen();
        let checkpoint = self.capture()?;
        match self.not_finite_at(&checkpoint) {
            Some(step) => Err(TrainError::NotFinite { step, epoch: checkpoint.progress.epoch_under_way() }),
            None => Ok(checkpoint),
        }
    }

    /// The step at which a lone model left the finite numbers, or after which that was seen.
    fn not_finite_at(&self, checkpoint: &Checkpoint) -> Option<u32> {
        if self.spec.members.len() > 1 {
            return None;
        }
        let of = |id: BufferId| {
            let name = &self.on.plan.buffers[id.0].name;
            checkpoint.buffers.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, words)| words)
        };
        let is_bad = |words: &[u32]| words.iter().any(|word| !f32::from_bits(*word).is_finite());
        let mut numbers = self.training.state.iter().copied().chain([self.on.io.parameters.buffer]);
        let marked = of(self.training.counters).get(state::NOT_FINITE).copied().unwrap_or(0);
        match marked {
            0 => numbers
                .any(|id| self.on.plan.buffers[id.0].element == Element::F32 && is_bad(of(id)))
                .then_some(checkpoint.progress.step),
            step => Some(step),
        }
    }

    /// Goes back to a captured moment. A checkpoint that is not of such a run, or of one that had left the finite numbers, is
    /// refused before anything is changed. Where early stopping or a plateau schedule watches another metric than then, or
    /// none, it begins anew.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        match self.not_finite_at(checkpoint) {
            Some(step) => Err(CheckpointError::NotFinite { step }.into()),
            None => {
                self.put_back(checkpoint)?;
                self.data_seen();
                Ok(())
            }
        }
    }

    /// Goes on, at the beginning of an epoch, from where another run of the same network and optimizer ended one, on whichever
    /// examples: with its weights and what the optimizer keeps of its gradients, and as many epochs before this one. Nothing is
    /// kept of what early stopping and schedules watched. A run whose `train.epochs` are one more than the other one's trains one.
    pub fn go_on_from(&mut self, ended: &Checkpoint) -> Result<(), TrainError> {
        let mismatch = |problem: String| TrainError::from(CheckpointError::Mismatch(problem));
        let Progress { epoch, step_in_epoch, .. } = ended.progress;
        if step_in_epoch > 0 {
            return Err(mismatch(format!(
                "it is {step_in_epoch} steps into an epoch, and another run begins with whole ones"
            )));
        }
        let mut begun = self.capture()?;
        let steps = u64::from(epoch) * self.training.steps_per_epoch as u64;
        let step = u32::try_from(steps).map_err(|_| TrainError::TooManySteps { steps })?;
        (begun.progress.epoch, begun.progress.step) = (epoch, step);
        let name = |id: BufferId| self.on.plan.buffers[id.0].name.as_str();
        let (counters, weight_sums) = (name(self.training.counters), WEIGHT_SUMS_BUFFER);
        // What a batch's weights come to is no state of the optimizer.
        let is_kept = |name: &str| name != weight_sums;
        let strange =
            |(name, _): &&(String, Vec<u32>)| is_kept(name) && begun.buffers.iter().all(|(known, _)| known != name);
        if let Some((name, _)) = ended.buffers.iter().find(strange) {
            return Err(mismatch(format!("it has {name}, which this run has not")));
        }
        for (name, words) in begun.buffers.iter_mut().filter(|(name, _)| is_kept(name)) {
            let found = ended.buffers.iter().find(|(known, _)| known == name);
            let (_, found) = found.ok_or_else(|| mismatch(format!("it has no {name}")))?;
            if found.len() != words.len() {
                return Err(mismatch(format!("its {name} has {} words, not {}", found.len(), words.len())));
            }
            if name != counters {
                words.clone_from(found);
                continue;
            }
            for (words, found) in words.chunks_mut(state::COUNTERS).zip(found.chunks(state::COUNTERS)) {
                (words[state::EPOCH], words[state::STEP]) = (epoch.wrapping_sub(1), step);
                words[state::LOSS_SCALE] = found[state::LOSS_SCALE];
            }
        }
        self.restore(&begun)
    }

    /// The same, finite or not.
    fn put_back(&mut self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        let ids: Vec<BufferId> = self.training.state.iter().copied().chain([self.on.io.parameters.buffer]).collect();
        let buffers = self.fitting(checkpoint, &ids).map_err(CheckpointError::Mismatch)?;
        for (id, words) in ids.into_iter().zip(buffers) {
            self.on.session.write(id, 0, words)?;
            if id == self.training.counters {
                self.on.follow(words);
            }
        }
        self.follow_sums()?;
        let models = self.spec.members.len();
        let data = self.progress.data.take();
        self.progress = Progress { watched: self.watched_words(), data, ..checkpoint.progress.clone() };
        self.before = self.progress.seconds;
        self.best = checkpoint.best.clone();
        let [stops, slows] = [0, 1].map(|which| self.progress.watched[which] == checkpoint.progress.watched[which]);
        if !stops {
            self.best = vec![None; models];
            self.progress.early_stop = vec![Tracker::default(); models];
        }
        if !slows {
            self.progress.plateau = vec![(Tracker::default(), 1.0); models];
        }
        self.rates.clear();
        self.half = false;
        self.logged = self.progress.step;
        self.begun = Instant::now();
        Ok(())
    }

    /// The words of the checkpoint's buffers in the order of `ids`, if all of it fits this run.
    fn fitting<'c>(&self, checkpoint: &'c Checkpoint, ids: &[BufferId]) -> Result<Vec<&'c [u32]>, String> {
        let Checkpoint { progress, buffers, best } = checkpoint;
        let (have, want) = (buffers.len(), ids.len());
        if have != want {
            return Err(format!("it holds {have} buffers where this run has {want}"));
        }
        let models = self.spec.members.len();
        let (stops, slows) = (progress.early_stop.len(), progress.plateau.len());
        if [best.len(), stops, slows].iter().any(|found| *found != models) {
            let found = format!("{stops}, {slows} and {}", best.len());
            return Err(format!("its early_stop, plateau and best are of {found} models, not {models}"));
        }
        let weights = self.on.words_per_model();
        if let Some(words) = best.iter().flatten().find(|words| words.len() != weights) {
            return Err(format!("its best weights have {} words, not {weights}", words.len()));
        }
        // Steps of epochs as long as this run's: a batch of another size has others.
        let in_epoch = self.training.steps_per_epoch as u64;
        let steps = u64::from(progress.epoch) * in_epoch + u64::from(progress.step_in_epoch);
        if steps != u64::from(progress.step) || u64::from(progress.step_in_epoch) >= in_epoch {
            return Err(format!(
                "it is {} steps into epoch {} after {} steps, and an epoch of this run has {in_epoch}",
                progress.step_in_epoch,
                u64::from(progress.epoch) + 1,
                progress.step
            ));
        }
        let most = u64::from(self.spec.train.epochs) * in_epoch;
        if steps > most {
            return Err(format!("it is {steps} steps into a run of {most}"));
        }
        let words = |id: &BufferId| {
            let buffer = &self.on.plan.buffers[id.0];
            let found = buffers.iter().find(|(name, _)| *name == buffer.name);
            let (_, words) = found.ok_or_else(|| format!("it has no {}", buffer.name))?;
            match words.len() {
                len if len == buffer.len => Ok(&words[..]),
                len => Err(format!("its {} has {len} words, not {}", buffer.name, buffer.len)),
            }
        };
        let words: Vec<&[u32]> = ids.iter().map(words).collect::<Result<_, _>>()?;
        if let Some((_, counters)) = ids.iter().zip(&words).find(|(id, _)| **id == self.training.counters) {
            self.check_counters(progress, counters)?;
        }
        let statistics = self.on.io.statistics.as_ref();
        if let Some((_, words)) = ids.iter().zip(&words).find(|(id, _)| statistics.is_some_and(|at| at.buffer == **id))
        {
            self.check_variances(words)?;
        }
        // The best weights have the statistics behind them.
        best.iter().flatten().try_for_each(|words| self.check_variances(&words[self.on.io.parameters.stride..]))?;
        check_trackers(progress)?;
        Ok(words)
    }

    /// Running variances, of each of so many models, are never below zero.
    fn check_variances(&self, words: &[u32]) -> Result<(), String> {
        let Some(places) = &self.on.io.statistics else { return Ok(()) };
        for model in words.chunks_exact(places.stride) {
            let named = self.spec.model.statistics.iter().zip(&places.tensors);
            for (statistic, place) in named.filter(|(statistic, _)| statistic.is_variance()) {
                let values = model[place.offset..][..place.len].iter().map(|word| f32::from_bits(*word));
                if let Some(value) = values.into_iter().find(|value| *value < 0.0) {
                    return Err(format!("its {} holds {value}, and a variance is 0 or more", statistic.name));
                }
            }
        }
        Ok(())
    }

    /// The step state must be at the place that the host's part tells, and of the members' seeds.
    fn check_counters(&self, progress: &Progress, counters: &[u32]) -> Result<(), String> {
        let begun = progress.step_in_epoch > 0;
        for (member, model) in self.spec.members.iter().zip(counters.chunks(state::COUNTERS)) {
            let (initial, _) = member.initial_state();
            // Between two epochs the place is that of the one before.
            let epoch = if begun { progress.epoch } else { progress.epoch.wrapping_sub(1) };
            let taken = (self.training.first_batch(progress.step_in_epoch as usize) / self.parts()) as u32;
            let batch = if begun { taken } else { model[state::BATCH] };
            let expected = [
                ("step", state::STEP, progress.step),
                ("epoch", state::EPOCH, epoch),
                ("batch", state::BATCH, batch),
                ("seed", state::SEED, initial[state::SEED]),
            ];
            if let Some((what, slot, expected)) =
                expected.into_iter().find(|(_, slot, expected)| model[*slot] != *expected)
            {
                return Err(format!("its train.counters are at {what} {}, not {expected}", model[slot]));
            }
            let scale = f32::from_bits(model[state::LOSS_SCALE]);
            if !scale.is_finite() || scale < 0.0 {
                return Err(format!("its train.counters scale the loss by {scale}"));
            }
        }
        Ok(())
    }
}

/// Refuses what no run can have counted.
fn check_trackers(progress: &Progress) -> Result<(), String> {
    let trackers = progress.early_stop.iter().chain(progress.plateau.iter().map(|(tracker, _)| tracker));
    if let Some(tracker) = trackers.clone().find(|t| t.best_epoch > progress.epoch || t.waited > progress.epoch) {
        let Tracker { best_epoch, waited, .. } = tracker;
        let epoch = progress.epoch;
        return Err(format!("it has waited {waited} epochs since epoch {best_epoch}, {epoch} epochs into the run"));
    }
    match progress.plateau.iter().find(|(_, factor)| !factor.is_finite() || *factor < 0.0) {
        Some((_, factor)) => Err(format!("its plateau schedule multiplies the rate by {factor}")),
        None => Ok(()),
    }
}
