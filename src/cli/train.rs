//! `train`.

use super::interrupt::stop_on_interrupt;
use super::ranks::Follower;
use super::{CliError, Context, FusionArgs, RecipeArgs, TuneArgs};
use bytesize::ByteSize;
use clap::Args;
use gputrain::backend::Backend;
use gputrain::data::{DataError, Problem, TrainedOn, other_features};
use gputrain::export::{Initial, SavedModel, Started, load_initial};
use gputrain::file::FileError;
use gputrain::ir::{Plan, Role, SourceBuffers};
use gputrain::job::{Job, JobError};
use gputrain::keys::Keyword;
use gputrain::metrics::{Measure, Metrics};
use gputrain::planner::Fusion;
use gputrain::recipe::RecipeText;
use gputrain::run::{Recorder, RunFolder, Shared, Summary, check_resume, rate_notes};
use gputrain::train::{
    Checkpoint, DataSeen, EpochMetrics, Member, Observer, Outcome, Score, StepMetrics, Stop, TrainError, Trainer,
};
use gputrain::verify::Shadow;
use gputrain::web::panel;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Trains a network
///
/// Writes the run's folder: recipe.toml, metrics.jsonl, summary.json, model.safetensors, a checkpoint to resume from and
/// report.html. Ctrl-C saves a checkpoint and exits with 130; a second Ctrl-C quits at once.
#[derive(Debug, Clone, Default, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub(super) recipe: RecipeArgs,
    /// Folder of the run [default: runs/NAME-TIMESTAMP]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Goes on with the run in DIR from its checkpoint; epochs, learning rate, schedule, early stopping and what is recorded
    /// may change
    #[arg(long, value_name = "DIR", conflicts_with_all = ["recipe", "train", "out", "init"])]
    pub(super) resume: Option<PathBuf>,
    /// Initial weights: all of the model's, by its names (.safetensors or .npz); the recipe's start.from takes what fits
    #[arg(long, value_name = "FILE")]
    pub(super) init: Option<PathBuf>,
    /// Runs every Nth step on the CPU too, launch by launch from the device's own buffers, and stops with exit code 1 at the
    /// first launch that differs beyond its bound. Such a step takes the CPU's time and copies all that is computed; the
    /// examples are kept in host memory
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) shadow: Option<u32>,
    /// Writes an event file for TensorBoard into the run's folder: what is measured after epochs and of logged steps, the weights'
    /// histograms after each epoch, and at the end the pictures of the report. A run that had one goes on with another
    #[arg(long)]
    pub(super) tensorboard: bool,
    #[command(flatten)]
    pub(super) fusion: FusionArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
}

pub fn run(args: &TrainArgs, context: &Context) -> Result<(), CliError> {
    args.recipe.check_folder(args.resume.is_some())?;
    if context.ranks().is_some() {
        refuse_alone(args)?;
    }
    let loaded = load(args, context)?;
    let backend = context.open_backend()?;
    let Some(every) = args.shadow else { return train(args, loaded, &*backend, context) };
    let shadow = if context.ranks().is_some() { Shadow::of_rank(backend, every) } else { Shadow::new(backend, every) };
    let result = train(args, loaded, &shadow, context);
    if !matches!(result, Err(CliError::Failed(_))) {
        context.say(match shadow.checked() {
            0 => format!("no step was checked on the CPU: fewer than {every} were taken (--shadow {every})"),
            1 => "1 step was checked on the CPU: no launch differed beyond its bound".into(),
            checked => format!("{checked} steps were checked on the CPU: no launch differed beyond its bound"),
        });
    }
    result
}

/// Refuses what several processes cannot do together.
fn refuse_alone(args: &TrainArgs) -> Result<(), CliError> {
    let alone = [
        (
            args.fusion.fusion() == Fusion::Always,
            "--fused asks for steps that keep no gradients, which ranks add up; leave it out",
        ),
        (
            args.tune.is_asked(),
            "--tune measures in one process; tune without mpirun first, with the rows of a rank as --batch, and ranks use what was found",
        ),
    ];
    match alone.into_iter().find(|(asked, _)| *asked) {
        Some((_, why)) => Err(CliError::Usage(why.into())),
        None => Ok(()),
    }
}

