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
use crate::ranks::{Exchange, agree, first_says};
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
    let (_lock, mut results) = begin(sweep, out, watcher)?;
    let missing = results.missing();
    let total = epochs(sweep, &missing) + again(sweep);
    let mut runner = Runner { backend, out, options, watcher, before: 0, total };
    if !train_all(&mut runner, sweep, &missing, &mut results)? {
        return Err(interrupted(&results, out));
    }
    conclude(&mut runner, sweep, &results)
}

/// The same among ranks, which train the runs side by side, each as one process would: the folder must be one that all of them
/// see. Rank 0 alone comes to a summary.
pub fn run_among(
    sweep: &Sweep,
    backend: &dyn Backend,
    out: &Path,
    options: &Options,
    watcher: &mut dyn Watcher,
    exchange: &dyn Exchange,
) -> Result<Option<SweepSummary>, SweepError> {
    let (rank, size) = (exchange.rank(), exchange.size());
    agree(exchange, "the runs of the sweep", sweep.recipe.to_toml().as_bytes())?;
    let begun = if rank == 0 { Some(begin(sweep, out, watcher)?) } else { None };
    let missing: Vec<u32> = begun.iter().flat_map(|(_, results)| results.missing()).map(|run| run as u32).collect();
    let missing: Vec<u32> = bytemuck::pod_collect_to_vec(&first_says(exchange, bytemuck::cast_slice(&missing))?);
    let missing: Vec<usize> = missing.into_iter().map(|run| run as usize).collect();
    // In turn, so that runs that take equally long are spread evenly.
    let in_order = groups(sweep, &missing).into_iter().flat_map(|group| group.runs);
    let mut own: Vec<usize> = in_order.skip(rank).step_by(size).collect();
    own.sort_unstable();
    let (_lock, mut results) = match begun {
        Some((lock, results)) => (Some(lock), results),
        None => (None, Results::of_rank(out, sweep, rank)?),
    };
    let total = epochs(sweep, &own) + if rank == 0 { again(sweep) } else { 0 };
    let mut runner = Runner { backend, out, options, watcher, before: 0, total };
    let is_done = train_all(&mut runner, sweep, &own, &mut results)?;
    let all_are_done = !exchange.gather(&[u32::from(is_done)])?.contains(&0);
    if rank > 0 {
        return if all_are_done { Ok(None) } else { Err(interrupted(&results, out)) };
    }
    results.adopt(out, sweep)?.iter().for_each(|row| runner.watcher.result(row));
    if !all_are_done {
        return Err(interrupted(&results, out));
    }
    match results.missing().len() {
        0 => conclude(&mut runner, sweep, &results).map(Some),
        missing => Err(SweepError::NotSeen { path: out.into(), missing }),
    }
}

/// Makes a sweep's folder ready; what was done before is in its results.
fn begin(sweep: &Sweep, out: &Path, watcher: &mut dyn Watcher) -> Result<(FolderLock, Results), SweepError> {
    // The runs of a folder that is there have been checked; their data may be gone.
    if !out.join(SWEEP_FILE).exists() {
        check_metric(sweep)?;
    }
    let lock = claim(out, sweep)?;
    if let Some(warning) = lock.warning() {
        watcher.warn(&warning);
    }
    Ok((lock, Results::open(out, sweep)?))
}

/// Epochs of runs, all taken together.
fn epochs(sweep: &Sweep, runs: &[usize]) -> u64 {
    runs.iter().map(|&run| u64::from(sweep.entries[run].recipe.train.epochs)).sum()
}

/// Epochs of what is trained again. Which combination that is is not known yet: the longest, until it is.
fn again(sweep: &Sweep) -> u64 {
    let longest = sweep.entries.iter().map(|entry| u64::from(entry.recipe.train.epochs)).max();
    longest.filter(|_| sweep.spec.retrain).unwrap_or(0)
}

fn interrupted(results: &Results, out: &Path) -> SweepError {
    let total = results.rows.len();
    SweepError::Interrupted { done: total - results.missing().len(), total, path: out.into() }
}

/// Trains runs, group by group; false if that was interrupted.
fn train_all(runner: &mut Runner, sweep: &Sweep, runs: &[usize], results: &mut Results) -> Result<bool, SweepError> {
    let mut loaded: Option<(Group, Loaded)> = None;
    for group in groups(sweep, runs) {
        let first = &sweep.entries[group.runs[0]];
        let data = match loaded.take() {
            Some((other, data)) if other.same_data(&group) => data,
            _ => {
                let data = Loaded::load(first)?;
                runner.watcher.data(&data.notes);
                data
            }
        };
        if runner.group(sweep, &group, &data, results)?.is_none() {
            return Ok(false);
        }
        loaded = Some((group, data));
    }
    Ok(true)
}

/// The best once more, and the report.
fn conclude(runner: &mut Runner, sweep: &Sweep, results: &Results) -> Result<SweepSummary, SweepError> {
    let out = runner.out;
    let rows: Vec<Row> = results.rows.iter().flatten().cloned().collect();
    let mut summary = SweepSummary::new(sweep, &rows, runner.backend.info());
    if sweep.spec.retrain
        && let Some(best) = summary.best
    {
        let retrained = retrain::retrain(runner, sweep, best, &rows)?;
        summary.retrained = Some(retrained.ok_or_else(|| interrupted(results, out))?);
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
