//! Runs as a user makes them: the files that they leave, exit codes and messages, and going on after a kill.

use crate::binary::{Running, Workplace, fail, gputrain, json, last_line, lines, succeed, text};
use crate::common;
use gputrain::train::Checkpoint;
use serde_json::Value;
use std::path::Path;

/// A small network on few of the generated digits: software drivers take a second for 40 such steps, and for an evaluation of
/// some thousand examples.
pub const ADAM: &str = r#"
name = "small-adam"
seed = 3
[data]
test = 200
validation = 200
examples = 1000
scale = "unit"
[model]
input = [784]
layers = [{ dense = 32, activation = "relu" }, { dense = 10 }]
[optimizer]
kind = "adam"
[train]
epochs = 3
batch = 25
log_every = 7
"#;

/// The same with everything that the host decides between epochs.
const PLATEAU: &str = r#"
name = "small-plateau"
seed = 4
[data]
test = 200
validation = 200
examples = 1000
scale = "centered"
[model]
input = [28, 28, 1]
layers = [{ flatten = true }, { dense = 32, activation = "tanh" }, { dropout = 0.1 }, { dense = 10 }]
[optimizer]
kind = "sgd"
learning_rate = 0.05
momentum = 0.9
[schedule]
kind = "plateau"
metric = "validation_loss"
factor = 0.5
patience = 1
[train]
epochs = 3
batch = 25
log_every = 7
early_stop = { metric = "validation_loss", patience = 50 }
"#;

fn backends() -> Vec<&'static str> {
    std::iter::once("cpu").chain(common::vulkan().map(|_| "vulkan")).collect()
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn has(object: &Value, wanted: &[&str]) {
    for key in wanted {
        assert!(object.get(key).is_some(), "no {key} among {:?}", keys(object));
    }
}

const SUMMARY: [&str; 16] = [
    "name",
    "test_loss",
    "test_accuracy",
    "validation_loss",
    "validation_accuracy",
    "parameters",
    "epochs",
    "steps",
    "seconds",
    "steps_per_second",
    "backend",
    "device",
    "driver",
    "precision",
    "seed",
    "parameter_hash",
];

const EPOCH: [&str; 8] = [
    "epoch",
    "step",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "seconds",
];

#[test]
fn a_run_leaves_the_files_of_the_contract_and_the_same_weights_every_time() {
    for backend in backends() {
        let place = Workplace::new(ADAM);
        let [recipe, first, second] = ["recipe.toml", "first", "second"].map(|name| place.text(name));
        let output = succeed(&["--backend", backend, "--json", "train", &recipe, "--out", &first]);
        let summary = json(&place.path("first/summary.json"));
        has(&summary, &SUMMARY);
        assert_eq!(last_line(&output), summary, "the last line of --json is the summary");
        assert!(text(&output.stdout).lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        assert_eq!((summary["backend"].as_str(), summary["epochs"].as_u64()), (Some(backend), Some(3)));
        assert_eq!((summary["steps"].as_u64(), summary["parameters"].as_u64()), (Some(120), Some(25_450)));
        assert!(summary["test_accuracy"].as_f64().unwrap() > 0.5, "{summary}");

        let epochs = lines(&place.path("first/metrics.jsonl"));
        assert_eq!(epochs.len(), 3);
        epochs.iter().for_each(|epoch| has(epoch, &EPOCH));
        let steps = lines(&place.path("first/steps.jsonl"));
        let numbers: Vec<u64> = steps.iter().map(|step| step["step"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (7..=120).step_by(7).collect::<Vec<u64>>());
        steps.iter().for_each(|step| has(step, &["loss", "accuracy"]));
        for file in ["recipe.toml", "model.safetensors", "checkpoint/state.safetensors", "report.html"] {
            assert!(place.path("first").join(file).metadata().is_ok_and(|m| m.len() > 0), "{file}");
        }

        // The recipe as it was resolved makes the same run again.
        let resolved = place.text("first/recipe.toml");
        succeed(&["--backend", backend, "train", &resolved, "--out", &second, "--quiet"]);
        assert_eq!(json(&place.path("second/summary.json"))["parameter_hash"], summary["parameter_hash"]);

        let (code, error) = fail(&["--backend", backend, "train", &recipe, "--out", &first]);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("already holds a run") && error.contains("--resume"), "{error}");
        assert_eq!(json(&place.path("first/summary.json")), summary, "the old run is untouched");
    }
}

/// The lines of a run without what differs between equal runs.
fn measured(run: &Path, file: &str) -> Vec<Value> {
    let mut lines = lines(&run.join(file));
    lines.iter_mut().for_each(|line| {
        line.as_object_mut().unwrap().remove("seconds");
    });
    lines
}

pub fn assert_same_run(resumed: &Path, whole: &Path) {
    for file in ["metrics.jsonl", "steps.jsonl"] {
        assert_eq!(measured(resumed, file), measured(whole, file), "{file}");
    }
    let [resumed, whole] = [resumed, whole].map(|run| json(&run.join("summary.json")));
    for key in ["parameter_hash", "epochs", "best_epoch", "steps", "validation_loss", "test_accuracy"] {
        assert_eq!(resumed[key], whole[key], "{key}");
    }
}

/// Epochs enough that there is a middle to stop in, a second or more; a software driver takes a second for one.
fn epochs(backend: &str) -> &'static str {
    if backend == "cpu" { "120" } else { "4" }
}

