//! What can be told before anything is allocated.

use super::{Score, TrainError, TrainerSpec};
use crate::data::{Dataset, TargetKind};
use crate::recipe::{Loss, Metric, ScheduleKind};

/// Whether the answers to every set are right or wrong.
pub(crate) fn counts_answers(loss: Loss, data: &Dataset) -> bool {
    let mut sets = std::iter::once(&data.train).chain(&data.validation).chain(&data.test);
    sets.all(|set| Score::counts_answers(loss, &set.targets))
}

/// Refuses what could not train.
pub(super) fn check(spec: &TrainerSpec) -> Result<(), TrainError> {
    let data = spec.dataset;
    let examples = data.train.features.count;
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
    for (set, examples) in
        [("train", Some(&data.train)), ("validation", data.validation.as_ref()), ("test", data.test.as_ref())]
    {
        let checked = examples.map_or(Ok(()), |examples| examples.targets.check(TargetKind::for_model(spec.model)));
        checked.map_err(|problem| problem.at(format_args!("the {set} set")))?;
    }
    let plateau = match &spec.members[0].schedule.kind {
        ScheduleKind::Plateau { metric, .. } => Some(*metric),
        _ => None,
    };
    let watchers = [("train.early_stop", spec.train.early_stop.map(|e| e.metric)), ("schedule", plateau)];
    for (watcher, metric) in watchers.into_iter().filter_map(|(w, m)| Some((w, m?))) {
        let (set, missing) = match metric {
            Metric::TrainLoss | Metric::TrainAccuracy => ("train", false),
            Metric::ValidationLoss | Metric::ValidationAccuracy => ("validation", data.validation.is_none()),
            Metric::TestLoss | Metric::TestAccuracy => ("test", data.test.is_none()),
        };
        if metric.is_accuracy() && !counts_answers(spec.model.loss, data) {
            return Err(TrainError::NoAccuracy { watcher, metric: metric.to_string(), set });
        }
        if missing {
            return Err(TrainError::NoMetric { watcher, metric: metric.to_string(), set });
        }
    }
    Ok(())
}
