//! Sweeps on small data: results that do not depend on what trains side by side, resuming, the best, retraining.

use crate::common;
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Array, write_array};
use gputrain::export::parameter_hash;
use gputrain::ir::SourceBuffers;
use gputrain::job::Job;
use gputrain::model::Model;
use gputrain::recipe::{Holdout, Recipe, RecipeText};
use gputrain::sweep::{Entry, Options, Row, Sweep, SweepError, SweepSummary, Watcher, results_table, run};
use gputrain::train::{Member, Silent, Trainer, TrainerSpec};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub const MLP: &str = r#"
name = "small"
seed = 3
[data]
train = { images = "train-images.npy", labels = "train-labels.npy" }
test = { images = "test-images.npy", labels = "test-labels.npy" }
validation = 30
scale = "none"
[model]
input = [64]
layers = "12:relu,3"
[optimizer]
kind = "sgd"
learning_rate = 0.05
momentum = 0.5
[train]
epochs = 6
batch = 16
log_every = 3
record = ["validation", "gradient_norms"]
"#;

const CONVOLUTION: &str = r#"
name = "small-convolution"
[data]
train = { images = "train-images.npy", labels = "train-labels.npy" }
validation = 0.25
scale = "minmax"
[model]
input = [8, 8, 1]
layers = [{ conv2d = 5, kernel = 3, activation = "relu" }, { max_pool = 2 }, { flatten = true }, { dense = 3 }]
[optimizer]
kind = "adam"
learning_rate = 0.01
[train]
epochs = 3
batch = 20
"#;

/// Bright spots at a place that depends on the class, in noise.
pub fn write_data(folder: &Path) {
    let mut state = 12345u32;
    let mut noise = move || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    for (name, count) in [("train", 150), ("test", 60)] {
        let labels: Vec<u32> = (0..count).map(|i| i * 7 % 3).collect();
        let mut pixels = Vec::new();
        for label in &labels {
            for place in 0..64 {
                let bright = place / 8 == 2 * label + 1;
                pixels.push(noise() - 0.5 + if bright { 0.6 } else { 0.0 });
            }
        }
        let images = Array::from_f32(&[count as usize, 8, 8], &pixels).unwrap();
        let labels = Array::from_u32(&[count as usize], &labels).unwrap();
        write_array(&folder.join(format!("{name}-images.npy")), &images).unwrap();
        write_array(&folder.join(format!("{name}-labels.npy")), &labels).unwrap();
    }
}

pub fn load(recipe: &str, sweep: &str, data: &Path) -> Result<Sweep, SweepError> {
    let text = RecipeText { text: format!("{recipe}\n[sweep]\n{sweep}"), origin: "s.toml".into(), path: None };
    Sweep::load(&text, &[], Some(data))
}

/// Counts the groups and may stop after some results.
#[derive(Default)]
pub struct Counter {
    pub groups: Vec<usize>,
    results: usize,
    /// Epochs done, of how many, as they were told.
    progress: Vec<(u64, u64)>,
    stop_after: Option<usize>,
    /// Stops in this group, counted from 1.
    stop_in: Option<usize>,
}

impl Watcher for Counter {
    fn group(&mut self, entries: &[&Entry], _: &Model, _: &[SourceBuffers]) {
        self.groups.push(entries.len());
    }

    fn result(&mut self, _: &Row) {
        self.results += 1;
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.progress.push((done, total));
    }

    fn interrupted(&mut self) -> bool {
        let in_group = self.stop_in.is_some_and(|number| self.groups.len() >= number);
        in_group || self.stop_after.is_some_and(|most| self.results >= most)
    }
}

pub fn run_in(sweep: &Sweep, backend: &dyn Backend, out: &Path, side_by_side: usize) -> (SweepSummary, Counter) {
    let mut counter = Counter::default();
    let options = Options { side_by_side, tensorboard: false, started: Instant::now() };
    let summary = run(sweep, backend, out, &options, &mut counter).unwrap();
    (summary, counter)
}

/// The results in order, without what depends on the clock or the grouping.
pub fn rows(out: &Path) -> Vec<Row> {
    let mut rows = rows_of(&fs::read_to_string(out.join("results.jsonl")).unwrap());
    rows.sort_by_key(|row| row.index);
    rows.iter_mut().for_each(|row| (row.seconds, row.group) = (0.0, 0));
    rows
}