/// How a run is ended from outside.
enum End {
    Killed,
    /// It then saves where it is.
    #[cfg(unix)]
    Interrupted,
}

/// Checkpoints in the middle of epochs of 40 steps, and between logged steps.
const EVERY_17_STEPS: &[&str] = &["--set", "train.checkpoint_every=0", "--set", "train.checkpoint_steps=17"];

/// Ends runs of a recipe in several ways: each has more arguments of train, and so many steps between two checkpoints. All go on
/// to the same weights as one that nobody ended, and that saved between epochs alone.
fn ended_and_resumed(recipe: &str, ways: &[(End, &[&str], u32)]) {
    for backend in backends() {
        let place = Workplace::new(recipe);
        let [recipe, whole] = ["recipe.toml", "whole"].map(|name| place.text(name));
        let train = ["--backend", backend, "--quiet", "train", &recipe, "--epochs", epochs(backend), "--out"];
        succeed(&[&train[..], &[&whole]].concat());
        for (index, (end, settings, steps)) in ways.iter().enumerate() {
            let ended = place.path(&format!("ended-{index}"));
            let out = ended.display().to_string();
            let state = ended.join("checkpoint/state.safetensors");
            let mut run = Running::start(&[&train[..], &[&out], settings].concat());
            run.wait_for(&state);
            match end {
                End::Killed => {
                    run.0.kill().unwrap();
                    run.0.wait().unwrap();
                }
                #[cfg(unix)]
                End::Interrupted => {
                    let kill = std::process::Command::new("kill").args(["-INT", &run.0.id().to_string()]).status();
                    assert!(kill.unwrap().success());
                    assert_eq!(run.0.wait().unwrap().code(), Some(130), "on {backend}");
                }
            }
            let progress = Checkpoint::load(&state).unwrap().progress;
            assert!(progress.step > 0 && progress.step.is_multiple_of(*steps), "{progress:?}");
            assert!(!ended.join("summary.json").exists(), "the run was over before it was ended");
            succeed(&["--backend", backend, "--quiet", "train", "--resume", &out]);
            assert_same_run(&ended, &place.path("whole"));
        }
    }
}

#[test]
fn a_killed_or_interrupted_run_goes_on_to_the_same_weights_with_adam() {
    ended_and_resumed(
        ADAM,
        &[
            (End::Killed, &[], 40),
            (End::Killed, EVERY_17_STEPS, 17),
            #[cfg(unix)]
            (End::Interrupted, &[], 1),
        ],
    );
}

#[test]
fn a_killed_run_goes_on_to_the_same_weights_with_momentum_plateau_and_early_stopping() {
    ended_and_resumed(PLATEAU, &[(End::Killed, &[], 40), (End::Killed, EVERY_17_STEPS, 17)]);
}

/// Arguments after `train RECIPE`, the exit code, and what the message must say.
const REFUSED: [(&[&str], i32, &[&str]); 14] = [
    (&["--epochs", "4294967295"], 2, &["171798691800 steps", "4294967295", "train.epochs"]),
    (&["--set", "train.epoch=3"], 2, &["train.epoch", "did you mean \"epochs\""]),
    (&["--set", "optimizer.learning_rate=fast"], 2, &["optimizer.learning_rate"]),
    (&["--set", "train.batch=0"], 2, &["train.batch"]),
    (&["--set", "train.epochs"], 2, &["train.epochs", "KEY=VALUE"]),
    (&["--layers", "10:rellu"], 2, &["model.layers", "relu"]),
    (&["--train-images", "no-such.npy", "--train-labels", "none.npy"], 2, &["no-such.npy"]),
    (&["--init", "no-such.safetensors"], 2, &["no-such.safetensors"]),
    (&["--set", "data.validation=9800"], 2, &["data.validation"]),
    (&["--set", "train.drop_last=true", "--batch", "5000"], 2, &["5000", "1000", "train.drop_last"]),
    (&["--set", "data.validation=0", "--set", "train.early_stop={ patience = 2 }"], 2, &["train.early_stop"]),
    (&["--set", "model.input=[12, 12]", "--backend", "cpu"], 2, &["input"]),
    (&["--backend", "cpu", "--device", "0"], 2, &["--device"]),
    (&["--backend", "vulkan", "--device", "no such device"], 3, &["vulkan"]),
];

