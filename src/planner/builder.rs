//! Builds the plan of a training run or an evaluation: buffers, programs, and the names the trainer knows them by.

use super::fusion::{Fusion, NotFused, Request, StepBuffers};
use crate::graph::memory::{self, Assignment};
use crate::graph::mixup::Mixing;
use crate::graph::{Lowering, Node, ParameterLayout, Scaling, ValueId, Weighing};
use crate::ir::{
    Accumulation, Batches, BufferId, DataLayout, Element, Evaluation, Initial, Io, Limits, ParameterBuffers, PhaseKind,
    PlanError, ProgramId, Role, Slice, SourceBuffers, StatisticBuffers, TensorPlace, Training,
};
use crate::kernel::loss::weights::{Updates, WEIGHT_SUMS};
use crate::kernel::mixup::{Pairs, quantiles};
use crate::kernel::norm::over_ranks::Meeting;
use crate::kernel::pointwise::dropout::Masks;
use crate::kernel::step::augment;
use crate::kernel::step::finish_step::Kind;
use crate::kernel::step::state;
use crate::kernel::{self, Launch, LaunchPhase, LaunchPlan, LaunchProgram};
use crate::layers::Parameter;
use crate::model::{Changes, Model, Network};
use crate::recipe::{OptimizerKind, OptimizerSpec, Precision, Record, TrainSpec};
use std::sync::Arc;

/// Why a plan could not be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// Mixed precision on a device without it.
    #[error(
        "precision = \"mixed\" needs a device that computes with 16-bit floats (shader_f16 in `gputrain devices`), and this one does not; set precision = \"f32\", or use --backend cpu"
    )]
    NoF16,
    /// The plan does not fit the device.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The rates of more steps than a table holds.
    #[error(
        "the schedule changes the learning rate from step to step, and the run has more than {most} of them; lower train.epochs, or set schedule.by = \"epoch\""
    )]
    TooManyRates {
        /// Steps that would do.
        most: usize,
    },
    /// A fused step was asked for.
    #[error("the training step cannot be fused, as was asked for: {0}")]
    NotFused(#[from] NotFused),
}

/// A finished plan with what its parts are called.
#[derive(Debug, Clone)]
pub struct TrainingPlan {
    /// Buffers and programs.
    pub plan: LaunchPlan,
    /// Where each parameter lives in `parameters`.
    pub layout: ParameterLayout,
    /// Flat parameters of all models.
    pub parameters: BufferId,
    /// Where each statistic lives in `statistics`.
    pub statistics_layout: ParameterLayout,
    /// Flat statistics of all models, where there are any.
    pub statistics: Option<BufferId>,
    /// One word per 64 elements of a model: 1 where they are weights.
    pub weight_blocks: BufferId,
    /// (models, HYPER).
    pub hyper: BufferId,
    /// Subtracted from each feature, and divided by.
    pub scaling: [BufferId; 2],
    /// Why the training step is not fused into two launches; nothing if it is, or if nothing is trained.
    pub not_fused: Option<NotFused>,
    /// Where ranks that share the batches must meet before the end of a backward pass.
    pub meetings: Meetings,
}

/// Where a pass of ranks is cut, and the programs that go on from there.
#[derive(Debug, Clone, Default)]
pub struct Meetings {
    /// After the program of a batch that does not end a step ([`Accumulation::batch`]).
    pub of_batch: Vec<(Meeting, ProgramId)>,
    /// After the first half of a step ([`Training::halves`]).
    pub of_step: Vec<(Meeting, ProgramId)>,
}

/// The buffer of what the weights of a batch's examples come to.
pub(crate) const WEIGHT_SUMS_BUFFER: &str = "train.weight_sums";

/// Memory of one graph: a buffer per assigned slot.
pub(super) struct GraphMemory {
    pub(super) network: Network,
    pub(super) assignment: Assignment,
    pub(super) buffers: Vec<BufferId>,
    pub(super) indices: BufferId,
    /// For mixing the batch, where that is done.
    pub(super) mixing: Option<Mixing>,
    /// For sums that are split over workgroups, where there are any.
    pub(super) scratch: Option<BufferId>,
    /// For the sums of norms on which ranks have agreed, where they share the batch.
    pub(super) norm_sums: Option<Slice>,
    pub(super) batch: usize,
}

