//! A set that is measured in training: the validation set or the test set.

use super::feed::Feed;
use crate::backend::{BackendError, Session, Ticket};
use crate::data::Examples;
use crate::ir::Plan;
use crate::planner::{Evaluation, SourceBuffers};

/// Its programs and its examples.
pub(super) struct HeldOut<'a> {
    evaluation: Evaluation,
    feed: Feed<'a>,
}

impl<'a> HeldOut<'a> {
    /// Writes what stays on the device of the set.
    pub fn new(
        session: &mut dyn Session,
        evaluation: Evaluation,
        source: &SourceBuffers,
        examples: &'a Examples,
    ) -> Result<HeldOut<'a>, BackendError> {
        let feed = Feed::new(session, source, examples, evaluation.steps)?;
        Ok(HeldOut { evaluation, feed })
    }

    /// Takes the models over the set, if there is one, and copies counters and scalars aside.
    pub fn evaluate(
        set: &mut Option<HeldOut>,
        session: &mut dyn Session,
        plan: &Plan,
    ) -> Result<Option<[Ticket; 2]>, BackendError> {
        let Some(HeldOut { evaluation, feed }) = set else { return Ok(None) };
        feed.begin(session, evaluation.begin)?;
        feed.run(session, evaluation.step, evaluation.steps as u32)?;
        let [counters, scalars] = [evaluation.counters, evaluation.scalars].map(|id| plan.whole(id));
        Ok(Some([session.snapshot(counters)?, session.snapshot(scalars)?]))
    }
}
