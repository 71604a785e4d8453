//! A plan in memory on a device: with all that is written before its first step, and the examples that its steps take.

use super::TrainError;
use super::feed::Feed;
use super::upload;
use crate::backend::{Backend, BackendError, LaunchTime, Session, Ticket};
use crate::data::Examples;
use crate::ir::{BufferId, Evaluation, Io, Plan, ProgramId};
use crate::parity::check_matrix_units;
use std::borrow::Borrow;
use std::sync::Arc;

/// A session of a plan, and the feeds of its sets of examples.
pub(crate) struct Mounted<E> {
    pub session: Box<dyn Session>,
    pub plan: Arc<Plan>,
    pub io: Io,
    /// Of each of [`Io::sources`].
    feeds: Vec<Feed<E>>,
}

impl<E: Borrow<Examples> + Sync> Mounted<E> {
    /// Allocates the plan and writes what its buffers hold before the first step. The sets are those of [`Io::sources`], in
    /// their order.
    pub fn new(backend: &dyn Backend, plan: Plan, sets: Vec<E>) -> Result<Mounted<E>, TrainError> {
        let io = plan.io()?.clone();
        check_matrix_units(backend, &plan)?;
        let plan = Arc::new(plan);
        let mut session = backend.prepare(Arc::clone(&plan))?;
        fill(&plan, &io, &sets, &mut |buffer, offset, words: &[u32]| session.write(buffer, offset, words))?;
        let feeds = io.sources.iter().zip(sets).map(|(source, set)| Feed::new(source, set, steps(&io, &source.name)));
        let mut mounted = Mounted { session, feeds: feeds.collect(), plan, io };
        let training = mounted.io.training.as_ref();
        if let Some(counters) = training.and_then(|training| mounted.plan.initial(training.counters)) {
            mounted.feeds[0].follow(counters);
        }
        Ok(mounted)
    }

    /// Follows a step state that was written: (models, COUNTERS). See [`Feed::follow`].
    pub fn follow(&mut self, counters: &[u32]) {
        self.feeds[0].follow(counters);
    }

    /// Goes to a batch of the epoch under way, as the step state was made to.
    pub fn seek(&mut self, batch: u32) {
        self.feeds[0].seek(batch);
    }

    /// Runs the program that begins an epoch of training.
    pub fn begin(&mut self, program: ProgramId) -> Result<(), BackendError> {
        self.feeds[0].begin(&mut *self.session, program)
    }

    /// Runs a program of one step of training so many times.
    pub fn run(&mut self, program: ProgramId, times: u32) -> Result<(), BackendError> {
        self.feeds[0].run(&mut *self.session, program, times)
    }

    /// Runs a program of one step of training, timing its launches.
    pub fn profile(&mut self, program: ProgramId) -> Result<Vec<LaunchTime>, BackendError> {
        self.feeds[0].profile(&mut *self.session, program)
    }

    /// Takes the models over the set of this name and copies counters and scalars aside.
    pub fn evaluate(&mut self, name: &str) -> Result<[Ticket; 2], TrainError> {
        let (source, evaluation) = self.evaluation(name)?;
        let (feed, session) = (&mut self.feeds[source], &mut *self.session);
        feed.begin(session, evaluation.begin)?;
        feed.run(session, evaluation.step, evaluation.steps as u32)?;
        Ok(self.copy_state(evaluation.counters, evaluation.scalars)?)
    }

    /// The same, and hands over the outputs of each batch: (models, batch, outputs).
    pub fn evaluate_each(&mut self, name: &str, mut take: impl FnMut(&[f32])) -> Result<[Ticket; 2], TrainError> {
        let (source, evaluation) = self.evaluation(name)?;
        let (feed, session) = (&mut self.feeds[source], &mut *self.session);
        feed.begin(session, evaluation.begin)?;
        // One batch ahead, so that a GPU works while the host copies.
        let mut ahead = None;
        for step in 0..=evaluation.steps {
            let ticket = if step < evaluation.steps {
                feed.run(session, evaluation.step, 1)?;
                Some(session.snapshot(evaluation.outputs)?)
            } else {
                None
            };
            if let Some(ticket) = std::mem::replace(&mut ahead, ticket) {
                take(bytemuck::cast_slice(&session.fetch(ticket)?));
            }
        }
        Ok(self.copy_state(evaluation.counters, evaluation.scalars)?)
    }

    fn evaluation(&self, name: &str) -> Result<(usize, Evaluation), TrainError> {
        let found = self.io.source(name).zip(self.io.evaluation(name).cloned());
        found.ok_or_else(|| TrainError::NoSet { set: name.into() })
    }

    /// Copies counters and scalars aside.
    pub fn copy_state(&mut self, counters: BufferId, scalars: BufferId) -> Result<[Ticket; 2], BackendError> {
        Ok([self.session.snapshot(self.plan.whole(counters))?, self.session.snapshot(self.plan.whole(scalars))?])
    }

