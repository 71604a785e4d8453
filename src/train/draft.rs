//! Training and evaluation as they are planned, before anything is allocated.

use super::spec::SharedSet;
use super::{Member, Set, TrainError, TrainerSpec, check, spec, upload};
use crate::data::{Examples, Scaling};
use crate::ir::{BufferId, DataLayout, EpochRates, Initial, Io, Limits, PlanError};
use crate::kernel::LaunchPlan;
use crate::layers::TensorRole;
use crate::model::Model;
use crate::planner::{Fusion, Meetings, NotFused, PlanBuilder, TrainingPlan, hyper_words};
use crate::ranks::Share;
use crate::recipe::{OptimizerSpec, ScheduleKind};
use std::borrow::Borrow;

/// What a [`Trainer`](super::Trainer) is prepared from.
pub struct Draft {
    pub(super) spec: TrainerSpec,
    pub(super) plan: LaunchPlan,
    pub(super) not_fused: Option<NotFused>,
    pub(super) meetings: Meetings,
}

impl Draft {
    /// Plans for a device with these limits, training steps fused or not as `fusion` says.
    pub fn new(spec: TrainerSpec, fusion: Fusion, limits: Limits) -> Result<Draft, TrainError> {
        check::check(&spec)?;
        Draft::with_held_out(spec, fusion, limits, &[Set::Validation, Set::Test], None)
    }

    /// Plans for a rank that takes such a share of each batch.
    pub(super) fn shared(spec: TrainerSpec, limits: Limits, share: &Share) -> Result<Draft, TrainError> {
        check::check(&spec)?;
        let sets = [Set::Validation, Set::Test];
        let draft = Draft::with_held_out(spec, Fusion::Never, limits, &sets, Some(share))?;
        Ok(Draft { not_fused: Some(NotFused::Ranks), ..draft })
    }

    /// The same without evaluations.
    pub(crate) fn of_training(spec: TrainerSpec, limits: Limits) -> Result<Draft, TrainError> {
        check::has_levels(&spec.model, &spec.scaling, &spec.dataset.train.features, "the train set")?;
        Draft::with_held_out(spec, Fusion::Auto, limits, &[], None)
    }

    fn with_held_out(
        spec: TrainerSpec,
        fusion: Fusion,
        limits: Limits,
        sets: &[Set],
        share: Option<&Share>,
    ) -> Result<Draft, TrainError> {
        let (data, scaling, first) = (&spec.dataset, &spec.scaling, &spec.members[0]);
        let builder = PlanBuilder::new(&spec.model, spec.members.len(), scaling.subtract.len(), scaling.add, limits);
        let mut builder = builder.fusion(fusion).precision(first.precision)?.augment(spec.changes()?);
        builder = builder.mixup(spec.augment.mixing());
        let mut batches = spec.batches();
        if let Some(share) = share {
            batches.size = share.rows;
            builder = builder.in_parts(share.parts);
        }
        let source = builder.source(Set::Train.name(), spec::layout(&data.train, spec.folds), batches);
        builder.training(&source, &spec.train, &first.optimizer, first.schedule.is_by_step())?;
        let held_out: Vec<(Set, &Examples)> = sets.iter().filter_map(|set| Some((*set, set.of(data)?))).collect();
        let largest = held_out.iter().map(|(set, _)| spec.examples_of(*set)).max().unwrap_or(0);
        let batches = spec::evaluation_batches(&spec.model, largest);
        for (set, examples) in held_out {
            let source = builder.source(set.name(), spec::layout(examples, spec.folds), batches);
            builder.evaluation(&source, first.optimizer.l2);
        }
        let mut names = builder.finish_plan()?;
        let steps_per_epoch = names.plan.io.as_ref().and_then(|io| Some(io.training.as_ref()?.steps_per_epoch));
        let steps_per_epoch = steps_per_epoch.unwrap_or(1);
        let hyper = |member: &Member| {
            let rate = member.schedule.learning_rate(member.optimizer.learning_rate, 0, spec.train.epochs);
            hyper_words(&member.optimizer, rate, member.schedule.warmup(steps_per_epoch))
        };
        let hyper: Vec<f32> = spec.members.iter().flat_map(hyper).collect();
        begin_with(&mut names, &spec.model, scaling, &hyper);
        let TrainingPlan { mut plan, not_fused, meetings, .. } = names;
        if let Some(Io { training: Some(training), .. }) = &mut plan.io {
            training.learning_rates = learning_rates(&spec);
            let (counters, scalars): (Vec<_>, Vec<_>) = spec.members.iter().map(Member::initial_state).unzip();
            let state = [
                Initial { buffer: training.counters, words: counters.concat() },
                Initial { buffer: training.scalars, words: bytemuck::cast_slice(&scalars.concat()).to_vec() },
            ];
            plan.init.extend(state);
            if let Some(buffer) = training.rate_factors {
                let of = |member: &Member| -> Vec<u32> {
                    let base = member.optimizer.learning_rate;
                    let factors = member.schedule.factors(base, steps_per_epoch, spec.train.epochs);
                    factors.map(f32::to_bits).collect()
                };
                let words = spec.members.iter().flat_map(of).collect();
                plan.init.push(Initial { buffer, words });
            }
        }
        Ok(Draft { spec, plan, not_fused, meetings })
    }

