//! The trainer as a library's user has it: owned, sent to other threads, step by step, on examples in memory.

use crate::members::{backends, bits, noise, train};
use crate::story::Stories;
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::Examples;
use gputrain::job::{Job, JobError};
use gputrain::planner::Fusion;
use gputrain::recipe::Recipe;
use gputrain::train::{EpochMetrics, Member, Observer, Set, Silent, Stop, TrainError, Trainer};

#[path = "../../examples/train_on_arrays.rs"]
mod train_on_arrays;

/// A small network on noise, in epochs of 13 steps with a short last batch.
fn job(changes: &[(&str, &str)]) -> Job {
    let small = [
        ("model.layers", "[{ dense = 9, activation = \"relu\" }, { dropout = 0.2 }, { dense = 10 }]"),
        ("train.batch", "8"),
        ("train.epochs", "3"),
    ];
    noise(&[&small[..], changes].concat(), 20, [100, 40])
}

const PLAIN: &[(&str, &str)] = &[];
const MIXED: &[(&str, &str)] = &[("precision", "\"mixed\"")];
const BATCH_NORM: &[(&str, &str)] = &[
    ("precision", "\"mixed\""),
    ("model.layers", "[{ dense = 9 }, { batch_norm = true, activation = \"relu\" }, { dense = 10 }]"),
];
/// Steps of two batches: 7 in an epoch, the last one of a single short batch.
const PAIRS: &[(&str, &str)] = &[("train.accumulate", "2"), ("train.ema", "0.9"), ("precision", "\"mixed\"")];

#[test]
fn a_trainer_is_owned_and_can_be_sent() {
    fn owned_and_sent<T: Send + 'static>() {}
    owned_and_sent::<Trainer>();
    owned_and_sent::<Box<dyn gputrain::backend::Session>>();
    let job = job(PLAIN);
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    drop(job);
    let elsewhere = std::thread::spawn(move || {
        trainer.step(5).unwrap();
        trainer.steps_taken()
    });
    assert_eq!(elsewhere.join().unwrap(), 5);
}

#[test]
fn steps_of_any_number_end_where_the_loop_ends() {
    for changes in [PLAIN, MIXED, BATCH_NORM] {
        let job = job(changes);
        for backend in backends() {
            let whole = &train(&*backend, &job, &[Member::of(&job.recipe)])[0].1;
            let mut trainer = job.trainer(&*backend).unwrap();
            for steps in [1, 0, 11, 13, 14] {
                trainer.step(steps).unwrap();
            }
            assert_eq!((trainer.steps_taken(), trainer.epochs_finished()), (39, 3));
            assert_eq!(bits(&trainer.parameters(0).unwrap()), bits(whole));
        }
    }
}

#[test]
fn steps_of_several_batches_are_counted_as_steps() {
    let changes = [PAIRS, &[("schedule", "{ kind = \"cosine\", by = \"step\" }")]].concat();
    let job = job(&changes);
    for backend in backends() {
        let whole = &train(&*backend, &job, &[Member::of(&job.recipe)])[0].1;
        let mut trainer = job.trainer(&*backend).unwrap();
        assert_eq!((trainer.steps_per_epoch(), trainer.total_steps()), (7, 21));
        for steps in [3, 0, 5, 13] {
            trainer.step(steps).unwrap();
        }
        assert_eq!((trainer.steps_taken(), trainer.epochs_finished()), (21, 3));
        assert_eq!(bits(&trainer.parameters(0).unwrap()), bits(whole));
    }
}

/// What is evaluated, kept as the best, recorded and returned is the average; what is trained is not.
#[test]
fn the_average_of_the_weights_changes_no_step_and_is_what_is_evaluated() {
    let all = [("train.ema", "0.75"), ("train.record", "[\"weights\"]"), ("train.log_every", "1")];
    let (plain, averaged) = (job(&all[1..]), job(&all));
    for backend in backends() {
        let member = [Member::of(&plain.recipe)];
        let mut stepped = Trainer::new(&*backend, plain.spec(&member)).unwrap();
        stepped.set_parameters(0, &plain.model.initialise(0)).unwrap();
        // The same in f64, from the weights after each step.
        let mut expected: Vec<Vec<f64>> = Vec::new();
        for step in 0..39 {
            stepped.step(1).unwrap();
            let weights = stepped.parameters(0).unwrap();
            let widened = weights.iter().map(|values| values.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
            if step == 0 {
                expected = widened.collect();
            } else {
                let pairs = expected.iter_mut().flatten().zip(widened.flatten());
                pairs.for_each(|(average, weight)| *average += 0.25 * (weight - *average));
            }
        }
        let run = |job: &Job| {
            let mut trainer = Trainer::new(&*backend, job.spec(&member)).unwrap();
            trainer.set_parameters(0, &job.model.initialise(0)).unwrap();
            let mut stories = Stories::new(1);
            assert_eq!(trainer.train(&mut stories).unwrap(), Stop::Finished);
            (stories.0.remove(0), trainer.finish().unwrap().remove(0))
        };
        let ((plain_story, _), (story, outcome)) = (run(&plain), run(&averaged));
        assert_eq!(plain_story.steps, story.steps, "the steps' losses are those of the trained weights");
        for (found, expected) in outcome.parameters.iter().flatten().zip(expected.iter().flatten()) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found}, not {expected}");
        }
        // A trainer without an average that starts from the average measures the same.
        let mut measured = Trainer::new(&*backend, plain.spec(&member)).unwrap();
        measured.set_parameters(0, &outcome.parameters).unwrap();
        let score = measured.scores(Set::Validation).unwrap()[0];
        assert_eq!(outcome.validation, Some(score));
        assert_eq!(story.epochs.last().unwrap().validation_loss, Some(score.loss));
        assert_ne!(plain_story.epochs.last().unwrap().validation_loss, Some(score.loss));
    }
}

