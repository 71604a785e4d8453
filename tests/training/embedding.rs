//! What an embedding takes, and what it refuses. Whole trainings are in the golden cases.

use crate::binary::{Workplace, fail, last_line, succeed, text};
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Examples, Features, Scaling, Storage, Targets};
use gputrain::job::Job;
use gputrain::model::{Model, Shape};
use gputrain::recipe::{Loss, Recipe};
use gputrain::train::Predictions;

fn recipe(layers: &str, more: &str) -> Recipe {
    let text = format!("[model]\ninput = [2]\nlayers = [{layers}]\n[train]\nbatch = 2\nepochs = 1\n{more}");
    Recipe::parse(&text, "embedding.toml", &[]).unwrap()
}

const LAYERS: &str = "{ embedding = 3, levels = 4 }, { dense = 2 }";
const AS_IT_IS: &str = "[data]\nscale = \"none\"";

fn examples(values: [f32; 8]) -> Examples {
    let features = Features { storage: Storage::F32(values.to_vec().into()), count: 4, shape: Shape::Features(2) };
    Examples::unweighted(features, Targets::Classes { labels: vec![0, 1, 1, 0], classes: 2 })
}

const LEVELS: [f32; 8] = [0.0, 3.0, 1.0, 2.0, 3.0, 3.0, 0.0, 1.0];

/// What a training of these examples, and the evaluation of a trained model over them, say.
fn refused(values: [f32; 8], more: &str) -> [String; 2] {
    let job = Job::with_examples(recipe(LAYERS, more), examples(values), None).unwrap();
    let trains = job.trainer(&CpuBackend::new()).map(|_| ()).unwrap_err().to_string();
    let (weights, optimizer) = (job.model.initialise(0), &job.recipe.optimizer);
    let answers =
        Predictions::run(&CpuBackend::new(), &job.model, &weights, &job.scaling, optimizer, &job.dataset.train);
    [trains, answers.unwrap_err().to_string()]
}

#[test]
fn values_that_are_no_levels_are_refused_by_example() {
    for odd in [4.0, -1.0, 1.5, f32::NAN, 1e30] {
        let mut values = LEVELS;
        values[5] = odd;
        for problem in refused(values, AS_IT_IS) {
            assert!(problem.contains("example 2 (counted from 0), feature 1 (from 0): "), "{problem}");
            assert!(problem.contains("the embedding has 4, numbered from 0 to 3"), "{problem}");
        }
    }
}

#[test]
fn scaled_levels_are_refused() {
    for problem in refused(LEVELS, "[data]\nscale = \"standard\"") {
        assert!(problem.contains("set data.scale = \"none\""), "{problem}");
    }
}

#[test]
fn an_embedding_takes_the_data_alone() {
    let refused = |input: &str, layers: &str| {
        let text = format!("[model]\ninput = {input}\nlayers = [{layers}]");
        Model::build(&Recipe::parse(&text, "embedding.toml", &[]).unwrap().model, None).unwrap_err().to_string()
    };
    let behind = refused("[2]", "{ dense = 2 }, { embedding = 3, levels = 4 }, { dense = 2 }");
    assert!(behind.contains("gets what another layer makes"), "{behind}");
    let image = refused("[4, 4, 1]", "{ embedding = 3, levels = 4 }, { dense = 2 }");
    assert!(image.contains("gets an image 4x4x1"), "{image}");
}

/// The table's row for each value, one after the other; bytes are levels as well as floats.
#[test]
fn each_value_becomes_its_row() {
    let mut recipe = recipe("{ embedding = 2, levels = 4 }", AS_IT_IS);
    recipe.model.loss = Loss::Mse;
    let model = Model::build(&recipe.model, None).unwrap();
    let table: Vec<f32> = (0..8).map(|i| i as f32 - 3.5).collect();
    let bytes = Storage::U8(LEVELS.iter().map(|level| *level as u8).collect());
    for storage in [Storage::F32(LEVELS.to_vec().into()), bytes] {
        let targets = Targets::Values { values: vec![0.0; 16], outputs: 4 };
        let features = Features { storage, count: 4, shape: Shape::Features(2) };
        let (examples, scaling) =
            (Examples::unweighted(features, targets), Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 });
        let (backend, weights) = (CpuBackend::new(), [table.clone()]);
        let found = Predictions::run(&backend, &model, &weights, &scaling, &recipe.optimizer, &examples).unwrap();
        let rows: Vec<f32> = LEVELS.iter().flat_map(|level| &table[2 * *level as usize..][..2]).copied().collect();
        assert_eq!(found.outputs, rows);
    }
}

