//! Folds side by side: members with training and validation sets of their own; and a training that goes on from another's end.

use crate::members::{backends, bits, noise, train};
use crate::story::Stories;
use crate::streamed::Room;
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Dataset, Examples, Storage, Targets};
use gputrain::job::Job;
use gputrain::train::{Member, Outcome, Stop, Trainer};

const FOLDS: usize = 3;

/// So many examples of noise, less those of each fold, and other examples to validate with.
fn folds(overrides: &[(&str, &str)]) -> Vec<Job> {
    let layers = ("model.layers", "[{ dense = 9, activation = \"relu\" }, { dense = 10 }]");
    let common = [layers, ("train.batch", "7"), ("train.epochs", "2"), ("train.log_every", "1")];
    let job = noise(&[&common[..], overrides].concat(), 21, [93, 60]);
    let part = |fold: usize| {
        let of = |examples: &Examples, left_out: bool| {
            let rows = (0..examples.count()).filter(|row| (row % FOLDS == fold) != left_out);
            examples.select(&rows.collect::<Vec<_>>())
        };
        let validation = job.dataset.validation.as_ref().map(|examples| of(examples, false));
        let dataset = Dataset { train: of(&job.dataset.train, true), validation, test: None };
        Job { dataset: dataset.into(), ..job.clone() }
    };
    (0..FOLDS).map(part).collect()
}

/// Of each candidate a member for each fold.
fn members(job: &Job) -> Vec<Member> {
    let rates = [1.0, 0.25];
    let member = |rate: f32| {
        let mut member = Member::of(&job.recipe);
        member.optimizer.learning_rate *= rate;
        member
    };
    rates.into_iter().flat_map(|rate| vec![member(rate); FOLDS]).collect()
}

/// What all members reported and came to.
fn trained(backend: &dyn Backend, mut trainer: Trainer, members: &[Member], job: &Job) -> (Stories, Vec<Outcome>) {
    for (index, member) in members.iter().enumerate() {
        trainer.set_parameters(index, &job.model.initialise(member.seed)).unwrap();
    }
    let mut stories = Stories::new(members.len());
    assert_ne!(trainer.train(&mut stories).unwrap(), Stop::Interrupted, "{}", backend.info().backend);
    (stories, trainer.finish().unwrap())
}

fn assert_as_alone(backend: &dyn Backend, jobs: &[Job], is_streamed: bool) {
    let members = members(&jobs[0]);
    let trainer = Trainer::new(backend, Job::spec_of_folds(jobs, &members).unwrap()).unwrap();
    assert_eq!(trainer.sources()[0].window.is_some(), is_streamed);
    let (stories, outcomes) = trained(backend, trainer, &members, &jobs[0]);
    for (index, member) in members.iter().enumerate() {
        let (job, member) = (&jobs[index % FOLDS], std::slice::from_ref(member));
        let alone = trained(backend, Trainer::new(backend, job.spec(member)).unwrap(), member, job);
        let (name, on) = (&job.recipe.train, &backend.info().backend);
        // One that has stopped early is taken along until all have.
        let (story, alone_story) = (&stories.0[index], &alone.0.0[0]);
        let (epochs, steps) = (alone_story.epochs.len(), alone_story.steps.len());
        assert_eq!(story.epochs[..epochs], alone_story.epochs, "member {index} on {on}, {name:?}");
        assert_eq!(story.steps[..steps], alone_story.steps, "member {index} on {on}, {name:?}");
        assert_eq!(outcomes[index], alone.1[0], "member {index} on {on}, {name:?}");
    }
    assert_ne!(outcomes[0], outcomes[1], "folds differ");
}

#[test]
fn folds_side_by_side_train_as_each_alone() {
    let cases: [&[(&str, &str)]; 3] = [
        &[],
        // Measured on the host, by each fold's own truth.
        &[
            ("data.validation", "0.1"),
            ("train.early_stop", "{ metric = \"validation_f1_macro\", patience = 1 }"),
            ("train.epochs", "4"),
        ],
        &[("data.class_weights", "balanced"), ("train.accumulate", "2"), ("train.shuffle", "false")],
    ];
    for (number, overrides) in cases.into_iter().enumerate() {
        let jobs = folds(overrides);
        // A software driver compiles for seconds: the first case has all that is new to a GPU.
        for backend in backends().into_iter().take(if number == 0 { 2 } else { 1 }) {
            assert_as_alone(&*backend, &jobs, false);
            assert_as_alone(&Room(&*backend, 0), &jobs, true);
        }
    }
}

#[test]
fn folds_that_differ_in_kind_are_refused() {
    let jobs = folds(&[]);
    let refused = |jobs: &[Job], members: &[Member]| {
        let trainer = Job::spec_of_folds(jobs, members).map(|spec| Trainer::new(&CpuBackend::new(), spec));
        match trainer {
            Err(error) => error.to_string(),
            Ok(trainer) => trainer.err().expect("it is refused").to_string(),
        }
    };
    let members = members(&jobs[0]);
    let text = refused(&jobs, &members[..4]);
    assert!(text.contains("3 folds") && text.contains("4 members"), "{text}");
    let changed = |change: &dyn Fn(&mut Job)| {
        let mut jobs = jobs.clone();
        change(&mut jobs[1]);
        refused(&jobs, &members)
    };
    let text = changed(&|job| std::sync::Arc::make_mut(&mut job.dataset).train = job.dataset.train.select(&[0, 1, 2]));
    assert!(text.contains("several numbers"), "{text}");
    let text = changed(&|job| job.scaling.add = 0.5);
    assert!(text.contains("scaling differs") && text.contains("data.scale"), "{text}");
    let text = changed(&|job| std::sync::Arc::make_mut(&mut job.dataset).validation = None);
    assert!(text.contains("not all have a validation set"), "{text}");
    let mixed: Vec<Job> = folds(&[("augment.mixup", "0.2")]);
    let text = refused(&mixed, &members);
    assert!(text.contains("[augment]") && text.contains("one fold after the other"), "{text}");
}