    /// Sets the tensors of one model: a vector for each, in the model's order.
    pub fn set_tensors(&mut self, model: usize, values: &[Vec<f32>]) -> Result<(), TrainError> {
        if let Some(problem) = self.io.misfit(values) {
            return Err(TrainError::NotOfModel(problem));
        }
        self.set_words(model, &self.io.pack(values).concat())
    }

    /// The tensors of one model.
    pub fn tensors(&mut self, model: usize) -> Result<Vec<Vec<f32>>, BackendError> {
        let words = self.words(model)?;
        Ok(self.io.unpack(&self.parts(&words)))
    }

    /// Writes all words of one model's tensors, as [`Mounted::words`] gives them.
    pub fn set_words(&mut self, model: usize, words: &[u32]) -> Result<(), TrainError> {
        let places = self.io.of_model(model).collect::<Vec<_>>();
        for (place, words) in places.into_iter().zip(self.parts(words)) {
            self.session.write(place.buffer, place.offset, words)?;
        }
        Ok(())
    }

    /// All words of one model's tensors: its parameters, then its statistics.
    pub fn words(&mut self, model: usize) -> Result<Vec<u32>, BackendError> {
        let mut words = Vec::with_capacity(self.words_per_model());
        for place in self.io.of_model(model).collect::<Vec<_>>() {
            words.extend(self.session.read(place)?);
        }
        Ok(words)
    }

    /// Words of one model's tensors.
    pub fn words_per_model(&self) -> usize {
        self.io.buffers().map(|(_, stride)| stride).sum()
    }

    /// The words of one model's tensors, those of each buffer apart.
    fn parts<'w>(&self, words: &'w [u32]) -> Vec<&'w [u32]> {
        let mut rest = words;
        let strides = self.io.buffers().map(|(_, stride)| stride);
        strides.map(|stride| rest.split_off(..stride).unwrap_or(&[])).collect()
    }

    /// Copies all models' tensors aside.
    pub fn snapshot_tensors(&mut self) -> Result<Vec<Ticket>, BackendError> {
        let buffers: Vec<BufferId> = self.io.buffers().map(|(buffer, _)| buffer).collect();
        buffers.into_iter().map(|buffer| self.session.snapshot(self.plan.whole(buffer))).collect()
    }

    /// The tensors of each model that were copied aside.
    pub fn fetch_tensors(&mut self, tickets: Vec<Ticket>) -> Result<Vec<Vec<Vec<f32>>>, BackendError> {
        let words = tickets.into_iter().map(|ticket| self.session.fetch(ticket)).collect::<Result<Vec<_>, _>>()?;
        let of_model = |model: usize| {
            let parts = words.iter().zip(self.io.buffers());
            let parts: Vec<&[u32]> = parts.map(|(words, (_, stride))| &words[model * stride..][..stride]).collect();
            self.io.unpack(&parts)
        };
        Ok((0..self.io.models).map(of_model).collect())
    }

    /// Writes one model's part of a buffer that is laid out like the parameters.
    pub fn write_model(&mut self, buffer: BufferId, model: usize, values: &[Vec<f32>]) -> Result<(), TrainError> {
        let place = &self.io.parameters;
        match place.misfit(values) {
            Some(problem) => Err(TrainError::NotOfModel(problem)),
            None => Ok(self.session.write(buffer, model * place.stride, &place.pack(values))?),
        }
    }

    /// One model's part of a buffer that is laid out like the parameters.
    pub fn read_model(&mut self, buffer: BufferId, model: usize) -> Result<Vec<Vec<f32>>, BackendError> {
        let words = self.session.read(self.io.parameters.of_model(buffer, model))?;
        Ok(self.io.parameters.unpack(&words))
    }

    /// The counters and scalars of an evaluation or of training that were copied aside.
    pub fn fetch_state(&mut self, [counters, scalars]: [Ticket; 2]) -> Result<(Vec<u32>, Vec<f32>), BackendError> {
        let counters = self.session.fetch(counters)?;
        let scalars = self.session.fetch(scalars)?;
        Ok((counters, bytemuck::cast_vec(scalars)))
    }
}

/// Batches of an epoch over the set of this name.
fn steps(io: &Io, name: &str) -> usize {
    let evaluation = io.evaluation(name).map(|evaluation| evaluation.steps);
    evaluation.or(io.training.as_ref().map(|training| training.batches_per_epoch())).unwrap_or(0)
}

/// Writes what a plan's buffers hold before the first step: what it says itself, and the sets, but examples that are streamed.
/// `write` puts words into a buffer from an offset on.
pub(crate) fn fill<S: Borrow<Examples>, E>(
    plan: &Plan,
    io: &Io,
    sets: &[S],
    write: &mut impl FnMut(BufferId, usize, &[u32]) -> Result<(), E>,
) -> Result<(), E> {
    plan.init.iter().try_for_each(|initial| write(initial.buffer, 0, &initial.words))?;
    io.sources.iter().zip(sets).try_for_each(|(source, set)| upload::examples(write, source, set.borrow()))
}
