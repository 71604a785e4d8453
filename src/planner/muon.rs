//! Muon's steps of weights: each direction that the flat update leaves is brought to singular values near 1 by the iteration of
//! Newton and Schulz, and taken. All in f32, also in mixed precision: the iteration lifts small singular values several hundred
//! times, and with them what rounding leaves of those that are 0.

use super::builder::PlanBuilder;
use crate::ir::{BufferId, Element, Role, Slice};
use crate::kernel::Launch;
use crate::kernel::dense::tiling::{Product, Tile};
use crate::kernel::dense::{self, Tiling, backward_input, forward};
use crate::kernel::formula::activation::LINEAR;
use crate::kernel::optimizer::{muon_apply, muon_normalise, muon_polynomial};
use crate::kernel::reduce::sum_squares;
use crate::layers::TensorRole;
use crate::recipe::{LearningRateAdjustment, OptimizerKind, OptimizerSpec, Precision};
use std::sync::Arc;

/// Where directions are made orthogonal, one weight after the other.
pub(super) struct Workspace {
    /// (models, short side, long side): before an iteration and after it, in turn.
    matrices: [BufferId; 2],
    /// (models, short side, short side).
    gram: BufferId,
    /// The same size.
    square: BufferId,
    /// (models, parts).
    norm_parts: BufferId,
}

/// A weight as a matrix.
#[derive(Clone, Copy)]
struct Weight {
    index: usize,
    /// Outputs or filters.
    rows: usize,
    /// All that one of them sees.
    columns: usize,
}

impl Weight {
    fn len(self) -> usize {
        self.rows * self.columns
    }

    fn short(self) -> usize {
        self.rows.min(self.columns)
    }

    fn long(self) -> usize {
        self.rows.max(self.columns)
    }

    /// What the learning rate is multiplied by, as in torch.optim.Muon.
    fn factor(self, adjustment: LearningRateAdjustment) -> f32 {
        let [rows, columns] = [self.rows as f64, self.columns as f64];
        let factor = match adjustment {
            LearningRateAdjustment::Original => (rows / columns).max(1.0).sqrt(),
            LearningRateAdjustment::MatchRmsAdamw => 0.2 * rows.max(columns).sqrt(),
        };
        factor as f32
    }
}

