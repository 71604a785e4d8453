//! The commands on models whose outputs are values, and on models of a part of the classes.

use crate::binary::{Workplace, gputrain, last_line, succeed, text};
use gputrain::data::{Array, read_array, read_arrays, write_arrays};
use serde_json::Value;

/// Two values from three numbers.
const VALUES: &str = r#"
name = "values"
[data]
train = { images = "data.npz#x", labels = "data.npz#y" }
scale = "none"
[model]
input = [3]
layers = "4:tanh,2"
loss = "mse"
[train]
epochs = 2
batch = 10
"#;

/// A recipe with a data.npz beside it, and its model in `run`.
fn trained(recipe: &str, arrays: &[(&str, &Array)]) -> Workplace {
    let place = Workplace::new(recipe);
    write_arrays(&place.path("data.npz"), arrays).unwrap();
    succeed(&["--backend", "cpu", "--quiet", "train", &place.text("recipe.toml"), "--out", &place.text("run")]);
    place
}

fn numbers(shape: &[usize]) -> Array {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i * 7 % 11) as f32 / 11.0).collect();
    Array::from_f32(shape, &values).unwrap()
}

#[test]
fn predict_tells_values_where_outputs_are_values() {
    let (x, y) = (numbers(&[20, 3]), numbers(&[20, 2]));
    let place = trained(VALUES, &[("x", &x), ("y", &y)]);
    let [run, data, x] = ["run", "data.npz#y", "data.npz#x"].map(|name| place.text(name));
    let predict = |arguments: &[&str]| succeed(&[&["--backend", "cpu", "predict", &run, &x], arguments].concat());
    let file = |name: &str| {
        let file = place.text(name);
        predict(&["--out", &file]);
        file
    };
    let outputs = read_array(&file("p.npy")).unwrap();
    assert_eq!(outputs.shape(), [20, 2]);
    let named: Vec<String> = read_arrays(&file("p.npz")).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["outputs"]);
    let csv = std::fs::read_to_string(file("p.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    let [first, second, ..] = outputs.to_f32()[..] else { panic!() };
    assert_eq!(lines[..2], ["index,y0,y1".to_string(), format!("0,{first},{second}")]);

    let (alone, beside) = (text(&predict(&["--count", "1"]).stdout), text(&predict(&[&data]).stdout));
    let values = format!("{first:.4} {second:.4}");
    assert!(alone.contains(&values) && alone.contains("value") && alone.contains("and 19 more"), "{alone}");
    assert!(beside.contains(&format!("{values}  0.0000 0.6364")) && beside.contains("\nloss 0."), "{beside}");
    for said in [alone, beside] {
        assert!(!said.contains("class") && !said.contains("right"), "{said}");
    }
    let line = predict(&[&data, "--json", "--count", "1"]);
    let line: Value = serde_json::from_str(text(&line.stdout).lines().next().unwrap()).unwrap();
    assert_eq!(line["targets"].as_array().unwrap().len(), 2);
    assert!(line.get("class").is_none() && line["outputs"][0].as_f64() == Some(f64::from(first)), "{line}");
}

#[test]
fn a_squared_loss_on_labels_that_name_classes_still_predicts_classes() {
    let (x, labels) = (numbers(&[20, 3]), Array::from_u32(&[20], &[0, 1].repeat(10)).unwrap());
    let place = trained(VALUES, &[("x", &x), ("y", &labels)]);
    let [run, x, y] = ["run", "data.npz#x", "data.npz#y"].map(|name| place.text(name));
    let said = text(&succeed(&["--backend", "cpu", "predict", &run, &x, &y]).stdout);
    assert!(said.contains("class") && said.contains("of 20 are right"), "{said}");
    // A sigmoid's outputs are taken for classes without labels, too.
    let place = trained(&VALUES.replace("4:tanh,2", "4:tanh,2:sigmoid"), &[("x", &numbers(&[20, 3])), ("y", &labels)]);
    let said = text(&succeed(&["--backend", "cpu", "predict", &place.text("run"), &x]).stdout);
    assert!(said.contains("class"), "{said}");
}

#[test]
fn values_are_written_below_images() {
    let wide = VALUES.replace("input = [3]", "input = [5, 5, 1]").replace("layers = \"", "layers = \"6:tanh,");
    let (x, y) = (numbers(&[20, 5, 5]), numbers(&[20, 2]));
    let place = trained(&wide, &[("x", &x), ("y", &y)]);
    let [run, x, grid] = ["run", "data.npz#x", "grid.png"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "predict", &run, &x, "--grid", &grid]);
    assert!(std::fs::read(place.path("grid.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_model_of_the_first_classes_is_evaluated_on_them_alone() {
    let first = VALUES.replace("[data]", "[data]\nclasses = 2").replace("loss = \"mse\"", "");
    let labels = Array::from_u32(&[20], &(0..20).map(|i| i % 5).collect::<Vec<u32>>()).unwrap();
    let place = trained(&first, &[("x", &numbers(&[20, 3])), ("y", &labels)]);
    let [run, x, y] = ["run", "data.npz#x", "data.npz#y"].map(|name| place.text(name));
    // Training held no other examples: the same data, as files, is evaluated alike.
    let [from_recipe, of_files] = [&["--split", "train"][..], &[&x, &y]].map(|arguments| {
        let output = succeed(&[&["--backend", "cpu", "--json", "eval", &run], arguments].concat());
        assert!(text(&output.stderr).contains("8 examples of the first 2 classes (data.classes)"), "{output:?}");
        last_line(&output)
    });
    assert_eq!((&of_files["examples"], &of_files["confusion"]), (&8.into(), &from_recipe["confusion"]));
    let output = succeed(&["--backend", "cpu", "predict", &run, &x, &y]);
    assert!(text(&output.stdout).contains("of 8 are right"), "{}", text(&output.stdout));
    // Without labels nothing can be left out.
    let output = succeed(&["--backend", "cpu", "predict", &run, &x]);
    assert!(text(&output.stdout).contains("20 examples, "), "{}", text(&output.stdout));
}

#[test]
fn mixed_gradients_are_held_against_f64_with_the_same_factors_rounded() {
    let small = ["--layers", "20:relu,16:tanh,10", "--check", "--at-most", "20"];
    // 784 + 20, 20 + 16 and 16 + 10 terms forward and backward, 128 examples, 16 roundings of each layer.
    let rounding = 8.0 * f64::from(804 + 36 + 26 + 128 + 48).sqrt() * 2f64.powi(-24);
    for (precision, bound, says) in
        [("f32", rounding, "against f64, of the sum"), ("mixed", 2f64.powi(-10), "rounded to f16, of the sum")]
    {
        let arguments = ["--backend", "cpu", "--json", "grad", "--precision", precision];
        let output = succeed(&[&arguments[..], &small].concat());
        let last = last_line(&output);
        let checks = last["check"].as_array().unwrap();
        assert_eq!(checks.len(), 6);
        for check in checks {
            assert_eq!(check["device_bound"].as_f64().unwrap(), bound, "{check}");
        }
        let said = text(&output.stderr);
        assert!(said.contains(says) && said.contains("all gradients agree"), "{said}");
        // The loss in f64 is that without rounding.
        let [loss, exact] = ["loss", "loss_f64"].map(|key| last[key].as_f64().unwrap());
        assert_eq!((loss - exact).abs() > 1e-6, precision == "mixed", "{loss} {exact}");
    }
    // Weights that f16 cannot hold.
    let wide = ["--backend", "cpu", "grad", "--precision", "mixed", "--set", "model.init={ normal = 1e6 }"];
    let output = gputrain(&[&wide[..], &small].concat()).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("gradients out of bounds: layers.0.weight"), "{said}");
}
