//! Training step by step, for loops of one's own. [`Trainer::train`] is the whole loop.

use super::{Score, Set, TrainError, Trainer};
use crate::kernel::step::state;

impl Trainer {
    /// Takes so many steps, and begins and ends epochs on the way. On a GPU they are queued: what reads a result waits for it.
    /// Steps beyond the `train.epochs` of the recipe go on at the rate of its last epoch. Nothing is measured, nothing stops
    /// early: that is [`Trainer::train`]'s.
    pub fn step(&mut self, steps: u32) -> Result<(), TrainError> {
        self.refuse_half("the gradients of a step were taken: apply them before the next step")?;
        let mut left = steps;
        while left > 0 {
            self.begin_step(left)?;
            let in_epoch = self.training.steps_per_epoch as u32;
            let count = left.min(in_epoch - self.progress.step_in_epoch);
            self.run_steps(self.training.step, self.progress.step_in_epoch, count)?;
            self.advance(count);
            left -= count;
        }
        Ok(())
    }

    /// The first half of a step: of each model the gradient of each parameter on the coming batch, or the mean over the coming
    /// batches that make a step. The L2 penalty's part is
    /// not in it, since the optimizer adds it; in mixed precision the loss's scale is taken out. Of a trainer among ranks it is that
    /// over the rows of all of them. [`Trainer::apply`] is the other
    /// half, with these gradients or what became of them on other machines.
    pub fn gradients(&mut self) -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
        self.refuse_half("the gradients of a step were taken already: apply them first")?;
        let [before, _] = self.training.halves.ok_or(TrainError::NoHalves)?;
        self.begin_step(1)?;
        if self.ranks.is_some() {
            let words = self.take_shared_gradients(self.progress.step_in_epoch)?;
            self.half = true;
            let of_models = words.chunks(self.on.io.parameters.stride);
            return Ok(of_models.map(|words| self.on.io.parameters.unpack(words)).collect());
        }
        self.run_batches_before_last(self.progress.step_in_epoch)?;
        self.on.run(before, 1)?;
        self.half = true;
        let buffer = self.training.gradients;
        let models = 0..self.spec.members.len();
        models.map(|model| Ok(self.on.read_model(buffer, model)?)).collect()
    }

    /// The second half of a step: updates the weights by these gradients, which [`Trainer::gradients`] gave.
    pub fn apply(&mut self, gradients: &[Vec<Vec<f32>>]) -> Result<(), TrainError> {
        let [_, after] = self.training.halves.ok_or(TrainError::NoHalves)?;
        if !self.half {
            return Err(TrainError::HalfStep("there are no gradients to apply: take those of a step first"));
        }
        if gradients.len() != self.spec.members.len() {
            let (found, models) = (gradients.len(), self.spec.members.len());
            return Err(TrainError::NotOfModel(format!("there are gradients of {found} models, not of {models}")));
        }
        for (model, gradients) in gradients.iter().enumerate() {
            self.on.write_model(self.training.gradients, model, gradients)?;
        }
        // The batch is the one whose gradients were taken: nothing reads examples here.
        self.on.session.run(after, 1)?;
        if self.ranks.is_some() {
            self.copy_sums(self.progress.step_in_epoch, true)?;
        }
        self.half = false;
        self.advance(1);
        Ok(())
    }

    /// Loss and accuracy of each model over a set: over what is held out with the weights as they are, over the training set
    /// as the mean over this epoch's steps so far (or the last epoch's, before the next begins), each at the weights of its
    /// step.
    pub fn scores(&mut self, set: Set) -> Result<Vec<Score>, TrainError> {
        self.settle()?;
        let state = match set {
            Set::Train => self.on.copy_state(self.training.counters, self.training.scalars)?,
            Set::Validation | Set::Test => self.on.evaluate(set.name())?,
        };
        self.fetch_scores(state)
    }

    /// Loss of each model on the batch of the last step.
    pub fn losses(&mut self) -> Result<Vec<f32>, TrainError> {
        self.settle()?;
        let words = self.on.session.read(self.on.plan.whole(self.training.scalars))?;
        Ok(words.chunks(state::SCALARS).map(|scalars| f32::from_bits(scalars[state::STEP_LOSS])).collect())
    }

    /// Epochs finished.
    pub fn epochs_finished(&self) -> u32 {
        self.progress.epoch
    }

    pub(super) fn refuse_half(&self, why: &'static str) -> Result<(), TrainError> {
        if self.half { Err(TrainError::HalfStep(why)) } else { Ok(()) }
    }

    /// Begins an epoch before its first step.
    fn begin_step(&mut self, steps: u32) -> Result<(), TrainError> {
        if self.progress.step.checked_add(steps).is_none() {
            return Err(TrainError::TooManySteps { steps: u64::from(self.progress.step) + u64::from(steps) });
        }
        self.write_hyper()?;
        if self.progress.step_in_epoch == 0 {
            self.progress.began_at.clone_from(&self.rates);
            self.on.begin(self.training.begin_epoch)?;
        }
        Ok(())
    }

    /// Counts steps of an epoch, and ends it after its last one.
    fn advance(&mut self, steps: u32) {
        self.progress.step += steps;
        self.progress.step_in_epoch += steps;
        // Nobody is told of these steps: a loop that goes on from here reports those after them.
        self.logged = self.progress.step;
        if self.progress.step_in_epoch as usize == self.training.steps_per_epoch {
            (self.progress.epoch, self.progress.step_in_epoch) = (self.progress.epoch + 1, 0);
        }
    }
}
