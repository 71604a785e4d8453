//! The loss around the path of the weights.

use crate::binary::{Workplace, fail, json, last_line, succeed};
use crate::common;
use gputrain::backend::{Backend, cpu::CpuBackend};
use gputrain::export::SavedModel;
use gputrain::job::Job;
use gputrain::landscape::{Components, Ground, Relief, Trajectory, spread};
use gputrain::recipe::Recipe;
use gputrain::train::Predictions;
use safetensors::tensor::{Dtype, TensorView};

/// A small network on 1000 of the generated digits.
const RECORDED: &str = r#"
name = "recorded"
seed = 5
[data]
test = 7500
validation = 1500
scale = "unit"
[model]
input = [784]
layers = [{ dense = 12, activation = "tanh" }, { dense = 10 }]
[optimizer]
kind = "sgd"
learning_rate = 0.1
l2 = 0.001
[train]
epochs = 4
batch = 50
record = ["weights"]
"#;

fn job() -> Job {
    Job::load(Recipe::parse(RECORDED, "recorded", &[]).unwrap()).unwrap()
}

fn ground(job: &Job) -> Ground<'_> {
    let examples = &job.dataset.train;
    Ground { model: &job.model, scaling: &job.scaling, optimizer: &job.recipe.optimizer, examples }
}

/// The loss that eval gives for weights that lie one parameter after the other.
fn evaluated(job: &Job, weights: &[f32]) -> f32 {
    let mut rest = weights;
    let mut parameters = Vec::new();
    for parameter in &job.model.parameters {
        let (values, after) = rest.split_at(parameter.len());
        parameters.push(values.to_vec());
        rest = after;
    }
    let Job { recipe, model, dataset, scaling, .. } = job;
    let backend = CpuBackend::new();
    let result = Predictions::run(&backend, model, &parameters, scaling, &recipe.optimizer, &dataset.train).unwrap();
    result.score.loss
}

/// A path in a plane, whose points are crossings of a grid of 7 by 7: (place along the main direction, across).
const ARC: [(f64, f64); 5] = [(-4.0, 0.0), (-3.0, 1.0), (-2.0, 2.0), (-1.0, 1.0), (0.0, 0.0)];

fn arc(job: &Job) -> Trajectory {
    let origin: Vec<f32> = job.model.initialise(9).concat();
    // Two directions at right angles, since no weight is part of both.
    let length = (origin.len() as f64 / 2.0).sqrt();
    let direction = |index: usize, which: usize| f64::from(u8::from(index % 2 == which)) * 5.0 / length;
    let moved = |along: f64, across: f64| -> Vec<f32> {
        let shift = |index| along * direction(index, 0) + across * direction(index, 1);
        origin.iter().enumerate().map(|(index, value)| (f64::from(*value) + shift(index)) as f32).collect()
    };
    Trajectory { epochs: (1..=5).collect(), points: ARC.iter().map(|&(x, y)| moved(x, y)).collect() }
}

fn measure(backend: &dyn Backend, job: &Job, trajectory: &Trajectory, resolution: usize) -> Relief {
    Relief::measure(backend, ground(job), "arc", trajectory, resolution, &mut |_, _| {}).unwrap()
}