/// The rows of a file of results.
pub fn rows_of(text: &str) -> Vec<Row> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a sweep found, without its times.
fn without_times(summary: &SweepSummary) -> Vec<gputrain::sweep::CombinationSummary> {
    let mut combinations = summary.combinations.clone();
    combinations.iter_mut().for_each(|combination| combination.seconds = 0.0);
    combinations
}

/// A log of a run without its times.
pub fn log(out: &Path, row: &Row, name: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(out.join(&row.run).join(name)).unwrap_or_default();
    let mut lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter_mut().for_each(|line| {
        line.as_object_mut().unwrap().remove("seconds");
    });
    lines
}

/// The hash of the weights that training a recipe by itself gives.
fn trained_alone(backend: &dyn Backend, recipe: Recipe) -> String {
    let job = Job::load(recipe).unwrap();
    let members = [Member::of(&job.recipe)];
    let train = &job.recipe.train;
    let spec = TrainerSpec { train: train.clone(), ..job.spec(&members) };
    let mut trainer = Trainer::new(backend, spec).unwrap();
    trainer.set_parameters(0, &job.model.initialise(job.recipe.seed)).unwrap();
    trainer.train(&mut Silent).unwrap();
    parameter_hash(&trainer.finish().unwrap()[0].parameters)
}

fn check_side_by_side(backend: &dyn Backend, recipe: &str, table: &str, groups: &[usize]) {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let sweep = load(recipe, table, folder.path()).unwrap();
    let (together, alone) = (folder.path().join("together"), folder.path().join("alone"));
    assert_eq!(run_in(&sweep, backend, &together, 64).1.groups, groups);
    assert_eq!(run_in(&sweep, backend, &alone, 1).1.groups, vec![1; sweep.entries.len()]);
    let (together_rows, alone_rows) = (rows(&together), rows(&alone));
    assert_eq!(together_rows, alone_rows);
    for row in &together_rows {
        for name in ["metrics.jsonl", "steps.jsonl"] {
            assert_eq!(log(&together, row, name), log(&alone, row, name), "{} {name}", row.run);
        }
        assert!(!log(&together, row, "metrics.jsonl").is_empty());
    }
    // Each run is the one that `train` does with the recipe in its folder.
    for row in &together_rows {
        let recipe = Recipe::load(&together.join(&row.run).join("recipe.toml"), &[]).unwrap();
        assert_eq!(row.parameter_hash, Some(trained_alone(backend, recipe)), "{}", row.run);
    }
    let hashes: std::collections::BTreeSet<_> = together_rows.iter().map(|row| row.parameter_hash.clone()).collect();
    assert_eq!(hashes.len(), together_rows.len(), "every run has weights of its own");
}

fn check_everything_side_by_side(backend: &dyn Backend) {
    // Rates, decay, momenta, initial weights and schedules may differ; a shape may not.
    let table = "\"optimizer.learning_rate\" = [0.2, 0.02]\n\"model.init\" = [\"glorot_uniform\", { normal = 0.1 }]\n\
                 schedule = [{}, { kind = \"step\", every = 2, factor = 0.5, warmup_steps = 4 }]";
    check_side_by_side(backend, MLP, table, &[8]);
    let table = "\"model.layers\" = [\"12:relu,3\", \"7:tanh,3\"]\n\"optimizer.l2\" = [0.0, 0.01, 0.02]\n\
                 \"train.early_stop\" = [{ metric = \"validation_loss\", patience = 2 }]\n\
                 \"optimizer.learning_rate\" = [0.9]\n\"train.epochs\" = [12]";
    check_side_by_side(backend, MLP, table, &[1, 2, 1, 2]);
    // A schedule by step has a table of rates, which those by epoch lack.
    let table = "optimizer = [{ kind = \"rmsprop\" }, { kind = \"rmsprop\", learning_rate = 0.003, alpha = 0.9 }]\n\
                 schedule = [{}, { kind = \"one_cycle\" }, { kind = \"cosine\", by = \"step\", warmup_epochs = 0.5 }]\n\
                 \"train.ema\" = [0.9]\n\"train.accumulate\" = [2]";
    check_side_by_side(backend, MLP, table, &[2, 4]);
    check_side_by_side(backend, CONVOLUTION, "trials = 3", &[3]);
}

