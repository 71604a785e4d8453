//! `bench` as a user runs it: any recipe, without its data.

use crate::binary::{Workplace, fail, succeed, text};
use serde_json::Value;

/// Files that are not there, and everything that needs examples held out of them.
const WITHOUT_DATA: &str = r#"
[data]
train = { images = "no-such.npy", labels = "no-such.npy" }
validation = 0.2
scale = "standard"
[model]
input = [5, 7, 3]
layers = [{ conv2d = 3, kernel = 3 }, { flatten = true }, { dense = 2 }]
loss = "mse"
[schedule]
kind = "plateau"
metric = "validation_loss"
factor = 0.5
patience = 1
[train]
batch = 25
early_stop = { metric = "validation_loss", patience = 2 }
record = ["validation"]
log_every = 1
"#;

const BRIEF: [&str; 6] = ["--backend", "cpu", "--json", "bench", "--seconds=0.01", "--repeat=1"];

/// The lines about workloads; the last one, the summary, left out.
fn timed(arguments: &[&str]) -> Vec<Value> {
    let output = succeed(&[&BRIEF[..], arguments].concat());
    let mut lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.pop();
    lines
}

#[test]
fn any_recipe_is_timed_without_its_data() {
    let place = Workplace::new(WITHOUT_DATA);
    let recipe = place.text("recipe.toml");
    let lines = timed(&[&recipe, "fashion5-mlp2", "fashion5-mlp1", "digits", "sgd"]);
    let named: Vec<&Value> = lines[..4].iter().map(|line| &line["workload"]).collect();
    assert_eq!(named, [&recipe, "fashion5-mlp2", "fashion5-mlp1", "digits"]);
    // The workloads have the examples of their data; of others none are known.
    let examples: Vec<&Value> = lines[..4].iter().map(|line| &line["examples"]).collect();
    assert_eq!(examples, [10_000, 10_000, 27_000, 10_000]);
    for line in &lines[..4] {
        let [us, epoch] = ["us_per_step", "seconds_per_epoch"].map(|key| line[key].as_f64().unwrap());
        assert!(us > 0.0 && epoch > 10.0 * us * 1e-6, "{line}");
    }
    let steps = lines[0]["seconds_per_epoch"].as_f64().unwrap() * lines[0]["steps_per_second"].as_f64().unwrap();
    assert!((steps - 400.0).abs() < 0.01, "{steps} steps of 25 examples");
    assert_eq!(lines[4]["kernel"], "sgd");

    std::fs::write(&recipe, WITHOUT_DATA.replace("[data]", "[data]\nexamples = 75")).unwrap();
    assert_eq!(timed(&[&recipe])[0]["examples"], 75);
    std::fs::write(&recipe, WITHOUT_DATA.replace("batch = 25", "batch = 12000")).unwrap();
    assert_eq!(timed(&[&recipe])[0]["examples"], 12_000);
}

#[test]
fn what_cannot_be_timed_is_refused_before_anything_is() {
    let place = Workplace::new(&WITHOUT_DATA.replace("input = [5, 7, 3]", ""));
    let recipe = place.text("recipe.toml");
    for (name, says) in [
        (&*recipe, &["recipe.toml: model.input", "input = [28, 28, 1]"][..]),
        ("fashion5-cnn9", &["no recipe and no kernel", "did you mean \"fashion5-cnn", "wide-mlp-4096", "bench --help"]),
        ("no-such.toml", &["no-such.toml is no recipe and no kernel", "mnist-mlp-adam, "]),
        ("fashion5-trials", &["fashion5-trials: model.layers is empty"]),
    ] {
        let (code, error) = fail(&[&BRIEF[..], &["digits", name]].concat());
        assert_eq!(code, 2, "{error}");
        says.iter().for_each(|says| assert!(error.contains(says), "{name}: no {says} in: {error}"));
        assert!(error.lines().count() == 1 && error.len() < 400, "{error}");
    }
}

#[test]
fn the_help_names_every_workload_and_kernel() {
    let help = text(&succeed(&["bench", "--help"]).stdout).replace(['\n', ','], " ");
    let named = |name: &str| help.split([' ', '.']).any(|word| word == name);
    for name in ["fashion-mlp-10x3", "fashion5-cnn5", "wide-mlp-4096", "dense_forward", "fused_update_adam"] {
        assert!(named(name), "{name}: {help}");
    }
}
