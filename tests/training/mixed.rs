//! Mixed precision: products of factors rounded to f16, and a scaled loss whose overflows cost a step and nothing else.

use crate::cases::{GoldenCase, relative_error, spec};
use crate::common;
use crate::fused::{AsGpu, workload};
use crate::story::{Stories, golden_job};
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Array, write_arrays};
use gputrain::gradcheck::DoublePrecision;
use gputrain::ir::{MatrixUnits, Needs};
use gputrain::job::Job;
use gputrain::kernel::step::state;
use gputrain::planner::{BuildError, Fusion, NotFused};
use gputrain::recipe::{Precision, Recipe, Source};
use gputrain::train::{Checkpoint, Member, Silent, StepMetrics, Stop, TrainError, Trainer};

const MIXED: (&str, &str) = ("precision", "mixed");

/// Bundled golden cases: every optimizer, loss and kind of term, and convolutions, of few channels, which stay f32, and of more.
const CASES: [&str; 15] = [
    "optimizer-sgd",
    "optimizer-nesterov",
    "optimizer-adam",
    "optimizer-adamw-weight-decay",
    "optimizer-clip-norm-l2-weight-decay",
    "optimizer-adam-l2",
    // With its defaults Muon lifts a factor rounded the other way above the bounds below.
    "optimizer-muon-options",
    "loss-mse",
    "loss-binary-cross-entropy",
    "shape-deep",
    "shape-wide",
    "batch-partial",
    "cnn-mixed",
    "conv-f16",
    "loss-sample-weights",
];

fn trained(backend: &dyn Backend, case: &GoldenCase) -> Vec<Vec<f32>> {
    let mut trainer = Trainer::new(backend, case.spec()).unwrap();
    trainer.set_parameters(0, &case.initial).unwrap();
    trainer.train(&mut Silent).unwrap();
    let outcome = trainer.finish().unwrap().swap_remove(0);
    assert_eq!(outcome.skipped_steps, Some(0), "{}", case.name);
    outcome.parameters
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

fn worst(ours: &[Vec<f32>], exact: &[Vec<f64>]) -> f64 {
    let each = ours.iter().zip(exact).map(|(a, b)| relative_error(widen(a), b));
    each.fold(0.0, f64::max)
}

/// A factor rounded to f16 is off by at most 2^-11, 4.9e-4 of itself. Over a golden case's steps the weights may drift by a
/// few times that, and Adam's first steps, which divide a gradient by its own size, by more.
const OFF_F32: f64 = 1e-2;
/// Backends round equal numbers alike; where their f32 sums differ in the last bit, now and then a factor rounds the other way.
const OFF_EACH_OTHER: f64 = 1e-3;

#[test]
fn a_mixed_run_ends_near_pytorchs() {
    for name in CASES {
        let case = GoldenCase::load(name, &[MIXED]);
        let cpu = trained(&CpuBackend::new(), &case);
        let off = worst(&cpu, &case.last);
        println!("{name}: {off:.1e} off double precision");
        assert!(off < OFF_F32, "{name}: {off:e}");
        // It is not f32 under another name.
        assert!(off > 2.0 * case.last_spread, "{name}: {off:e}");
        assert_eq!(case.mixed.is_some(), name == "conv-f16");
        if let Some(rounded) = &case.mixed {
            let off = worst(&cpu, rounded);
            println!("{name}: {off:.1e} off double precision with the same factors rounded");
            assert!(off < OFF_EACH_OTHER, "{name}: {off:e}");
        }
        let exact: Vec<Vec<f64>> = cpu.iter().map(|v| widen(v)).collect();
        let reference = worst(&trained(&CpuBackend::reference_only(), &case), &exact);
        assert!(reference < OFF_EACH_OTHER, "{name}: the reference {reference:e}");
    }
}

/// What `epochs` of every case come to on Vulkan and on the CPU; all of them without a number.
fn vulkan_and_the_cpu_agree(epochs: Option<&str>) {
    let Some(gpu) = common::vulkan() else { return };
    let overrides: Vec<_> = std::iter::once(MIXED).chain(epochs.map(|epochs| ("train.epochs", epochs))).collect();
    for name in CASES {
        let case = GoldenCase::load(name, &overrides);
        let exact: Vec<Vec<f64>> = trained(&CpuBackend::new(), &case).iter().map(|v| widen(v)).collect();
        let off = worst(&trained(&gpu, &case), &exact);
        println!("{name}: {off:.1e} between Vulkan and the CPU");
        assert!(off < OFF_EACH_OTHER, "{name}: Vulkan {off:e}");
    }
}

/// 40 steps and more.
#[test]
fn a_mixed_run_begins_on_vulkan_as_on_the_cpu() {
    vulkan_and_the_cpu_agree(Some("10"));
}

#[test]
#[ignore = "takes minutes on a software driver: tests/run.sh --test training -- --ignored whole"]
fn a_whole_mixed_run_ends_on_vulkan_as_on_the_cpu() {
    vulkan_and_the_cpu_agree(None);
}

/// Words of a buffer in a checkpoint.
fn words<'a>(checkpoint: &'a mut Checkpoint, name: &str) -> &'a mut Vec<u32> {
    &mut checkpoint.buffers.iter_mut().find(|(known, _)| known == name).unwrap().1
}