/// Trains on an open backend what was loaded for the arguments.
pub(super) fn train(
    args: &TrainArgs,
    Loaded { job, resumed }: Loaded,
    backend: &dyn Backend,
    context: &Context,
) -> Result<(), CliError> {
    introduce(&job, backend, context);
    let members = [Member::of(&job.recipe)];
    let (spec, fusion) = (job.spec(&members), args.fusion.fusion());
    args.tune.tune(backend, context, spec.clone(), fusion)?;
    let goes_on = resumed.is_some();
    let refused = |error: TrainError| match &error {
        TrainError::Data(data) => match data.problem {
            Problem::OtherLevels { given, levels, .. } if goes_on => {
                CliError::Usage(other_data(&format!("{given} levels of categories before, {levels} now")))
            }
            _ => error.into(),
        },
        _ => error.into(),
    };
    let mut trainer = match context.ranks() {
        None => Trainer::with_fusion(backend, spec, fusion).map_err(refused)?,
        Some(ranks) => {
            let (batch, size) = (spec.batches().size, ranks.size());
            let share = spec.share(ranks.rank(), size)?;
            let trainer = Trainer::among(backend, spec, ranks).map_err(refused)?;
            context.say(share.in_words(batch, size));
            trainer
        }
    };
    context.say(memory(trainer.plan()));
    say_streamed(&trainer, context);
    detail_plan(&trainer, backend, context);
    let start;
    let (folder, recorder) = match resumed {
        Some(Resumed { folder, checkpoint, notes }) => {
            let before = checkpoint.progress.data.as_ref().filter(|data| data.hash != trainer.data_seen().hash);
            let changes = before.map(|before| trainer.data_seen().changes(before));
            if let Some(changes) = changes.as_ref().filter(|changes| changes.of_names) {
                return Err(CliError::Usage(other_data(&changes.words.join("; "))));
            }
            let changes = changes.map(|changes| changes.words);
            trainer.restore(&checkpoint).map_err(|error| match changes.as_deref() {
                None | Some([]) => error.into(),
                Some(changes) => CliError::Usage(other_data(&changes.join("; "))),
            })?;
            let Some(folder) = folder else { return follow(trainer) };
            // Of a run that came to its end before.
            start = earlier(&folder).and_then(|summary| summary.start);
            context.say(format!("going on after step {} of {}", trainer.steps_taken(), trainer.total_steps()));
            notes.iter().for_each(|note| context.say(note));
            if let Some(changes) = changes {
                let changes = if changes.is_empty() { String::new() } else { format!(" ({})", changes.join("; ")) };
                context.say(format!("{OTHER_DATA}{changes}"));
            }
            let recorder = Recorder::resume(&folder, &job.model, &job.recipe, &checkpoint);
            (folder, recorder)
        }
        None => {
            let initial = initial(args.init.as_deref(), &job, context)?;
            trainer.set_parameters(0, &initial.parameters)?;
            if context.follows() {
                return follow(trainer);
            }
            start = initial.start;
            let path = args.out.clone().map_or_else(|| default_folder(&job.recipe.name), Ok)?;
            let folder = RunFolder::create(&path, &job.recipe)?;
            let recorder = Recorder::new(&folder, &job.model)?;
            (folder, recorder)
        }
    };
    let recorder = match args.tensorboard || folder.has_events()? {
        true => {
            trainer.show_weights();
            recorder.with_tensorboard(&job.recipe)?
        }
        false => recorder,
    };
    if let Some(warning) = folder.warning() {
        context.say(warning);
    }
    let mut watcher = Watcher::new(recorder, context, &trainer, job.recipe.train.epochs)?;
    let sent = || context.ranks().map_or(0, |ranks| ranks.sent());
    let (steps, sent_before) = (trainer.steps_taken(), sent());
    let result = trainer.train(&mut watcher);
    let sent = (sent() - sent_before) as f64 / f64::from(trainer.steps_taken() - steps).max(1.0);
    let shared = context.ranks().map(|ranks| Shared { ranks: ranks.size(), bytes_per_step: sent });
    let (mut recorder, last) = watcher.close();
    // Before anything of an earlier end is given up.
    let result = result.and_then(|stop| Ok((stop, ending(&mut trainer, stop, &job)?)));
    let (end, outcome) = match result {
        Ok((_, Some(ending))) => ending,
        Ok((_, None)) => {
            // What could not be written stops a run, too.
            recorder.finish()?;
            let at = folder.path().display();
            return Err(CliError::Interrupted(format!(
                "interrupted at step {} of {}; go on with: gputrain train --resume {at}",
                trainer.steps_taken(),
                trainer.total_steps()
            )));
        }
        Err(error) => {
            // Why it failed is what there is to say.
            let _ = recorder.abandon();
            return Err(error.into());
        }
    };
    recorder.commit()?;
    let recorded = recorder.finish();
    folder.check_there()?;
    conclude(&job, backend, (trainer, outcome), &folder, (last, start, shared), context)?;
    recorded?;
    // To go on from with more epochs. It comes last: with a checkpoint of its end, but no summary, a run would be neither
    // over nor able to go on.
    end.map_or(Ok(()), |end| end.save(&folder.checkpoint()).map_err(CliError::from))
}