#[test]
fn verbose_training_tells_its_launches_and_checkpoints() {
    let place = Workplace::new(ADAM);
    let recipe = place.text("recipe.toml");
    let train = ["--backend", "cpu", "train", &recipe, "--epochs", "2", "--out"];
    let said = |more: &[&str]| String::from_utf8(succeed(&[&train[..], more].concat()).stdout).unwrap();
    let (ordinary, verbose) = (said(&[&place.text("ordinary")]), said(&[&place.text("verbose"), "-v"]));
    for line in [
        "the training step is not fused: ",
        "dense_forward: layers.0 forward, grid ",
        "  checkpoint after step ",
        "with learning rate ",
    ] {
        assert!(verbose.contains(line) && !ordinary.contains(line), "{line}");
    }
}

#[test]
fn what_cannot_run_is_refused_with_the_right_code_and_the_key() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    for (arguments, code, says) in REFUSED {
        let (found, error) = fail(&[&["train", &recipe, "--out", &out][..], arguments].concat());
        println!("{arguments:?}: {error}");
        assert_eq!(found, code, "{arguments:?}: {error}");
        says.iter().for_each(|says| assert!(error.contains(says), "{arguments:?}: no {says} in: {error}"));
        assert!(!place.path("out/recipe.toml").exists(), "{arguments:?} began a run");
    }
    let metal = if cfg!(target_os = "macos") { "dx12" } else { "metal" };
    let (code, error) = fail(&["--backend", metal, "train", &recipe, "--out", &out]);
    assert!(code == 3 && error.contains(metal), "{error}");
    let (code, error) = fail(&["--backend", "opencl", "train", &recipe]);
    assert!(code == 2 && error.contains("opencl"), "{error}");
    let (code, error) = fail(&["train", "--resume", &out]);
    assert!(code == 2 && error.contains("no checkpoint"), "{error}");
    let (code, error) = fail(&["train", &place.text("no-such.toml")]);
    assert!(code == 2 && error.contains("no-such.toml"), "{error}");
}

#[test]
fn a_checkpoint_that_does_not_fit_or_is_damaged_is_refused() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &out]);
    let resume = ["--backend", "cpu", "train", "--resume", &out];
    let asked = |arguments: &[&str], says: &[&str]| {
        let (code, error) = fail(&[&resume[..], arguments].concat());
        assert!(code == 2 && says.iter().all(|says| error.contains(says)), "{arguments:?}: {error}");
    };
    let summary = json(&place.path("out/summary.json"));
    asked(&["--batch", "64"], &["train.batch = 25", "64 was asked for", "--out"]);
    asked(&["--seed", "4"], &["seed = 3", "4 was asked for"]);
    asked(&["--set", "optimizer.kind=adamw"], &["optimizer.kind = \"adam\"", "\"adamw\" was asked for"]);
    asked(&["--set", "model.layers=[{ dense = 10 }]"], &["model.layers = [{", "was asked for"]);
    asked(&["--epochs", "2"], &["train.epochs = 2", "ask for more than 3"]);
    // What was refused changed nothing.
    assert_eq!(json(&place.path("out/summary.json")), summary);
    // A recipe that was edited meanwhile.
    let text = std::fs::read_to_string(place.path("out/recipe.toml")).unwrap();
    for (from, to) in [("batch = 25", "batch = 64"), ("dense = 32", "dense = 31")] {
        assert!(text.contains(from), "{text}");
        std::fs::write(place.path("out/recipe.toml"), text.replace(from, to)).unwrap();
        asked(&["--epochs", "5"], &["does not fit this run"]);
    }
    std::fs::write(place.path("out/recipe.toml"), text).unwrap();
    let state = place.path("out/checkpoint/state.safetensors");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    let (code, error) = fail(&resume);
    assert!(code == 2 && error.contains("state.safetensors is not a checkpoint"), "{error}");
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_1() {
    for backend in backends() {
        let place = Workplace::new(ADAM);
        let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
        let (code, error) = fail(&["--backend", backend, "train", &recipe, "--out", &out, "--lr", "1e30"]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("not finite at step 2") || error.contains("not finite at step 3"), "{error}");
        assert!(error.contains("optimizer.learning_rate"), "{error}");
        assert!(!place.path("out/model.safetensors").exists() && !place.path("out/summary.json").exists());
    }
}