/// Gives one model of a trainer that stands at its beginning another loss scale.
fn set_scale(trainer: &mut Trainer, model: usize, scale: f32) {
    let mut checkpoint = trainer.capture().unwrap();
    words(&mut checkpoint, "train.counters")[model * state::COUNTERS + state::LOSS_SCALE] = scale.to_bits();
    trainer.restore(&checkpoint).unwrap();
}

fn scale(checkpoint: &mut Checkpoint, model: usize) -> f32 {
    f32::from_bits(words(checkpoint, "train.counters")[model * state::COUNTERS + state::LOSS_SCALE])
}

fn start(backend: &dyn Backend, job: &Job, members: &[Member]) -> Trainer {
    let mut trainer = Trainer::new(backend, spec(job, members)).unwrap();
    for (index, member) in members.iter().enumerate() {
        trainer.set_parameters(index, &job.model.initialise(member.seed)).unwrap();
    }
    trainer
}

fn backends() -> Vec<Box<dyn Backend>> {
    let cpu: Box<dyn Backend> = Box::new(CpuBackend::new());
    std::iter::once(cpu).chain(common::vulkan().map(|gpu| Box::new(gpu) as Box<dyn Backend>)).collect()
}

#[test]
fn an_overflow_halves_the_scale_and_changes_nothing_else() {
    for backend in backends() {
        for name in [
            "optimizer-adam",
            "optimizer-nesterov",
            "optimizer-clip-norm-l2-weight-decay",
            "optimizer-muon",
            "batch-norm-features",
        ] {
            let job = golden_job(name, &[MIXED]);
            let members = [Member::of(&job.recipe)];
            let mut trainer = start(&*backend, &job, &members);
            let most = 2f32.powi(40);
            set_scale(&mut trainer, 0, most);
            let mut before = trainer.capture().unwrap();
            trainer.time_steps(1).unwrap();
            let mut after = trainer.capture().unwrap();
            assert_eq!(scale(&mut after, 0), most / 2.0, "{name}");
            assert_eq!(words(&mut after, "train.loss_scale"), &[0, 1], "{name}");
            for kept in ["parameters", "mean", "variance", "velocity"] {
                if before.buffers.iter().any(|(known, _)| known == kept) {
                    assert_eq!(words(&mut before, kept), words(&mut after, kept), "{name}: {kept}");
                }
            }
            // The forward pass ran, which moves running statistics, as in PyTorch.
            if !job.model.statistics.is_empty() {
                assert_ne!(words(&mut before, "statistics"), words(&mut after, "statistics"), "{name}");
            }
            for slot in [state::BETA1_CORRECTION, state::BETA2_CORRECTION] {
                assert_eq!(words(&mut before, "train.scalars")[slot], words(&mut after, "train.scalars")[slot]);
            }
            // It goes on halving until the gradients fit, and then trains.
            let mut steps = 1;
            while words(&mut after, "train.loss_scale")[0] == 0 {
                trainer.time_steps(1).unwrap();
                (after, steps) = (trainer.capture().unwrap(), steps + 1);
                assert!(steps < 60, "{name}: the scale never fits");
            }
            assert_eq!(words(&mut after, "train.loss_scale"), &[1, steps - 1], "{name}");
            assert_eq!(scale(&mut after, 0), most / 2f32.powi(steps as i32 - 1), "{name}");
            assert_ne!(words(&mut before, "parameters"), words(&mut after, "parameters"), "{name}");
            assert!(words(&mut after, "parameters").iter().all(|w| f32::from_bits(*w).is_finite()), "{name}");
            assert_eq!(trainer.finish().unwrap()[0].skipped_steps, Some(steps - 1), "{name}");
        }
    }
}

