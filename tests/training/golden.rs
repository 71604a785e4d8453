//! Whole trainings held against PyTorch's in float64: gradients, the loss of each of 200 steps, and the final weights, of
//! every case in `tests/golden` on the CPU, and on demand on Vulkan, where a software driver takes minutes for them: each change
//! sees the losses of 40 steps there, and the whole of what has more to it than its losses.

use crate::cases::{self, GoldenCase, relative_error};
use crate::common;
use gputrain::backend::Backend;
use gputrain::backend::cpu::{CpuBackend, Implementation, Machine};
use gputrain::data::read_array;
use gputrain::gradcheck::{DoublePrecision, Options};
use gputrain::ir::{Dispatch, Element, Plan, Role, Slice};
use gputrain::job::Job;
use gputrain::kernel::Launch;
use gputrain::kernel::formula::activation;
use gputrain::kernel::pointwise::activation_backward;
use gputrain::kernel::pointwise::activation_backward::ActivationBackward;
use gputrain::kernel::pointwise::activation_forward;
use gputrain::kernel::pointwise::activation_forward::ActivationForward;
use gputrain::kernel::pointwise::softmax_backward;
use gputrain::kernel::pointwise::softmax_backward::SoftmaxBackward;
use gputrain::kernel::pointwise::softmax_forward;
use gputrain::kernel::pointwise::softmax_forward::SoftmaxForward;
use gputrain::planner::{BuildError, Fusion};
use gputrain::train::{Draft, EpochMetrics, Observer, Predictions, StepMetrics, Stop, TrainError, Trainer};
use std::sync::Arc;

/// Loss of each step and learning rate of each epoch.
#[derive(Default)]
struct Curve {
    losses: Vec<f64>,
    epochs: Vec<EpochMetrics>,
}

impl Observer for Curve {
    fn step(&mut self, _: usize, metrics: &StepMetrics) {
        assert_eq!(metrics.step as usize, self.losses.len() + 1, "every step is logged once, in order");
        self.losses.push(metrics.loss.into());
    }

    fn epoch(&mut self, _: usize, metrics: &EpochMetrics) {
        self.epochs.push(metrics.clone());
    }
}

/// The largest of some errors, with the name of its case.
#[derive(Default)]
struct Worst(f64, String);

impl Worst {
    fn add(&mut self, error: f64, name: &str) {
        if error > self.0 || error.is_nan() {
            *self = Worst(error, name.into());
        }
    }
}

fn widen(values: &[f32]) -> impl Iterator<Item = f64> {
    values.iter().map(|x| f64::from(*x))
}

fn double(case: &GoldenCase) -> DoublePrecision {
    let mut double = DoublePrecision::new(case.spec()).unwrap();
    double.set_parameters(&case.initial_f64);
    double
}

#[test]
fn the_table_lists_every_case() {
    let mut names: Vec<String> = cases::table().into_iter().map(|(name, _)| name).collect();
    let files =
        std::fs::read_dir(cases::folder()).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let mut recipes: Vec<String> = files.filter_map(|file| Some(file.strip_suffix(".toml")?.to_string())).collect();
    names.sort();
    recipes.sort();
    assert!(names.len() >= 76);
    assert_eq!(names, recipes);
}

/// The specification in f64 means the same as PyTorch. The published network's data is in f64 and a trainer's in f32,
/// hence its wider bound.
#[test]
fn gradients_in_double_precision_are_pytorchs() {
    let mut worst = Worst::default();
    for case in GoldenCase::all() {
        let (loss, gradient) = double(&case).gradient();
        let bound = if case.name == "published-sigmoid" { 1e-6 } else { 1e-9 };
        if let Some(exact) = case.first_loss() {
            assert!((loss - exact).abs() < bound * exact.abs(), "{}: loss {loss}, not {exact}", case.name);
        }
        for ((ours, exact), parameter) in gradient.iter().zip(&case.gradient).zip(&case.job.model.parameters) {
            let error = relative_error(ours.iter().copied(), exact);
            assert!(error < bound, "{}: {} is off by {error:e}", case.name, parameter.name);
            if bound < 1e-6 {
                worst.add(error, &case.name);
            }
        }
    }
    println!("worst f64 gradient: {:.1e} ({})", worst.0, worst.1);
}

