//! Sweeps: order, labels, defaults that follow the grid, whole recipes.

use std::fs;

use gputrain::recipe::*;
use gputrain::run::RunFolder;

const BASE: &str = "seed = 7\n[data]\nvalidation = 0.1\n[model]\ninput = [784]\nlayers = \"16:relu,10\"\n";

fn expand(sweep: &str, overrides: &[(String, String)]) -> Result<Vec<Variation>, RecipeError> {
    let base = RecipeText { text: format!("{BASE}[sweep]\n{sweep}"), origin: "s.toml".into(), path: None };
    base.parse(overrides)?.sweep.unwrap().expand(&base, overrides)
}

fn label(variation: &Variation) -> String {
    variation.0.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_last_key_changes_fastest_and_trials_faster_still() {
    let sweep = "\"train.batch\" = [64, 32]\n\"train.epochs\" = [5, 6]\n\"train.shuffle\" = [false]\ntrials = 2";
    let runs = expand(sweep, &[]).unwrap();
    assert_eq!(
        runs.iter().map(label).collect::<Vec<_>>(),
        [
            "train.batch=64 train.epochs=5 seed=7",
            "train.batch=64 train.epochs=5 seed=8",
            "train.batch=64 train.epochs=6 seed=7",
            "train.batch=64 train.epochs=6 seed=8",
            "train.batch=32 train.epochs=5 seed=7",
            "train.batch=32 train.epochs=5 seed=8",
            "train.batch=32 train.epochs=6 seed=7",
            "train.batch=32 train.epochs=6 seed=8",
        ]
    );
    let last = &runs[7].1;
    assert_eq!((last.train.batch, last.train.epochs, last.train.shuffle, last.seed), (Batch::Size(32), 6, false, 8));
    assert!(runs.iter().all(|(_, recipe)| recipe.sweep.is_none()));
}

#[test]
fn quoted_dotted_and_nested_keys_mean_the_same() {
    let quoted = expand("\"optimizer.learning_rate\" = [0.5, 0.05]", &[]).unwrap();
    assert_eq!(quoted, expand("optimizer.learning_rate = [0.5, 0.05]", &[]).unwrap());
    assert_eq!(quoted, expand("[sweep.optimizer]\nlearning_rate = [0.5, 0.05]", &[]).unwrap());
    assert_eq!(quoted[1].1.optimizer.learning_rate, 0.05);
}

#[test]
fn defaults_and_overrides_follow_the_grid() {
    let runs = expand("\"optimizer.kind\" = [\"adam\", \"adamw\"]", &[("train.epochs".into(), "3".into())]).unwrap();
    assert_eq!(runs.iter().map(|(_, r)| r.optimizer.weight_decay).collect::<Vec<_>>(), [0.0, 0.01]);
    assert!(runs.iter().all(|(_, recipe)| recipe.train.epochs == 3));
}

#[test]
fn an_override_replaces_values_however_they_are_spelled() {
    let twice = "\"train.epochs\" = [5, 6]\n\"train.batch\" = [8]\n[sweep.optimizer]\nlearning_rate = [0.5, 0.05]";
    let set = |key: &str, value: &str| (key.to_string(), value.to_string());
    for key in ["sweep.train.epochs", "sweep.\"train.epochs\""] {
        let runs = expand(twice, &[set(key, "[1]"), set("sweep.optimizer.learning_rate", "[0.1, 0.2]")]).unwrap();
        let found: Vec<_> = runs.iter().map(|(_, r)| (r.train.epochs, r.optimizer.learning_rate)).collect();
        assert_eq!(found, [(1, 0.1), (1, 0.2)], "{key}");
    }
    let one = expand(twice, &[set("sweep.train.epochs.1", "9")]).unwrap();
    assert_eq!(one.iter().map(|(_, recipe)| recipe.train.epochs).collect::<Vec<_>>(), [5, 5, 9, 9]);
    let new = expand("trials = 2", &[set("sweep.trials", "1"), set("sweep.train.epochs", "[3, 4]")]).unwrap();
    assert_eq!(new.iter().map(|(_, recipe)| recipe.train.epochs).collect::<Vec<_>>(), [3, 4]);
    let error = expand("trials = 2", &[set("sweep.train.epochs", "3")]).unwrap_err().to_string();
    assert!(error.contains("expected a list of values"), "{error}");
}

#[test]
fn an_override_that_the_sweep_would_replace_is_refused() {
    let sweep = "\"train.epochs\" = [5]\noptimizer = [{ kind = \"sgd\" }]\n\"model.layers\" = [\"8,10\", 10]";
    let set = |key: &str, value: &str| [(key.to_string(), value.to_string())];
    for (key, value, named) in [
        ("train.epochs", "3", "sweep.train.epochs="),
        ("\"train\".epochs", "3", "sweep.train.epochs="),
        ("optimizer.learning_rate", "0.1", "sweep.optimizer="),
        ("model.layers", "10", "sweep.model.layers="),
    ] {
        let error = expand(sweep, &set(key, value)).unwrap_err();
        assert!(matches!(error, RecipeError::SweepSets { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("--set {key}={value}: ")) && text.contains(named), "{text}");
    }
    // The sweep adds to what these set.
    let runs = expand("\"optimizer.learning_rate\" = [0.5]", &set("optimizer", "{ kind = \"sgd\" }")).unwrap();
    assert_eq!((runs[0].1.optimizer.kind, runs[0].1.optimizer.learning_rate), (OptimizerKind::Sgd, 0.5));
    assert_eq!(expand(sweep, &set("train.batch", "9")).unwrap()[0].1.train.batch, Batch::Size(9));
}

#[test]
fn layers_vary_as_lists_and_in_the_short_form() {
    let runs = expand("\"model.layers\" = [\"8,10\", [{ dense = 4 }, { dense = 10 }], 10]", &[]).unwrap();
    assert_eq!(runs[0].1.model.layers, parse_layers("8,10").unwrap());
    assert_eq!(runs[1].1.model.layers, parse_layers("4,10").unwrap());
    assert_eq!(runs[2].1.model.layers, parse_layers("10").unwrap());
}

#[test]
fn errors_name_the_combination() {
    let error = expand("\"train.batch\" = [64, 0]", &[]).unwrap_err().to_string();
    assert!(error.starts_with("s.toml: [sweep] train.batch = 0: train.batch = 0: expected"), "{error}");
    let error = expand("\"train.bacth\" = [64]", &[]).unwrap_err().to_string();
    assert!(error.contains("did you mean \"batch\"?"), "{error}");
    let error = expand("\"trian.batch\" = [64]", &[]).unwrap_err().to_string();
    assert!(error.starts_with("s.toml:8: unknown key \"sweep.trian.batch\"; did you mean \"train\"?"), "{error}");
    let error = expand("seed = [1, 2]\ntrials = 4000000000", &[]).unwrap_err().to_string();
    assert!(error.contains("more than 10000 combinations"), "{error}");
}

#[test]
fn whole_recipes_come_from_files_and_from_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let other =
        "[data]\nvalidation = 0.2\ntrain = { images = \"x.npy\", labels = \"y.npy\" }\n[model]\nlayers = \"3\"\n";
    for (name, text) in [("other.toml", other), ("x.npy", ""), ("y.npy", "")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let text = "name = \"both\"\n[sweep]\nrecipes = [\"other.toml\", \"digits\"]\n\"train.epochs\" = [1, 2]\n";
    let path = folder.path().join("both.toml");
    fs::write(&path, text).unwrap();
    let overrides = [("train.batch".to_string(), "9".to_string()), ("name".to_string(), "mine".to_string())];
    let found = RecipeText::find(&path.display().to_string()).unwrap();
    let base = found.parse(&overrides).unwrap();
    assert_eq!(base.name, "mine");
    let runs = base.sweep.unwrap().expand(&found, &overrides).unwrap();
    let labels: Vec<_> = runs.iter().map(label).collect();
    assert_eq!(labels[0], "recipe=\"other.toml\" train.epochs=1");
    assert_eq!(labels[3], "recipe=\"digits\" train.epochs=2");
    assert_eq!(runs.iter().map(|(_, r)| r.name.as_str()).collect::<Vec<_>>(), ["other", "other", "digits", "digits"]);
    assert!(runs.iter().all(|(_, recipe)| recipe.train.batch == Batch::Size(9)));
    let images = runs[0].1.data.train.as_ref().unwrap().paths()[0].to_string();
    assert_eq!(images, folder.path().join("x.npy").display().to_string());

    let missing = SweepSpec { recipes: vec!["digtis".into()], ..SweepSpec::default() };
    let error = missing.expand(&found, &[]).unwrap_err().to_string();
    assert!(
        error.contains("no recipe \"digtis\": it is neither a file nor a bundled recipe; did you mean \"digits\"?"),
        "{error}"
    );
}

#[test]
fn data_beside_the_base_is_found_for_every_run() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["x.npy", "y.npy"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let path = folder.path().join("s.toml");
    let files = "train = { images = \"x.npy\", labels = \"y.npy\" }";
    fs::write(&path, format!("{BASE}[sweep]\nseed = [1, 2]\n").replace("[data]", &format!("[data]\n{files}"))).unwrap();
    let base = RecipeText::file(&path).unwrap();
    for (_, recipe) in base.parse(&[]).unwrap().sweep.unwrap().expand(&base, &[]).unwrap() {
        assert_eq!(recipe.data.train.unwrap().paths()[1], folder.path().join("y.npy").display().to_string());
    }
}

#[test]
fn a_sweeps_folder_is_no_place_for_a_run() {
    let folder = tempfile::tempdir().unwrap();
    // As a sweep leaves it: with the lock's file.
    for (name, text) in [(".gputrain.lock", ""), ("sweep.toml", BASE), ("report.html", "the sweep's")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let recipe = Recipe::parse(BASE, "base.toml", &[]).unwrap();
    let error = RunFolder::create(folder.path(), &recipe).unwrap_err().to_string();
    assert!(error.contains("holds a sweep; choose another --out"), "{error}");
    assert!(!folder.path().join("recipe.toml").exists());
}
