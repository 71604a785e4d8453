//! Stochastic gradient descent with momentum, as torch.optim.SGD.

use crate::ir::{Cost, Kernel, Needs, Slice, read, read_u32, write};
use crate::kernel::optimizer::rules::{Params, Piece, Shared, Terms};
use crate::kernel::optimizer::update::{self, Rule, Variant};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "sgd",
    wgsl: include_str!("../../../shaders/sgd.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
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
    tolerance: 1e-5,
    cases,
};

/// SGD's momentum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Momentum {
    /// There is one.
    pub any: bool,
    /// It is Nesterov's.
    pub nesterov: bool,
}

impl Momentum {
    /// As the shader's constants.
    pub fn constants(self) -> Vec<(&'static str, u32)> {
        vec![("WITH_MOMENTUM", self.any.into()), ("NESTEROV", self.nesterov.into())]
    }
}

/// SGD over a range of `velocity`; anything without momentum.
pub fn rule(momentum: Momentum, velocity: Slice) -> Rule {
    let cost = Cost { flops: 6.0, bytes: 20.0 };
    Rule { kernel: &KERNEL, constants: momentum.constants(), state: vec![velocity], cost }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let [momentum, nesterov] = ["WITH_MOMENTUM", "NESTEROV"].map(|n| args.constant(n, 0) == 1);
    let shared = Shared::take(args);
    let [parameters, gradients, velocity] = args.operands();
    let (parameters, gradients, velocity) = (parameters.write(), gradients.read(), velocity.write());
    for Piece { range, rules } in shared.models() {
        let rate = rules.learning_rate();
        let factor = rules.hyper[state::MOMENTUM].to_f64();
        for i in range {
            let parameter = parameters[i];
            let decay = rules.decay(i).to_f64();
            let mut step = rules.gradient(i, gradients[i], parameter) + decay * parameter.to_f64();
            if momentum {
                let v = factor * velocity[i].to_f64() + step;
                velocity[i] = T::from_f64(v);
                step = if nesterov { step + factor * v } else { v };
            }
            parameters[i] = T::from_f64(parameter.to_f64() - rate * step);
        }
    }
}

fn cases() -> Vec<Case> {
    update::cases(8, |variant, len| {
        let momentum = Momentum { any: variant > 0, nesterov: variant == 2 };
        Variant {
            terms: Terms {
                clip: (3..7).contains(&variant),
                penalty: (4..7).contains(&variant),
                skips: variant == 5,
                spares_biases: variant > 5,
            },
            gradients: update::case_gradients(variant, len),
            state: vec![Contents::random(len, 1.0, 3)],
            rule: move |state: &[Slice]| rule(momentum, state[0]),
        }
    })
}