/// Builds a [`TrainingPlan`].
pub struct PlanBuilder<'a> {
    pub(super) model: &'a Model,
    pub(super) models: usize,
    pub(super) limits: Limits,
    pub(super) out: TrainingPlan,
    pub(super) scaling_add: f32,
    /// What the update takes.
    pub(super) gradients: BufferId,
    /// The gradients of one batch: the same, but where several make an update.
    pub(super) batch_gradients: BufferId,
    /// The weights that steps train: the parameters, but where those are a moving average.
    pub(super) trained: BufferId,
    /// A word for bindings that a variant leaves untouched.
    pub(super) unused: BufferId,
    pub(super) fusion: Fusion,
    pub(super) precision: Precision,
    /// How training changes images.
    augment: Option<augment::Params>,
    /// The strength with which training mixes the examples of a batch, if it does.
    mixup: Option<f32>,
    /// The parts in which training takes each of its batches.
    parts: usize,
    /// How training draws the masks of dropout.
    masks: Masks,
    /// Bytes left for the examples of further sets.
    data_room: u64,
    /// Whether evaluations normalise batches by their own statistics.
    own_statistics: bool,
    evaluation: Option<(GraphMemory, [BufferId; 3])>,
    sources: Vec<SourceBuffers>,
    training: Option<Training>,
    evaluations: Vec<Evaluation>,
}

impl<'a> PlanBuilder<'a> {
    /// Starts a plan for `models` copies of a model. Features are scaled by `scaling_len` pairs of numbers (one for all,
    /// or one per feature) and `scaling_add`.
    pub fn new(model: &'a Model, models: usize, scaling_len: usize, scaling_add: f32, limits: Limits) -> Self {
        let mut plan = LaunchPlan::default();
        let layout = ParameterLayout::with_frozen(
            model.parameters.iter().map(Parameter::len).collect(),
            &model.frozen_parameters(),
            models,
        );
        let parameters = plan.buffer("parameters", Element::F32, layout.len(), Role::Parameters);
        let gradients = plan.buffer("gradients", Element::F32, layout.len(), Role::Gradients);
        let weight_blocks = plan.buffer("weight_blocks", Element::U32, layout.stride / 64, Role::State);
        let hyper = plan.buffer("hyper", Element::F32, models * state::HYPER, Role::State);
        let scaling =
            ["scaling.subtract", "scaling.divide"].map(|name| plan.buffer(name, Element::F32, scaling_len, Role::Data));
        let unused = plan.buffer("unused", Element::F32, 64, Role::Activations);
        let statistics_layout = ParameterLayout::new(model.statistics.iter().map(Parameter::len).collect(), models);
        let statistics = (!statistics_layout.is_empty())
            .then(|| plan.buffer("statistics", Element::F32, statistics_layout.len(), Role::State));
        let out = TrainingPlan {
            plan,
            layout,
            parameters,
            statistics_layout,
            statistics,
            weight_blocks,
            hyper,
            scaling,
            not_fused: None,
            meetings: Meetings::default(),
        };
        PlanBuilder {
            model,
            models,
            limits,
            out,
            scaling_add,
            gradients,
            batch_gradients: gradients,
            trained: parameters,
            unused,
            fusion: Fusion::Auto,
            precision: Precision::F32,
            augment: None,
            mixup: None,
            parts: 1,
            masks: Masks::BY_STEP,
            data_room: limits.data_bytes,
            own_statistics: false,
            evaluation: None,
            sources: Vec::new(),
            training: None,
            evaluations: Vec::new(),
        }
    }

    /// Says whether to fuse training steps.
    pub fn fusion(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
    }

    /// Says how training changes the images of a batch, if it does.
    pub fn augment(mut self, augment: Option<augment::Params>) -> Self {
        self.augment = augment;
        self
    }

    /// Says with which strength training mixes the examples of a batch, if it does.
    pub fn mixup(mut self, strength: Option<f32>) -> Self {
        self.mixup = strength;
        self
    }

