//! Measures of classes.

use super::{Measure, Ranked, mean, share};
use rayon::prelude::*;

/// Bins of the calibration error.
const BINS: usize = 15;

/// Outputs, the classes they stand for, and the true ones.
#[derive(Debug, Clone)]
pub struct Classes<'a> {
    outputs: &'a [f32],
    width: usize,
    truth: &'a [u32],
    probabilities: bool,
    /// What each example is taken for.
    pub predicted: Vec<u32>,
    /// How well each class is found.
    pub reports: Vec<ClassReport>,
}

/// How well a class is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassReport {
    /// Its examples.
    pub support: u64,
    /// Examples that are taken for it.
    pub predicted: u64,
    /// Its examples that are taken for it.
    pub correct: u64,
}

impl ClassReport {
    /// Share of its own among those taken for it; 0 where there are none.
    pub fn precision(&self) -> f64 {
        share(self.correct as f64, self.predicted as f64)
    }

    /// Share of its examples that are found; 0 where there are none.
    pub fn recall(&self) -> f64 {
        share(self.correct as f64, self.support as f64)
    }

    /// The harmonic mean of precision and recall; 0 where both are.
    pub fn f1(&self) -> f64 {
        share(2.0 * self.correct as f64, (self.support + self.predicted) as f64)
    }

    fn occurs(&self) -> bool {
        self.support + self.predicted > 0
    }
}