#[test]
fn each_model_has_its_own_scale_and_ends_with_the_bits_it_has_alone() {
    for backend in backends() {
        let job = golden_job("optimizer-adam", &[MIXED]);
        let members: Vec<Member> = (0..3).map(|seed| Member { seed, ..Member::of(&job.recipe) }).collect();
        let run = |members: &[Member], high: Option<usize>| {
            let mut trainer = start(&*backend, &job, members);
            if let Some(model) = high {
                set_scale(&mut trainer, model, 2f32.powi(36));
            }
            trainer.train(&mut Silent).unwrap();
            trainer.finish().unwrap()
        };
        let together = run(&members, Some(1));
        for (index, outcome) in together.iter().enumerate() {
            let alone = run(&members[index..=index], (index == 1).then_some(0)).swap_remove(0);
            assert_eq!(outcome, &alone, "model {index}");
            assert_eq!(outcome.skipped_steps > Some(0), index == 1, "model {index}");
        }
    }
}

#[test]
fn a_resumed_mixed_run_takes_the_very_same_steps() {
    let accumulate: &[(&str, &str)] = &[("train.accumulate", "2"), ("train.ema", "0.9")];
    let backends = backends();
    for (backend, more) in backends.iter().flat_map(|backend| [(&**backend, &[][..]), (&**backend, accumulate)]) {
        let job = golden_job("optimizer-adam-l2", &[&[MIXED], more].concat());
        let members = [Member::of(&job.recipe)];
        let begin = || {
            let mut trainer = start(backend, &job, &members);
            // Some of the first steps are skipped.
            set_scale(&mut trainer, 0, 2f32.powi(30));
            trainer
        };
        let mut whole = begin();
        assert_eq!(whole.train(&mut Silent).unwrap(), Stop::Finished);
        let mut stories = Stories::new(1);
        stories.1.stop_after = Some(2);
        let mut stopped = begin();
        assert_eq!(stopped.train(&mut stories).unwrap(), Stop::Interrupted);
        let mut resumed = start(backend, &job, &members);
        resumed.restore(&stories.1.checkpoint.unwrap()).unwrap();
        assert_eq!(resumed.train(&mut Silent).unwrap(), Stop::Finished);
        assert_eq!(whole.capture().unwrap().buffers, resumed.capture().unwrap().buffers);
        assert!(whole.finish().unwrap()[0].skipped_steps > Some(0));
    }
}

/// Kernels of a step.
fn kernels(backend: &dyn Backend, job: &Job) -> Vec<&'static str> {
    let members = [Member::of(&job.recipe)];
    let trainer = Trainer::with_fusion(backend, spec(job, &members), Fusion::Never).unwrap();
    trainer.step_program().dispatches().map(|dispatch| dispatch.kernel.name).collect()
}

