//! `[augment]`: images change while training, by seed, epoch and example alone, and nowhere else.

use crate::binary::{Workplace, fail, succeed, text};
use crate::cases::spec;
use crate::members::{backends, bits, interrupted, train};
use crate::streamed::Room;
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Dataset, Examples, Features, Storage, Targets};
use gputrain::ir::{Limits, PhaseKind};
use gputrain::job::Job;
use gputrain::model::{Model, Shape};
use gputrain::planner::{Fusion, NotFused};
use gputrain::ranks::{RankError, Threads};
use gputrain::recipe::Recipe;
use gputrain::train::{Draft, Member, Mixed, Seen, Set, TrainError, Trainer};
use std::sync::Arc;

const ALL: [(&str, &str); 8] = [
    ("augment.flip", "both"),
    ("augment.translate", "2"),
    ("augment.rotate", "15"),
    ("augment.scale", "[0.8, 1.3]"),
    ("augment.brightness", "0.3"),
    ("augment.contrast", "0.4"),
    ("augment.erase", "0.3"),
    MIXUP,
];

const MIXUP: (&str, &str) = ("augment.mixup", "0.4");

/// 37 images of 6 x 5 and 3 channels in batches of 8, as many to validate with.
fn job(overrides: &[(&str, &str)]) -> Job {
    let recipe = "[model]\ninput = [6, 5, 3]\nlayers = \"7:relu,4\"\n[optimizer]\nkind = \"sgd\"\nlearning_rate = 0.05\n\
                  [train]\nbatch = 8\nepochs = 3\nlog_every = 1";
    let overrides: Vec<(String, String)> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let recipe = Recipe::parse(recipe, "images", &overrides).unwrap();
    let storage = Storage::U8((0..37 * 90u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
    let features = Features { storage, count: 37, shape: Shape::Image { channels: 3, height: 6, width: 5 } };
    let targets = Targets::Classes { labels: (0..37).map(|i| i * 7 % 4).collect(), classes: 4 };
    let train = Examples::unweighted(features, targets);
    let mut job = Job::with_examples(recipe, train, None).unwrap();
    let train = job.dataset.train.clone();
    job.dataset = Dataset { train: train.clone(), validation: Some(train), test: None }.into();
    job
}

#[test]
fn changes_follow_from_seed_epoch_and_example_alone() {
    let geometric = &ALL[..2];
    let accumulated = [&ALL[..], &[("train.accumulate", "2")]].concat();
    // Losses that are not linear in the target take the way over mixed targets.
    let values = [MIXUP, ("model.loss", "huber"), ("train.accumulate", "2")];
    let in_f16 = [MIXUP, ("precision", "mixed")];
    for overrides in [geometric, &ALL, &accumulated, &values, &in_f16] {
        let job = job(overrides);
        let member = |seed| Member { seed, ..Member::of(&job.recipe) };
        let members = [member(1), member(2), member(1)];
        for backend in backends() {
            let on = &backend.info().backend;
            let together = train(&*backend, &job, &members);
            let alone = train(&*backend, &job, &members[1..2]);
            assert_eq!(together[1].0, alone[0].0, "{on}, {overrides:?}: beside others");
            assert!(bits(&together[1].1) == bits(&alone[0].1), "{on}, {overrides:?}: weights beside others");
            assert!(bits(&together[0].1) == bits(&together[2].1) && bits(&together[0].1) != bits(&alone[0].1));
            let streamed = train(&Room(&*backend, 0), &job, &members[1..2]);
            assert_eq!(streamed[0].0, alone[0].0, "{on}, {overrides:?}: streamed");
            assert!(bits(&streamed[0].1) == bits(&alone[0].1), "{on}, {overrides:?}: streamed weights");
        }
    }
}

#[test]
fn a_run_that_goes_on_sees_the_same_images() {
    let job = job(&[&ALL[..], &[("train.record", "[\"validation\"]")]].concat());
    for backend in backends() {
        let whole = train(&*backend, &job, &[Member::of(&job.recipe)]);
        let (measured, parameters) = interrupted(&*backend, &job, 7);
        assert_eq!(measured, whole[0].0);
        assert!(bits(&parameters) == bits(&whole[0].1), "{}", backend.info().backend);
    }
}

/// The loss of the first batch, of one step in file order, with the losses of both sets before.
fn first_losses(overrides: &[(&str, &str)]) -> [f32; 3] {
    let job = job(&[&[("train.shuffle", "false"), ("train.batch", "full")], overrides].concat());
    let mut trainer = Trainer::new(&CpuBackend::new(), spec(&job, &[Member::of(&job.recipe)])).unwrap();
    trainer.set_parameters(0, &job.model.initialise(5)).unwrap();
    let validation = trainer.scores(Set::Validation).unwrap()[0].loss;
    let (training, gradient) = trainer.gradient().unwrap();
    [validation, training, gradient[0].iter().sum()]
}

#[test]
fn evaluations_see_the_images_as_they_are() {
    let [plain, changed] = [&[][..], &ALL].map(first_losses);
    assert_eq!(plain[0].to_bits(), changed[0].to_bits(), "validation");
    assert!((plain[0] - plain[1]).abs() < 1e-5, "the same set: {plain:?}");
    assert!((plain[1] - changed[1]).abs() > 1e-4, "{plain:?} {changed:?}");
}

#[test]
fn augmentation_is_a_phase_of_its_own_and_never_fused() {
    let job = job(&ALL);
    let limits = Limits { costly_launches: true, ..CpuBackend::new().limits() };
    let draft = Draft::new(spec(&job, &[Member::of(&job.recipe)]), Fusion::Auto, limits).unwrap();
    assert_eq!(draft.not_fused(), Some(&NotFused::Augments));
    let programs =
        draft.plan().programs.iter().filter(|program| program.phases.iter().any(|p| p.kind == PhaseKind::Augment));
    let names: Vec<&str> = programs.map(|program| &*program.name).collect();
    assert!(names.contains(&"train step") && names.iter().all(|name| !name.contains("validation")), "{names:?}");
}

/// The gradient of weights of zeros tells the inputs and the targets that a step sees: those that are drawn.
#[test]
fn what_is_drawn_is_what_a_step_sees() {
    let set = [MIXUP, ("augment.flip", "both"), ("augment.translate", "2"), ("train.batch", "full")];
    let layers = ("model.layers", "[{ dense = 4, bias = false }]");
    let job = job(&[&set[..], &[layers, ("model.loss", "mse")]].concat());
    let drawn = spec(&job, &[Member::of(&job.recipe)]);
    // Of class k.
    let target = |example: usize, k: usize| if example * 7 % 4 == k { 1.0 } else { 0.0 };
    let mut expected = vec![0.0; 4 * 90];
    let mut others = Vec::new();
    for example in 0..37 {
        let Seen { values, mixed } = drawn.augmented(example, 1).unwrap().1.remove(0);
        let Mixed { example: other, share } = mixed.expect("every example is in the epoch");
        assert!(share > 0.0 && share < 1.0 && other != example);
        others.push(other);
        for (k, sums) in expected.chunks_mut(90).enumerate() {
            let target = target(example, k) + share * (target(other, k) - target(example, k));
            sums.iter_mut().zip(&values).for_each(|(sum, value)| *sum -= 2.0 / (37.0 * 4.0) * target * value);
        }
    }
    others.sort_unstable();
    assert_eq!(others, (0..37).collect::<Vec<_>>(), "each is mixed into one other");
    for backend in backends() {
        let mut trainer = Trainer::new(&*backend, drawn.clone()).unwrap();
        trainer.set_parameters(0, &[vec![0.0; 4 * 90]]).unwrap();
        let (_, gradient) = trainer.gradient().unwrap();
        let gap = gradient[0].iter().zip(&expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(gap < 1e-6 && expected[0] < -1e-3, "on {}: {gap}", backend.info().backend);
    }
    // An epoch that leaves examples out mixes them with nothing.
    let left = self::job(&[MIXUP, ("train.drop_last", "true")]);
    let left = spec(&left, &[Member::of(&left.recipe)]);
    let alone = (0..37).filter(|example| left.augmented(*example, 1).unwrap().1[0].mixed.is_none()).count();
    assert_eq!(alone, 37 % 8);
}

#[test]
fn ranks_refuse_to_mix_what_lies_on_several_of_them() {
    let job = job(&[MIXUP]);
    let ranks = Threads::ranks(2).into_iter();
    for rank in ranks {
        let error = Trainer::among(&CpuBackend::new(), spec(&job, &[Member::of(&job.recipe)]), Arc::new(rank)).err();
        assert!(matches!(error, Some(TrainError::Ranks(RankError::Mixup))), "{error:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_remedy() {
    let refused = |overrides: &[(&str, &str)], change: fn(&mut Job)| {
        let mut job = job(overrides);
        change(&mut job);
        let error = Trainer::new(&CpuBackend::new(), spec(&job, &[Member::of(&job.recipe)])).err();
        match error.expect("refused") {
            TrainError::Augment(text) => text,
            other => panic!("{other}"),
        }
    };
    let flat = refused(&[("augment.flip", "horizontal")], |job| job.model.input = Shape::Features(90));
    assert!(flat.contains("90 features") && flat.contains("give model.input as [height, width, channels]"), "{flat}");
    let far = refused(&[("augment.translate", "5")], |_| ());
    assert!(far.contains("translate = 5") && far.contains("less than 5"), "{far}");
    let large: fn(&mut Job) = |job| job.model.input = Shape::Image { channels: 1, height: 10_000, width: 10_000 };
    let large = refused(&[("augment.erase", "0.5")], large);
    assert!(large.contains("67108864 pixels"), "{large}");
    let standard: fn(&mut Job) = |job| {
        let scaling = &mut job.scaling;
        (scaling.subtract, scaling.divide) = ((0..90).map(|i| i as f32).collect(), vec![1.0; 90]);
    };
    let scaled = refused(&[("augment.rotate", "5")], standard);
    assert!(scaled.contains("data.scale = \"unit\""), "{scaled}");
    let alone = refused(&[MIXUP, ("train.batch", "1")], |_| ());
    assert!(alone.contains("train.batch = 1 leaves each alone; make the batch larger"), "{alone}");
    let levels: fn(&mut Job) = |job| {
        let text = "[model]\ninput = [90]\nlayers = [{ embedding = 2, levels = 256 }, { dense = 4 }]";
        job.model = Model::build(&Recipe::parse(text, "levels", &[]).unwrap().model, None).unwrap();
    };
    let levels = refused(&[MIXUP], levels);
    assert!(levels.contains("numbers of levels") && levels.contains("remove augment.mixup"), "{levels}");
    // Channels that are scaled each by itself keep their places.
    let by_channel = ("data.normalize", "{ mean = [0.5, 0.25, 0.75], std = [0.25, 0.5, 0.125] }");
    let by_channel = job(&[&ALL[..], &[by_channel]].concat());
    assert_eq!(by_channel.scaling.subtract.len(), 90);
    assert!(Trainer::new(&CpuBackend::new(), spec(&by_channel, &[Member::of(&by_channel.recipe)])).is_ok());
    let said = by_channel.described().join("\n");
    assert!(
        said.contains("scale unit: divided by 255, then less [0.5, 0.25, 0.75], divided by [0.25, 0.5, 0.125]"),
        "{said}"
    );
    let mut coloured = job(&[("augment.contrast", "0.5"), ("augment.erase", "0.5")]);
    standard(&mut coloured);
    let coloured = Arc::new(coloured);
    assert!(Trainer::new(&CpuBackend::new(), spec(&coloured, &[Member::of(&coloured.recipe)])).is_ok());
}

#[test]
fn what_augmentation_does_is_said() {
    let set = [("augment.flip", "both"), ("augment.scale", "[0.9, 1.25]"), ("augment.erase", "0.2")];
    let said = job(&set).described().join("\n");
    let line = "augment (training images alone): flip both, scale by 0.9 to 1.25, erase up to 20 %";
    assert!(said.contains(line), "{said}");
    assert!(!said.contains("mixup") && !job(&[]).described().join("\n").contains("augment"));
    let said = job(&[MIXUP]).described().join("\n");
    assert!(said.contains("in a ratio from Beta(0.4, 0.4); training's loss and accuracy are those of mixed"), "{said}");
    assert!(!said.contains("augment (training images alone)"), "{said}");
}

#[test]
fn inspect_draws_what_augmentation_does() {
    let workplace = Workplace::new("");
    let file = workplace.path("augmented.png");
    let out = file.to_str().unwrap();
    let digits = ["inspect", "digits", "--augment", "--set", "model.input=[28, 28, 1]", "--set", "data.examples=10"];
    let asked = |more: &[&'static str]| [&digits[..], more].concat();
    let output = succeed(&[&asked(&["--set", "augment.translate=4"])[..], &["--out", out]].concat());
    assert!(text(&output.stdout).contains("6 images"), "{}", text(&output.stdout));
    assert!(std::fs::read(&file).unwrap().starts_with(b"\x89PNG"));
    // Mixing is for any examples, and pictures of it for images.
    let mixed = ["--set", "augment.mixup=0.4"];
    assert!(text(&succeed(&[&asked(&mixed)[..], &["--out", out]].concat()).stdout).contains("6 images"));
    let (_, problem) = fail(&["inspect", "digits", "--augment", "--set", "augment.mixup=0.4", "--out", out]);
    assert!(problem.contains("--augment draws images, and the examples have 784 features"), "{problem}");
    // Without --augment, what training would refuse is refused too.
    let (code, problem) = fail(&["inspect", "digits", "--set", "augment.flip=horizontal"]);
    assert!(code == 2 && problem.contains("784 features without rows and columns"), "{problem}");
    let (_, problem) = fail(&[&digits[..], &["--out", out]].concat());
    assert!(problem.contains("no [augment]"), "{problem}");
}
