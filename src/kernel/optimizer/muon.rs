//! Muon's momentum of weights, whose directions are then made orthogonal, and AdamW for all else.

use crate::ir::{Cost, Kernel, Needs, Slice, read, read_u32, write};
use crate::kernel::optimizer::adam;
use crate::kernel::optimizer::rules::{Params, Piece, Shared, Terms};
use crate::kernel::optimizer::update::{self, Rule, Variant};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "muon",
    wgsl: include_str!("../../../shaders/muon.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
        write("mean"),
        write("variance"),
        read_u32("weight_blocks"),
        read("hyper"),
        read("scalars"),
        read("norm_parts"),
    ],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 2e-5,
    cases,
};

/// Muon over ranges of the momentum of weights, which is AdamW's mean of all else, and of AdamW's variance, where the
/// directions of weights go. `nesterov`: the momentum of weights is Nesterov's.
pub fn rule(nesterov: bool, moments: [Slice; 2]) -> Rule {
    let constants = vec![("NESTEROV", nesterov.into()), ("DECOUPLED", 1)];
    Rule { kernel: &KERNEL, constants, state: moments.to_vec(), cost: Cost { flops: 14.0, bytes: 28.0 } }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let nesterov = args.constant("NESTEROV", 0) == 1;
    let shared = Shared::take(args);
    let [parameters, gradients, mean, variance] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (mean, variance) = (mean.write(), variance.write());
    for Piece { range, rules } in shared.kinds() {
        let is_weight = rules.is_weight(range.start);
        let [momentum, rest, adam_rate] =
            [state::MOMENTUM, state::ONE_MINUS_MOMENTUM, state::ADAM_RATE].map(|slot| rules.hyper[slot].to_f64());
        let rate = rules.learning_rate();
        for i in range {
            let gradient = rules.gradient(i, gradients[i], parameters[i]);
            let decay = rules.decay(i).to_f64();
            let old = [parameters[i], mean[i], variance[i]].map(T::to_f64);
            let next = if is_weight {
                let m = momentum * old[1] + rest * gradient;
                let direction = if nesterov { rest * gradient + momentum * m } else { m };
                [old[0] * (1.0 - rate * decay), m, direction]
            } else {
                adam::element(&rules, true, rate * adam_rate, old, gradient, decay)
            };
            [parameters[i], mean[i], variance[i]] = next.map(T::from_f64);
        }
    }
}

fn cases() -> Vec<Case> {
    update::cases(7, |variant, len| {
        let nesterov = variant % 2 == 1;
        Variant {
            terms: Terms {
                clip: (2..5).contains(&variant),
                penalty: (1..6).contains(&variant),
                skips: variant == 4,
                spares_biases: variant > 4,
            },
            gradients: update::case_gradients(variant, len),
            state: vec![Contents::random(len, 1.0, 3), update::case_squares(len)],
            rule: move |state: &[Slice]| rule(nesterov, [state[0], state[1]]),
        }
    })
}