#[test]
fn the_published_networks_loss_and_gradients() {
    let case = GoldenCase::load("published-sigmoid", &[]);
    let (loss, gradient) = double(&case).gradient();
    let published: [&[f64]; 4] = [
        &[0.00244596, 0.00262019, -0.00030765, -0.00024188, -0.00034768, -0.000372],
        &[0.00492577, -0.00058023, -0.00065977],
        &[0.02216011, 0.02433097, 0.01797174],
        &[0.029249230265318685],
    ];
    assert!((loss - 0.1332476222330792).abs() < 1e-8, "{loss}");
    for (ours, published) in gradient.iter().zip(published) {
        assert!(ours.iter().zip(published).all(|(a, b)| (a - b).abs() < 1e-8), "{ours:?}, not {published:?}");
    }
    // With x and the weights rounded to f32, and everything else in f64.
    let mut double = double(&case);
    double.set_parameters(&case.initial.iter().map(|values| widen(values).collect()).collect::<Vec<_>>());
    let (loss, _) = double.gradient();
    assert!((loss - 0.1332476229533179).abs() < 1e-14, "{loss}");
}

#[test]
fn gradients_in_double_precision_are_the_slopes_of_the_loss() {
    let names = [
        "activation-gelu",
        "activation-softmax-hidden",
        "loss-mse-labels",
        "loss-binary-cross-entropy",
        "loss-huber-delta",
        "loss-label-smoothing-l2",
        "train-ema-adam-accumulate",
        "optimizer-sgd-l2",
        "conv-same-stride",
        "pool-average-overlap",
        "pool-max-overlap",
        "cnn-mixed",
        "batch-norm-images",
        "batch-norm-features",
        "mixup",
        "mixup-binary",
        "mixup-huber-labels",
        "published-sigmoid",
    ];
    for name in names {
        let case = GoldenCase::load(name, &[]);
        let parameters: Vec<String> = case.job.model.parameters.iter().map(|p| p.name.clone()).collect();
        for check in double(&case).check(&parameters, Options { at_most: Some(20), ..Default::default() }) {
            println!("{name}: {check}");
            assert!(check.worst_error < 1e-6, "{name}: {check}");
            assert!(check.skipped <= check.checked, "{name}: {check}");
        }
    }
}

fn gradients_agree(backend: &dyn Backend) {
    let mut worst = Worst::default();
    let mut failed = Vec::new();
    for case in GoldenCase::all() {
        let mut trainer = Trainer::new(backend, case.spec()).unwrap();
        trainer.set_parameters(0, &case.initial).unwrap();
        let (loss, gradient) = trainer.gradient().unwrap();
        let loss_error = case.first_loss().map(|exact| ("loss".to_string(), (f64::from(loss) - exact).abs() / exact));
        let mut errors: Vec<(String, f64)> = loss_error.into_iter().collect();
        for ((ours, exact), parameter) in gradient.iter().zip(&case.gradient).zip(&case.job.model.parameters) {
            errors.push((parameter.name.clone(), relative_error(widen(ours), exact)));
        }
        for (what, error) in errors {
            worst.add(error, &case.name);
            if error > 1e-5 {
                failed.push(format!("{}: {what} is off by {error:.1e}", case.name));
            }
        }
    }
    println!("worst gradient on {}: {:.1e} ({})", backend.info().backend, worst.0, worst.1);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn gradients_on_the_cpu_are_pytorchs() {
    gradients_agree(&CpuBackend::new());
}

#[test]
fn gradients_on_vulkan_are_pytorchs() {
    if let Some(backend) = common::vulkan() {
        gradients_agree(&backend);
    }
}

/// Errors of one training: the worst step's loss, that of an evaluation with running statistics among them, and the worst final
/// tensor.
fn train(backend: &dyn Backend, trainer: &mut Trainer, case: &GoldenCase) -> (f64, f64) {
    trainer.set_parameters(0, &case.initial).unwrap();
    let mut curve = Curve::default();
    assert_eq!(trainer.train(&mut curve).unwrap(), Stop::Finished, "{}", case.name);
    assert_eq!(curve.losses.len(), case.losses.len(), "{}", case.name);
    // The rate by epochs is told without its warm-up, that by steps with it.
    let schedule = &case.job.recipe.schedule;
    let warm = if schedule.is_by_step() { 0 } else { schedule.warmup(trainer.steps_per_epoch()) as usize };
    for epoch in curve.epochs.iter().filter(|epoch| epoch.step as usize > warm) {
        let exact = case.rates[epoch.step as usize - 1];
        let rate = f64::from(epoch.learning_rate);
        assert!((rate - exact).abs() < 1e-6 * exact.abs(), "{}: rate {rate}, not {exact}", case.name);
    }
    let last = trainer.parameters(0).unwrap();
    let evaluated = case.evaluation.map(|exact| {
        let Job { model, scaling, recipe, dataset, .. } = &case.job;
        let found = Predictions::run(backend, model, &last, scaling, &recipe.optimizer, &dataset.train).unwrap();
        (f64::from(found.score.loss), exact)
    });
    let pairs = curve.losses.into_iter().zip(case.losses.iter().copied()).chain(evaluated);
    let loss =
        pairs.map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, |m: f64, e| if e <= m || m.is_nan() { m } else { e });
    let errors = last.iter().zip(&case.last).map(|(ours, exact)| relative_error(widen(ours), exact));
    (loss, errors.fold(0.0, f64::max))
}

