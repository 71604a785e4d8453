//! Lion: steps by the sign of a mean gradient.

use crate::ir::{Cost, Kernel, Needs, Slice, read, read_u32, write};
use crate::kernel::optimizer::rules::{Params, Piece, Shared, Terms};
use crate::kernel::optimizer::update::{self, Rule, Variant};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "lion",
    wgsl: include_str!("../../../shaders/lion.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
        write("mean"),
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
    tolerance: 1e-5,
    cases,
};

/// Lion over a range of the mean gradient.
pub fn rule(mean: Slice) -> Rule {
    Rule { kernel: &KERNEL, constants: Vec::new(), state: vec![mean], cost: Cost { flops: 6.0, bytes: 20.0 } }
}

/// The sign of a number, 0 of 0 and NaN of NaN.
pub(crate) fn direction<T: PartialOrd + From<f32>>(value: T) -> T {
    if value > 0.0.into() {
        1.0.into()
    } else if value < 0.0.into() {
        (-1.0).into()
    } else {
        value
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let shared = Shared::take(args);
    let [parameters, gradients, mean] = args.operands();
    let (parameters, gradients, mean) = (parameters.write(), gradients.read(), mean.write());
    for Piece { range, rules } in shared.models() {
        let rate = rules.learning_rate();
        let h = |slot: usize| rules.hyper[slot].to_f64();
        for i in range {
            let (parameter, m) = (parameters[i].to_f64(), mean[i].to_f64());
            let gradient = rules.gradient(i, gradients[i], parameters[i]);
            let step = direction(h(state::BETA1) * m + h(state::ONE_MINUS_BETA1) * gradient);
            let decay = rules.decay(i).to_f64();
            parameters[i] = T::from_f64(parameter * (1.0 - rate * decay) - rate * step);
            mean[i] = T::from_f64(h(state::BETA2) * m + h(state::ONE_MINUS_BETA2) * gradient);
        }
    }
}

fn cases() -> Vec<Case> {
    update::cases(5, |variant, len| {
        // Here and there nothing moves: neither way.
        let at_rest = |contents: Contents| match contents {
            Contents::F32(values) if variant == 0 => {
                Contents::F32(values.iter().enumerate().map(|(i, x)| if i % 5 == 3 { 0.0 } else { *x }).collect())
            }
            values => values,
        };
        Variant {
            terms: Terms {
                clip: (2..4).contains(&variant),
                penalty: (1..4).contains(&variant),
                skips: variant == 3,
                spares_biases: variant == 4,
            },
            gradients: at_rest(update::case_gradients(variant, len)),
            state: vec![at_rest(Contents::random(len, 1.0, 3))],
            rule: |state: &[Slice]| rule(state[0]),
        }
    })
}
