//! Gradients of a network of dense layers, a step of SGD and the bookkeeping: the second half of a fused training step.

use crate::ir::{Demands, Dispatch, Kernel, Needs, Slice, read, write, write_u32};
use crate::kernel::fused::forward_backward::run;
use crate::kernel::fused::layers::DenseLayers;
use crate::kernel::fused::update::{self, Model, Operands, Params};
use crate::kernel::optimizer::sgd::{self, Momentum};
use crate::kernel::{Args, Case, Contents, Launch, Operand, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "fused_update_sgd",
    wgsl: include_str!("../../../shaders/fused_update_sgd.wgsl"),
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
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 2e-5,
    cases,
};

/// A launch for `models` models. The gradient's norm is not known here, so that it cannot be clipped. `velocity`: laid out
/// like the parameters; without momentum any slice of a buffer that nothing else in this launch uses.
#[derive(Debug, Clone)]
pub struct UpdateSgd {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// The network.
    pub layers: DenseLayers,
    /// SGD's.
    pub momentum: Momentum,
    /// There is an L2 penalty.
    pub penalty: bool,
    /// Its slices.
    pub operands: Operands,
    /// The velocity, laid out like the parameters; anything without momentum.
    pub velocity: Slice,
}

impl Launch for UpdateSgd {
    fn lower(&self) -> Dispatch {
        let UpdateSgd { label, shape, models, layers, momentum, penalty, operands, velocity } = self.clone();
        let (mut constants, grid) = update::launch(&layers, models, penalty);
        constants.extend(momentum.constants());
        let (params, slices) = (shape.words(), operands.slices(&[velocity]));
        let cost = update::cost(&params).times(models);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants,
            params,
            slices,
            grid,
            cost,
            demands: Demands { vectors: true, ..Demands::default() },
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (launch, layers) = update::of_args(args);
    let constants = args.constants;
    let [trace, hyper, counters, scalars, log, parameters, velocity] = args.operands();
    let operands = [trace, hyper, counters, scalars, log, parameters];
    update::reference(launch, &layers, operands, [velocity.write()], |model, piece, parameters, [velocity]| {
        let (shape, blocks) = Model::optimizer_shape(piece);
        let read = [Operand::Write(parameters), Operand::Read(&piece.gradient), Operand::Write(velocity)];
        let rest = [Operand::ReadU32(&blocks), Operand::Read(model.hyper), Operand::Read(model.scalars())];
        run(sgd::reference, &shape.words(), constants, read.into_iter().chain(rest), [Operand::Read(&[])]);
    });
}

fn cases() -> Vec<Case> {
    let with_terms = |(index, mut parts): (usize, update::CaseParts)| {
        let momentum = Momentum { any: index / 2 % 3 > 0, nesterov: index / 2 % 3 == 2 };
        let len = if momentum.any { parts.contents[5].len() } else { 1 };
        parts.contents.push(Contents::random(len, 1.0, 8));
        let s = Case::slices(&parts.contents);
        let operands = Operands::of(&s);
        let dispatch = UpdateSgd {
            label: "case".into(),
            shape: parts.shape,
            models: parts.models,
            layers: parts.layers.clone(),
            momentum,
            penalty: parts.penalty,
            operands,
            velocity: s[6],
        }
        .lower();
        Case { name: format!("{}, {momentum:?}", parts.name), dispatch, contents: parts.contents }
    };
    update::case_parts().into_iter().enumerate().map(with_terms).collect()
}