impl<'a> Classes<'a> {
    /// From outputs (rows of `width`), the true classes, whether the outputs are probabilities, and for two classes where the
    /// second begins.
    pub fn new(
        outputs: &'a [f32],
        width: usize,
        truth: &'a [u32],
        probabilities: bool,
        threshold: Option<f32>,
    ) -> Classes<'a> {
        let class = |row: &[f32]| match (row, threshold) {
            ([second] | [_, second], Some(threshold)) => u32::from(*second >= threshold),
            ([one], None) => u32::from(*one > 0.5),
            (row, _) => largest(row),
        };
        let predicted: Vec<u32> = outputs.chunks_exact(width).map(class).collect();
        let mut reports = vec![ClassReport::default(); width.max(2)];
        for (&truth, &predicted) in truth.iter().zip(&predicted) {
            reports[truth as usize].support += 1;
            reports[predicted as usize].predicted += 1;
            reports[truth as usize].correct += u64::from(truth == predicted);
        }
        Classes { outputs, width, truth, probabilities, predicted, reports }
    }

    /// A measure; none where it is undefined, or not of classes.
    pub fn measure(&self, measure: Measure) -> Option<f64> {
        let two = |of: fn(&ClassReport) -> f64| (self.reports.len() == 2).then(|| of(&self.reports[1]));
        if self.truth.is_empty() {
            return None;
        }
        match measure {
            Measure::Accuracy => self.share_of(|example| self.truth[example] == self.predicted[example]),
            Measure::BalancedAccuracy => {
                mean(self.reports.iter().filter(|class| class.support > 0).map(|class| Some(class.recall())))
            }
            Measure::Top5Accuracy => self.share_of(|example| self.rank(example) < 5),
            Measure::PrecisionMacro => self.macro_mean(ClassReport::precision),
            Measure::RecallMacro => self.macro_mean(ClassReport::recall),
            Measure::F1Macro => self.macro_mean(ClassReport::f1),
            Measure::F1Weighted => {
                let weighted: f64 = self.reports.iter().map(|class| class.support as f64 * class.f1()).sum();
                Some(weighted / self.truth.len() as f64)
            }
            Measure::RocAuc => self.over_classes(|ranked| ranked.roc_auc()),
            Measure::AveragePrecision => self.over_classes(|ranked| Some(ranked.average_precision())),
            Measure::LogLoss if self.probabilities => self.log_loss(),
            Measure::Brier if self.probabilities => self.brier(),
            Measure::CalibrationError if self.probabilities => self.calibration_error(),
            Measure::Precision => two(ClassReport::precision),
            Measure::Recall => two(ClassReport::recall),
            Measure::F1 => two(ClassReport::f1),
            _ => None,
        }
    }

    /// The examples in the order of a class's output, its own the positive ones. Of a single output, only class 1 has one.
    pub fn ranked(&self, class: usize) -> Ranked {
        let column = if self.width == 1 { 0 } else { class };
        let scores = self.outputs.iter().skip(column).step_by(self.width);
        Ranked::new(scores.zip(self.truth).map(|(score, truth)| (*score, *truth as usize == class)))
    }

    fn share_of(&self, right: impl Fn(usize) -> bool) -> Option<f64> {
        let right = (0..self.truth.len()).filter(|&example| right(example)).count();
        Some(right as f64 / self.truth.len() as f64)
    }

    fn macro_mean(&self, of: fn(&ClassReport) -> f64) -> Option<f64> {
        mean(self.reports.iter().filter(|class| class.occurs()).map(|class| Some(of(class))))
    }

    /// Of two classes the second, of more the mean over each against the rest.
    fn over_classes(&self, of: impl Fn(&Ranked) -> Option<f64> + Sync) -> Option<f64> {
        match self.reports.len() {
            2 => of(&self.ranked(1)),
            classes => {
                let each: Vec<Option<f64>> =
                    (0..classes).into_par_iter().map(|class| of(&self.ranked(class))).collect();
                mean(each.into_iter())
            }
        }
    }

    /// How many classes come before the true one, by their outputs.
    fn rank(&self, example: usize) -> usize {
        let (row, truth) = (self.row(example), self.truth[example] as usize);
        let before = |class: usize, output: f32| output > row[truth] || output == row[truth] && class > truth;
        // Of two classes both are among the first five.
        if self.width == 1 {
            0
        } else {
            row.iter().enumerate().filter(|(class, output)| before(*class, **output)).count()
        }
    }

    fn row(&self, example: usize) -> &[f32] {
        &self.outputs[example * self.width..][..self.width]
    }

    /// The probability of a class.
    fn probability(&self, example: usize, class: usize) -> f32 {
        match self.row(example) {
            [one] if class == 0 => 1.0 - one,
            [one] => *one,
            row => row[class],
        }
    }

    fn log_loss(&self) -> Option<f64> {
        let loss = |example: usize| {
            let truth = self.probability(example, self.truth[example] as usize);
            -f64::from(truth.clamp(f32::EPSILON, 1.0 - f32::EPSILON)).ln()
        };
        mean((0..self.truth.len()).map(|example| Some(loss(example))))
    }

    fn brier(&self) -> Option<f64> {
        let classes = self.reports.len();
        let scale = if classes == 2 { 0.5 } else { 1.0 };
        let error = |example: usize| {
            let of = |class: usize| {
                let truth = f64::from(u8::from(self.truth[example] as usize == class));
                (f64::from(self.probability(example, class)) - truth).powi(2)
            };
            scale * (0..classes).map(of).sum::<f64>()
        };
        mean((0..self.truth.len()).map(|example| Some(error(example))))
    }

    /// In each bin of confidence: examples, right ones, the sum of confidences. The answer here is the likeliest class, whatever
    /// the threshold.
    pub fn calibration(&self) -> [(u64, u64, f64); BINS] {
        let mut bins = [(0, 0, 0.0); BINS];
        for (example, &truth) in self.truth.iter().enumerate() {
            let class = match self.row(example) {
                [one] => u32::from(*one > 0.5),
                row => largest(row),
            };
            let confidence = f64::from(self.probability(example, class as usize));
            let bin = &mut bins[((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
            *bin = (bin.0 + 1, bin.1 + u64::from(class == truth), bin.2 + confidence);
        }
        bins
    }

    fn calibration_error(&self) -> Option<f64> {
        let gap = |&(_, right, confidence): &(u64, u64, f64)| (right as f64 - confidence).abs();
        Some(self.calibration().iter().map(gap).sum::<f64>() / self.truth.len() as f64)
    }
}

/// The first of the largest outputs.
fn largest(row: &[f32]) -> u32 {
    let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    largest.map_or(0, |(class, _)| class as u32)
}
