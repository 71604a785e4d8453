//! A run's folder under bad luck: trainings that diverge, two processes at once, files of others, folders that go away.

use crate::binary::{Running, Workplace, fail, gputrain, json, lines, succeed, text};
use crate::runs::{ADAM, assert_same_run};
use gputrain::export::SavedModel;
use gputrain::train::Checkpoint;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Every file below a folder with its content, but the lock's.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.file_name().unwrap() != ".gputrain.lock" {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// A folder with a run in `out`.
fn place_with_run(epochs: &str, settings: &[&str]) -> (Workplace, String) {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", epochs, "--out", &out];
    succeed(&[&train[..], settings].concat());
    (place, out)
}

#[test]
fn a_resumed_run_that_diverges_leaves_the_folder_as_it_was() {
    let often = ["--set", "train.checkpoint_steps=20", "--set", "train.record=[\"weights\"]"];
    let (place, out) = place_with_run("2", &often);
    let before = contents(&place.path("out"));
    let resume = ["--backend", "cpu", "--quiet", "train", "--resume", &out, "--epochs", "4"];
    let (code, error) = fail(&[&resume[..], &["--set", "optimizer.learning_rate=1e30"]].concat());
    assert!(code == 1 && error.contains("not finite"), "{code}: {error}");
    let after = contents(&place.path("out"));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    after.iter().for_each(|(file, bytes)| assert!(before[file] == *bytes, "{} changed", file.display()));
    // As if nothing had been tried.
    succeed(&resume);
    let whole = place.text("whole");
    let train = ["--backend", "cpu", "--quiet", "train", &place.text("recipe.toml"), "--epochs", "4", "--out", &whole];
    succeed(&[&train[..], &often].concat());
    assert_same_run(&place.path("out"), &place.path("whole"));
}

#[test]
fn a_run_that_diverges_between_two_checkpoints_keeps_the_last_that_was_good() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    // The rate is too high from the third epoch on.
    let phases = "schedule=[{ epochs = 2, learning_rate = 0.001 }, { epochs = 2, learning_rate = 1e30 }]";
    let often = ["--set", "train.checkpoint_steps=20", "--set", phases];
    let (code, error) = fail(
        &[&["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "4", "--out", &out], &often[..]].concat(),
    );
    assert!(code == 1 && error.contains("not finite") && error.contains("(epoch 3)"), "{code}: {error}");
    let checkpoint = Checkpoint::load(&place.path("out/checkpoint/state.safetensors")).unwrap();
    let parameters = &checkpoint.buffers.iter().find(|(name, _)| name == "parameters").unwrap().1;
    assert!(parameters.iter().all(|word| f32::from_bits(*word).is_finite()));
    assert_eq!(checkpoint.progress.step, 80, "the last before the rate was too high");
    assert!(!place.path("out/summary.json").exists());
    let calm = "schedule=[{ epochs = 4, learning_rate = 0.001 }]";
    let resume = ["--backend", "cpu", "--quiet", "train", "--resume", &out, "--set", calm];
    succeed(&resume);
    assert_eq!(json(&place.path("out/summary.json"))["epochs"], 4);
}

#[test]
fn a_checkpoint_that_an_earlier_version_spoilt_is_refused() {
    let (place, out) = place_with_run("1", &[]);
    let state = place.path("out/checkpoint/state.safetensors");
    let good = Checkpoint::load(&state).unwrap();
    let resume = ["--backend", "cpu", "--quiet", "train", "--resume", &out, "--epochs", "2"];
    type Spoil = fn(&mut Checkpoint);
    fn buffer<'c>(checkpoint: &'c mut Checkpoint, name: &str) -> &'c mut Vec<u32> {
        &mut checkpoint.buffers.iter_mut().find(|(known, _)| known == name).unwrap().1
    }
    let spoils: [(&str, Spoil); 6] = [
        ("not finite", |c| buffer(c, "parameters")[3] = f32::NAN.to_bits()),
        ("at step 4294967295", |c| buffer(c, "train.counters")[0] = u32::MAX),
        ("at epoch 7", |c| buffer(c, "train.counters")[1] = 7),
        ("at seed 9", |c| buffer(c, "train.counters")[5] = 9),
        ("has waited 4294967295 epochs", |c| c.progress.early_stop[0].waited = u32::MAX),
        ("multiplies the rate by -1", |c| c.progress.plateau[0].1 = -1.0),
    ];
    for (says, spoil) in spoils {
        let mut bad = good.clone();
        spoil(&mut bad);
        bad.save(&state).unwrap();
        let before = contents(&place.path("out"));
        let (code, error) = fail(&resume);
        assert!(code == 2 && error.contains(says), "{says}: {code}: {error}");
        assert_eq!(contents(&place.path("out")), before, "{says}");
    }
    // A damaged file is refused before anything of it is believed.
    let mut bytes = fs::read(&state).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&state, bytes).unwrap();
    let (code, error) = fail(&resume);
    assert!(code == 2 && error.contains("is damaged"), "{error}");
}

