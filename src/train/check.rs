//! What can be told before anything is allocated.

use super::measured::unfit;
use super::spec::layout;
use super::{Draft, Set, TrainError, TrainerSpec};
use crate::data::{DataError, Features, Problem, Scaling, TargetKind, TrainedOn, weights};
use crate::ir::{Dispatch, Io, Plan};
use crate::kernel::Launch;
use crate::model::{Levels, Model};
use crate::recipe::{AugmentSpec, ScheduleKind};

/// Refuses a plan of another model or other data.
pub(super) fn fits(spec: &TrainerSpec, io: &Io) -> Result<(), TrainError> {
    let other = |problem: String| Err(TrainError::OtherPlan(problem));
    folds_fit(spec)?;
    if io.models != spec.members.len() {
        return other(format!("it trains {} models side by side, not {}", io.models, spec.members.len()));
    }
    let planned = io.tensors().map(|tensor| (&tensor.name, &tensor.shape));
    let wanted = spec.model.tensors().map(|tensor| (&tensor.name, &tensor.shape));
    if !planned.clone().eq(wanted.clone()) {
        let words = |tensors: Vec<(&String, &Vec<usize>)>| {
            tensors.iter().map(|(name, shape)| format!("{name} {shape:?}")).collect::<Vec<_>>().join(", ")
        };
        return other(format!("it has the parameters {}, not {}", words(planned.collect()), words(wanted.collect())));
    }
    for set in Set::ALL {
        let layout = set.of(&spec.dataset).map(|examples| layout(examples, spec.folds));
        let planned = io.source(set.name()).map(|source| io.sources[source].layout);
        if planned != layout {
            return other(format!("its {} set is {planned:?}, and that of the data is {layout:?}", set.name()));
        }
    }
    let planned = io.source(Set::Train.name()).map(|source| io.sources[source].batches);
    if planned != Some(spec.batches()) {
        return other(format!("it takes {planned:?}, not {:?}", spec.batches()));
    }
    Ok(())
}

/// Refuses a plan that is not what is drafted, whichever variants its launches have.
pub(super) fn is_drafted(draft: &Draft, plan: &Plan) -> Result<(), TrainError> {
    let other = |what: &str| Err(TrainError::OtherPlan(format!("its {what} are not those that are planned here")));
    let drafted = &draft.plan;
    let trained = drafted.io.iter().filter_map(|io| io.training.as_ref()?.trained);
    let weights: Vec<_> =
        drafted.io.iter().flat_map(|io| io.buffers().map(|(buffer, _)| buffer)).chain(trained).collect();
    let init = plan.init.iter().filter(|initial| !weights.contains(&initial.buffer));
    if drafted.buffers != plan.buffers {
        return other("buffers");
    }
    if drafted.io != plan.io {
        return other("places of data, parameters and scores, or its learning rates,");
    }
    if !init.eq(&drafted.init) {
        return other("initial numbers");
    }
    let ours = drafted.programs.iter().map(|program| {
        let phases = program.phases.iter().map(|phase| (phase.kind, phase.launches.len()));
        (&program.name, phases.collect::<Vec<_>>())
    });
    let theirs = plan.programs.iter().map(|program| {
        let phases = program.phases.iter().map(|phase| (phase.kind, phase.dispatches.len()));
        (&program.name, phases.collect::<Vec<_>>())
    });
    if !ours.eq(theirs) {
        return other("programs");
    }
    match drafted.launches().zip(plan.dispatches()).find(|(launch, dispatch)| !is_variant(&***launch, dispatch)) {
        Some((_, dispatch)) => other(&format!("launches of {} ({})", dispatch.label, dispatch.kernel.name)),
        None => Ok(()),
    }
}

/// Whether a dispatch is a launch, in whichever variant.
fn is_variant(launch: &dyn Launch, dispatch: &Dispatch) -> bool {
    let is = |ours: &Dispatch| {
        let places = (&ours.slices, ours.grid, &ours.demands) == (&dispatch.slices, dispatch.grid, &dispatch.demands);
        let text =
            (ours.kernel, &ours.constants, &ours.params) == (dispatch.kernel, &dispatch.constants, &dispatch.params);
        places && text && ours.label == dispatch.label
    };
    is(&launch.lower()) || launch.variants().iter().any(|variant| is(&variant.lower()))
}

/// Refuses batches, the last short one among them, in which a layer that normalises over the batch would find channels of one
/// value, which have no variance.
pub(super) fn has_variance(model: &Model, batch: usize, examples: usize, drop_last: bool) -> Result<(), TrainError> {
    let rows = match examples % batch {
        0 => batch,
        _ if drop_last => batch,
        rest => rest,
    };
    match model.layers.iter().find(|layer| layer.kind.least_rows(layer) > rows) {
        Some(layer) => Err(TrainError::OneValue { layer: layer.name.clone(), batch, examples, last: rows < batch }),
        None => Ok(()),
    }
}