/// Trains as a rank that neither prints nor writes.
fn follow(mut trainer: Trainer) -> Result<(), CliError> {
    match trainer.train(&mut Follower::new()?)? {
        // Rank 0 says it.
        Stop::Interrupted => Err(CliError::Interrupted(String::new())),
        Stop::Finished | Stop::Early => Ok(()),
    }
}

/// What is to be said where a run goes on with other data.
const OTHER_DATA: &str = "warning: the training examples or their scaling are not those that the run was trained on so far: the \
    files were changed, and it will not end with the weights of a run on either";

/// Why a run cannot go on with data that is not what it began with.
fn other_data(changes: &str) -> String {
    format!(
        "the training data is not what the run began with: {changes}. A run goes on with the network that was made for its data: put \
         the files back as they were, or train its recipe.toml anew into another --out"
    )
}

/// What is to be trained.
pub(super) struct Loaded {
    job: Job,
    /// The run that goes on.
    resumed: Option<Resumed>,
}

struct Resumed {
    /// Its folder; none where another rank writes there.
    folder: Option<RunFolder>,
    checkpoint: Checkpoint,
    /// What is to be said of its learning rates and its checkpoint.
    notes: Vec<String>,
}

/// The recipe of the command line, or of the run to go on with and its checkpoint.
pub(super) fn load(args: &TrainArgs, context: &Context) -> Result<Loaded, CliError> {
    let Some(path) = &args.resume else {
        let mut job = args.recipe.job()?;
        if job.recipe.sweep.is_some() {
            let note = "note: the recipe has a [sweep], which train leaves out; gputrain sweep trains all of it";
            job.notes.push(note.into());
        }
        return Ok(Loaded { job, resumed: None });
    };
    let folder = if context.follows() { None } else { Some(RunFolder::open(path)?) };
    let (checkpoint, has_hash) = Checkpoint::open(&RunFolder::checkpoint_in(path))?;
    let text = RecipeText::file(&path.join("recipe.toml"))?;
    let mut recipe = text.parse(&args.recipe.overrides()?)?;
    let before = text.parse(&[])?;
    check_resume(path, &before, &recipe, &checkpoint.progress)?;
    let mut notes = rate_notes(&before, &recipe, &checkpoint.progress);
    if !has_hash {
        notes.push(
            "note: the checkpoint is of an earlier version and has no hash: damage to it would not be noticed".into(),
        );
    }
    super::examples::find_data(&mut recipe, path, args.recipe.data.as_deref())?;
    // Tables may hold the columns in another order by now, and not all classes.
    let DataSeen { features, classes, .. } = checkpoint.progress.data.clone().unwrap_or_default();
    let known = TrainedOn { features, class_names: classes, ..TrainedOn::default() };
    let job = Job::load_for(recipe, &known).map_err(|error| match &error {
        JobError::Data(DataError {
            problem: Problem::StrangeClasses { .. } | Problem::UnknownClasses { .. }, ..
        }) => CliError::Usage(other_data(&error.to_string())),
        _ => error.into(),
    })?;
    Ok(Loaded { job, resumed: Some(Resumed { folder, checkpoint, notes }) })
}

