//! Processes killed at random moments: train, resume, sweep and gallery go on to what they would have come to, and leave
//! nothing half-written behind.
//!
//! GPUTRAIN_KILLS sets the number of kills in all, GPUTRAIN_KILL_SEED the moments: `tests/kill.sh` does so.

use crate::binary::{Workplace, gputrain, json, lines, succeed, text};
use crate::runs::assert_same_run;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A table is read in no time: most of a process's life is training and writing.
const RECIPE: &str = r#"
name = "killed"
seed = 3
[data]
train = { images = "TABLE", labels = "TABLE#label" }
validation = 15
scale = "none"
[model]
layers = "6:tanh,3"
loss = "softmax_cross_entropy"
[optimizer]
kind = "adam"
[schedule]
kind = "plateau"
metric = "validation_loss"
factor = 0.5
patience = 40
[train]
epochs = 60
batch = 10
log_every = 3
checkpoint_steps = 4
record = ["weights"]
"#;

/// The numbers of SplitMix64.
struct Moments(u64);

impl Moments {
    /// A moment within a span.
    fn within(&mut self, span: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        span.mul_f64((z ^ (z >> 31)) as f64 / u64::MAX as f64)
    }
}

/// Starts a process and kills it after a time; its status if it ended before that.
fn killed_after(arguments: &[&str], time: Duration) -> Option<(ExitStatus, String)> {
    let mut run = gputrain(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < time {
        if run.try_wait().unwrap().is_some() {
            let output = run.wait_with_output().unwrap();
            return Some((output.status, text(&output.stderr)));
        }
        std::thread::sleep(Duration::from_millis(1).min(time));
    }
    run.kill().unwrap();
    let output = run.wait_with_output().unwrap();
    output.status.code().is_some().then(|| (output.status, text(&output.stderr)))
}

/// What is done, undone and held against what it should come to.
trait Scene {
    fn name(&self) -> &'static str;
    /// The arguments that begin, or go on.
    fn arguments(&self, place: &Workplace) -> Vec<String>;
    /// Sets the disturbed folder back.
    fn reset(&self, place: &Workplace);
    /// Panics where the disturbed folder is not what the undisturbed one is.
    fn compare(&self, place: &Workplace);
}

fn without_kills(scene: &dyn Scene, place: &Workplace) -> Duration {
    scene.reset(place);
    let begun = Instant::now();
    let arguments = scene.arguments(place);
    succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let took = begun.elapsed();
    let _ = fs::remove_dir_all(place.path("whole"));
    fs::rename(place.path("out"), place.path("whole")).unwrap();
    took
}

/// Kills a scene so often, over as many trials as that takes; the number of trials.
fn kill(scene: &dyn Scene, place: &Workplace, kills: u32, moments: &mut Moments) -> u32 {
    let span = without_kills(scene, place);
    let (mut left, mut trials) = (kills, 0);
    while left > 0 {
        scene.reset(place);
        trials += 1;
        loop {
            let arguments = scene.arguments(place);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            // The last process of a trial is left alone.
            let time = if left > 0 { moments.within(span) } else { Duration::from_secs(600) };
            match killed_after(&arguments, time) {
                None => left -= 1,
                Some((status, error)) => {
                    // Killed after the last file was written: there is nothing to go on with.
                    let over = status.code() == Some(2) && error.contains("ask for more than");
                    assert!(status.success() || over, "{}: {arguments:?}: {status}: {error}", scene.name());
                    break;
                }
            }
        }
        scene.compare(place);
        let left = unfinished(&place.path("out"));
        assert!(left.is_empty(), "{}: half-written files stay: {left:?}", scene.name());
    }
    println!("{}: {kills} kills in {trials} trials, each came to what it would have", scene.name());
    trials
}

/// The half-written files below a folder.
fn unfinished(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(unfinished(&path));
        } else if name.starts_with('.') && name != ".gputrain.lock" {
            found.push(path.display().to_string());
        }
    }
    found
}

