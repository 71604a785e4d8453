//! Which training steps are fused into two launches, and that such a step is the plain one to rounding.

use crate::cases::{spec, trained_on};
use crate::common;
use crate::story::{self, golden_job};
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::gpu::GpuBackend;
use gputrain::backend::{Backend, BackendError, DeviceInfo, Session};
use gputrain::data::{Examples, Features, Storage, Targets};
use gputrain::ir::{Limits, Plan};
use gputrain::job::Job;
use gputrain::model::Model;
use gputrain::planner::{BuildError, Fusion, NotFused};
use gputrain::recipe::Recipe;
use gputrain::train::{Member, Stop, TrainError, Trainer};
use std::sync::Arc;

/// The CPU with a GPU's limits.
pub struct AsGpu(CpuBackend, Limits);

impl AsGpu {
    pub fn new() -> AsGpu {
        let limits = Limits {
            buffer_bytes: 1 << 32,
            binding_bytes: 1 << 30,
            data_bytes: u64::MAX,
            workgroups: 65_535,
            busy_workgroups: 256,
            workgroup_bytes: 32 << 10,
            workgroup_threads: 1024,
            costly_launches: true,
            f16: true,
            matrix_units: None,
        };
        AsGpu(CpuBackend::new(), limits)
    }

    pub fn with(change: impl FnOnce(&mut Limits)) -> AsGpu {
        let mut gpu = AsGpu::new();
        change(&mut gpu.1);
        gpu
    }
}

impl Backend for AsGpu {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    fn limits(&self) -> Limits {
        self.1
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        self.0.prepare(plan)
    }
}

/// A bundled recipe over a data set that holds nothing but zeros.
pub fn workload(name: &str, examples: usize) -> Job {
    let mut recipe = Recipe::parse(Recipe::builtin(name).unwrap(), name, &[]).unwrap();
    recipe.train.early_stop = None;
    let model = Model::build(&recipe.model, None).unwrap();
    let train = Examples {
        features: Features {
            storage: Storage::U8(vec![0; examples * model.input.len()].into()),
            count: examples,
            shape: model.input,
        },
        targets: Targets::Classes { labels: vec![0; examples], classes: model.outputs() },
        weights: None,
        rows: None,
    };
    trained_on(recipe, model, train)
}

/// Launches of a step, and why there are more than two.
fn plan(backend: &dyn Backend, job: &Job, fusion: Fusion) -> (usize, Option<NotFused>) {
    let members = [Member::of(&job.recipe)];
    let trainer = Trainer::with_fusion(backend, spec(job, &members), fusion).unwrap();
    (trainer.step_program().len(), trainer.not_fused().cloned())
}

#[test]
fn small_dense_workloads_take_two_launches_a_step() {
    for name in ["mnist-mlp-adam", "mnist-mlp-tanh", "fashion-mlp-10x3", "fashion-mlp-40x5-l2", "fashion5-mlp1"] {
        let job = workload(name, 2000);
        assert_eq!(plan(&AsGpu::new(), &job, Fusion::Auto), (2, None), "{name}");
        let (launches, reason) = plan(&AsGpu::new(), &job, Fusion::Never);
        assert!(launches > 8 && reason == Some(NotFused::Asked), "{name}: {launches} launches");
    }
}

#[test]
fn what_is_not_fused_has_a_reason() {
    let reason = |job: &Job| {
        let (launches, reason) = plan(&AsGpu::new(), job, Fusion::Auto);
        assert!(launches > 2, "{}", job.recipe.name);
        reason.unwrap()
    };
    assert!(matches!(reason(&workload("fashion5-cnn3", 300)), NotFused::Operation(op) if op.contains("convolution")));
    let wide = workload("notmnist-mlp-1000", 300);
    assert!(matches!(reason(&wide), NotFused::WorkgroupMemory { limit: 32_768, .. }));
    let roomy = AsGpu::with(|limits| limits.workgroup_bytes = 48 << 10);
    assert!(matches!(plan(&roomy, &wide, Fusion::Auto).1, Some(NotFused::Weights { .. })));
    let job = golden_job("optimizer-adam", &[]);
    let changed = |set: &[(&str, &str)]| reason(&golden_job("optimizer-adam", set));
    assert_eq!(changed(&[("optimizer.clip_norm", "1.0")]), NotFused::ClipNorm);
    assert_eq!(changed(&[("train.record", "[\"weight_norms\"]"), ("train.log_every", "1")]), NotFused::Norms);
    let layers = |layers: &str| changed(&[("model.layers", layers)]);
    let dropout = layers("[{ dense = 9, activation = \"relu\" }, { dropout = 0.5 }, { dense = 5 }]");
    assert_eq!(dropout, NotFused::Operation("the dropout layers.1".into()));
    let gelu = layers("[{ dense = 9, activation = \"gelu\" }, { dense = 5 }]");
    assert_eq!(gelu, NotFused::Operation("the activation gelu".into()));
    assert_eq!(layers(&format!("[{}{{ dense = 5 }}]", "{ dense = 9 }, ".repeat(8))), NotFused::Layers(9));
    assert!(matches!(reason(&golden_job("loss-mse", &[])), NotFused::Loss(_)));
    assert_eq!(changed(&[("model.label_smoothing", "0.1")]), NotFused::LabelSmoothing);
    assert_eq!(changed(&[("train.accumulate", "2")]), NotFused::Accumulates);
    for other in ["optimizer-lion", "optimizer-muon"] {
        assert!(matches!(reason(&golden_job(other, &[])), NotFused::Optimizer(_)), "{other}");
    }
    let traffic = noise_of(100, 10_000, "[{ dense = 200 }, { dense = 5 }]");
    assert!(matches!(reason(&traffic), NotFused::Traffic { .. }));

    let on = |gpu: AsGpu| plan(&gpu, &job, Fusion::Auto).1;
    assert_eq!(on(AsGpu::with(|limits| limits.costly_launches = false)), Some(NotFused::CheapLaunches));
    let small = on(AsGpu::with(|limits| limits.workgroup_bytes = 4096));
    assert!(matches!(small, Some(NotFused::WorkgroupMemory { limit: 4096, .. })), "{small:?}");
    assert_eq!(on(AsGpu::with(|limits| limits.data_bytes = 0)), None, "a streamed set");
}

