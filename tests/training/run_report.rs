//! What a run's page shows, and what is said of runs whose targets are no classes.

use crate::binary::{Workplace, fail, json, last_line, lines, succeed, text};
use serde_json::Value;

/// A small convolutional network on 500 of the generated digits.
const CONVOLUTION: &str = r#"
name = "pictures"
seed = 3
[data]
test = 7000
validation = 1500
scale = "unit"
[model]
input = [28, 28, 1]
layers = [{ conv2d = 6, kernel = 5, activation = "relu" }, { max_pool = 4 }, { dense = 10 }]
[optimizer]
kind = "adam"
learning_rate = 0.01
[schedule]
kind = "multi_step"
epochs = [2]
factor = 0.5
[train]
epochs = 3
batch = 50
log_every = 5
record = ["gradient_norms"]
"#;

#[test]
fn the_page_shows_the_model_its_weights_the_data_and_the_predictions() {
    let place = Workplace::new(CONVOLUTION);
    let [recipe, run] = ["recipe.toml", "run"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &run]);
    for name in ["loss", "accuracy", "steps", "steps-accuracy", "gradient-norms"] {
        let size = |extension: &str| place.path("run").join(format!("{name}.{extension}")).metadata().map(|m| m.len());
        assert!(size("svg").is_ok() && size("png").is_ok_and(|size| size > 1000), "{name}");
    }
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    for wanted in [
        "conv2d 6, 5x5, relu",
        "24 x 24 x 6",
        "<td class=\"number\">156</td>",
        "<h2>Try it</h2>",
        "<h2>First layer</h2>",
        "<h2>Training examples</h2>",
        "<h2>The first 50 test images</h2>",
        "<h2>Confusion matrix, test set</h2>",
        "<h2>Surest mistakes, test set</h2>",
        "<th>most often taken for</th>",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    let svg = std::fs::read_to_string(place.path("run/accuracy.svg")).unwrap();
    assert!(svg.contains("rate 0.005"), "the epoch of the decay is marked");
    let pictures = page.matches("data:image/png;base64,").count();
    assert!(pictures >= 6 + 50 + 50, "{pictures}: filters, examples, predictions, mistakes");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert_eq!(page.matches("<script").count(), 2, "the data and the script of the panel");
    for foreign in ["<script src", "<link", "src=\"http", "href=\"http", "url("] {
        assert!(!page.contains(foreign), "{foreign} in the page");
    }
}

/// Two features; targets of two values.
fn regression(loss: &str, targets: &str) -> (Workplace, Vec<String>) {
    let activation = if loss == "binary_cross_entropy" { "sigmoid" } else { "linear" };
    let recipe = format!(
        "name = \"values\"\n[data]\nvalidation = 1\nscale = \"none\"\n[model]\ninput = [2]\nlayers = [{{ dense = 2, activation = \"{activation}\" }}]\n\
         loss = \"{loss}\"\n[train]\nepochs = 3\nbatch = 2\nlog_every = 1\n"
    );
    let place = Workplace::new(&recipe);
    let [recipe, run, x, y] = ["recipe.toml", "run", "x.csv", "y.csv"].map(|name| place.text(name));
    std::fs::write(&x, "0.5,0.25\n0.125,1\n1,0\n0,1\n").unwrap();
    std::fs::write(&y, targets).unwrap();
    let arguments = ["train", &recipe, "--train-images", &x, "--train-labels", &y, "--out", &run];
    (place, arguments.map(String::from).into())
}

const VALUES: &str = "0.5,-1\n2,0.25\n1,1\n3,0\n";
const ONE_HOT: &str = "1,0\n0,1\n1,0\n0,1\n";

