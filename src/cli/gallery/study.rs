//! Does one experiment, unless its results are there.

use super::super::grad::{Measured, measure};
use super::super::landscape::{self, LandscapeArgs};
use super::super::{CliError, Context, RecipeArgs, sweep, train};
use super::GalleryArgs;
use super::gradients::{Gradients, origin, write};
use super::list::{Does, Experiment};
use gputrain::backend::Backend;
use gputrain::export::load_parameters;
use gputrain::file::FileError;
use gputrain::job::Job;
use gputrain::lock::FolderLock;
use gputrain::place;
use gputrain::recipe::RecipeError;
use gputrain::run::{RunError, RunFolder};
use gputrain::sweep::{Options, Sweep, SweepError};
use indicatif::ProgressBar;
use std::path::{Path, PathBuf};

/// How an experiment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// It was done now.
    Done,
    /// Its results were there.
    Kept,
    /// Its data is not there.
    Missing(String),
    /// It failed.
    Failed(String),
}

impl Status {
    /// The status in a word, and what is to be said about it.
    pub fn words(&self) -> (&'static str, Option<&str>) {
        match self {
            Status::Done => ("done", None),
            Status::Kept => ("kept", None),
            Status::Missing(problem) => ("missing", Some(problem)),
            Status::Failed(problem) => ("failed", Some(problem)),
        }
    }
}

/// Where and how experiments are done.
pub(super) struct Studio<'a> {
    pub backend: &'a dyn Backend,
    pub out: &'a Path,
    pub args: &'a GalleryArgs,
    pub context: &'a Context,
}

/// The file whose presence tells that an experiment is done.
pub(super) fn summary_file(does: Does) -> &'static str {
    match does {
        Does::Train => "summary.json",
        Does::Sweep => "sweep.json",
        Does::Gradients => "gradients.json",
        Does::Landscape => "landscape.json",
    }
}

/// What a reduced experiment's drawings and pages are called.
fn marked(name: &str) -> String {
    format!("{name} (reduced)")
}