fn remove(place: &Workplace) {
    match fs::remove_dir_all(place.path("out")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
}

fn strings(arguments: &[&str]) -> Vec<String> {
    [&["--backend", "cpu", "--quiet"], arguments].concat().into_iter().map(String::from).collect()
}

/// Every epoch's weights are there, once, as they would have been.
fn assert_same_weights(place: &Workplace) {
    let of = |run: &str| {
        let files = fs::read_dir(place.path(run).join("weights")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            files.map(|path| (path.file_name().unwrap().to_owned(), fs::read(&path).unwrap())).collect();
        files.sort();
        files
    };
    assert!(of("out") == of("whole"), "the weights of the epochs differ");
}

struct Train;

impl Scene for Train {
    fn name(&self) -> &'static str {
        "train"
    }

    fn arguments(&self, place: &Workplace) -> Vec<String> {
        let [recipe, out] = ["recipe.toml", "out"].map(|name| place.text(name));
        if place.path("out/checkpoint/state.safetensors").exists() {
            return strings(&["train", "--resume", &out]);
        }
        // Killed before there was anything to go on from.
        remove(place);
        strings(&["train", &recipe, "--out", &out])
    }

    fn reset(&self, place: &Workplace) {
        remove(place);
    }

    fn compare(&self, place: &Workplace) {
        assert_same_run(&place.path("out"), &place.path("whole"));
        assert_same_weights(place);
    }
}

/// A run that was over and goes on with other settings.
struct Resume;

impl Scene for Resume {
    fn name(&self) -> &'static str {
        "resume"
    }

    fn arguments(&self, place: &Workplace) -> Vec<String> {
        strings(&["train", "--resume", &place.text("out"), "--epochs", "70", "--lr", "0.002"])
    }

    fn reset(&self, place: &Workplace) {
        remove(place);
        if !place.path("short").exists() {
            let [recipe, short] = ["recipe.toml", "short"].map(|name| place.text(name));
            succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--epochs", "5", "--out", &short]);
        }
        copy(&place.path("short"), &place.path("out"));
    }

    fn compare(&self, place: &Workplace) {
        Train.compare(place);
        assert_eq!(json(&place.path("out/summary.json"))["epochs"], 70);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

struct Sweep;

impl Scene for Sweep {
    fn name(&self) -> &'static str {
        "sweep"
    }

    fn arguments(&self, place: &Workplace) -> Vec<String> {
        strings(&["sweep", &place.text("sweep.toml"), "--side-by-side", "2", "--out", &place.text("out")])
    }

    fn reset(&self, place: &Workplace) {
        remove(place);
    }

    fn compare(&self, place: &Workplace) {
        let rows = |sweep: &str| {
            let mut rows = lines(&place.path(sweep).join("results.jsonl"));
            rows.iter_mut().for_each(forget);
            rows.sort_by_key(|row| row["index"].as_u64());
            rows
        };
        assert_eq!(rows("out"), rows("whole"));
        let best = |sweep: &str| json(&place.path(sweep).join("sweep.json"))["retrained"]["parameter_hash"].clone();
        assert!(best("out").is_string() && best("out") == best("whole"));
    }
}

/// Drops what differs between equal runs: how long they took, and what trained beside them.
fn forget(row: &mut Value) {
    ["seconds", "group"].iter().for_each(|key| drop(row.as_object_mut().unwrap().remove(*key)));
}

struct Gallery;

const LIST: &str = r#"
coursework = ""
pytorch = ""
[[experiment]]
name = "run"
title = "A run"
text = ""
does = "landscape"
recipe = "run.toml"
figures = [{ what = "training loss", value = "train_loss" }]
[[experiment]]
name = "rates"
title = "Rates"
text = ""
does = "sweep"
recipe = "sweep.toml"
figures = [{ what = "the best", value = "validation_loss", of = "best" }]
[[experiment]]
name = "gradients"
title = "Gradients"
text = ""
does = "gradients"
recipe = "run.toml"
figures = [{ what = "loss", value = "loss" }]
"#;

impl Scene for Gallery {
    fn name(&self) -> &'static str {
        "gallery"
    }

    fn arguments(&self, place: &Workplace) -> Vec<String> {
        strings(&["gallery", "--list", &place.text("list.toml"), "--out", &place.text("out")])
    }

    fn reset(&self, place: &Workplace) {
        remove(place);
    }

    fn compare(&self, place: &Workplace) {
        let figures = |gallery: &str| {
            let gallery = json(&place.path(gallery).join("gallery.json"));
            let all = gallery["experiments"].as_array().unwrap().iter();
            all.map(|experiment| (experiment["experiment"].clone(), experiment["figures"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(figures("out"), figures("whole"));
        assert_eq!(figures("out").len(), 3);
        let hash = |gallery: &str| json(&place.path(gallery).join("run/summary.json"))["parameter_hash"].clone();
        assert!(hash("out").is_string() && hash("out") == hash("whole"));
        let landscape = |gallery: &str| json(&place.path(gallery).join("run/landscape.json"));
        assert_eq!(landscape("out"), landscape("whole"));
    }
}

fn place() -> Workplace {
    let place = Workplace::new("");
    let table = place.text("table.csv");
    let row = |i: u32| format!("{},{},{},{}\n", i * 7 % 11, i % 3, i * 5 % 13, i * 3 % 4);
    fs::write(&table, format!("a,label,b,c\n{}", (0..60).map(row).collect::<String>())).unwrap();
    let recipe = RECIPE.replace("TABLE", &table);
    fs::write(place.path("recipe.toml"), &recipe).unwrap();
    fs::write(place.path("run.toml"), recipe.replace("epochs = 60", "epochs = 20")).unwrap();
    let rates = "[sweep]\n\"optimizer.learning_rate\" = [0.001, 0.01]\ntrials = 2\nretrain = true\nmetric = \"validation_loss\"\n";
    // Retraining has no validation set to watch.
    let recipe = recipe.replace("metric = \"validation_loss\"", "metric = \"train_loss\"");
    fs::write(place.path("sweep.toml"), format!("{recipe}{rates}").replace("epochs = 60", "epochs = 20")).unwrap();
    let list = LIST.replace("run.toml", &place.text("run.toml")).replace("sweep.toml", &place.text("sweep.toml"));
    fs::write(place.path("list.toml"), list).unwrap();
    place
}

#[test]
fn killed_processes_go_on_to_what_they_would_have_come_to() {
    let number = |key: &str, default: u64| std::env::var(key).map_or(default, |text| text.parse().unwrap());
    let kills = number("GPUTRAIN_KILLS", 8) as u32;
    let seed = number("GPUTRAIN_KILL_SEED", 1);
    println!("{kills} kills, seed {seed}");
    let scenes: [&dyn Scene; 4] = [&Train, &Resume, &Sweep, &Gallery];
    for (index, scene) in (0..).zip(scenes) {
        let share = (kills + index) / scenes.len() as u32;
        let mut moments = Moments(seed << 8 | u64::from(index));
        kill(scene, &place(), share.max(1), &mut moments);
    }
}