fn train(arguments: &[String], more: &[&str]) -> std::process::Output {
    let arguments = arguments.iter().map(String::as_str);
    succeed(&["--backend", "cpu"].into_iter().chain(arguments).chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn targets_that_are_values_have_no_accuracy() {
    for loss in ["mse", "half_mse"] {
        let (place, arguments) = regression(loss, VALUES);
        let summary = last_line(&train(&arguments, &["--json"]));
        assert!(summary["validation_loss"].is_number() && summary["train_loss"].is_number());
        for key in ["train_accuracy", "validation_accuracy", "test_accuracy"] {
            assert_eq!(summary.get(key), Some(&Value::Null), "{key}");
        }
        for epoch in lines(&place.path("run/metrics.jsonl")) {
            assert!(epoch["train_loss"].is_number());
            assert_eq!(epoch.get("train_accuracy"), Some(&Value::Null));
            assert_eq!(epoch.get("validation_accuracy"), Some(&Value::Null));
        }
        assert!(lines(&place.path("run/steps.jsonl")).iter().all(|step| step["accuracy"].is_null()));
        assert!(!place.path("run/accuracy.svg").exists() && place.path("run/loss.png").exists());
        let eval = ["--backend", "cpu", "--json", "eval", &place.text("run"), "--split", "train"];
        assert!(last_line(&succeed(&eval))["accuracy"].is_null());

        let out = ["--out", &place.text("again")];
        let console = text(&train(&arguments[..arguments.len() - 2], &out).stdout);
        assert!(console.contains("train loss") && console.contains("validation: loss"), "{console}");
        assert!(!console.contains('%') && !console.contains("accuracy"), "{console}");
    }
}

#[test]
fn classes_keep_their_accuracy_under_every_loss() {
    for loss in ["mse", "half_mse", "binary_cross_entropy", "softmax_cross_entropy"] {
        let (place, arguments) = regression(loss, ONE_HOT);
        let summary = last_line(&train(&arguments, &["--json"]));
        assert!(summary["validation_accuracy"].is_number() && summary["train_accuracy"].is_number(), "{loss}");
        assert_eq!(json(&place.path("run/summary.json")), summary);
    }
    // Targets between 0 and 1 are right or wrong for the binary loss.
    let (_place, arguments) = regression("binary_cross_entropy", "0.9,0\n0.2,1\n1,0.3\n0,1\n");
    assert!(last_line(&train(&arguments, &["--json"]))["train_accuracy"].is_number());
}

#[test]
fn an_accuracy_that_is_not_there_cannot_be_watched() {
    let (place, arguments) = regression("mse", VALUES);
    let rule = "train.early_stop={ metric = \"validation_accuracy\", patience = 2 }";
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--set", rule]).collect();
    let (code, error) = fail(&arguments);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("train.early_stop") && error.contains("validation_loss"), "{error}");
    assert!(!place.path("run/recipe.toml").exists());
}

#[test]
fn the_page_of_values_shows_what_lies_between_truth_and_prediction() {
    let (place, arguments) = regression("mse", VALUES);
    train(&arguments, &["--set", "data.validation=2"]);
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    for wanted in [
        "<h2>Values, validation set</h2>",
        "Truth and prediction: y0",
        "Residuals: y1",
        "Distribution of the residuals: y0",
        "<h2>Largest errors, validation set</h2>",
        "<th class=\"number\">root mean squared error</th>",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    // The same of any set.
    let out = place.text("evaluation");
    succeed(&["--backend", "cpu", "--quiet", "eval", &place.text("run"), "--split", "train", "--out", &out]);
    let page = std::fs::read_to_string(place.path("evaluation/report.html")).unwrap();
    assert!(page.contains("<h2>Values, train set</h2>") && page.contains("Residuals: y0"), "{page}");
}

#[test]
fn the_page_of_bits_shows_each_of_them() {
    let (place, arguments) = regression("binary_cross_entropy", "1,1\n0,1\n0,0\n1,0\n");
    train(&arguments, &["--set", "data.validation=2"]);
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    for wanted in ["<h2>Bits, validation set</h2>", "<th class=\"number\">examples with it</th>", "Calibration"] {
        assert!(page.contains(wanted), "{wanted}");
    }
    assert!(!page.contains("<h2>Classes"));
}

/// An autoencoder of a few digits.
const AUTOENCODER: &str = r#"
name = "again"
[data]
targets = "inputs"
test = 9900
validation = 20
[model]
input = [28, 28, 1]
layers = [{ dense = 16, activation = "relu" }, { dense = 784, activation = "sigmoid" }]
loss = "mse"
[train]
epochs = 2
batch = 20
"#;

#[test]
fn an_autoencoder_answers_with_its_inputs() {
    let place = Workplace::new(AUTOENCODER);
    let [recipe, run, grid] = ["recipe.toml", "run", "grid.png"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &run]);
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("<h2>Reconstructions, test set</h2>") && !page.contains("<h2>Values"));
    let summary = json(&place.path("run/summary.json"));
    assert!(summary["test_accuracy"].is_null() && summary["metrics"]["test"]["rmse"].is_number());
    // Pictures without labels have a truth too.
    let generated = place.text("digits.npz");
    let images: Vec<f32> = (0..2 * 784).map(|at| (at % 5) as f32 * 50.0).collect();
    let images = gputrain::data::Array::from_f32(&[2, 28, 28], &images).unwrap();
    gputrain::data::write_arrays(std::path::Path::new(&generated), &[("x", &images)]).unwrap();
    let images = format!("{generated}#x");
    let told = last_line(&succeed(&["--backend", "cpu", "--json", "eval", &run, "--images", &images]));
    assert!(told["loss"].as_f64().is_some_and(|loss| loss > 0.0) && told["examples"] == 2, "{told}");
    succeed(&["--backend", "cpu", "--quiet", "predict", &run, "--images", &images, "--grid", &grid]);
    assert!(std::fs::read(&grid).unwrap().starts_with(b"\x89PNG"));
    let out = place.text("made.npy");
    succeed(&["--backend", "cpu", "--quiet", "predict", &run, "--images", &images, "--out", &out]);
    assert_eq!(gputrain::data::read_array(&out).unwrap().shape(), [2, 28, 28]);
}

