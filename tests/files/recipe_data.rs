//! Where data files are looked for.

use std::fs;
use std::path::Path;

use gputrain::recipe::{Holdout, Recipe, Source};

fn touch(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    path.display().to_string()
}

fn recipe(images: &str, labels: &str) -> String {
    format!("[data]\ntrain = {{ images = \"{images}\", labels = \"{labels}\" }}\n[model]\nlayers = \"3\"\n")
}

fn resolved(images: &str, labels: &str, folder: &Path) -> Result<Source, String> {
    let mut recipe = Recipe::parse(&recipe(images, labels), "r.toml", &[]).unwrap();
    recipe.resolve_data(Some(folder)).map_err(|error| error.to_string())?;
    Ok(recipe.data.train.unwrap())
}

#[test]
fn the_data_folder_and_keys_inside_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = touch(folder.path(), "set/all.npz");
    let source = resolved("set/all.npz#images", "set/all.npz#labels", folder.path()).unwrap();
    assert_eq!(source, Source::Arrays { images: format!("{file}#images"), labels: format!("{file}#labels") });
    let odd = touch(folder.path(), "a#b.npy");
    assert_eq!(resolved("a#b.npy", "set/all.npz#y", folder.path()).unwrap().name(), odd);
    // Keys and the names of files may hold a # of their own.
    let source = resolved("set/all.npz#x#1", "a#b.npy#y", folder.path()).unwrap();
    assert_eq!(source, Source::Arrays { images: format!("{file}#x#1"), labels: format!("{odd}#y") });
    let missing = resolved("no.npz#x#1", "a#b.npy", folder.path()).unwrap_err();
    assert!(missing.contains(&folder.path().join("no.npz").display().to_string()), "{missing}");
    assert!(!missing.contains("no.npz#x,"), "{missing}");
}

#[test]
fn the_recipes_own_folder_comes_first() {
    let [beside, data] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    touch(data.path(), "x.npy");
    touch(data.path(), "y.npy");
    let (x, y) = (touch(beside.path(), "x.npy"), touch(beside.path(), "y.npy"));
    let path = beside.path().join("r.toml");
    fs::write(&path, recipe("x.npy", "y.npy")).unwrap();
    let mut recipe = Recipe::load(&path, &[]).unwrap();
    recipe.resolve_data(Some(data.path())).unwrap();
    assert_eq!(recipe.data.train, Some(Source::Arrays { images: x, labels: y }));
}

#[test]
fn alternatives_go_together() {
    let folder = tempfile::tempdir().unwrap();
    // Images of the first, but labels of the second alternative only: neither is complete without the other's.
    touch(folder.path(), "a-images");
    let b = (touch(folder.path(), "b-images"), touch(folder.path(), "b-labels"));
    let source = resolved("a-images | b-images", "a-labels | b-labels", folder.path()).unwrap();
    assert_eq!(source.paths(), [b.0, b.1]);
}

#[test]
fn an_error_lists_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let error = resolved("set/x.npy", "set/y.npy", folder.path()).unwrap_err();
    assert!(error.starts_with("data.train.images = \"set/x.npy\": no such file"), "{error}");
    for place in [folder.path().join("set/x.npy"), Path::new("data").join("set/x.npy")] {
        assert!(error.contains(&place.display().to_string()), "{error}");
    }
    assert!(error.contains("--data DIR") && !error.contains("y.npy"), "{error}");
    touch(folder.path(), "set/x.npy");
    let error = resolved("set/x.npy", "set/y.npy", folder.path()).unwrap_err();
    assert!(error.starts_with("data.train.labels = \"set/y.npy\": no such file"), "{error}");
}

