//! What an embedding takes, and what it refuses. Whole trainings are in the golden cases.

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