/// What passes the three channels of 2 x 3 pixels on as they are.
#[test]
fn pictures_that_are_predicted_lie_as_those_of_the_data() {
    let recipe = "name = \"same\"\n[data]\ntrain = { images = \"x.npz#x\" }\ntargets = \"inputs\"\n\
                  scale = \"none\"\n[model]\ninput = [2, 3, 3]\nlayers = [{ conv2d = 3, kernel = 1, bias = false, init = \"zeros\" }, { flatten = true }]\n\
                  loss = \"mse\"\n[train]\nepochs = 1\nbatch = 1\n[optimizer]\nlearning_rate = 1e-30\n";
    let place = Workplace::new(recipe);
    let values: Vec<f32> = (0..2 * 18).map(|at| at as f32).collect();
    let pictures = gputrain::data::Array::from_f32(&[2, 2, 3, 3], &values).unwrap();
    let identity =
        gputrain::data::Array::from_f32(&[3, 3, 1, 1], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
    gputrain::data::write_arrays(&place.path("x.npz"), &[("x", &pictures)]).unwrap();
    gputrain::data::write_arrays(&place.path("start.npz"), &[("layers.0.weight", &identity)]).unwrap();
    let [recipe, run, start, images] = ["recipe.toml", "run", "start.npz", "x.npz"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &run, "--init", &start]);
    for name in ["made.npy", "made.csv"] {
        let (images, out) = (format!("{images}#x"), place.text(name));
        succeed(&["--backend", "cpu", "--quiet", "predict", &run, "--images", &images, "--out", &out]);
    }
    let made = gputrain::data::read_array(&place.text("made.npy")).unwrap();
    assert_eq!((made.shape(), made.to_f64()), (&[2, 2, 3, 3][..], values.iter().map(|x| f64::from(*x)).collect()));
    let table = std::fs::read_to_string(place.path("made.csv")).unwrap();
    assert_eq!(table.lines().nth(1), Some("0,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"));
}
