//! Saved models: what is written is read, and what is wrong is said.

use std::path::{Path, PathBuf};

use gputrain::data::{Array, Scaling, read_arrays, write_arrays};
use gputrain::export::{ExportError, Format, SavedModel, TrainedOn, load_parameters, parameter_hash, write};
use gputrain::model::Model;
use gputrain::recipe::Recipe;

const RECIPE: &str = r#"
    name = "small"
    [model]
    input = [6, 6, 2]
    layers = [{ conv2d = 3, kernel = 3 }, { max_pool = 2 }, { dense = 4, activation = "relu", bias = false }, { dense = 3 }]
"#;

fn sample() -> SavedModel {
    let recipe = Recipe::parse(RECIPE, "small.toml", &[]).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let parameters = model.initialise(7);
    // Numbers that have no short decimals.
    let thirds = |n: usize| (1..=n).map(|i| i as f32 / 3.0).collect();
    let scaling = Scaling { subtract: thirds(72), divide: thirds(72), add: -0.1 };
    SavedModel { recipe, model, scaling, trained_on: Default::default(), parameters }
}

fn saved(folder: &Path) -> PathBuf {
    let path = folder.join("model.safetensors");
    sample().save(&path).unwrap();
    path
}

#[test]
fn what_is_saved_is_loaded_from_the_file_and_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    assert_eq!(SavedModel::load(&path).unwrap(), sample());
    assert_eq!(SavedModel::load(folder.path()).unwrap(), sample());
    assert_eq!(load_parameters(folder.path(), &sample().model).unwrap(), sample().parameters);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_names_of_the_features_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let names: Vec<String> = (0..72).map(|i| format!("pixel {i}, \"ä\"")).collect();
    let named = SavedModel {
        trained_on: TrainedOn { features: names, classes: Some(true), ..TrainedOn::default() },
        ..sample()
    };
    named.save(&path).unwrap();
    assert_eq!(SavedModel::load(&path).unwrap(), named);
    let error = with_metadata("gputrain.data", Some("{\"features\":[\"a\"]}")).unwrap_err().to_string();
    assert!(error.contains("gputrain.data in its metadata names 1 features, expected 72"), "{error}");
    // Models from before names were kept.
    assert_eq!(with_metadata("gputrain.data", None).unwrap(), sample());
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.safetensors", "b.safetensors"].map(|name| folder.path().join(name));
    let bytes = paths.map(|path| {
        sample().save(&path).unwrap();
        std::fs::read(path).unwrap()
    });
    assert_eq!(bytes[0], bytes[1]);
}

#[test]
fn other_readers_find_pytorchs_names_and_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(saved(folder.path())).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    assert_eq!(shape("layers.0.weight"), [3, 2, 3, 3]);
    assert_eq!(shape("layers.0.bias"), [3]);
    assert_eq!(shape("layers.1.weight"), [4, 12]);
    assert_eq!(shape("layers.2.weight"), [3, 4]);
    assert_eq!(file.len(), 5);
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header % 8, 0);
    let metadata = metadata.metadata().clone().unwrap();
    assert_eq!(metadata["parameter_hash"], parameter_hash(&sample().parameters));
    assert_eq!(metadata["gputrain.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(Recipe::parse(&metadata["gputrain.recipe"], "metadata", &[]).unwrap(), sample().recipe);
}

#[test]
fn an_input_that_the_data_told_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = sample();
    model.recipe.model.input = Vec::new();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    assert_eq!(SavedModel::load(&path).unwrap().recipe.model.input, [6, 6, 2]);
}

#[test]
fn the_hash_is_that_of_the_bytes() {
    let expected = blake3::hash(&[0, 0, 128, 63, 0, 0, 0, 192, 0, 0, 0, 128]).to_hex();
    assert_eq!(parameter_hash(&[vec![1.0, -2.0], vec![-0.0]]), expected.to_string());
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 8, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = SavedModel::load(&path).unwrap_err();
        assert!(matches!(error, ExportError::Malformed { .. }), "{length} bytes: {error}");
    }
}

