//! The training loop as a library, on the CPU and on Vulkan: models side by side, interruptions at every step, data and
//! parameters in parts, recorded norms, early stopping.

use crate::cases::{GoldenCase, relative_error, spec};
use crate::common;
use crate::story::{self, Story};
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::{Backend, BackendError, DeviceInfo, Session};
use gputrain::data::{Dataset, Examples, Features, Storage, Targets};
use gputrain::gradcheck::DoublePrecision;
use gputrain::ir::{Limits, Plan};
use gputrain::job::Job;
use gputrain::model::{Model, Shape};
use gputrain::recipe::{Recipe, Schedule};
use gputrain::train::{Checkpoint, Member, Stop, TrainError, Trainer};
use std::sync::Arc;

pub fn backends() -> Vec<Box<dyn Backend>> {
    let vulkan = common::vulkan().map(|gpu| Box::new(gpu) as Box<dyn Backend>);
    std::iter::once(Box::new(CpuBackend::new()) as Box<dyn Backend>).chain(vulkan).collect()
}

/// The generated digits with a recipe of the test's own.
fn digits(overrides: &[(&str, &str)]) -> Job {
    let overrides: Vec<(String, String)> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let text = Recipe::builtin("digits").unwrap();
    Job::load(Recipe::parse(text, "digits", &overrides).unwrap()).unwrap()
}

pub fn bits(parameters: &[Vec<f32>]) -> Vec<Vec<u32>> {
    parameters.iter().map(|values| values.iter().map(|x| x.to_bits()).collect()).collect()
}

/// Trains all members at once: the story of each, and its final weights.
pub fn train(backend: &dyn Backend, job: &Job, members: &[Member]) -> Vec<(Story, Vec<Vec<f32>>)> {
    let mut trainer = Trainer::new(backend, spec(job, members)).unwrap();
    for (index, member) in members.iter().enumerate() {
        trainer.set_parameters(index, &job.model.initialise(member.seed)).unwrap();
    }
    let mut stories = story::Stories::new(members.len());
    assert_eq!(trainer.train(&mut stories).unwrap(), Stop::Finished);
    let parameters = (0..members.len()).map(|member| trainer.parameters(member).unwrap());
    stories.0.into_iter().zip(parameters).collect()
}

fn side_by_side(job: &Job) {
    let member = |(index, rate): (u64, f32)| {
        let mut member = Member::of(&job.recipe);
        member.seed = 40 + index;
        member.optimizer.learning_rate *= rate;
        member
    };
    let members: Vec<Member> = [(0, 1.0), (1, 0.25), (2, 1.75)].into_iter().map(member).collect();
    for backend in backends() {
        let together = train(&*backend, job, &members);
        for (member, together) in members.iter().zip(&together) {
            let alone = &train(&*backend, job, std::slice::from_ref(member))[0];
            let (name, on) = (&job.recipe.name, &backend.info().backend);
            assert_eq!(together.0, alone.0, "{name} on {on}: measurements of seed {}", member.seed);
            assert!(bits(&together.1) == bits(&alone.1), "{name} on {on}: final weights of seed {}", member.seed);
        }
        assert!(bits(&together[0].1) != bits(&together[1].1), "members differ");
    }
}

#[test]
fn small_models_side_by_side_train_as_each_alone() {
    let dropout = "[{ dense = 17, activation = \"relu\" }, { dropout = 0.3 }, { dense = 5 }]";
    let cases: [(&str, &[(&str, &str)]); 15] = [
        ("optimizer-adam", &[]),
        ("optimizer-adamw", &[("model.layers", dropout)]),
        ("optimizer-clip-norm-l2-weight-decay", &[]),
        ("schedule-warmup-cosine", &[]),
        ("loss-mse", &[]),
        ("conv-l2-momentum", &[]),
        ("cnn-mixed", &[]),
        ("batch-norm-images", &[]),
        ("schedule-one-cycle", &[("model.label_smoothing", "0.1")]),
        ("train-accumulate-adam-one-cycle", &[("model.layers", dropout)]),
        ("train-ema", &[("train.accumulate", "2")]),
        ("optimizer-rmsprop-centered-momentum", &[]),
        ("optimizer-lion", &[]),
        ("conv-muon", &[("optimizer.clip_norm", "0.5"), ("train.accumulate", "2"), ("train.ema", "0.5")]),
        ("train-accumulate-weights", &[]),
    ];
    for (name, overrides) in cases {
        let common = [("train.shuffle", "true"), ("train.epochs", "3")];
        side_by_side(&story::golden_job(name, &[&common, overrides].concat()));
    }
}