#[test]
fn a_run_is_done_when_its_page_is_there() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "2", "--out", &out]);
    // In the way of the page.
    let page = place.path("out/report.html");
    std::fs::remove_file(&page).unwrap();
    std::fs::create_dir(&page).unwrap();
    let (code, error) = fail(&["--backend", "cpu", "--quiet", "train", "--resume", &out, "--epochs", "3"]);
    assert!(code == 2 && error.contains("report.html"), "{error}");
    assert!(place.path("out/model.safetensors").exists() && !place.path("out/summary.json").exists());
    std::fs::remove_dir(&page).unwrap();
    succeed(&["--backend", "cpu", "--quiet", "train", "--resume", &out]);
    // The page shows the summary that was written after it.
    let hash = json(&place.path("out/summary.json"))["parameter_hash"].as_str().unwrap().to_string();
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains(&hash) && text.contains("<title>small-adam"), "{hash}");
    // Going on, the run is not done again until its new end; the page in the way again.
    std::fs::remove_file(&page).unwrap();
    std::fs::create_dir(&page).unwrap();
    fail(&["--backend", "cpu", "--quiet", "train", "--resume", &out, "--epochs", "4"]);
    assert!(!place.path("out/summary.json").exists());
}

#[test]
fn early_stopping_restores_the_best_weights() {
    for backend in backends() {
        let place = Workplace::new(ADAM);
        let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
        let rule = "train.early_stop={ metric = \"validation_loss\", patience = 2 }";
        let long = ["--epochs", "60", "--lr", "0.02", "--set", rule];
        succeed(&[&["--backend", backend, "--quiet", "train", &recipe, "--out", &out][..], &long].concat());
        let epochs = lines(&place.path("out/metrics.jsonl"));
        let loss = |epoch: &Value| epoch["validation_loss"].as_f64().unwrap();
        let best = epochs.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
        let summary = json(&place.path("out/summary.json"));
        assert_eq!(summary["validation_loss"], best["validation_loss"]);
        assert_eq!(summary["best_epoch"], best["epoch"]);
        assert_eq!(epochs.len() as u64, best["epoch"].as_u64().unwrap() + 2, "stopped after two worse epochs");
        assert_eq!(summary["epochs"].as_u64().unwrap(), epochs.len() as u64);
    }
}

#[test]
fn without_a_test_set_the_summary_has_nulls() {
    let place = Workplace::new(ADAM);
    let [recipe, out, images, labels] = ["recipe.toml", "out", "x.csv", "y.csv"].map(|name| place.text(name));
    std::fs::write(&images, "0.5,0.25\n0.125,1\n1,0\n0,1\n").unwrap();
    std::fs::write(&labels, "0\n1\n0\n1\n").unwrap();
    let data = ["--train-images", &images, "--train-labels", &labels, "--layers", "3:relu,2"];
    let set = [
        "--set",
        "model.input=[2]",
        "--set",
        "data.validation=0",
        "--set",
        "data.test=0",
        "--set",
        "data.scale=none",
        "--out",
        &out,
    ];
    let output =
        gputrain(&[&["--backend", "cpu", "--json", "train", &recipe][..], &data, &set].concat()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = last_line(&output);
    has(&summary, &SUMMARY);
    for key in ["test_loss", "test_accuracy", "validation_loss", "validation_accuracy"] {
        assert!(summary[key].is_null(), "{key}: {summary}");
    }
}

#[test]
fn data_of_any_size_trains_without_a_recipe() {
    let place = Workplace::new(ADAM);
    let table = place.text("table.csv");
    let rows = (0..60).map(|i| format!("{},{},{},{}\n", i % 7, i % 2, i % 5, i % 3));
    std::fs::write(&table, format!("a,label,b,c\n{}", rows.collect::<String>())).unwrap();
    let labels = format!("{table}#label");
    for backend in backends() {
        let data = ["--train-images", &table, "--train-labels", &labels, "--layers", "4:relu,2", "--epochs", "2"];
        let out = place.text(&format!("out-{backend}"));
        let mut command = gputrain(&[&["--backend", backend, "--json", "train", "--out", &out][..], &data].concat());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(last_line(&output)["parameters"], 3 * 4 + 4 + 4 * 2 + 2);
    }
}