#[test]
fn what_is_not_finite_is_no_success() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "1", "--out", &out];
    let (code, error) = fail(&[&train[..], &["--set", "optimizer.l2=1e38"]].concat());
    assert!(code == 1 && error.contains("not finite at step 1") && error.contains("optimizer.l2"), "{code}: {error}");
    assert!(!place.path("out/summary.json").exists() && !place.path("out/model.safetensors").exists());
    // A rate that spoils the weights in the very last step: every loss was finite.
    let last = ["--set", "data.examples=50", "--set", "optimizer.kind=sgd", "--set", "optimizer.learning_rate=3e38"];
    let out = place.text("last");
    let train = ["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "1", "--out", &out];
    let (code, error) = fail(&[&train[..], &last].concat());
    assert!(code == 1 && error.contains("not finite"), "{code}: {error}");
    assert!(!place.path("last/summary.json").exists());
    // A model that gives no numbers.
    let (place, out) = place_with_run("1", &[]);
    let mut model = SavedModel::load(&place.path("out")).unwrap();
    model.parameters[0].fill(1e38);
    model.save(&place.path("out/model.safetensors")).unwrap();
    for command in [&["eval", &out][..], &["predict", &out, "--split", "test"]] {
        let (code, error) = fail(&[&["--backend", "cpu", "--quiet"], command].concat());
        assert!(code == 1 && error.contains("output for example"), "{command:?}: {code}: {error}");
    }
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let (place, out) = place_with_run("2", &["--set", "train.record=[\"weights\"]"]);
    let before = contents(&place.path("out"));
    let lock = fs::File::create(place.path("out/.gputrain.lock")).unwrap();
    lock.try_lock().unwrap();
    let recipe = place.text("recipe.toml");
    let sweep = place.text("sweep.toml");
    fs::write(&sweep, format!("{ADAM}[sweep]\n\"optimizer.learning_rate\" = [0.1, 0.2]\n")).unwrap();
    for command in
        [&["train", "--resume", &out, "--epochs", "3"][..], &["train", &recipe, "--out", &out], &["landscape", &out]]
    {
        let (code, error) = fail(&[&["--backend", "cpu", "--quiet"], command].concat());
        assert!(code == 2 && error.contains(&out) && error.contains("is in use"), "{command:?}: {code}: {error}");
    }
    assert_eq!(contents(&place.path("out")), before);
    drop(lock);
    succeed(&["--backend", "cpu", "--quiet", "train", "--resume", &out, "--epochs", "3"]);
    for (name, command) in [("rates", &["sweep", &sweep][..]), ("gallery", &["gallery", "--reduced"])] {
        fs::create_dir(place.path(name)).unwrap();
        let lock = fs::File::create(place.path(name).join(".gputrain.lock")).unwrap();
        lock.try_lock().unwrap();
        let out = place.text(name);
        let (code, error) = fail(&[&["--backend", "cpu", "--quiet"], command, &["--out", &out]].concat());
        assert!(code == 2 && error.contains(&out) && error.contains("is in use"), "{command:?}: {code}: {error}");
        assert!(contents(&place.path(name)).is_empty());
    }
}

#[test]
fn a_killed_process_keeps_no_lock_and_a_second_one_gets_none() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "2000", "--out", &out];
    let mut run = Running::start(&train);
    run.wait_for(&place.path("out/checkpoint/state.safetensors"));
    fs::write(place.path("out/checkpoint/.gputrain-Ab3xYz"), "half").unwrap();
    let resume = ["--backend", "cpu", "--quiet", "train", "--resume", &out];
    let (code, error) = fail(&resume);
    assert!(code == 2 && error.contains("is in use"), "{code}: {error}");
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    let done = Checkpoint::load(&place.path("out/checkpoint/state.safetensors")).unwrap().progress.epoch;
    succeed(&[&resume[..], &["--epochs", &(done + 1).to_string()]].concat());
    let epochs = lines(&place.path("out/metrics.jsonl"));
    assert!(epochs.iter().zip(1..).all(|(line, epoch)| line["epoch"] == epoch), "{epochs:?}");
    assert!(!place.path("out/checkpoint/.gputrain-Ab3xYz").exists(), "what was half-written stays");
}