#[test]
fn side_by_side_equals_one_by_one_on_the_cpu() {
    check_everything_side_by_side(&CpuBackend::new());
}

#[test]
fn side_by_side_equals_one_by_one_on_vulkan() {
    if let Some(backend) = common::vulkan() {
        check_everything_side_by_side(&backend);
    }
}

#[test]
fn a_sweep_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let backend = CpuBackend::new();
    let table = "\"model.layers\" = [\"12:relu,3\", \"7:tanh,3\"]\ntrials = 3";
    let sweep = load(MLP, table, folder.path()).unwrap();
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    let (expected, _) = run_in(&sweep, &backend, &whole, 64);
    // Interrupted after the first group.
    let mut counter = Counter { stop_after: Some(3), ..Counter::default() };
    let options = Options { side_by_side: 64, tensorboard: false, started: Instant::now() };
    let error = run(&sweep, &backend, &out, &options, &mut counter).unwrap_err();
    assert!(matches!(error, SweepError::Interrupted { done: 3, total: 6, .. }), "{error}");
    assert!(error.to_string().contains("3 of 6"));
    let (summary, counter) = run_in(&sweep, &backend, &out, 64);
    assert_eq!(counter.groups, [3]);
    assert_eq!(rows(&out), rows(&whole));
    assert_eq!(without_times(&summary), without_times(&expected));
    // Some lines lost, the last one cut off.
    let file = out.join("results.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&file, format!("{}\n{}\n{}", lines[4], lines[0], &lines[5][..40])).unwrap();
    let (summary, counter) = run_in(&sweep, &backend, &out, 64);
    assert_eq!((counter.results, counter.groups), (4, vec![2, 2]));
    assert!(fs::read_to_string(&file).unwrap().starts_with(&format!("{}\n{}\n", lines[4], lines[0])));
    assert_eq!(rows(&out), rows(&whole));
    assert_eq!(without_times(&summary), without_times(&expected));
    // Nothing is left to do.
    assert_eq!(run_in(&sweep, &backend, &out, 64).1.results, 0);
}

