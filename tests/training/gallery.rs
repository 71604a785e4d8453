//! The gallery on generated digits: a list of small experiments, done, kept, left out, resumed and reduced.

use crate::binary::{gputrain, json, lines};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const SMALL: &str = r#"
seed = 3
[data]
validation = 100
examples = 400
[model]
input = [784]
layers = "12:relu,10"
[optimizer]
kind = "sgd"
learning_rate = 0.2
[train]
epochs = 4
batch = 40
"#;

const LIST: &str = r#"
coursework = "the course"
[[experiment]]
name = "one-run"
title = "One run"
text = "Digits & nothing else."
does = "train"
recipe = "small.toml"
reduced = ["train.epochs=2"]
picture = "accuracy.svg"
figures = [
  { what = "test accuracy", value = "test_accuracy", coursework = "12.3 %" },
  { what = "parameters", value = "parameters" },
]
[[experiment]]
name = "sweep"
title = "Some rates"
does = "sweep"
recipe = "rates.toml"
reduced = ["sweep.trials=1"]
picture = "validation-accuracy.svg"
figures = [
  { what = "the best", value = "validation_accuracy", of = "best", pytorch = "45.6 %" },
  { what = "the slow one", value = "train_loss", of = "learning rate 1e-5" },
]
[[experiment]]
name = "absent"
title = "Data that is not there"
does = "train"
recipe = "absent.toml"
figures = [{ what = "test accuracy", value = "test_accuracy" }]
[[experiment]]
name = "gradients"
title = "Gradients"
does = "gradients"
recipe = "small.toml"
set = ["train.batch=5"]
check = true
figures = [{ what = "error", value = "numeric_error" }]
"#;

/// A folder with the list and its recipes.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("small.toml"), SMALL).unwrap();
    let sweep = "[sweep]\n\"optimizer.learning_rate\" = [0.2, 0.00001]\ntrials = 2\nretrain = true\n";
    fs::write(at.join("rates.toml"), format!("{SMALL}{sweep}")).unwrap();
    let files = "train = { images = \"x.npy\", labels = \"y.npy\" }\n";
    fs::write(at.join("absent.toml"), SMALL.replace("validation = 100\n", files)).unwrap();
    fs::write(at.join("list.toml"), LIST).unwrap();
    folder
}

/// Runs the gallery; its exit code, its JSON lines and what it says.
fn gallery(at: &Path, arguments: &[&str]) -> (i32, Vec<Value>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gputrain"))
        .args(["--backend", "cpu", "--json", "gallery", "--list", "list.toml"])
        .args(arguments)
        .current_dir(at)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let parsed = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), parsed, text(&output.stderr))
}

fn states(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["status"].as_str()).collect()
}

