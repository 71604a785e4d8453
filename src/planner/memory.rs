//! The buffers of a plan: those of a graph's values, and those of what surrounds it.

use super::builder::{GraphMemory, PlanBuilder, WEIGHT_SUMS_BUFFER};
use crate::graph::ValueId;
use crate::graph::memory;
use crate::graph::mixup::Mixing;
use crate::ir::{BufferId, Element, Initial, Role, Slice};
use crate::kernel;
use crate::kernel::loss::weights::WEIGHT_SUMS;
use crate::kernel::mixup::{Pairs, quantiles};
use crate::kernel::step::state;
use crate::model::Network;
use crate::recipe::{OptimizerKind, OptimizerSpec};

impl PlanBuilder<'_> {
    /// Memory for the sums of the widest layer that normalises over the batch, where there is one.
    pub(super) fn norm_sums(&mut self) -> Option<Slice> {
        let norms = self.model.layers.iter().filter(|layer| layer.normalises_batches());
        let channels = norms.flat_map(|layer| &layer.statistics).map(|index| self.model.statistics[*index].len());
        let len = self.models * 2 * channels.max()?;
        let buffer = self.out.plan.buffer("train.norm_sums", Element::F32, len, Role::Activations);
        Some(self.out.plan.whole(buffer))
    }

    pub(super) fn allocate(&mut self, network: Network, batch: usize, prefix: &str) -> GraphMemory {
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
    pub(super) fn mixing(&mut self, strength: f32, batch: usize) -> Mixing {
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

    pub(super) fn step_state(&mut self, prefix: &str) -> [BufferId; 2] {
        let counters = format!("{prefix}.counters");
        let scalars = format!("{prefix}.scalars");
        [
            self.out.plan.buffer(counters, Element::U32, self.models * state::COUNTERS, Role::State),
            self.out.plan.buffer(scalars, Element::F32, self.models * state::SCALARS, Role::State),
        ]
    }

    /// The sums of the weights of a batch, of its update and of its epoch.
    pub(super) fn weight_sums(&mut self) -> BufferId {
        self.out.plan.buffer(WEIGHT_SUMS_BUFFER, Element::F32, self.models * WEIGHT_SUMS, Role::State)
    }

    /// A buffer that is laid out like the parameters.
    pub(super) fn buffer_like_parameters(&mut self, name: &str, role: Role) -> BufferId {
        let len = self.out.layout.len();
        self.out.plan.buffer(name, Element::F32, len, role)
    }

    /// What the optimizer keeps of each parameter.
    pub(super) fn moments(&mut self, optimizer: &OptimizerSpec) -> Vec<BufferId> {
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
    pub(super) fn sums(&mut self, name: &str, wanted: bool) -> Option<Slice> {
        wanted.then(|| {
            let parts = kernel::reduce::sum_squares::parts(self.out.layout.stride);
            let id = self.out.plan.buffer(name, Element::F32, self.models * parts, Role::Metrics);
            self.out.plan.whole(id)
        })
    }

    /// The memory of a value: (models, batch, len) floats, or (models, len) of one of the batch.
    pub(super) fn slice_of(&self, memory: &GraphMemory, value: ValueId) -> Slice {
        let buffer = memory.buffers[memory.assignment.buffer_of[value.0]];
        let elements = memory.network.graph.values[value.0].elements(memory.batch);
        Slice { buffer, offset: 0, len: self.models * elements }
    }
}