#[test]
fn the_table_has_means_and_spreads_and_the_best() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let table = "\"optimizer.learning_rate\" = [0.000001, 0.1, 0.00001]\ntrials = 3";
    let sweep = load(MLP, table, folder.path()).unwrap();
    let out = folder.path().join("out");
    let (summary, counter) = run_in(&sweep, &CpuBackend::new(), &out, 64);
    assert_eq!(counter.groups, [9]);
    assert_eq!(summary.best, Some(1));
    let rows = rows(&out);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(out.join("sweep.json")).unwrap()).unwrap();
    assert_eq!(json["best"], 1);
    for (number, rows) in rows.chunks(3).enumerate() {
        let values: Vec<f64> = rows.iter().map(|row| f64::from(row.validation_accuracy.unwrap())).collect();
        let mean = values.iter().sum::<f64>() / 3.0;
        let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let found = &json["combinations"][number]["metrics"]["validation_accuracy"];
        assert!((found["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
        assert!((found["spread"].as_f64().unwrap() - spread).abs() < 1e-12);
        assert_eq!(rows.iter().map(|row| row.seed).collect::<Vec<_>>(), [3, 4, 5]);
    }
    let table = results_table(&sweep, &summary);
    assert_eq!(table.rows[0][1], "0.1");
    assert!(table.rows[0][2].contains('±'), "{:?}", table.rows[0]);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for expected in ["validation accuracy", "learning rate 0.1", "Step by step", "norm of the gradient", "<svg"] {
        assert!(page.contains(expected), "{expected}");
    }
    for row in &rows {
        for file in ["recipe.toml", "metrics.jsonl", "steps.jsonl", "summary.json", "model.safetensors", "report.html"]
        {
            assert!(out.join(&row.run).join(file).is_file(), "{}/{file}", row.run);
        }
        let page = fs::read_to_string(out.join(&row.run).join("report.html")).unwrap();
        assert!(
            page.contains("export . --to web") && !page.contains("<script"),
            "reports of a sweep's runs stay small"
        );
        let saved = gputrain::export::SavedModel::load(&out.join(&row.run)).unwrap();
        assert_eq!(Some(parameter_hash(&saved.parameters)), row.parameter_hash);
    }
}

#[test]
fn a_run_that_diverges_does_not_end_the_others() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let sweep = load(MLP, "\"optimizer.learning_rate\" = [1e30, 0.1]", folder.path()).unwrap();
    let backend = CpuBackend::new();
    let (together, alone) = (folder.path().join("together"), folder.path().join("alone"));
    let (summary, _) = run_in(&sweep, &backend, &together, 64);
    run_in(&sweep, &backend, &alone, 1);
    let found = rows(&together);
    assert_eq!(found, rows(&alone));
    assert_eq!((found[0].diverged, found[0].validation_loss, &found[0].parameter_hash), (Some(1), None, &None));
    assert_eq!(found[1].diverged, None);
    assert!(found[1].validation_accuracy.unwrap() > 0.8);
    assert_eq!((summary.best, summary.diverged), (Some(1), 1));
    let table = results_table(&sweep, &summary);
    assert_eq!((&*table.rows[1][1], &*table.rows[1][2]), ("1e30", "– (1 failed)"));
    assert_eq!(&table.rows[1][table.header.len() - 2], "1: 1 diverged");
    assert!(fs::read_to_string(together.join("report.html")).unwrap().contains("Diverged"));
    assert_eq!(log(&together, &found[0], "metrics.jsonl").len(), 1);
}

#[test]
fn the_best_is_trained_again_on_all_examples() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let table = "\"optimizer.learning_rate\" = [0.000001, 0.1]\nretrain = true";
    let sweep = load(MLP, table, folder.path()).unwrap();
    let backend = CpuBackend::new();
    let out = folder.path().join("out");
    // Ctrl-C while the best is trained again: all runs are done, and not done again.
    let mut counter = Counter { stop_in: Some(2), ..Counter::default() };
    let options = Options { side_by_side: 64, tensorboard: false, started: Instant::now() };
    let error = run(&sweep, &backend, &out, &options, &mut counter).unwrap_err();
    assert!(matches!(error, SweepError::Interrupted { done: 2, total: 2, .. }), "{error}");
    assert!(error.to_string().contains("2 of 2 runs done, while the best was trained again"), "{error}");
    assert!(!out.join("sweep.json").exists() && !out.join("best/summary.json").exists());
    // Two runs of 6 epochs, and the best once more: also while the others train.
    assert_eq!(counter.progress.last(), Some(&(12, 18)));
    let (summary, counter) = run_in(&sweep, &backend, &out, 64);
    assert_eq!((counter.groups, counter.results, counter.progress.last()), (vec![1], 0, Some(&(6, 6))));
    // The sweep is done when its page is there.
    let (page, done) = (out.join("report.html"), out.join("sweep.json"));
    [&page, &done].into_iter().for_each(|file| fs::remove_file(file).unwrap());
    fs::create_dir(&page).unwrap();
    let error = run(&sweep, &backend, &out, &options, &mut Counter::default()).unwrap_err();
    assert!(error.to_string().contains("report.html") && !done.exists(), "{error}");
    fs::remove_dir(&page).unwrap();
    let retrained = summary.retrained.unwrap();
    assert!(retrained.test_accuracy.unwrap() > 0.8 && retrained.validation_accuracy.is_none());
    let mut recipe = sweep.entries[1].recipe.clone();
    recipe.data.validation = Holdout::None;
    recipe.train.record.clear();
    // 150 examples in batches of 16, not 120.
    assert_eq!(retrained.steps, 6 * 10);
    assert_eq!(retrained.parameter_hash, trained_alone(&backend, recipe));
    assert!(out.join("best/model.safetensors").is_file());
    assert!(fs::read_to_string(out.join("best/report.html")).unwrap().contains("<script"), "it can be tried");
    let (again, counter) = run_in(&sweep, &backend, &out, 64);
    let again = again.retrained.unwrap();
    assert_eq!((again.parameter_hash, counter.groups.len()), (retrained.parameter_hash, 0));
    // A validation set of its own is added to the training set.
    let text =
        MLP.replace("validation = 30", "validation = { images = \"test-images.npy\", labels = \"test-labels.npy\" }");
    let sweep = load(&text, table, folder.path()).unwrap();
    let (summary, _) = run_in(&sweep, &backend, &folder.path().join("files"), 64);
    assert_eq!(summary.retrained.unwrap().steps, 6 * 14);
}

