//! `[start]`: what is taken of a file of weights, and what is said of the rest.

use gputrain::data::{Array, Features, Scaling, Storage, write_arrays};
use gputrain::export::{ExportError, Initial, SavedModel};
use gputrain::model::Model;
use gputrain::recipe::Recipe;
use std::path::Path;

const MODEL: &str = "[model]\ninput = [6]\nlayers = [{ name = \"stem\", dense = 5, bias = false }, { name = \"norm\", batch_norm = true }, \
                     { name = \"head\", dense = HEAD }]\n";

fn recipe(outputs: usize, start: &str) -> Recipe {
    let text = format!("{}[start]\n{start}", MODEL.replace("HEAD", &outputs.to_string()));
    Recipe::parse(&text, "r.toml", &[]).unwrap()
}

fn scaling(divide: f32) -> Scaling {
    Scaling { subtract: vec![0.0], divide: vec![divide], add: 0.0 }
}

/// No examples of a model.
fn none(model: &Model) -> Features {
    Features { storage: Storage::U8(Vec::new().into()), count: 0, shape: model.input }
}

fn initial(recipe: &Recipe) -> Result<Initial, ExportError> {
    let model = Model::of(recipe, None).unwrap();
    Initial::of(recipe, &model, &scaling(255.0), &Default::default(), &none(&model))
}

/// A file of arrays: name, shape, and the value of all elements.
fn arrays(path: &Path, arrays: &[(&str, &[usize], f32)]) {
    let arrays: Vec<(&str, Array)> = arrays
        .iter()
        .map(|(name, shape, value)| (*name, Array::from_f32(shape, &vec![*value; shape.iter().product()]).unwrap()))
        .collect();
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    write_arrays(path, &arrays).unwrap();
}

const STEM: (&str, &[usize], f32) = ("stem.weight", &[5, 6], 0.5);
const NORM: [(&str, &[usize], f32); 4] = [
    ("norm.weight", &[5], 1.5),
    ("norm.bias", &[5], 2.5),
    ("norm.running_mean", &[5], 3.5),
    ("norm.running_var", &[5], 4.5),
];

#[test]
fn filters_that_whiten_follow_from_the_data_and_may_be_frozen_without_a_warning() {
    let text = "[model]\ninput = [5, 4, 2]\nlayers = [{ name = \"whiten\", conv2d = 4, kernel = 2, bias = false, init = \"whitening\" }, \
                { dense = 3 }]\n[start]\nfreeze = [\"whiten\"]";
    let recipe = Recipe::parse(text, "r.toml", &[]).unwrap();
    let model = Model::of(&recipe, None).unwrap();
    let storage = Storage::U8((0..280u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
    let train = Features { storage, count: 7, shape: model.input };
    let found = Initial::of(&recipe, &model, &scaling(255.0), &Default::default(), &train).unwrap();
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    let (half, other) = found.parameters[0].split_at(16);
    assert!(half.iter().zip(other).all(|(a, b)| *a == -b && *a != 0.0), "{half:?}");
    assert_eq!(found.parameters[1..], model.initialise(0)[1..]);
}

#[test]
fn what_fits_is_taken_and_the_rest_is_drawn_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.npz");
    let others: [(&str, &[usize], f32); 4] = [
        ("norm.num_batches_tracked", &[], 7.0),
        ("fc.weight", &[9, 5], 0.25),
        ("fc.bias", &[3], 0.75),
        ("old.weight", &[1], 0.0),
    ];
    arrays(&path, &[&[STEM], &NORM[..], &others].concat());
    let from = format!("from = '{}'\n", path.display());
    let drawn = Model::build(&recipe(3, "").model, None).unwrap().initialise(0);

    let found = initial(&recipe(3, &format!("{from}rename = {{ fc = \"head\" }}"))).unwrap();
    let of = |index: usize| found.parameters[index].clone();
    assert_eq!([of(0), of(1), of(2)], [vec![0.5; 30], vec![1.5; 5], vec![2.5; 5]]);
    assert_eq!(of(3), drawn[3], "a weight of another shape stays as drawn");
    assert_eq!([of(4), of(5), of(6)], [vec![0.75; 3], vec![3.5; 5], vec![4.5; 5]], "statistics are taken too");
    let shown = path.display();
    assert_eq!(
        found.notes,
        [
            format!("start: 6 of 7 tensors are taken from {shown}"),
            "start: drawn anew, of another shape: head.weight is (3, 5), there (9, 5)".into(),
            "start: not used of the file: old.weight".into(),
        ]
    );
    let found = initial(&recipe(3, &format!("{from}freeze = [\"head\", \"stem\"]"))).unwrap();
    assert_eq!(found.notes[1], "start: drawn anew, not in the file: head.weight, head.bias");
    assert_eq!(found.notes[2], "start: not used of the file: fc.weight, fc.bias, old.weight");
    assert_eq!(
        found.notes[3],
        "warning: frozen by start.freeze as they are drawn, since no file gave them: head.weight, head.bias"
    );
    let frozen = initial(&recipe(3, "freeze = [\"stem\"]")).unwrap();
    assert_eq!((frozen.parameters, frozen.notes.len()), (drawn, 1), "{:?}", frozen.notes);
}

#[test]
fn what_cannot_be_a_start_is_said_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.npz");
    let from = format!("from = '{}'\n", path.display());
    let fails = |given: &[(&str, &[usize], f32)], start: &str, parts: &[&str]| {
        arrays(&path, given);
        let text = initial(&recipe(3, &format!("{from}{start}"))).unwrap_err().to_string();
        for part in parts {
            assert!(text.contains(part), "{start}: no {part} in: {text}");
        }
    };
    let missing = initial(&recipe(3, &from)).unwrap_err().to_string();
    assert!(missing.contains("no such file") && missing.contains("start.from"), "{missing}");
    fails(
        &[("fc.weight", &[3, 5], 1.0)],
        "",
        &["none of its tensors fits", "fc.weight (3, 5)", "head.weight (3, 5)", "start.rename"],
    );
    fails(&[STEM], "rename = { ste = \"stem\" }", &["start.rename has \"ste\"", "did you mean \"stem\"?"]);
    fails(&[STEM, ("a.weight", &[5, 6], 0.0)], "rename = { a = \"stem\" }", &["a.weight another stem.weight"]);
    fails(&[STEM], "strict = true", &["no norm.weight, norm.bias, head.weight"]);
    fails(&[("stem.weight", &[5, 6], f32::NAN)], "", &["stem.weight holds NaN"]);
    fails(&[STEM, ("norm.running_var", &[5], -1.0)], "", &["norm.running_var holds -1", "a variance is 0 or more"]);
    // Half a file.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(initial(&recipe(3, &from)).unwrap_err().to_string().contains("w.npz"));
    std::fs::write(folder.path().join("w.safetensors"), &bytes).unwrap();
    let other = format!("from = '{}'", folder.path().join("w.safetensors").display());
    assert!(initial(&recipe(3, &other)).unwrap_err().to_string().contains("not a whole .safetensors file"));
}

