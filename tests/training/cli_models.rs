//! The commands on trained models, recipes and data files, as a user runs them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use gputrain::data::{read_array, read_arrays};
use gputrain::export::{SavedModel, parameter_hash};
use serde_json::Value;
use tempfile::TempDir;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gputrain"));
    command.args(["--backend", "cpu"]).args(arguments).current_dir(folder);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// What a command that must succeed prints.
fn text(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of a command that must succeed, run with --json: every one must be JSON.
fn json(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
    text(folder, &arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn summary(folder: &Path, arguments: &[&str]) -> Value {
    json(folder, arguments).pop().unwrap()
}

/// What a command that must fail with this code says. A panic is never an answer.
fn error(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A folder with generated digits (digits.npz), and a small model trained on them (run/model.safetensors), which were
/// made once for all tests.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["data", "generate", "--out", ".", "--train", "600", "--test", "200", "--format", "npz"];
        text(folder.path(), &arguments);
        train(folder.path());
        folder
    });
    folder.path()
}

fn train(folder: &Path) {
    let recipe = r#"
        name = "tiny"
        [data]
        train = { images = "digits.npz#x_train", labels = "digits.npz#y_train" }
        test = { images = "digits.npz#x_test", labels = "digits.npz#y_test" }
        validation = 100
        [model]
        input = [28, 28, 1]
        layers = [{ dense = 32, activation = "relu" }, { dense = 10 }]
        [train]
        epochs = 8
        batch = 25
    "#;
    std::fs::write(folder.join("tiny.toml"), recipe).unwrap();
    text(folder, &["train", "tiny.toml", "--out", "run"]);
}

#[test]
fn eval_measures_the_test_set_of_the_recipe() {
    let summary = summary(folder(), &["eval", "run"]);
    assert_eq!(summary["examples"], 200);
    assert!(summary["accuracy"].as_f64().unwrap() > 0.7, "{summary}");
    let confusion: Vec<Vec<u64>> = serde_json::from_value(summary["confusion"].clone()).unwrap();
    assert_eq!(confusion.iter().flatten().sum::<u64>(), 200);
    let right: u64 = (0..10).map(|class| confusion[class][class]).sum();
    assert_eq!((right as f64 / 2.0).round(), (summary["accuracy"].as_f64().unwrap() * 100.0).round());
    let text = text(folder(), &["eval", "run/model.safetensors"]);
    assert!(text.contains("most often taken for") && text.contains("columns: predictions"), "{text}");
}

#[test]
fn eval_takes_files_and_other_parts_of_the_data() {
    let files = ["eval", "run", "--images", "digits.npz#x_test", "--labels", "digits.npz#y_test"];
    let from_recipe = summary(folder(), &["eval", "run"]);
    for arguments in [&files[..], &["eval", "run", "digits.npz#x_test", "digits.npz#y_test"]] {
        let of_files = summary(folder(), arguments);
        for key in ["loss", "accuracy", "confusion"] {
            assert_eq!(of_files[key], from_recipe[key]);
        }
    }
    assert_eq!(summary(folder(), &["eval", "run", "--split", "validation"])["examples"], 100);
    assert_eq!(summary(folder(), &["eval", "run", "--split", "train"])["examples"], 500);
}

#[test]
fn eval_finds_data_that_has_moved() {
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(folder().join("run/model.safetensors"), elsewhere.path().join("model.safetensors")).unwrap();
    let data = tempfile::tempdir().unwrap();
    std::fs::copy(folder().join("digits.npz"), data.path().join("digits.npz")).unwrap();
    let mut moved = SavedModel::load(elsewhere.path()).unwrap();
    let gone = |source: &mut gputrain::recipe::Source| {
        source.paths_mut().into_iter().for_each(|(_, path)| *path = path.replace("digits.npz", "gone/digits.npz"));
    };
    moved.recipe.data.train.iter_mut().for_each(gone);
    if let gputrain::recipe::Holdout::Files(source) = &mut moved.recipe.data.test {
        gone(source);
    }
    moved.save(&elsewhere.path().join("model.safetensors")).unwrap();
    let lost = error(elsewhere.path(), 2, &["eval", "."]);
    assert!(lost.contains("data.test.images"), "{lost}");
    let found = summary(elsewhere.path(), &["eval", ".", "--data", data.path().to_str().unwrap()]);
    assert_eq!(found["accuracy"], summary(folder(), &["eval", "run"])["accuracy"]);
}

#[test]
fn eval_draws_the_confusion_matrix() {
    let out = tempfile::tempdir().unwrap();
    text(folder(), &["eval", "run", "--out", out.path().to_str().unwrap()]);
    let svg = std::fs::read_to_string(out.path().join("confusion.svg")).unwrap();
    assert!(svg.contains("Confusion matrix"));
    assert!(std::fs::read_to_string(out.path().join("report.html")).unwrap().contains("Confusion matrix, test set"));
}

#[test]
fn predict_writes_every_format() {
    let out = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let file = out.path().join(name).to_str().unwrap().to_string();
        summary(folder(), &["predict", "run", "--images", "digits.npz#x_test", "--out", &file]);
        file
    };
    let probabilities = read_array(&write("p.npy")).unwrap();
    assert_eq!(probabilities.shape(), [200, 10]);
    let rows = probabilities.to_f32();
    assert!(rows.chunks(10).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    let best = |row: &[f32]| (0..10).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap() as f32;
    let expected: Vec<f32> = rows.chunks(10).map(best).collect();
    let arrays = read_arrays(&write("p.npz")).unwrap();
    let array = |name: &str| arrays.iter().find(|(n, _)| n == name).unwrap().1.to_f32();
    assert_eq!((array("classes"), array("probabilities")), (expected.clone(), rows.clone()));
    let table = std::fs::read_to_string(write("p.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (201, "index,class,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9"));
    let second: Vec<f32> = lines[2].split(',').map(|cell| cell.parse().unwrap()).collect();
    assert_eq!(second[..2], [1.0, expected[1]]);
    assert_eq!(second[2..], rows[10..20]);
}

#[test]
fn predict_draws_the_images() {
    let out = tempfile::tempdir().unwrap();
    let (one, many) = (out.path().join("a.png"), out.path().join("b.PNG"));
    let truth = ["--images", "digits.npz#x_test", "--labels", "digits.npz#y_test"];
    let drawn = summary(folder(), &[&["predict", "run", "--grid", one.to_str().unwrap()], &truth[..]].concat());
    assert!(drawn["accuracy"].as_f64().unwrap() > 0.7);
    text(folder(), &["predict", "run", "--grid", many.to_str().unwrap(), "--count", "100"]);
    let [one, many] = [one, many].map(|path| std::fs::read(path).unwrap());
    assert!(one.starts_with(b"\x89PNG") && many.starts_with(b"\x89PNG"));
    assert!(many.len() > one.len());
}

#[test]
fn predict_prints_where_nothing_is_written() {
    let lines = json(folder(), &["predict", "run", "--count", "3"]);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[2]["index"], 2);
    assert_eq!(lines[2]["outputs"].as_array().unwrap().len(), 10);
    assert!(lines[2]["label"].is_u64());
    assert!(text(folder(), &["predict", "run", "--count", "3"]).contains("and 197 more"));
}

#[test]
fn values_of_another_range_are_pointed_at() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("scaled.npy");
    let images = read_array(folder().join("digits.npz#x_test").to_str().unwrap()).unwrap();
    let scaled: Vec<f32> = images.to_f32().iter().map(|value| value / 255.0).collect();
    let scaled = gputrain::data::Array::from_f32(images.shape(), &scaled).unwrap();
    gputrain::data::write_array(&file, &scaled).unwrap();
    let said = text(folder(), &["predict", "run", "--images", file.to_str().unwrap()]);
    assert!(said.contains("trained on values up to 255"), "{said}");
}

#[test]
fn inspect_shows_models_recipes_and_data() {
    let model = summary(folder(), &["inspect", "run"]);
    assert_eq!((&model["kind"], &model["model"]["parameters"]), (&"model".into(), &25450.into()));
    let digits = text(folder(), &["inspect", "digits"]);
    assert!(digits.contains("dense 10 -> softmax") && digits.contains("109386"), "{digits}");
    let changed = summary(folder(), &["inspect", "digits", "--set", "model.layers=5:relu,10"]);
    assert_eq!(changed["model"]["parameters"], 785 * 5 + 60);
    let one = summary(folder(), &["inspect", "digits", "--set", "model.layers=10"]);
    assert_eq!(one["model"]["parameters"], 7850);
    let gradients = json(folder(), &["grad", "--layers", "10", "--batch", "8"]);
    assert_eq!(gradients[0]["shape"], serde_json::json!([10, 784]));
    assert_eq!(gradients.len(), 3);
    let sweep = summary(folder(), &["inspect", "notmnist-sizes"]);
    assert_eq!((&sweep["runs"], sweep["models"].as_array().unwrap().len()), (&4.into(), 4));
    let data = json(folder(), &["inspect", "digits.npz"]);
    assert_eq!(data.len(), 5);
    let labels = data.iter().find(|line| line["array"] == "y_train").unwrap();
    assert_eq!(labels["shape"], serde_json::json!([600]));
    assert_eq!(labels["classes"].as_array().unwrap().len(), 10);
    assert!(text(folder(), &["inspect", "digits.npz#y_test"]).contains("examples by class"));
}

#[test]
fn every_bundled_recipe_can_be_inspected() {
    for name in gputrain::recipe::builtin_names() {
        assert_eq!(summary(folder(), &["inspect", name])["kind"], "recipe", "{name}");
    }
}

#[test]
fn inspect_lists_the_launches_of_the_plan() {
    let lines = json(folder(), &["inspect", "run", "--plan"]);
    let step = lines.iter().find(|line| line["program"] == "train step").unwrap();
    let kernels: Vec<&str> =
        step["dispatches"].as_array().unwrap().iter().map(|d| d["kernel"].as_str().unwrap()).collect();
    assert_eq!(kernels[..2], ["gather", "dense_forward"]);
    assert!(kernels.contains(&"adam"));
    let memory = &lines.last().unwrap()["memory"];
    let total = memory["total"].as_u64().unwrap();
    assert!(memory["data"].as_u64().unwrap() > 500 * 784);
    assert_eq!(memory.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 2 * total);
    assert!(text(folder(), &["inspect", "run", "--plan"]).contains("train step: "));
}

#[test]
fn inspect_says_which_convolutions_stay_f32_in_mixed_precision() {
    let layers = "model.layers=[{ conv2d = 16, kernel = 3 }, { conv2d = 4, kernel = 3 }, { dense = 10 }]";
    let sets =
        ["--set", "precision=mixed", "--set", "model.input=[28,28,1]", "--set", layers, "--set", "data.examples=200"];
    let arguments = [&["inspect", "digits", "--plan"], &sets[..]].concat();
    let lines = json(folder(), &arguments);
    let named = lines.iter().find_map(|line| line["f32_convolutions"].as_array()).unwrap();
    // Backward to its input the second one has 16 rows.
    let expected = ["layers.1 forward", "layers.1 backward weight"];
    assert_eq!(named.iter().map(|label| label.as_str().unwrap()).collect::<Vec<_>>(), expected);
    let said = text(folder(), &arguments);
    assert!(said.contains("the factors of products are f16") && said.contains("16 x 16: layers.1 forward; "), "{said}");
}

#[test]
fn export_writes_both_formats() {
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name).to_str().unwrap().to_string();
    let written = summary(folder(), &["export", "run", "--to", "npz", &file("w.npz")]);
    let saved = SavedModel::load(&folder().join("run")).unwrap();
    assert_eq!(written["parameter_hash"], parameter_hash(&saved.parameters));
    let arrays = read_arrays(&file("w.npz")).unwrap();
    let shapes: Vec<(&str, &[usize])> = arrays.iter().map(|(name, array)| (name.as_str(), array.shape())).collect();
    let expected: [(&str, &[usize]); 4] = [
        ("layers.0.weight", &[32, 784]),
        ("layers.0.bias", &[32]),
        ("layers.1.weight", &[10, 32]),
        ("layers.1.bias", &[10]),
    ];
    assert_eq!(shapes, expected);
    text(folder(), &["export", "run", "--to", "safetensors", &file("w.safetensors")]);
    let again = std::fs::read(file("w.safetensors")).unwrap();
    assert_eq!(again, std::fs::read(folder().join("run/model.safetensors")).unwrap());
    assert!(error(folder(), 2, &["export", "run", "--to", "npz", &file("w.bin")]).contains(".npz"));
}

