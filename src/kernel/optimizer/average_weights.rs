//! The moving average of the weights, as `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::optimizer::{rules, update};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch over a range of the flat buffers of all models.
    Params {
        /// Elements in the range.
        len: u32,
        /// First element of the range.
        first: u32,
        /// Elements per model.
        parameter_stride: u32,
        /// 1 minus the decay.
        rest: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "average_weights",
    wgsl: include_str!("../../../shaders/average_weights.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("parameters"), read_u32("counters"), write("average")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-6,
    cases,
};

/// A launch over one range, after a step was counted. After the first step the average is the weights.
#[derive(Debug, Clone)]
pub struct AverageWeights {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// The range of the weights that steps train.
    pub parameters: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// The same range of their average.
    pub average: Slice,
}

impl Launch for AverageWeights {
    fn lower(&self) -> Dispatch {
        let AverageWeights { label, shape, parameters, counters, average } = self.clone();
        let len = f64::from(shape.len);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: shape.words(),
            slices: vec![parameters, counters, average],
            grid: linear_grid((shape.len as usize).div_ceil(128), 1),
            cost: Cost { flops: 3.0 * len, bytes: 12.0 * len },
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [parameters, counters, average] = args.operands();
    let (parameters, counters, average) = (parameters.read(), counters.read_u32(), average.write());
    for (model, first, len) in rules::model_pieces([p.first, p.len, p.parameter_stride]) {
        let is_first = counters[model * state::COUNTERS + state::STEP] == 1;
        for (average, parameter) in average[first..].iter_mut().zip(&parameters[first..]).take(len) {
            let before = average.to_f64();
            let moved = T::from_f64(before + f64::from(p.rest) * (parameter.to_f64() - before));
            *average = if is_first { *parameter } else { moved };
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [models, stride, first, len] in update::CASE_RANGES {
        for (step, rest, scale) in [(1, 0.001, 1.0), (2, 0.25, 1000.0)] {
            let mut counters = vec![9; models * state::COUNTERS];
            for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
                counters[state::STEP] = step + model as u32;
            }
            let contents =
                vec![Contents::random(len, scale, 1), Contents::U32(counters), Contents::random(len, scale, 2)];
            let s = Case::slices(&contents);
            let (len, first, parameter_stride) = (len as u32, first as u32, stride as u32);
            let shape = Params { len, first, parameter_stride, rest };
            let (parameters, counters, average) = (s[0], s[1], s[2]);
            let launch = AverageWeights { label: "case".into(), shape, parameters, counters, average };
            let name = format!("{len} of {models}x{stride}, after step {step}, rest {rest}");
            cases.push(Case { name, dispatch: launch.lower(), contents });
        }
    }
    cases
}
