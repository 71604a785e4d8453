//! The best combination once more, on training and validation examples together.

use super::entry::RETRAINED;
use super::results::Row;
use super::runner::{Loaded, Runner};
use super::{Entry, Sweep, SweepError};
use crate::data::{Examples, Numbers, Storage, Targets};
use crate::file::FileError;
use crate::job::{self, Job, JobError};
use crate::recipe::{Holdout, Recipe, Record};
use crate::run::Summary;
use crate::train::TrainError;
use std::sync::Arc;

/// Trains the combination again, from the seed of its first trial, into `best/`; what is there already is taken. None if
/// it was interrupted.
pub(super) fn retrain(
    runner: &mut Runner,
    sweep: &Sweep,
    combination: usize,
    rows: &[Row],
) -> Result<Option<Summary>, SweepError> {
    let trials: Vec<&Row> = rows.iter().filter(|row| sweep.trials(combination).contains(&row.index)).collect();
    let source = &sweep.entries[combination * sweep.trials(0).count()];
    let recipe = recipe(&source.recipe, &trials);
    let folder = runner.out.join(RETRAINED);
    let written = crate::file::read_text(&folder.join("recipe.toml")).is_ok_and(|text| text == recipe.to_toml());
    if written && let Ok(text) = crate::file::read_text(&folder.join("summary.json")) {
        let wrong = |error: serde_json::Error| FileError::at(&folder.join("summary.json"))(error.into());
        return Ok(Some(serde_json::from_str(&text).map_err(wrong)?));
    }
    let data = load(&recipe, &source.recipe.data.validation)?;
    let entry = Entry { recipe, folder: RETRAINED.into(), ..source.clone() };
    runner.expect(entry.recipe.train.epochs);
    let Some(finished) = runner.train(&[&entry], &data)? else { return Ok(None) };
    let [done] = &finished[..] else { unreachable!("one run was trained") };
    match done.diverged {
        Some(epoch) => Err(TrainError::NotFinite { step: done.summary.steps, epoch }.into()),
        None => Ok(Some(done.summary.clone())),
    }
}

/// The combination's recipe without a validation set. Where early stopping chose the epoch, the mean of the trials'
/// choices is the number of epochs now.
fn recipe(recipe: &Recipe, trials: &[&Row]) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.data.validation = Holdout::None;
    recipe.train.record.retain(|record| *record != Record::Validation);
    // A rule that slows down is a schedule, and watches what is there still.
    if recipe.train.early_stop.take_if(|rule| rule.slow_down.is_none()).is_some() {
        let best: Vec<f64> =
            trials.iter().filter(|row| row.diverged.is_none()).map(|row| f64::from(row.best_epoch)).collect();
        recipe.train.epochs = ((best.iter().sum::<f64>() / best.len() as f64).round() as u32).max(1);
    }
    recipe
}

fn load(recipe: &Recipe, validation: &Holdout) -> Result<Loaded, SweepError> {
    // Without a validation set, what was held out of the training files stays in its place among them.
    let mut job = Job::load(recipe.clone())?;
    if let Holdout::Files(source) = validation {
        let (more, _) = job::load(source, &recipe.data, (&job.model, &job.trained_on)).map_err(JobError::Data)?;
        let train = &mut Arc::make_mut(&mut job.dataset).train;
        append(train, more);
        // Those of the classes, which count anew: examples with weights of their own are not trained on with others.
        if train.weights.take().is_some() {
            job.weighing.clear();
            job::weigh(recipe, train, &job.trained_on, &mut job.weighing).map_err(JobError::Data)?;
        }
        let scaling = job.trained_on.scaling(&recipe.data, &job.dataset.train.features);
        job.scaling = scaling.map_err(JobError::Data)?;
    }
    Ok(job.into())
}

/// Numbers behind others.
fn joined<T: bytemuck::Pod>(first: &Numbers<T>, more: &Numbers<T>) -> Numbers<T> {
    Numbers::made(first.is_mapped() || more.is_mapped(), first.len() + more.len(), |write| {
        write(first).and_then(|()| write(more))
    })
}

/// Adds examples that were loaded for the same model.
fn append(examples: &mut Examples, more: Examples) {
    examples.features.count += more.features.count;
    match (&mut examples.features.storage, more.features.storage) {
        (Storage::U8(values), Storage::U8(more)) => *values = joined(values, &more),
        (Storage::F32(values), Storage::F32(more)) => *values = joined(values, &more),
        (values, more) => {
            let all = (0..values.len()).map(|i| values.get(i)).chain((0..more.len()).map(|i| more.get(i)));
            *values = Storage::F32(all.collect());
        }
    }
    match (&mut examples.targets, more.targets) {
        (Targets::Classes { labels, .. }, Targets::Classes { labels: more, .. }) => labels.extend(more),
        (Targets::Values { values, .. }, Targets::Values { values: more, .. }) => values.extend(more),
        _ => unreachable!("one model has one kind of targets"),
    }
}