#[test]
fn every_experiment_is_done_once_and_missing_data_is_said() {
    let folder = folder();
    let at = folder.path();
    let (code, found, said) = gallery(at, &["--out", "g"]);
    assert_eq!((code, states(&found)), (1, vec!["done", "done", "missing", "done"]), "{said}");
    assert_eq!(found.len(), 5);
    assert!(found[2]["problem"].as_str().unwrap().contains("x.npy"), "{}", found[2]);
    assert!(said.contains("error: 0 experiments failed, 1 lack their data"), "{said}");
    let summary = &found[4];
    assert_eq!((&summary["done"], &summary["missing"]), (&3.into(), &1.into()));
    let accuracy = json(&at.join("g/one-run/summary.json"))["test_accuracy"].clone();
    assert_eq!(found[0]["figures"][0]["number"], accuracy);
    assert_eq!(found[0]["figures"][0]["coursework"], "12.3 %");
    let sweep = json(&at.join("g/sweep/sweep.json"));
    assert_eq!(found[1]["figures"][0]["number"], sweep["combinations"][0]["metrics"]["validation_accuracy"]["mean"]);
    assert!(found[1]["figures"][1]["text"].as_str().unwrap().ends_with("(0 of 2 learn)"), "{}", found[1]);
    let page = fs::read_to_string(at.join("g/index.html")).unwrap();
    for text in [
        "<h2>One run</h2>",
        "Digits &amp; nothing else.",
        "the course",
        "12.3 %",
        "45.6 %",
        "one-run: accuracy",
        "sweep: validation accuracy",
        "href=\"one-run/report.html\"",
        "href=\"sweep/report.html\"",
        "href=\"sweep/best/report.html\"",
        "href=\"gradients/report.html\"",
        "Data is missing for absent.",
        "data missing",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("reduced") && !page.contains("href=\"absent"));

    // Again: nothing is done twice.
    let before = fs::read_to_string(at.join("g/one-run/summary.json")).unwrap();
    let results = fs::metadata(at.join("g/sweep/results.jsonl")).unwrap().modified().unwrap();
    let (code, again, _) = gallery(at, &["--out", "g"]);
    assert_eq!((code, states(&again)), (1, vec!["kept", "kept", "missing", "kept"]));
    assert_eq!(again[0]["figures"], found[0]["figures"]);
    assert_eq!(fs::read_to_string(at.join("g/one-run/summary.json")).unwrap(), before);
    assert_eq!(fs::metadata(at.join("g/sweep/results.jsonl")).unwrap().modified().unwrap(), results);

    // A part of them: the others stay on the page.
    let (code, part, _) = gallery(at, &["--out", "g", "--only", "gradients,one-run"]);
    assert_eq!((code, states(&part[..2]), part.len()), (0, vec!["kept", "kept"], 3));
    assert!(fs::read_to_string(at.join("g/index.html")).unwrap().contains("<h2>Some rates</h2>"));
}

#[test]
fn an_interrupted_run_goes_on_and_ends_with_the_same_weights() {
    let folder = folder();
    let at = folder.path();
    let arguments = ["--out", "g", "--only", "one-run"];
    assert_eq!(gallery(at, &arguments).0, 0);
    let run = at.join("g/one-run");
    let hash = || json(&run.join("summary.json"))["parameter_hash"].clone();
    let whole = hash();
    let half = ["--backend", "cpu", "--quiet", "train", "small.toml", "--epochs", "2", "--out", "half"];
    assert!(gputrain(&half).current_dir(at).status().unwrap().success());
    let state = "checkpoint/state.safetensors";
    fs::copy(at.join("half").join(state), run.join(state)).unwrap();
    // As if it had been ended after its second epoch, and before its first checkpoint.
    for files in [&["summary.json"][..], &["summary.json", state]] {
        files.iter().for_each(|file| fs::remove_file(run.join(file)).unwrap());
        let (code, found, said) = gallery(at, &arguments);
        assert_eq!((code, states(&found)), (0, vec!["done"]), "{said}");
        assert_eq!(said.contains("going on after step"), files.len() == 1, "{said}");
        assert_eq!(hash(), whole);
        assert_eq!(lines(&run.join("metrics.jsonl")).len(), 4);
    }
}

