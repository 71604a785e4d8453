//! A graph's nodes as the phases of a program, and the bookkeeping around them.

use super::builder::{GraphMemory, PlanBuilder};
use crate::graph::{Lowering, Node, Scaling, ValueId, Weighing};
use crate::ir::{BufferId, PhaseKind, Slice, SourceBuffers};
use crate::kernel::step::finish_step::Kind;
use crate::kernel::{self, Launch, LaunchPhase, LaunchProgram};
use crate::model::Network;
use crate::recipe::Precision;
use std::sync::Arc;

impl PlanBuilder<'_> {
    /// The phases of the graph's nodes. The penalty is a part of the loss: its sum belongs to the forward pass.
    pub(super) fn lower(
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

    /// The bookkeeping after a batch.
    pub(super) fn finish(
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

    /// What makes the epoch's loss a mean by the weights of its examples, after a batch's bookkeeping.
    pub(super) fn weigh_epoch(&self, weight_sums: BufferId, counters: BufferId, scalars: BufferId) -> Arc<dyn Launch> {
        let [weight_sums, counters, scalars] = [weight_sums, counters, scalars].map(|id| self.out.plan.whole(id));
        let (label, models) = ("weighed epoch".into(), self.models);
        Arc::new(kernel::loss::WeighEpoch { label, models, counters, weight_sums, scalars })
    }

    pub(super) fn begin(&self, label: &str, counters: BufferId, scalars: BufferId) -> Arc<dyn Launch> {
        let [hyper, counters, scalars] = [self.out.hyper, counters, scalars].map(|id| self.out.plan.whole(id));
        Arc::new(kernel::step::begin_epoch::BeginEpoch {
            label: label.into(),
            models: self.models,
            hyper,
            counters,
            scalars,
        })
    }

    /// A program in the precision that was asked for.
    pub(super) fn in_precision(&self, program: LaunchProgram) -> LaunchProgram {
        match self.precision {
            Precision::F32 => program,
            Precision::Mixed => program.mixed(&self.limits),
        }
    }
}
