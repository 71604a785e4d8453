//! Training as it is planned, before anything is allocated.

use super::{TrainError, TrainerSpec, check, spec};
use crate::data::Examples;
use crate::ir::Limits;
use crate::kernel::LaunchPlan;
use crate::planner::{Evaluation, Fusion, PlanBuilder, SourceBuffers, Training, TrainingPlan};

/// What a [`Trainer`](super::Trainer) is prepared from.
pub struct Draft<'a> {
    pub(super) spec: TrainerSpec<'a>,
    pub(super) names: TrainingPlan,
    pub(super) training: Training,
    pub(super) source: SourceBuffers,
    /// The validation set and the test set.
    pub(super) held_out: [Option<PlannedSet<'a>>; 2],
}

/// A set that is measured in training.
pub(super) struct PlannedSet<'a> {
    pub name: &'static str,
    pub evaluation: Evaluation,
    pub source: SourceBuffers,
    pub examples: &'a Examples,
}

impl<'a> Draft<'a> {
    /// Plans for a device with these limits, training steps fused or not as `fusion` says.
    pub fn new(spec: TrainerSpec<'a>, fusion: Fusion, limits: Limits) -> Result<Draft<'a>, TrainError> {
        check::check(&spec)?;
        let (data, optimizer) = (spec.dataset, &spec.members[0].optimizer);
        let scaling = spec.scaling;
        let builder = PlanBuilder::new(spec.model, spec.members.len(), scaling.subtract.len(), scaling.add, limits);
        let mut builder = builder.fusion(fusion).precision(spec.members[0].precision)?;
        let source = builder.source("train", spec::layout(&data.train), spec.batches());
        let training = builder.training(&source, spec.train, optimizer)?;
        let held_out = [("validation", &data.validation), ("test", &data.test)];
        let largest = held_out.iter().filter_map(|(_, set)| Some(set.as_ref()?.features.count)).max().unwrap_or(0);
        let batches = spec::evaluation_batches(spec.model, largest);
        let held_out = held_out.map(|(name, set)| {
            let examples = set.as_ref()?;
            let source = builder.source(name, spec::layout(examples), batches);
            let evaluation = builder.evaluation(name, &source, optimizer.l2);
            Some(PlannedSet { name, evaluation, source, examples })
        });
        Ok(Draft { spec, names: builder.finish_plan()?, training, source, held_out })
    }

    /// Whether training steps are fused into two launches.
    pub fn is_fused(&self) -> bool {
        self.training.not_fused.is_none()
    }

    /// The plan, with the planner's variants of its launches.
    pub fn plan(&self) -> &LaunchPlan {
        &self.names.plan
    }
}
