//! Builds the plan of a training run or an evaluation: buffers, programs, and the names the trainer knows them by.

use super::fusion::{Fusion, NotFused};
use crate::graph::ParameterLayout;
use crate::graph::memory::Assignment;
use crate::graph::mixup::Mixing;
use crate::ir::{
    Batches, BufferId, DataLayout, Element, Evaluation, Io, Limits, ParameterBuffers, PhaseKind, PlanError, ProgramId,
    Role, Slice, SourceBuffers, StatisticBuffers, TensorPlace, Training,
};
use crate::kernel::norm::over_ranks::Meeting;
use crate::kernel::pointwise::dropout::Masks;
use crate::kernel::step::augment;
use crate::kernel::step::finish_step::Kind;
use crate::kernel::step::state;
use crate::kernel::{Launch, LaunchPhase, LaunchPlan, LaunchProgram};
use crate::layers::Parameter;
use crate::model::{Model, Network};
use crate::recipe::Precision;
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
    /// After the program of a batch that does not end a step ([`Accumulation::batch`](crate::ir::Accumulation::batch)).
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
    pub(super) augment: Option<augment::Params>,
    /// The strength with which training mixes the examples of a batch, if it does.
    pub(super) mixup: Option<f32>,
    /// The parts in which training takes each of its batches.
    pub(super) parts: usize,
    /// How training draws the masks of dropout.
    pub(super) masks: Masks,
    /// Bytes left for the examples of further sets.
    pub(super) data_room: u64,
    /// Whether evaluations normalise batches by their own statistics.
    pub(super) own_statistics: bool,
    pub(super) evaluation: Option<(GraphMemory, [BufferId; 3])>,
    pub(super) sources: Vec<SourceBuffers>,
    pub(super) training: Option<Training>,
    pub(super) evaluations: Vec<Evaluation>,
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

    pub(super) fn begin_program(&mut self, name: &str, launches: Vec<Arc<dyn Launch>>) -> ProgramId {
        self.out.plan.program(LaunchProgram::new(name, vec![LaunchPhase::new(PhaseKind::Begin, launches)]))
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
