//! Weights of classes and of examples: where they are read from, and what is refused.

use gputrain::data::{Array, Storage, write_arrays};
use gputrain::job::Job;
use gputrain::recipe::Recipe;
use gputrain::suggest::{Wanted, recipe};
use std::fmt::Display;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    folder
}

/// The job of a recipe with this `[data]`, for files of a folder.
fn job(folder: &TempDir, data: &str, layers: impl Display, loss: &str) -> Result<Job, String> {
    let text = format!("[data]\n{data}\n[model]\nlayers = \"{layers}\"\nloss = \"{loss}\"\n");
    let mut recipe = Recipe::parse(&text, "r.toml", &[]).map_err(|error| error.to_string())?;
    recipe.resolve_data(Some(folder.path())).map_err(|error| error.to_string())?;
    Job::load(recipe).map_err(|error| error.to_string())
}

const SOFTMAX: &str = "softmax_cross_entropy";

fn weights(job: &Job) -> Vec<f32> {
    job.dataset.train.weights.clone().unwrap()
}

/// Weights as their ratios to the first that is not 0.
fn ratios(job: &Job) -> Vec<f32> {
    let weights = weights(job);
    let first = *weights.iter().find(|weight| **weight > 0.0).unwrap();
    weights.iter().map(|weight| weight / first).collect()
}

fn animals() -> String {
    let row = |i: usize| format!("{i}.5,{},{}\n", [1.0, 0.0, 2.5][i % 3], ["cat", "dog", "dog", "newt"][i % 4]);
    format!("length,weight,kind\n{}", (0..12).map(row).collect::<String>())
}