#[test]
fn reduced_experiments_say_so_and_never_mix_with_whole_ones() {
    let folder = folder();
    let at = folder.path();
    let arguments = ["--out", "g", "--only", "one-run,sweep,gradients"];
    let (code, found, said) = gallery(at, &[&arguments[..], &["--reduced"]].concat());
    assert_eq!((code, states(&found)), (0, vec!["done", "done", "done"]), "{said}");
    assert!(found.iter().all(|line| line["reduced"] == true));
    assert_eq!(lines(&at.join("g/one-run/metrics.jsonl")).len(), 2);
    assert_eq!(lines(&at.join("g/sweep/results.jsonl")).len(), 2);
    let page = fs::read_to_string(at.join("g/index.html")).unwrap();
    for text in [
        "The gallery of gputrain (reduced)",
        "<h2>One run (reduced)</h2>",
        "Reduced here: train.epochs=2.",
        "one-run (reduced): accuracy",
        "sweep (reduced): validation accuracy",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let sweep = fs::read_to_string(at.join("g/sweep/report.html")).unwrap();
    assert!(sweep.contains("sweep (reduced): training loss"));

    let refused = |arguments: &[&str], says: &str| {
        let index = || fs::read_to_string(at.join(arguments[1]).join("index.html")).unwrap();
        let before = index();
        let (code, found, said) = gallery(at, arguments);
        assert!(
            code == 2 && found.is_empty() && said.contains(says) && said.contains("choose another --out"),
            "{said}"
        );
        assert_eq!(index(), before);
    };
    refused(&arguments, "g holds a reduced gallery");
    refused(&["--out", "g"], "g holds a reduced gallery");
    // What was not chosen would be marked as reduced, too.
    assert_eq!(gallery(at, &["--out", "whole", "--only", "one-run"]).0, 0);
    refused(&["--out", "whole", "--only", "gradients", "--reduced"], "whole holds a whole gallery");
    fs::write(at.join("whole/gallery.json"), "{").unwrap();
    refused(&["--out", "whole", "--only", "one-run"], "gallery.json: not the summary of a gallery");

    // Without a summary, by the experiment's own recipe.
    fs::remove_file(at.join("g/gallery.json")).unwrap();
    let (code, found, _) = gallery(at, &arguments);
    assert_eq!((code, states(&found)), (1, vec!["failed", "failed", "failed"]));
    for line in &found[..3] {
        assert!(line["problem"].as_str().unwrap().contains("choose another --out"), "{line}");
    }
}

#[test]
fn gradients_of_a_list_that_was_changed_are_not_shown_for_it() {
    let folder = folder();
    let at = folder.path();
    let arguments = ["--out", "g", "--only", "gradients"];
    assert_eq!(states(&gallery(at, &arguments).1), ["done"]);
    let file = at.join("g/gradients/gradients.json");
    let before = fs::read_to_string(&file).unwrap();
    for (from, to) in [
        ("train.batch=5", "train.batch=6"),
        ("check = true", "check = false"),
        ("check = true", "check = true\npublished = { \"layers.1.bias\" = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }"),
    ] {
        fs::write(at.join("list.toml"), LIST.replacen(from, to, 1)).unwrap();
        let (code, found, _) = gallery(at, &arguments);
        assert_eq!((code, states(&found)), (1, vec!["failed"]), "{to}");
        assert!(found[0]["problem"].as_str().unwrap().contains("gradients of another experiment"), "{}", found[0]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    fs::write(at.join("list.toml"), LIST).unwrap();
    assert_eq!(states(&gallery(at, &arguments).1), ["kept"]);
    // What does not tell what it is of is done again.
    let mut results: Value = serde_json::from_str(&before).unwrap();
    results.as_object_mut().unwrap().remove("origin");
    fs::write(&file, results.to_string()).unwrap();
    assert_eq!(states(&gallery(at, &arguments).1), ["done"]);
}

#[test]
fn wrong_lists_and_names_are_refused() {
    let folder = folder();
    let at = folder.path();
    let (code, _, said) = gallery(at, &["--only", "one-runs"]);
    assert!(code == 2 && said.contains("no such experiment; there are one-run, sweep"), "{said}");
    for (from, to, says) in [
        ("does = \"sweep\"", "does = \"sweeps\"", "unknown variant `sweeps`"),
        ("name = \"sweep\"", "name = \"one-run\"", "is there twice"),
        ("name = \"sweep\"", "name = \"../up\"", "it names a folder"),
        ("check = true", "cheek = true", "unknown field `cheek`"),
    ] {
        fs::write(at.join("list.toml"), LIST.replacen(from, to, 1)).unwrap();
        let (code, _, said) = gallery(at, &["--out", "g"]);
        assert!(code == 2 && said.contains("list.toml: not a list of experiments") && said.contains(says), "{said}");
    }
    // What is wrong with one experiment does not end the others.
    fs::write(at.join("list.toml"), LIST.replacen("train.epochs=2", "train.epochs=0", 1)).unwrap();
    let (code, found, _) = gallery(at, &["--out", "g", "--reduced", "--only", "one-run,gradients"]);
    assert_eq!((code, states(&found)), (1, vec!["failed", "done"]));
}
