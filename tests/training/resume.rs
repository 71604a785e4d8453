//! Going on from a checkpoint with changes, and from one that is not the run's.

use crate::story::Stories;
use gputrain::backend::cpu::CpuBackend;
use gputrain::job::Job;
use gputrain::recipe::Recipe;
use gputrain::train::{Checkpoint, CheckpointError, Member, Stop, Tracker, TrainError, Trainer};

/// 100 of the generated digits: 4 steps an epoch.
const SMALL: &str = r#"
name = "small"
seed = 3
[data]
test = 9000
validation = 500
examples = 100
[model]
input = [784]
layers = "5:relu,10"
[optimizer]
kind = "sgd"
learning_rate = 0.5
[schedule]
kind = "plateau"
metric = "validation_loss"
factor = 0.5
patience = 3
[train]
epochs = 4
batch = 25
checkpoint_steps = 6
early_stop = { metric = "validation_loss", patience = 3 }
"#;

fn job(changes: &[(&str, &str)]) -> Job {
    let text = changes.iter().fold(SMALL.to_string(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    Job::load(Recipe::parse(&text, "small", &[]).unwrap()).unwrap()
}

/// A checkpoint without its time.
fn captured(trainer: &mut Trainer) -> Checkpoint {
    let mut checkpoint = trainer.capture().unwrap();
    checkpoint.progress.seconds = 0.0;
    checkpoint
}

/// The checkpoint in the middle of the second epoch, after 6 steps.
fn middle() -> Checkpoint {
    let job = job(&[]);
    let (backend, members) = (CpuBackend::new(), [Member::of(&job.recipe)]);
    let mut trainer = Trainer::new(&backend, job.spec(&members)).unwrap();
    trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
    let mut stories = Stories::new(1);
    stories.1.stop_after = Some(6);
    assert_eq!(trainer.train(&mut stories).unwrap(), Stop::Interrupted);
    let mut checkpoint = stories.1.checkpoint.unwrap();
    checkpoint.progress.seconds = 0.0;
    let progress = &checkpoint.progress;
    assert_eq!((progress.epoch, progress.step_in_epoch, progress.step), (1, 2, 6));
    assert!(progress.early_stop[0].best.is_some() && checkpoint.best[0].is_some());
    checkpoint
}

#[test]
fn what_watched_another_metric_begins_anew() {
    let mut checkpoint = middle();
    checkpoint.progress.plateau[0].1 = 0.25;
    let fresh = Tracker::default();
    let rule = "early_stop = { metric = \"validation_loss\", patience = 3 }";
    let schedule = "kind = \"plateau\"\nmetric = \"validation_loss\"\nfactor = 0.5\npatience = 3";
    for (change, keeps_best, keeps_rate) in [
        (None, true, true),
        (Some((rule, "early_stop = { metric = \"validation_loss\", patience = 9 }")), true, true),
        (Some((rule, "early_stop = { metric = \"validation_accuracy\", patience = 3 }")), false, true),
        (Some((rule, "")), false, true),
        (Some((schedule, &*schedule.replace("loss", "accuracy"))), true, false),
        (Some((schedule, "kind = \"constant\"")), true, false),
    ] {
        let job = job(change.as_slice());
        let (backend, members) = (CpuBackend::new(), [Member::of(&job.recipe)]);
        let mut trainer = Trainer::new(&backend, job.spec(&members)).unwrap();
        trainer.restore(&checkpoint).unwrap();
        let found = captured(&mut trainer);
        assert_eq!(found.buffers, checkpoint.buffers);
        let (stops, slows) = (found.progress.early_stop[0], found.progress.plateau[0]);
        assert_eq!(stops, if keeps_best { checkpoint.progress.early_stop[0] } else { fresh }, "{change:?}");
        assert_eq!(found.best[0].is_some(), keeps_best, "{change:?}");
        assert_eq!(slows, if keeps_rate { checkpoint.progress.plateau[0] } else { (fresh, 1.0) }, "{change:?}");
        // What was forgotten has no say in the rest of the run.
        let mut stories = Stories::new(1);
        trainer.train(&mut stories).unwrap();
        let first = &stories.0[0].epochs[0];
        assert_eq!(first.learning_rate, if keeps_rate { 0.125 } else { 0.5 }, "{change:?}");
        let weights = trainer.parameters(0).unwrap();
        let outcome = trainer.finish().unwrap().remove(0);
        if job.recipe.train.early_stop.is_none() {
            assert_eq!((outcome.epoch, &outcome.parameters), (4, &weights));
        }
    }
}

#[test]
fn a_checkpoint_that_is_not_the_runs_is_refused_before_it_changes_anything() {
    let good = middle();
    let job = job(&[]);
    let (backend, members) = (CpuBackend::new(), [Member::of(&job.recipe)]);
    let mut trainer = Trainer::new(&backend, job.spec(&members)).unwrap();
    trainer.set_parameters(0, &job.model.initialise(7)).unwrap();
    let before = captured(&mut trainer);
    let counters =
        |checkpoint: &mut Checkpoint| checkpoint.buffers.iter().position(|(name, _)| name == "train.counters").unwrap();
    type Change<'a> = &'a dyn Fn(&mut Checkpoint);
    let changes: [(&str, Change); 11] = [
        ("0, 1 and 1 models", &|c| c.progress.early_stop.clear()),
        ("1, 0 and 1 models", &|c| c.progress.plateau.clear()),
        ("1, 1 and 0 models, not 1", &|c| c.best.clear()),
        ("1, 1 and 2 models", &|c| c.best.push(None)),
        ("best weights have 3 words", &|c| c.best[0] = Some(vec![1, 2, 3])),
        ("after 7 steps", &|c| c.progress.step = 7),
        ("an epoch of this run has 4", &|c| (c.progress.epoch, c.progress.step_in_epoch) = (0, 6)),
        ("into epoch 4294967296", &|c| c.progress.epoch = u32::MAX),
        ("at batch", &|c| {
            let place = counters(c);
            // The place in the epoch.
            c.buffers[place].1.iter_mut().filter(|word| **word == 2).for_each(|word| *word = 3);
        }),
        ("words, not", &|c| c.buffers[0].1.push(0)),
        ("buffers where", &|c| drop(c.buffers.pop())),
    ];
    for (says, change) in changes {
        let mut checkpoint = good.clone();
        change(&mut checkpoint);
        assert_ne!(checkpoint, good, "{says}");
        let error = trainer.restore(&checkpoint).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TrainError::Checkpoint(CheckpointError::Mismatch(_))) && text.contains(says), "{text}");
        assert_eq!(captured(&mut trainer), before, "{says}");
    }
    // An epoch of another number of batches.
    let wider = self::job(&[("batch = 25", "batch = 50")]);
    let members = [Member::of(&wider.recipe)];
    let error = Trainer::new(&backend, wider.spec(&members)).unwrap().restore(&good).unwrap_err();
    assert!(error.to_string().contains("an epoch of this run has 2"), "{error}");
    trainer.restore(&good).unwrap();
    assert_eq!(captured(&mut trainer), good);
}

#[test]
fn a_run_that_stopped_early_trains_nothing_more() {
    let job = job(&[("patience = 3 }", "patience = 1, min_delta = 9.0 }"), ("epochs = 4", "epochs = 9")]);
    let (backend, members) = (CpuBackend::new(), [Member::of(&job.recipe)]);
    let mut trainer = Trainer::new(&backend, job.spec(&members)).unwrap();
    trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
    assert_eq!(trainer.train(&mut Stories::new(1)).unwrap(), Stop::Early);
    let end = captured(&mut trainer);
    assert_eq!(end.progress.epoch, 2);
    let mut again = Trainer::new(&backend, job.spec(&members)).unwrap();
    again.restore(&end).unwrap();
    let mut stories = Stories::new(1);
    assert_eq!(again.train(&mut stories).unwrap(), Stop::Early);
    assert_eq!((captured(&mut again), stories.0[0].epochs.len()), (end, 0));
    assert_eq!(again.finish().unwrap(), trainer.finish().unwrap());
}
