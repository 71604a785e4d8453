//! Batch norm in training: what its running statistics are part of, and what not. That they are PyTorch's is for the golden cases;
//! that they are a member's own, and a resumed run's, for the tests of those.

use crate::cases::trained_on;
use crate::members::{bits, noise};
use crate::story::{Stories, golden_job};
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Examples, Features, Storage, Targets};
use gputrain::gradcheck::DoublePrecision;
use gputrain::gradcheck::rounding::{gradient_bounds, relative_to_terms};
use gputrain::job::Job;
use gputrain::model::{Model, Shape};
use gputrain::planner::Fusion;
use gputrain::recipe::Recipe;
use gputrain::train::{Member, Population, Stop, TrainError, Trainer};

const LAYERS: &str = "[{ dense = 9, bias = false }, { batch_norm = true, activation = \"relu\" }, { dense = 10 }]";

fn job(changes: &[(&str, &str)], examples: usize) -> Job {
    noise(&[&[("model.layers", LAYERS), ("train.batch", "8")][..], changes].concat(), 20, [examples, 40])
}

#[test]
fn a_gradient_alone_moves_no_statistics_and_a_step_moves_them_once() {
    let job = job(&[], 100);
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    trainer.step(3).unwrap();
    let before = trainer.parameters(0).unwrap();
    assert_eq!((job.model.parameters.len(), before.len()), (5, 7), "weights, then a mean and a variance");
    let (_, gradients) = trainer.gradient().unwrap();
    assert_eq!(gradients.len(), 5, "statistics have no gradient");
    assert_eq!(bits(&trainer.parameters(0).unwrap()), bits(&before));
    trainer.step(1).unwrap();
    let after = trainer.parameters(0).unwrap();
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "all tensors moved");
    assert!(after[6].iter().all(|variance| *variance > 0.0));
}

#[test]
fn a_batch_of_single_values_is_refused_with_the_remedy() {
    let refused = |changes: &[(&str, &str)], examples: usize| {
        let job = job(changes, examples);
        match Trainer::new(&CpuBackend::new(), job.spec(&[Member::of(&job.recipe)])) {
            Err(error @ TrainError::OneValue { .. }) => Some(error.to_string()),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        }
    };
    let text = refused(&[], 97).unwrap();
    for part in ["layers.1", "last batch of 97 examples in batches of 8", "train.drop_last = true"] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    assert_eq!(refused(&[("train.drop_last", "true")], 97), None);
    assert_eq!(refused(&[], 98), None);
    let text = refused(&[("train.batch", "1")], 98).unwrap();
    assert!(text.contains("a batch of 1") && text.contains("raise train.batch"), "{text}");
    // A channel of an image has several values in one example already.
    let layers = "[{ conv2d = 2, kernel = 3 }, { batch_norm = true }, { dense = 10 }]";
    let text = format!("[model]\ninput = [4, 5, 1]\nlayers = {layers}\n[train]\nbatch = 1");
    let recipe = Recipe::parse(&text, "r.toml", &[]).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let shape = model.input;
    let features = Features { storage: Storage::U8((0..180).collect()), count: 9, shape };
    let job =
        trained_on(recipe, model, Examples::unweighted(features, Targets::Classes { labels: vec![1; 9], classes: 10 }));
    Trainer::new(&CpuBackend::new(), job.spec(&[Member::of(&job.recipe)])).unwrap();
}

/// The statistics of the best epoch are kept with its weights: the validation loss at the end is that epoch's.
#[test]
fn early_stopping_keeps_the_statistics_of_the_best_epoch() {
    let rule = "{ metric = \"validation_loss\", patience = 3 }";
    let changes =
        [("train.early_stop", rule), ("data.validation", "60"), ("train.epochs", "60"), ("train.shuffle", "true")];
    let job = golden_job("batch-norm-features", &changes);
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    let mut stories = Stories::new(1);
    assert_eq!(trainer.train(&mut stories).unwrap(), Stop::Early);
    let last = trainer.parameters(0).unwrap();
    let outcome = trainer.finish().unwrap().remove(0);
    let best = &stories.0[0].epochs[outcome.epoch as usize - 1];
    assert_eq!(outcome.validation.map(|score| score.loss), best.validation_loss);
    assert!((outcome.epoch as usize) < stories.0[0].epochs.len());
    assert!(outcome.parameters.iter().zip(&last).all(|(best, last)| best != last), "statistics too");
}

/// A variance beyond single precision makes outputs of 0 and a finite loss: nothing but the statistics tells of it.
#[test]
fn statistics_that_are_not_finite_are_refused() {
    let job = job(&[], 100);
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    let mut initial = job.model.initialise(1);
    initial[0].iter_mut().for_each(|weight| *weight *= 1e25);
    trainer.set_parameters(0, &initial).unwrap();
    trainer.step(1).unwrap();
    assert!(trainer.losses().unwrap()[0].is_finite());
    assert!(trainer.parameters(0).unwrap()[..5].iter().flatten().all(|weight| weight.is_finite()));
    assert!(matches!(trainer.checkpoint(), Err(TrainError::NotFinite { step: 1, .. })));
    let error = trainer.finish().unwrap()[0].check().unwrap_err().to_string();
    assert!(error.contains("running statistics"), "{error}");
}

