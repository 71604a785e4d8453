//! `gallery`: every experiment, and a page that leads to all of them.

mod figures;
mod gradients;
mod index;
mod list;
mod study;

use super::table::table;
use super::{CliError, Context};
use clap::Args;
use figures::Shown;
use gputrain::file::{FileError, write_whole};
use gputrain::lock::FolderLock;
use gputrain::run::refuse_foreign;
use list::{Experiment, List};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;
use study::{Status, Studio, summary_file};

/// What is there so far, in the gallery's folder.
const SUMMARY: &str = "gallery.json";

/// Does every experiment of the gallery into one folder, and writes its index.html
///
/// Trains the bundled recipes and sweeps, checks gradients, and shows each figure beside that of the coursework and of
/// PyTorch. What is in the folder already is not done again: the same command goes on where it was interrupted. An
/// experiment whose data is missing is left out and named; the exit code is 1 if any was left out or failed.
#[derive(Debug, Clone, Args)]
pub struct GalleryArgs {
    /// Folder of the gallery [default: runs/gallery, with --reduced runs/gallery-reduced]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only these experiments
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Fewer epochs, trials and examples: shows that everything works, in minutes; every page and drawing says so
    #[arg(long)]
    reduced: bool,
    /// Folder in which data files are looked for, beside the current one and ./data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Experiments of your own, listed as in data/gallery.toml
    #[arg(long, value_name = "FILE.toml")]
    list: Option<PathBuf>,
    /// Most models that train side by side
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    side_by_side: u32,
}

/// What became of an experiment.
#[derive(Debug, Clone, Serialize)]
struct Outcome {
    experiment: String,
    #[serde(serialize_with = "as_state")]
    status: Status,
    /// What is wrong, if anything is.
    problem: Option<String>,
    reduced: bool,
    folder: PathBuf,
    /// How long it took now.
    seconds: f64,
    figures: Vec<Shown>,
}

/// The last line of `--json`, and `gallery.json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    folder: &'a Path,
    index: PathBuf,
    reduced: bool,
    backend: String,
    device: String,
    done: usize,
    kept: usize,
    missing: usize,
    failed: usize,
    seconds: f64,
    experiments: Vec<&'a Outcome>,
}

pub fn run(args: &GalleryArgs, context: &Context) -> Result<(), CliError> {
    let list = List::load(args.list.as_deref())?;
    let chosen = list.chosen(&args.only)?;
    let folder = if args.reduced { "runs/gallery-reduced" } else { "runs/gallery" };
    let out = args.out.clone().unwrap_or_else(|| folder.into());
    refuse_mixing(&out, args.reduced)?;
    if !out.join(SUMMARY).exists() {
        refuse_foreign(&out, &["index.html"])?;
    }
    std::fs::create_dir_all(&out).map_err(FileError::at(&out))?;
    let lock = FolderLock::take(&out)?;
    if let Some(warning) = lock.warning() {
        context.say(warning);
    }
    let backend = context.open_backend()?;
    let studio = Studio { backend: &*backend, out: &out, args, context };
    let begun = Instant::now();
    let mut outcomes: Vec<(&Experiment, Outcome)> = Vec::new();
    for (experiment, chosen) in list.experiments.iter().zip(chosen) {
        // What was done before is shown, whether it was asked for now or not.
        if !chosen && !out.join(&experiment.name).join(summary_file(experiment.does)).exists() {
            continue;
        }
        let outcome = if chosen {
            perform(&studio, experiment, context)?
        } else {
            outcome(&studio, experiment, Status::Kept, 0.0)
        };
        if chosen {
            context.emit(&outcome);
        }
        outcomes.push((experiment, outcome));
        write(&studio, &list, &outcomes, begun)?;
    }
    let summary = summary(&studio, &outcomes, begun);
    tell(&outcomes, context);
    context.say(format!("wrote {}", summary.index.display()));
    context.emit(&summary);
    match summary.missing + summary.failed {
        0 => Ok(()),
        _ => Err(CliError::Failed(format!(
            "{} experiments failed, {} lack their data; the same command does what is missing",
            summary.failed, summary.missing
        ))),
    }
}

