//! The recipes that come with the program.

use gputrain::model::{Model, Shape};
use gputrain::recipe::*;

fn load(name: &str) -> Recipe {
    Recipe::parse(Recipe::builtin(name).unwrap(), &format!("{name}.toml"), &[]).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_file_is_bundled_under_its_name_and_explains_itself() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/recipes");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    let mut names: Vec<String> = builtin_names().map(str::to_string).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
    for name in builtin_names() {
        assert_eq!(load(name).name, name);
        assert!(Recipe::builtin(name).unwrap().starts_with("# "), "{name} has no comment at the top");
    }
    assert_eq!(Recipe::builtin("no-such-recipe"), None);
}

/// The shape of the generated digits, for the recipe that leaves its input to the data.
const DIGITS: Option<Shape> = Some(Shape::Features(784));

#[test]
fn every_recipe_builds_and_every_sweep_expands() {
    for name in builtin_names() {
        let recipe = load(name);
        let runs = match &recipe.sweep {
            Some(sweep) => sweep.expand(&RecipeText::find(name).unwrap(), &[]).unwrap(),
            None => vec![(vec![], recipe)],
        };
        for (label, run) in runs {
            Model::build(&run.model, DIGITS).unwrap_or_else(|error| panic!("{name} {label:?}: {error}"));
            assert_eq!(Recipe::parse(&run.to_toml(), "x.toml", &[]).unwrap(), run, "{name} {label:?}");
        }
    }
}

#[test]
fn parameter_counts() {
    for (name, expected) in [
        ("digits", 109_386),
        ("mnist-99", 400 + 2 * 16 + 4_608 + 2 * 32 + 8_010),
        ("mnist-mlp-adam", 100_480 + 8_256 + 650),
        ("mnist-mlp-tanh", 78_500 + 5_050 + 1_275 + 260),
        ("fashion-mlp-10x3", 7_850 + 3 * 110),
        ("fashion-mlp-40x5-l2", 31_400 + 4 * 1_640 + 410),
        ("notmnist-mlp-1000", 785_000 + 10_010),
        ("fashion5-mlp1", 50_240 + 325),
        ("fashion5-mlp2", 12_560 + 1_024 + 325),
        ("fashion5-cnn3", 160 + 6_280 + 3_216 + 85),
        ("fashion5-cnn4", 160 + 3_208 + 584 + 3_216 + 85),
        ("fashion5-cnn5", 160 + 1_160 + 584 + 584 + 1_168 + 2_320 + 85),
        ("wide-mlp-4096", 3 * 4_097 * 4_096 + 4_097 * 1_000),
        ("fashion-94", 9 * 32 * (1 + 32 + 32) + 9 * 64 * (32 + 5 * 64) + 32 * 64 + 2 * (3 * 32 + 7 * 64) + 650),
        // As torchvision counts it.
        ("resnet18", 11_689_512),
        // 269,722 by the article's shortcuts without parameters, and two convolutions with norms.
        ("resnet20", 269_722 + 16 * 32 + 64 + 32 * 64 + 128),
        ("cifar-94", 24 * 12 + 9 * 64 * (24 + 64) + 9 * 256 * (64 + 3 * 256) + 2 * (2 * 64 + 4 * 256) + 2_570),
    ] {
        let model = Model::build(&load(name).model, DIGITS).unwrap();
        assert_eq!(model.parameters_count(), expected, "{name}");
        assert_eq!(model.layers.iter().map(|layer| model.layer_parameters(layer)).sum::<usize>(), expected, "{name}");
    }
}

#[test]
fn sweeps_have_the_runs_of_the_studies() {
    for (name, expected) in [
        ("fashion-grid", 24),
        ("mnist-rates", 6 * 5),
        ("notmnist-sizes", 4),
        ("fashion5-trials", 50),
        ("fashion5-activations", 10),
        ("fashion5-rates", 4),
        ("fashion-modern", 7 * 3),
    ] {
        let sweep = load(name).sweep.unwrap();
        assert_eq!(sweep.expand(&RecipeText::find(name).unwrap(), &[]).unwrap().len(), expected, "{name}");
    }
}

#[test]
fn the_studies_vary_what_they_say() {
    let expand = |name: &str| load(name).sweep.unwrap().expand(&RecipeText::find(name).unwrap(), &[]).unwrap();
    let activations = expand("fashion5-activations");
    let (label, sigmoid) = &activations[5];
    assert_eq!(label[0].1.as_str(), Some("fashion5-cnn3"));
    assert_eq!(label[1].1.as_str(), Some("sigmoid"));
    let found: Vec<_> = sigmoid.model.layers.iter().filter_map(|layer| layer.kind.activation()).collect();
    use Activation::{Linear, Sigmoid};
    assert_eq!(found, [Sigmoid, Sigmoid, Linear, Linear]);
    assert_eq!((sigmoid.optimizer.kind, sigmoid.optimizer.learning_rate), (OptimizerKind::Sgd, 0.01));
    assert_eq!((sigmoid.train.log_every, &sigmoid.train.record[..]), (10, &[Record::GradientNorms][..]));

    let rates = &expand("fashion5-rates")[3].1;
    assert_eq!(rates.train.epochs, 40);
    assert_eq!(
        [0, 23, 24, 26, 27, 39].map(|e| rates.schedule.learning_rate(1.0, e, 40)),
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    );
}

/// Workloads and recipes of one name are the same job.
#[test]
fn recipes_match_the_reference_workloads() {
    for (name, batch, epochs, kind, rate) in [
        ("fashion-mlp-10x3", Batch::Size(100), 20, OptimizerKind::Sgd, 0.01),
        ("fashion-mlp-40x5-l2", Batch::Size(64), 40, OptimizerKind::Sgd, 0.05),
        ("notmnist-mlp-1000", Batch::Full, 200, OptimizerKind::Sgd, 0.15),
        ("mnist-mlp-tanh", Batch::Size(500), 50, OptimizerKind::Sgd, 0.5),
        ("mnist-mlp-adam", Batch::Size(128), 10, OptimizerKind::Adam, 0.001),
        ("fashion5-mlp1", Batch::Size(50), 15, OptimizerKind::Adam, 0.01),
        ("fashion5-cnn3", Batch::Size(50), 15, OptimizerKind::Adam, 0.01),
        ("fashion5-cnn5", Batch::Size(50), 15, OptimizerKind::Adam, 0.01),
        ("wide-mlp-4096", Batch::Size(4096), 1, OptimizerKind::Adam, 0.0001),
    ] {
        let recipe = load(name);
        let found = (recipe.train.batch, recipe.train.epochs, recipe.optimizer.kind, recipe.optimizer.learning_rate);
        assert_eq!(found, (batch, epochs, kind, rate), "{name}");
    }
    assert_eq!(load("fashion-mlp-40x5-l2").optimizer.l2, 0.001);
    assert_eq!(load("notmnist-mlp-1000").optimizer.momentum, 0.99);
}
