//! Optimizers, in loops that vectorise.

use super::simd;
use crate::kernel::Args;
use crate::kernel::optimizer::rules::{self, Rules};
use crate::kernel::step::state;

/// The same in f32, in loops that vectorise.
pub(crate) fn sgd(args: &mut Args<f32>) {
    let p: rules::Params = args.params();
    let [momentum, nesterov, clip, penalty] =
        ["WITH_MOMENTUM", "NESTEROV", "CLIP", "PENALTY"].map(|n| args.constant(n, 0) == 1);
    let [skips, spares_biases] = ["SKIPS", "SPARES_BIASES"].map(|n| args.constant(n, 0) == 1);
    let [parameters, gradients, velocity, weight_blocks, hyper, scalars, norm_parts] = args.operands();
    let (parameters, gradients, velocity) = (parameters.write(), gradients.read(), velocity.write());
    let (blocks, shared) = (weight_blocks.read_u32(), [hyper.read(), scalars.read(), norm_parts.read()]);
    for (model, first, len) in rules::pieces(&p, (penalty || spares_biases).then_some(blocks)) {
        let rules = Rules::of_model(model, &p, [clip, penalty, spares_biases], shared, blocks);
        if rules.is_skipped(skips) {
            continue;
        }
        let (rate, decay) = (rules.learning_rate() as f32, rules.decay(p.first as usize + first));
        let (factor, clip) = (rules.hyper[state::MOMENTUM], rules.clip_factor() as f32);
        let slope = rules.l2_slope(p.first as usize + first) as f32;
        let (parameters, gradients) = (&mut parameters[first..first + len], &gradients[first..first + len]);
        if momentum {
            simd::zip_chunks(parameters, &mut velocity[first..first + len], |at, parameters, velocity| {
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
    let p: rules::Params = args.params();
    let [decoupled, clip, penalty] = ["DECOUPLED", "CLIP", "PENALTY"].map(|n| args.constant(n, 0) == 1);
    let [skips, spares_biases] = ["SKIPS", "SPARES_BIASES"].map(|n| args.constant(n, 0) == 1);
    let [parameters, gradients, mean, variance, weight_blocks, hyper, scalars, norm_parts] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (mean, variance) = (mean.write(), variance.write());
    let (blocks, shared) = (weight_blocks.read_u32(), [hyper.read(), scalars.read(), norm_parts.read()]);
    for (model, first, len) in rules::pieces(&p, (penalty || spares_biases).then_some(blocks)) {
        let rules = Rules::of_model(model, &p, [clip, penalty, spares_biases], shared, blocks);
        if rules.is_skipped(skips) {
            continue;
        }
        let rate = rules.learning_rate();
        let decay = rules.decay(p.first as usize + first);
        let (shrink, coupled_decay) = if decoupled { (1.0 - rate as f32 * decay, 0.0) } else { (1.0, decay) };
        let slope = rules.l2_slope(p.first as usize + first) as f32;
        let clip = rules.clip_factor() as f32;
        let [beta1, beta2, rest1, rest2, epsilon] =
            [state::BETA1, state::BETA2, state::ONE_MINUS_BETA1, state::ONE_MINUS_BETA2, state::EPSILON]
                .map(|slot| rules.hyper[slot]);
        // Numerator and denominator times the root of the second correction: one division less.
        let root_correction = f64::from(rules.scalars[state::BETA2_CORRECTION]).sqrt();
        let step = (rate / f64::from(rules.scalars[state::BETA1_CORRECTION]) * root_correction) as f32;
        let epsilon = (f64::from(epsilon) * root_correction) as f32;
        let range = first..first + len;
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
