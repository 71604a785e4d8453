//! Many weights of one model over one set of examples, side by side.

use super::feed::Feed;
use super::{Score, TrainError, spec, upload};
use crate::backend::{Backend, BackendError, Session};
use crate::data::{Examples, Scaling};
use crate::ir::{BufferId, Plan, Role};
use crate::kernel::step::state;
use crate::model::Model;
use crate::planner::{Evaluation, PlanBuilder, TrainingPlan, hyper_words};
use crate::recipe::OptimizerSpec;
use std::sync::Arc;

/// Memory that the members may take together, beside the examples. More would not make a device busier.
const MEMBERS_BYTES: u64 = 512 << 20;

/// Evaluates models that differ in their weights alone, as members of one plan.
pub struct Population<'a> {
    session: Box<dyn Session>,
    plan: Arc<Plan>,
    names: TrainingPlan,
    evaluation: Evaluation,
    feed: Feed<'a>,
    members: usize,
    counts_answers: bool,
}

impl<'a> Population<'a> {
    /// Makes ready for as many members as fit the device, `wanted` at most. The loss is the mean over the examples with
    /// the optimizer's L2 penalty, as it is in training.
    pub fn new(
        backend: &dyn Backend,
        model: &Model,
        scaling: &Scaling,
        optimizer: &OptimizerSpec,
        examples: &'a Examples,
        wanted: usize,
    ) -> Result<Population<'a>, TrainError> {
        let mut members = wanted.max(1);
        loop {
            let prepared = Population::of(backend, model, scaling, optimizer, examples, members);
            let too_many = match &prepared {
                Ok(found) => found.is_none(),
                Err(TrainError::Build(_) | TrainError::Backend(BackendError::OutOfMemory { .. })) => true,
                Err(_) => false,
            };
            match prepared {
                Ok(Some(population)) => return Ok(population),
                Err(error) if members == 1 || !too_many => return Err(error),
                _ => members = members.div_ceil(2),
            }
        }
    }

    /// With exactly so many members; none if they would take too much memory.
    fn of(
        backend: &dyn Backend,
        model: &Model,
        scaling: &Scaling,
        optimizer: &OptimizerSpec,
        examples: &'a Examples,
        members: usize,
    ) -> Result<Option<Population<'a>>, TrainError> {
        let mut builder = PlanBuilder::new(model, members, scaling.subtract.len(), scaling.add, backend.limits());
        let batches = spec::evaluation_batches(model, examples.count());
        let source = builder.source("examples", spec::layout(examples), batches);
        let evaluation = builder.evaluation("evaluation", &source, optimizer.l2);
        let names = builder.finish_plan()?;
        let beside_data = names.plan.buffers.iter().filter(|buffer| buffer.role != Role::Data);
        if members > 1 && beside_data.map(|buffer| buffer.bytes()).sum::<u64>() > MEMBERS_BYTES {
            return Ok(None);
        }
        let plan = Arc::new(backend.tuned(&names.plan));
        let mut session = backend.prepare(Arc::clone(&plan))?;
        let feed = Feed::new(&mut *session, &source, examples, evaluation.steps)?;
        let mut write = |buffer: BufferId, words: &[u32]| session.write(buffer, 0, words);
        upload::constants(&mut write, &names, model, scaling)?;
        let hyper = vec![hyper_words(optimizer, 0.0, 0); members].concat();
        session.write(names.hyper, 0, bytemuck::cast_slice(&hyper))?;
        let counts_answers = Score::counts_answers(model.loss, &examples.targets);
        Ok(Some(Population { session, plan, names, evaluation, feed, members, counts_answers }))
    }

    /// Members that are evaluated at once.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Loss and accuracy of each of at most [`Population::members`] weights: the parameters one after the other, in the
    /// model's order.
    pub fn scores(&mut self, weights: &[Vec<f32>]) -> Result<Vec<Score>, TrainError> {
        let layout = &self.names.layout;
        for (member, flat) in weights.iter().take(self.members).enumerate() {
            let mut rest = &flat[..];
            let parameters = layout.lens.iter().map(|&len| {
                let (parameter, after) = rest.split_at(len);
                rest = after;
                parameter.to_vec()
            });
            let words = layout.pack(&parameters.collect::<Vec<_>>());
            self.session.write(self.names.parameters, member * layout.stride, &words)?;
        }
        self.feed.begin(&mut *self.session, self.evaluation.begin)?;
        self.feed.run(&mut *self.session, self.evaluation.step, self.evaluation.steps as u32)?;
        let counters = self.session.read(self.plan.whole(self.evaluation.counters))?;
        let scalars: Vec<f32> = bytemuck::cast_vec(self.session.read(self.plan.whole(self.evaluation.scalars))?);
        let members = counters.chunks(state::COUNTERS).zip(scalars.chunks(state::SCALARS)).take(weights.len());
        Ok(members.map(|(counters, scalars)| Score::of(counters, scalars, self.counts_answers)).collect())
    }
}