    /// The plan with initial weights: of each model a vector per tensor.
    pub fn with_weights(mut self, models: &[Vec<Vec<f32>>]) -> Result<Draft, TrainError> {
        let Some(io) = &self.plan.io else { return Err(PlanError::NoIo.into()) };
        if models.len() != self.spec.members.len() {
            let (found, wanted) = (models.len(), self.spec.members.len());
            return Err(TrainError::NotOfModel(format!("there are weights of {found} models, not of {wanted}")));
        }
        if let Some(problem) = models.iter().find_map(|weights| io.misfit(weights)) {
            return Err(TrainError::NotOfModel(problem));
        }
        self.plan.init.extend(weights_of(io, models));
        Ok(self)
    }

    /// The plan with all examples in it, for hosts that have no others.
    pub fn with_examples(mut self) -> Result<Draft, TrainError> {
        let io = self.plan.io.clone().ok_or(PlanError::NoIo)?;
        if let Some(source) = io.sources.iter().find(|source| source.window.is_some()) {
            return Err(TrainError::StreamedPlan { set: source.name.clone(), bytes: source.bytes() });
        }
        let mut add = |buffer, offset: usize, words: &[u32]| {
            match self.plan.init.last_mut().filter(|_| offset > 0) {
                Some(initial) => initial.words.extend_from_slice(words),
                None => self.plan.init.push(Initial { buffer, words: words.to_vec() }),
            }
            Ok::<_, TrainError>(())
        };
        let sets = sets(&self.spec, &io)?;
        io.sources.iter().zip(&sets).try_for_each(|(source, set)| upload::examples(&mut add, source, set.borrow()))?;
        Ok(self)
    }

    /// Whether training steps are fused into two launches.
    pub fn is_fused(&self) -> bool {
        self.not_fused.is_none()
    }

    /// Why a training step is not fused into two launches; nothing if it is.
    pub fn not_fused(&self) -> Option<&NotFused> {
        self.not_fused.as_ref()
    }

    /// The plan, with the planner's variants of its launches.
    pub fn plan(&self) -> &LaunchPlan {
        &self.plan
    }
}

/// What the buffers of these models' weights begin with.
pub(super) fn weights_of(io: &Io, models: &[Vec<Vec<f32>>]) -> Vec<Initial> {
    let packed: Vec<Vec<Vec<u32>>> = models.iter().map(|weights| io.pack(weights)).collect();
    let of_all = |part: usize| packed.iter().flat_map(|parts| &parts[part]).copied().collect();
    let trained = io.training.as_ref().and_then(|training| training.trained);
    let trained = trained.map(|buffer| Initial { buffer, words: of_all(0) });
    let initial = io.buffers().enumerate().map(|(part, (buffer, _))| Initial { buffer, words: of_all(part) });
    initial.chain(trained).collect()
}