    /// Says that training takes each of its batches in so many parts, which ranks share: the batches of the training set are
    /// then those parts, and a step takes those of all its batches.
    pub fn in_parts(mut self, parts: usize) -> Self {
        self.parts = parts;
        self
    }

    /// Says in which precision to multiply. [`BuildError::NoF16`] where the device cannot.
    pub fn precision(mut self, precision: Precision) -> Result<Self, BuildError> {
        if precision == Precision::Mixed && !self.limits.f16 {
            return Err(BuildError::NoF16);
        }
        self.precision = precision;
        Ok(self)
    }

    /// Lets evaluations normalise batches by their own statistics, as training does, not by the running ones.
    pub fn by_batch(mut self) -> Self {
        self.own_statistics = true;
        self
    }

    /// Declares the buffers of a set of examples. The first sets take the device's memory for examples; a set that finds
    /// too little left, or does not fit one binding, is streamed if that takes less.
    pub fn source(&mut self, name: &str, layout: DataLayout, batches: Batches) -> SourceBuffers {
        let (plan, models, room) = (&mut self.out.plan, self.models, self.data_room);
        let source = SourceBuffers::declare(plan, name, layout, batches, models, room, &self.limits);
        self.data_room = room.saturating_sub(source.resident_bytes());
        self.sources.push(source.clone());
        source
    }

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

    /// Adds the programs of an evaluation over `source`. All evaluations share their memory, so their batches must be of
    /// one size.
    pub fn evaluation(&mut self, source: &SourceBuffers, l2: f32) {
        let name = &source.name;
        let (memory, [counters, scalars, log]) = self.evaluation.take().unwrap_or_else(|| {
            let network = if self.own_statistics { self.model.network_by_batch() } else { self.model.network(false) };
            let memory = self.allocate(network, source.batches.size, "evaluation");
            let [counters, scalars] = self.step_state("evaluation");
            let log = self.out.plan.buffer("evaluation.log", Element::F32, 2 * self.models, Role::Metrics);
            (memory, [counters, scalars, log])
        });
        let examples = source.layout.examples;
        let penalty = self.sums(&format!("{name}.penalty"), l2 != 0.0);
        let mut begin = vec![self.begin(&format!("{name} begin"), counters, scalars)];
        begin.extend(self.penalty(penalty, self.out.parameters));
        // The penalty is that of the weights, which no batch changes: it is summed once.
        let mut phases = self.lower(&memory, source, counters, (self.out.parameters, None), None);
        let bookkeeping = self.finish(&memory, [counters, scalars, log], 1, examples, penalty, Kind::Evaluation);
        phases.push(LaunchPhase::new(PhaseKind::Finish, vec![bookkeeping]));
        let step = self.in_precision(LaunchProgram::new(format!("{name} step"), phases));
        let evaluation = Evaluation {
            name: name.clone(),
            begin: self.begin_program(&format!("{name} begin"), begin),
            step: self.out.plan.program(step),
            steps: examples.div_ceil(memory.batch),
            counters,
            scalars,
            outputs: self.slice_of(&memory, memory.network.outputs),
        };
        self.evaluation = Some((memory, [counters, scalars, log]));
        self.evaluations.push(evaluation);
    }

    /// The plan, checked against the device's limits.
    pub fn finish_plan(mut self) -> Result<TrainingPlan, BuildError> {
        let limit = self.limits.binding_bytes.min(self.limits.buffer_bytes);
        // Said in the model's words; the plan knows one buffer of all parameters.
        for parameter in &self.model.parameters {
            let needed = parameter.len() as u64 * 4;
            if needed > limit {
                let tensor = format!("{} {:?}", parameter.name, parameter.shape);
                return Err(PlanError::TooLarge { tensor, needed, limit, what: "binding", at: String::new() }.into());
            }
        }
        self.out.plan.io = Some(Io {
            models: self.models,
            parameters: self.parameter_buffers(),
            statistics: self.statistic_buffers(),
            hyper: self.out.hyper,
            slots: state::slots(),
            sources: std::mem::take(&mut self.sources),
            training: self.training.take(),
            evaluations: std::mem::take(&mut self.evaluations),
        });
        self.out.plan.lower().check(&self.limits)?;
        Ok(self.out)
    }

