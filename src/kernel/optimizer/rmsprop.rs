//! RMSprop, as torch.optim has it.

use crate::ir::{Cost, Kernel, Needs, Slice, read, read_u32, write};
use crate::kernel::optimizer::rules::{Params, Piece, Shared, Terms};
use crate::kernel::optimizer::update::{self, Rule, Variant};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "rmsprop",
    wgsl: include_str!("../../../shaders/rmsprop.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
        write("averages"),
        write("velocity"),
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

/// What RMSprop may have beside the mean square of the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// Momentum.
    pub momentum: bool,
    /// The variance of the gradient in the place of its mean square.
    pub centered: bool,
}

/// RMSprop over ranges of the averages (of each element that of its squared gradient and, centered, that of its gradient) and of
/// the velocity; anything without momentum.
pub fn rule(form: Form, [averages, velocity]: [Slice; 2]) -> Rule {
    let constants = vec![("WITH_MOMENTUM", form.momentum.into()), ("CENTERED", form.centered.into())];
    let cost = Cost { flops: 12.0, bytes: 28.0 };
    Rule { kernel: &KERNEL, constants, state: vec![averages, velocity], cost }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let [momentum, centered] = ["WITH_MOMENTUM", "CENTERED"].map(|n| args.constant(n, 0) == 1);
    let shared = Shared::take(args);
    let [parameters, gradients, averages, velocity] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (averages, velocity) = (averages.write(), velocity.write());
    for Piece { range, rules } in shared.models() {
        let rate = rules.learning_rate();
        let h = |slot: usize| rules.hyper[slot].to_f64();
        for i in range {
            let parameter = parameters[i].to_f64();
            let decay = rules.decay(i).to_f64();
            let gradient = rules.gradient(i, gradients[i], parameters[i]) + decay * parameter;
            let at = i * (1 + usize::from(centered));
            let mut square = h(state::BETA2) * averages[at].to_f64() + h(state::ONE_MINUS_BETA2) * gradient * gradient;
            averages[at] = T::from_f64(square);
            if centered {
                let before = averages[at + 1].to_f64();
                let mean = before + h(state::ONE_MINUS_BETA2) * (gradient - before);
                averages[at + 1] = T::from_f64(mean);
                square -= mean * mean;
                // Rounding may bring the difference below 0; not by f64::max, which would hide NaN.
                square = if square < 0.0 { 0.0 } else { square };
            }
            let mut step = gradient / (square.sqrt() + h(state::EPSILON));
            if momentum {
                step += h(state::MOMENTUM) * velocity[i].to_f64();
                velocity[i] = T::from_f64(step);
            }
            parameters[i] = T::from_f64(parameter - rate * step);
        }
    }
}

fn cases() -> Vec<Case> {
    update::cases(7, |variant, len| {
        let form = Form { momentum: variant % 2 == 1, centered: variant > 1 && variant < 5 };
        let width = 1 + usize::from(form.centered);
        // Mean squares that the squared means stay well below: what nearly cancels keeps no digits.
        let averages = match Contents::random(len * width, 1.0, 3) {
            Contents::F32(values) => {
                let average = |(i, x): (usize, &f32)| if i % width == 0 { 1.0 + x.abs() } else { x / 2.0 };
                Contents::F32(values.iter().enumerate().map(average).collect())
            }
            integers => integers,
        };
        Variant {
            terms: Terms {
                clip: (3..6).contains(&variant),
                penalty: (4..6).contains(&variant),
                skips: variant == 5,
                spares_biases: variant == 6,
            },
            gradients: update::case_gradients(variant, len),
            state: vec![averages, Contents::random(if form.momentum { len } else { 1 }, 1.0, 4)],
            rule: move |state: &[Slice]| rule(form, [state[0], state[1]]),
        }
    })
}