#[test]
fn onnx_runtime_predicts_the_same() {
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name).to_str().unwrap().to_string();
    text(folder(), &["export", "run", "--to", "onnx", &file("m.onnx")]);
    text(folder(), &["predict", "run", "--images", "digits.npz#x_test", "--out", &file("p.npy")]);
    let script = "import sys\ntry:\n import numpy, onnxruntime\nexcept ImportError:\n print('absent'); sys.exit()\n\
        model = onnxruntime.InferenceSession(sys.argv[1])\n\
        x = numpy.load(sys.argv[2])['x_test'].astype('float32').reshape(-1, 1, 28, 28)\n\
        print(abs(model.run(None, {'input': x})[0] - numpy.load(sys.argv[3])).max() < 1e-5)";
    let digits = folder().join("digits.npz");
    let python = Command::new("python3").args(["-c", script, &file("m.onnx")]).arg(digits).arg(file("p.npy")).output();
    match python.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).as_deref() {
        Ok("absent") | Err(_) => println!("skipped: there is no Python with onnxruntime"),
        Ok(said) => assert_eq!(said, "True"),
    }
}

#[test]
fn plot_draws_runs() {
    let out = tempfile::tempdir().unwrap();
    for (run, loss) in [("a", 0.5), ("b", 0.4)] {
        let line = |epoch: u32| {
            let loss = loss / f64::from(epoch);
            format!("{{\"epoch\":{epoch},\"step\":{epoch},\"train_loss\":{loss},\"train_accuracy\":0.9}}\n")
        };
        std::fs::create_dir(out.path().join(run)).unwrap();
        std::fs::write(out.path().join(run).join("metrics.jsonl"), (1..5).map(line).collect::<String>()).unwrap();
    }
    text(out.path(), &["plot", "a", "b"]);
    let svg = std::fs::read_to_string(out.path().join("comparison.svg")).unwrap();
    assert!(svg.contains("2 runs compared"));
    assert_eq!(summary(out.path(), &["plot", "a", "--out", "a.png"])["file"], "a.png");
    assert!(std::fs::read(out.path().join("a.png")).unwrap().starts_with(b"\x89PNG"));
    let file = out.path().join("run.svg");
    text(folder(), &["plot", "run", "--out", file.to_str().unwrap()]);
    assert!(std::fs::read_to_string(file).unwrap().contains("tiny"));
    assert!(error(out.path(), 2, &["plot", "c"]).contains("no metrics.jsonl"));
}