#[test]
fn no_damaged_byte_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let mut accepted = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        // Without the name of the hash the file is one of an earlier version: anything else is refused.
        if let Ok(loaded) = SavedModel::load(&path) {
            assert_eq!(loaded, sample(), "byte {at}");
            accepted += 1;
        }
        // As initial weights too.
        if let Ok(parameters) = load_parameters(&path, &sample().model) {
            assert_eq!(parameters, sample().parameters, "byte {at}");
        }
    }
    let mut damaged = bytes;
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let error = SavedModel::load(&path).unwrap_err();
    assert!(matches!(error, ExportError::Damaged { .. }), "{error}");
    assert!(accepted <= "gputrain.hash".len(), "{accepted} damaged files were accepted");
}

#[test]
fn a_model_without_the_hash_of_all_is_still_held_to_that_of_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    assert!(metadata.remove("gputrain.hash").is_some());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut old = safetensors::serialize(file.tensors(), Some(metadata)).unwrap();
    std::fs::write(&path, &old).unwrap();
    assert_eq!(SavedModel::load(&path).unwrap(), sample());
    *old.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &old).unwrap();
    assert!(matches!(SavedModel::load(&path), Err(ExportError::Hash { .. })));
}

/// Writes the sample with changed metadata, as one who changed it knowingly does, and loads it.
fn with_metadata(key: &str, text: Option<&str>) -> Result<SavedModel, ExportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    match text {
        Some(text) => metadata.insert(key.to_string(), text.to_string()),
        None => metadata.remove(key),
    };
    metadata.remove("gputrain.hash");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let changed = safetensors::serialize(file.tensors(), Some(metadata)).unwrap();
    std::fs::write(&path, changed).unwrap();
    SavedModel::load(&path)
}

#[test]
fn what_is_wrong_with_the_definition_is_named() {
    let error = with_metadata("gputrain.recipe", None).unwrap_err();
    assert!(matches!(error, ExportError::NoDefinition { key: "gputrain.recipe", .. }), "{error}");
    let error = with_metadata("gputrain.recipe", Some("name = 5")).unwrap_err();
    assert!(matches!(error, ExportError::Recipe { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("model.safetensors") && text.contains("load it with the gputrain that saved it"), "{text}");
    let error =
        with_metadata("gputrain.recipe", Some("[model]\ninput = [3]\nlayers = [{ max_pool = 2 }]")).unwrap_err();
    assert!(matches!(error, ExportError::Model { .. }), "{error}");
    assert!(error.to_string().contains("put [model] of gputrain.recipe in its metadata right"), "{error}");
    let wider = RECIPE.replace("dense = 4", "dense = 5");
    let error = with_metadata("gputrain.recipe", Some(&wider)).unwrap_err();
    assert!(matches!(error, ExportError::Shape { .. }), "{error}");
    for scaling in [
        "x",
        r#"{"subtract":[0],"divide":[0],"add":0}"#,
        r#"{"subtract":[0,1],"divide":[1,1],"add":0}"#,
        r#"{"subtract":[],"divide":[],"add":0}"#,
        r#"{"subtract":[1e300],"divide":[1],"add":0}"#,
    ] {
        let error = with_metadata("gputrain.scaling", Some(scaling)).unwrap_err();
        assert!(matches!(error, ExportError::Scaling { .. }), "{scaling}: {error}");
    }
}

#[test]
fn a_folder_without_a_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(SavedModel::load(folder.path()), Err(ExportError::NoModel { .. })));
    assert!(matches!(SavedModel::load(&folder.path().join("no.safetensors")), Err(ExportError::Read { .. })));
}