/// Final weights may differ by this many times the spread of PyTorch's own float32 runs: 16 samples of another program's
/// rounding are an estimate of the size of the effect, not a bound.
const SPREADS: f64 = 5.0;

/// Steps of a training whose losses alone are looked at.
const FIRST_STEPS: usize = 40;

/// The worst error of the first steps' losses.
fn train_first_steps(trainer: &mut Trainer, case: &GoldenCase) -> f64 {
    trainer.set_parameters(0, &case.initial).unwrap();
    let errors = case.losses[..FIRST_STEPS].iter().map(|exact| {
        trainer.step(1).unwrap();
        (f64::from(trainer.losses().unwrap()[0]) - exact).abs() / exact.abs()
    });
    errors.fold(0.0, |most, error| if error <= most || most.is_nan() { most } else { error })
}

/// How much of a case is trained.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    Whole,
    /// The whole only of those whose losses do not show all: averages of weights, running statistics.
    First,
}

/// Trains every case that can be trained so; returns how many were, and in how many of them the step was fused. With
/// [`Fusion::Never`] only those that are fused otherwise: the plan of the others is the same.
fn trainings_agree(backend: &dyn Backend, fusion: Fusion, length: Length) -> [usize; 2] {
    let (mut losses, mut finals, mut failed) = (Worst::default(), Worst::default(), Vec::new());
    let mut counts = [0; 2];
    for case in GoldenCase::all() {
        if fusion == Fusion::Never && !Draft::new(case.spec(), Fusion::Auto, backend.limits()).unwrap().is_fused() {
            continue;
        }
        let mut trainer = match Trainer::with_fusion(backend, case.spec(), fusion) {
            Err(TrainError::Build(BuildError::NotFused(_))) if fusion == Fusion::Always => continue,
            other => other.unwrap(),
        };
        counts[0] += 1;
        counts[1] += usize::from(trainer.not_fused().is_none());
        let shows_all = case.evaluation.is_none() && case.job.recipe.train.ema.is_none();
        let (loss, last) = match length {
            Length::First if shows_all => (train_first_steps(&mut trainer, &case), 0.0),
            _ => train(backend, &mut trainer, &case),
        };
        losses.add(loss, &case.name);
        finals.add(last / case.last_spread, &case.name);
        if loss.is_nan() || loss > 1e-4 || last > SPREADS * case.last_spread {
            let (name, spread) = (&case.name, case.last_spread);
            failed.push(format!("{name}: losses off by {loss:.1e}, final weights by {last:.1e} (spread {spread:.1e})"));
        }
    }
    let name = &backend.info().backend;
    println!(
        "worst loss on {name}: {:.1e} ({}); final weights: {:.1} spreads ({})",
        losses.0, losses.1, finals.0, finals.1
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    counts
}

#[test]
fn trainings_on_the_cpu_follow_pytorchs() {
    let [trained, fused] = trainings_agree(&CpuBackend::new(), Fusion::Auto, Length::Whole);
    assert!(trained >= 76 && fused == 0, "{fused} of {trained} were fused");
}

/// The fused kernels' specification.
#[test]
fn fused_trainings_on_the_cpu_follow_pytorchs() {
    let [trained, fused] = trainings_agree(&CpuBackend::new(), Fusion::Always, Length::Whole);
    assert!(trained >= 25 && fused == trained, "{fused} of {trained} were fused");
}

fn trainings_on_vulkan_agree(length: Length) {
    if let Some(backend) = common::vulkan() {
        let [trained, fused] = trainings_agree(&backend, Fusion::Auto, length);
        assert!(trained >= 76 && fused >= 25, "{fused} of {trained} were fused");
    }
}

#[test]
fn trainings_on_vulkan_begin_as_pytorchs() {
    trainings_on_vulkan_agree(Length::First);
}

#[test]
#[ignore = "takes minutes on a software driver: tests/run.sh --test training -- --ignored whole"]
fn whole_trainings_on_vulkan_follow_pytorchs() {
    trainings_on_vulkan_agree(Length::Whole);
}

fn unfused_trainings_on_vulkan_agree(length: Length) {
    if let Some(backend) = common::vulkan() {
        let [trained, fused] = trainings_agree(&backend, Fusion::Never, length);
        assert!(trained >= 25 && fused == 0, "{fused} of {trained} were fused");
    }
}

#[test]
fn unfused_trainings_on_vulkan_begin_as_pytorchs() {
    unfused_trainings_on_vulkan_agree(Length::First);
}

#[test]
#[ignore = "takes minutes on a software driver: tests/run.sh --test training -- --ignored whole"]
fn whole_unfused_trainings_on_vulkan_follow_pytorchs() {
    unfused_trainings_on_vulkan_agree(Length::Whole);
}

/// Runs one launch over arrays, in f64 on the reference.
fn reference(launch: impl Fn(&[Slice]) -> Dispatch, inputs: &[&[f64]]) -> Vec<f64> {
    let mut plan = Plan::default();
    let len = inputs[0].len();
    let ids: Vec<_> = (0..=inputs.len()).map(|i| plan.buffer(i.to_string(), Element::F32, len, Role::Data)).collect();
    let slices: Vec<Slice> = ids.iter().map(|id| plan.whole(*id)).collect();
    let program = plan.program("launch", vec![launch(&slices)]);
    let mut machine: Machine<f64> = Machine::new(Arc::new(plan), Implementation::Reference).unwrap();
    for (id, values) in ids.iter().zip(inputs) {
        machine.floats_mut(*id).copy_from_slice(values);
    }
    machine.run(program, 1);
    machine.floats(ids[inputs.len()]).to_vec()
}

fn assert_close(what: &str, ours: &[f64], exact: &[f64]) {
    for (i, (a, b)) in ours.iter().zip(exact).enumerate() {
        // Subnormal results keep few digits.
        let close = (a - b).abs() <= 1e-12 * b.abs() + 1e-300;
        assert!(close, "{what}, element {i}: {a:e}, not {b:e}");
    }
}

#[test]
fn activations_in_double_precision_are_pytorchs() {
    let array =
        |key: &str| read_array(&format!("{}#{key}", cases::folder().join("activations.npz").display())).unwrap();
    let values = |key: &str| array(key).to_f64();
    let x = values("x");
    let len = x.len() as u32;
    for (kind, name) in (0..).zip(["linear", "relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu"]) {
        let output = reference(
            |s| {
                let operands = activation_forward::Operands { input: s[0], output: s[1] };
                let shape = activation_forward::Params { len };
                ActivationForward { label: name.into(), shape, models: 1, activation: kind, operands }.lower()
            },
            &[&x],
        );
        assert_close(name, &output, &values(name));
        // What the derivative is taken from: the output up to sigmoid, then the input.
        let saved = if kind <= activation::SIGMOID { &output } else { &x };
        let derivative = reference(
            |s| {
                let operands =
                    activation_backward::Operands { output_gradient: s[0], saved: s[1], input_gradient: s[2] };
                let shape = activation_backward::Params { len };
                ActivationBackward { label: name.into(), shape, models: 1, activation: kind, operands }.lower()
            },
            &[&vec![1.0; x.len()], saved],
        );
        let exact = values(&format!("{name}.grad"));
        for (i, (a, b)) in derivative.iter().zip(&exact).enumerate() {
            // 1 - y^2 and y (1 - y) lose digits where y is near 1: absolutely, by roundings of 1.
            assert!((a - b).abs() <= 1e-15 + 1e-12 * b.abs(), "{name} at {:e} ({i}): slope {a:e}, not {b:e}", x[i]);
        }
    }
}

#[test]
fn softmax_in_double_precision_is_pytorchs() {
    let array =
        |key: &str| read_array(&format!("{}#{key}", cases::folder().join("activations.npz").display())).unwrap();
    let [rows, classes] = array("softmax.x").shape()[..] else { panic!("softmax.x is no matrix") };
    let [x, y, dy, dx] = ["softmax.x", "softmax", "softmax.dy", "softmax.dx"].map(|key| array(key).to_f64());
    let (rows, classes) = (rows as u32, classes as u32);
    let forward = |s: &[Slice]| {
        let operands = softmax_forward::Operands { input: s[0], output: s[1] };
        let shape = softmax_forward::Params { rows, classes };
        SoftmaxForward { label: "softmax".into(), shape, models: 1, operands }.lower()
    };
    assert_close("softmax", &reference(forward, &[&x]), &y);
    let backward = |s: &[Slice]| {
        let operands = softmax_backward::Operands { output_gradient: s[0], output: s[1], input_gradient: s[2] };
        let shape = softmax_backward::Params { rows, classes };
        SoftmaxBackward { label: "softmax".into(), shape, models: 1, operands }.lower()
    };
    for (i, (a, b)) in reference(backward, &[&dy, &y]).iter().zip(&dx).enumerate() {
        assert!((a - b).abs() <= 1e-15 + 1e-12 * b.abs(), "element {i}: {a:e}, not {b:e}");
    }
}