/// Refuses data whose values are not the numbers of levels that an embedding of the model looks up; `place` is what it is called.
pub(super) fn has_levels(model: &Model, scaling: &Scaling, features: &Features, place: &str) -> Result<(), DataError> {
    model.layers.iter().filter_map(|layer| layer.kind.levels()).try_for_each(|levels| {
        let width = features.shape.len();
        let (places, numbers) = (levels.places(width), levels.numbers());
        if !places.clone().all(|feature| scaling.keeps(feature)) {
            return Err(Problem::ScaledLevels { first: places.start, width }.at(place));
        }
        let [least, end] = [numbers.start, numbers.end].map(|number| number as f32);
        let is_known = |value: f32| value >= least && value < end && value.fract() == 0.0;
        let looked_up = (0..features.storage.len()).filter(|index| places.contains(&(index % width)));
        let mut values = looked_up.map(|index| (index, features.storage.get(index)));
        match values.find(|(_, value)| !is_known(*value)) {
            Some((index, value)) => {
                let [example, feature, levels] = [index / width, index % width, levels.count.unwrap_or_default()];
                Err(Problem::Level { example, feature, value, levels }.at(place))
            }
            None => Ok(()),
        }
    })
}

/// Refuses an embedding that does not look up what the categories of its table are.
fn looks_up_all(model: &Model, trained_on: &TrainedOn) -> Result<(), DataError> {
    let Some(table) = &trained_on.table else { return Ok(()) };
    let at_table = |problem: Problem| Err(problem.at("the training table"));
    let mut embeddings = model.layers.iter().filter_map(|layer| layer.kind.levels());
    let as_bits = table.features.iter().find(|column| column.levels.is_some() && column.first_level.is_none());
    match (embeddings.find(|levels| Some(*levels) != table.levels()), as_bits, table.levels()) {
        (Some(_), Some(column), _) => at_table(Problem::LevelsAsFeatures { column: column.name.clone() }),
        (Some(Levels { count: Some(given), .. }), _, Some(Levels { count: Some(levels), categories: Some(count) })) => {
            at_table(Problem::OtherLevels { given, levels, categories: count })
        }
        _ => Ok(()),
    }
}

/// Refuses folds that the members cannot take in turn.
fn folds_fit(spec: &TrainerSpec) -> Result<(), TrainError> {
    let (folds, members) = (spec.folds, spec.members.len());
    let refused = |problem: String| Err(TrainError::Folds { folds, problem });
    if folds == 0 || !members.is_multiple_of(folds) {
        return refused(format!("there are {members} members, which is no multiple of that; give each fold as many"));
    }
    let sets = Set::ALL.into_iter().filter_map(|set| Some((set, set.of(&spec.dataset)?.count())));
    if let Some((set, count)) = sets.into_iter().find(|(_, count)| !count.is_multiple_of(folds)) {
        return refused(format!("the {} set has {count} examples; give each fold as many", set.name()));
    }
    // What [augment] draws depends on the number of the example.
    if folds > 1 && spec.augment != AugmentSpec::NONE {
        return refused(
            "[augment] would draw other numbers than for a fold alone; train one fold after the other".into(),
        );
    }
    Ok(())
}

/// Refuses what could not train.
pub(super) fn check(spec: &TrainerSpec) -> Result<(), TrainError> {
    let data = &spec.dataset;
    folds_fit(spec)?;
    let examples = spec.examples_of(Set::Train);
    let count = |set: &Option<crate::data::Examples>| set.as_ref().map_or(0, |s| s.features.count);
    if spec.model.parameters.is_empty() {
        return Err(TrainError::NoParameters);
    }
    if examples == 0 {
        return Err(TrainError::NoExamples { held_out: count(&data.validation) + count(&data.test) });
    }
    if spec.train.drop_last && spec.batches().size > examples {
        return Err(TrainError::NoBatch { batch: spec.batches().size, examples });
    }
    spec.changes()?;
    looks_up_all(&spec.model, &spec.trained_on)?;
    has_variance(&spec.model, spec.batches().size, examples, spec.train.drop_last)?;
    for (set, examples) in
        [("train", Some(&data.train)), ("validation", data.validation.as_ref()), ("test", data.test.as_ref())]
    {
        let checked = examples.map_or(Ok(()), |examples| examples.targets.check(TargetKind::for_model(&spec.model)));
        checked.map_err(|problem| problem.at(format_args!("the {set} set")))?;
        if let Some(examples) = examples {
            has_levels(&spec.model, &spec.scaling, &examples.features, &format!("the {set} set"))?;
        }
    }
    if let Some(weights) = &data.train.weights {
        let checked = weights::check_count(weights, data.train.count()).and_then(|()| weights::check_weights(weights));
        let counts = |()| if weights.iter().all(|weight| *weight == 0.0) { Err(Problem::NoWeight) } else { Ok(()) };
        checked.and_then(counts).map_err(|problem| problem.at("the weights of the training examples"))?;
    }
    let plateau = match &spec.members[0].schedule.kind {
        ScheduleKind::Plateau { metric, .. } => Some(*metric),
        _ => None,
    };
    let watchers = [("train.early_stop", spec.train.early_stop.map(|e| e.metric)), ("schedule", plateau)];
    for (watcher, metric) in watchers.into_iter().filter_map(|(w, m)| Some((w, m?))) {
        let (set, metric_name) = (metric.set.name(), metric.to_string());
        if let Some(problem) = unfit(&spec.model, (data, &spec.trained_on), metric) {
            return Err(TrainError::NoMeaning { watcher, metric: metric_name, problem: problem.told(set) });
        }
        if metric.set.of(data).is_none() {
            return Err(TrainError::NoMetric { watcher, metric: metric_name, set });
        }
    }
    Ok(())
}