#[test]
fn held_out_files_are_found_too() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = (touch(folder.path(), "x.npy"), touch(folder.path(), "y.npy"));
    let text = "[data]\ntest = { images = \"x.npy\", labels = \"y.npy\" }\n[model]\nlayers = \"3\"\n";
    let mut recipe = Recipe::parse(text, "r.toml", &[]).unwrap();
    recipe.resolve_data(Some(folder.path())).unwrap();
    assert_eq!(recipe.data.test, Holdout::Files(Source::Arrays { images: x, labels: y }));
}

#[test]
fn inputs_as_targets_need_no_labels_and_forbid_what_needs_them() {
    let parse = |data: &str, rest: &str| {
        let text = format!("[data]\n{data}\n[model]\ninput = [4]\nlayers = \"2,4\"\n{rest}");
        Recipe::parse(&text, "r.toml", &[]).map_err(|error| error.to_string())
    };
    let images = "train = { images = \"x.npy\" }\ntargets = \"inputs\"";
    let recipe = parse(images, "loss = \"mse\"").unwrap();
    assert_eq!(recipe.data.train.as_ref().unwrap().paths(), ["x.npy"]);
    assert_eq!(Recipe::parse(&recipe.to_toml(), "r.toml", &[]).unwrap(), recipe);
    let folder = tempfile::tempdir().unwrap();
    let file = touch(folder.path(), "x.npy");
    let mut found = recipe.clone();
    found.resolve_data(Some(folder.path())).unwrap();
    assert_eq!(found.data.train, Some(Source::Arrays { images: file, labels: String::new() }));
    // Mixing changes inputs and targets alike.
    assert!(parse(images, "loss = \"mse\"\n[augment]\nmixup = 0.2").is_ok());
    let labelled = "train = { images = \"x.npy\", labels = \"y.npy\" }\ntargets = \"inputs\"";
    let table = "train = { table = \"x.csv\", target = \"a\" }\ntargets = \"inputs\"";
    for (data, rest, problem) in [
        ("train = { images = \"x.npy\" }", "loss = \"mse\"", "data.targets"),
        (labelled, "loss = \"mse\"", "data.train.labels: would not be read"),
        (images, "", "model.loss = \"mse\""),
        (
            &format!("{images}\nclass_weights = \"balanced\"")[..],
            "loss = \"binary_cross_entropy\"",
            "data.class_weights",
        ),
        (images, "loss = \"mse\"\n[augment]\nflip = \"horizontal\"", "[augment]"),
        (table, "loss = \"mse\"", "arrays or of a folder"),
    ] {
        let error = parse(data, rest).unwrap_err();
        assert!(error.contains(problem), "{problem} is not in: {error}");
    }
}

#[test]
fn inputs_as_targets_are_scaled_as_the_model_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..40).map(|at| (at * 7 % 13) as f32).collect();
    let array = gputrain::data::Array::from_f32(&[10, 4], &values).unwrap();
    gputrain::data::write_array(&folder.path().join("x.npy"), &array).unwrap();
    let job = |layers: &str| {
        let text = format!(
            "[data]\ntrain = {{ images = \"{}\" }}\ntargets = \"inputs\"\nscale = \"standard\"\nvalidation = 3\n[model]\n\
             layers = \"{layers}\"\nloss = \"mse\"\n",
            folder.path().join("x.npy").display()
        );
        gputrain::job::Job::load(Recipe::parse(&text, "r.toml", &[]).unwrap())
    };
    let error = job("2,3").unwrap_err().to_string();
    assert!(error.contains("data.targets") && error.contains('4') && error.contains('3'), "{error}");
    let job = job("2,4").unwrap();
    for examples in [&job.dataset.train, job.dataset.validation.as_ref().unwrap()] {
        let gputrain::data::Targets::Values { values, outputs: 4 } = &examples.targets else { panic!() };
        assert_eq!(values.len(), 4 * examples.count());
        for (at, value) in values.iter().enumerate() {
            assert_eq!(*value, job.scaling.apply(examples.features.storage.get(at), at % 4));
        }
    }
    assert_eq!(job.trained_on.classes, Some(false));
}