    fn parameter_buffers(&self) -> ParameterBuffers {
        ParameterBuffers {
            buffer: self.out.parameters,
            weight_blocks: self.out.weight_blocks,
            stride: self.out.layout.stride,
            tensors: places(&self.model.parameters, &self.out.layout),
        }
    }

    fn statistic_buffers(&self) -> Option<StatisticBuffers> {
        let layout = &self.out.statistics_layout;
        self.out.statistics.map(|buffer| StatisticBuffers {
            buffer,
            stride: layout.stride,
            tensors: places(&self.model.statistics, layout),
        })
    }

    /// Adds a program, which ends where ranks must meet; what follows that are programs of their own.
    fn cut(
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

    /// Memory for the sums of the widest layer that normalises over the batch, where there is one.
    fn norm_sums(&mut self) -> Option<Slice> {
        let norms = self.model.layers.iter().filter(|layer| layer.normalises_batches());
        let channels = norms.flat_map(|layer| &layer.statistics).map(|index| self.model.statistics[*index].len());
        let len = self.models * 2 * channels.max()?;
        let buffer = self.out.plan.buffer("train.norm_sums", Element::F32, len, Role::Activations);
        Some(self.out.plan.whole(buffer))
    }

    fn allocate(&mut self, network: Network, batch: usize, prefix: &str) -> GraphMemory {
        let graph = &network.graph;
        let kept = [network.row_loss, network.row_correct, network.outputs];
        let assignment = memory::assign(graph, &kept, batch);
        let buffers = assignment.lens.iter().enumerate().map(|(slot, len)| {
            // Several values may share the memory: it is called by the largest, which errors of size are about.
            let held = (0..graph.values.len()).rev().filter(|v| assignment.buffer_of[*v] == slot);
            let largest = held.max_by_key(|v| graph.values[*v].elements(batch)).unwrap_or(0);
            let name = format!("{prefix}.{}", graph.values[largest].name);
            self.out.plan.buffer(name, Element::F32, self.models * len, Role::Activations)
        });
        let buffers = buffers.collect();
        let indices =
            self.out.plan.buffer(format!("{prefix}.indices"), Element::U32, self.models * batch, Role::Activations);
        let scratch = graph.nodes.iter().map(|node| node.operation.scratch_len(batch, self.models)).max().unwrap_or(0);
        let scratch = (scratch > 0)
            .then(|| self.out.plan.buffer(format!("{prefix}.scratch"), Element::F32, scratch, Role::Activations));
        GraphMemory { network, assignment, buffers, indices, mixing: None, scratch, norm_sums: None, batch }
    }

    /// Memory for mixing the examples of a batch, with the ratios of this strength.
    fn mixing(&mut self, strength: f32, batch: usize) -> Mixing {
        let plan = &mut self.out.plan;
        let ratios: Vec<u32> = quantiles(strength).into_iter().map(f32::to_bits).collect();
        let table = plan.buffer("train.mixup.quantiles", Element::F32, ratios.len(), Role::Data);
        plan.init.push(Initial { buffer: table, words: ratios });
        let rows = self.models * batch;
        let mut of_rows = |name: &str, element: Element| {
            let buffer = plan.buffer(format!("train.mixup.{name}"), element, rows, Role::Activations);
            plan.whole(buffer)
        };
        let pairs = Pairs {
            own: of_rows("own", Element::U32),
            other: of_rows("other", Element::U32),
            other_examples: of_rows("other_examples", Element::U32),
            shares: of_rows("shares", Element::F32),
        };
        Mixing { quantiles: plan.whole(table), pairs }
    }

    fn step_state(&mut self, prefix: &str) -> [BufferId; 2] {
        let counters = format!("{prefix}.counters");
        let scalars = format!("{prefix}.scalars");
        [
            self.out.plan.buffer(counters, Element::U32, self.models * state::COUNTERS, Role::State),
            self.out.plan.buffer(scalars, Element::F32, self.models * state::SCALARS, Role::State),
        ]
    }

    /// The sums of the weights of a batch, of its update and of its epoch.
    fn weight_sums(&mut self) -> BufferId {
        self.out.plan.buffer(WEIGHT_SUMS_BUFFER, Element::F32, self.models * WEIGHT_SUMS, Role::State)
    }

    /// What makes the epoch's loss a mean by the weights of its examples, after a batch's bookkeeping.
    fn weigh_epoch(&self, weight_sums: BufferId, counters: BufferId, scalars: BufferId) -> Arc<dyn Launch> {
        let [weight_sums, counters, scalars] = [weight_sums, counters, scalars].map(|id| self.out.plan.whole(id));
        let (label, models) = ("weighed epoch".into(), self.models);
        Arc::new(kernel::loss::WeighEpoch { label, models, counters, weight_sums, scalars })
    }

    /// A buffer that is laid out like the parameters.
    fn buffer_like_parameters(&mut self, name: &str, role: Role) -> BufferId {
        let len = self.out.layout.len();
        self.out.plan.buffer(name, Element::F32, len, role)
    }

    /// What the optimizer keeps of each parameter.
    fn moments(&mut self, optimizer: &OptimizerSpec) -> Vec<BufferId> {
        let momentum = optimizer.momentum != 0.0;
        let names: &[(&str, usize)] = match optimizer.kind {
            OptimizerKind::Sgd if !momentum => &[],
            OptimizerKind::Sgd => &[("velocity", 1)],
            OptimizerKind::Adam | OptimizerKind::AdamW => &[("mean", 1), ("variance", 1)],
            OptimizerKind::RmsProp => match (optimizer.centered, momentum) {
                (false, false) => &[("averages", 1)],
                (false, true) => &[("averages", 1), ("velocity", 1)],
                (true, false) => &[("averages", 2)],
                (true, true) => &[("averages", 2), ("velocity", 1)],
            },
            OptimizerKind::Lion => &[("mean", 1)],
            OptimizerKind::Muon => &[("mean", 1), ("variance", 1)],
        };
        let len = self.out.layout.len();
        let plan = &mut self.out.plan;
        names.iter().map(|(name, width)| plan.buffer(*name, Element::F32, width * len, Role::State)).collect()
    }

    /// A buffer for partial sums of squares over a model's parameters, if wanted.
    fn sums(&mut self, name: &str, wanted: bool) -> Option<Slice> {
        wanted.then(|| {
            let parts = kernel::reduce::sum_squares::parts(self.out.layout.stride);
            let id = self.out.plan.buffer(name, Element::F32, self.models * parts, Role::Metrics);
            self.out.plan.whole(id)
        })
    }

    fn begin(&self, label: &str, counters: BufferId, scalars: BufferId) -> Arc<dyn Launch> {
        let [hyper, counters, scalars] = [self.out.hyper, counters, scalars].map(|id| self.out.plan.whole(id));
        Arc::new(kernel::step::begin_epoch::BeginEpoch {
            label: label.into(),
            models: self.models,
            hyper,
            counters,
            scalars,
        })
    }

    fn begin_program(&mut self, name: &str, launches: Vec<Arc<dyn Launch>>) -> ProgramId {
        self.out.plan.program(LaunchProgram::new(name, vec![LaunchPhase::new(PhaseKind::Begin, launches)]))
    }

    /// The phases of the graph's nodes. The penalty is a part of the loss: its sum belongs to the forward pass.
    fn lower(
        &self,
        memory: &GraphMemory,
        source: &SourceBuffers,
        counters: BufferId,
        (parameters, penalty): (BufferId, Option<Slice>),
        weighing: Option<Weighing>,
    ) -> Vec<LaunchPhase> {
        let plan = &self.out.plan;
        let [subtract, divide] = self.out.scaling.map(|id| plan.whole(id));
        let lowering = Lowering {
            rows: memory.batch,
            models: self.models,
            limits: &self.limits,
            layout: &self.out.layout,
            parameters,
            gradients: self.batch_gradients,
            statistics_layout: &self.out.statistics_layout,
            statistics: self.out.statistics,
            scratch: memory.scratch,
            norm_sums: memory.norm_sums,
            counters: plan.whole(counters),
            indices: plan.whole(memory.indices),
            source,
            data: plan.whole(source.data),
            targets: plan.whole(source.targets),
            weighing,
            mixing: memory.mixing,
            scaling: Scaling { subtract, divide, add: self.scaling_add },
            scaled_loss: self.precision == Precision::Mixed,
            masks: self.masks,
            unused: plan.whole(self.unused),
        };
        let slices = |values: &[ValueId]| values.iter().map(|value| self.slice_of(memory, *value)).collect::<Vec<_>>();
        let lowered = |nodes: &[Node]| -> Vec<Arc<dyn Launch>> {
            let launches = nodes.iter().map(|node| (node, slices(&node.reads), slices(&node.writes)));
            launches.flat_map(|(node, reads, writes)| node.operation.lower(&reads, &writes, &lowering)).collect()
        };
        // The first operation takes the batch out of the data; the loss ends the forward pass.
        let Network { augmentations, before_loss, .. } = memory.network;
        let (gather, others) = memory.network.graph.nodes.split_at(1);
        let (augment, others) = others.split_at(augmentations);
        let (forward, backward) = others.split_at(before_loss - augmentations);
        let mut phases = vec![LaunchPhase::new(PhaseKind::Gather, lowered(gather))];
        if !augment.is_empty() {
            phases.push(LaunchPhase::new(PhaseKind::Augment, lowered(augment)));
        }
        phases.push(LaunchPhase::new(
            PhaseKind::Forward,
            [lowered(forward), self.penalty(penalty, parameters).into_iter().collect()].concat(),
        ));
        if !backward.is_empty() {
            phases.push(LaunchPhase::new(PhaseKind::Backward, lowered(backward)));
        }
        phases
    }

    /// A program in the precision that was asked for.
    fn in_precision(&self, program: LaunchProgram) -> LaunchProgram {
        match self.precision {
            Precision::F32 => program,
            Precision::Mixed => program.mixed(&self.limits),
        }
    }

    /// The bookkeeping after a batch.
    fn finish(
        &self,
        memory: &GraphMemory,
        buffers: [BufferId; 3],
        log_steps: usize,
        examples: usize,
        penalty: Option<Slice>,
        kind: Kind,
    ) -> Arc<dyn Launch> {
        let Network { row_loss, row_correct, .. } = memory.network;
        let [row_loss, row_correct] = [row_loss, row_correct].map(|value| self.slice_of(memory, value));
        let [counters, scalars, log] = buffers.map(|id| self.out.plan.whole(id));
        let shape = kernel::step::finish_step::Params {
            rows: memory.batch as u32,
            examples: examples as u32,
            penalty_parts: penalty.map_or(0, |s| s.len / self.models) as u32,
            log_steps: log_steps as u32,
        };
        let operands = kernel::step::finish_step::Operands {
            row_loss,
            row_correct,
            penalty: penalty.unwrap_or(row_loss),
            hyper: self.out.plan.whole(self.out.hyper),
            counters,
            scalars,
            log,
        };
        Arc::new(kernel::step::finish_step::FinishStep {
            label: "finish step".into(),
            shape,
            models: self.models,
            kind,
            operands,
        })
    }

    /// The memory of a value: (models, batch, len) floats, or (models, len) of one of the batch.
    fn slice_of(&self, memory: &GraphMemory, value: ValueId) -> Slice {
        let buffer = memory.buffers[memory.assignment.buffer_of[value.0]];
        let elements = memory.network.graph.values[value.0].elements(memory.batch);
        Slice { buffer, offset: 0, len: self.models * elements }
    }
}

/// The place of each tensor in its model.
fn places(tensors: &[Parameter], layout: &ParameterLayout) -> Vec<TensorPlace> {
    let places = tensors.iter().zip(layout.offsets.iter().zip(&layout.lens));
    let place = |(tensor, (&offset, &len)): (&Parameter, (&usize, &usize))| {
        let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
        TensorPlace { name, shape, offset, len }
    };
    places.map(place).collect()
}