#[test]
fn errors_come_before_training() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    fs::write(folder.path().join("bare.toml"), MLP.replace("validation = 30", "")).unwrap();
    let list = "name = \"list\"\n[sweep]\nrecipes = [\"bare.toml\"]\ntrials = 2";
    let text =
        RecipeText { text: list.into(), origin: "list.toml".into(), path: Some(folder.path().join("list.toml")) };
    let none = Sweep::load(&text, &[], Some(folder.path())).unwrap_err();
    assert!(matches!(none, SweepError::NoMetric { .. }) && none.to_string().contains("add data.validation"), "{none}");
    let plateau = format!("{MLP}\n[schedule]\nkind = \"plateau\"\nmetric = \"validation_loss\"");
    let watches = load(&plateau, "retrain = true", folder.path()).unwrap_err();
    assert!(watches.to_string().contains("train_loss"), "{watches}");
    let out = folder.path().join("out");
    let sweep = load(MLP, "trials = 2", folder.path()).unwrap();
    let options = Options { side_by_side: 2, tensorboard: false, started: Instant::now() };
    run_in(&sweep, &CpuBackend::new(), &out, 2);
    let other = load(MLP, "trials = 3", folder.path()).unwrap();
    let error = run(&other, &CpuBackend::new(), &out, &options, &mut Counter::default()).unwrap_err();
    assert!(error.to_string().contains("choose another --out"), "{error}");
    let line = fs::read_to_string(out.join("results.jsonl")).unwrap();
    fs::write(out.join("results.jsonl"), format!("{{}}\n{line}")).unwrap();
    let error = run(&sweep, &CpuBackend::new(), &out, &options, &mut Counter::default()).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}

/// Runs the program; its exit code, stdout and stderr.
fn program(arguments: &[&str], folder: &Path) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gputrain"))
        .args(["--backend", "cpu"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_prints_results_and_tells_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write_data(at);
    fs::write(at.join("plain.toml"), MLP).unwrap();
    fs::write(at.join("s.toml"), format!("{MLP}\n[sweep]\n\"optimizer.learning_rate\" = [0.1, 0.2]")).unwrap();
    let (code, out, _) = program(&["--json", "sweep", "s.toml", "--out", "o", "--set", "train.epochs=2"], at);
    assert_eq!(code, 0);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["settings"]["optimizer.learning_rate"], 0.1);
    assert_eq!(lines[2]["combinations"].as_array().unwrap().len(), 2);
    let (code, out, _) = program(&["sweep", "s.toml", "--out", "p"], at);
    assert!(code == 0 && out.contains("best by validation_accuracy: learning rate"), "{out}");
    for (arguments, says) in [
        (&["sweep"][..], "digits.toml has no [sweep] table"),
        (&["sweep", "plain.toml"], "no [sweep] table"),
        (&["sweep", "absent.toml"], "absent.toml"),
        (&["sweep", "s.toml", "--out", "o", "--set", "train.epochs=3"], "choose another --out"),
        (&["sweep", "s.toml", "--out", "q", "--side-by-side", "0"], "--side-by-side"),
        (&["sweep", "s.toml", "--out", "q", "--lr", "0.3"], "--set 'sweep.optimizer.learning_rate=["),
        (&["sweep", "s.toml", "--out", "q", "--set", "sweep.metric=\"speed\""], "metric"),
    ] {
        let (code, _, error) = program(arguments, at);
        assert!(code == 2 && error.contains(says), "{arguments:?}: {code} {error}");
    }
    fs::write(at.join("wild.toml"), format!("{MLP}\n[sweep]\n\"optimizer.learning_rate\" = [1e30, 1e31]")).unwrap();
    let (code, _, error) = program(&["sweep", "wild.toml", "--out", "d"], at);
    assert!(code == 1 && error.contains("diverged"), "{code} {error}");
}
