//! Metrics beyond loss and accuracy: watched in training, chosen by in sweeps, told by `eval` and in the summary.

use crate::binary::{Workplace, fail, json, last_line, lines, succeed, text};
use crate::members::{backends, noise, train};
use gputrain::data::{Array, write_arrays};
use gputrain::job::Job;
use gputrain::metrics::{Measure, measure_all};
use gputrain::train::{Member, Predictions, SetTruth, task};

/// Two classes, the second rare, from two numbers.
const RARE: &str = r#"
name = "rare"
[data]
train = { images = "data.npz#x", labels = "data.npz#y" }
test = { images = "data.npz#x", labels = "data.npz#y" }
validation = 20
scale = "none"
[model]
input = [2]
layers = "4:tanh,2"
[optimizer]
learning_rate = 0.02
[train]
epochs = 2
batch = 20
[sweep]
optimizer.learning_rate = [0.0001, 0.05]
metric = "test_roc_auc"
"#;

fn rare(recipe: &str) -> Workplace {
    let place = Workplace::new(recipe);
    let number = |i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0;
    let x: Vec<f32> = (0..200).map(number).collect();
    let y: Vec<u32> = x.chunks(2).map(|pair| u32::from(pair[0] + 0.5 * pair[1] > 0.7)).collect();
    let (x, y) = (Array::from_f32(&[100, 2], &x).unwrap(), Array::from_u32(&[100], &y).unwrap());
    write_arrays(&place.path("data.npz"), &[("x", &x), ("y", &y)]).unwrap();
    place
}

/// A small network on noise of ten classes, with as many examples to validate and test with.
fn watching(changes: &[(&str, &str)], held_out: usize) -> Job {
    let mut job = noise(&[&[("data.validation", "0.1")], changes].concat(), 20, [100, held_out]);
    let dataset = std::sync::Arc::make_mut(&mut job.dataset);
    dataset.test.clone_from(&dataset.validation);
    job
}

#[test]
fn what_is_watched_is_measured_of_each_member_after_each_epoch() {
    let stop = ("train.early_stop", "{ metric = \"validation_f1_macro\", patience = 9 }");
    let plateau = ("schedule", "{ kind = \"plateau\", metric = \"test_log_loss\", patience = 9 }");
    let job = watching(&[stop, plateau, ("train.epochs", "2")], 40);
    let members = [7, 8].map(|seed| Member { seed, ..Member::of(&job.recipe) });
    for backend in backends() {
        let trained = train(&*backend, &job, &members);
        for (member, (story, parameters)) in trained.iter().enumerate() {
            assert_eq!(story.epochs.len(), 2);
            let last = &story.epochs[1].metrics;
            let found = [("validation", Measure::F1Macro), ("test", Measure::LogLoss)];
            for (set, measure) in found {
                assert_eq!(last[set].values.keys().collect::<Vec<_>>(), [&measure]);
                let value = last[set].values[&measure].unwrap();
                let expected = expected(&job, &*backend, parameters, set, measure);
                assert!((value - expected).abs() < 1e-5, "{set} {measure} of member {member}: {value}, not {expected}");
            }
        }
        let [first, second] = [0, 1].map(|member| &trained[member].0.epochs[1].metrics["test"]);
        assert_ne!(first, second, "each member has weights of its own");
    }
}

/// The same from the predictions of the weights alone.
fn expected(
    job: &Job,
    backend: &dyn gputrain::backend::Backend,
    parameters: &[Vec<f32>],
    set: &str,
    measure: Measure,
) -> f64 {
    let examples = if set == "test" { &job.dataset.test } else { &job.dataset.validation };
    let examples = examples.as_ref().unwrap();
    let (model, optimizer) = (&job.model, &job.recipe.optimizer);
    let found = Predictions::run(backend, model, parameters, &job.scaling, optimizer, examples).unwrap();
    let truth = SetTruth::new(task(model, true, [&examples.targets]), &examples.targets, &job.trained_on);
    measure_all(&found.outputs, found.width, truth.truth(None), &[]).values[&measure].unwrap()
}

