//! After a batch: its loss and accuracy into the epoch's sums and the log, and the counters one step on.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write, write_u32};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Examples in a full batch.
        rows: u32,
        /// Examples in the data set, or in as many batches as an epoch takes.
        examples: u32,
        /// Partial sums of squares per model; 0 without an L2 penalty.
        penalty_parts: u32,
        /// Steps that the log holds before it wraps.
        log_steps: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "finish_step",
    wgsl: include_str!("../../../shaders/finish_step.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("row_loss"),
        read("row_correct"),
        read("penalty"),
        read("hyper"),
        write_u32("counters"),
        write("scalars"),
        write("log"),
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

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows).
    pub row_loss: Slice,
    /// (models, rows).
    pub row_correct: Slice,
    /// (models, penalty_parts); anything when there are none.
    pub penalty: Slice,
    /// (models, HYPER).
    pub hyper: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
    /// (models, log_steps, 2): loss and accuracy of each step.
    pub log: Slice,
}

/// What a batch was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An evaluation.
    Evaluation,
    /// A training step.
    Step,
    /// A training step with a scaled loss, whose update may have been skipped: Adam's corrections then stay.
    ScaledStep,
}

/// A launch for `models` models, after a training step or an evaluation batch.
#[derive(Debug, Clone)]
pub struct FinishStep {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// What it follows.
    pub kind: Kind,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for FinishStep {
    fn lower(&self) -> Dispatch {
        let FinishStep { label, shape, models, kind, operands } = self.clone();
        let o = operands;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![
                ("TRAINING", (kind != Kind::Evaluation).into()),
                ("SKIPS", (kind == Kind::ScaledStep).into()),
            ],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![o.row_loss, o.row_correct, o.penalty, o.hyper, o.counters, o.scalars, o.log],
            grid: [1, 1, models as u32],
            demands: Demands::default(),
        }
    }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, training) = (args.models(), args.constant("TRAINING", 1) == 1);
    let skips = args.constant("SKIPS", 0) == 1;
    let [row_loss, row_correct, penalty, hyper, counters, scalars, log] = args.operands();
    let (row_loss, row_correct, penalty, hyper) = (row_loss.read(), row_correct.read(), penalty.read(), hyper.read());
    let (counters, scalars, log) = (counters.write_u32(), scalars.write(), log.write());
    let (rows, parts) = (p.rows as usize, p.penalty_parts as usize);
    let sum = |values: &[T]| values.iter().map(|v| v.to_f64()).sum::<f64>();
    for model in 0..models {
        let h = |slot: usize| hyper[model * state::HYPER + slot].to_f64();
        let c = &mut counters[model * state::COUNTERS..][..state::COUNTERS];
        let s = &mut scalars[model * state::SCALARS..][..state::SCALARS];
        let n = p.examples.saturating_sub(c[state::BATCH] * p.rows).min(p.rows);
        let count = f64::from(n.max(1));
        let squares = sum(&penalty[model * parts..][..parts]);
        let mean = sum(&row_loss[model * rows..][..rows]) / count + h(state::L2) * squares;
        let correct = sum(&row_correct[model * rows..][..rows]);
        s[state::STEP_LOSS] = T::from_f64(mean);
        s[state::STEP_ACCURACY] = T::from_f64(correct / count);
        s[state::LOSS_SUM] = T::from_f64(s[state::LOSS_SUM].to_f64() + mean * f64::from(n));
        s[state::CORRECT_SUM] = T::from_f64(s[state::CORRECT_SUM].to_f64() + correct);
        c[state::SEEN] = c[state::SEEN].wrapping_add(n);
        c[state::BATCH] += 1;
        let step = c[state::STEP];
        // As it is kept: a penalty may be beyond single precision and not beyond double.
        if !s[state::STEP_LOSS].to_f64().is_finite() && c[state::NOT_FINITE] == 0 {
            c[state::NOT_FINITE] = step + 1;
        }
        if training {
            let entry = (model * p.log_steps as usize + (step % p.log_steps) as usize) * 2;
            log[entry] = T::from_f64(mean);
            log[entry + 1] = T::from_f64(correct / count);
            c[state::STEP] = step + 1;
            s[state::WARMUP] = T::from_f64((f64::from(step + 2) / h(state::WARMUP_STEPS)).min(1.0));
            if skips && s[state::SKIPPED].to_f64() != 0.0 {
                continue;
            }
            for (correction, beta, one_minus_beta) in [
                (state::BETA1_CORRECTION, state::BETA1, state::ONE_MINUS_BETA1),
                (state::BETA2_CORRECTION, state::BETA2, state::ONE_MINUS_BETA2),
            ] {
                s[correction] = T::from_f64(h(beta) * s[correction].to_f64() + h(one_minus_beta));
            }
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let rows = f64::from(params[0]);
    Cost { flops: 2.0 * rows, bytes: 8.0 * rows }
}

fn cases() -> Vec<Case> {
    // (rows, examples, penalty parts, log steps, batch number, step, models)
    let shapes: [[u32; 7]; 6] = [
        [1, 1, 0, 1, 0, 0, 1],
        [3, 10, 1, 4, 3, 13, 1],
        [17, 67, 65, 7, 2, 100, 3],
        [257, 1000, 3, 16, 3, 3, 2],
        [1000, 1000, 0, 5, 0, 9, 1],
        [5, 12, 2, 5, 2, 4, 2],
    ];
    let mut cases = Vec::new();
    for [rows, examples, penalty_parts, log_steps, number, step, models] in shapes {
        for kind in [Kind::Step, Kind::Evaluation, Kind::ScaledStep] {
            let m = models as usize;
            let mut counters = vec![0; m * state::COUNTERS];
            for counters in counters.chunks_mut(state::COUNTERS) {
                counters[state::BATCH] = number;
                counters[state::STEP] = step;
                counters[state::SEEN] = number * rows;
            }
            let Contents::F32(mut row_loss) = Contents::random(m * rows as usize, 1.0, 1) else { continue };
            if step == 9 {
                row_loss[0] = f32::NAN;
            }
            if step == 4 {
                row_loss[rows as usize] = f32::NAN;
            }
            row_loss.iter_mut().for_each(|x| *x = x.abs());
            let Contents::F32(mut scalars) = Contents::random(m * state::SCALARS, 1.0, 5) else { continue };
            for (model, scalars) in scalars.chunks_mut(state::SCALARS).enumerate() {
                scalars[state::SKIPPED] = f32::from(u8::from(model % 2 == 0));
            }
            let contents = vec![
                Contents::F32(row_loss),
                Contents::random(m * rows as usize, 1.0, 2),
                Contents::random((m * penalty_parts as usize).max(1), 1.0, 3),
                Contents::random(m * state::HYPER, 1.0, 4),
                Contents::U32(counters),
                Contents::F32(scalars),
                Contents::random(m * log_steps as usize * 2, 1.0, 6),
            ];
            let s = Case::slices(&contents);
            let operands = Operands {
                row_loss: s[0],
                row_correct: s[1],
                penalty: s[2],
                hyper: s[3],
                counters: s[4],
                scalars: s[5],
                log: s[6],
            };
            let shape = Params { rows, examples, penalty_parts, log_steps };
            let dispatch = FinishStep { label: "case".into(), shape, models: m, kind, operands }.lower();
            let name = format!("{models}x{rows} of {examples}, batch {number}, {kind:?}");
            cases.push(Case { name, dispatch, contents });
        }
    }
    cases
}
