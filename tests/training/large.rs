//! Plans of large batches: what only a grid's sides would stand against is planned, and the rest refused by its name.

use crate::cases::{spec, trained_on};
use crate::fused::AsGpu;
use gputrain::backend::Backend;
use gputrain::data::{Examples, Features, Storage, Targets};
use gputrain::ir::{Limits, PlanError};
use gputrain::job::Job;
use gputrain::model::Model;
use gputrain::planner::{BuildError, Fusion};
use gputrain::recipe::Recipe;
use gputrain::train::{Draft, Member, TrainError};

/// So many examples that are all zeros.
fn zeros(examples: usize, set: &[(&str, &str)]) -> Job {
    let set: Vec<(String, String)> = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let recipe = Recipe::parse(Recipe::builtin("digits").unwrap(), "digits", &set).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let storage = Storage::U8(vec![0; examples * model.input.len()].into());
    let train = Examples {
        features: Features { storage, count: examples, shape: model.input },
        targets: Targets::Classes { labels: vec![0; examples], classes: model.outputs() },
        weights: None,
        rows: None,
    };
    trained_on(recipe, model, train)
}

/// Kernels of the plan that are launched in several lines of workgroups.
fn in_lines(job: &Job, fusion: Fusion, limits: Limits) -> Result<Vec<&'static str>, PlanError> {
    let members = [Member::of(&job.recipe)];
    let draft = match Draft::new(spec(job, &members), fusion, limits) {
        Ok(draft) => draft,
        Err(TrainError::Build(BuildError::Plan(error))) => return Err(error),
        Err(error) => panic!("{error}"),
    };
    let launches = draft.plan().launches().map(|launch| launch.lower());
    Ok(launches.filter(|launch| launch.grid[1] > 1).map(|launch| launch.kernel.name).collect())
}

/// WebGPU's grids, and the largest bindings that devices have.
fn roomy() -> Limits {
    let limits = AsGpu::new().limits();
    Limits { binding_bytes: (1 << 32) - 256, buffer_bytes: 1 << 34, ..limits }
}

#[test]
fn images_of_224_pixels_in_batches_of_256_are_planned() {
    let layers = "[{ conv2d = 16, kernel = 3, padding = \"same\" }, { conv2d = 16, kernel = 3, padding = \"same\" }, \
                  { max_pool = 2 }, { conv2d = 64, kernel = 3, padding = \"same\" }, { max_pool = 4 }, { dense = 5 }]";
    let job = zeros(256, &[("model.input", "[224, 224, 3]"), ("model.layers", layers), ("train.batch", "256")]);
    let kernels = in_lines(&job, Fusion::Auto, roomy()).unwrap();
    for kernel in ["gather", "conv2d_forward_direct", "conv2d_backward_input_direct", "max_pool_backward"] {
        assert!(kernels.contains(&kernel), "{kernel} is not among {kernels:?}");
    }
    let error = in_lines(&job, Fusion::Auto, Limits { binding_bytes: 128 << 20, ..roomy() }).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, PlanError::TooLarge { needed: 154_140_672, limit: 134_217_728, .. }), "{message}");
    assert!(message.contains("use a smaller batch") && message.contains("--backend cpu"), "{message}");
}

#[test]
fn a_full_batch_of_a_million_rows_is_planned() {
    let set = [("model.input", "[2]"), ("model.layers", "[{ dense = 3 }, { dense = 2 }]"), ("train.batch", "\"full\"")];
    let job = zeros(1_100_000, &set);
    assert_eq!(in_lines(&job, Fusion::Auto, roomy()).unwrap()[0], "fused_forward_backward");
    let plain = in_lines(&job, Fusion::Never, roomy()).unwrap();
    for kernel in ["dense_forward", "dense_backward_input"] {
        assert!(plain.contains(&kernel), "{kernel} is not among {plain:?}");
    }
}

#[test]
fn more_models_than_a_side_takes_are_refused() {
    let job = zeros(7, &[("model.input", "[2]"), ("model.layers", "[{ dense = 2 }]"), ("train.batch", "3")]);
    let members = vec![Member::of(&job.recipe); 65_536];
    let error = Draft::new(spec(&job, &members), Fusion::Auto, roomy()).err().unwrap().to_string();
    assert!(error.contains("65535 along one side; use fewer models side by side"), "{error}");
}

#[test]
fn the_cpu_refuses_what_32_bits_cannot_count() {
    let set =
        [("model.input", "[2]"), ("model.layers", "[{ dense = 4000 }, { dense = 2 }]"), ("train.batch", "\"full\"")];
    let job = zeros(1_100_000, &set);
    let error = in_lines(&job, Fusion::Auto, Limits::UNLIMITED).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, PlanError::TooLarge { needed: 17_600_000_000, .. }), "{message}");
    assert!(message.ends_with("use a smaller batch, layer or data set"), "{message}");
}
