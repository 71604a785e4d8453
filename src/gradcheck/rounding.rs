//! How far gradients in f32 may be from those in f64.
//!
//! A sum of n rounded products `x_i y_i` is off by at most `γ_n Σ |x_i y_i|`, `γ_n ≈ n u`, in whatever order it is taken (Higham,
//! Accuracy and Stability of Numerical Algorithms, section 3.1), where u is 2^-24 in f32. Roundings go up as often as down, so
//! that but for a probability below `2 n exp(-λ²/2)` it is `λ √n u Σ |x_i y_i|` (Higham and Mary, A New Approach to Probabilistic
//! Rounding Error Analysis, SIAM J. Sci. Comput. 41, 2019, theorem 3.1). Both are relative to the sum of the absolute values of the
//! terms, not to the sum, which may cancel to nothing: [`DoublePrecision::absolute_terms`](super::DoublePrecision::absolute_terms).
//!
//! The terms of a gradient carry the roundings before them too: of the sums of the forward and of the backward pass. n is the
//! number of roundings on the longest way from the examples to the gradient.
//!
//! The forward pass may cancel as well, and a ReLU whose input is next to nothing is open in f64 and shut in f32: a whole term
//! is there or not. A rounded sum of products is the exact sum of products whose factors are off by that much (Higham, section
//! 3.1): what becomes of the gradient in f64 with such [weights](as_rounded) is within what rounding can make of it.

use crate::kernel::formula::hash;
use crate::model::{Layer, Model, Shape};

/// λ: a right element of a gradient of a thousand roundings is out of bounds once in 10^10.
const CONFIDENCE: f64 = 8.0;
/// Half the distance from 1 to the next f32.
const UNIT_ROUNDOFF: f64 = 1.0 / (1u64 << 24) as f64;
/// Roundings of what a layer does to each value alone: activation and its slope, bias, scaling, loss.
const ELEMENTWISE: usize = 16;

/// The bound of each parameter's gradient over a batch of `rows` examples, relative to the sums of absolute terms.
pub fn gradient_bounds(model: &Model, rows: usize) -> Vec<f64> {
    let of = |layer: &Layer| ELEMENTWISE + layer.kind.terms(layer) + rows * layer.kind.terms_per_example(layer);
    let through: usize = model.layers.iter().map(of).sum();
    let mut bounds = vec![0.0; model.parameters.len()];
    for layer in &model.layers {
        // Each place of an image adds its term to the gradients of what all share.
        let places = match layer.output {
            Shape::Image { height, width, .. } => height * width,
            Shape::Features(_) => 1,
        };
        for (_, index) in &layer.tensors {
            bounds[*index] = CONFIDENCE * ((through + rows * places) as f64).sqrt() * UNIT_ROUNDOFF;
        }
    }
    bounds
}

/// As many times the forward pass is rounded another way: one that shuts a ReLU or opens it is among them but once in 2^16.
pub const SAMPLES: u32 = 16;

/// Weights that are off by what roundings of the forward pass's sums come to, up or down, differently in each sample.
pub fn as_rounded(model: &Model, parameters: &[Vec<f64>], sample: u32) -> Vec<Vec<f64>> {
    let mut rounded = parameters.to_vec();
    for layer in &model.layers {
        let roundings = ELEMENTWISE + layer.weight().map_or(0, |index| model.parameters[index].fan_in);
        let off = CONFIDENCE * (roundings as f64).sqrt() * UNIT_ROUNDOFF;
        for (_, index) in &layer.tensors {
            let stream = hash::mix(hash::mix(sample) ^ *index as u32);
            for (i, value) in rounded[*index].iter_mut().enumerate() {
                *value *= if hash::mix(stream ^ i as u32) & 1 == 0 { 1.0 + off } else { 1.0 - off };
            }
        }
    }
    rounded
}

