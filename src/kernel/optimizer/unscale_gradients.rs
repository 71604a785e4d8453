//! Gradients of a scaled loss back to those of the loss, and whether all of them are finite.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read_u32, write};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Elements per model.
        len: u32,
        /// Parts per model.
        parts: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "unscale_gradients",
    wgsl: include_str!("../../../shaders/unscale_gradients.wgsl"),
    needs: Needs::Nothing,
    bindings: &[write("gradients"), read_u32("counters"), write("parts")],
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

const COST: fn(&[u32]) -> Cost = |params| Cost { flops: f64::from(params[0]), bytes: 8.0 * f64::from(params[0]) };

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, len).
    pub gradients: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, parts): numbers of gradients that are not finite.
    pub parts: Slice,
}

/// Parts for `len` elements: enough to keep a GPU busy with one pass over memory.
pub fn parts(len: usize) -> usize {
    len.div_ceil(4096).clamp(1, 1024)
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct UnscaleGradients {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for UnscaleGradients {
    fn lower(&self) -> Dispatch {
        let UnscaleGradients { label, shape, models, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            cost: COST(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.gradients, operands.counters, operands.parts],
            grid: [shape.parts, 1, models as u32],
            demands: Demands::default(),
        }
    }
}

/// Threads of a workgroup: they decide which elements fall into which part.
const THREADS: usize = 256;

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let models = args.models();
    let [gradients, counters, parts] = args.operands();
    let (gradients, counters, parts) = (gradients.write(), counters.read_u32(), parts.write());
    let (len, count) = (p.len as usize, p.parts as usize);
    for model in 0..models {
        let factor = 1.0 / f64::from(f32::from_bits(counters[model * state::COUNTERS + state::LOSS_SCALE]));
        let parts = &mut parts[model * count..][..count];
        parts.fill(T::default());
        for (i, gradient) in gradients[model * len..][..len].iter_mut().enumerate() {
            let part = &mut parts[i / THREADS % count];
            let bad = f64::from(!gradient.to_f64().is_finite());
            *part = T::from_f64(part.to_f64() + bad);
            *gradient = T::from_f64(gradient.to_f64() * factor);
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (len, models, count) in [(1usize, 1usize, 1usize), (65, 2, 1), (1009, 3, 2), (5003, 1, 2), (20_011, 2, 5)] {
        for bad in [&[][..], &[f32::NAN], &[f32::INFINITY, f32::NAN, f32::NEG_INFINITY]] {
            let mut counters = vec![7; models * state::COUNTERS];
            for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
                counters[state::LOSS_SCALE] = [65_536.0f32, 0.5, 1024.0][model].to_bits();
            }
            let Contents::F32(mut gradients) = Contents::random(models * len, 1.0, 1) else { continue };
            gradients.iter_mut().rev().step_by(len.div_ceil(2)).zip(bad).for_each(|(gradient, bad)| *gradient = *bad);
            let contents =
                vec![Contents::F32(gradients), Contents::U32(counters), Contents::random(models * count, 1.0, 2)];
            let s = Case::slices(&contents);
            let shape = Params { len: len as u32, parts: count as u32 };
            let operands = Operands { gradients: s[0], counters: s[1], parts: s[2] };
            let name = format!("{models}x{len} in {count} parts, {} not finite", bad.len());
            cases.push(Case {
                name,
                dispatch: UnscaleGradients { label: "case".into(), shape, models, operands }.lower(),
                contents,
            });
        }
    }
    cases
}
