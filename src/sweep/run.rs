//! Runs a sweep: group by group, then the best once more, then the report.

use super::entry::Sweep;
use super::group::{Group, groups};
use super::results::{Results, Row};
use super::runner::{Loaded, Options, Runner};
use super::summary::SweepSummary;
use super::watcher::Watcher;
use super::{SweepError, report, retrain};
use crate::backend::Backend;
use crate::file::{FileError, write_whole};
use crate::job::Job;
use crate::lock::FolderLock;
use crate::recipe::Measure;
use crate::run::{RunError, SWEEP_FILE, refuse_foreign};
use crate::train::measured::unfit;
use std::path::Path;

/// Runs what is missing of a sweep in its folder, and writes its results and report.
pub fn run(
    sweep: &Sweep,
    backend: &dyn Backend,
    out: &Path,
    options: &Options,
    watcher: &mut dyn Watcher,
) -> Result<SweepSummary, SweepError> {
    // The runs of a folder that is there have been checked; their data may be gone.
    if !out.join(SWEEP_FILE).exists() {
        check_metric(sweep)?;
    }
    let lock = claim(out, sweep)?;
    if let Some(warning) = lock.warning() {
        watcher.warn(&warning);
    }
    let mut results = Results::open(out, sweep)?;
    let missing = results.missing();
    let epochs = |run: usize| u64::from(sweep.entries[run].recipe.train.epochs);
    // Which combination is trained again is not known yet: the longest, until it is.
    let again = if sweep.spec.retrain { (0..sweep.entries.len()).map(epochs).max() } else { None };
    let total = missing.iter().map(|&run| epochs(run)).sum::<u64>() + again.unwrap_or(0);
    let mut runner = Runner { backend, out, options, watcher, before: 0, total };
    let interrupted = |results: &Results| {
        let total = sweep.entries.len();
        SweepError::Interrupted { done: total - results.missing().len(), total, path: out.into() }
    };
    let mut loaded: Option<(Group, Loaded)> = None;
    for group in groups(sweep, &missing) {
        let first = &sweep.entries[group.runs[0]];
        let data = match loaded.take() {
            Some((other, data)) if other.same_data(&group) => data,
            _ => {
                let data = Loaded::load(first)?;
                runner.watcher.data(&data.notes);
                data
            }
        };
        if runner.group(sweep, &group, &data, &mut results)?.is_none() {
            return Err(interrupted(&results));
        }
        loaded = Some((group, data));
    }
    let rows: Vec<Row> = results.rows.iter().flatten().cloned().collect();
    let mut summary = SweepSummary::new(sweep, &rows, backend.info());
    if sweep.spec.retrain
        && let Some(best) = summary.best
    {
        let retrained = retrain::retrain(&mut runner, sweep, best, &rows)?;
        summary.retrained = Some(retrained.ok_or_else(|| interrupted(&results))?);
    }
    report::write(sweep, &rows, &summary, out)?;
    // Last, because its presence says that all is there.
    let path = out.join("sweep.json");
    let text = serde_json::to_string_pretty(&summary).map_err(|error| FileError::at(&path)(error.into()))?;
    write_whole(&path, text.as_bytes())?;
    Ok(summary)
}

/// Refuses a metric that means nothing for the data. Of the cross entropies every data has a loss and an accuracy.
fn check_metric(sweep: &Sweep) -> Result<(), SweepError> {
    let metric = sweep.spec.metric;
    let mut before: Option<Group> = None;
    for group in groups(sweep, &(0..sweep.entries.len()).collect::<Vec<_>>()) {
        let recipe = &sweep.entries[group.runs[0]].recipe;
        let known = match metric.measure {
            Measure::Loss => true,
            Measure::Accuracy => !recipe.model.loss.takes_values(),
            _ => false,
        };
        if !known && !before.as_ref().is_some_and(|before| before.same_data(&group)) {
            let job = Job::load(recipe.clone())?;
            if let Some(problem) = unfit(&job.model, (&job.dataset, &job.trained_on), metric) {
                let (name, problem) = (recipe.name.clone(), problem.told(metric.set.name()));
                return Err(SweepError::NoMeaning { metric, name, problem });
            }
            before = Some(group);
        }
    }
    Ok(())
}

/// What a sweep writes, beside drawings. Its recipe comes first.
const FILES: [&str; 5] = ["results.jsonl", "sweep.json", "report.html", "runs", "best"];

/// Makes the sweep's folder, or checks that it is this sweep's; nobody else writes there while the lock lives.
fn claim(out: &Path, sweep: &Sweep) -> Result<FolderLock, SweepError> {
    let path = out.join(SWEEP_FILE);
    let text = sweep.recipe.to_toml();
    if out.join("recipe.toml").exists() && !path.exists() {
        return Err(RunError::Occupied(out.into()).into());
    }
    if !path.exists() {
        refuse_foreign(out, &FILES)?;
    }
    if let Some(link) = ["runs", "best"].map(|name| out.join(name)).into_iter().find(|folder| folder.is_symlink()) {
        return Err(RunError::Link(link).into());
    }
    std::fs::create_dir_all(out).map_err(FileError::at(out))?;
    let lock = FolderLock::take(out).map_err(RunError::from)?;
    match crate::file::read_text(&path) {
        Ok(found) if found == text => Ok(lock),
        Ok(_) => Err(SweepError::Other { path: out.into(), what: "its sweep.toml is another recipe".into() }),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(FileError::at(&path)(error).into()),
        Err(_) => {
            write_whole(&path, text.as_bytes())?;
            Ok(lock)
        }
    }
}