/// The largest error of a tensor's elements, relative to the sums of their absolute terms. NaN is the largest.
pub fn relative_to_terms(ours: &[f32], exact: &[f64], terms: &[f64]) -> f64 {
    // Devices flush what is smaller to zero, in each term.
    let least = f64::from(f32::MIN_POSITIVE) / UNIT_ROUNDOFF;
    largest(ours.iter().zip(exact).zip(terms).map(|((a, b), terms)| (f64::from(*a) - b).abs() / (terms + least)))
}

/// The largest of some errors; NaN where one is, whatever comes after it.
pub fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |most: f64, error| if error <= most || most.is_nan() { most } else { error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuBackend;
    use crate::data::{Dataset, Examples, Features, Scaling, Storage, Targets};
    use crate::gradcheck::DoublePrecision;
    use crate::recipe::{AugmentSpec, Recipe};
    use crate::train::{Member, Trainer, TrainerSpec};

    #[test]
    fn the_bound_grows_with_the_root_of_the_roundings() {
        let text =
            "[model]\ninput = [8, 8, 1]\nlayers = [{ conv2d = 3, kernel = 3 }, { flatten = true }, { dense = 2 }]";
        let model = Model::build(&Recipe::parse(text, "r.toml", &[]).unwrap().model, None).unwrap();
        // 9 + 27 terms of the convolution, 1 of flattening, 108 + 2 of the dense layer, and 16 of each layer.
        let through = (36 + 1 + 110 + 48) as f64;
        let bound = |sum: f64| 8.0 * (through + sum).sqrt() * 2f64.powi(-24);
        // 5 examples, in the convolution at 36 places.
        assert_eq!(gradient_bounds(&model, 5), [bound(180.0), bound(180.0), bound(5.0), bound(5.0)]);
    }

    /// Residuals of 1 and -1 in turn and a millionth: the bias' gradient cancels, and f32 keeps few of its digits.
    #[test]
    fn a_gradient_that_cancels_is_in_bounds_and_a_wrong_one_is_not() {
        const INPUTS: usize = 30;
        let text = "[model]\ninput = [30]\nloss = \"mse\"\nlayers = [{ dense = 1 }]\n[data]\nscale = \"none\"\n\
                    [train]\nbatch = \"full\"";
        let recipe = Recipe::parse(text, "r.toml", &[]).unwrap();
        let model = Model::build(&recipe.model, None).unwrap();
        let values: Vec<f32> = (0..64 * INPUTS as u32).map(|i| hash::mix(i) as f32 / u32::MAX as f32).collect();
        let weights: Vec<f32> =
            (0..INPUTS as u32).map(|i| hash::mix(i + 9999) as f32 / u32::MAX as f32 - 0.5).collect();
        let output = |x: &[f32]| x.iter().zip(&weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum::<f64>();
        let residual = |(i, x): (usize, &[f32])| (output(x) + if i % 2 == 0 { 1.0 } else { -1.000_001 }) as f32;
        let targets = Targets::Values { values: values.chunks(INPUTS).enumerate().map(residual).collect(), outputs: 1 };
        let features = Features { storage: Storage::F32(values.into()), count: 64, shape: Shape::Features(INPUTS) };
        let scaling = Scaling::fit(recipe.data.scale, &features);
        let dataset = Dataset { train: Examples::unweighted(features, targets), validation: None, test: None };
        let members = vec![Member::of(&recipe)];
        let train = recipe.train.clone();
        let spec = TrainerSpec {
            model: model.clone(),
            dataset: dataset.into(),
            scaling,
            trained_on: Default::default(),
            train,
            augment: AugmentSpec::NONE,
            members,
            folds: 1,
        };
        let parameters = [weights.clone(), vec![0.0]];

        let mut trainer = Trainer::new(&CpuBackend::new(), spec.clone()).unwrap();
        trainer.set_parameters(0, &parameters).unwrap();
        let (_, mut ours) = trainer.gradient().unwrap();
        let mut double = DoublePrecision::new(spec).unwrap();
        double.set_parameters(&parameters.map(|p| p.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>()));
        let (_, exact) = double.gradient();
        let terms = double.absolute_terms().unwrap();
        // Twice the mean of residuals of 1, whatever their signs.
        assert!((terms[1][0] - 2.0).abs() < 1e-5, "{terms:?}");
        let bound = gradient_bounds(&model, 64)[1];
        let error = |ours: &[Vec<f32>]| relative_to_terms(&ours[1], &exact[1], &terms[1]);
        let of_itself = (f64::from(ours[1][0]) - exact[1][0]).abs() / exact[1][0].abs();
        assert!(of_itself > 1e-3, "the sum cancels: {of_itself:e}");
        assert!(error(&ours) < bound, "{:e} {bound:e}", error(&ours));
        ours[1][0] += 4.0 * bound as f32;
        assert!(error(&ours) > bound, "{:e} {bound:e}", error(&ours));
    }

    /// Values of both signs everywhere: no sum may be larger than that of its terms.
    #[test]
    fn no_gradient_of_a_convolution_is_larger_than_its_terms() {
        let text = "[model]\ninput = [3, 3, 2]\nloss = \"mse\"\nlayers = [{ conv2d_transpose = 3, kernel = 2, stride = 2, \
                    activation = \"tanh\" }, { conv2d = 3, kernel = 3, groups = 3, padding = 1, activation = \"tanh\" }, \
                    { conv2d_transpose = 2, kernel = 3, dilation = 2 }, { dense = 1 }]\n[train]\nbatch = \"full\"";
        let recipe = Recipe::parse(text, "r.toml", &[]).unwrap();
        let model = Model::build(&recipe.model, None).unwrap();
        let values: Vec<f32> = (0..4 * 18).map(|i| hash::mix(i) as f32 / u32::MAX as f32 - 0.5).collect();
        let targets = Targets::Values { values: vec![1.0, -1.0, 0.5, 0.0], outputs: 1 };
        let shape = Shape::Image { channels: 2, height: 3, width: 3 };
        let features = Features { storage: Storage::F32(values.into()), count: 4, shape };
        let scaling = Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 };
        let dataset = Dataset { train: Examples::unweighted(features, targets), validation: None, test: None };
        let members = vec![Member::of(&recipe)];
        let parameters: Vec<Vec<f64>> =
            model.initialise(3).iter().map(|values| values.iter().map(|x| f64::from(*x)).collect()).collect();
        let spec = TrainerSpec {
            model,
            dataset: dataset.into(),
            scaling,
            trained_on: Default::default(),
            train: recipe.train.clone(),
            augment: AugmentSpec::NONE,
            members,
            folds: 1,
        };
        let mut double = DoublePrecision::new(spec).unwrap();
        double.set_parameters(&parameters);
        let (_, exact) = double.gradient();
        let terms = double.absolute_terms().unwrap();
        for (exact, terms) in exact.iter().flatten().zip(terms.iter().flatten()) {
            assert!(exact.abs() <= terms * (1.0 + 1e-9), "{exact} of {terms}");
        }
    }

    #[test]
    fn an_error_counts_against_what_was_added_up() {
        // 1000 - 999.9999 in terms of 2000: an error of 1e-4 is 5e-8 of the terms, and as much as the sum.
        let error = relative_to_terms(&[2e-4], &[1e-4], &[2000.0]);
        assert!((error - 5e-8).abs() < 1e-12, "{error}");
        assert_eq!(relative_to_terms(&[0.0], &[0.0], &[0.0]), 0.0);
        assert!(relative_to_terms(&[1e-3], &[0.0], &[0.0]) > 1.0);
        assert!(relative_to_terms(&[f32::NAN, 1.0], &[1.0, 1.0], &[1.0, 1.0]).is_nan());
    }
}