#[test]
fn weights_that_do_not_fit_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut model = sample();
    model.parameters[1].pop();
    assert!(matches!(model.save(&path), Err(ExportError::Shape { .. })));
    model.parameters.pop();
    assert!(matches!(write(&model, Format::Npz, &path.with_extension("npz")), Err(ExportError::Missing { .. })));
    assert!(!path.exists());
}

#[test]
fn npz_holds_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.npz");
    write(&sample(), Format::Npz, &path).unwrap();
    assert_eq!(load_parameters(&path, &sample().model).unwrap(), sample().parameters);
    let names: Vec<String> = read_arrays(path.to_str().unwrap()).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..2], ["layers.0.weight", "layers.0.bias"]);
    let wrong = write(&sample(), Format::Npz, &folder.path().join("weights.safetensors"));
    assert!(matches!(wrong, Err(ExportError::Extension { .. })));
}

/// Writes the sample's weights, changed by `change`, and loads them for its model.
fn loaded(change: impl FnOnce(&mut Vec<(String, Array)>)) -> Result<Vec<Vec<f32>>, ExportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.npz");
    let SavedModel { model, parameters, .. } = sample();
    let array = |(p, values): (&gputrain::model::Parameter, &Vec<f32>)| {
        (p.name.clone(), Array::from_f32(&p.shape, values).unwrap())
    };
    let mut arrays: Vec<_> = model.parameters.iter().zip(&parameters).map(array).collect();
    change(&mut arrays);
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (name.as_str(), array)).collect();
    write_arrays(&path, &arrays).unwrap();
    load_parameters(&path, &model)
}

#[test]
fn doubles_are_rounded_and_the_order_of_the_file_does_not_matter() {
    let changed = loaded(|arrays| {
        for (_, array) in arrays.iter_mut() {
            *array = Array::from_f64(array.shape(), &array.to_f64()).unwrap();
        }
        arrays.reverse();
    });
    assert_eq!(changed.unwrap(), sample().parameters);
}

#[test]
fn initial_weights_that_do_not_fit_are_named_with_what_was_expected() {
    let text = |result: Result<_, ExportError>| result.unwrap_err().to_string();
    let missing = text(loaded(|arrays| drop(arrays.remove(1))));
    assert!(missing.contains("no layers.0.bias") && missing.contains("layers.1.weight (4, 12)"), "{missing}");
    assert!(missing.contains("give the weights of this model"), "{missing}");
    let unknown = text(loaded(|arrays| arrays.push(("layers.9.bias".into(), Array::from_f32(&[1], &[0.0]).unwrap()))));
    assert!(unknown.contains("unknown layers.9.bias (1,)") && unknown.contains("leave the others out"), "{unknown}");
    let transposed = text(loaded(|arrays| arrays[2].1 = Array::from_f32(&[12, 4], &[0.0; 48]).unwrap()));
    assert!(transposed.contains("layers.1.weight is (12, 4), expected (4, 12); weights lie"), "{transposed}");
    let integers = text(loaded(|arrays| arrays[1].1 = Array::from_u32(&[3], &[0; 3]).unwrap()));
    assert!(integers.contains("layers.0.bias holds uint32"), "{integers}");
    let infinite = text(loaded(|arrays| arrays[1].1 = Array::from_f64(&[3], &[0.0, 1e300, 0.0]).unwrap()));
    assert!(infinite.contains("layers.0.bias holds inf at place 1"), "{infinite}");
    let model = sample().model;
    assert!(matches!(load_parameters(Path::new("weights.bin"), &model), Err(ExportError::UnknownFormat { .. })));
    assert!(matches!(load_parameters(Path::new("none.npz"), &model), Err(ExportError::Data(_))));
}