/// Refuses to go on with a gallery that is reduced where this one is not, or the other way round: the page would mark what
/// is there already by what is asked for now.
fn refuse_mixing(out: &Path, reduced: bool) -> Result<(), CliError> {
    #[derive(Deserialize)]
    struct Found {
        reduced: bool,
    }
    let file = out.join(SUMMARY);
    let text = match gputrain::file::read_text(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::at(&file)(error).into()),
    };
    let (at, words) = (out.display(), |reduced| if reduced { "reduced" } else { "whole" });
    match serde_json::from_str::<Found>(&text) {
        Ok(found) if found.reduced == reduced => Ok(()),
        Ok(found) => Err(CliError::Usage(format!(
            "{at} holds a {} gallery, which does not mix with a {} one; choose another --out, or remove the folder",
            words(found.reduced),
            words(reduced)
        ))),
        Err(problem) => Err(CliError::Usage(format!(
            "{}: not the summary of a gallery ({problem}); remove the file, or choose another --out",
            file.display()
        ))),
    }
}

/// Does an experiment and says how it ended.
fn perform(studio: &Studio, experiment: &Experiment, context: &Context) -> Result<Outcome, CliError> {
    context.say(format!("\n== {}", experiment.title));
    let begun = Instant::now();
    let status = studio.perform(experiment)?;
    let outcome = outcome(studio, experiment, status, begun.elapsed().as_secs_f64());
    if let Some(problem) = &outcome.problem {
        context.say(format!("{}: {problem}", state(&outcome.status)));
    }
    Ok(outcome)
}

/// What became of an experiment, with the figures of its results.
fn outcome(studio: &Studio, experiment: &Experiment, status: Status, seconds: f64) -> Outcome {
    let folder = studio.out.join(&experiment.name);
    let (status, figures) = match status {
        Status::Done | Status::Kept => match figures::read(experiment, &folder) {
            Ok(figures) => (status, figures),
            Err(error) => (Status::Failed(error.message().unwrap_or_default().to_string()), Vec::new()),
        },
        other => (other, Vec::new()),
    };
    Outcome {
        experiment: experiment.name.clone(),
        problem: status.words().1.map(str::to_string),
        status,
        reduced: studio.args.reduced,
        folder,
        seconds,
        figures,
    }
}

/// Writes the index and the summary of what is there so far.
fn write(studio: &Studio, list: &List, outcomes: &[(&Experiment, Outcome)], begun: Instant) -> Result<(), CliError> {
    let info = studio.backend.info();
    let subtitle = format!("{} · {}", info.device, info.backend);
    index::page(list, outcomes, studio.args.reduced, studio.out, &subtitle).save(&studio.out.join("index.html"))?;
    let text = serde_json::to_string_pretty(&summary(studio, outcomes, begun));
    let text = text.map_err(|error| CliError::Failed(error.to_string()))?;
    Ok(write_whole(&studio.out.join(SUMMARY), text.as_bytes())?)
}

fn summary<'a>(studio: &Studio<'a>, outcomes: &'a [(&Experiment, Outcome)], begun: Instant) -> Summary<'a> {
    let count = |word: &str| outcomes.iter().filter(|(_, outcome)| outcome.status.words().0 == word).count();
    let info = studio.backend.info();
    Summary {
        folder: studio.out,
        index: studio.out.join("index.html"),
        reduced: studio.args.reduced,
        backend: info.backend.clone(),
        device: info.device.clone(),
        done: count("done"),
        kept: count("kept"),
        missing: count("missing"),
        failed: count("failed"),
        seconds: begun.elapsed().as_secs_f64(),
        experiments: outcomes.iter().map(|(_, outcome)| outcome).collect(),
    }
}

/// The figures of all experiments as a table for people.
fn tell(outcomes: &[(&Experiment, Outcome)], context: &Context) {
    let mut rows = Vec::new();
    for (_, outcome) in outcomes {
        let first = [outcome.experiment.clone(), state(&outcome.status).to_string()];
        let mut figures = outcome.figures.iter().map(|shown| {
            let theirs = |text: &Option<String>| text.clone().unwrap_or_default();
            [shown.what.clone(), shown.text.clone(), theirs(&shown.coursework), theirs(&shown.pytorch)].to_vec()
        });
        rows.push([&first[..], &figures.next().unwrap_or_default()].concat());
        rows.extend(figures.map(|figure| [vec![String::new(); 2], figure].concat()));
    }
    context.say("");
    context.say(table(&["experiment", "", "figure", "gputrain", "coursework", "PyTorch"], &rows));
}

/// A status in words for people.
fn state(status: &Status) -> &'static str {
    match status {
        Status::Done => "done",
        Status::Kept => "was there",
        Status::Missing(_) => "data missing",
        Status::Failed(_) => "failed",
    }
}

fn as_state<S: Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.words().0)
}