/// A variance below zero makes numbers of the root of what is none.
#[test]
fn a_checkpoint_with_a_variance_below_zero_is_refused() {
    let early_stop = ("train.early_stop", "{ metric = \"train_loss\", patience = 3 }");
    let job = job(&[early_stop, ("train.epochs", "2")], 100);
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    trainer.train(&mut Stories::new(1)).unwrap();
    let good = trainer.checkpoint().unwrap();
    let below_zero = |words: &mut Vec<u32>| {
        // The last place is one of the variances'; gaps follow them.
        let last = words.iter().rposition(|word| *word != 0).unwrap();
        words[last] = (-0.5f32).to_bits();
    };
    let (mut current, mut best) = (good.clone(), good.clone());
    below_zero(&mut current.buffers.iter_mut().find(|(name, _)| name == "statistics").unwrap().1);
    below_zero(best.best[0].as_mut().unwrap());
    for damaged in [current, best] {
        let error = trainer.restore(&damaged).unwrap_err().to_string();
        assert!(error.contains("running_var holds -0.5, and a variance is 0 or more"), "{error}");
        assert_eq!(trainer.checkpoint().unwrap().buffers, good.buffers);
    }
    trainer.restore(&good).unwrap();
}

/// A landscape's points have no running statistics: as in training, batches are normalised by their own. A full batch has the very
/// loss that training sees.
#[test]
fn a_population_has_the_training_loss() {
    let job = job(&[("train.batch", "\"full\""), ("optimizer.l2", "0.01")], 100);
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    trainer.step(4).unwrap();
    let weights: Vec<f32> = trainer.parameters(0).unwrap()[..5].concat();
    let (loss, _) = trainer.gradient().unwrap();
    let Job { model, scaling, recipe, dataset, .. } = &job;
    let (backend, optimizer) = (CpuBackend::new(), &recipe.optimizer);
    let mut population = Population::new(&backend, model, scaling, optimizer, &dataset.train, 2).unwrap();
    let found = population.scores(&[job.model.initialise(3)[..5].concat(), weights]).unwrap();
    assert!((found[1].loss - loss).abs() < 1e-6 * loss, "{} {loss}", found[1].loss);
    assert!(found[0].loss > loss, "other weights");
    let one = dataset.train.select(&[0]);
    let refused = Population::new(&backend, model, scaling, optimizer, &one, 1).err();
    assert!(matches!(refused, Some(TrainError::OneValue { .. })));
}

/// Features of 1000 and a little: their mean must not take the digits of their variance.
#[test]
fn values_far_from_zero_keep_their_digits() {
    let text = "[model]\ninput = [7]\nlayers = [{ batch_norm = true }, { dense = 3 }]\n[data]\nscale = \"none\"\n\
                [train]\nbatch = \"full\"";
    let recipe = Recipe::parse(text, "r.toml", &[]).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let random = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
    // Multiples of 2^-10, which single precision holds.
    let values = (0..700).map(|i| 1000.0 + ((random(i) * 2048.0).round() / 1024.0) as f32).collect();
    let features = Features { storage: Storage::F32(values), count: 100, shape: Shape::Features(7) };
    let targets = Targets::Classes { labels: (0..100).map(|i| i * 7 % 3).collect(), classes: 3 };
    let job = trained_on(recipe, model, Examples::unweighted(features, targets));
    let spec = job.spec(&[Member::of(&job.recipe)]);
    let initial = job.model.initialise(1);
    let mut trainer = Trainer::with_fusion(&CpuBackend::new(), spec.clone(), Fusion::Never).unwrap();
    trainer.set_parameters(0, &initial).unwrap();
    let (loss, gradients) = trainer.gradient().unwrap();
    let mut double = DoublePrecision::new(spec).unwrap();
    double.set_parameters(&initial.iter().map(|v| v.iter().map(|x| f64::from(*x)).collect()).collect::<Vec<_>>());
    let (exact_loss, exact) = double.gradient();
    let terms = double.absolute_terms().unwrap();
    assert!((f64::from(loss) - exact_loss).abs() < 2e-6 * exact_loss, "{loss} {exact_loss}");
    // The mean itself is a number of single precision, as PyTorch's: half of 2^-14 beside a deviation of 0.58.
    let rounded_mean = 2f64.powi(-15) / 0.58;
    for (index, bound) in gradient_bounds(&job.model, 100).into_iter().enumerate() {
        let error = relative_to_terms(&gradients[index], &exact[index], &terms[index]);
        assert!(error < bound + rounded_mean, "{}: {error:e}", job.model.parameters[index].name);
    }
    trainer.step(1).unwrap();
    let running = &trainer.parameters(0).unwrap()[4..];
    for (mean, variance) in running[0].iter().zip(&running[1]) {
        // A tenth of a mean of 1001, and of variances of a third beside nine tenths of 1.
        assert!((mean - 100.1).abs() < 0.02 && (variance - 0.933).abs() < 0.01, "{mean} {variance}");
    }
}

/// A small job on images, with weights.
pub fn images(layers: &str) -> (Job, Vec<Vec<f32>>) {
    let text = format!("[model]\ninput = [4, 5, 1]\nlayers = {layers}\n[train]\nbatch = 6");
    let recipe = Recipe::parse(&text, "r.toml", &[]).unwrap();
    let model = Model::build(&recipe.model, None).unwrap();
    let features = Features { storage: Storage::U8((0..180).collect()), count: 9, shape: model.input };
    let targets = Targets::Classes { labels: (0..9).collect(), classes: 10 };
    let parameters = model.initialise(5);
    (trained_on(recipe, model, Examples::unweighted(features, targets)), parameters)
}