#[test]
fn files_of_others_are_not_overwritten() {
    let place = Workplace::new(ADAM);
    let recipe = place.text("recipe.toml");
    let sweep = place.text("sweep.toml");
    fs::write(&sweep, format!("{ADAM}[sweep]\n\"optimizer.learning_rate\" = [0.1, 0.2]\n")).unwrap();
    let out = place.text("mine");
    let commands = [&["train", &recipe][..], &["sweep", &sweep], &["gallery", "--reduced"]];
    for (file, command) in [
        ("metrics.jsonl", commands[0]),
        ("model.safetensors", commands[0]),
        ("loss.svg", commands[0]),
        ("weights/epoch-00000.safetensors", commands[0]),
        ("results.jsonl", commands[1]),
        ("runs/000/notes.txt", commands[1]),
        ("index.html", commands[2]),
    ] {
        let path = place.path("mine").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let (code, error) = fail(&[&["--backend", "cpu", "--quiet"], command, &["--out", &out]].concat());
        let first = file.split('/').next().unwrap();
        assert!(code == 2 && error.contains(&out) && error.contains(first), "{file}: {code}: {error}");
        assert_eq!(contents(&place.path("mine")).into_values().collect::<Vec<_>>(), [b"mine"], "{file}");
        fs::remove_dir_all(place.path("mine")).unwrap();
    }
    // What a run does not write may lie beside it.
    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/notes.txt"), "mine").unwrap();
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "1", "--out", &out]);
    assert_eq!(fs::read(place.path("mine/notes.txt")).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn what_a_link_leads_to_is_not_touched() {
    let (place, out) = place_with_run("1", &["--set", "train.record=[\"weights\"]"]);
    fs::rename(place.path("out/weights"), place.path("elsewhere")).unwrap();
    fs::write(place.path("elsewhere/epoch-00009.safetensors"), "mine").unwrap();
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("out/weights")).unwrap();
    let (code, error) = fail(&["--backend", "cpu", "--quiet", "train", "--resume", &out, "--epochs", "2"]);
    assert!(code == 2 && error.contains("out/weights is a link"), "{code}: {error}");
    assert_eq!(fs::read(place.path("elsewhere/epoch-00009.safetensors")).unwrap(), b"mine");
    // Nor in a folder that is to become a run's.
    fs::create_dir(place.path("new")).unwrap();
    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("new/weights")).unwrap();
    let (recipe, new) = (place.text("recipe.toml"), place.text("new"));
    let (code, error) = fail(&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &new]);
    assert!(code == 2 && error.contains("weights"), "{code}: {error}");
    assert!(place.path("elsewhere/epoch-00001.safetensors").exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_goes_away_ends_the_run() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "100000", "--out", &out];
    let mut run = gputrain(&train).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !place.path("out/checkpoint/state.safetensors").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint came");
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::rename(place.path("out"), place.path("moved")).unwrap();
    let moved = Instant::now();
    while run.try_wait().unwrap().is_none() {
        if moved.elapsed() > Duration::from_secs(30) {
            run.kill().unwrap();
            panic!("the run went on without its folder");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = run.wait_with_output().unwrap();
    let error = text(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("was removed or replaced"), "{error}");
    assert!(!place.path("out/model.safetensors").exists() && !place.path("out/recipe.toml").exists());
}

#[test]
fn a_rate_that_changed_on_the_way_is_said_and_logged() {
    let place = Workplace::new(ADAM);
    let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
    // The last checkpoint is at step 34 of 40.
    let often = ["--set", "train.checkpoint_every=0", "--set", "train.checkpoint_steps=17"];
    let train = ["--backend", "cpu", "train", &recipe, "--epochs", "1", "--out", &out];
    succeed(&[&train[..], &often].concat());
    let output = succeed(&["--backend", "cpu", "train", "--resume", &out, "--epochs", "2", "--lr", "0.0005"]);
    let said = text(&output.stdout);
    assert!(said.contains("34 steps of epoch 1 were taken at a learning rate of 0.001"), "{said}");
    let epochs = lines(&place.path("out/metrics.jsonl"));
    let rate = |line: usize, key: &str| epochs[line][key].as_f64().map(|rate| rate as f32);
    assert_eq!(epochs.len(), 2);
    assert_eq!((rate(0, "learning_rate_before"), rate(0, "learning_rate")), (Some(0.001), Some(0.0005)));
    assert_eq!((rate(1, "learning_rate_before"), rate(1, "learning_rate")), (None, Some(0.0005)));
    let output = succeed(&["--backend", "cpu", "train", "--resume", &out, "--epochs", "3", "--lr", "0.001"]);
    assert!(text(&output.stdout).contains("1 of the 1 epochs done had another learning rate"));
    let output = succeed(&["--backend", "cpu", "train", "--resume", &out, "--epochs", "4"]);
    assert!(!text(&output.stdout).contains("note:"));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure_and_a_closed_pipe_is_not() {
    let (place, out) = place_with_run("1", &[]);
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    for command in [&["--json", "inspect", &out][..], &["inspect", &out], &["--help"], &["train", "--help"]] {
        let output = gputrain(command).stdout(full()).output().unwrap();
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains("standard output"), "{command:?}: {error}");
        let mut run = gputrain(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(run.stdout.take());
        let output = run.wait_with_output().unwrap();
        let error = text(&output.stderr);
        assert!(output.status.success() && !error.contains("error"), "{command:?}: {error}");
        // Nor does an unwritable stderr end anything.
        let output = gputrain(command).stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
    }
    // The work is done all the same.
    let (recipe, other) = (place.text("recipe.toml"), place.text("other"));
    let train = ["--backend", "cpu", "--json", "train", &recipe, "--epochs", "1", "--out", &other];
    assert_eq!(gputrain(&train).stdout(full()).output().unwrap().status.code(), Some(1));
    assert_same_run(&place.path("other"), &place.path("out"));
    assert_eq!(json(&place.path("other/summary.json"))["epochs"], 1);
}
