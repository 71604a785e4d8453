//! A trainer's state as a whole: weights, checkpoints, and the gradients at a moment.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::{TrainError, Trainer};
use crate::kernel::state;
use crate::model::ParameterKind;
use crate::plan::{BufferId, Slice};
use std::time::Instant;

impl Trainer<'_> {
    /// Sets the weights of one model: a vector per parameter, in the model's order.
    pub fn set_parameters(&mut self, member: usize, parameters: &[Vec<f32>]) -> Result<(), TrainError> {
        let words = self.names.layout.pack(parameters);
        Ok(self.session.write(self.names.parameters, member * self.names.layout.stride, &words)?)
    }

    /// The weights of one model.
    pub fn parameters(&mut self, member: usize) -> Result<Vec<Vec<f32>>, TrainError> {
        self.read_flat(self.names.parameters, member)
    }

    /// Loss and gradients of the coming batch at the weights as they are, without a step. The run's state is put back.
    pub fn gradient(&mut self) -> Result<(f32, Vec<Vec<f32>>), TrainError> {
        let state = self.capture()?;
        if self.progress.step_in_epoch == 0 {
            self.write_hyper()?;
            self.feed.begin(&mut *self.session, self.training.begin_epoch)?;
        }
        self.feed.run(&mut *self.session, self.training.gradient, 1)?;
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
            if id == self.training.counters {
                self.feed.follow(words);
            }
        }
        self.progress = checkpoint.progress.clone();
        self.before = self.progress.seconds;
        self.best = checkpoint.best.clone();
        self.rates.clear();
        self.logged = self.progress.step;
        self.begun = Instant::now();
        Ok(())
    }

    pub(super) fn reset_state(&mut self) -> Result<(), TrainError> {
        let (mut counters, mut scalars) = (Vec::new(), Vec::new());
        for member in self.spec.members {
            let (c, s) = member.initial_state();
            counters.extend(c);
            scalars.extend(s.map(f32::to_bits));
        }
        self.session.write(self.training.counters, 0, &counters)?;
        self.feed.follow(&counters);
        Ok(self.session.write(self.training.scalars, 0, &scalars)?)
    }

    pub(super) fn read_flat(&mut self, buffer: BufferId, member: usize) -> Result<Vec<Vec<f32>>, TrainError> {
        let stride = self.names.layout.stride;
        let words = self.session.read(Slice { buffer, offset: member * stride, len: stride })?;
        Ok(self.names.layout.unpack(&words))
    }
}
