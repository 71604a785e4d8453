//! Runs that were over, and go on: with more epochs, another rate, more patience; and what of them does not stay.

use crate::binary::{Workplace, fail, json, lines, succeed};
use crate::runs::{ADAM, assert_same_run};

#[test]
fn a_run_goes_on_with_more_epochs_and_another_rate() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &out]);
    let rule = "train.early_stop={ metric = \"validation_loss\", patience = 9 }";
    let resume = ["--backend", "cpu", "--quiet", "train", "--resume", &out, "--set", rule];
    succeed(&[&resume[..], &["--epochs", "5", "--lr", "0.0005"]].concat());
    let rates: Vec<f64> =
        lines(&place.path("out/metrics.jsonl")).iter().map(|epoch| epoch["learning_rate"].as_f64().unwrap()).collect();
    assert_eq!(rates.len(), 5);
    assert!(rates[..3].iter().all(|rate| (rate - 0.001).abs() < 1e-9), "{rates:?}");
    assert!(rates[3..].iter().all(|rate| (rate - 0.0005).abs() < 1e-9), "{rates:?}");
    assert_eq!(json(&place.path("out/summary.json"))["epochs"], 5);
    // The folder tells how the run ended up.
    let text = std::fs::read_to_string(place.path("out/recipe.toml")).unwrap();
    assert!(text.contains("\nepochs = 5\n") && text.contains("patience = 9"), "{text}");
    let (code, error) = fail(&["--backend", "cpu", "--quiet", "train", "--resume", &out]);
    assert!(code == 2 && error.contains("ask for more than 5"), "{error}");
}

#[test]
fn a_run_that_is_over_goes_on_as_if_it_had_been_asked_for_more_epochs() {
    let place = Workplace::new(ADAM);
    let [recipe, short, whole] = ["recipe.toml", "short", "whole"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "--quiet", "train", &recipe, "--epochs"];
    succeed(&[&train[..], &["3", "--out", &whole]].concat());
    succeed(&[&train[..], &["1", "--out", &short]].concat());
    succeed(&["--backend", "cpu", "--quiet", "train", "--resume", &short, "--epochs", "3"]);
    assert_same_run(&place.path("short"), &place.path("whole"));
}

#[test]
fn a_run_that_stopped_early_says_so_and_goes_on_with_more_patience() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    // No improvement is large enough: the second epoch is the last.
    let rule = "train.early_stop={ metric = \"validation_loss\", patience = 1, min_delta = 9.0 }";
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "9", "--set", rule, "--out", &out]);
    let resume = ["--backend", "cpu", "--quiet", "train", "--resume", &out];
    let summary = json(&place.path("out/summary.json"));
    assert_eq!(summary["epochs"], 2);
    for arguments in [&[][..], &["--epochs", "12"]] {
        let (code, error) = fail(&[&resume[..], arguments].concat());
        assert!(code == 2 && error.contains("stopped early after epoch 2: validation_loss"), "{error}");
        assert!(error.contains("--set train.early_stop.patience=2"), "{error}");
        assert_eq!(json(&place.path("out/summary.json")), summary, "the run is untouched");
    }
    succeed(&[&resume[..], &["--set", "train.early_stop.patience=3"]].concat());
    assert_eq!(lines(&place.path("out/metrics.jsonl")).len(), 4);
}

#[test]
fn weights_from_after_the_checkpoint_do_not_stay() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    let snapshots = || {
        let files = std::fs::read_dir(place.path("out/weights")).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let until = |epoch: u32| (0..=epoch).map(|epoch| format!("epoch-{epoch:05}.safetensors")).collect::<Vec<_>>();
    let state = place.path("out/checkpoint/state.safetensors");
    let record = "train.record=[\"weights\"]";
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "1", "--set", record, "--out", &out]);
    let first = std::fs::read(&state).unwrap();
    std::fs::write(place.path("out/weights/notes.txt"), "mine").unwrap();
    let resume = ["--backend", "cpu", "--quiet", "train", "--resume", &out, "--epochs"];
    succeed(&[&resume[..], &["4"]].concat());
    assert_eq!(snapshots()[..5], until(4));
    std::fs::write(&state, first).unwrap();
    succeed(&[&resume[..], &["2", "--lr", "0.1"]].concat());
    assert_eq!(snapshots(), [until(2), vec!["notes.txt".to_string()]].concat());
}
