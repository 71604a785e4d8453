//! Muon's step of a weight along its direction, once that is orthogonal.

use super::muon_normalise::{CASE_SIDES, place};
use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::optimizer::update::case_state;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of the weight: outputs or filters.
        rows: u32,
        /// Columns of the weight: all that one output sees.
        columns: u32,
        /// Elements from one model's weight to the next's.
        stride: u32,
        /// What the learning rate is multiplied by for these sides.
        factor: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "muon_apply",
    wgsl: include_str!("../../../shaders/muon_apply.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("matrix"), read("hyper"), read("scalars"), write("parameters")],
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

/// A launch.
#[derive(Debug, Clone)]
pub struct Apply {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Models whose gradients are not all finite are left alone.
    pub skips: bool,
    /// (models, short side, long side).
    pub matrix: Slice,
    /// (models, HYPER).
    pub hyper: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
    /// (rows, columns) for each model.
    pub parameters: Slice,
}

impl Launch for Apply {
    fn lower(&self) -> Dispatch {
        let Apply { label, shape, models, skips, matrix, hyper, scalars, parameters } = self.clone();
        let len = shape.rows as usize * shape.columns as usize;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("SKIPS", skips.into())],
            cost: Cost { flops: 2.0 * len as f64, bytes: 12.0 * len as f64 }.times(models),
            params: shape.words(),
            slices: vec![matrix, hyper, scalars, parameters],
            grid: linear_grid(len.div_ceil(128), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, skips) = (args.models(), args.constant("SKIPS", 0) == 1);
    let [matrix, hyper, scalars, parameters] = args.operands();
    let (matrix, hyper, scalars, parameters) = (matrix.read(), hyper.read(), scalars.read(), parameters.write());
    let sides = [p.rows, p.columns].map(|n| n as usize);
    let len = sides[0] * sides[1];
    for model in 0..models {
        let scalars = &scalars[model * state::SCALARS..][..state::SCALARS];
        if skips && scalars[state::SKIPPED].to_f64() != 0.0 {
            continue;
        }
        let rate = hyper[model * state::HYPER + state::LEARNING_RATE].to_f64() * scalars[state::WARMUP].to_f64();
        let parameters = &mut parameters[model * p.stride as usize..][..len];
        for (i, parameter) in parameters.iter_mut().enumerate() {
            let step = rate * f64::from(p.factor) * matrix[model * len + place(i, sides)].to_f64();
            *parameter = T::from_f64(parameter.to_f64() - step);
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |([rows, columns, models], skips): ([usize; 3], bool)| {
        let (len, stride) = (rows * columns, (rows * columns).next_multiple_of(64));
        let [_, hyper, scalars, _] = case_state(models, stride, 1);
        let contents = vec![
            Contents::random(models * len, 1.0, 1),
            hyper,
            scalars,
            Contents::random((models - 1) * stride + len, 1.0, 2),
        ];
        let s = Case::slices(&contents);
        let [r, c, stride] = [rows, columns, stride].map(|n| n as u32);
        let launch = Apply {
            label: "case".into(),
            shape: Params { rows: r, columns: c, stride, factor: 1.5 },
            models,
            skips,
            matrix: s[0],
            hyper: s[1],
            scalars: s[2],
            parameters: s[3],
        };
        Case { name: format!("{models}x{rows}x{columns}, skips {skips}"), dispatch: launch.lower(), contents }
    };
    CASE_SIDES.into_iter().flat_map(|sides| [(sides, false), (sides, true)]).map(case).collect()
}
