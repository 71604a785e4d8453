//! Softmax and cross-entropy with their gradient: for classes.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, params, read, read_u32, write};
use crate::kernel::formula::rows;
use crate::kernel::loss::rows::{Gradient, Operands};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification, loss};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        batch: u32,
        /// Examples that an epoch goes through.
        examples: u32,
        /// Classes.
        classes: u32,
        /// Share of the target that is spread over all classes.
        smoothing: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "softmax_cross_entropy",
    wgsl: include_str!("../../../shaders/softmax_cross_entropy.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("logits"),
        read_u32("labels"),
        read_u32("indices"),
        read_u32("counters"),
        write("gradient"),
        write("row_loss"),
        write("row_correct"),
    ],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 5e-6,
    cases,
};

/// A launch for `models` models. The targets are labels, (examples) u32. Without `gradient` only losses and answers are
/// written.
#[derive(Debug, Clone)]
pub struct SoftmaxCrossEntropy {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Whether the gradient is written, too.
    pub gradient: Gradient,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for SoftmaxCrossEntropy {
    fn lower(&self) -> Dispatch {
        let SoftmaxCrossEntropy { label, shape, models, gradient, operands } = self.clone();
        let mut constants = rows::constants(shape.classes);
        constants.extend(gradient.constants());
        if shape.smoothing != 0.0 {
            constants.push(("SMOOTHED", 1));
        }
        Dispatch {
            kernel: &KERNEL,
            label,
            constants,
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: operands.slices(),
            grid: rows::grid(shape.batch, shape.classes, models),
            demands: Demands::default(),
        }
    }
}

/// The class of a row; `None` where the data hold none.
pub(crate) fn label(labels: &[u32], index: u32, classes: usize) -> Option<usize> {
    labels.get(index as usize).map(|&label| label as usize).filter(|&label| label < classes)
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, with_gradient) = (args.models(), args.constant("GRADIENT", 1) == 1);
    let (scaled, smoothing) = (args.constant("SCALED", 0) == 1, f64::from(p.smoothing));
    let [logits, labels, indices, counters, gradient, row_loss, row_correct] = args.operands();
    let (logits, labels, indices, counters) =
        (logits.read(), labels.read_u32(), indices.read_u32(), counters.read_u32());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let (batch, classes) = (p.batch as usize, p.classes as usize);
    for model in 0..models {
        let rows = loss::rows::batch_rows(p.batch, p.examples, counters, model);
        let loss_scale = loss::rows::scale(scaled, counters, model);
        for row in 0..batch {
            let model_row = model * batch + row;
            let z = |c: usize| logits[model_row * classes + c].to_f64();
            let largest = (0..classes).map(z).fold(f64::NEG_INFINITY, f64::max);
            let label = label(labels, indices[model_row], classes);
            let others: f64 = (0..classes).filter(|&c| Some(c) != label).map(|c| (z(c) - largest).exp()).sum();
            // A label that is no class has no loss.
            let gap = label.map_or(f64::NAN, |c| largest - z(c));
            let sum = others + (-gap).exp();
            // ln(sum), but exact where the label's term, which is then 1, dwarfs the others.
            let mut loss = if gap == 0.0 { others.ln_1p() } else { sum.ln() + gap };
            if smoothing != 0.0 {
                let gaps: f64 = (0..classes).map(|c| label.map_or(f64::NAN, &z) - z(c)).sum();
                loss += smoothing * gaps / classes as f64;
            }
            let correct = loss.is_finite() && label == Some(rows::argmax((0..classes).map(z)));
            let real = row < rows;
            row_loss[model_row] = T::from_f64(if real { loss } else { 0.0 });
            row_correct[model_row] = T::from_f64(f64::from(real && correct));
            for c in (0..classes).filter(|_| with_gradient) {
                let difference = if Some(c) == label { -others } else { (z(c) - largest).exp() };
                let mut value = if real { difference / (sum * rows as f64) } else { 0.0 };
                if real && smoothing != 0.0 {
                    value += smoothing * (f64::from(u8::from(Some(c) == label)) - 1.0 / classes as f64) / rows as f64;
                }
                gradient[model_row * classes + c] = T::from_f64(value * f64::from(loss_scale));
            }
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let [batch, classes] = [0, 2].map(|i| f64::from(params[i]));
    Cost { flops: 8.0 * batch * classes, bytes: 4.0 * batch * (2.0 * classes + 4.0) }
}

/// What the logits of a case are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logits {
    Usual,
    /// So large that their exponentials overflow.
    Large,
    /// The label's are so much larger that `1 - p` cancels.
    Certain,
    /// Some are equal; and no gradient is asked for.
    Tied,
}

fn case([batch, classes, models]: [usize; 3], kind: Logits, smoothing: f32, seed: u32) -> Case {
    let data = loss::rows::case_data(batch, models);
    let labels: Vec<u32> = (0..data.examples).map(|i| (i * 5 % classes) as u32).collect();
    let elements = models * batch * classes;
    let mut logits = match kind {
        Logits::Usual | Logits::Certain => Contents::random(elements, 3.0, seed),
        Logits::Large => Contents::random(elements, 1000.0, seed),
        Logits::Tied => rows::with_ties(elements, 1.0, seed),
    };
    if let (Contents::F32(logits), Contents::U32(indices), Logits::Certain) = (&mut logits, &data.indices, kind) {
        for (row, &example) in logits.chunks_exact_mut(classes).zip(indices) {
            row[labels[example as usize] as usize] += 25.0;
        }
    }
    let gradient = kind != Logits::Tied;
    let contents = vec![
        logits,
        Contents::U32(labels),
        data.indices,
        data.counters,
        Contents::random(if gradient { elements } else { 1 }, 1.0, 2),
        Contents::random(models * batch, 1.0, 3),
        Contents::random(models * batch, 1.0, 4),
    ];
    let shape = Params { batch: batch as u32, examples: data.examples as u32, classes: classes as u32, smoothing };
    let dispatch = SoftmaxCrossEntropy {
        label: "case".into(),
        shape,
        models,
        gradient: if gradient { Gradient::Plain } else { Gradient::None },
        operands: Operands::of(&Case::slices(&contents)),
    }
    .lower();
    Case { name: format!("{models}x{batch}x{classes} {kind:?}, smoothing {smoothing}"), dispatch, contents }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, seed) in rows::AWKWARD.into_iter().zip(1..) {
        for kind in [Logits::Usual, Logits::Large, Logits::Certain, Logits::Tied] {
            cases.push(case(shape, kind, 0.0, seed));
        }
        for (kind, smoothing) in [(Logits::Usual, 0.1), (Logits::Large, 0.5), (Logits::Tied, 1.0)] {
            cases.push(case(shape, kind, smoothing, seed));
        }
    }
    cases.extend(rows::not_finite(&cases));
    cases.extend(loss::rows::scaled(&cases));
    let mut wrong = case([65, 10, 3], Logits::Usual, 0.0, 1);
    if let Contents::U32(labels) = &mut wrong.contents[1] {
        labels.iter_mut().skip(3).step_by(5).for_each(|label| *label = 10);
        labels.iter_mut().skip(4).step_by(7).for_each(|label| *label = u32::MAX);
    }
    wrong.name.push_str(", labels that are no class give NaN");
    cases.push(wrong);
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::fast::loss::softmax_cross_entropy as fast;
    use crate::kernel::difference::{Data, run, run_f32};

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        loss::rows::test::gradients_are_slopes(cases());
    }

    /// One row of logits, with label 1: (loss, correct, gradient) of the f64 reference and of the fast variant.
    fn one(logits: &[f32]) -> [(f64, f64, Vec<f64>); 2] {
        let contents = vec![
            Contents::F32(logits.to_vec()),
            Contents::U32(vec![1]),
            Contents::U32(vec![0]),
            Contents::U32(vec![0; 8]),
            Contents::F32(vec![9.0; logits.len()]),
            Contents::F32(vec![9.0]),
            Contents::F32(vec![9.0]),
        ];
        let shape = Params { batch: 1, examples: 1, classes: logits.len() as u32, smoothing: 0.0 };
        let dispatch = SoftmaxCrossEntropy {
            label: "".into(),
            shape,
            models: 1,
            gradient: Gradient::Plain,
            operands: Operands::of(&Case::slices(&contents)),
        }
        .lower();
        let mut memory = Data::of(&contents);
        run(&dispatch, &mut memory);
        let exact = (memory[5].floats()[0], memory[6].floats()[0], memory[4].floats().to_vec());
        let fast = run_f32(fast, &dispatch, &contents);
        let [gradient, loss, correct] = [4, 5, 6].map(|i| fast[i].floats().to_vec());
        [exact, (loss[0], correct[0], gradient)]
    }

    #[test]
    fn a_logit_that_is_no_number_gives_a_loss_that_is_none() {
        for place in 0..3 {
            for value in [f32::NAN, f32::INFINITY] {
                let mut logits = [0.5, 2.0, -1.0];
                logits[place] = value;
                for (loss, correct, gradient) in one(&logits) {
                    assert!(loss.is_nan(), "{logits:?}");
                    assert_eq!(correct, 0.0);
                    assert!(gradient.iter().all(|g| g.is_nan()), "{logits:?} {gradient:?}");
                }
            }
        }
    }

    #[test]
    fn far_from_zero_nothing_overflows_and_near_certainty_nothing_cancels() {
        for (loss, correct, gradient) in one(&[1000.0, -1000.0, 0.0]) {
            assert_eq!((loss, correct), (2000.0, 0.0));
            assert_eq!(gradient, [1.0, -1.0, 0.0]);
        }
        for (loss, correct, gradient) in one(&[0.0, 20.0]) {
            let want = (-20f64).exp();
            assert!((loss / want - 1.0).abs() < 1e-6 && correct == 1.0, "{loss} {correct}");
            assert!((gradient[1] / -want - 1.0).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn of_equal_logits_the_first_is_the_answer() {
        for (_, correct, _) in one(&[1.0, 1.0]) {
            assert_eq!(correct, 0.0);
        }
        for (_, correct, _) in one(&[0.0, 1.0, 1.0]) {
            assert_eq!(correct, 1.0);
        }
    }
}
