//! The loss scale of mixed precision after the gradients are known, as torch.amp.GradScaler has it.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write, write_u32};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The scale of the first step: GradScaler's.
pub const FIRST_SCALE: f32 = 65_536.0;
/// Steps in a row with finite gradients after which the scale is doubled: GradScaler's.
pub const INTERVAL: u32 = 2000;
/// Words per model of the history: steps in a row that were not skipped, and steps that were.
pub const HISTORY: usize = 2;

/// One in the exponent of an f32: the scale is a power of two.
const FACTOR_TWO: u32 = 0x0080_0000;
/// 2^-126 and 2^126: within these the scale and its inverse are normal numbers.
const LIMITS: [u32; 2] = [0x0080_0000, 0x7e80_0000];

/// The bits of half a loss scale; none where it is at its least, or where no loss is scaled (0).
pub fn halved(scale: u32) -> Option<u32> {
    (scale > LIMITS[0]).then(|| scale - FACTOR_TWO)
}

params! {
    /// Shape of one launch.
    Params {
        /// Parts per model.
        parts: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "adjust_loss_scale",
    wgsl: include_str!("../../../shaders/adjust_loss_scale.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("parts"), write_u32("counters"), write("scalars"), write_u32("history")],
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

const COST: fn(&[u32]) -> Cost = |_| Cost::default();

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, parts): numbers of gradients that are not finite.
    pub parts: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
    /// (models, HISTORY).
    pub history: Slice,
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct AdjustLossScale {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for AdjustLossScale {
    fn lower(&self) -> Dispatch {
        let AdjustLossScale { label, shape, models, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("INTERVAL", INTERVAL)],
            cost: COST(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.parts, operands.counters, operands.scalars, operands.history],
            grid: [1, 1, models as u32],
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, interval) = (args.models(), args.constant("INTERVAL", INTERVAL));
    let [parts, counters, scalars, history] = args.operands();
    let (parts, counters) = (parts.read(), counters.write_u32());
    let (scalars, history) = (scalars.write(), history.write_u32());
    let count = p.parts as usize;
    for model in 0..models {
        let skipped = parts[model * count..][..count].iter().any(|part| part.to_f64() > 0.0);
        let scale = &mut counters[model * state::COUNTERS + state::LOSS_SCALE];
        let [clean, skips] = &mut history[model * HISTORY..][..HISTORY] else { continue };
        if skipped {
            *scale = scale.wrapping_sub(FACTOR_TWO).max(LIMITS[0]);
            (*clean, *skips) = (0, *skips + 1);
        } else {
            *clean += 1;
            if *clean == interval {
                *scale = (*scale + FACTOR_TWO).min(LIMITS[1]);
                *clean = 0;
            }
        }
        scalars[model * state::SCALARS + state::SKIPPED] = T::from_f64(f64::from(skipped));
    }
}

fn cases() -> Vec<Case> {
    let scales = [65_536.0, 1.0, f32::MIN_POSITIVE, 2f32.powi(126), 0.25, 2f32.powi(20), 8.0];
    let clean = [0, 5, 1998, 1999, 1999, 1, 1999];
    let mut cases = Vec::new();
    for (count, models) in [(1usize, 1usize), (3, 7), (257, 7), (1000, 2)] {
        for (number, step) in [0usize, 1, 2].into_iter().enumerate() {
            let mut parts = vec![0.0; count * models];
            // In the last part of some models, in the first of others, in none of the rest.
            for model in (0..models).filter(|model| (model + number) % 3 != 0) {
                let place = if (model + number) % 3 == 1 { count - 1 } else { 0 };
                parts[model * count + place] = 1.0 + model as f32;
            }
            let mut counters = vec![9; models * state::COUNTERS];
            let mut history = vec![0; models * HISTORY];
            for model in 0..models {
                let which = (model + step) % 7;
                counters[model * state::COUNTERS + state::LOSS_SCALE] = scales[which].to_bits();
                history[model * HISTORY..][..HISTORY].copy_from_slice(&[clean[which], model as u32]);
            }
            let contents = vec![
                Contents::F32(parts),
                Contents::U32(counters),
                Contents::random(models * state::SCALARS, 1.0, 1),
                Contents::U32(history),
            ];
            let s = Case::slices(&contents);
            let operands = Operands { parts: s[0], counters: s[1], scalars: s[2], history: s[3] };
            let dispatch =
                AdjustLossScale { label: "case".into(), shape: Params { parts: count as u32 }, models, operands }
                    .lower();
            cases.push(Case { name: format!("{models} models, {count} parts, {number}"), dispatch, contents });
        }
    }
    cases
}
