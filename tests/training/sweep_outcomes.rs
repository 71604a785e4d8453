//! What a sweep tells of its trials, and what they log.

use crate::binary::{succeed, text};
use crate::sweep::{Counter, MLP, load, log, rows, run_in, write_data};
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Array, write_array};
use gputrain::sweep::{Options, results_table, run};
use std::fs;
use std::time::Instant;

#[test]
fn trials_that_end_up_guessing_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let sweep = load(MLP, "\"optimizer.learning_rate\" = [0.1, 0.00001]\ntrials = 2", folder.path()).unwrap();
    let out = folder.path().join("out");
    let (summary, _) = run_in(&sweep, &CpuBackend::new(), &out, 64);
    let counts: Vec<usize> = summary.combinations.iter().map(|combination| combination.collapsed).collect();
    assert_eq!((summary.collapsed, counts), (2, vec![0, 2]));
    for row in rows(&out) {
        // Three classes: the criterion in the words of the report.
        let guesses = row.train_loss.unwrap() >= 0.98 * 3f32.ln() && row.train_accuracy.unwrap() < 2.0 / 3.0;
        assert_eq!(row.collapsed, guesses);
        assert_eq!(row.collapsed, row.index >= 2);
    }
    assert!(summary.combinations[0].learned.is_empty());
    assert!(summary.combinations[1].learned.iter().all(|(_, statistic)| statistic.values.is_empty()));
    let table = results_table(&sweep, &summary);
    let trials = table.header.iter().position(|name| name == "trials").unwrap();
    assert_eq!((&*table.rows[0][trials], &*table.rows[1][trials]), ("2", "2: 2 collapsed"));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for expected in
        ["Trials that learn", "0 of 2", "2 of 4 runs collapsed.", "98 % of ln(classes)", "small: training loss"]
    {
        assert!(page.contains(expected), "{expected}");
    }
    assert!(out.join("validation-accuracy.svg").is_file() && out.join("steps-gradient-norm.svg").is_file());
}

#[test]
fn values_are_ranked_by_their_loss() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..40).map(|i| i as f32 / 8.0).collect();
    for (name, shape) in [("x.npy", &[40, 1][..]), ("y.npy", &[40])] {
        write_array(&folder.path().join(name), &Array::from_f32(shape, &values).unwrap()).unwrap();
    }
    let recipe = "name = \"line\"\n[data]\ntrain = { images = \"x.npy\", labels = \"y.npy\" }\nvalidation = 10\n\
                  [model]\ninput = [1]\nlayers = 1\nloss = \"mse\"\n[train]\nepochs = 2";
    let rates = "\"optimizer.learning_rate\" = [0.1, 0.01]";
    let out = folder.path().join("out");
    let options = Options { side_by_side: 2, tensorboard: false, started: Instant::now() };
    let by_default = load(recipe, rates, folder.path()).unwrap();
    let refused = run(&by_default, &CpuBackend::new(), &out, &options, &mut Counter::default()).unwrap_err();
    let text = refused.to_string();
    for part in ["[sweep] metric = \"validation_accuracy\"", "of line: the targets are values", "take validation_loss"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(!out.exists());
    let by_loss = load(recipe, &format!("{rates}\nmetric = \"validation_loss\""), folder.path()).unwrap();
    let (summary, _) = run_in(&by_loss, &CpuBackend::new(), &out, 2);
    assert_eq!((summary.best, summary.diverged), (Some(0), 0));
}

#[test]
fn what_the_retrained_model_reaches_is_told_with_an_accuracy_or_without() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let data = folder.path().display().to_string();
    let test = "test = { images = \"test-images.npy\", labels = \"test-labels.npy\" }";
    let values = MLP
        .replace("labels.npy", "values.npy")
        .replace("12:relu,3", "4:tanh,1")
        .replace("[64]", "[64]\nloss = \"mse\"");
    for (name, count) in [("train", 150), ("test", 60)] {
        let values: Vec<f32> = (0..count).map(|i| i as f32 / 100.0).collect();
        let values = Array::from_f32(&[count], &values).unwrap();
        write_array(&folder.path().join(format!("{name}-values.npy")), &values).unwrap();
    }
    let of_values = test.replace("labels.npy", "values.npy");
    for (number, (recipe, says, accuracy)) in [
        (MLP.to_string(), "examples; test: loss ", true),
        (values.clone(), "examples; test: loss ", false),
        (values.replace(&of_values, ""), "examples; there is no test set", false),
    ]
    .into_iter()
    .enumerate()
    {
        let (file, out) = (folder.path().join("s.toml"), folder.path().join(format!("out-{number}")));
        let table =
            "[sweep]\n\"optimizer.learning_rate\" = [0.01, 0.02]\nmetric = \"validation_loss\"\nretrain = true\n";
        fs::write(&file, format!("{recipe}{table}")).unwrap();
        let [file, out] = [file, out].map(|path| path.display().to_string());
        let said = succeed(&["--backend", "cpu", "sweep", &file, "--out", &out, "--data", &data, "--epochs", "1"]);
        let said = text(&said.stdout);
        let line = said.lines().find(|line| line.starts_with("retrained")).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains(says) && line.contains("accuracy") == accuracy, "{line}");
    }
}

#[test]
fn steps_are_validated_at_multiples() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let sweep = load(MLP, "\"train.validate_every\" = [0, 12]", folder.path()).unwrap();
    let out = folder.path().join("out");
    run_in(&sweep, &CpuBackend::new(), &out, 64);
    let logs: Vec<_> = rows(&out).iter().map(|row| log(&out, row, "steps.jsonl")).collect();
    assert_eq!(logs[0].len(), logs[1].len());
    for (every, some) in logs[0].iter().zip(&logs[1]) {
        let step = some["step"].as_u64().unwrap();
        assert_eq!(some.get("validation_loss").is_some(), step % 12 == 0, "{some}");
        assert_eq!((&every["loss"], every.get("validation_loss").is_some()), (&some["loss"], true));
        if step % 12 == 0 {
            assert_eq!(every, some);
        }
    }
}
