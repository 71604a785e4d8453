//! Gradients of a network of dense layers, a step of Adam or AdamW and the bookkeeping: the second half of a fused training
//! step.

use super::fused_forward_backward::run;
use super::fused_update::{self, Model, Operands, Params};
use super::{Args, Case, Contents, DenseLayers, Kernel, Needs, Operand, Real, adam, read, write, write_u32};
use crate::plan::{Dispatch, Slice};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "fused_update_adam",
    wgsl: include_str!("../../shaders/fused_update_adam.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("trace"),
        read("hyper"),
        write_u32("counters"),
        write("scalars"),
        write("log"),
        write("parameters"),
        write("mean"),
        write("variance"),
    ],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: None,
    cost: fused_update::cost,
    tolerance: 1e-4,
    cases,
};

/// A launch for `models` models. The gradient's norm is not known here, so that it cannot be clipped. `moments`: mean and
/// variance, laid out like the parameters.
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    layers: &DenseLayers,
    terms: adam::Terms,
    operands: Operands,
    moments: [Slice; 2],
) -> Dispatch {
    let (mut constants, grid) = fused_update::launch(layers, models, terms.penalty);
    constants.push(("DECOUPLED", terms.decoupled.into()));
    let (params, slices) = (shape.words(), operands.slices(&moments));
    Dispatch { kernel: &KERNEL, label: label.into(), constants, params, slices, grid }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (launch, layers) = fused_update::of_args(args);
    let constants = args.constants;
    let [trace, hyper, counters, scalars, log, parameters, mean, variance] = args.operands();
    let operands = [trace, hyper, counters, scalars, log, parameters];
    let moments = [mean.write(), variance.write()];
    fused_update::reference(launch, &layers, operands, moments, |model, piece, parameters, [mean, variance]| {
        let (shape, blocks) = Model::optimizer_shape(piece);
        let written = [Operand::Write(parameters), Operand::Read(&piece.gradient)];
        let moments = [Operand::Write(mean), Operand::Write(variance), Operand::ReadU32(&blocks)];
        let rest = [Operand::Read(model.hyper), Operand::Read(model.scalars()), Operand::Read(&[])];
        run(adam::reference, &shape.words(), constants, written.into_iter().chain(moments), rest);
    });
}

fn cases() -> Vec<Case> {
    let with_terms = |(index, mut parts): (usize, fused_update::CaseParts)| {
        let terms = adam::Terms { decoupled: index / 2 % 3 == 1, clip: false, penalty: parts.penalty, skips: false };
        let len = parts.contents[5].len();
        let Contents::F32(variance) = Contents::random(len, 1.0, 9) else { unreachable!("random numbers are floats") };
        parts.contents.push(Contents::random(len, 1.0, 8));
        parts.contents.push(Contents::F32(variance.iter().map(|v| v.abs()).collect()));
        let s = Case::slices(&parts.contents);
        let operands = Operands::of(&s);
        let dispatch = dispatch("case", parts.shape, parts.models, &parts.layers, terms, operands, [s[6], s[7]]);
        Case { name: format!("{}, {terms:?}", parts.name), dispatch, contents: parts.contents }
    };
    fused_update::case_parts().into_iter().enumerate().map(with_terms).collect()
}