/// The members' rates in every epoch of a run, as far as they are known before it.
fn learning_rates(spec: &TrainerSpec) -> Option<Vec<EpochRates>> {
    const MOST_EPOCHS: u32 = 1 << 20;
    let (members, epochs) = (&spec.members, spec.train.epochs);
    let is_constant = |member: &Member| member.schedule.is_by_step() || member.schedule.kind == ScheduleKind::Constant;
    let last = if members.iter().all(is_constant) { 1 } else { epochs.max(1) };
    let decides = |member: &Member| matches!(member.schedule.kind, ScheduleKind::Plateau { .. });
    let slows = spec.train.early_stop.is_some_and(|rule| rule.slow_down.is_some());
    if slows || members.iter().any(decides) || last > MOST_EPOCHS {
        return None;
    }
    let rate = |member: &Member, epoch| member.schedule.learning_rate(member.optimizer.learning_rate, epoch, epochs);
    let mut rates: Vec<EpochRates> = Vec::new();
    for epoch in 0..last {
        let bits = members.iter().map(|member| rate(member, epoch).to_bits()).collect();
        if rates.last().is_none_or(|before| before.bits != bits) {
            rates.push(EpochRates { epoch, bits });
        }
    }
    Some(rates)
}

/// The sets of a plan in its order, as the data set has them.
pub(super) fn sets(spec: &TrainerSpec, io: &Io) -> Result<Vec<SharedSet>, TrainError> {
    let known = |name: &str| Set::ALL.into_iter().find(|set| set.name() == name);
    let set = |name: &str| SharedSet::of(&spec.dataset, known(name)?);
    let sets = io.sources.iter().map(|source| {
        set(&source.name)
            .ok_or_else(|| TrainError::OtherPlan(format!("it has a set {}, and there is none", source.name)))
    });
    sets.collect()
}

/// The set of an evaluation outside of training.
pub(super) const EXAMPLES: &str = "examples";

/// By what an evaluation normalises where the model normalises over batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NormalisedBy {
    /// The running statistics.
    Running,
    /// Each batch's own, as in training.
    Batch,
}

/// The plan of an evaluation of so many models over a set of examples, the optimizer's L2 penalty a part of the loss.
pub(super) fn evaluation(
    (model, scaling, optimizer): (&Model, &Scaling, &OptimizerSpec),
    examples: &Examples,
    models: usize,
    by: NormalisedBy,
    limits: Limits,
) -> Result<LaunchPlan, TrainError> {
    let mut builder = PlanBuilder::new(model, models, scaling.subtract.len(), scaling.add, limits);
    let mut batches = spec::evaluation_batches(model, examples.count());
    if by == NormalisedBy::Batch && !model.statistics.is_empty() {
        builder = builder.by_batch();
        // Batches of about one size: the statistics of a short last one would tell little.
        let count = examples.count();
        batches.size = count.div_ceil(count.div_ceil(batches.size));
        check::has_variance(model, batches.size, count, false)?;
    }
    // An evaluation does not weigh.
    let layout = DataLayout { weighted: false, ..spec::layout(examples, 1) };
    let source = builder.source(EXAMPLES, layout, batches);
    builder.evaluation(&source, optimizer.l2);
    let mut names = builder.finish_plan()?;
    begin_with(&mut names, model, scaling, &vec![hyper_words(optimizer, 0.0, 0); models].concat());
    Ok(names.plan)
}

/// Adds to a plan what it begins with whatever it does.
fn begin_with(names: &mut TrainingPlan, model: &Model, scaling: &Scaling, hyper: &[f32]) {
    let floats = |buffer: BufferId, values: &[f32]| Initial { buffer, words: bytemuck::cast_slice(values).to_vec() };
    let weights = model.parameters.iter().zip(model.frozen_parameters());
    let weights = weights.map(|(parameter, frozen)| parameter.role == TensorRole::Weight && !frozen);
    let init = [
        floats(names.scaling[0], &scaling.subtract),
        floats(names.scaling[1], &scaling.divide),
        Initial { buffer: names.weight_blocks, words: names.layout.weight_blocks(weights) },
        floats(names.hyper, hyper),
    ];
    names.plan.init.extend(init);
}
