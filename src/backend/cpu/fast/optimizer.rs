//! Optimizers, in loops that vectorise.

use super::simd;
use crate::kernel::Args;
use crate::kernel::optimizer::accumulate_gradients::{self, weight};
use crate::kernel::optimizer::average_weights;
use crate::kernel::optimizer::lion::direction;
use crate::kernel::optimizer::rules::{self, Piece, Shared};
use crate::kernel::step::state;

/// The same in f32, in loops that vectorise.
pub(crate) fn sgd(args: &mut Args<f32>) {
    let [momentum, nesterov] = ["WITH_MOMENTUM", "NESTEROV"].map(|n| args.constant(n, 0) == 1);
    let shared = Shared::take(args);
    let [parameters, gradients, velocity] = args.operands();
    let (parameters, gradients, velocity) = (parameters.write(), gradients.read(), velocity.write());
    for Piece { range, rules } in shared.uniform() {
        let (rate, decay) = (rules.learning_rate() as f32, rules.decay(range.start));
        let (factor, clip) = (rules.hyper[state::MOMENTUM], rules.clip_factor() as f32);
        let slope = rules.l2_slope(range.start) as f32;
        let (parameters, gradients) = (&mut parameters[range.clone()], &gradients[range.clone()]);
        if momentum {
            simd::zip_chunks(parameters, &mut velocity[range], |at, parameters, velocity| {
                simd::vectorised(|| {
                    for ((p, v), g) in parameters.iter_mut().zip(velocity).zip(&gradients[at..]) {
                        let step = (g + slope * *p) * clip + decay * *p;
                        *v = factor * *v + step;
                        *p -= rate * if nesterov { step + factor * *v } else { *v };
                    }
                });
            });
        } else {
            simd::chunks(parameters, |at, parameters| {
                simd::vectorised(|| {
                    for (p, g) in parameters.iter_mut().zip(&gradients[at..]) {
                        *p -= rate * ((g + slope * *p) * clip + decay * *p);
                    }
                });
            });
        }
    }
}

/// The same in f32, in loops that vectorise.
pub(crate) fn adam(args: &mut Args<f32>) {
    let decoupled = args.constant("DECOUPLED", 0) == 1;
    let shared = Shared::take(args);
    let [parameters, gradients, mean, variance] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (mean, variance) = (mean.write(), variance.write());
    for Piece { range, rules } in shared.uniform() {
        let rate = rules.learning_rate();
        let decay = rules.decay(range.start);
        let (shrink, coupled_decay) = if decoupled { (1.0 - rate as f32 * decay, 0.0) } else { (1.0, decay) };
        let slope = rules.l2_slope(range.start) as f32;
        let clip = rules.clip_factor() as f32;
        let [beta1, beta2, rest1, rest2, epsilon] =
            [state::BETA1, state::BETA2, state::ONE_MINUS_BETA1, state::ONE_MINUS_BETA2, state::EPSILON]
                .map(|slot| rules.hyper[slot]);
        // Numerator and denominator times the root of the second correction: one division less.
        let root_correction = f64::from(rules.scalars[state::BETA2_CORRECTION]).sqrt();
        let step = (rate / f64::from(rules.scalars[state::BETA1_CORRECTION]) * root_correction) as f32;
        let epsilon = (f64::from(epsilon) * root_correction) as f32;
        let (parameters, mean) = (&mut parameters[range.clone()], &mut mean[range.clone()]);
        let (variance, gradients) = (&mut variance[range.clone()], &gradients[range]);
        simd::zip3_chunks(parameters, mean, variance, |at, parameters, mean, variance| {
            simd::vectorised(|| {
                for (((p, m), v), g) in parameters.iter_mut().zip(mean).zip(variance).zip(&gradients[at..]) {
                    let gradient = (g + slope * *p) * clip + coupled_decay * *p;
                    *m = beta1 * *m + rest1 * gradient;
                    *v = beta2 * *v + rest2 * gradient * gradient;
                    *p = *p * shrink - step * *m / (v.sqrt() + epsilon);
                }
            });
        });
    }
}

