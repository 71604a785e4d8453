//! Measures of several bits at once: means over the bits, as scikit-learn takes them of an indicator matrix.

use super::{ClassReport, Measure, Ranked, mean};
use rayon::prelude::*;

/// Outputs, and zeros and ones.
pub(super) struct Bits<'a> {
    outputs: &'a [f32],
    targets: &'a [f32],
    width: usize,
    /// How well each bit being set is found.
    reports: Vec<ClassReport>,
}

impl<'a> Bits<'a> {
    pub(super) fn new(outputs: &'a [f32], targets: &'a [f32], width: usize) -> Bits<'a> {
        let mut reports = vec![ClassReport::default(); width];
        for (at, (output, target)) in outputs.iter().zip(targets).enumerate() {
            let (predicted, set) = (*output > 0.5, *target > 0.5);
            let report = &mut reports[at % width];
            report.support += u64::from(set);
            report.predicted += u64::from(predicted);
            report.correct += u64::from(set && predicted);
        }
        Bits { outputs, targets, width, reports }
    }

    pub(super) fn measure(&self, measure: Measure) -> Option<f64> {
        let over_bits = |of: fn(&ClassReport) -> f64| mean(self.reports.iter().map(|bit| Some(of(bit))));
        if self.targets.is_empty() {
            return None;
        }
        match measure {
            Measure::Accuracy => self.share_right(1),
            Measure::SubsetAccuracy => self.share_right(self.width),
            Measure::PrecisionMacro => over_bits(ClassReport::precision),
            Measure::RecallMacro => over_bits(ClassReport::recall),
            Measure::F1Macro => over_bits(ClassReport::f1),
            Measure::F1Weighted => {
                let weight: u64 = self.reports.iter().map(|bit| bit.support).sum();
                let weighted: f64 = self.reports.iter().map(|bit| bit.support as f64 * bit.f1()).sum();
                Some(super::share(weighted, weight as f64))
            }
            Measure::RocAuc => self.over_ranked(Ranked::roc_auc),
            Measure::AveragePrecision => self.over_ranked(|ranked| Some(ranked.average_precision())),
            _ => None,
        }
    }

    /// Share of the groups of so many bits that are right as a whole.
    fn share_right(&self, size: usize) -> Option<f64> {
        let right = |(output, target): (&f32, &f32)| (*output > 0.5) == (*target > 0.5);
        let groups = self.outputs.chunks(size).zip(self.targets.chunks(size));
        mean(groups.map(|(outputs, targets)| Some(f64::from(u8::from(outputs.iter().zip(targets).all(right))))))
    }

    fn over_ranked(&self, of: impl Fn(&Ranked) -> Option<f64> + Sync) -> Option<f64> {
        let bit = |number: usize| {
            let scores = self.outputs.iter().zip(self.targets).skip(number).step_by(self.width);
            of(&Ranked::new(scores.map(|(score, target)| (*score, *target > 0.5))))
        };
        let each: Vec<Option<f64>> = (0..self.width).into_par_iter().map(bit).collect();
        mean(each.into_iter())
    }
}
