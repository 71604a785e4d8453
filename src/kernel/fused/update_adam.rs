//! Gradients of a network of dense layers, a step of Adam or AdamW and the bookkeeping: the second half of a fused training
//! step.

use crate::ir::{Demands, Dispatch, Kernel, Needs, Slice, read, write, write_u32};
use crate::kernel::fused::forward_backward::run;
use crate::kernel::fused::layers::DenseLayers;
use crate::kernel::fused::update::{self, Model, Operands, Params};
use crate::kernel::optimizer::adam;
use crate::kernel::{Args, Case, Contents, Launch, Operand, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "fused_update_adam",
    wgsl: include_str!("../../../shaders/fused_update_adam.wgsl"),
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
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-4,
    cases,
};

/// A launch for `models` models. The gradient's norm is not known here, so that it cannot be clipped. `moments`: mean and
/// variance, laid out like the parameters.
#[derive(Debug, Clone)]
pub struct UpdateAdam {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// The network.
    pub layers: DenseLayers,
    /// AdamW: weight decay apart from the gradient.
    pub decoupled: bool,
    /// There is an L2 penalty.
    pub penalty: bool,
    /// Its slices.
    pub operands: Operands,
    /// The two moments, laid out like the parameters.
    pub moments: [Slice; 2],
}

impl Launch for UpdateAdam {
    fn lower(&self) -> Dispatch {
        let UpdateAdam { label, shape, models, layers, decoupled, penalty, operands, moments } = self.clone();
        let (mut constants, grid) = update::launch(&layers, models, penalty);
        constants.push(("DECOUPLED", decoupled.into()));
        let (params, slices) = (shape.words(), operands.slices(&moments));
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
    let [trace, hyper, counters, scalars, log, parameters, mean, variance] = args.operands();
    let operands = [trace, hyper, counters, scalars, log, parameters];
    let moments = [mean.write(), variance.write()];
    update::reference(launch, &layers, operands, moments, |model, piece, parameters, [mean, variance]| {
        let (shape, blocks) = Model::optimizer_shape(piece);
        let written = [Operand::Write(parameters), Operand::Read(&piece.gradient)];
        let moments = [Operand::Write(mean), Operand::Write(variance), Operand::ReadU32(&blocks)];
        let rest = [Operand::Read(model.hyper), Operand::Read(model.scalars()), Operand::Read(&[])];
        run(adam::reference, &shape.words(), constants, written.into_iter().chain(moments), rest);
    });
}

fn cases() -> Vec<Case> {
    let with_terms = |(index, mut parts): (usize, update::CaseParts)| {
        let decoupled = index / 2 % 3 == 1;
        let len = parts.contents[5].len();
        let Contents::F32(variance) = Contents::random(len, 1.0, 9) else { unreachable!("random numbers are floats") };
        parts.contents.push(Contents::random(len, 1.0, 8));
        parts.contents.push(Contents::F32(variance.iter().map(|v| v.abs()).collect()));
        let s = Case::slices(&parts.contents);
        let operands = Operands::of(&s);
        let dispatch = UpdateAdam {
            label: "case".into(),
            shape: parts.shape,
            models: parts.models,
            layers: parts.layers.clone(),
            decoupled,
            penalty: parts.penalty,
            operands,
            moments: [s[6], s[7]],
        }
        .lower();
        Case { name: format!("{}, decoupled: {decoupled}", parts.name), dispatch, contents: parts.contents }
    };
    update::case_parts().into_iter().enumerate().map(with_terms).collect()
}