pub(crate) fn accumulate_gradients(args: &mut Args<f32>) {
    let p: accumulate_gradients::Params = args.params();
    let [batch_gradients, counters, gradients] = args.operands();
    let (batch_gradients, counters, gradients) = (batch_gradients.read(), counters.read_u32(), gradients.write());
    for (model, first, len) in rules::model_pieces([p.first, p.len, p.parameter_stride]) {
        let (weight, begins) = weight(&p, counters, model);
        let weight = weight as f32;
        simd::chunks(&mut gradients[first..first + len], |at, gradients| {
            simd::vectorised(|| {
                for (sum, gradient) in gradients.iter_mut().zip(&batch_gradients[first + at..]) {
                    *sum = if begins { gradient * weight } else { *sum + gradient * weight };
                }
            });
        });
    }
}

pub(crate) fn average_weights(args: &mut Args<f32>) {
    let p: average_weights::Params = args.params();
    let [parameters, counters, average] = args.operands();
    let (parameters, counters, average) = (parameters.read(), counters.read_u32(), average.write());
    for (model, first, len) in rules::model_pieces([p.first, p.len, p.parameter_stride]) {
        let is_first = counters[model * state::COUNTERS + state::STEP] == 1;
        simd::chunks(&mut average[first..first + len], |at, average| {
            simd::vectorised(|| {
                for (average, parameter) in average.iter_mut().zip(&parameters[first + at..]) {
                    *average = if is_first { *parameter } else { *average + p.rest * (parameter - *average) };
                }
            });
        });
    }
}

pub(crate) fn rmsprop(args: &mut Args<f32>) {
    let [momentum, centered] = ["WITH_MOMENTUM", "CENTERED"].map(|n| args.constant(n, 0) == 1);
    let shared = Shared::take(args);
    let [parameters, gradients, averages, velocity] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (averages, velocity) = (averages.write(), velocity.write());
    let width = 1 + usize::from(centered);
    for Piece { range, rules } in shared.uniform() {
        let (rate, clip) = (rules.learning_rate() as f32, rules.clip_factor() as f32);
        let slope = rules.l2_slope(range.start) as f32;
        let decay = rules.decay(range.start);
        let [factor, alpha, rest, epsilon] =
            [state::MOMENTUM, state::BETA2, state::ONE_MINUS_BETA2, state::EPSILON].map(|slot| rules.hyper[slot]);
        let (parameters, gradients) = (&mut parameters[range.clone()], &gradients[range.clone()]);
        let averages = &mut averages[range.start * width..range.end * width];
        let gradient = |p: f32, g: f32| (g + slope * p) * clip + decay * p;
        simd::vectorised(|| {
            let step = |p: f32, g: f32, averages: &mut [f32]| {
                let gradient = gradient(p, g);
                averages[0] = alpha * averages[0] + rest * gradient * gradient;
                let mut square = averages[0];
                if let [_, mean] = averages {
                    *mean += rest * (gradient - *mean);
                    square -= *mean * *mean;
                    square = if square < 0.0 { 0.0 } else { square };
                }
                gradient / (square.sqrt() + epsilon)
            };
            let elements = parameters.iter_mut().zip(gradients).zip(averages.chunks_exact_mut(width));
            if momentum {
                for (((p, g), averages), v) in elements.zip(&mut velocity[range]) {
                    *v = factor * *v + step(*p, *g, averages);
                    *p -= rate * *v;
                }
            } else {
                for ((p, g), averages) in elements {
                    *p -= rate * step(*p, *g, averages);
                }
            }
        });
    }
}

pub(crate) fn lion(args: &mut Args<f32>) {
    let shared = Shared::take(args);
    let [parameters, gradients, mean] = args.operands();
    let (parameters, gradients, mean) = (parameters.write(), gradients.read(), mean.write());
    for Piece { range, rules } in shared.uniform() {
        let (rate, clip) = (rules.learning_rate() as f32, rules.clip_factor() as f32);
        let slope = rules.l2_slope(range.start) as f32;
        let [beta1, beta2, rest1, rest2] =
            [state::BETA1, state::BETA2, state::ONE_MINUS_BETA1, state::ONE_MINUS_BETA2].map(|slot| rules.hyper[slot]);
        let shrink = 1.0 - rate * rules.decay(range.start);
        let gradients = &gradients[range.clone()];
        simd::zip_chunks(&mut parameters[range.clone()], &mut mean[range], |at, parameters, mean| {
            simd::vectorised(|| {
                for ((p, m), g) in parameters.iter_mut().zip(mean).zip(&gradients[at..]) {
                    let gradient = (g + slope * *p) * clip;
                    *p = *p * shrink - rate * direction(beta1 * *m + rest1 * gradient);
                    *m = beta2 * *m + rest2 * gradient;
                }
            });
        });
    }
}