#[test]
fn what_cannot_be_watched_is_refused_with_what_can() {
    let refused = |metric: &str, held_out: usize| {
        let stop = format!("{{ metric = \"{metric}\", patience = 1 }}");
        let job = watching(&[("train.early_stop", &*stop)], held_out);
        let error = job.trainer(&gputrain::backend::cpu::CpuBackend::new()).err().expect(metric);
        error.to_string()
    };
    for (metric, parts) in [
        ("validation_f1", ["more classes than two", "validation_f1_macro"]),
        ("test_rmse", ["not values", "test_accuracy"]),
        ("validation_subset_accuracy", ["not several bits", "validation_accuracy"]),
    ] {
        let problem = refused(metric, 40);
        let watched = problem.contains("train.early_stop watches") && problem.contains(metric);
        assert!(watched && parts.iter().all(|part| problem.contains(part)), "{problem}");
    }
    // Three examples cannot be of all ten classes.
    let problem = refused("validation_roc_auc", 3);
    assert!(
        problem.contains("has no example in the validation set") && problem.contains("average_precision"),
        "{problem}"
    );
}

#[test]
fn a_run_and_its_evaluation_tell_the_same_metrics() {
    let place = rare(RARE);
    let [recipe, run] = ["recipe.toml", "run"].map(|name| place.text(name));
    let record = ["--set", "train.record=[\"metrics\"]"];
    succeed(&[&["--backend", "cpu", "train", &recipe, "--out", &run], &record[..]].concat());
    let summary = json(&place.path("run/summary.json"));
    let metrics = &summary["metrics"]["test"];
    for name in ["accuracy", "balanced_accuracy", "top5_accuracy", "f1_weighted", "roc_auc", "brier", "precision", "f1"]
    {
        assert!(metrics[name].is_number(), "{name}: {metrics}");
    }
    let epochs = lines(&place.path("run/metrics.jsonl"));
    // The last epoch's weights are the final ones; the test set is measured at the end alone.
    assert_eq!(epochs[1]["metrics"]["validation"], summary["metrics"]["validation"]);
    assert_eq!(epochs[1]["metrics"]["test"], serde_json::Value::Null);
    let eval = |more: &[&str]| succeed(&[&["--backend", "cpu", "--json", "eval", &run], more].concat());
    let told = last_line(&eval(&[]));
    assert_eq!(&told["metrics"]["test"], metrics);
    let recall = |told: &serde_json::Value| told["metrics"]["test"]["recall"].as_f64().unwrap();
    let [low, high] = ["0", "1"].map(|threshold| last_line(&eval(&["--threshold", threshold])));
    assert_eq!((recall(&low), recall(&high)), (1.0, 0.0));
    // All answers are the rare class, or none.
    let share = low["metrics"]["test"]["precision"].as_f64().unwrap();
    assert!(share > 0.05 && share < 0.4 && (low["accuracy"].as_f64().unwrap() - share).abs() < 1e-6, "{low}");
    assert_eq!((high["classes"][0]["recall"].as_f64(), high["classes"][1]["f1"].as_f64()), (Some(1.0), Some(0.0)));
    assert_eq!(low["metrics"]["test"]["roc_auc"], metrics["roc_auc"], "the order of scores needs no threshold");
    let said = text(&succeed(&["--backend", "cpu", "eval", &run, "--split", "validation"]).stdout);
    assert!(["balanced_accuracy", "precision", "recall", "f1"].iter().all(|word| said.contains(word)), "{said}");
}

#[test]
fn a_sweep_takes_the_best_by_any_metric() {
    let place = rare(RARE);
    let [recipe, out] = ["recipe.toml", "sweep"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "sweep", &recipe, "--out", &out]);
    let summary = json(&place.path("sweep/sweep.json"));
    assert_eq!(summary["metric"], "test_roc_auc");
    let value = |number: usize| summary["combinations"][number]["metrics"]["test_roc_auc"]["mean"].as_f64().unwrap();
    let best = usize::from(value(1) > value(0));
    assert_eq!(summary["best"], best);
    let again = ["--set", "sweep.metric=test_r2"];
    let (code, problem) =
        fail(&[&["--backend", "cpu", "sweep", &recipe, "--out", &place.text("no")], &again[..]].concat());
    assert!(
        code == 2 && problem.contains("test_r2") && problem.contains("take test_loss or test_accuracy"),
        "{problem}"
    );
}
