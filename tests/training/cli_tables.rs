//! The commands on tables and on other data of one's own: what is said, refused and written.

use crate::binary::{Workplace, fail, gputrain, last_line, succeed, text};
use gputrain::data::{Array, read_array, write_array, write_arrays};
use std::process::Output;

/// 24 examples of two measurements that tell the class, and a third that does not.
fn rows() -> Vec<[f32; 4]> {
    let row = |i: usize| {
        let class = (i % 2) as f32;
        [4.0 * class + 0.25 * (i % 5) as f32, 1.5 - class, (i * 7 % 11) as f32, class]
    };
    (0..24).map(row).collect()
}

fn csv(header: &str, order: [usize; 4]) -> String {
    let line = |row: [f32; 4]| order.map(|column| row[column].to_string()).join(",") + "\n";
    format!("{header}\n{}", rows().into_iter().map(line).collect::<String>())
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// A folder with a table and a model trained on it, `run`.
fn trained() -> Workplace {
    let place = Workplace::new("");
    std::fs::write(place.path("t.csv"), csv("a,b,c,label", [0, 1, 2, 3])).unwrap();
    let [table, label, run] = ["t.csv", "t.csv#label", "run"].map(|name| place.text(name));
    let data = ["--train-images", &table, "--train-labels", &label, "--set", "data.scale=standard"];
    succeed(
        &[&["--backend", "cpu", "train", "--layers", "6:relu,2", "--epochs", "3", "--out", &run], &data[..]].concat(),
    );
    place
}

#[test]
fn predict_and_eval_take_columns_by_name() {
    let place = trained();
    std::fs::write(place.path("turned.csv"), csv("label,c,extra,a", [3, 2, 1, 0]).replace("extra", "b")).unwrap();
    std::fs::write(place.path("few.csv"), "a,c\n1,2\n").unwrap();
    std::fs::write(place.path("plain.csv"), csv("", [0, 1, 2, 3]).trim_start()).unwrap();
    let [run, turned, few, t, plain] =
        ["run", "turned.csv", "few.csv", "t.csv", "plain.csv#0..3"].map(|name| place.text(name));
    let outputs = |table: &str| {
        let out = place.text("p.npy");
        let output = succeed(&["--backend", "cpu", "predict", &run, table, "--out", &out]);
        (read_array(&out).unwrap().to_f32(), said(&output))
    };
    let (in_order, _) = outputs(&t);
    assert_eq!(outputs(&turned).0, in_order);
    let (without_names, words) = outputs(&plain);
    assert_eq!(without_names, in_order);
    assert!(words.contains("taken in the order of training (a, b, c)"), "{words}");
    let (code, error) = fail(&["--backend", "cpu", "predict", &run, &few]);
    assert!(code == 2 && error.contains("has no column \"b\", which the model was trained on; it has a, c"), "{error}");
    let eval = |table: &str| {
        last_line(&succeed(&["--backend", "cpu", "--json", "eval", &run, table, &format!("{table}#label")]))["confusion"].clone()
    };
    assert_eq!(eval(&turned), eval(&t));
}

#[test]
fn a_run_goes_on_with_its_columns_whatever_their_order() {
    let [straight, turned] = [trained(), trained()];
    let hash = |place: &Workplace| {
        let output = succeed(&["--backend", "cpu", "--json", "train", "--resume", &place.text("run"), "--epochs", "5"]);
        (last_line(&output)["parameter_hash"].clone(), said(&output))
    };
    std::fs::write(turned.path("t.csv"), csv("label,c,b,a", [3, 2, 1, 0])).unwrap();
    let (expected, _) = hash(&straight);
    let (found, words) = hash(&turned);
    assert!(
        found == expected && words.contains("features: a, b, c") && !words.contains("warning: the training"),
        "{words}"
    );
    std::fs::write(turned.path("t.csv"), csv("label,c,b,other", [3, 2, 1, 0])).unwrap();
    let (code, error) = fail(&["--backend", "cpu", "train", "--resume", &turned.text("run"), "--epochs", "6"]);
    assert!(code == 2 && error.contains("has no column \"a\", which the model was trained on"), "{error}");
    // Other values than it was trained on so far.
    std::fs::write(turned.path("t.csv"), csv("a,b,c,label", [0, 1, 2, 3]).replacen("4,0.5,", "5,0.5,", 1)).unwrap();
    let output = succeed(&["--backend", "cpu", "train", "--resume", &turned.text("run"), "--epochs", "6"]);
    assert!(
        said(&output).contains("warning: the training examples or their scaling are not those"),
        "{}",
        said(&output)
    );
}

#[test]
fn initial_weights_of_other_features_are_named() {
    let place = trained();
    std::fs::write(place.path("turned.csv"), csv("label,c,b,a", [3, 2, 1, 0])).unwrap();
    let init = place.text("run/model.safetensors");
    let words = |table: &str, out: &str| {
        let [table, label, out] =
            [table.to_owned(), format!("{table}#label"), out.to_owned()].map(|name| place.text(&name));
        let data = ["--train-images", &table, "--train-labels", &label, "--layers", "6:relu,2", "--init", &init];
        said(&succeed(&[&["--backend", "cpu", "train", "--epochs", "1", "--out", &out], &data[..]].concat()))
    };
    assert!(!words("t.csv", "same").contains("initial weights"));
    let words = words("turned.csv", "other");
    assert!(
        words.contains("warning: the initial weights were trained on the features a, b, c")
            && words.contains("c, b, a"),
        "{words}"
    );
}

#[test]
fn a_folder_of_data_is_looked_in_first_and_what_is_elsewhere_is_said() {
    let place = trained();
    for folder in ["recipes", "other", "empty"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    std::fs::copy(place.path("t.csv"), place.path("recipes/t.csv")).unwrap();
    std::fs::write(place.path("other/t.csv"), csv("label,c,b,a", [3, 2, 1, 0])).unwrap();
    std::fs::write(
        place.path("recipes/r.toml"),
        "[data]\ntrain = { images = \"t.csv\", labels = \"t.csv#label\" }\n[model]\nlayers = \"2\"\n[optimizer]\nkind = \"adam\"\n",
    )
    .unwrap();
    let [recipe, other, empty, none, run] =
        ["recipes/r.toml", "other", "empty", "none", "run"].map(|name| place.text(name));
    let grad = |data: &str| said(&succeed(&["--backend", "cpu", "grad", &recipe, "--data", data]));
    assert!(grad(&other).contains("features: c, b, a"), "{}", grad(&other));
    assert!(grad(&empty).contains("note: --data") && grad(&empty).contains("does not hold all of the data"));
    // The model was trained on a path from the root.
    let eval = |data: &str| said(&succeed(&["--backend", "cpu", "eval", &run, "--split", "train", "--data", data]));
    assert!(
        eval(&other).contains("train set of ")
            && eval(&other).contains("other")
            && !eval(&other).contains("note: --data")
    );
    assert!(eval(&empty).contains("note: --data"));
    for command in ["eval", "predict", "landscape"] {
        let (code, error) = fail(&["--backend", "cpu", command, &run, "--data", &none]);
        assert!(code == 2 && (command == "landscape" || error.contains("there is no such folder")), "{error}");
    }
}

#[test]
fn a_runs_data_is_found_from_another_folder() {
    let place = Workplace::new("");
    std::fs::create_dir_all(place.path("inner/deep")).unwrap();
    std::fs::write(place.path("inner/t.csv"), csv("a,b,c,label", [0, 1, 2, 3])).unwrap();
    let in_folder = |folder: &str, arguments: &[&str]| {
        gputrain(&[&["--backend", "cpu"], arguments].concat()).current_dir(place.path(folder)).output().unwrap()
    };
    let data =
        ["--train-images", "t.csv", "--train-labels", "t.csv#label", "--set", "data.validation=6", "--layers", "2"];
    let output = in_folder("inner", &[&["train", "--epochs", "1", "--out", "r1"], &data[..]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let absolute = place.text("inner/r1");
    for (folder, run) in [("inner", "r1"), (".", "inner/r1"), ("inner/deep", "../r1"), ("inner/deep", &absolute)] {
        let output = in_folder(folder, &["predict", run, "--split", "validation"]);
        assert!(output.status.success() && said(&output).contains("of 6 are right"), "{folder}: {}", said(&output));
    }
    let output = in_folder(".", &["train", "--resume", "inner/r1", "--epochs", "2"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(in_folder("inner", &["eval", "r1", "--split", "train"]).status.success());
    // Another file of that name here: it could be either.
    std::fs::create_dir(place.path("inner/deep/inner")).unwrap();
    std::fs::write(place.path("inner/deep/inner/t.csv"), csv("a,b,c,label", [0, 1, 2, 3])).unwrap();
    let output = in_folder("inner/deep", &["eval", "../r1", "--split", "train"]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("say which with --data DIR"),
        "{}",
        said(&output)
    );
}

#[test]
fn nothing_that_was_said_of_the_data_is_ignored() {
    let place = Workplace::new("");
    let folder = place.text("");
    let (code, error) = fail(&["--backend", "cpu", "train", "--data", &folder]);
    assert!(code == 2 && error.contains("trains on generated digits; name the files"), "{error}");
    let (code, error) = fail(&["--backend", "cpu", "train", "--data", &place.text("photos")]);
    assert!(code == 2 && error.contains("there is no such folder"), "{error}");
    let out = place.text("none");
    let (code, error) =
        fail(&["--backend", "cpu", "train", "--set", "model.layers=[{ flatten = true }]", "--out", &out]);
    assert!(code == 2 && error.contains("has no parameters to train; add a layer"), "{error}");
    let (code, error) = fail(&["--backend", "cpu", "predict", "run", "x.npy", "--data", &folder]);
    assert!(code == 2 && error.contains("--data"), "{error}");
}

#[test]
fn the_default_network_has_an_output_for_each_class_of_the_data() {
    let place = Workplace::new("");
    let values: Vec<f32> = (0..60).map(|i| (i * 7 % 13) as f32).collect();
    write_array(&place.path("x.npy"), &Array::from_f32(&[30, 2], &values).unwrap()).unwrap();
    let labels: Vec<u32> = (0..30).map(|i| i % 3).collect();
    write_array(&place.path("y.npy"), &Array::from_u32(&[30], &labels).unwrap()).unwrap();
    let large: Vec<u32> = (0..30).map(|i| 5000 * i).collect();
    write_array(&place.path("large.npy"), &Array::from_u32(&[30], &large).unwrap()).unwrap();
    let [x, y, large, run] = ["x.npy", "y.npy", "large.npy", "run"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "train", "--epochs", "1", "--out", &run, "--train-images", &x, "--train-labels"];
    let words = said(&succeed(&[&train[..], &[&y]].concat()));
    assert!(
        words.contains("the default network, with outputs for the 3 classes of")
            && words.contains("dense 3 -> softmax"),
        "{words}"
    );
    let (code, error) = fail(&[&train[..], &[&large]].concat());
    assert!(code == 2 && error.contains("--layers \"128:relu,145001\""), "{error}");
}

/// Trains on arrays with the binary cross-entropy and gives what `predict` writes as CSV, and what it prints.
fn binary(targets: &Array, layers: &str, labelled: bool) -> (String, String, Workplace) {
    let place = Workplace::new("");
    let values: Vec<f32> = rows().into_iter().flat_map(|row| [row[0] / 5.0, row[1] / 2.0]).collect();
    let x = Array::from_f32(&[24, 2], &values).unwrap();
    write_arrays(&place.path("d.npz"), &[("x", &x), ("y", targets)]).unwrap();
    let [x, y, run, out] = ["d.npz#x", "d.npz#y", "run", "p.csv"].map(|name| place.text(name));
    let data = ["--train-images", &x, "--train-labels", &y, "--layers", layers, "--epochs", "20", "--batch", "4"];
    let binary = ["--set", "model.loss=binary_cross_entropy", "--lr", "0.05", "--out", &run];
    let words = said(&succeed(&[&["--backend", "cpu", "train"], &data[..], &binary].concat()));
    let files: &[&str] = if labelled { &[&x, &y] } else { &[&x] };
    succeed(&[&["--backend", "cpu", "predict", &run, "--out", &out], files].concat());
    let shown = said(&succeed(&[&["--backend", "cpu", "predict", &run, "--count", "3"], files].concat()));
    (std::fs::read_to_string(out).unwrap(), words + &shown, place)
}

#[test]
fn the_probability_of_a_single_output_is_that_of_class_1() {
    let labels: Vec<u32> = rows().iter().map(|row| row[3] as u32).collect();
    let (csv, shown, _) = binary(&Array::from_u32(&[24], &labels).unwrap(), "4:tanh,1:sigmoid", true);
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["index", "class", "p1"]);
    for line in &lines[1..] {
        assert_eq!(line[1] == "1", line[2].parse::<f32>().unwrap() > 0.5, "{line:?}");
    }
    assert!(shown.contains("class  probability") && shown.contains("of 24 are right"), "{shown}");
    // Printed is the probability of the class that is predicted.
    let zero: f32 = lines.iter().find(|line| line[1] == "0").unwrap()[2].parse().unwrap();
    assert!(shown.contains(&format!("{:.4}", 1.0 - zero)), "{shown}");
}

#[test]
fn several_bits_are_no_class() {
    let bits: Vec<f32> = rows().iter().flat_map(|row| [row[3], 1.0 - row[3], 1.0]).collect();
    let targets = Array::from_f32(&[24, 3], &bits).unwrap();
    for labelled in [true, false] {
        let (csv, shown, place) = binary(&targets, "4:tanh,3:sigmoid", labelled);
        assert_eq!(csv.lines().next().unwrap(), "index,b0,b1,b2,p0,p1,p2");
        for line in csv.lines().skip(1) {
            let cells: Vec<f32> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
            assert!((1..4).all(|bit| (cells[bit] == 1.0) == (cells[bit + 3] > 0.5)), "{line}");
        }
        assert!(shown.contains("bits") && shown.contains("probabilities") && !shown.contains("class"), "{shown}");
        assert!(shown.contains("accuracy is per output: the share of all 3 outputs"), "{shown}");
        assert_eq!(shown.contains("have every bit right"), labelled, "{shown}");
        if labelled {
            let [run, x, y] = ["run", "d.npz#x", "d.npz#y"].map(|name| place.text(name));
            let words = said(&succeed(&["--backend", "cpu", "eval", &run, &x, &y]));
            assert!(words.contains("accuracy per output") && words.contains("of 24 have every bit right"), "{words}");
        }
    }
}

#[test]
fn classes_as_several_binary_outputs_stay_classes() {
    let labels: Vec<u32> = rows().iter().map(|row| row[3] as u32).collect();
    let (csv, shown, _) = binary(&Array::from_u32(&[24], &labels).unwrap(), "4:tanh,2:sigmoid", false);
    assert!(csv.starts_with("index,class,p0,p1\n") && shown.contains("class  probability"), "{shown}");
}

#[test]
fn a_table_with_a_target_is_trained_on_evaluated_and_predicted_by_name() {
    let place = Workplace::new("");
    let row = |i: usize| {
        let class = ["setosa", "virginica"][i % 2];
        let (length, colour) = (3 * (i % 2) + i % 5, ["red", "blue"][i / 2 % 2]);
        format!("f{i};{},5;{colour};{class}\n", length)
    };
    let rows = |range: std::ops::Range<usize>| range.map(row).collect::<String>();
    std::fs::write(place.path("flowers.csv"), format!("name;length;colour;kind\n{}", rows(0..48))).unwrap();
    let turned = "colour;length;name\nblue;0,5;n1\nred;6,5;n2\nblue;6,5;n3\n";
    std::fs::write(place.path("new.csv"), turned).unwrap();
    let [table, new, run, out, my] = ["flowers.csv", "new.csv", "run", "p.csv", "my.toml"].map(|name| place.text(name));
    let drop = ["--set", "data.drop=[\"name\"]"];
    let train = ["--backend", "cpu", "train", "--train", &table, "--target", "kind"];
    let (code, error) = fail(&train);
    assert!(code == 2 && error.contains("\"name\" has 48; leave out what only names the examples"), "{error}");
    let more =
        ["--epochs", "20", "--batch", "4", "--lr", "0.01", "--out", &run, "--set", "data.class_weights=balanced"];
    let words = said(&succeed(&[&train[..], &drop, &more].concat()));
    for part in [
        "48 rows, separated by semicolons, decimal commas (0,5 is 0.5)",
        "left out: name (data.drop)",
        "features: 1 number: length; 1 category: colour (2 levels: blue, red)",
        "target: kind, 2 classes: setosa 24, virginica 24",
        "class weights: setosa 1.024, virginica 0.9773",
    ] {
        assert!(words.contains(part), "no {part} in: {words}");
    }
    let words = said(&succeed(&["--backend", "cpu", "eval", &run, &table]));
    assert!(words.contains("setosa") && words.contains("virginica"), "{words}");
    let words = said(&succeed(&["--backend", "cpu", "eval", &run, "--split", "validation"]));
    assert!(words.contains("confusion") && !words.contains("weights"), "{words}");
    let report = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(report.contains("virginica"), "the report names the classes");
    let (code, error) = fail(&["--backend", "cpu", "eval", &run, &new]);
    assert!(code == 2 && error.contains("lacks the target"), "{error}");
    // Another class is no reason not to predict, but none to evaluate by.
    let strange = place.text("strange.csv");
    std::fs::write(&strange, "kind;length;colour\nrose;0,5;red\nsetosa;6,5;blue\n").unwrap();
    let (code, error) = fail(&["--backend", "cpu", "eval", &run, &strange]);
    assert!(code == 2 && error.contains("the target has \"rose\", which the training table had not"), "{error}");
    let words = said(&succeed(&["--backend", "cpu", "predict", &run, &strange]));
    assert!(words.contains("\"rose\"") && words.contains("without a truth") && words.contains("virginica"), "{words}");
    assert!(!words.contains("are right"), "{words}");
    let predict = |options: &[&str]| {
        let words =
            said(&succeed(&[&["--backend", "cpu", "predict", &run, &new, "--out", &out][..], options].concat()));
        (std::fs::read_to_string(&out).unwrap().lines().map(str::to_string).collect::<Vec<_>>(), words)
    };
    let (lines, words) = predict(&[]);
    assert_eq!(lines[0], "id,class,setosa,virginica");
    assert!(lines[1].starts_with("0,setosa,") && lines[2].starts_with("1,virginica,"), "{lines:?}");
    assert!(words.contains("columns that the model does not take: name"), "{words}");
    let (lines, _) = predict(&["--id", "name", "--columns", "Name=id,class"]);
    assert_eq!(lines, ["Name,class", "n1,setosa", "n2,virginica", "n3,virginica"]);
    let (lines, _) = predict(&["--first-id", "1", "--threshold", "1", "--columns", "id,class,probability"]);
    assert!(lines[0] == "id,class,probability" && lines[1].starts_with("1,setosa,"), "{lines:?}");
    #[cfg(feature = "parquet")]
    {
        // The same columns with their types.
        let parquet = place.text("p.parquet");
        let predict = ["--backend", "cpu", "predict", &run, &new, "--columns", "id,class,virginica", "--out"];
        succeed(&[&predict[..], &[&out]].concat());
        succeed(&[&predict[..], &[&parquet]].concat());
        let texts = |file: &str, column: &str| gputrain::data::column_texts(file, None, column).unwrap();
        for column in ["id", "class"] {
            assert_eq!(texts(&out, column), texts(&parquet, column));
        }
        let numbers =
            |file: &str| texts(file, "virginica").iter().map(|text| text.parse().unwrap()).collect::<Vec<f32>>();
        assert_eq!(numbers(&out), numbers(&parquet));
    }
    let (code, error) = fail(&["predict", &run, &new, "--out", &out, "--columns", "rose"]);
    assert!(code == 2 && error.contains("there are id, class, setosa, virginica, probability"), "{error}");
    // The recipe that `init` writes is what was trained with.
    let text = said(&succeed(&[&["init", &table, "--target", "length"][..], &drop].concat()));
    assert!(text.contains("# target: length") && text.contains("drop = [\"name\"]"), "{text}");
    std::fs::write(&my, &text).unwrap();
    let words = said(&succeed(&["inspect", &my]));
    assert!(words.contains("recipe my") && words.contains("loss mse"), "{words}");
    let list = said(&succeed(&["recipes"]));
    assert!(list.contains("mnist-mlp-adam") && list.lines().count() > 20, "{list}");
}
