//! `sweep`.

use super::interrupt::stop_on_interrupt;
use super::ranks::Follower;
use super::table::table;
use super::train::{default_folder, score, streamed};
use super::{CliError, Context, RecipeArgs};
use clap::Args;
use gputrain::backend::Backend;
use gputrain::ir::SourceBuffers;
use gputrain::model::Model;
use gputrain::ranks::{Exchange, first_says};
use gputrain::sweep::{
    COLLAPSED, Entry, Options, Row, Sweep, SweepError, SweepSummary, Watcher, results_table, run as run_sweep,
    run_among,
};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Trains every combination of a recipe's `[sweep]` table
///
/// Combinations whose models have one shape train side by side; results do not depend on that. The folder gets
/// results.jsonl, a folder per run, sweep.json and report.html. The same command with the same --out goes on where an
/// interrupted sweep stopped. All trials of a combination hold out the examples that the first one's seed picks;
/// the recipe in a run's folder says so (data.seed), and `train` with it repeats the run.
#[derive(Debug, Clone, Args)]
pub struct SweepArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Folder of the sweep [default: runs/NAME-TIMESTAMP]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Most models that train side by side
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    side_by_side: u32,
    /// Writes an event file for TensorBoard into the folder of each run
    #[arg(long)]
    tensorboard: bool,
}

pub fn run(args: &SweepArgs, context: &Context) -> Result<(), CliError> {
    args.recipe.check_folder(false)?;
    let sweep = Sweep::load(&args.recipe.text()?, &args.recipe.overrides()?, args.recipe.data.as_deref())?;
    let backend = context.open_backend()?;
    let folder = || args.out.clone().map_or_else(|| default_folder(&sweep.recipe.name), Ok);
    let out = match context.ranks() {
        None => folder()?,
        Some(ranks) => folder_of_all(&*ranks, folder)?,
    };
    let options =
        Options { side_by_side: args.side_by_side as usize, tensorboard: args.tensorboard, started: context.started };
    train(&sweep, &*backend, &out, &options, context)
}

/// Runs what is missing of a sweep in its folder.
pub(super) fn train(
    sweep: &Sweep,
    backend: &dyn Backend,
    out: &Path,
    options: &Options,
    context: &Context,
) -> Result<(), CliError> {
    let info = backend.info();
    context.say(format!("{} on {} ({})", sweep.recipe.name, info.device, info.backend));
    let (runs, combinations) = (sweep.entries.len(), sweep.combinations());
    context.say(format!("{combinations} combinations, {runs} runs, into {}", out.display()));
    if let Some(ranks) = context.ranks().filter(|_| context.follows()) {
        return match run_among(sweep, backend, out, options, &mut Follower::new()?, &*ranks) {
            // Rank 0 says it.
            Err(SweepError::Interrupted { .. }) => Err(CliError::Interrupted(String::new())),
            other => Ok(other.map(|_| ())?),
        };
    }
    let mut reporter = Reporter::new(context)?;
    let result = match context.ranks() {
        None => run_sweep(sweep, backend, out, options, &mut reporter).map(Some),
        Some(ranks) => run_among(sweep, backend, out, options, &mut reporter, &*ranks),
    };
    reporter.bar.finish_and_clear();
    let Some(summary) = result? else { return Ok(()) };
    conclude(sweep, &summary, context);
    context.say(format!("wrote {}", out.display()));
    context.emit(&summary);
    if summary.best.is_none() {
        return Err(CliError::Failed(format!(
            "all {} runs diverged; lower optimizer.learning_rate, set optimizer.clip_norm, or check data.scale",
            summary.runs
        )));
    }
    Ok(())
}

/// The folder that rank 0 chose.
fn folder_of_all(ranks: &dyn Exchange, choose: impl Fn() -> Result<PathBuf, CliError>) -> Result<PathBuf, CliError> {
    let own = if ranks.rank() == 0 { choose()?.to_string_lossy().into_owned() } else { String::new() };
    let said = first_says(ranks, own.as_bytes())?;
    Ok(String::from_utf8_lossy(&said).into_owned().into())
}