#[test]
fn numpy_reads_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.npz");
    write(&sample(), Format::Npz, &path).unwrap();
    let script = "import sys\ntry:\n import numpy\nexcept ImportError:\n print('absent'); sys.exit()\n\
                  f = numpy.load(sys.argv[1])\nprint(len(f), f['layers.0.weight'].shape, f['layers.2.bias'].dtype)";
    let output = match std::process::Command::new("python3").args(["-c", script]).arg(&path).output() {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(_) => "absent".to_string(),
    };
    if output.trim() == "absent" {
        println!("skipped: there is no Python with NumPy");
        return;
    }
    assert_eq!(output.trim(), "5 (3, 2, 3, 3) float32");
}

const NORM: &str = "[model]\ninput = [6, 6, 2]\nlayers = [{ conv2d = 3, kernel = 3, bias = false }, \
                    { name = \"bn\", batch_norm = true }, { dense = 4, bias = false }, { batch_norm = true }, { dense = 3 }]";

fn with_statistics() -> SavedModel {
    let recipe = Recipe::parse(NORM, "norm.toml", &[]).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let mut parameters = model.initialise(7);
    let trained = model.parameters.len();
    parameters[trained..].iter_mut().flatten().for_each(|value| *value += 0.25);
    let scaling = Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 };
    SavedModel { recipe, model, scaling, trained_on: Default::default(), parameters }
}

#[test]
fn running_statistics_are_saved_by_pytorchs_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let saved = with_statistics();
    saved.save(&path).unwrap();
    assert_eq!(SavedModel::load(&path).unwrap(), saved);
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort();
    let expected = [
        "bn.bias",
        "bn.running_mean",
        "bn.running_var",
        "bn.weight",
        "layers.0.weight",
        "layers.2.weight",
        "layers.3.bias",
        "layers.3.running_mean",
        "layers.3.running_var",
        "layers.3.weight",
        "layers.4.bias",
        "layers.4.weight",
    ];
    assert_eq!(names, expected);
    assert_eq!(file.tensor("bn.running_var").unwrap().data(), [1.25f32; 3].map(f32::to_le_bytes).concat());
    let mut other = saved.clone();
    other.parameters.last_mut().unwrap()[0] += 1.0;
    assert_ne!(parameter_hash(&other.parameters), parameter_hash(&saved.parameters), "the hash covers them");
}

#[test]
fn pytorchs_counts_of_batches_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let saved = with_statistics();
    saved.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let count = 7i64.to_le_bytes();
    let write = |name: &str| {
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let counts = safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![], &count).unwrap();
        let tensors = file.tensors().into_iter().chain([(name.to_string(), counts)]);
        std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        load_parameters(&path, &saved.model)
    };
    assert_eq!(write("bn.num_batches_tracked").unwrap(), saved.parameters);
    assert_eq!(write("layers.3.num_batches_tracked").unwrap(), saved.parameters);
    let error = write("layers.0.num_batches_tracked").unwrap_err().to_string();
    assert!(error.contains("unknown layers.0.num_batches_tracked"), "{error}");
}

#[test]
fn a_variance_below_zero_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut saved = with_statistics();
    saved.parameters.last_mut().unwrap()[2] = -0.5;
    saved.save(&path).unwrap();
    let error = load_parameters(&path, &saved.model).unwrap_err().to_string();
    assert!(error.contains("layers.3.running_var holds -0.5 at place 2; a variance is 0 or more"), "{error}");
}

/// An infinite mean makes outputs of nothing odd: only the weights themselves tell of it.
#[test]
fn weights_that_are_not_finite_are_refused_by_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let sound = with_statistics();
    for (place, values) in sound.parameters.iter().enumerate() {
        for value in [f32::INFINITY, f32::NAN] {
            let mut saved = sound.clone();
            saved.parameters[place][values.len() - 1] = value;
            saved.save(&path).unwrap();
            let errors = [SavedModel::load(&path).unwrap_err(), load_parameters(&path, &saved.model).unwrap_err()];
            assert!(errors.iter().all(|error| matches!(error, ExportError::NotFinite { .. })), "{errors:?}");
        }
    }
}