impl PlanBuilder<'_> {
    /// The weights that are trained.
    fn trained_weights(&self) -> Vec<Weight> {
        let parameters = self.model.parameters.iter().zip(self.model.frozen_parameters()).enumerate();
        let trained = parameters.filter(|(_, (parameter, frozen))| parameter.role == TensorRole::Weight && !frozen);
        let weight = |(index, (parameter, _)): (usize, (&crate::layers::Parameter, bool))| {
            let rows = parameter.shape[0];
            Weight { index, rows, columns: parameter.len() / rows }
        };
        trained.map(weight).collect()
    }

    /// The memory that Muon needs beside its state.
    pub(super) fn muon_workspace(&mut self, optimizer: &OptimizerSpec) -> Option<Workspace> {
        let weights = self.trained_weights();
        if optimizer.kind != OptimizerKind::Muon || weights.is_empty() {
            return None;
        }
        let models = self.models;
        let mut buffer = |name: &str, len: &dyn Fn(Weight) -> usize| {
            let most = weights.iter().map(|weight| len(*weight)).max().unwrap_or(0);
            self.out.plan.buffer(format!("muon.{name}"), Element::F32, models * most, Role::Activations)
        };
        Some(Workspace {
            matrices: ["matrix", "next_matrix"].map(|name| buffer(name, &Weight::len)),
            gram: buffer("gram", &|weight| weight.short() * weight.short()),
            square: buffer("square", &|weight| weight.short() * weight.short()),
            norm_parts: buffer("norm_parts", &|weight| sum_squares::parts(weight.len())),
        })
    }

    /// The steps of all weights, whose directions lie where the others have their second moments.
    pub(super) fn muon_steps(
        &self,
        workspace: Option<&Workspace>,
        optimizer: &OptimizerSpec,
        moments: &[BufferId],
        scalars: BufferId,
    ) -> Vec<Arc<dyn Launch>> {
        let Some(workspace) = workspace else { return Vec::new() };
        let step = |weight: Weight| {
            let mut launches = self.normalised(workspace, weight, moments[1]);
            for iteration in 0..optimizer.ns_steps as usize {
                let [from, to] = [iteration % 2, 1 - iteration % 2].map(|at| workspace.matrices[at]);
                launches.extend(self.iteration(workspace, weight, [from, to]));
            }
            let last = workspace.matrices[optimizer.ns_steps as usize % 2];
            launches.push(self.applied(weight, optimizer, last, scalars));
            launches
        };
        self.trained_weights().into_iter().flat_map(step).collect()
    }

    fn label(&self, weight: Weight, what: &str) -> String {
        format!("{} {what}", self.model.parameters[weight.index].name)
    }

    /// The start of a buffer, so many elements for each model.
    fn start(&self, buffer: BufferId, len: usize) -> Slice {
        Slice { buffer, offset: 0, len: self.models * len }
    }

    fn normalised(&self, workspace: &Workspace, weight: Weight, directions: BufferId) -> Vec<Arc<dyn Launch>> {
        let (layout, plan, models) = (&self.out.layout, &self.out.plan, self.models);
        let direction = layout.slice(directions, weight.index, weight.index);
        let parts = sum_squares::parts(weight.len());
        let norm_parts = self.start(workspace.norm_parts, parts);
        let (stride, parts) = (layout.stride as u32, parts as u32);
        let squares = sum_squares::SumSquares {
            label: self.label(weight, "squared direction"),
            shape: sum_squares::Params {
                len: weight.len() as u32,
                stride,
                first: 0,
                parts,
                output_stride: parts,
                output_first: 0,
            },
            models,
            weights_only: false,
            with_l2: false,
            operands: sum_squares::Operands {
                values: direction,
                weights: direction,
                weight_blocks: plan.whole(self.out.weight_blocks),
                hyper: plan.whole(self.out.hyper),
                parts: norm_parts,
            },
        };
        let normalise = muon_normalise::Normalise {
            label: self.label(weight, "direction"),
            shape: muon_normalise::Params { rows: weight.rows as u32, columns: weight.columns as u32, stride, parts },
            models,
            direction,
            norm_parts,
            matrix: self.start(workspace.matrices[0], weight.len()),
        };
        vec![Arc::new(squares), Arc::new(normalise)]
    }

    /// `X <- (a I + b G + c G G) X` with `G = X X'`.
    fn iteration(&self, workspace: &Workspace, weight: Weight, [from, to]: [BufferId; 2]) -> [Arc<dyn Launch>; 4] {
        let (short, long) = (weight.short(), weight.long());
        let [from, to] = [from, to].map(|buffer| self.start(buffer, weight.len()));
        let [gram, square] = [workspace.gram, workspace.square].map(|buffer| self.start(buffer, short * short));
        let tiling = |columns| Tiling::plain(Tile::choose([short, columns], self.models, self.limits.busy_workgroups));
        // A matrix times its own transpose.
        let with_itself = |what: &str, matrix: Slice, columns: usize, output: Slice| dense::Forward {
            label: self.label(weight, what),
            shape: forward::Params {
                rows: short as u32,
                inputs: columns as u32,
                outputs: short as u32,
                parameter_stride: (short * columns) as u32,
                input_stride: (short * columns) as u32,
            },
            models: self.models,
            activation: LINEAR,
            tiling: tiling(short),
            operands: forward::Operands { input: matrix, weight: matrix, bias: None, output },
        };
        let polynomial = muon_polynomial::Polynomial {
            label: self.label(weight, "polynomial"),
            shape: muon_polynomial::Params { side: short as u32 },
            models: self.models,
            gram,
            square,
        };
        let product = dense::BackwardInput {
            label: self.label(weight, "iteration"),
            shape: backward_input::Params {
                rows: short as u32,
                inputs: long as u32,
                outputs: short as u32,
                parameter_stride: weight.len() as u32,
            },
            models: self.models,
            activation: LINEAR,
            tiling: tiling(long),
            operands: backward_input::Operands {
                output_gradient: square,
                weight: from,
                saved: from,
                input_gradient: to,
            },
        };
        [
            Arc::new(with_itself("gram", from, long, gram).planned()),
            Arc::new(with_itself("squared gram", gram, short, square).planned()),
            Arc::new(polynomial),
            Arc::new(product.planned()),
        ]
    }

    fn applied(
        &self,
        weight: Weight,
        optimizer: &OptimizerSpec,
        matrix: BufferId,
        scalars: BufferId,
    ) -> Arc<dyn Launch> {
        let layout = &self.out.layout;
        Arc::new(muon_apply::Apply {
            label: self.label(weight, "step"),
            shape: muon_apply::Params {
                rows: weight.rows as u32,
                columns: weight.columns as u32,
                stride: layout.stride as u32,
                factor: weight.factor(optimizer.adjust_lr_fn),
            },
            models: self.models,
            skips: self.precision == Precision::Mixed,
            matrix: self.start(matrix, weight.len()),
            hyper: self.out.plan.whole(self.out.hyper),
            scalars: self.out.plan.whole(scalars),
            parameters: layout.slice(self.trained, weight.index, weight.index),
        })
    }
}