impl Studio<'_> {
    /// Does what is missing of an experiment. An error ends the gallery; what is the experiment's own problem is a status.
    pub fn perform(&self, experiment: &Experiment) -> Result<Status, CliError> {
        let folder = self.out.join(&experiment.name);
        let result = match experiment.does {
            Does::Train => self.train(experiment, &folder),
            Does::Sweep => self.sweep(experiment, &folder),
            Does::Gradients => self.gradients(experiment, &folder),
            Does::Landscape => self.landscape(experiment, &folder),
        };
        match result {
            Err(CliError::Failed(problem) | CliError::Usage(problem)) => Ok(Status::Failed(problem)),
            other => other,
        }
    }

    /// The experiment's recipe on the command line.
    fn recipe(&self, experiment: &Experiment) -> RecipeArgs {
        let mut set = experiment.set.clone();
        if self.args.reduced {
            set.push(format!("name={}", marked(&experiment.name)));
            set.extend(experiment.reduced.iter().cloned());
        } else {
            set.push(format!("name={}", experiment.name));
        }
        RecipeArgs { recipe: Some(experiment.recipe.clone()), set, data: self.args.data.clone(), ..Default::default() }
    }

    /// Data that is not there is no failure of what was done before.
    fn without_data(&self, experiment: &Experiment, folder: &Path, error: RecipeError) -> Result<Status, CliError> {
        match error {
            RecipeError::DataNotFound { .. } if folder.join(summary_file(experiment.does)).exists() => Ok(Status::Kept),
            RecipeError::DataNotFound { .. } => Ok(Status::Missing(error.to_string())),
            other => Err(other.into()),
        }
    }

    fn train(&self, experiment: &Experiment, folder: &Path) -> Result<Status, CliError> {
        let mut args = train::TrainArgs { recipe: self.recipe(experiment), ..Default::default() };
        let mut recipe = args.recipe.recipe()?;
        if let Err(error) = recipe.resolve_data(self.args.data.as_deref()) {
            return self.without_data(experiment, folder, error);
        }
        match gputrain::file::read_text(&folder.join("recipe.toml")) {
            Ok(found) if found != recipe.to_toml() => {
                let folder = folder.display();
                return Err(CliError::Usage(format!(
                    "{folder} holds this experiment by another recipe, perhaps reduced; choose another --out, or remove the folder"
                )));
            }
            Ok(_) if folder.join(summary_file(Does::Train)).exists() => return Ok(Status::Kept),
            Ok(_) => match RunFolder::open(folder) {
                Ok(_) => {
                    args.recipe = RecipeArgs::default();
                    args.resume = Some(folder.into());
                }
                // It was interrupted before there was anything to go on from.
                Err(RunError::NoCheckpoint(_)) => {
                    RunFolder::clear(folder)?;
                    args.out = Some(folder.into());
                }
                Err(error) => return Err(error.into()),
            },
            Err(_) => args.out = Some(folder.into()),
        }
        train::train(&args, train::load(&args, self.context)?, self.backend, &self.context.as_part())?;
        Ok(Status::Done)
    }

    fn landscape(&self, experiment: &Experiment, folder: &Path) -> Result<Status, CliError> {
        let trained = self.train(experiment, folder)?;
        let there = folder.join(summary_file(Does::Landscape)).exists();
        match trained {
            Status::Kept if there => return Ok(trained),
            Status::Done | Status::Kept => {}
            Status::Missing(_) | Status::Failed(_) => return Ok(trained),
        }
        let args = LandscapeArgs::new(folder, self.args.data.as_deref());
        landscape::draw(&args, landscape::load(&args)?, self.backend, &self.context.as_part())?;
        Ok(Status::Done)
    }

    fn sweep(&self, experiment: &Experiment, folder: &Path) -> Result<Status, CliError> {
        let args = self.recipe(experiment);
        let mut sweep = match Sweep::load(&args.text()?, &args.overrides()?, self.args.data.as_deref()) {
            Ok(sweep) => sweep,
            Err(SweepError::Recipe(error)) => return self.without_data(experiment, folder, error),
            Err(error) => return Err(error.into()),
        };
        if self.args.reduced {
            // Those of listed recipes have names of their own.
            let unmarked = sweep.entries.iter_mut().filter(|entry| entry.recipe.name != sweep.recipe.name);
            unmarked.for_each(|entry| entry.recipe.name = marked(&entry.recipe.name));
        }
        let same =
            gputrain::file::read_text(&folder.join("sweep.toml")).is_ok_and(|text| text == sweep.recipe.to_toml());
        if same && folder.join(summary_file(Does::Sweep)).exists() {
            return Ok(Status::Kept);
        }
        let side_by_side = self.args.side_by_side as usize;
        let context = self.context.as_part();
        let options = Options { side_by_side, tensorboard: false, started: context.started };
        sweep::train(&sweep, self.backend, folder, &options, &context)?;
        Ok(Status::Done)
    }

    fn gradients(&self, experiment: &Experiment, folder: &Path) -> Result<Status, CliError> {
        let mut recipe = self.recipe(experiment).recipe()?;
        if let Err(error) = recipe.resolve_data(self.args.data.as_deref()) {
            return self.without_data(experiment, folder, error);
        }
        match Gradients::read(folder) {
            Some(found) if found.origin != origin(experiment, &recipe) => {
                let folder = folder.display();
                return Err(CliError::Usage(format!(
                    "{folder} holds the gradients of another experiment or recipe; choose another --out, or remove the folder"
                )));
            }
            Some(found) if found.passes => return Ok(Status::Kept),
            _ => {}
        }
        let job = Job::load(recipe)?;
        let parameters = match &experiment.init {
            None => job.initial()?.parameters,
            Some(init) => match self.find(init) {
                Some(file) => load_parameters(&file, &job.model)?,
                None => return Ok(Status::Missing(format!("{init}: no such file; give its folder with --data DIR"))),
            },
        };
        /// Elements of each parameter that are compared with central differences.
        const MAX_ELEMENTS: usize = 200;
        let measured: Measured =
            measure(&job, &parameters, experiment.check.then_some(MAX_ELEMENTS), self.backend, &ProgressBar::hidden())?;
        std::fs::create_dir_all(folder).map_err(FileError::at(folder))?;
        let lock = FolderLock::take(folder)?;
        let found = write(experiment, &job, measured, folder)?;
        drop(lock);
        self.context.say(format!("wrote {}", folder.display()));
        if found.passes { Ok(Status::Done) } else { Err(CliError::Failed("gradients are out of bounds".into())) }
    }

    /// A file that an experiment needs, where data is looked for.
    fn find(&self, file: &str) -> Option<PathBuf> {
        if place::is_bundled(Path::new(file)) {
            return Some(file.into());
        }
        let folders = self.args.data.as_deref().into_iter().chain([Path::new(""), Path::new("data")]);
        folders.map(|folder| folder.join(file)).find(|path| path.is_file())
    }
}
