//! What the loss kernels share: their operands, the number of real rows in a batch, and data for their cases.

use crate::ir::Slice;
use crate::kernel::formula::rows::argmax;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Real};

/// Slices of one launch of a loss.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, batch, outputs): what the network gives.
    pub output: Slice,
    /// What it should give, one entry or row for each example of the data set, shared by all models.
    pub targets: Slice,
    /// (models, batch): the example of each row.
    pub indices: Slice,
    /// (models, [`state::COUNTERS`]).
    pub counters: Slice,
    /// (models, batch, outputs): the gradient of the batch's mean loss. Without a gradient (evaluation) any slice of a
    /// buffer that nothing else in this launch uses: it is left alone.
    pub gradient: Slice,
    /// (models, batch): each row's loss.
    pub row_loss: Slice,
    /// (models, batch): 1 for a right answer, else 0.
    pub row_correct: Slice,
}

impl Operands {
    /// From slices in the order of the bindings.
    pub(crate) fn of(slices: &[Slice]) -> Operands {
        let s = |i: usize| slices[i];
        let (output, targets, indices, counters) = (s(0), s(1), s(2), s(3));
        Operands { output, targets, indices, counters, gradient: s(4), row_loss: s(5), row_correct: s(6) }
    }

    /// In the order of the bindings.
    pub fn slices(&self) -> Vec<Slice> {
        let Operands { output, targets, indices, counters, gradient, row_loss, row_correct } = *self;
        vec![output, targets, indices, counters, gradient, row_loss, row_correct]
    }
}

/// What a launch of a loss writes beside losses and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradient {
    /// Nothing.
    None,
    /// The gradient of the batch's mean loss.
    Plain,
    /// That, times each model's loss scale.
    Scaled,
}

impl Gradient {
    /// Shader constants.
    pub(crate) fn constants(self) -> Vec<(&'static str, u32)> {
        match self {
            Gradient::None => vec![("GRADIENT", 0)],
            Gradient::Plain => vec![("GRADIENT", 1)],
            Gradient::Scaled => vec![("GRADIENT", 1), ("SCALED", 1)],
        }
    }
}

/// Real rows of a model's batch: the last one of an epoch may be partly empty. Twin of `shaders/lib/batch.wgsl`.
pub fn batch_rows(batch: u32, examples: u32, counters: &[u32], model: usize) -> usize {
    let taken = counters[model * state::COUNTERS + state::BATCH];
    batch.min(examples.saturating_sub(taken.saturating_mul(batch))) as usize
}

/// What a model's gradient is multiplied by: its loss scale, where gradients are scaled.
pub fn scale(scaled: bool, counters: &[u32], model: usize) -> f32 {
    if scaled { f32::from_bits(counters[model * state::COUNTERS + state::LOSS_SCALE]) } else { 1.0 }
}

/// Runs a loss whose targets are values, row by row, on the CPU. `one_row(output, targets, factor, gradient)` gives a row's loss
/// and the share of its answers that are right, and writes the loss's slopes times `outputs * factor`; `gradient` is empty
/// where none is asked for. Rows past the end of the epoch give zeros.
pub(crate) fn for_value_rows<T: Real>(args: &mut Args<T>, one_row: impl Fn(&[T], &[T], f64, &mut [T]) -> [f64; 2]) {
    let (models, with_gradient) = (args.models(), args.constant("GRADIENT", 1) == 1);
    let (scaled, [batch, examples, outputs]) = (args.constant("SCALED", 0) == 1, [0, 1, 2].map(|i| args.params[i]));
    let [output, targets, indices, counters, gradient, row_loss, row_correct] = args.operands();
    let (output, targets) = (output.read(), targets.read());
    let (indices, counters) = (indices.read_u32(), counters.read_u32());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let outputs = outputs as usize;
    for model in 0..models {
        let rows = batch_rows(batch, examples, counters, model);
        let factor = f64::from(scale(scaled, counters, model)) / (rows * outputs) as f64;
        for row in 0..batch as usize {
            let at = model * batch as usize + row;
            let elements = at * outputs..(at + 1) * outputs;
            let gradient = if with_gradient { &mut gradient[elements.clone()] } else { &mut [] };
            let [loss, correct] = if row < rows {
                one_row(&output[elements], &targets[indices[at] as usize * outputs..][..outputs], factor, gradient)
            } else {
                gradient.fill(T::default());
                [0.0; 2]
            };
            (row_loss[at], row_correct[at]) = (T::from_f64(loss), T::from_f64(correct));
        }
    }
}