/// What a training came to that was not interrupted: its last checkpoint, where it keeps any, and its outcome, all of it
/// finite.
fn ending(trainer: &mut Trainer, stop: Stop, job: &Job) -> Result<Option<(Option<Checkpoint>, Outcome)>, TrainError> {
    if stop == Stop::Interrupted {
        return Ok(None);
    }
    let end = (job.recipe.train.checkpoint_every > 0).then(|| trainer.checkpoint()).transpose()?;
    let outcome = trainer.finish()?.remove(0);
    outcome.check()?;
    Ok(Some((end, outcome)))
}

/// The summary of a run that came to its end and goes on.
fn earlier(folder: &RunFolder) -> Option<Summary> {
    let text = gputrain::file::read_text(&folder.file("summary.json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// The weights of a file, or those that the recipe begins with. Says what is to be known of them.
pub(super) fn initial(file: Option<&Path>, job: &Job, context: &Context) -> Result<Initial, CliError> {
    let Some(file) = file else {
        let initial = job.initial()?;
        initial.notes.iter().for_each(|note| context.say(note));
        return Ok(initial);
    };
    if let Some(from) = &job.recipe.start.from {
        let file = file.display();
        return Err(CliError::Usage(format!(
            "--init {file} and start.from = \"{from}\" both say what the weights begin with; leave one out (start.from takes what fits, \
             --init demands all)"
        )));
    }
    let (parameters, features) = load_initial(file, &job.model)?;
    if let Some(warning) = other_features(&features, &job.trained_on.features) {
        context.say(warning);
    }
    Ok(Initial { parameters, notes: Vec::new(), start: None })
}

fn introduce(job: &Job, backend: &dyn Backend, context: &Context) {
    let info = backend.info();
    let software = if info.software { ", a software adapter" } else { "" };
    context.say(format!("{} on {} ({}{software})", job.recipe.name, info.device, info.backend));
    let count = |examples: &Option<gputrain::data::Examples>| examples.as_ref().map_or(0, |e| e.features.count);
    let data = &job.dataset;
    let source =
        job.recipe.data.train.as_ref().map_or("generated digits".to_string(), |source| source.name().to_string());
    let (train, validation, test) = (data.train.features.count, count(&data.validation), count(&data.test));
    context.say(format!("data: {source}: {train} train, {validation} validation, {test} test examples"));
    job.described().iter().for_each(|note| context.say(note));
    context.say(job.model.summary());
}

/// What the plan keeps on the device, by role.
fn memory(plan: &Plan) -> String {
    let mut by_role: BTreeMap<Role, u64> = BTreeMap::new();
    for buffer in &plan.buffers {
        *by_role.entry(buffer.role).or_default() += buffer.bytes();
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let parts: Vec<String> =
        by_role.iter().map(|(role, bytes)| format!("{role:?} {:.1}", mib(*bytes)).to_lowercase()).collect();
    format!("device memory: {:.1} MiB ({})", mib(plan.bytes()), parts.join(", "))
}

/// What people who want to know more (`--verbose`) are told of the plan: device, launches, tensors.
fn detail_plan(trainer: &Trainer, backend: &dyn Backend, context: &Context) {
    let driver = &backend.info().driver;
    if !driver.is_empty() {
        context.detail(format!("driver: {driver}"));
    }
    let steps = (trainer.steps_per_epoch(), trainer.total_steps());
    context.detail(format!("{} steps an epoch, {} in all", steps.0, steps.1));
    let step = trainer.step_program();
    match trainer.not_fused() {
        None => context.detail("the training step is fused"),
        Some(reason) => context.detail(format!("the training step is not fused: {reason}")),
    }
    context.detail(format!("a training step is {} launches:", step.len()));
    for dispatch in step.dispatches() {
        context.detail(format!("  {}: {}, grid {:?}", dispatch.kernel.name, dispatch.label, dispatch.grid));
    }
    for buffer in &trainer.plan().buffers {
        context.detail(format!("  {} {}", buffer.name, ByteSize(buffer.bytes()).display().iec()));
    }
}

/// Says which sets are streamed, and how much of them is on the device.
pub(super) fn say_streamed(trainer: &Trainer, context: &Context) {
    streamed(trainer.sources()).for_each(|line| context.say(line));
}

/// A line for each set that is streamed.
pub(super) fn streamed(sources: &[SourceBuffers]) -> impl Iterator<Item = String> {
    sources.iter().filter_map(|source| {
        let name = &source.name;
        let batches = source.window?.rows / source.batches.size;
        let plural = if batches == 1 { "" } else { "es" };
        let [bytes, resident] = [source.bytes(), source.resident_bytes()].map(|bytes| ByteSize(bytes).display().iec());
        Some(format!("{name} is streamed: {bytes} in windows of {resident}, {batches} batch{plural} each"))
    })
}

/// Makes a folder of its own for a run that names none.
pub(super) fn default_folder(name: &str) -> Result<PathBuf, CliError> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let runs = Path::new("runs");
    std::fs::create_dir_all(runs).map_err(FileError::at(runs))?;
    // Two runs may begin in one second.
    for suffix in std::iter::once(String::new()).chain((2..).map(|n| format!("-{n}"))) {
        let folder = runs.join(format!("{name}-{stamp}{suffix}"));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(FileError::at(&folder)(error).into()),
        }
    }
    unreachable!("there is a number for every folder")
}

/// Writes and prints what came out.
fn conclude(
    job: &Job,
    backend: &dyn Backend,
    (trainer, outcome): (Trainer, Outcome),
    folder: &RunFolder,
    (last, start, shared): (Option<EpochMetrics>, Option<Started>, Option<Shared>),
    context: &Context,
) -> Result<(), CliError> {
    let first_step = trainer.first_step_at().map(|at| at.duration_since(context.started));
    let startup = first_step.unwrap_or_default().as_secs_f64();
    let summary = Summary::new(&job.recipe, &job.model, backend.info(), last.as_ref(), Some(&outcome), startup);
    let summary = Summary { start, shared, ..summary };
    let parameters = outcome.parameters;
    // The report evaluates the model once more: there need not be room for both on the device.
    drop(trainer);
    let Job { recipe, model, scaling, trained_on, .. } = job.clone();
    let model = SavedModel { recipe, model, scaling, trained_on, parameters };
    let accuracy = Score::accuracy_name(job.model.loss, job.model.outputs());
    let scores = [
        score("validation", summary.validation_loss, summary.validation_accuracy, accuracy),
        score("test", summary.test_loss, summary.test_accuracy, accuracy),
    ];
    for line in scores.into_iter().flatten().chain(summary.metrics.iter().filter_map(more)) {
        context.say(line);
    }
    context.say(format!(
        "{} steps in {:.1} s ({:.0} steps/s), first step {:.2} s after the start",
        summary.steps, summary.seconds, summary.steps_per_second, summary.startup_seconds
    ));
    if let Some(Shared { ranks, bytes_per_step }) = &summary.shared {
        let bytes = ByteSize(bytes_per_step.round() as u64).display().iec();
        context.say(format!("each of the {ranks} ranks sent the others {bytes} a step"));
    }
    if let Some(skipped) = summary.skipped_steps.filter(|skipped| *skipped > 0) {
        context.say(format!("{skipped} steps were skipped: their gradients overflowed, and the loss scale was halved"));
    }
    folder.conclude(&summary, Some((&model, panel(&model))), &job.dataset, backend)?;
    context.say(format!("wrote {}", folder.path().display()));
    context.emit(&summary);
    Ok(())
}

/// What a set's examples gave, in words: nothing where there is no such set. Values that are neither right nor wrong have
/// no accuracy.
pub(super) fn score(set: &str, loss: Option<f32>, accuracy: Option<f32>, name: &str) -> Option<String> {
    let accuracy = accuracy.map_or(String::new(), |share| format!(", {name} {:.2} %", share * 100.0));
    Some(format!("{set}: loss {:.4}{accuracy}", loss?))
}

/// What an epoch's line tells of metrics beyond loss and accuracy: a few at most.
fn watched(set: &str, metrics: &Metrics) -> Vec<String> {
    const MOST: usize = 3;
    let told = metrics.values.iter().filter(|(measure, _)| !measure.is_counted_on_device());
    let told: Vec<String> =
        told.filter_map(|(measure, value)| Some(format!("  {set} {measure} {:.4}", (*value)?))).collect();
    if told.len() > MOST { Vec::new() } else { told }
}

/// What a person should know of a set beside loss and accuracy: an accuracy alone hides how rare classes fare.
fn more((set, metrics): (&String, &Metrics)) -> Option<String> {
    let told = [Measure::BalancedAccuracy, Measure::F1Macro, Measure::RocAuc, Measure::R2, Measure::Mae];
    let told = told.into_iter().filter_map(|measure| {
        let value = (*metrics.values.get(&measure)?)?;
        Some(format!("{} {value:.4}", measure.word().replace('_', " ")))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("{set}: {}", told.join(", ")))
}

/// Shows progress and passes everything on to the recorder.
struct Watcher<'a> {
    recorder: Recorder,
    context: &'a Context,
    bar: ProgressBar,
    epochs: u32,
    stop: Arc<AtomicBool>,
    last: Option<EpochMetrics>,
}

impl<'a> Watcher<'a> {
    fn new(recorder: Recorder, context: &'a Context, trainer: &Trainer, epochs: u32) -> Result<Watcher<'a>, CliError> {
        let bar = context.progress_bar(trainer.total_steps(), "{bar:30} {pos}/{len} steps  {per_sec}  {eta} left");
        begin_at(&bar, u64::from(trainer.steps_taken()));
        Ok(Watcher { recorder, context, bar, epochs, stop: stop_on_interrupt()?, last: None })
    }

    fn close(self) -> (Recorder, Option<EpochMetrics>) {
        self.bar.finish_and_clear();
        (self.recorder, self.last)
    }
}

/// Puts a bar where a run goes on: what was done before says nothing of its speed.
fn begin_at(bar: &ProgressBar, done: u64) {
    // Not drawn before its speed is that of now.
    let shown = !bar.is_hidden();
    bar.set_draw_target(ProgressDrawTarget::hidden());
    bar.update(|state| state.set_pos(done));
    bar.reset_eta();
    if shown {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}

impl Observer for Watcher<'_> {
    fn epoch(&mut self, member: usize, metrics: &EpochMetrics) {
        self.recorder.epoch(member, metrics);
        let percent = |accuracy: Option<f32>| accuracy.map_or(String::new(), |a| format!(" {:.2} %", a * 100.0));
        let validation = match metrics.validation_loss {
            Some(loss) => format!("  validation loss {loss:.4}{}", percent(metrics.validation_accuracy)),
            None => String::new(),
        };
        let watched: String = metrics.metrics.iter().flat_map(|(set, metrics)| watched(set, metrics)).collect();
        let line = format!(
            "epoch {:>3}/{}  train loss {:.4}{}{validation}{watched}  {:.1} s",
            metrics.epoch,
            self.epochs,
            metrics.train_loss,
            percent(metrics.train_accuracy),
            metrics.seconds
        );
        self.bar.suspend(|| {
            self.context.say(line);
            let (step, rate) = (metrics.step, metrics.learning_rate);
            self.context.detail(format!("  after step {step}, with learning rate {rate}"));
        });
        self.context.emit(metrics);
        self.last = Some(metrics.clone());
    }

    fn step(&mut self, member: usize, metrics: &StepMetrics) {
        self.recorder.step(member, metrics);
    }

    fn weights(&mut self, member: usize, epoch: u32, parameters: Vec<Vec<f32>>) {
        self.recorder.weights(member, epoch, parameters);
    }

    fn progress(&mut self, done: u64, _: u64) {
        self.bar.set_position(done);
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        self.bar.suspend(|| self.context.detail(format!("  checkpoint after step {}", checkpoint.progress.step)));
        self.recorder.checkpoint(checkpoint);
    }

    fn interrupted(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.recorder.interrupted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bar_that_goes_on_shows_its_own_speed() {
        let bar = ProgressBar::hidden();
        bar.set_length(2_000_000);
        begin_at(&bar, 1_000_000);
        assert_eq!((bar.position(), bar.per_sec()), (1_000_000, 0.0));
        std::thread::sleep(Duration::from_millis(20));
        bar.set_position(1_000_010);
        bar.tick();
        // 10 steps in 20 milliseconds or more.
        assert!(bar.per_sec() <= 500.0, "{}", bar.per_sec());
    }
}
