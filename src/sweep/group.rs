//! Which runs train side by side.

use super::Sweep;
use crate::backend::Backend;
use crate::data::{Dataset, Scaling, TrainedOn};
use crate::ir::Role;
use crate::model::Model;
use crate::planner::Fusion;
use crate::recipe::{Activation, By, Loss, OptimizerSpec, Recipe, Schedule, ScheduleKind, StartSpec};
use crate::train::{Draft, Member, TrainerSpec};
use std::sync::Arc;

/// Memory that the models of a group may take together, beside the data. More would not make the device busier.
const MEMBERS_BYTES: u64 = 2 << 30;

/// Runs whose numbers alone differ, so that one plan trains all of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// What they share.
    shared: Recipe,
    /// Numbers of the runs.
    pub runs: Vec<usize>,
}

impl Group {
    /// Whether both work on the same examples.
    pub(super) fn same_data(&self, other: &Group) -> bool {
        let of = |recipe: &Recipe| {
            let model = &recipe.model;
            (recipe.data.clone(), recipe.seed, model.input.clone(), model.looks_up_categories(), targets(recipe))
        };
        of(&self.shared) == of(&other.shared)
    }
}

/// Puts the runs into groups: those that share the data stand one after the other, so that each data set is loaded
/// once.
pub(super) fn groups(sweep: &Sweep, runs: &[usize]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for &run in runs {
        let entry = &sweep.entries[run];
        let shared = shared(&entry.recipe);
        match groups.iter_mut().find(|group| group.shared == shared) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group { shared, runs: vec![run] }),
        }
    }
    let mut sorted: Vec<Group> = Vec::new();
    for group in groups {
        let after = sorted.iter().rposition(|other| other.same_data(&group));
        sorted.insert(after.map_or(sorted.len(), |at| at + 1), group);
    }
    sorted
}

/// The recipe without what may differ between runs that train side by side: seed, initial weights and where they come from, the numbers of the
/// optimizer (but not which of its terms there are) and of the schedule.
fn shared(recipe: &Recipe) -> Recipe {
    let given = &recipe.optimizer;
    let one_if = |wanted: bool| f32::from(u8::from(wanted));
    let optimizer = OptimizerSpec {
        learning_rate: 1.0,
        momentum: one_if(given.momentum != 0.0),
        nesterov: given.nesterov,
        ns_steps: given.ns_steps,
        adjust_lr_fn: given.adjust_lr_fn,
        centered: given.centered,
        l2: one_if(given.l2 != 0.0),
        weight_decay: 0.0,
        decay_bias: given.decay_bias,
        clip_norm: given.clip_norm.map(|_| 1.0),
        ..OptimizerSpec::new(given.kind)
    };
    let kind = match &recipe.schedule.kind {
        // The trainer looks at the metrics of one member.
        ScheduleKind::Plateau { metric, .. } => ScheduleKind::Plateau {
            metric: *metric,
            factor: 1.0,
            patience: 0,
            threshold: 0.0,
            cooldown: 0,
            min_lr: 0.0,
        },
        // Only a schedule by step has a table of the steps' rates.
        _ if recipe.schedule.is_by_step() => ScheduleKind::Cosine { min: 0.0, by: By::Step },
        _ => ScheduleKind::Constant,
    };
    let mut shared = Recipe {
        name: String::new(),
        // What the seed decides beside the members' own: which examples are held out.
        seed: recipe.data_seed(),
        optimizer,
        schedule: Schedule { kind, ..Schedule::default() },
        ..recipe.clone()
    };
    shared.data.seed = None;
    shared.start = StartSpec { freeze: recipe.start.freeze.clone(), ..StartSpec::default() };
    shared.model.init = crate::recipe::Init::Zeros;
    shared.model.bias_init = None;
    for layer in &mut shared.model.layers {
        let plain = layer.kind.without_init();
        layer.change(plain);
    }
    (shared.train.checkpoint_every, shared.train.checkpoint_steps) = (0, 0);
    shared
}

/// What decides how labels are read; values of a table also by what the last layer can give.
fn targets(recipe: &Recipe) -> (Loss, Option<usize>, Option<Activation>) {
    let width = recipe.model.layers.iter().rev().find_map(|layer| layer.kind.width());
    (recipe.model.loss, width, recipe.model.layers.last().and_then(|layer| layer.kind.activation()))
}

/// How many of `wanted` members fit the device side by side; at least one.
pub(super) fn members_that_fit(
    backend: &dyn Backend,
    model: &Model,
    dataset: &Arc<Dataset>,
    scaling: &Scaling,
    recipe: &Recipe,
    wanted: usize,
) -> usize {
    let mut count = wanted.max(1);
    let member = Member::of(recipe);
    let train = &recipe.train;
    while count > 1 {
        let members = vec![member.clone(); count];
        let (model, dataset, scaling, train) = (model.clone(), Arc::clone(dataset), scaling.clone(), train.clone());
        // Names and units take no memory there.
        let (trained_on, augment) = (TrainedOn::default(), recipe.augment.clone());
        let spec = TrainerSpec { model, dataset, scaling, trained_on, train, augment, members, folds: 1 };
        if bytes(backend, spec).is_some_and(|bytes| bytes <= MEMBERS_BYTES) {
            break;
        }
        count = count.div_ceil(2);
    }
    count
}

/// Bytes of the members, beside the data; none if the device refuses their plan.
fn bytes(backend: &dyn Backend, spec: TrainerSpec) -> Option<u64> {
    let draft = Draft::new(spec, Fusion::Auto, backend.limits()).ok()?;
    Some(draft.plan().buffers.iter().filter(|buffer| buffer.role != Role::Data).map(|buffer| buffer.bytes()).sum())
}