#[test]
fn larger_models_side_by_side_train_as_each_alone() {
    let mut job = digits(&[("train.epochs", "2"), ("train.log_every", "1")]);
    let dataset = Arc::make_mut(&mut job.dataset);
    dataset.train = dataset.train.select(&(0..500).collect::<Vec<_>>());
    dataset.validation = Some(dataset.train.select(&(0..100).collect::<Vec<_>>()));
    side_by_side(&job);
}

/// Interrupts a run after `steps`, goes on in another trainer from a checkpoint that went through a file, and returns
/// everything that was measured with the final weights.
pub fn interrupted(backend: &dyn Backend, job: &Job, steps: u64) -> (Story, Vec<Vec<f32>>) {
    let members = [Member::of(&job.recipe)];
    let mut story = story::Stories::new(1);
    story.1.stop_after = Some(steps);
    let mut trainer = Trainer::new(backend, spec(job, &members)).unwrap();
    trainer.set_parameters(0, &job.model.initialise(job.recipe.seed)).unwrap();
    assert_eq!(trainer.train(&mut story).unwrap(), Stop::Interrupted);
    assert_eq!(u64::from(trainer.steps_taken()), steps, "interrupted where it was asked to");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.safetensors");
    story.1.checkpoint.take().unwrap().save(&file).unwrap();

    let mut trainer = Trainer::new(backend, spec(job, &members)).unwrap();
    trainer.restore(&Checkpoint::load(&file).unwrap()).unwrap();
    story.1.stop_after = None;
    trainer.train(&mut story).unwrap();
    let outcome = trainer.finish().unwrap().remove(0);
    (story.0.remove(0), outcome.parameters)
}

/// After any step on the CPU. What the host does is the same on every device, so that a software GPU, which is slow, is
/// interrupted after every third of those in which each can be the last, beginning with another one in each case.
#[test]
fn a_run_goes_on_from_any_step_as_if_nothing_had_happened() {
    // Norms and validation at every step end each launch after one step, so that every step can be the last.
    let detailed = ("train.record", "[\"gradient_norms\", \"validation\"]");
    let common = [("train.shuffle", "true"), ("train.epochs", "3"), ("data.validation", "20")];
    let plateau = ("schedule", "{ kind = \"plateau\", metric = \"validation_loss\", factor = 0.5, patience = 0 }");
    let stop = ("train.early_stop", "{ metric = \"validation_accuracy\", patience = 1 }");
    // Without norms the step is fused on a GPU.
    let fused = [("train.record", "[\"validation\"]"), ("train.log_every", "1")];
    let cases: [(&str, Vec<(&str, &str)>); 12] = [
        ("optimizer-adam", vec![detailed]),
        ("optimizer-adam", fused.to_vec()),
        ("optimizer-momentum", vec![detailed, plateau, stop]),
        ("optimizer-momentum", [&fused[..], &[plateau, stop]].concat()),
        // Checkpoints every other step: launches of one step and of two.
        ("conv-l2-momentum", vec![("train.checkpoint_steps", "2")]),
        ("batch-norm-features", vec![detailed, stop]),
        ("train-ema-adam-accumulate", vec![detailed, stop]),
        ("train-ema", [&fused[..], &[("schedule", "{ kind = \"one_cycle\" }")]].concat()),
        ("optimizer-rmsprop-centered-momentum", vec![("train.checkpoint_steps", "2")]),
        ("train-accumulate-weights", vec![detailed]),
        ("optimizer-muon", vec![detailed, ("train.accumulate", "2"), ("schedule", "{ kind = \"one_cycle\" }")]),
        ("optimizer-lion", vec![detailed, ("schedule", "{ kind = \"cosine\", by = \"step\", warmup_epochs = 0.5 }")]),
    ];
    for (number, (name, overrides)) in cases.into_iter().enumerate() {
        let job = story::golden_job(name, &[&common[..], &overrides].concat());
        let every = job.recipe.train.checkpoint_steps.max(1) as usize;
        for backend in backends() {
            let members = [Member::of(&job.recipe)];
            let mut trainer = Trainer::new(&*backend, spec(&job, &members)).unwrap();
            trainer.set_parameters(0, &job.model.initialise(job.recipe.seed)).unwrap();
            let mut story = story::Stories::new(1);
            trainer.train(&mut story).unwrap();
            let whole = trainer.finish().unwrap().remove(0);
            let last = u64::from(trainer.steps_taken());
            let boundaries: Vec<u64> = (0..last).step_by(every).collect();
            assert!(boundaries.len() >= 3, "{boundaries:?}");
            let stride = if backend.info().backend == "cpu" || every > 1 { 1 } else { 3 };
            let boundaries = boundaries.into_iter().skip(number % stride).step_by(stride);
            for steps in boundaries {
                let (measured, parameters) = interrupted(&*backend, &job, steps);
                let at = format!("{name} on {}, interrupted after {steps} of {last}", backend.info().backend);
                assert_eq!(measured, story.0[0], "{at}");
                assert!(bits(&parameters) == bits(&whole.parameters), "{at}: final weights");
            }
        }
    }
}