#[test]
fn a_column_of_weights_is_no_feature_and_stays_with_its_rows() {
    let set = folder(&[("t.csv", &animals()), ("test.csv", "kind,length\ndog,3\ncat,4\n")]);
    let data = "train = { table = \"t.csv\", target = \"kind\" }\ntest = { table = \"test.csv\" }\nvalidation = 4\n\
                sample_weights = \"weight\"\nscale = \"none\"";
    let job = job(&set, data, 3, SOFTMAX).unwrap();
    assert_eq!(job.trained_on.features, ["length"]);
    let Storage::F32(lengths) = &job.dataset.train.features.storage else { panic!("these are floats") };
    let of_length = |length: &f32| [1.0, 0.0, 2.5][length.floor() as usize % 3];
    let mean: f32 = lengths.iter().map(of_length).sum::<f32>() / 8.0;
    let scale = mean.log2().round().exp2();
    assert_eq!(weights(&job), lengths.iter().map(|length| of_length(length) / scale).collect::<Vec<_>>());
    assert!(job.dataset.validation.as_ref().unwrap().weights.is_none());
    let said = job.described().join("\n");
    for part in [
        "left out: weight (data.sample_weights)",
        "sample weights: weight, from 0 to 2.5, mean ",
        "losses of other sets and all metrics count every example once",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[test]
fn a_column_of_weights_that_is_none_is_named() {
    let broken = |change: (&str, &str)| animals().replacen(change.0, change.1, 1);
    let of = |table: &str, more: &str| {
        let set = folder(&[("t.csv", table)]);
        let data = format!("train = {{ table = \"t.csv\", target = \"kind\" }}\nsample_weights = \"weight\"\n{more}");
        job(&set, &data, 3, SOFTMAX).unwrap_err()
    };
    for (table, more, said) in [
        (broken(("2.5,2.5,", "2.5,,")), "", "the weight is missing"),
        (broken(("2.5,2.5,", "2.5,heavy,")), "", "\"heavy\" is text"),
        (broken(("2.5,2.5,", "2.5,inf,")), "", "the weight is inf"),
        (broken(("2.5,2.5,", "2.5,-1,")), "", "example 2 has the weight -1"),
        (animals(), "features = [\"length\", \"weight\"]", "\"weight\" is a feature (data.features)"),
    ] {
        let error = of(&table, more);
        assert!(error.contains(said), "{error}");
    }
    let set = folder(&[("t.csv", &animals().replace("weight", "mass"))]);
    let data = "train = { table = \"t.csv\", target = \"kind\" }\nsample_weights = \"weight\"";
    assert!(
        job(&set, data, 3, SOFTMAX).unwrap_err().contains("has no column \"weight\""),
        "neither a column nor a file"
    );
    let data = "train = { table = \"t.csv\", target = \"kind\" }\nsample_weights = \"kind\"";
    assert!(job(&set, data, 3, SOFTMAX).unwrap_err().contains("is the target"));
}

#[test]
fn files_of_weights_go_with_arrays_and_tables() {
    let set = folder(&[("t.csv", &animals()), ("x.csv", "a,b,w,y\n1,2,3,0\n4,5,1,1\n7,8,0,1\n1,1,2,2\n")]);
    let write = |name: &str, shape: &[usize], values: &[f32]| {
        let array = Array::from_f32(shape, values).unwrap();
        write_arrays(&set.path().join(name), &[("w", &array)]).unwrap();
    };
    let twelve: Vec<f32> = (0..12).map(|i| i as f32).collect();
    write("w.npz", &[12, 1], &twelve);
    write("short.npy", &[3], &[1.0; 3]);
    write("wide.npy", &[4, 3], &twelve);
    let table = "train = { table = \"t.csv\", target = \"kind\" }\n";
    let of = |data: &str, weights: &str| job(&set, &format!("{data}sample_weights = \"{weights}\""), 3, SOFTMAX);
    assert_eq!(ratios(&of(table, "w.npz#w").unwrap()), twelve);
    // The table's own column, with its file: no feature.
    let own = of(table, "t.csv#weight").unwrap();
    assert_eq!(own.trained_on.features, ["length"]);
    assert_eq!(weights(&own), weights(&of(table, "weight").unwrap()));
    assert!(of(table, "t.csv#mass").unwrap_err().contains("has no column \"mass\""));
    let arrays = "train = { images = \"x.csv\", labels = \"x.csv#y\" }\nscale = \"none\"\n";
    // A column of the labels' table, with its file or by its name alone: it is no feature.
    for weights in ["x.csv#w", "w"] {
        let job = of(arrays, weights).unwrap();
        assert_eq!(ratios(&job), [1.0, 1.0 / 3.0, 0.0, 2.0 / 3.0], "{weights}");
        assert_eq!(job.trained_on.features, ["a", "b"], "{weights}");
    }
    // The weights are those of the file's rows, whatever classes are kept.
    let kept = job(&set, &format!("{arrays}sample_weights = \"w\"\nclasses = 2"), 2, SOFTMAX).unwrap();
    assert_eq!(ratios(&kept), [1.0, 1.0 / 3.0, 0.0]);
    for (data, weights, said) in [
        (arrays, "short.npy", "there are 3 weights, and there are 4 examples"),
        (table, "short.npy", "there are 3 weights, and there are 12 examples"),
        (arrays, "wide.npy", "(N,), a weight for each example"),
        (arrays, "none.npy", "no such file"),
    ] {
        let error = of(data, weights).unwrap_err();
        assert!(error.contains(weights) && error.contains(said), "{error}");
    }
}

#[test]
fn classes_have_weights_by_name_in_order_or_balanced() {
    let set = folder(&[("t.csv", &animals())]);
    let of = |weights: &str| {
        let data = format!("train = {{ table = \"t.csv\", target = \"kind\" }}\ndrop = [\"weight\"]\n{weights}");
        job(&set, &data, 3, SOFTMAX)
    };
    let named = of("class_weights = { dog = 2.0, newt = 0 }").unwrap();
    assert_eq!(ratios(&named)[..4], [1.0, 2.0, 2.0, 0.0]);
    assert!(named.described().contains(&"class weights: cat 1, dog 2, newt 0".to_string()));
    assert_eq!(ratios(&of("class_weights = [1.0, 2.0, 0.0]").unwrap()), ratios(&named));
    // 3, 6 and 3 of 12.
    let balanced = of("class_weights = \"balanced\"").unwrap();
    assert!(balanced.described().contains(&"class weights: cat 1.333, dog 0.6667, newt 1.333".to_string()));
    assert_eq!(ratios(&balanced)[..4], [1.0, 0.5, 0.5, 1.0]);
    let error = of("class_weights = { dig = 2.0 }").unwrap_err();
    assert!(error.contains("did you mean \"dog\"?") && error.contains("cat, dog, newt"), "{error}");
    assert!(of("class_weights = [1.0]").unwrap_err().contains("1 weights for 3 classes"));
    assert!(of("class_weights = \"balance\"").unwrap_err().contains("expected \"balanced\""));
    assert!(of("class_weights = { dog = -1 }").unwrap_err().contains("class_weights.dog"));
    assert!(of("class_weights = [0, 0, 0]").unwrap_err().contains("not all are 0"));
    let both = job(
        &set,
        "train = { table = \"t.csv\", target = \"kind\" }\nclass_weights = { dog = 2.0 }\nsample_weights = \"weight\"",
        3,
        SOFTMAX,
    );
    assert_eq!(ratios(&both.unwrap())[..4], [1.0, 0.0, 5.0, 1.0]);
}

#[test]
fn folders_of_pictures_have_weights_of_classes_alone() {
    let set = tempfile::tempdir().unwrap();
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    for (class, name) in [("cat", "grey.png"), ("cat", "bits.png"), ("cat", "la.png"), ("big dog", "rgb.png")] {
        fs::create_dir_all(set.path().join("photos").join(class)).unwrap();
        fs::copy(pictures.join(name), set.path().join("photos").join(class).join(name)).unwrap();
    }
    let of = |more: &str| job(&set, &format!("train = {{ folder = \"photos\" }}\n{more}"), 2, SOFTMAX);
    let named = of("class_weights = { \"big dog\" = 3.0 }").unwrap();
    assert_eq!(ratios(&named), [1.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]);
    let error = of("sample_weights = \"w.npy\"").unwrap_err();
    assert!(error.contains("data.sample_weights") && error.contains("data.class_weights"), "{error}");
    // The recipe of a run reads back as it was.
    let written = named.recipe.to_toml();
    assert_eq!(Recipe::parse(&written, "recipe.toml", &[]).unwrap().data, named.recipe.data, "{written}");
}

#[test]
fn weights_of_classes_need_a_loss_that_knows_classes() {
    let recipe = |model: &str| {
        let text = format!("[data]\nclass_weights = \"balanced\"\n[model]\nlayers = \"10\"\n{model}\n");
        Recipe::parse(&text, "r.toml", &[]).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(recipe(""), Ok(()));
    for (model, said) in
        [("loss = \"mse\"", "the loss mse is one of values"), ("label_smoothing = 0.1", "model.label_smoothing")]
    {
        let error = recipe(model).unwrap_err();
        assert!(error.starts_with("r.toml:2: data.class_weights") && error.contains(said), "{error}");
    }
    let set = folder(&[("x.csv", "a,p,q\n1,1,1\n2,0,1\n3,1,0\n4,0,0\n")]);
    let data = "train = { images = \"x.csv#a\", labels = \"x.csv#p,q\" }\nclass_weights = \"balanced\"";
    let error = job(&set, data, "2:sigmoid", "binary_cross_entropy").unwrap_err();
    assert!(error.contains("data.class_weights: ") && error.contains("values that name none"), "{error}");
}

#[test]
fn a_recipe_is_suggested_without_the_column_of_weights() {
    let set = folder(&[("t.csv", &animals())]);
    let overrides = [("data.sample_weights".to_string(), "weight".to_string())];
    let train = set.path().join("t.csv").display().to_string();
    let wanted = Wanted { train: &train, target: &["kind".into()], test: None, overrides: &overrides };
    let text = recipe(&wanted).unwrap();
    let job = Job::load(text.parse(&overrides).unwrap()).unwrap();
    assert_eq!(job.trained_on.features, ["length"]);
    assert!(job.dataset.train.weights.is_some());
}