#[test]
fn data_is_generated_and_converted() {
    let out = tempfile::tempdir().unwrap();
    let generate = |format: &str, folder: &str| {
        let counts = ["--train", "20", "--test", "5", "--seed", "3"];
        let arguments = [&["data", "generate", "--out", folder, "--format", format], &counts[..]].concat();
        summary(out.path(), &arguments)["files"].as_array().unwrap().len()
    };
    assert_eq!([generate("idx", "i"), generate("idx.gz", "z"), generate("npz", "n")], [4, 4, 1]);
    let images = |place: &str| read_array(out.path().join(place).to_str().unwrap()).unwrap();
    let npz = images("n/digits.npz#x_train");
    assert_eq!(npz.shape(), [20, 28, 28]);
    assert_eq!(npz, images("i/train-images-idx3-ubyte"));
    assert_eq!(npz, images("z/train-images-idx3-ubyte.gz"));
    text(out.path(), &["data", "convert", "n/digits.npz#x_train", "x.npy"]);
    assert_eq!(npz, images("x.npy"));
    assert!(error(out.path(), 2, &["data", "convert", "n/digits.npz", "x.npy"]).contains("x_train"));
}

#[test]
fn a_download_that_fails_exits_with_1() {
    let out = tempfile::tempdir().unwrap();
    // Nothing listens on the discard port.
    let said = error(out.path(), 1, &["data", "fetch", "mnist", "--url", "http://127.0.0.1:9/"]);
    assert!(said.contains("127.0.0.1:9/train-images-idx3-ubyte.gz"), "{said}");
    assert!(error(out.path(), 2, &["data", "fetch", "imagenet"]).contains("fashion-mnist"));
}