/// Sizes, colours and shops that tell the price, and a row of which nothing but the price is known.
fn sales() -> String {
    let row = |i: usize| {
        let (size, colour, shop) = (i * 5 % 7, ["red", "blue", "green"][i % 3], ["north", "south"][i / 3 % 2]);
        format!("{colour},{size},{shop},{}\n", ["low", "high"][usize::from(colour == "red" || shop == "south")])
    };
    let rows: String = (0..48).map(row).collect();
    format!("colour,size,shop,price\n{rows},,,low\n")
}

const LOOKED_UP: &str = "[model]\nlayers = [{ embedding = 2 }, { dense = 8, activation = \"relu\" }, { dense = 2 }]\n\
                         [data]\nmissing = \"mean\"\ntrain = { table = \"sales.csv\", target = \"price\" }\n\
                         [optimizer]\nkind = \"adam\"\nlearning_rate = 0.05\n[train]\nepochs = 12\nbatch = 8\n";

/// A folder with the table, and the recipe `r.toml`.
fn workplace(recipe: &str) -> Workplace {
    let place = Workplace::new("");
    std::fs::write(place.path("sales.csv"), sales()).unwrap();
    std::fs::write(place.path("r.toml"), recipe).unwrap();
    place
}

#[test]
fn categories_of_a_table_are_numbered_through_behind_its_numbers() {
    let place = workplace(LOOKED_UP);
    let job = Job::load(Recipe::load(&place.path("r.toml"), &[]).unwrap()).unwrap();
    assert_eq!(job.trained_on.features, ["size", "colour", "shop"]);
    assert_eq!(job.model.parameters[0].shape, [5, 2]);
    assert_eq!(job.model.layers[0].output, Shape::Features(1 + 2 * 2));
    let features = &job.dataset.train.features;
    let row = |row: usize| [0, 1, 2].map(|at| features.storage.get(3 * row + at));
    // blue, green, red; north, south. The mean of the sizes fills in.
    assert_eq!([row(0), row(1), row(5)], [[0.0, 2.0, 3.0], [5.0, 0.0, 3.0], [4.0, 1.0, 4.0]]);
    assert_eq!(row(48)[1..], [-1.0, -1.0]);
    // The number alone is scaled.
    assert!(job.scaling.subtract[0] > 2.0 && job.scaling.keeps(1) && job.scaling.keeps(2));
    assert!(job.trainer(&CpuBackend::new()).is_ok());
}

#[test]
fn a_model_of_looked_up_categories_takes_other_tables_by_name() {
    let place = workplace(LOOKED_UP);
    let [recipe, run, new, out] = ["r.toml", "run", "new.csv", "p.csv"].map(|name| place.text(name));
    let words = text(&succeed(&["--backend", "cpu", "train", &recipe, "--out", &run]).stdout);
    assert!(words.contains("embedding 2 of 5 levels in 2 categories"), "{words}");
    // Other columns first; a level that nobody knows is none, as a missing one is.
    std::fs::write(place.path("new.csv"), "shop,colour,size\nnorth,red,1\nnorth,blue,1\neast,red,1\n,red,1\n").unwrap();
    let output = succeed(&["--backend", "cpu", "predict", &run, &new, "--out", &out]);
    assert!(text(&output.stdout).contains("shop has levels that the training table had not, in 1 rows: \"east\""));
    let lines = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = lines.lines().map(|line| line.split_once(',').unwrap().1).collect();
    assert!(lines[1].starts_with("high") && lines[2].starts_with("low"), "{lines:?}");
    assert_eq!(lines[3], lines[4]);
}

