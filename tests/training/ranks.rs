//! Ranks that share each batch come to what one process comes to. Here they are threads; tests/mpi.sh runs the program.

use crate::members::{bits, noise};
use crate::story::{Stories, Story, golden_job};
use crate::streamed::Room;
use crate::sweep::{self, Counter};
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::Targets;
use gputrain::job::Job;
use gputrain::ranks::{Exchange, RankError, Threads};
use gputrain::sweep::{Options, SweepSummary, run_among};
use gputrain::train::{Checkpoint, Member, Outcome, Set, Stop, TrainError, Trainer};
use gputrain::verify::Shadow;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// What a rank's training came to.
struct Ended {
    stop: Stop,
    story: Story,
    checkpoint: Option<Checkpoint>,
    outcome: Outcome,
}

/// Does something on each of so many ranks, whose results come in their order.
fn on_ranks<T: Send>(size: usize, work: impl Fn(Arc<dyn Exchange>) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let ranks = Threads::ranks(size).into_iter();
        let threads: Vec<_> = ranks.map(|rank| scope.spawn(move || work(Arc::new(rank)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Trains on a rank, from a checkpoint if there is one, until its observer wants to stop.
fn train(trainer: &mut Trainer, from: Option<&Checkpoint>, stop_after: Option<u64>) -> Ended {
    if let Some(checkpoint) = from {
        trainer.restore(checkpoint).unwrap();
    }
    let mut stories = Stories::new(1);
    stories.1.stop_after = stop_after;
    let stop = trainer.train(&mut stories).unwrap();
    let outcome = trainer.finish().unwrap().remove(0);
    Ended { stop, story: stories.0.remove(0), checkpoint: stories.1.checkpoint, outcome }
}

fn alone(backend: &dyn Backend, job: &Job) -> Ended {
    let mut trainer = Trainer::new(backend, job.spec(&[Member::of(&job.recipe)])).unwrap();
    trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
    train(&mut trainer, None, None)
}

fn shared(job: &Job, ranks: usize, room: Option<u64>) -> Vec<Ended> {
    on_ranks(ranks, |exchange| {
        let backend = CpuBackend::new();
        let backend = Room(&backend, room.unwrap_or(backend.limits().data_bytes));
        let mut trainer = Trainer::among(&backend, job.spec(&[Member::of(&job.recipe)]), exchange).unwrap();
        trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
        train(&mut trainer, None, None)
    })
}

/// The largest difference of weights, by the largest weight.
fn difference(a: &Outcome, b: &Outcome) -> f32 {
    let pairs = a.parameters.iter().flatten().zip(b.parameters.iter().flatten());
    let (worst, largest) =
        pairs.fold((0f32, 0f32), |(worst, largest), (a, b)| (worst.max((a - b).abs()), largest.max(b.abs())));
    worst / largest
}

/// Holds what was reported against what one process reported.
fn assert_close(name: &str, found: &Ended, expected: &Ended, bound: f32) {
    let worst = difference(&found.outcome, &expected.outcome);
    assert!(worst <= bound, "{name}: weights differ by {worst:e}");
    assert_eq!(found.outcome.epoch, expected.outcome.epoch, "{name}");
    assert_eq!(found.outcome.skipped_steps, expected.outcome.skipped_steps, "{name}");
    let close = |what: &str, a: f32, b: f32| {
        assert!((a - b).abs() <= 10.0 * bound * b.abs().max(0.1), "{name}: {what} {a}, not {b}");
    };
    let (found, expected) = (&found.story, &expected.story);
    assert_eq!((found.epochs.len(), found.steps.len()), (expected.epochs.len(), expected.steps.len()), "{name}");
    for (a, b) in found.epochs.iter().zip(&expected.epochs) {
        assert_eq!((a.epoch, a.step, a.learning_rate), (b.epoch, b.step, b.learning_rate), "{name}");
        assert_eq!(a.train_accuracy, b.train_accuracy, "{name}, epoch {}", a.epoch);
        close("an epoch's loss", a.train_loss, b.train_loss);
        close("a validation loss", a.validation_loss.unwrap_or(0.0), b.validation_loss.unwrap_or(0.0));
    }
    for (a, b) in found.steps.iter().zip(&expected.steps) {
        assert_eq!((a.step, a.accuracy, a.skipped), (b.step, b.accuracy, b.skipped), "{name}, step {}", a.step);
        close("a step's loss", a.loss, b.loss);
        let norms = |norms: &Option<gputrain::train::Norms>| {
            norms.iter().flatten().map(|(_, n)| n.unwrap()).collect::<Vec<_>>()
        };
        norms(&a.gradient_norms).into_iter().zip(norms(&b.gradient_norms)).for_each(|(a, b)| close("a norm", a, b));
    }
}

/// Steps of 12 rows, the last one short, of whose parts some ranks have none.
fn job(changes: &[(&str, &str)]) -> Job {
    let small = [
        ("model.layers", "[{ dense = 9, activation = \"tanh\" }, { dense = 10 }]"),
        ("train.batch", "12"),
        ("train.epochs", "3"),
        ("train.log_every", "1"),
        ("optimizer.learning_rate", "0.003"),
    ];
    noise(&[&small[..], changes].concat(), 20, [98, 40])
}

/// A norm over the batch whose input needs no gradient, and one below which there are weights. No tensor is without effect: Adam
/// would make steps of what rounding leaves of its gradient.
const NORM: (&str, &str) = (
    "model.layers",
    "[{ batch_norm = true, activation = \"tanh\" }, { dense = 9, bias = false }, { batch_norm = true, activation = \"relu\" }, { dense = 10 }]",
);

#[test]
fn ranks_come_to_what_one_process_comes_to() {
    let clipped = [("optimizer.clip_norm", "0.05"), ("optimizer.l2", "0.01"), ("optimizer.kind", "sgd")];
    let dropout = ("model.layers", "[{ dense = 9, activation = \"relu\" }, { dropout = 0.3 }, { dense = 10 }]");
    let rate = ("optimizer.learning_rate", "0.003");
    let norms = [("train.record", "[\"gradient_norms\", \"validation\"]"), ("train.log_every", "2")];
    let accumulated = [("train.accumulate", "3"), ("train.ema", "0.9")];
    let by_step = ("schedule", "{ kind = \"cosine\", by = \"step\" }");
    let noise_of = |changes: &[(&str, &str)]| job(changes);
    let jobs: Vec<(&str, Job, f32)> = vec![
        ("adam", noise_of(&[]), 1e-5),
        ("clipped", noise_of(&clipped), 1e-5),
        ("dropout", noise_of(&[dropout, rate]), 1e-5),
        ("dropout, accumulated", noise_of(&[&accumulated[..], &[dropout, by_step]].concat()), 1e-5),
        ("norms", noise_of(&norms), 1e-5),
        ("weights", noise_of(&[("data.class_weights", "balanced")]), 1e-5),
        ("weights, accumulated", noise_of(&[("data.class_weights", "balanced"), accumulated[0]]), 1e-5),
        ("no short batch", noise_of(&[("train.drop_last", "true"), ("train.shuffle", "false")]), 1e-5),
        ("all at once", noise_of(&[("train.batch", "full"), ("train.epochs", "9")]), 1e-5),
        ("a prime", noise_of(&[("train.batch", "7")]), 1e-5),
        ("a layer norm", golden_job("graph-layer-norm", &[("train.epochs", "5")]), 1e-5),
        ("convolutions", golden_job("conv-l2-momentum", &[("train.epochs", "3")]), 1e-5),
        ("mixed", noise_of(&[("precision", "mixed"), ("train.epochs", "2")]), 2e-3),
        ("a batch norm", noise_of(&[NORM]), 1e-5),
        ("a batch norm, accumulated", noise_of(&[&accumulated[..], &clipped, &[NORM]].concat()), 1e-5),
        ("a batch norm, weights", noise_of(&[NORM, ("data.class_weights", "balanced"), accumulated[0]]), 1e-5),
        ("a batch norm, mixed", noise_of(&[NORM, ("precision", "mixed"), ("train.epochs", "2")]), 2e-3),
        (
            "batch norms of images",
            golden_job("batch-norm-images", &[("train.epochs", "3"), ("train.batch", "18")]),
            1e-5,
        ),
        ("residual", golden_job("batch-norm-residual", &[("train.epochs", "2"), ("train.batch", "18")]), 1e-5),
        ("a batch norm, all at once", noise_of(&[NORM, ("train.batch", "full"), ("train.epochs", "9")]), 1e-5),
    ];
    let backend = CpuBackend::new();
    for (name, job, bound) in &jobs {
        let expected = alone(&backend, job);
        for ranks in [1, 2, 3] {
            let ended = shared(job, ranks, None);
            for other in &ended[1..] {
                assert_eq!(other.story, ended[0].story, "{name}: all ranks report the same");
                assert_eq!(bits(&other.outcome.parameters), bits(&ended[0].outcome.parameters), "{name}");
            }
            assert_close(&format!("{name}, {ranks} ranks"), &ended[0], &expected, *bound);
            if ranks == 3 {
                let again = &shared(job, ranks, None)[0];
                assert_eq!(
                    bits(&again.outcome.parameters),
                    bits(&ended[0].outcome.parameters),
                    "{name}: the same bits"
                );
                assert_eq!(again.story, ended[0].story, "{name}: the same numbers");
            }
        }
    }
}

#[test]
fn a_set_that_is_streamed_is_shared_too() {
    for job in [job(&[]), job(&[NORM, ("train.epochs", "2")])] {
        let there = &shared(&job, 3, None)[0];
        let streamed = &shared(&job, 3, Some(0))[0];
        assert_eq!(there.story, streamed.story);
        assert_eq!(bits(&there.outcome.parameters), bits(&streamed.outcome.parameters));
    }
}

#[test]
fn models_side_by_side_are_normalised_each_by_its_own_batch() {
    let job = job(&[NORM, ("train.epochs", "2")]);
    let members: Vec<Member> = (5..8).map(|seed| Member { seed, ..Member::of(&job.recipe) }).collect();
    let train = |mut trainer: Trainer| {
        (0..3).for_each(|member| trainer.set_parameters(member, &job.model.initialise(member as u64)).unwrap());
        trainer.train(&mut Stories::new(3)).unwrap();
        trainer.finish().unwrap()
    };
    let expected = train(Trainer::new(&CpuBackend::new(), job.spec(&members)).unwrap());
    let found =
        on_ranks(2, |exchange| train(Trainer::among(&CpuBackend::new(), job.spec(&members), exchange).unwrap()));
    for (found, expected) in found[0].iter().zip(&expected) {
        assert!(difference(found, expected) < 1e-5, "{:e}", difference(found, expected));
    }
    assert!(difference(&expected[0], &expected[1]) > 0.1);
}

/// Every part of every third step is held against the CPU, and a rank tells the others a known number of bytes.
#[test]
fn ranks_train_in_the_shadow_of_the_cpu() {
    let job =
        job(&[NORM, ("train.accumulate", "2"), ("train.record", "[\"gradient_norms\"]"), ("train.log_every", "2")]);
    let expected = &shared(&job, 2, None)[0];
    let ended = on_ranks(2, |exchange| {
        let shadow = Shadow::of_rank(Box::new(CpuBackend::reference_only()), 3);
        let mut trainer = Trainer::among(&shadow, job.spec(&[Member::of(&job.recipe)]), Arc::clone(&exchange)).unwrap();
        trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
        let before = exchange.sent();
        trainer.step(1).unwrap();
        let (sent, stride) = (exchange.sent() - before, trainer.plan().io().unwrap().parameters.stride as u64);
        let ended = train(&mut trainer, None, None);
        (ended, shadow.checked(), trainer.total_steps(), sent, stride)
    });
    for (ended, checked, steps, sent, stride) in ended {
        assert_eq!(checked, steps / 3);
        assert!(difference(&ended.outcome, &expected.outcome) < 1e-5);
        // The gradients and the wish to stop; of two batches the moments of 20 features and 9, and the sums of 9.
        assert_eq!(sent, 4 * (stride + 1) + 2 * 4 * 2 * (20 + 9 + 9));
    }
}

/// Every kind of sum is under way where the run is interrupted, in the middle of an epoch.
#[test]
fn any_number_of_ranks_goes_on_from_a_checkpoint() {
    for changes in
        [&[][..], &[("data.class_weights", "balanced"), ("train.accumulate", "2")], &[("precision", "mixed")]]
    {
        let job = job(changes);
        let backend = CpuBackend::new();
        let start = |exchange: Arc<dyn Exchange>| {
            let mut trainer =
                Trainer::among(&CpuBackend::new(), job.spec(&[Member::of(&job.recipe)]), exchange).unwrap();
            trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
            trainer
        };
        // Only the second rank wants to stop: all do, after the same step.
        let stopped = on_ranks(3, |exchange| {
            let wishes = (exchange.rank() == 1).then_some(7);
            train(&mut start(exchange), None, wishes)
        });
        let checkpoint = stopped[0].checkpoint.clone().unwrap();
        assert!(checkpoint.progress.step_in_epoch > 0);
        for other in &stopped {
            assert_eq!(other.stop, Stop::Interrupted);
            let Checkpoint { progress, buffers, .. } = other.checkpoint.as_ref().unwrap();
            assert_eq!((progress.step, buffers), (checkpoint.progress.step, &checkpoint.buffers));
        }
        let expected = alone(&backend, &job);
        let steps = checkpoint.progress.step as usize;
        let after = |before: &Ended, mut ended: Ended| {
            ended.story.steps.splice(0..0, before.story.steps.iter().cloned());
            ended.story.epochs.splice(0..0, before.story.epochs.iter().cloned());
            ended
        };
        let bound = if changes.first().is_some_and(|(key, _)| *key == "precision") { 2e-3 } else { 1e-5 };
        for ranks in [2, 3] {
            let ended = on_ranks(ranks, |exchange| train(&mut start(exchange), Some(&checkpoint), None)).remove(0);
            let ended = after(&stopped[0], ended);
            if ranks == 3 {
                let whole = &shared(&job, 3, None)[0];
                assert_eq!(bits(&ended.outcome.parameters), bits(&whole.outcome.parameters));
                assert_eq!(ended.story.epochs, whole.story.epochs);
            }
            assert_close(&format!("{changes:?}, {ranks} ranks after {steps} steps"), &ended, &expected, bound);
        }
        let mut one = Trainer::new(&backend, job.spec(&[Member::of(&job.recipe)])).unwrap();
        let ended = after(&stopped[0], train(&mut one, Some(&checkpoint), None));
        assert_close(&format!("{changes:?}, one process after {steps} steps"), &ended, &expected, bound);
        // And ranks go on with what one process began.
        let mut first = Trainer::new(&backend, job.spec(&[Member::of(&job.recipe)])).unwrap();
        first.set_parameters(0, &job.model.initialise(3)).unwrap();
        let begun = train(&mut first, None, Some(4));
        let ended = on_ranks(2, |exchange| train(&mut start(exchange), begun.checkpoint.as_ref(), None)).remove(0);
        let ended = after(&begun, ended);
        assert_close(&format!("{changes:?}, two ranks after one process"), &ended, &expected, bound);
    }
}

#[test]
fn what_watches_a_metric_decides_once_for_all() {
    let watched = [
        ("data.validation", "0.1"),
        ("train.epochs", "60"),
        ("optimizer.learning_rate", "0.1"),
        ("train.early_stop", "{ metric = \"validation_accuracy\", patience = 3 }"),
        ("schedule", "{ kind = \"plateau\", metric = \"validation_accuracy\", factor = 0.5, patience = 0 }"),
    ];
    let job = job(&watched);
    let expected = alone(&CpuBackend::new(), &job);
    assert_eq!(expected.stop, Stop::Early);
    assert!(expected.story.epochs.last().unwrap().learning_rate < 0.1);
    let ended = shared(&job, 3, None);
    ended.iter().for_each(|ended| assert_eq!(ended.stop, Stop::Early));
    assert_close("early stopping", &ended[0], &expected, 1e-3);
}

#[test]
fn steps_and_halves_of_ranks_are_those_of_the_loop() {
    let job = job(&[]);
    let whole = &shared(&job, 2, None)[0];
    let ended = on_ranks(2, |exchange| {
        let mut trainer = Trainer::among(&CpuBackend::new(), job.spec(&[Member::of(&job.recipe)]), exchange).unwrap();
        trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
        trainer.step(4).unwrap();
        for _ in 0..9 {
            let gradients = trainer.gradients().unwrap();
            trainer.apply(&gradients).unwrap();
        }
        trainer.step(14).unwrap();
        let (losses, score) = (trainer.losses().unwrap(), trainer.scores(Set::Train).unwrap());
        assert!(matches!(trainer.gradient(), Err(TrainError::Ranks(RankError::OneProcess(_)))));
        (bits(&trainer.parameters(0).unwrap()), losses, score)
    });
    for (parameters, losses, score) in ended {
        assert_eq!(parameters, bits(&whole.outcome.parameters));
        assert_eq!(losses, [whole.story.steps.last().unwrap().loss]);
        assert_eq!(score[0].loss, whole.story.epochs.last().unwrap().train_loss);
    }
}

/// The gradient of one example, which one rank has, is beyond f16 until the scale is small enough: all skip the step, and as many
/// as one process.
#[test]
fn a_step_that_one_rank_must_skip_is_skipped_by_all() {
    let changes = [("precision", "mixed"), ("train.epochs", "3"), ("train.batch", "32"), ("train.drop_last", "true")];
    let mut job = golden_job("loss-mse", &changes);
    match &mut Arc::make_mut(&mut job.dataset).train.targets {
        Targets::Values { values, .. } => values[0] = 300.0,
        Targets::Classes { .. } => unreachable!("the case has values"),
    }
    let expected = alone(&CpuBackend::new(), &job);
    assert!(expected.outcome.skipped_steps.is_some_and(|skipped| skipped > 0));
    for ranks in [2, 4] {
        let ended = shared(&job, ranks, None);
        for ended in &ended {
            assert_eq!(ended.outcome.skipped_steps, expected.outcome.skipped_steps, "{ranks} ranks");
        }
        assert_eq!(bits(&ended[0].outcome.parameters), bits(&ended[1].outcome.parameters));
    }
}

#[test]
fn what_ranks_cannot_train_together_is_refused() {
    let refused = |job: &Job, ranks: usize| {
        on_ranks(ranks, |exchange| {
            Trainer::among(&CpuBackend::new(), job.spec(&[Member::of(&job.recipe)]), exchange).map(|_| ()).unwrap_err()
        })
        .remove(0)
        .to_string()
    };
    let text = refused(&job(&[("train.batch", "2")]), 3);
    assert!(text.contains("a batch of 2 examples cannot be shared by 3 ranks") && text.contains("raise train.batch"));
    let text = refused(&job(&[NORM, ("train.batch", "11")]), 2);
    assert!(text.contains("layers.0 normalises over the batch") && text.contains("of 2, such as 12"), "{text}");

    // Other weights, other settings: the rank that differs is named before anything is trained.
    for (what, differs) in [("weights", [3, 3, 4]), ("settings", [0, 0, 1])] {
        let errors = on_ranks(3, |exchange| {
            let own = differs[exchange.rank()];
            let job =
                if what == "weights" { job(&[]) } else { job(&[("optimizer.beta1", ["0.9", "0.8"][own as usize])]) };
            let mut trainer =
                Trainer::among(&CpuBackend::new(), job.spec(&[Member::of(&job.recipe)]), exchange).unwrap();
            trainer.set_parameters(0, &job.model.initialise(own)).unwrap();
            trainer.train(&mut Stories::new(1)).unwrap_err().to_string()
        });
        for text in errors {
            assert!(text.contains(what) && text.contains("of rank 2 are not those of rank 0"), "{text}");
        }
    }
}

#[test]
fn nobody_waits_for_a_rank_that_ended() {
    let job = job(&[]);
    let results = on_ranks(3, |exchange| {
        let leaves = exchange.rank() == 2;
        let mut trainer = Trainer::among(&CpuBackend::new(), job.spec(&[Member::of(&job.recipe)]), exchange).unwrap();
        trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
        trainer.step(if leaves { 3 } else { 20 })
    });
    for result in &results[..2] {
        assert!(matches!(result, Err(TrainError::Ranks(RankError::Gone))), "{result:?}");
    }
}

/// Runs of two shapes, of which one trains over and over on its own, and the best once more.
#[test]
fn ranks_spread_the_runs_of_a_sweep_and_find_what_one_process_finds() {
    let folder = tempfile::tempdir().unwrap();
    sweep::write_data(folder.path());
    let table = "metric = \"validation_loss\"\ntrials = 2\nretrain = true\n\"model.layers\" = [\"12:relu,3\", \"3\"]\n\
                 \"optimizer.learning_rate\" = [0.05, 0.01, 1e30]";
    let sweep = sweep::load(sweep::MLP, table, folder.path()).unwrap();
    let alone = folder.path().join("alone");
    let (expected, _) = sweep::run_in(&sweep, &CpuBackend::new(), &alone, 64);
    let hash = |summary: &SweepSummary| summary.retrained.as_ref().unwrap().parameter_hash.clone();
    for ranks in [2, 3] {
        let out = folder.path().join(format!("{ranks}"));
        // What a rank had written when all were killed: two results, and the beginning of a third.
        let kept: Vec<String> = fs::read_to_string(alone.join("results.jsonl"))
            .unwrap()
            .lines()
            .take(2)
            .map(|line| format!("{line}\n"))
            .collect();
        fs::create_dir(&out).unwrap();
        fs::copy(alone.join("sweep.toml"), out.join("sweep.toml")).unwrap();
        for row in &sweep::rows_of(&kept.concat()) {
            fs::create_dir_all(out.join(&row.run)).unwrap();
            let files = fs::read_dir(alone.join(&row.run)).unwrap().map(|entry| entry.unwrap());
            for file in files.filter(|entry| entry.path().is_file()) {
                fs::copy(file.path(), out.join(&row.run).join(file.file_name())).unwrap();
            }
        }
        fs::write(out.join("results.1.jsonl"), kept.concat() + "{\"index\":").unwrap();
        let ended = on_ranks(ranks, |exchange| {
            let mut counter = Counter::default();
            let options = Options { side_by_side: 2, tensorboard: false, started: Instant::now() };
            let summary = run_among(&sweep, &CpuBackend::new(), &out, &options, &mut counter, &*exchange).unwrap();
            (summary, counter.groups.iter().sum::<usize>())
        });
        let trained: Vec<usize> = ended.iter().map(|(_, runs)| *runs).collect();
        // 10 of the 12 are missing, and the first rank trains the best again.
        assert_eq!(trained, if ranks == 2 { vec![6, 5] } else { vec![5, 3, 3] });
        assert_eq!(ended.iter().filter(|(summary, _)| summary.is_some()).count(), 1);
        let summary = ended[0].0.as_ref().unwrap();
        assert_eq!(
            (summary.best, summary.diverged, hash(summary)),
            (expected.best, expected.diverged, hash(&expected))
        );
        assert_eq!(sweep::rows(&out), sweep::rows(&alone));
        assert!(!out.join("results.1.jsonl").exists() && !out.join("results.2.jsonl").exists());
        for row in sweep::rows(&out) {
            assert_eq!(sweep::log(&out, &row, "metrics.jsonl"), sweep::log(&alone, &row, "metrics.jsonl"));
        }
    }
}