/// Prints the table and the best.
fn conclude(sweep: &Sweep, summary: &SweepSummary, context: &Context) {
    let results = results_table(sweep, summary);
    let header: Vec<&str> = results.header.iter().map(String::as_str).collect();
    context.say(table(&header, &results.rows));
    if let Some(best) = summary.best.map(|best| &summary.combinations[best]) {
        let name = if best.label.is_empty() { &summary.name } else { &best.label };
        context.say(format!("best by {}: {name}", summary.metric));
    }
    if summary.diverged > 0 {
        context.say(format!("{} of {} runs diverged", summary.diverged, summary.runs));
    }
    if summary.collapsed > 0 {
        context.say(format!("{} of {} runs collapsed. {COLLAPSED}", summary.collapsed, summary.runs));
    }
    if let Some(retrained) = &summary.retrained {
        let test = score("test", retrained.test_loss, retrained.test_accuracy, "accuracy");
        let test = test.unwrap_or("there is no test set".into());
        context.say(format!("retrained on training and validation examples; {test}"));
    }
}

/// Shows progress.
struct Reporter<'a> {
    context: &'a Context,
    bar: ProgressBar,
    /// What was last said of sets that are streamed: groups that share the data have it in common.
    streamed: Vec<String>,
    /// What was last said of the data.
    notes: Vec<String>,
    stop: Arc<AtomicBool>,
}

impl<'a> Reporter<'a> {
    fn new(context: &'a Context) -> Result<Reporter<'a>, CliError> {
        let bar = context.progress_bar(0, "{bar:30} {pos}/{len} epochs  {eta} left");
        Ok(Reporter { context, bar, streamed: Vec::new(), notes: Vec::new(), stop: stop_on_interrupt()? })
    }
}

impl Watcher for Reporter<'_> {
    fn data(&mut self, notes: &[String]) {
        // Runs on other data have most of it in common.
        let said = std::mem::replace(&mut self.notes, notes.to_vec());
        let new = notes.iter().filter(|note| !said.contains(note));
        self.bar.suspend(|| new.for_each(|note| self.context.say(note)));
    }

    fn group(&mut self, entries: &[&Entry], model: &Model, sources: &[SourceBuffers]) {
        let parameters = model.parameters_count();
        let line = format!("{} side by side, {parameters} parameters each", entries.len());
        self.bar.suspend(|| self.context.detail(line));
        let streamed: Vec<String> = streamed(sources).collect();
        if streamed != self.streamed {
            self.bar.suspend(|| streamed.iter().for_each(|line| self.context.say(line)));
            self.streamed = streamed;
        }
    }

    fn warn(&mut self, warning: &str) {
        self.bar.suspend(|| self.context.say(warning));
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    fn result(&mut self, row: &Row) {
        let percent = |name: &str, value: Option<f32>| {
            value.map_or(String::new(), |value| format!("  {name} {:.2} %", 100.0 * value))
        };
        let collapsed = if row.collapsed { "  collapsed" } else { "" };
        let outcome = match row.diverged {
            Some(epoch) => format!("  diverged in epoch {epoch}"),
            None => percent("validation", row.validation_accuracy) + &percent("test", row.test_accuracy) + collapsed,
        };
        self.bar.suspend(|| self.context.say(format!("{}{outcome}", row.run)));
        self.context.emit(row);
    }

    fn interrupted(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl From<SweepError> for CliError {
    fn from(error: SweepError) -> CliError {
        match error {
            SweepError::Recipe(error) => error.into(),
            SweepError::Job(error) => error.into(),
            SweepError::Train(error) => error.into(),
            SweepError::Run(error) => error.into(),
            SweepError::Report(error) => error.into(),
            SweepError::File(error) => error.into(),
            SweepError::Interrupted { .. } => CliError::Interrupted(error.to_string()),
            SweepError::Ranks(error) => error.into(),
            SweepError::NotSeen { .. } => CliError::Failed(error.to_string()),
            SweepError::NoSweep(_)
            | SweepError::NoMetric { .. }
            | SweepError::NoMeaning { .. }
            | SweepError::RetrainWatches { .. }
            | SweepError::RetrainWeighs { .. }
            | SweepError::Other { .. }
            | SweepError::Results { .. } => CliError::Usage(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gputrain::backend::BackendError;
    use gputrain::run::RunError;
    use gputrain::train::TrainError;

    #[test]
    fn a_lost_device_is_told_by_the_exit_code_wherever_it_was_lost() {
        let lost = || TrainError::from(BackendError::Lost { device: "gpu".into(), message: "gone".into() });
        // In training, and while a run's page is made.
        for error in [SweepError::Train(lost()), SweepError::Run(RunError::Evaluation(lost()))] {
            let text = error.to_string();
            let error = CliError::from(error);
            assert_eq!((error.exit_code(), error.message()), (3, Some(&*text)));
        }
    }
}