/// A full batch of so many examples.
fn noise_of(features: usize, examples: usize, layers: &str) -> Job {
    let input = format!("[{features}]");
    let set = [("model.input", input.as_str()), ("model.layers", layers), ("train.batch", "\"full\"")];
    let set: Vec<(String, String)> = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let recipe = Recipe::parse(Recipe::builtin("digits").unwrap(), "digits", &set).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let storage = Storage::U8((0..examples * features).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect());
    let train = Examples {
        features: Features { storage, count: examples, shape: model.input },
        targets: Targets::Classes { labels: (0..examples as u32).map(|i| i * 7 % 5).collect(), classes: 5 },
        weights: None,
        rows: None,
    };
    trained_on(recipe, model, train)
}

#[test]
fn a_fused_step_that_is_not_possible_is_refused() {
    let job = golden_job("optimizer-clip-norm", &[]);
    let members = [Member::of(&job.recipe)];
    let error = Trainer::with_fusion(&CpuBackend::new(), spec(&job, &members), Fusion::Always).err().unwrap();
    assert!(matches!(error, TrainError::Build(BuildError::NotFused(NotFused::ClipNorm))), "{error}");
    assert!(error.to_string().contains("optimizer.clip_norm"), "{error}");
}

/// Losses of all steps, and the final weights.
fn train(backend: &dyn Backend, job: &Job, fusion: Fusion) -> (Vec<f32>, Vec<Vec<f32>>) {
    let members = [Member::of(&job.recipe)];
    let mut trainer = Trainer::with_fusion(backend, spec(job, &members), fusion).unwrap();
    assert_eq!(trainer.not_fused().is_none(), fusion == Fusion::Always);
    trainer.set_parameters(0, &job.model.initialise(job.recipe.seed)).unwrap();
    let mut story = story::Stories::new(1);
    assert_eq!(trainer.train(&mut story).unwrap(), Stop::Finished);
    (story.0[0].steps.iter().map(|step| step.loss).collect(), trainer.parameters(0).unwrap())
}

/// The digits, 784 features wide, in 18 steps an epoch with a short last batch.
fn digits(optimizer: &[(&str, &str)], epochs: &str) -> Job {
    let layers = "[{ dense = 64, activation = \"tanh\" }, { dense = 10, activation = \"sigmoid\" }, { dense = 10 }]";
    let set = [("model.layers", layers), ("train.batch", "31"), ("train.epochs", epochs), ("train.log_every", "1")];
    let set: Vec<(String, String)> = set.iter().chain(optimizer).map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let mut job = Job::load(Recipe::parse(Recipe::builtin("digits").unwrap(), "digits", &set).unwrap()).unwrap();
    let dataset = Arc::make_mut(&mut job.dataset);
    dataset.train = dataset.train.select(&(0..540).collect::<Vec<_>>());
    (dataset.validation, dataset.test) = (None, None);
    job
}

#[test]
fn fused_and_plain_trainings_agree() {
    let sgd = ("optimizer.kind", "\"sgd\"");
    let optimizers: [&[(&str, &str)]; 5] = [
        &[("train.ema", "0.9"), ("schedule", "{ kind = \"one_cycle\" }"), ("optimizer.learning_rate", "0.01")],
        &[("optimizer.kind", "\"adam\""), ("optimizer.l2", "0.001")],
        &[("optimizer.kind", "\"adamw\""), ("optimizer.weight_decay", "0.01")],
        &[sgd, ("optimizer.learning_rate", "0.1"), ("optimizer.weight_decay", "0.001")],
        &[sgd, ("optimizer.learning_rate", "0.05"), ("optimizer.momentum", "0.9"), ("optimizer.l2", "0.001")],
    ];
    let (cpu, vulkan) = (CpuBackend::new(), common::vulkan());
    let backends =
        std::iter::once(&cpu as &dyn Backend).chain(vulkan.as_ref().map(|gpu: &GpuBackend| gpu as &dyn Backend));
    for (backend, optimizer) in backends.flat_map(|backend| optimizers.map(|optimizer| (backend, optimizer))) {
        // A software GPU is slow.
        let on_cpu = backend.info().backend == "cpu";
        let job = digits(optimizer, if on_cpu { "12" } else { "4" });
        let (fused, weights) = train(backend, &job, Fusion::Always);
        let (plain, plain_weights) = train(backend, &job, Fusion::Never);
        assert!(fused.len() > 70 && fused.len() == plain.len());
        assert!(!on_cpu || fused[fused.len() - 1] < 0.7 * fused[0], "it learns");
        for (step, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
            let error = (fused - plain).abs() / plain.abs();
            assert!(error < 2e-4, "{optimizer:?}, step {step}: loss {fused}, plain {plain}");
        }
        for (fused, plain) in weights.iter().flatten().zip(plain_weights.iter().flatten()) {
            assert!((fused - plain).abs() < 2e-3, "{optimizer:?}: weight {fused}, plain {plain}");
        }
    }
}
