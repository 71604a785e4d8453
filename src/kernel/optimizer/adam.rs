//! Adam and AdamW, as torch.optim has them.

use crate::ir::{Cost, Kernel, Needs, Slice, read, read_u32, write};
use crate::kernel::optimizer::rules::{Params, Piece, Rules, Shared, Terms};
use crate::kernel::optimizer::update::{self, Rule, Variant};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "adam",
    wgsl: include_str!("../../../shaders/adam.wgsl"),
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

/// Adam over ranges of both moments, mean and variance. `decoupled`: AdamW, whose weight decay is apart from the gradient.
pub fn rule(decoupled: bool, moments: [Slice; 2]) -> Rule {
    let cost = Cost { flops: 14.0, bytes: 28.0 };
    Rule { kernel: &KERNEL, constants: vec![("DECOUPLED", decoupled.into())], state: moments.to_vec(), cost }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let decoupled = args.constant("DECOUPLED", 0) == 1;
    let shared = Shared::take(args);
    let [parameters, gradients, mean, variance] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (mean, variance) = (mean.write(), variance.write());
    for Piece { range, rules } in shared.models() {
        for i in range {
            let gradient = rules.gradient(i, gradients[i], parameters[i]);
            let decay = rules.decay(i).to_f64();
            let old = [parameters[i], mean[i], variance[i]].map(T::to_f64);
            let next = element(&rules, decoupled, rules.learning_rate(), old, gradient, decay);
            [parameters[i], mean[i], variance[i]] = next.map(T::from_f64);
        }
    }
}

/// One element after a step: parameter, mean and variance.
pub(crate) fn element<T: Real>(
    rules: &Rules<'_, T>,
    decoupled: bool,
    rate: f64,
    [mut parameter, mean, variance]: [f64; 3],
    mut gradient: f64,
    decay: f64,
) -> [f64; 3] {
    let h = |slot: usize| rules.hyper[slot].to_f64();
    let [correction1, correction2] =
        [state::BETA1_CORRECTION, state::BETA2_CORRECTION].map(|slot| rules.scalars[slot].to_f64());
    if decoupled {
        parameter *= 1.0 - rate * decay;
    } else {
        gradient += decay * parameter;
    }
    let m = h(state::BETA1) * mean + h(state::ONE_MINUS_BETA1) * gradient;
    let v = h(state::BETA2) * variance + h(state::ONE_MINUS_BETA2) * gradient * gradient;
    let denominator = v.sqrt() / correction2.sqrt() + h(state::EPSILON);
    [parameter - rate / correction1 * m / denominator, m, v]
}

fn cases() -> Vec<Case> {
    update::cases(7, |variant, len| {
        let decoupled = variant % 2 == 1;
        Variant {
            terms: Terms {
                clip: (2..5).contains(&variant),
                penalty: (1..6).contains(&variant),
                skips: variant == 4,
                spares_biases: variant > 4,
            },
            gradients: update::case_gradients(variant, len),
            state: vec![Contents::random(len, 1.0, 3), update::case_squares(len)],
            rule: move |state: &[Slice]| rule(decoupled, [state[0], state[1]]),
        }
    })
}