#[test]
fn products_are_planned_the_best_way_that_the_device_has() {
    let units = MatrixUnits { matrix: 16, subgroup: 32 };
    let with_units = AsGpu::with(|limits| limits.matrix_units = Some(units));
    // Of convolutions those stay f32 that would mostly be padding, and the bias of a transposed one.
    let stay = |name: &&&str| {
        ["conv2d", "depthwise"].iter().any(|kind| name.starts_with(kind))
            && !name.ends_with("_f16")
            && !name.ends_with("_cooperative")
    };
    let f32 = [
        "conv2d_forward_direct",
        "conv2d_backward_weight",
        "depthwise_backward_weight",
        "conv2d_backward_input_direct",
    ];
    let networks = [("shape-deep", &[][..]), ("conv-f16", &f32[..])];
    let ways = [(&AsGpu::new(), "_f16"), (&with_units, "_cooperative")];
    for ((network, f32), (backend, form)) in networks.into_iter().flat_map(|network| ways.map(|way| (network, way))) {
        let names = kernels(backend, &golden_job(network, &[MIXED]));
        assert_eq!(names.iter().filter(stay).copied().collect::<Vec<_>>(), f32, "{names:?}");
        let products: Vec<_> = names.iter().filter(|name| name.starts_with("dense_")).collect();
        assert!(!products.is_empty() && products.iter().all(|name| name.ends_with(form)), "{names:?}");
        let count = |kernel: &str| names.iter().filter(|name| **name == format!("{kernel}{form}")).count();
        let expected = if network == "conv-f16" { [4, 3, 4] } else { [0; 3] };
        let kinds = ["conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight"];
        assert_eq!(kinds.map(count), expected, "{names:?}");
        for launch in ["unscale_gradients", "adjust_loss_scale"] {
            assert_eq!(names.iter().filter(|name| **name == launch).count(), 1, "{names:?}");
        }
    }
    let plain = kernels(&with_units, &golden_job("shape-deep", &[]));
    let mixed = |name: &&str| name.ends_with("_f16") || name.ends_with("_cooperative") || name.contains("scale");
    assert!(!plain.iter().any(mixed), "{plain:?}");
}

#[test]
fn a_launch_never_takes_more_of_a_workgroup_than_the_device_has() {
    for (name, kind) in [("mnist-mlp-adam", "dense_"), ("resnet20", "conv2d_")] {
        let mut job = workload(name, 200);
        job.recipe.precision = Precision::Mixed;
        let members = [Member::of(&job.recipe)];
        let mut largest = Vec::new();
        for units in [32, 64].map(|subgroup| MatrixUnits { matrix: 16, subgroup }) {
            for (bytes, threads) in [(48 << 10, 1024), (16 << 10, 256), (10_000, 128), (4000, 1024), (48 << 10, 64)] {
                let backend = AsGpu::with(|limits| {
                    limits.matrix_units = Some(units);
                    (limits.workgroup_bytes, limits.workgroup_threads, limits.busy_workgroups) = (bytes, threads, 1);
                });
                let trainer = Trainer::with_fusion(&backend, spec(&job, &members), Fusion::Never).unwrap();
                let launches = trainer.step_program().dispatches();
                let products: Vec<_> = launches.filter(|d| d.kernel.name.starts_with(kind)).collect();
                assert!(products.iter().all(|d| d.kernel.needs != Needs::Nothing));
                let on_units: Vec<_> = products.iter().filter(|d| d.kernel.needs == Needs::MatrixUnits).collect();
                let taken: Vec<_> = on_units.iter().map(|d| d.demands.workgroup).collect();
                assert!(taken.iter().all(|taken| taken.bytes <= bytes && taken.threads <= threads), "{taken:?}");
                largest.push(taken.iter().map(|taken| taken.bytes).max());
            }
        }
        // A smaller tile, or registers where none is small enough.
        assert!(largest[0] > largest[2] && largest[2].is_some(), "{name}: {largest:?}");
        assert_eq!((largest[3], largest[4]), (None, None), "{name}: {largest:?}");
    }
}