#[test]
fn bad_input_exits_with_2_and_says_what_to_do() {
    let out = tempfile::tempdir().unwrap();
    std::fs::write(out.path().join("broken.safetensors"), [1, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
    std::fs::write(out.path().join("broken.npz"), b"PK").unwrap();
    let model = folder().join("run").to_str().unwrap().to_string();
    let digits = folder().join("digits.npz").to_str().unwrap().to_string();
    let (images, labels) = (format!("{digits}#x_test"), format!("{digits}#y_train"));
    for (arguments, expected) in [
        (&["eval", "none.safetensors"][..], "none.safetensors"),
        (&["eval", "broken.safetensors"], "broken.safetensors"),
        (&["eval", "."], "no model.safetensors"),
        (&["eval", &model, &images], "--labels"),
        (&["eval", &model, &images, &labels], "600"),
        (&["eval", &model, &digits, &labels], "x_train"),
        (&["eval", &model, "--labels", &labels], "--images"),
        (&["predict", &model, "--images", &labels], "(N, 28, 28)"),
        (&["predict", &model, "--out", "p.txt"], ".csv"),
        (&["predict", &model, "--grid", "p.svg"], ".png"),
        (&["predict", &model, "--count", "0"], "1..=5000"),
        (&["inspect", "digit"], "digits"),
        (&["inspect", "broken.npz"], "broken.npz"),
        (&["inspect", "none.npy"], "no such file"),
        (&["inspect", "digits", "--set", "x"], "KEY=VALUE"),
        (&["inspect", "digits", "--set", "train.epoch=1"], "epochs"),
        (&["inspect", &digits, "--plan"], "--plan"),
        (&["export", &model, "--to", "onxy", "x"], "safetensors"),
        (&["data", "generate", "--train", "0"], "1..="),
        (&["grad", "--check", "--at-most", "0"], "1..="),
    ] {
        let said = error(out.path(), 2, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let arguments = ["predict", "run", "--json", "--count", "200"];
    let mut child = command(folder(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("panicked"), "{errors}");
}

#[test]
fn every_command_explains_itself() {
    for command in ["eval", "predict", "inspect", "export", "plot", "data"] {
        let help = text(Path::new("."), &[command, "--help"]);
        assert!(help.len() > 300 && help.contains("Usage:"), "{command}: {help}");
    }
}