/// Whether both have their first largest value in the same place; of a single value, whether both are above 1/2 or neither.
pub(crate) fn same_answer<T: Real>(output: &[T], targets: &[T]) -> bool {
    let answer = |values: &[T]| match values {
        [value] => usize::from(value.to_f64() > 0.5),
        _ => argmax(values.iter().map(|value| value.to_f64())),
    };
    answer(output) == answer(targets)
}

/// Copies of the smaller cases that scale the gradient, by another factor for each model.
pub fn scaled(cases: &[Case]) -> Vec<Case> {
    let mut copies: Vec<_> = cases.iter().filter(|case| case.contents[0].len() < 700).cloned().collect();
    for case in &mut copies {
        case.name.push_str(", scaled");
        case.dispatch.constants.push(("SCALED", 1));
        let Contents::U32(counters) = &mut case.contents[3] else { continue };
        for (counters, scale) in counters.chunks_mut(state::COUNTERS).zip([1024.0f32, 0.5, 65_536.0]) {
            counters[state::LOSS_SCALE] = scale.to_bits();
        }
    }
    copies
}

/// Batches of one case: the last model's is the partly empty one that ends the epoch.
pub struct CaseData {
    /// Examples in the data set.
    pub examples: usize,
    /// Each row's example.
    pub indices: Contents,
    /// Step state; only the count of batches matters.
    pub counters: Contents,
}

/// Data set and counters for `models` batches of `batch` rows.
pub fn case_data(batch: usize, models: usize) -> CaseData {
    let examples = 2 * batch + batch.div_ceil(3);
    let indices = (0..models * batch).map(|i| ((i * 7 + 3) % examples) as u32).collect();
    let mut counters = vec![0u32; models * state::COUNTERS];
    for model in 0..models {
        counters[model * state::COUNTERS + state::BATCH] = if model + 1 == models { 2 } else { model as u32 % 2 };
    }
    CaseData { examples, indices: Contents::U32(indices), counters: Contents::U32(counters) }
}

#[cfg(test)]
pub(crate) mod test {
    use crate::kernel::Case;
    use crate::kernel::difference::{Data, run, slope};
    use crate::kernel::step::state;

    /// Holds the gradient against differences of each model's mean loss; and rows that are not real must count nothing.
    pub fn gradients_are_slopes(cases: Vec<Case>) {
        let mut checked = 0;
        // Differences of losses in the millions leave no digits, and NaN has none.
        let has_slopes = |case: &&Case| {
            let plain = !case.dispatch.constants.contains(&("SCALED", 1));
            plain
                && case.dispatch.constants.contains(&("GRADIENT", 1))
                && !case.name.contains("Large")
                && !case.name.contains("NaN")
        };
        for case in cases.iter().filter(has_slopes) {
            let mut memory = Data::<f64>::of(&case.contents);
            run(&case.dispatch, &mut memory);
            let [batch, examples, outputs] = [0, 1, 2].map(|i| case.dispatch.params[i] as usize);
            let Data::Words(counters) = memory[3].clone() else { panic!("counters are integers") };
            for at in (0..memory[0].floats().len()).step_by(7) {
                let (model, row) = (at / (batch * outputs), at / outputs % batch);
                let taken = counters[model * state::COUNTERS + state::BATCH] as usize;
                let rows = batch.min(examples - taken * batch);
                let gradient = memory[4].floats()[at];
                if row >= rows {
                    assert_eq!(
                        [gradient, memory[5].floats()[at / outputs], memory[6].floats()[at / outputs]],
                        [0.0; 3]
                    );
                    continue;
                }
                let numeric = slope(|h| {
                    let mut moved = Data::of(&case.contents);
                    moved[0].floats_mut()[at] += h;
                    run(&case.dispatch, &mut moved);
                    moved[5].floats()[model * batch..][..batch].iter().sum::<f64>() / rows as f64
                });
                assert!(
                    (gradient - numeric).abs() < 1e-9 + 1e-7 * numeric.abs(),
                    "{}: {gradient} {numeric}",
                    case.name
                );
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked}");
    }
}