#[test]
fn a_device_without_f16_refuses_and_a_fused_step_is_not_mixed() {
    let job = golden_job("shape-deep", &[MIXED]);
    let members = [Member::of(&job.recipe)];
    let without = AsGpu::with(|limits| limits.f16 = false);
    let error = Trainer::new(&without, spec(&job, &members)).err().unwrap();
    assert!(matches!(error, TrainError::Build(BuildError::NoF16)), "{error}");
    assert!(["precision", "f32", "--backend cpu"].iter().all(|part| error.to_string().contains(part)), "{error}");
    let trainer = Trainer::new(&AsGpu::new(), spec(&job, &members)).unwrap();
    assert_eq!(trainer.not_fused(), Some(&NotFused::Precision));
    let error = Trainer::with_fusion(&AsGpu::new(), spec(&job, &members), Fusion::Always).err().unwrap();
    assert!(error.to_string().contains("precision is mixed"), "{error}");
}

/// One weight of 2, two inputs of ±1, targets of 0: the squared error's slope is 4 in all, and 65536 times that at the output is
/// beyond f16.
fn steep() -> Job {
    let text = "name = \"steep\"\nprecision = \"mixed\"\n[data]\nscale = \"none\"\n[model]\ninput = [1]\nloss = \"mse\"\n\
                layers = [{ dense = 1, bias = false }]\n[optimizer]\nkind = \"sgd\"\nlearning_rate = 0.125\n[train]\n\
                epochs = 4\nbatch = 2\nlog_every = 1\nrecord = [\"gradient_norms\"]\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steep.npz");
    let columns = [&[1.0, -1.0], &[0.0, 0.0]].map(|values| Array::from_f32(&[2, 1], values).unwrap());
    write_arrays(&file, &[("x", &columns[0]), ("y", &columns[1])]).unwrap();
    let mut recipe = Recipe::parse(text, "steep.toml", &[]).unwrap();
    let key = |key: &str| format!("{}#{key}", file.display());
    recipe.data.train = Some(Source::Arrays { images: key("x"), labels: key("y") });
    Job::load(recipe).unwrap()
}

#[test]
fn the_gradient_alone_halves_the_scale_too() {
    let job = steep();
    let members = [Member::of(&job.recipe)];
    for backend in backends() {
        let mut trainer = Trainer::new(&*backend, spec(&job, &members)).unwrap();
        trainer.set_parameters(0, &[vec![2.0]]).unwrap();
        let before = trainer.capture().unwrap();
        assert_eq!(trainer.gradient().unwrap(), (4.0, vec![vec![4.0]]), "{}", backend.info().backend);
        assert_eq!(trainer.capture().unwrap().buffers, before.buffers, "the run's own scale stays");
        // A gradient that is not finite at any scale is given as it is.
        trainer.set_parameters(0, &[vec![f32::NAN]]).unwrap();
        assert!(trainer.gradient().unwrap().1[0][0].is_nan());
    }
    let mut rounded = DoublePrecision::rounded(spec(&job, &members), Precision::Mixed).unwrap();
    rounded.set_parameters(&[vec![2.0]]);
    assert_eq!(rounded.gradient(), (4.0, vec![vec![4.0]]));
}

#[test]
fn a_skipped_step_has_no_norms_and_says_so() {
    let job = steep();
    let members = [Member::of(&job.recipe)];
    for backend in backends() {
        let mut trainer = Trainer::new(&*backend, spec(&job, &members)).unwrap();
        trainer.set_parameters(0, &[vec![2.0]]).unwrap();
        let mut stories = Stories::new(1);
        trainer.train(&mut stories).unwrap();
        let steps = &stories.0[0].steps;
        let seen = |step: &StepMetrics| (step.skipped, step.gradient_norms.as_ref().unwrap()["layers.0.weight"]);
        // The slope at the output is 2 times the scale: beyond 65504 at 65536 and at 32768.
        let expected = [(Some(true), None), (Some(true), None), (Some(false), Some(4.0)), (Some(false), Some(3.0))];
        assert_eq!(steps.iter().map(seen).collect::<Vec<_>>(), expected, "{}", backend.info().backend);
        // As a line of steps.jsonl, which a run that goes on reads again.
        for step in steps {
            let line = serde_json::to_string(step).unwrap();
            assert_eq!(serde_json::from_str::<StepMetrics>(&line).unwrap(), *step, "{line}");
        }
    }
}
