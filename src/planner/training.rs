//! The programs of training.

use super::builder::{BuildError, GraphMemory, Meetings, PlanBuilder};
use super::fusion::{Fusion, Request, StepBuffers};
use crate::graph::Weighing;
use crate::ir::{Accumulation, Element, PhaseKind, ProgramId, Role, SourceBuffers, Training};
use crate::kernel::loss::weights::Updates;
use crate::kernel::norm::over_ranks::Meeting;
use crate::kernel::pointwise::dropout::Masks;
use crate::kernel::step::finish_step::Kind;
use crate::kernel::{LaunchPhase, LaunchProgram};
use crate::model::Changes;
use crate::recipe::{OptimizerSpec, Precision, Record, TrainSpec};

impl PlanBuilder<'_> {
    /// Adds the programs of the training loop over `source`; `by_step` where the learning rate changes from step to step.
    pub fn training(
        &mut self,
        source: &SourceBuffers,
        train: &TrainSpec,
        optimizer: &OptimizerSpec,
        by_step: bool,
    ) -> Result<(), BuildError> {
        // From here on a part of a batch is a batch like any other.
        let (examples, batch, parts) = (source.layout.examples, source.batches.size, self.parts);
        let whole = if train.drop_last { examples / (batch * parts) } else { examples.div_ceil(batch * parts) };
        let batches_per_epoch = if train.drop_last { whole * parts } else { examples.div_ceil(batch) };
        let of_step = (train.accumulate as usize).clamp(1, whole.max(1)) * parts;
        let steps_per_epoch = batches_per_epoch.div_ceil(of_step);
        self.masks = Masks { by_batch: of_step > parts, parts: parts as u32 };
        if of_step > 1 {
            self.batch_gradients = self.buffer_like_parameters("train.batch_gradients", Role::Gradients);
        }
        if train.ema.is_some() {
            self.trained = self.buffer_like_parameters("train.weights", Role::State);
        }
        let (images, weighted) = (self.augment, source.weights.is_some());
        let network = self.model.training_network(Changes { images, mixup: self.mixup.is_some(), weighted });
        let mixing = self.mixup.map(|strength| self.mixing(strength, batch));
        let norm_sums = if parts > 1 { self.norm_sums() } else { None };
        let memory = GraphMemory { mixing, norm_sums, ..self.allocate(network, batch, "train") };
        let [counters, scalars] = self.step_state("train");
        let log_steps = 4096;
        let log = self.out.plan.buffer("train.log", Element::F32, self.models * log_steps * 2, Role::Metrics);
        let weight_sums = source.weights.map(|_| self.weight_sums());
        let moments = self.moments(optimizer);
        let muon = self.muon_workspace(optimizer);
        let penalty = self.sums("train.penalty", optimizer.l2 != 0.0);
        let norm = self.sums("train.gradient_norm", optimizer.clip_norm.is_some());

        let rate_factors = by_step.then(|| self.rate_factors(train, steps_per_epoch)).transpose()?;
        let scheduled = self.scheduled_rate(rate_factors, counters, scalars);
        let averaged = self.average(train.ema, counters);
        let scaling = (self.precision == Precision::Mixed).then(|| self.loss_scaling(counters, scalars));

        let kind = if scaling.is_some() { Kind::ScaledStep } else { Kind::Step };
        let finish = |kind| {
            let bookkeeping = self.finish(&memory, [counters, scalars, log], log_steps, examples, penalty, kind);
            let weighed = weight_sums.map(|sums| self.weigh_epoch(sums, counters, scalars));
            LaunchPhase::new(PhaseKind::Finish, std::iter::once(bookkeeping).chain(weighed).collect())
        };
        // All up to the gradients of one batch of so many.
        let in_epoch = examples.min(batches_per_epoch * batch);
        let forward_backward = |of_step: usize| {
            let updates = Updates { batch: batch as u32, in_epoch: in_epoch as u32, batches: of_step as u32 };
            let weighing = source.weights.zip(weight_sums).map(|(weights, sums)| Weighing {
                weights: self.out.plan.whole(weights),
                weight_sums: self.out.plan.whole(sums),
                updates,
            });
            let phases = self.lower(&memory, source, counters, (self.trained, penalty), weighing);
            let accumulate = self.accumulate([batch, in_epoch, of_step], counters);
            LaunchProgram::new("train step", phases).with_last(PhaseKind::Backward, accumulate)
        };
        let with_update = |mut program: LaunchProgram| {
            let update = self.gradient_norm(norm, optimizer).into_iter();
            let update = update.chain(self.update(optimizer, &moments, scalars, norm));
            let update = update.chain(self.muon_steps(muon.as_ref(), optimizer, &moments, scalars)).collect();
            program = self.in_precision(program);
            program.phases.extend([
                LaunchPhase::new(PhaseKind::Exchange, Vec::new()),
                LaunchPhase::new(PhaseKind::Update, update),
                finish(kind),
            ]);
            match &scaling {
                Some(scaling) => scaling.scaled(program),
                None => program,
            }
        };
        let gradient = with_update(forward_backward(1)).without(PhaseKind::Update).named("gradient");
        let mut step = with_update(forward_backward(of_step))
            .with_first(PhaseKind::Update, scheduled.clone())
            .with_last(PhaseKind::Finish, averaged.clone());
        let one_batch = (of_step > 1).then(|| {
            let mut program = self.in_precision(forward_backward(of_step)).named("batch of a step");
            program.phases.push(finish(Kind::Evaluation));
            program
        });
        let parameters = self.model.parameters.len();
        let norms = self.out.plan.buffer("train.norms", Element::F32, self.models * parameters * 2, Role::Metrics);
        let records = train.record.iter().any(|r| matches!(r, Record::GradientNorms | Record::WeightNorms));
        let recorded = records.then(|| {
            let recorded = step.clone().named("train step with norms");
            recorded.with_first(PhaseKind::Update, self.norm_records(norms, optimizer))
        });
        let recorded_update = recorded.clone().filter(|_| parts > 1).and_then(|recorded| {
            let (_, update) = recorded.split(PhaseKind::Exchange)?;
            Some(update.named("update of a step with norms"))
        });
        let request = Request { source, train, optimizer };
        let state = StepBuffers { counters, scalars, log, log_steps, moments: &moments };
        self.out.not_fused = match self.fusable(&memory.network, &request) {
            Ok(layers) => {
                step = LaunchProgram::new("train step", self.fused_step(&layers, &request, &state))
                    .with_first(PhaseKind::Backward, scheduled)
                    .with_last(PhaseKind::Update, averaged);
                None
            }
            Err(reason) if self.fusion == Fusion::Always => return Err(reason.into()),
            Err(reason) => Some(reason),
        };
        let halves = step.clone().split(PhaseKind::Exchange);
        let halves = halves.map(|(before, after)| {
            let before = self.cut(before.named("gradients of a step"), |meetings| &mut meetings.of_step);
            [before, self.out.plan.program(after.named("update of a step"))]
        });
        let one_batch = one_batch.map(|program| self.cut(program, |meetings| &mut meetings.of_batch));
        let begin = vec![self.begin("train begin epoch", counters, scalars)];
        let trained = train.ema.map(|_| self.trained);
        let state = moments.into_iter().chain([counters, scalars]).chain(scaling.iter().map(|s| s.history));
        self.training = Some(Training {
            begin_epoch: self.begin_program("train begin epoch", begin),
            step: self.out.plan.program(step),
            gradient: self.out.plan.program(gradient),
            recorded_step: recorded.map(|program| self.out.plan.program(program)),
            halves,
            recorded_update: recorded_update.map(|program| self.out.plan.program(program)),
            norms,
            steps_per_epoch,
            epochs: train.epochs,
            learning_rates: None,
            accumulation: one_batch.map(|batch| Accumulation { batch, batches: of_step, batches_per_epoch }),
            trained,
            rate_factors,
            gradients: self.gradients,
            counters,
            scalars,
            log,
            log_steps,
            state: state.chain(trained).chain(self.out.statistics).chain(weight_sums).collect(),
            loss_scaling: scaling.map(|scaling| scaling.history),
        });
        Ok(())
    }

    /// Adds a program, which ends where ranks must meet; what follows that are programs of their own.
    pub(super) fn cut(
        &mut self,
        program: LaunchProgram,
        meetings: impl Fn(&mut Meetings) -> &mut Vec<(Meeting, ProgramId)>,
    ) -> ProgramId {
        let (first, rest) = program.at_meetings();
        let first = self.out.plan.program(first);
        let rest = rest.into_iter().map(|(meeting, program)| (meeting, self.out.plan.program(program))).collect();
        *meetings(&mut self.out.meetings) = rest;
        first
    }
}