#[test]
fn a_run_goes_on_with_its_categories_whatever_the_order_of_the_columns() {
    let hash = |order: [usize; 4]| {
        let place = workplace(LOOKED_UP);
        let [recipe, run] = ["r.toml", "run"].map(|name| place.text(name));
        let train = ["--backend", "cpu", "--json", "train"];
        succeed(&[&train[..], &[&recipe, "--out", &run]].concat());
        let turned = |line: &str| order.map(|at| line.split(',').nth(at).unwrap()).join(",") + "\n";
        std::fs::write(place.path("sales.csv"), sales().lines().map(turned).collect::<String>()).unwrap();
        let output = succeed(&[&train[..], &["--resume", &run, "--epochs", "15"]].concat());
        last_line(&output)["parameter_hash"].clone()
    };
    assert_eq!(hash([0, 1, 2, 3]), hash([3, 2, 1, 0]));
}

#[test]
fn runs_of_a_sweep_look_up_the_tables_categories() {
    let place = workplace(&format!("{LOOKED_UP}[sweep]\n\"optimizer.learning_rate\" = [0.05, 0.02]\nretrain = true\n"));
    let [recipe, out, best, table] = ["r.toml", "sweep", "sweep/best", "sales.csv"].map(|name| place.text(name));
    let validation = ["--set", "data.validation=0.2"];
    succeed(&[&["--backend", "cpu", "sweep", &recipe, "--out", &out][..], &validation].concat());
    let found = last_line(&succeed(&["--backend", "cpu", "--json", "eval", &best, &table]));
    assert!(found["accuracy"].as_f64().unwrap() > 0.9, "{found}");
}

#[test]
fn levels_that_nobody_knows_are_refused() {
    let load = |from: &str, to: &str| {
        let recipe = LOOKED_UP.replace(from, to);
        let place = workplace(&recipe);
        let job = Job::load(Recipe::load(&place.path("r.toml"), &[]).unwrap()).map_err(|error| error.to_string())?;
        job.trainer(&CpuBackend::new()).map(|_| ()).map_err(|error| error.to_string())
    };
    let embedding = "embedding = 2";
    load(embedding, "embedding = 2, levels = 5, categories = 2").unwrap();
    let error = load(embedding, "embedding = 2, levels = 6, categories = 2").unwrap_err();
    assert!(error.contains("has 6 levels, but the table has 5 in 2 categories; leave out"), "{error}");
    let error = load(embedding, "embedding = 2, levels = 5").unwrap_err();
    assert!(error.contains("\"colour\" comes as one feature of 0 and 1") && error.contains("leave out"), "{error}");
    let error = load("missing", "features = [\"size\"]\nmissing").unwrap_err();
    assert!(error.contains("has no levels, and no table with categories tells how many"), "{error}");
    let error = load("missing", "scale = \"unit\"\nmissing").unwrap_err();
    assert!(error.contains("(features 1 to 2, from 0)") && error.contains("data.scale = "), "{error}");
}

#[test]
fn sentences_of_as_many_words_as_a_picture_has_pixels_are_no_pictures() {
    let place = Workplace::new("");
    let [file, run, grid] = ["sentences.csv", "run", "grid.png"].map(|name| place.text(name));
    let row = |row: usize| {
        let words: String = (0..64).map(|at| format!("{},", (row * 7 + at * 3) % 20)).collect();
        format!("{words}{}\n", row % 2)
    };
    std::fs::write(place.path("sentences.csv"), (0..40).map(row).collect::<String>()).unwrap();
    let [images, labels] = ["0..64", "64"].map(|columns| format!("{file}#{columns}"));
    let layers = "model.layers=[{ embedding = 2, levels = 20 }, { dense = 2 }]";
    let data = ["--train-images", &images, "--train-labels", &labels, "--scale", "none", "--epochs", "1"];
    succeed(&[&["--backend", "cpu", "train", "--set", layers, "--out", &run][..], &data].concat());
    let report = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(!report.contains("Training examples") && !report.contains("First layer"));
    // Its panel asks for words, each of which is one that the model knows.
    let asked = "{\"kind\":\"row\",\"columns\":[{\"name\":\"feature 0\",\"levels\":null,\"first_level\":null,\
                 \"whole\":{\"start\":0,\"end\":20},";
    assert!(report.contains(asked));
    let (code, refused) = fail(&["--backend", "cpu", "predict", &run, "--images", &images, "--grid", &grid]);
    assert!(code == 2 && refused.contains("--grid draws images"), "{code}: {refused}");
}
