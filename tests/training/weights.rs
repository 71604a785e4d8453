//! Examples that count more or less than others.

use crate::cases::spec;
use crate::members::{backends, bits, noise, train};
use crate::story::Story;
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::job::Job;
use gputrain::planner::{BuildError, Fusion, NotFused};
use gputrain::train::{Member, Set, TrainError, Trainer};
use std::sync::Arc;

/// 45 examples under a rate that moves no weight, without the penalty.
fn job(weights: Option<&[f32]>, overrides: &[(&str, &str)]) -> Job {
    let still = [
        ("model.layers", "[{ dense = 10 }]"),
        ("train.epochs", "2"),
        ("train.log_every", "1"),
        ("train.batch", "7"),
        ("optimizer.learning_rate", "1e-20"),
    ];
    let mut job = noise(&[&still, overrides].concat(), 12, [45, 9]);
    Arc::make_mut(&mut job.dataset).train.weights = weights.map(<[f32]>::to_vec);
    job
}

fn story(backend: &dyn Backend, job: &Job) -> Story {
    train(backend, job, &[Member::of(&job.recipe)]).remove(0).0
}

/// A third of them 0, and a whole batch of files in their order.
fn weights() -> Vec<f32> {
    (0..45).map(|i| if i % 3 == 0 || (7..14).contains(&i) { 0.0 } else { 0.25 + (i * 5 % 8) as f32 }).collect()
}

fn mean(losses: &[f32], weights: &[f32]) -> f32 {
    let pairs = || losses.iter().zip(weights).map(|(loss, weight)| (f64::from(*loss), f64::from(*weight)));
    let all: f64 = pairs().map(|(_, weight)| weight).sum();
    if all > 0.0 { (pairs().map(|(loss, weight)| loss * weight).sum::<f64>() / all) as f32 } else { 0.0 }
}

fn close(found: f32, expected: f32) -> bool {
    (found - expected).abs() <= 2e-6 * expected.abs()
}

/// The loss of each batch is the mean by its weights, and that of an epoch the mean over all examples that it goes through.
#[test]
fn losses_of_steps_and_epochs_are_weighted_means() {
    let (ordered, weights) = (("train.shuffle", "false"), weights());
    for backend in backends() {
        let each = story(&*backend, &job(None, &[ordered, ("train.batch", "1"), ("train.epochs", "1")]));
        let each: Vec<f32> = each.steps.iter().map(|step| step.loss).collect();
        let shuffled = ("train.shuffle", "true");
        let accumulated = ("train.accumulate", "3");
        for (overrides, seen) in [
            (&[ordered][..], 45),
            (&[ordered, ("train.drop_last", "true")], 42),
            (&[ordered, accumulated], 45),
            (&[shuffled], 45),
            (&[shuffled, accumulated], 45),
            (&[shuffled, ("train.batch", "\"full\"")], 45),
        ] {
            let found = story(&*backend, &job(Some(&weights), overrides));
            for epoch in &found.epochs {
                let expected = mean(&each[..seen], &weights[..seen]);
                assert!(close(epoch.train_loss, expected), "{overrides:?}: {} and {expected}", epoch.train_loss);
                // Evaluations count every example once.
                assert_eq!(epoch.validation_loss, story(&*backend, &job(None, overrides)).epochs[0].validation_loss);
            }
            if overrides.contains(&ordered) && !overrides.contains(&accumulated) {
                for (step, (losses, weights)) in found.steps.iter().zip(each[..seen].chunks(7).zip(weights.chunks(7))) {
                    assert!(close(step.loss, mean(losses, weights)), "{overrides:?}: step {}", step.step);
                }
            }
        }
    }
}

/// A batch that does not count moves nothing, and weights are known by their ratios alone.
#[test]
fn only_what_counts_moves_the_weights() {
    let learns = [("train.shuffle", "false"), ("train.epochs", "1"), ("optimizer.learning_rate", "0.1")];
    let sgd = ("optimizer.kind", "sgd");
    for backend in backends() {
        let last = |weights: Option<&[f32]>| {
            let job = job(weights, &[&learns[..], &[sgd]].concat());
            train(&*backend, &job, &[Member::of(&job.recipe)]).remove(0).1
        };
        // Only the first batch counts: the others leave its step alone.
        let first: Vec<f32> = (0..45).map(|i| if i < 7 { 1.0 } else { 0.0 }).collect();
        let mut alone = job(None, &[&learns[..], &[sgd]].concat());
        let train_set = &mut Arc::make_mut(&mut alone.dataset).train;
        *train_set = train_set.select(&(0..7).collect::<Vec<_>>());
        let alone = train(&*backend, &alone, &[Member::of(&alone.recipe)]).remove(0).1.concat();
        // The step of unweighted examples may be fused, which sums in another order.
        let gap = last(Some(&first)).concat().iter().zip(&alone).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(gap < 1e-6, "on {}: {gap:e}", backend.info().backend);
        let four: Vec<f32> = weights().iter().map(|weight| 4.0 * weight).collect();
        assert!(bits(&last(Some(&weights()))) == bits(&last(Some(&four))), "on {}", backend.info().backend);
        assert!(bits(&last(Some(&weights()))) != bits(&last(None)));
    }
}

#[test]
fn weights_that_are_none_are_refused_before_anything_is_planned() {
    let refused = |weights: Vec<f32>| {
        let job = job(Some(&weights), &[]);
        Trainer::new(&CpuBackend::new(), spec(&job, &[Member::of(&job.recipe)])).err().unwrap().to_string()
    };
    for (weights, said) in [
        (vec![1.0; 44], "there are 44 weights, and there are 45 examples"),
        (vec![0.0; 45], "every training example has the weight 0"),
        ([vec![1.0; 44], vec![-0.5]].concat(), "example 44 has the weight -0.5"),
        ([vec![f32::NAN], vec![1.0; 44]].concat(), "example 0 has the weight NaN"),
    ] {
        let error = refused(weights);
        assert!(error.contains("the weights of the training examples") && error.contains(said), "{error}");
    }
}

#[test]
fn a_weighted_step_is_not_fused_and_its_set_is_evaluated_without_weights() {
    let [weighted, plain] = [Some(weights()), None].map(|weights| job(weights.as_deref(), &[]));
    let new =
        |job: &Job, fusion| Trainer::with_fusion(&CpuBackend::new(), spec(job, &[Member::of(&job.recipe)]), fusion);
    let refused = new(&weighted, Fusion::Always).err().unwrap();
    assert!(matches!(refused, TrainError::Build(BuildError::NotFused(NotFused::Weighted))), "{refused}");
    let loss = |job: &Job| {
        let mut trainer = new(job, Fusion::Never).unwrap();
        trainer.set_parameters(0, &job.model.initialise(3)).unwrap();
        trainer.scores(Set::Validation).unwrap()[0].loss
    };
    assert_eq!(loss(&weighted), loss(&plain));
}
