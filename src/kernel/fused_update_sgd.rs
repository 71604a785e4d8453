//! Gradients of a network of dense layers, a step of SGD and the bookkeeping: the second half of a fused training step.

use super::fused_forward_backward::run;
use super::fused_update::{self, Model, Operands, Params};
use super::{Args, Case, Contents, DenseLayers, Kernel, Needs, Operand, Real, read, sgd, write, write_u32};
use crate::plan::{Dispatch, Slice};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "fused_update_sgd",
    wgsl: include_str!("../../shaders/fused_update_sgd.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("trace"),
        read("hyper"),
        write_u32("counters"),
        write("scalars"),
        write("log"),
        write("parameters"),
        write("velocity"),
    ],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: None,
    cost: fused_update::cost,
    tolerance: 2e-5,
    cases,
};

/// A launch for `models` models. The gradient's norm is not known here, so that it cannot be clipped. `velocity`: laid out
/// like the parameters; without momentum any slice of a buffer that nothing else in this launch uses.
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    layers: &DenseLayers,
    terms: sgd::Terms,
    operands: Operands,
    velocity: Slice,
) -> Dispatch {
    let (mut constants, grid) = fused_update::launch(layers, models, terms.penalty);
    constants.extend([("WITH_MOMENTUM", terms.momentum.into()), ("NESTEROV", terms.nesterov.into())]);
    let (params, slices) = (shape.words(), operands.slices(&[velocity]));
    Dispatch { kernel: &KERNEL, label: label.into(), constants, params, slices, grid }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (launch, layers) = fused_update::of_args(args);
    let constants = args.constants;
    let [trace, hyper, counters, scalars, log, parameters, velocity] = args.operands();
    let operands = [trace, hyper, counters, scalars, log, parameters];
    fused_update::reference(launch, &layers, operands, [velocity.write()], |model, piece, parameters, [velocity]| {
        let (shape, blocks) = Model::optimizer_shape(piece);
        let read = [Operand::Write(parameters), Operand::Read(&piece.gradient), Operand::Write(velocity)];
        let rest = [Operand::ReadU32(&blocks), Operand::Read(model.hyper), Operand::Read(model.scalars())];
        run(sgd::reference, &shape.words(), constants, read.into_iter().chain(rest), [Operand::Read(&[])]);
    });
}

fn cases() -> Vec<Case> {
    let with_terms = |(index, mut parts): (usize, fused_update::CaseParts)| {
        let terms = sgd::Terms {
            momentum: index / 2 % 3 > 0,
            nesterov: index / 2 % 3 == 2,
            clip: false,
            penalty: parts.penalty,
            skips: false,
        };
        let len = if terms.momentum { parts.contents[5].len() } else { 1 };
        parts.contents.push(Contents::random(len, 1.0, 8));
        let s = Case::slices(&parts.contents);
        let operands = Operands::of(&s);
        let dispatch = dispatch("case", parts.shape, parts.models, &parts.layers, terms, operands, s[6]);
        Case { name: format!("{}, {terms:?}", parts.name), dispatch, contents: parts.contents }
    };
    fused_update::case_parts().into_iter().enumerate().map(with_terms).collect()
}