/// A backend that allows less than it could.
struct Limited<'a>(&'a dyn Backend, u64);

impl Backend for Limited<'_> {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    fn limits(&self) -> Limits {
        Limits { binding_bytes: self.1, ..self.0.limits() }
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        plan.check(&self.limits())?;
        self.0.prepare(plan)
    }
}

/// Bytes of noise under a wide network, in memory, with weights where the recipe has any of classes.
pub fn noise(overrides: &[(&str, &str)], features: usize, [train, validation]: [usize; 2]) -> Job {
    let input = format!("[{features}]");
    let mut job = digits(&[("model.layers", "[{ dense = 10 }]"), ("data.validation", "0")]);
    let overrides = [&[("model.input", &*input), ("data.validation", "0")][..], overrides].concat();
    let overrides: Vec<(String, String)> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    job.recipe = Recipe::parse(Recipe::builtin("digits").unwrap(), "digits", &overrides).unwrap();
    job.model = Model::build(&job.recipe.model, None).unwrap();
    let examples = |count: usize| Examples {
        features: Features {
            storage: Storage::U8((0..count * features).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect()),
            count,
            shape: Shape::Features(features),
        },
        targets: Targets::Classes { labels: (0..count as u32).map(|i| i * 7 % 10).collect(), classes: 10 },
        weights: job.recipe.data.class_weights.as_ref().map(|_| (0..count).map(|i| (i * 7 % 5) as f32).collect()),
        rows: None,
    };
    let validation = Examples { weights: None, ..examples(validation) };
    job.dataset = Dataset { train: examples(train), validation: Some(validation), test: None }.into();
    job
}

/// A window of the training set, and an update in two ranges.
#[test]
fn what_is_larger_than_a_binding_trains_all_the_same() {
    let layers = "[{ dense = 40, activation = \"relu\" }, { dense = 1500, activation = \"relu\" }, { dense = 10 }]";
    let set = [("model.layers", layers), ("train.batch", "30"), ("train.epochs", "2"), ("train.log_every", "1")];
    let job = noise(&set, 20_000, [200, 30]);
    let members = [Member::of(&job.recipe)];
    for backend in backends() {
        let limited = Limited(&*backend, 3_400_000);
        let trainer = Trainer::new(&limited, spec(&job, &members)).unwrap();
        let buffer = |name: &str| trainer.plan().buffers.iter().any(|b| b.name == name);
        assert!(buffer("train.window") && buffer("validation.examples"));
        let updates = trainer.step_program().dispatches().filter(|d| d.label.starts_with("update")).count();
        assert_eq!(updates, 2);
        drop(trainer);
        let parts = train(&limited, &job, &members);
        let whole = train(&*backend, &job, &members);
        assert_eq!(parts[0].0, whole[0].0, "on {}", backend.info().backend);
        assert!(bits(&parts[0].1) == bits(&whole[0].1), "on {}: final weights", backend.info().backend);
    }
}

#[test]
fn a_layer_larger_than_a_binding_is_refused_by_name() {
    let job = digits(&[("model.layers", "[{ dense = 64 }, { dense = 5000 }, { dense = 10 }]"), ("train.batch", "8")]);
    let cpu = CpuBackend::new();
    let members = [Member::of(&job.recipe)];
    let refusal = |limit| match Trainer::new(&Limited(&cpu, limit), spec(&job, &members)) {
        Err(error @ TrainError::Build(_)) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nothing was refused"),
    };
    let weight = refusal(1 << 20);
    let says = |text: &str| assert!(weight.contains(text), "{text}: {weight}");
    ["layers.1.weight [5000, 64]", "1280000 bytes", "1048576 bytes per binding", "--backend cpu"]
        .into_iter()
        .for_each(says);
    let output = refusal(4 << 20);
    assert!(output.contains("layers.1.output") && output.contains("4194304 bytes per binding"), "{output}");
    let example = refusal(700);
    assert!(example.contains("layers.0.weight"), "{example}");
}

