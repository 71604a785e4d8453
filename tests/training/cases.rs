//! The golden cases of `tests/golden` (see its README): recipes, data, and what PyTorch computes from them in float64.

#![allow(dead_code, reason = "each test binary uses a part")]

use gputrain::data::{Dataset, Examples, Scaling, read_array};
use gputrain::job::Job;
use gputrain::model::{Model, Parameter};
use gputrain::recipe::{Recipe, Source};
use gputrain::train::{Member, TrainerSpec};
use std::path::{Path, PathBuf};

/// One golden case, ready to run.
pub struct GoldenCase {
    pub name: String,
    pub job: Job,
    pub members: [Member; 1],
    /// Initial weights, in single precision as a trainer takes them and as the file has them.
    pub initial: Vec<Vec<f32>>,
    pub initial_f64: Vec<Vec<f64>>,
    pub gradient: Vec<Vec<f64>>,
    pub losses: Vec<f64>,
    pub rates: Vec<f64>,
    /// Final weights and running statistics.
    pub last: Vec<Vec<f64>>,
    /// The loss of all examples with those, of a model with running statistics.
    pub evaluation: Option<f64>,
    /// Final weights after steps whose products round their factors to f16, where the case has them.
    pub mixed: Option<Vec<Vec<f64>>>,
    /// By how much correct float32 runs differ in their final parameters, from the README's table.
    pub last_spread: f64,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The README's table: name and float32 spread of the final parameters of every case.
pub fn table() -> Vec<(String, f64)> {
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let table = text.split("<!-- table -->").nth(1).unwrap().split("<!-- end of table -->").next().unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Some((cells.get(1)?.to_string(), cells.get(6)?.parse().ok()?))
    };
    table.lines().filter_map(row).collect()
}

/// Where the weights of a case's examples lie, if they have any.
pub fn sample_weights(name: &str) -> Option<String> {
    let weights = format!("{}#sample_weights", folder().join(format!("{name}.npz")).display());
    read_array(&weights).ok().map(|_| weights)
}

impl GoldenCase {
    /// Loads a case; `overrides` change its recipe.
    pub fn load(name: &str, overrides: &[(&str, &str)]) -> GoldenCase {
        let overrides: Vec<(String, String)> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let mut recipe = Recipe::load(&folder().join(format!("{name}.toml")), &overrides).unwrap();
        let file = folder().join(format!("{name}.npz"));
        let key = |key: &str| format!("{}#{key}", file.display());
        recipe.data.train = Some(Source::Arrays { images: key("x"), labels: key("y") });
        recipe.data.sample_weights = sample_weights(name);
        let job = Job::load(recipe).unwrap_or_else(|error| panic!("{name}: {error}"));
        let array = |what: &str| read_array(&key(what)).unwrap().to_f64();
        let group = |prefix: &str, tensors: &mut dyn Iterator<Item = &Parameter>| {
            tensors.map(|tensor| read(tensor, &key(&format!("{prefix}.{}", tensor.name)))).collect::<Vec<Vec<f64>>>()
        };
        let narrow = |values: &Vec<f64>| values.iter().map(|x| *x as f32).collect();
        let (initial_f64, last) = (group("init", &mut job.model.tensors()), group("final", &mut job.model.tensors()));
        GoldenCase {
            members: [Member::of(&job.recipe)],
            initial: initial_f64.iter().map(narrow).collect(),
            initial_f64,
            gradient: group("grad", &mut job.model.parameters.iter()),
            losses: array("losses"),
            rates: array("learning_rates"),
            last,
            evaluation: (!job.model.statistics.is_empty()).then(|| array("evaluation")[0]),
            mixed: {
                let of = |tensor: &Parameter| Some(read_array(&key(&format!("mixed.{}", tensor.name))).ok()?.to_f64());
                job.model.parameters.iter().map(of).collect()
            },
            last_spread: table().into_iter().find(|(known, _)| known == name).unwrap().1,
            name: name.into(),
            job,
        }
    }

    pub fn all() -> Vec<GoldenCase> {
        table().iter().map(|(name, _)| GoldenCase::load(name, &[])).collect()
    }

    /// The loss of the run's first batch; of a step of several, only the last one's is known.
    pub fn first_loss(&self) -> Option<f64> {
        (self.job.recipe.train.accumulate == 1).then(|| self.losses[0])
    }

    pub fn spec(&self) -> TrainerSpec {
        spec(&self.job, &self.members)
    }
}

/// What a trainer of these members is made from.
pub fn spec(job: &Job, members: &[Member]) -> TrainerSpec {
    job.spec(members)
}

/// The job of a recipe, its model and examples in memory, none held out.
pub fn trained_on(recipe: Recipe, model: Model, train: Examples) -> Job {
    let scaling = Scaling::fit(recipe.data.scale, &train.features);
    let dataset = Dataset { train, validation: None, test: None };
    Job {
        recipe,
        model,
        dataset: dataset.into(),
        scaling,
        trained_on: Default::default(),
        notes: Vec::new(),
        weighing: Vec::new(),
        files: Vec::new(),
    }
}

fn read(tensor: &Parameter, key: &str) -> Vec<f64> {
    let array = read_array(key).unwrap();
    assert_eq!(array.shape(), tensor.shape, "{}", tensor.name);
    array.to_f64()
}

/// The largest difference, relative to the largest element of `exact`; NaN is the largest of all.
pub fn relative_error(ours: impl IntoIterator<Item = f64>, exact: &[f64]) -> f64 {
    let largest = exact.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
    let mut compared = 0;
    let worst = ours.into_iter().zip(exact).fold(0.0, |worst: f64, (a, b)| {
        compared += 1;
        let error = (a - b).abs() / largest;
        if error <= worst { worst } else { error }
    });
    assert_eq!(compared, exact.len());
    if worst.is_nan() { f64::INFINITY } else { worst }
}