#[test]
fn a_training_goes_on_from_where_another_ended() {
    let cases: [&[(&str, &str)]; 3] = [
        &[("optimizer.kind", "adam")],
        &[("optimizer.kind", "sgd"), ("optimizer.momentum", "0.9"), ("train.shuffle", "false")],
        &[("optimizer.kind", "adamw"), ("train.ema", "0.9"), ("train.accumulate", "2")],
    ];
    for (number, overrides) in cases.into_iter().enumerate() {
        let of_epochs = |epochs: &str| {
            let more = [("train.epochs", epochs), ("data.validation", "0")];
            let [job, ..] = &folds(&[overrides, &more].concat())[..] else { panic!("there are folds") };
            job.clone()
        };
        let [one, two] = ["1", "2"].map(of_epochs);
        for backend in backends().into_iter().take(if number == 0 { 2 } else { 1 }) {
            let begun = |job: &Job| Trainer::new(&*backend, job.spec(&[Member::of(&job.recipe)])).unwrap();
            let (_, whole) = train(&*backend, &two, &[Member::of(&two.recipe)]).remove(0);
            let mut first = begun(&one);
            first.set_parameters(0, &one.model.initialise(one.recipe.seed)).unwrap();
            first.train(&mut Stories::new(1)).unwrap();
            let ended = first.capture().unwrap();
            let mut second = begun(&two);
            second.go_on_from(&ended).unwrap();
            second.train(&mut Stories::new(1)).unwrap();
            assert!(
                bits(&second.parameters(0).unwrap()) == bits(&whole),
                "{overrides:?} on {}",
                backend.info().backend
            );
            // On other examples, of another number, the same state goes on.
            let mut fewer = two.clone();
            let dataset = std::sync::Arc::make_mut(&mut fewer.dataset);
            dataset.train = dataset.train.select(&(0..20).collect::<Vec<_>>());
            let mut third = begun(&fewer);
            third.go_on_from(&ended).unwrap();
            assert_eq!((third.epochs_finished(), third.steps_taken() as usize), (1, third.steps_per_epoch()));
            third.train(&mut Stories::new(1)).unwrap();
        }
    }
}

#[test]
fn a_moment_of_another_optimizer_or_network_is_refused() {
    let backend = CpuBackend::new();
    let trainer = |overrides: &[(&str, &str)]| {
        let job = folds(overrides).remove(0);
        Trainer::new(&backend, job.spec(&[Member::of(&job.recipe)])).unwrap()
    };
    let adam = trainer(&[("optimizer.kind", "adam")]).capture().unwrap();
    let sgd = [("optimizer.kind", "sgd"), ("optimizer.momentum", "0")];
    let wider = ("model.layers", "[{ dense = 12 }, { dense = 10 }]");
    for (overrides, words) in
        [(&sgd[..], "which this run has not"), (&[("optimizer.kind", "adam"), wider], "words, not")]
    {
        let text = trainer(overrides).go_on_from(&adam).unwrap_err().to_string();
        assert!(text.contains("does not fit this run") && text.contains(words), "{text}");
    }
    let text =
        trainer(&[("optimizer.kind", "adam")]).go_on_from(&trainer(&sgd).capture().unwrap()).unwrap_err().to_string();
    assert!(text.contains("it has no mean"), "{text}");
    let mut within = trainer(&[("optimizer.kind", "adam")]);
    within.step(2).unwrap();
    let text = trainer(&[("optimizer.kind", "adam")]).go_on_from(&within.capture().unwrap()).unwrap_err().to_string();
    assert!(text.contains("2 steps into an epoch"), "{text}");
}

#[test]
fn parts_of_several_kinds_are_not_joined() {
    let examples = folds(&[]).remove(0).dataset.train.clone();
    let with = |change: &dyn Fn(&mut Examples)| {
        let mut other = examples.clone();
        change(&mut other);
        Examples::joined(&[&examples, &other]).unwrap_err()
    };
    let floats = Storage::F32(vec![0.0; examples.features.storage.len()].into());
    assert!(with(&|other| other.features.storage = floats.clone()).contains("bytes here and floats there"));
    let values = Targets::Values { values: vec![0.0; examples.count()], outputs: 1 };
    assert!(with(&|other| other.targets = values.clone()).contains("targets of several kinds"));
    assert!(with(&|other| other.weights = Some(vec![1.0; other.count()])).contains("weights in part"));
    let both = Examples::joined(&[&examples, &examples]).unwrap();
    assert_eq!(both.select(&[examples.count()]), examples.select(&[0]));
}