#[test]
fn a_model_of_this_program_tells_how_its_inputs_were_scaled() {
    let folder = tempfile::tempdir().unwrap();
    let recipe_before = recipe(4, "");
    let model = Model::of(&recipe_before, None).unwrap();
    let parameters = model.initialise(9);
    let saved = SavedModel {
        recipe: recipe_before,
        model,
        scaling: scaling(255.0),
        trained_on: Default::default(),
        parameters,
    };
    saved.save(&folder.path().join("model.safetensors")).unwrap();
    // The folder of a run stands for its model.
    let start = recipe(4, &format!("from = '{}'\nstrict = true", folder.path().display()));
    let found = initial(&start).unwrap();
    assert_eq!((found.parameters, found.notes.len()), (saved.parameters, 1), "{:?}", found.notes);
    let now = Initial::of(&start, &saved.model, &scaling(1.0), &Default::default(), &none(&saved.model)).unwrap();
    let warning = now.notes.last().unwrap();
    for part in ["warning: ", "(x - 0) / 255 + 0", "(x - 0) / 1 + 0", "data.scale"] {
        assert!(warning.contains(part), "no {part} in: {warning}");
    }
}

#[test]
fn a_relative_path_is_found_beside_the_recipe_and_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    arrays(&folder.path().join("w.npz"), &[STEM]);
    let text = format!("{}[start]\nfrom = \"w.npz\"\n", MODEL.replace("HEAD", "3"));
    std::fs::write(folder.path().join("r.toml"), &text).unwrap();
    let beside = Recipe::load(&folder.path().join("r.toml"), &[]).unwrap();
    let whole = folder.path().join("w.npz").display().to_string();
    assert_eq!(beside.start.from.as_deref(), Some(&*whole));
    initial(&beside).unwrap();
    let mut elsewhere = Recipe::parse(&text, "r.toml", &[]).unwrap();
    elsewhere.resolve_data(Some(folder.path())).unwrap();
    assert_eq!(elsewhere.start.from.as_deref(), Some(&*whole));
}

#[test]
fn layers_are_frozen_by_name_or_by_the_beginning_of_names() {
    let layers = "[{ name = \"a.0.conv\", conv2d = 2, kernel = 1 }, { name = \"a.0.bn\", batch_norm = true }, \
                  { name = \"a.01\", conv2d = 2, kernel = 1 }, { flatten = true }, { dense = 4 }, { dense = 3 }]";
    let model = |freeze: &str| {
        let text = format!("[model]\ninput = [2, 2, 1]\nlayers = {layers}\n[start]\nfreeze = {freeze}");
        Model::of(&Recipe::parse(&text, "r.toml", &[]).unwrap(), None).map_err(|error| error.to_string())
    };
    let frozen = |freeze: &str| -> Vec<usize> {
        let model = model(freeze).unwrap();
        model.layers.iter().filter(|layer| layer.frozen).map(|layer| layer.index).collect()
    };
    assert_eq!(frozen("[\"a.0\"]"), [0, 1]);
    assert_eq!(frozen("[\"a\"]"), [0, 1, 2]);
    // The fourth and fifth layer that have tensors: what their tensors are called by.
    assert_eq!(frozen("[\"layers.3\", \"a.01\"]"), [2, 4]);
    assert_eq!(frozen("[\"layers\"]"), [4, 5]);
    let summary = model("[\"a\"]").unwrap().summary();
    assert_eq!(summary.frozen, 4 + 4 + 6);
    assert!(summary.to_string().contains("of which frozen") && summary.to_string().contains("named a.01, frozen"));
    let unknown = model("[\"a.0.con\"]").unwrap_err();
    assert!(unknown.contains("\"a.0.con\"") && unknown.contains("did you mean \"a.0.conv\"?"), "{unknown}");
    let all = model("[\"a\", \"layers\"]").unwrap_err();
    assert!(all.contains("nothing is left to train"), "{all}");
}