/// One step per epoch, so that the recorded weights are those before every step.
#[test]
fn recorded_norms_are_those_of_the_step() {
    let record = ("train.record", "[\"gradient_norms\", \"weight_norms\", \"weights\"]");
    for name in ["batch-full", "optimizer-clip-norm-l2-weight-decay", "conv-l2-momentum"] {
        let case = GoldenCase::load(name, &[record, ("train.batch", "\"full\""), ("train.epochs", "5")]);
        for backend in backends() {
            let mut trainer = Trainer::new(&*backend, case.spec()).unwrap();
            trainer.set_parameters(0, &case.initial).unwrap();
            let mut story = story::Stories::new(1);
            trainer.train(&mut story).unwrap();
            let before = &story.0[0].weights;
            assert_eq!((before.len(), &before[0]), (6, &case.initial));
            let mut double = DoublePrecision::new(case.spec()).unwrap();
            assert_eq!(story.0[0].steps.len(), 5);
            for (step, weights) in story.0[0].steps.iter().zip(before) {
                let weights: Vec<Vec<f64>> =
                    weights.iter().map(|v| v.iter().map(|x| f64::from(*x)).collect()).collect();
                double.set_parameters(&weights);
                let (_, gradient) = double.gradient();
                for (recorded, exact) in [(&step.gradient_norms, &gradient), (&step.weight_norms, &weights)] {
                    let recorded = recorded.as_ref().unwrap();
                    for (parameter, values) in case.job.model.parameters.iter().zip(exact) {
                        let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
                        let error = relative_error(recorded[&parameter.name].map(f64::from), &[norm]);
                        let (number, on) = (step.step, &backend.info().backend);
                        assert!(error < 1e-5, "{name} on {on}, step {number}: {} is off by {error:e}", parameter.name);
                    }
                }
            }
        }
    }
}

#[test]
fn early_stopping_waits_as_long_as_asked_and_keeps_the_best() {
    let rule = "{ metric = \"validation_loss\", patience = 4 }";
    let overrides = [("train.early_stop", rule), ("data.validation", "60"), ("train.epochs", "400")];
    let job = story::golden_job("optimizer-adam", &[&overrides[..], &[("optimizer.learning_rate", "0.02")]].concat());
    let members = [Member { schedule: Schedule::default(), ..Member::of(&job.recipe) }];
    for backend in backends() {
        let mut trainer = Trainer::new(&*backend, spec(&job, &members)).unwrap();
        trainer.set_parameters(0, &job.model.initialise(1)).unwrap();
        let mut story = story::Stories::new(1);
        assert_eq!(trainer.train(&mut story).unwrap(), Stop::Early);
        let epochs = &story.0[0].epochs;
        let best = epochs.iter().min_by(|a, b| a.validation_loss.partial_cmp(&b.validation_loss).unwrap()).unwrap();
        assert_eq!(epochs.len() as u32, best.epoch + 4);
        let outcome = trainer.finish().unwrap().remove(0);
        assert_eq!((outcome.epoch, outcome.validation.map(|s| s.loss)), (best.epoch, best.validation_loss));
    }
}

#[test]
fn drop_last_leaves_out_the_short_batch() {
    let members = |job: &Job| [Member::of(&job.recipe)];
    for (drop, steps) in [("true", 4), ("false", 5)] {
        let job = story::golden_job("batch-partial", &[("train.drop_last", drop), ("train.epochs", "1")]);
        let trained = train(&CpuBackend::new(), &job, &members(&job));
        assert_eq!(trained[0].0.steps.len(), steps, "149 examples in batches of 31");
    }
    let job = story::golden_job("batch-partial", &[("train.drop_last", "true"), ("train.batch", "150")]);
    let error = Trainer::new(&CpuBackend::new(), spec(&job, &members(&job))).err().unwrap().to_string();
    assert!(error.contains("150") && error.contains("149") && error.contains("train.drop_last"), "{error}");
}