#[test]
fn a_step_in_two_halves_is_a_step() {
    for changes in [PLAIN, MIXED, BATCH_NORM, PAIRS, &[("optimizer.clip_norm", "0.5"), ("optimizer.l2", "0.01")]] {
        let job = job(changes);
        for backend in backends() {
            let member = [Member::of(&job.recipe), Member { seed: 9, ..Member::of(&job.recipe) }];
            let start = || {
                let mut trainer = Trainer::with_fusion(&*backend, job.spec(&member), Fusion::Never).unwrap();
                (0..2).for_each(|m| trainer.set_parameters(m, &job.model.initialise(m as u64)).unwrap());
                trainer
            };
            let (mut whole, mut halves) = (start(), start());
            for _ in 0..15 {
                whole.step(1).unwrap();
                let gradients = halves.gradients().unwrap();
                halves.apply(&gradients).unwrap();
                assert_eq!(whole.losses().unwrap(), halves.losses().unwrap());
            }
            for member in 0..2 {
                assert_eq!(bits(&whole.parameters(member).unwrap()), bits(&halves.parameters(member).unwrap()));
            }
            // Other gradients are another step.
            let mut gradients = halves.gradients().unwrap();
            gradients[1][0][0] += 1.0;
            halves.apply(&gradients).unwrap();
            whole.step(1).unwrap();
            assert_eq!(bits(&whole.parameters(0).unwrap()), bits(&halves.parameters(0).unwrap()));
            assert_ne!(bits(&whole.parameters(1).unwrap()), bits(&halves.parameters(1).unwrap()));
        }
    }
}

#[test]
fn half_a_step_is_never_taken_for_a_whole_one() {
    let job = job(PLAIN);
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    let refused = |result: Result<(), TrainError>, said: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, TrainError::HalfStep(_)) && error.to_string().contains(said), "{error}");
    };
    refused(trainer.apply(&[]), "take those of a step first");
    let start = trainer.capture().unwrap();
    let gradients = trainer.gradients().unwrap();
    refused(trainer.step(1), "apply them before");
    refused(trainer.gradients().map(|_| ()), "apply them first");
    refused(trainer.gradient().map(|_| ()), "apply them first");
    refused(trainer.capture().map(|_| ()), "apply them before");
    refused(trainer.train(&mut Silent).map(|_| ()), "apply them before");
    let error = trainer.apply(&[]).unwrap_err().to_string();
    assert!(error.contains("of 0 models, not of 1"), "{error}");
    let error = trainer.apply(&[vec![vec![0.0; 3]; gradients[0].len()]]).unwrap_err().to_string();
    assert!(error.contains("layers.0.weight has 3 values, not the 180 of [9, 20]"), "{error}");
    let error = trainer.set_parameters(0, &[]).unwrap_err().to_string();
    assert!(error.contains("there are 0 tensors, and the model has 4"), "{error}");
    // A moment that is put back forgets what was begun.
    trainer.restore(&start).unwrap();
    trainer.step(1).unwrap();
    let fused = self::job(&[("model.layers", "[{ dense = 9, activation = \"relu\" }, { dense = 10 }]")]);
    let spec = fused.spec(&[Member::of(&fused.recipe)]);
    let mut trainer = Trainer::with_fusion(&CpuBackend::new(), spec, Fusion::Always).unwrap();
    assert!(matches!(trainer.gradients(), Err(TrainError::NoHalves)));
}

/// Pauses after so many steps; keeps the last epoch's metrics.
struct Pausing(u64, Option<EpochMetrics>);

impl Observer for Pausing {
    fn epoch(&mut self, _: usize, metrics: &EpochMetrics) {
        self.1 = Some(metrics.clone());
    }