#[test]
fn a_path_in_a_plane_has_the_losses_that_eval_gives() {
    let job = job();
    let trajectory = arc(&job);
    let relief = measure(&CpuBackend::new(), &job, &trajectory, 7);
    assert!(relief.explained[0] + relief.explained[1] > 1.0 - 1e-6, "{:?}", relief.explained);
    // The variances are 10 along and 2.8 across.
    assert!((relief.explained[0] - 10.0 / 12.8).abs() < 1e-4, "{:?}", relief.explained);
    for (point, weights) in relief.path.iter().zip(&trajectory.points) {
        let loss = evaluated(&job, weights);
        assert_eq!(point.loss, Some(loss), "the path's own loss in epoch {}", point.epoch);
        assert!(point.distance < 1e-4, "{point:?} lies in the plane");
        let nearest = |list: &[f64], place: f64| {
            let distance = |index: &usize| (list[*index] - place).abs();
            let index = (0..list.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            assert!(distance(&index) < 1e-3, "{place} is not among {list:?}");
            index
        };
        let (column, row) = (nearest(&relief.x, point.x), nearest(&relief.y, point.y));
        let of_grid = relief.losses[row][column].unwrap();
        assert!((of_grid - loss).abs() < 1e-4 * loss, "{of_grid} {loss}");
    }
    let (_, _, lowest) = relief.lowest().unwrap();
    assert!(relief.losses.iter().flatten().all(|loss| loss.unwrap() >= lowest));
}

#[test]
fn cpu_and_vulkan_agree() {
    let Some(vulkan) = common::vulkan() else { return };
    let job = job();
    let trajectory = arc(&job);
    let [cpu, gpu] =
        [&CpuBackend::new() as &dyn Backend, &vulkan].map(|backend| measure(backend, &job, &trajectory, 5));
    assert_eq!((&cpu.x, &cpu.y, &cpu.explained), (&gpu.x, &gpu.y, &gpu.explained));
    let losses = |relief: &Relief| -> Vec<f32> {
        let path = relief.path.iter().map(|point| point.loss);
        relief.losses.iter().flatten().copied().chain(path).map(Option::unwrap).collect()
    };
    for (cpu, gpu) in losses(&cpu).into_iter().zip(losses(&gpu)) {
        assert!((cpu - gpu).abs() < 1e-5 * cpu.max(1.0), "{cpu} {gpu}");
    }
}

#[test]
fn examples_are_spread_over_the_whole_set() {
    let train = job().dataset.train.clone();
    assert_eq!(spread(&train, 5000), train);
    let some = spread(&train, 3);
    let expected = train.select(&[0, train.count() / 3, 2 * train.count() / 3]);
    assert_eq!(some, expected);
}

#[test]
fn a_run_gets_its_landscape_and_a_report_that_shows_it() {
    let place = Workplace::new(RECORDED);
    let [recipe, run, other] = ["recipe.toml", "run", "other.png"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &run]);
    let small = ["--resolution", "6", "--samples", "1000", "--out", &other];
    let output = succeed(&[&["--backend", "cpu", "--json", "landscape", &run][..], &small].concat());
    let summary = last_line(&output);
    assert_eq!((summary["epochs"].as_u64(), summary["samples"].as_u64()), (Some(4), Some(1000)));

    let found = Relief::load(&place.path("run")).unwrap().unwrap();
    assert_eq!((found.x.len(), found.y.len(), found.path.len()), (6, 6, 5));
    let saved = SavedModel::load(&place.path("run")).unwrap();
    let trajectory = Trajectory::load(&place.path("run"), &saved.model).unwrap();
    assert_eq!(trajectory.points.last(), Some(&saved.parameters.concat()));
    // What was read from JSON may be one unit in the last place off.
    let explained = Components::find(&trajectory.points, 2).explained;
    assert_eq!(found.explained.len(), explained.len());
    assert!(found.explained.iter().zip(&explained).all(|(a, b)| (a - b).abs() < 1e-12), "{explained:?}");
    // The final weights are the origin: the same loss on the grid, on the path, and from eval.
    let zero = |list: &[f64]| list.iter().position(|place| *place == 0.0).unwrap();
    let origin = found.losses[zero(&found.y)][zero(&found.x)];
    assert_eq!(origin, found.path[4].loss);
    // The path begins at the initial weights.
    let job = job();
    let initial = job.model.initialise(5).concat();
    assert_eq!((found.path[0].epoch, &trajectory.points[0]), (0, &initial));
    assert_eq!(found.path[0].loss, Some(evaluated(&job, &initial)));
    let eval = last_line(&succeed(&["--backend", "cpu", "--json", "eval", &run, "--split", "train"]));
    assert_eq!(eval["loss"], summary["final_loss"]);
    assert_eq!(origin, eval["loss"].as_f64().map(|loss| loss as f32));

    // The weights of any epoch can start another run.
    let [second, again] = ["run/weights/epoch-00002.safetensors", "again"].map(|name| place.text(name));
    succeed(&["--backend", "cpu", "--quiet", "train", &recipe, "--init", &second, "--out", &again, "--epochs", "1"]);
    let bytes = std::fs::read(&second).unwrap();
    assert_eq!(std::fs::read(place.path("again/weights/epoch-00000.safetensors")).unwrap(), bytes);

    for file in ["landscape.svg", "landscape.png", "landscape-map.svg", "landscape-map.png"] {
        assert!(place.path("run").join(file).metadata().is_ok_and(|m| m.len() > 1000), "{file}");
    }
    assert!(place.path("other.png").exists());
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    for text in ["<h2>Loss landscape</h2>", "first component (", "<h2>Model</h2>", "<h2>Training examples</h2>"] {
        assert!(page.contains(text), "{text}");
    }
    // The numbers come after the page that shows them.
    let [page, numbers] = ["run/report.html", "run/landscape.json"].map(|name| place.path(name));
    [&page, &numbers].into_iter().for_each(|file| std::fs::remove_file(file).unwrap());
    std::fs::create_dir(&page).unwrap();
    let (code, error) = fail(&["--backend", "cpu", "landscape", &run, "--resolution", "3"]);
    assert!(code == 2 && error.contains("report.html") && !numbers.exists(), "{error}");
    std::fs::remove_dir(&page).unwrap();
    // Earlier versions did not record the initial weights.
    std::fs::remove_file(place.path("run/weights/epoch-00000.safetensors")).unwrap();
    let again = last_line(&succeed(&["--backend", "cpu", "--json", "landscape", &run, "--resolution", "3"]));
    assert_eq!(again["epochs"], summary["epochs"]);
    let found = Relief::load(&place.path("run")).unwrap().unwrap();
    assert_eq!(found.path.iter().map(|point| point.epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // A run that goes on will end elsewhere.
    succeed(&["--backend", "cpu", "--quiet", "train", "--resume", &run, "--epochs", "5"]);
    assert_eq!(Relief::load(&place.path("run")).unwrap(), None);
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(!page.contains("<h2>Loss landscape</h2>"));
    // A file that is no landscape is named.
    std::fs::write(place.path("run/landscape.json"), "{").unwrap();
    assert!(Relief::load(&place.path("run")).unwrap_err().to_string().contains("landscape.json"));
}

#[test]
fn runs_that_have_no_landscape_are_told_why() {
    let place = Workplace::new(RECORDED);
    let [recipe, run, blank] = ["recipe.toml", "run", "blank"].map(|name| place.text(name));
    let train = ["--backend", "cpu", "--quiet", "train", &recipe, "--out"];
    let says = |folder: &str, wanted: &[&str]| {
        let (code, error) = fail(&["--backend", "cpu", "landscape", folder, "--resolution", "3"]);
        assert_eq!(code, 2, "{error}");
        wanted.iter().for_each(|wanted| assert!(error.contains(wanted), "no {wanted} in: {error}"));
    };
    succeed(&[&train[..], &[&blank, "--set", "train.record=[]", "--epochs", "1"]].concat());
    says(&blank, &[&blank, "train.record", "weights"]);
    succeed(&[&train[..], &[&run, "--epochs", "1"]].concat());
    says(&run, &["2 moments", "train.epochs = 2"]);
    // Weights of another model, as the third epoch.
    let [wide, third] = ["wide", "run/weights/epoch-00003.safetensors"].map(|name| place.text(name));
    let layers = ["--layers", "13:tanh,10", "--epochs", "3"];
    succeed(&[&train[..], &[&wide], &layers].concat());
    std::fs::copy(place.path("wide/weights/epoch-00003.safetensors"), &third).unwrap();
    says(&run, &["epoch-00003.safetensors", "layers.0.weight", "(13, 784)", "(12, 784)", "train again"]);
    std::fs::write(&third, "no tensors").unwrap();
    says(&run, &["epoch-00003.safetensors", "not a whole .safetensors file"]);
    // As earlier versions wrote them, without shapes.
    let model = &job().model;
    let flat = model.initialise(5);
    let flat = model.parameters.iter().zip(&flat).map(|(parameter, values)| {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        (&parameter.name, TensorView::new(Dtype::F32, vec![values.len()], bytes).unwrap())
    });
    std::fs::write(&third, safetensors::serialize(flat, None).unwrap()).unwrap();
    says(&run, &["epoch-00003.safetensors", "layers.0.weight is (9408,), expected (12, 784)", "train again"]);
    // The same weights over and over.
    let first = place.path("run/weights/epoch-00001.safetensors");
    for epoch in [0, 2, 3] {
        std::fs::copy(&first, place.path(&format!("run/weights/epoch-{epoch:05}.safetensors"))).unwrap();
    }
    says(&run, &["0 directions"]);
    says(&place.text("nowhere"), &["nowhere"]);
}

#[test]
fn data_that_is_gone_is_named() {
    let place = Workplace::new(&RECORDED.replace("test = 7500\nvalidation = 1500", "").replace("[784]", "[2]"));
    let [recipe, run, images, labels] = ["recipe.toml", "run", "x.csv", "y.csv"].map(|name| place.text(name));
    std::fs::write(&images, "0.5,0.25\n0.125,1\n1,0\n0,1\n").unwrap();
    std::fs::write(&labels, "0\n1\n0\n1\n").unwrap();
    let data = ["--train-images", &images, "--train-labels", &labels];
    succeed(&[&["--backend", "cpu", "--quiet", "train", &recipe, "--out", &run][..], &data].concat());
    let landscape = ["--backend", "cpu", "--json", "landscape", &run, "--resolution", "3"];
    assert_eq!(last_line(&succeed(&landscape))["samples"], 4);
    let before = json(&place.path("run/landscape.json"));
    std::fs::rename(&images, place.path("moved.csv")).unwrap();
    let (code, error) = fail(&landscape);
    assert!(code == 2 && error.contains("x.csv") && error.contains("data.train.images"), "{error}");
    assert_eq!(json(&place.path("run/landscape.json")), before);
}