    fn progress(&mut self, done: u64, _: u64) {
        self.0 = self.0.saturating_sub(done);
    }

    fn interrupted(&mut self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_paused_loop_goes_on_and_scores_are_those_it_reports() {
    let job = job(PLAIN);
    for backend in backends() {
        let mut whole = job.trainer(&*backend).unwrap();
        let mut last = Pausing(u64::MAX, None);
        assert_eq!(whole.train(&mut last).unwrap(), Stop::Finished);
        let mut paused = job.trainer(&*backend).unwrap();
        assert_eq!(paused.train(&mut Pausing(3, None)).unwrap(), Stop::Interrupted);
        assert!((1..39).contains(&paused.steps_taken()), "{}", paused.steps_taken());
        let before = paused.scores(Set::Validation).unwrap();
        assert_eq!(before, paused.scores(Set::Validation).unwrap(), "to measure changes nothing");
        assert_eq!(paused.train(&mut Silent).unwrap(), Stop::Finished);
        assert_eq!(bits(&paused.parameters(0).unwrap()), bits(&whole.parameters(0).unwrap()));
        let metrics = last.1.unwrap();
        let [train, validation] = [Set::Train, Set::Validation].map(|set| paused.scores(set).unwrap()[0]);
        assert_eq!((train.loss, train.accuracy), (metrics.train_loss, metrics.train_accuracy));
        assert_eq!(
            (Some(validation.loss), validation.accuracy),
            (metrics.validation_loss, metrics.validation_accuracy)
        );
        assert!(matches!(paused.scores(Set::Test), Err(TrainError::NoSet { set }) if set == "test"));
    }
}

#[test]
fn a_loop_after_single_steps_reports_the_steps_that_it_takes() {
    let job = job(&[("train.log_every", "1")]);
    let whole = &train(&CpuBackend::new(), &job, &[Member::of(&job.recipe)])[0].0;
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    trainer.step(15).unwrap();
    let mut stories = Stories::new(1);
    assert_eq!(trainer.train(&mut stories).unwrap(), Stop::Finished);
    assert_eq!(stories.0[0].steps, whole.steps[15..]);
    assert_eq!(stories.0[0].epochs, whole.epochs[1..]);
}

fn recipe(text: &str) -> Recipe {
    Recipe::parse(text, "memory", &[]).unwrap()
}

#[test]
fn examples_in_memory_are_trained_on() {
    assert!(train_on_arrays::train().unwrap() > 0.95);
}

#[test]
fn examples_in_memory_that_do_not_fit_the_recipe_are_refused() {
    let network = "[model]\ninput = [2]\nlayers = [{ dense = 3 }]\n";
    let with = |text: &str, values: Vec<u8>, shape: &[usize], labels: Vec<u32>| {
        Job::with_examples(recipe(text), Examples::new(values, shape, labels).unwrap(), None)
    };
    assert!(with(network, vec![0; 6], &[3, 2], vec![0, 1, 2]).is_ok());
    let error = with(network, vec![0; 9], &[3, 3], vec![0, 1, 2]).unwrap_err().to_string();
    assert!(error.contains("the training examples") && error.contains("(3, 3)"), "{error}");
    let error = with(network, vec![0; 6], &[3, 2], vec![0, 1, 3]).unwrap_err().to_string();
    assert!(error.contains("label 3"), "{error}");
    let files = format!("{network}[data]\ntrain = {{ images = \"a.npy\", labels = \"b.npy\" }}\n");
    assert!(matches!(with(&files, vec![0; 6], &[3, 2], vec![0, 1, 2]), Err(JobError::TwoSources)));
    let values = |loss: &str, outputs: usize| {
        let examples = Examples::new(vec![0.5; 6], &[3, 2], (vec![0.5; 3 * outputs], outputs)).unwrap();
        Job::with_examples(recipe(&format!("{network}loss = \"{loss}\"\n")), examples, None).map(|_| ())
    };
    assert!(values("mse", 3).is_ok());
    let error = values("mse", 2).unwrap_err().to_string();
    assert!(error.contains("(N, 3)"), "{error}");
    let error = values("softmax_cross_entropy", 3).unwrap_err().to_string();
    assert!(error.contains("a class for each example"), "{error}");
}

#[test]
fn flat_pictures_in_memory_lie_as_those_of_files_do() {
    let text = "[model]\ninput = [1, 2, 3]\nlayers = [{ flatten = true }, { dense = 2 }]\n";
    let job = |shape: &[usize]| {
        let pixels: Vec<u8> = (0..12).collect();
        Job::with_examples(recipe(text), Examples::new(pixels, shape, vec![0, 1]).unwrap(), None).unwrap()
    };
    assert_eq!(job(&[2, 6]).dataset, job(&[2, 1, 2, 3]).dataset);
}
