//! What depends on the order of scores alone: the ROC and the precision-recall curve, and the areas under them.

/// How many examples score so high, from the highest score down.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// A point for each score that occurs.
    pub points: Vec<RankedPoint>,
}

/// What is taken for positive down to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankedPoint {
    /// The score.
    pub score: f32,
    /// Positive examples that score as high.
    pub true_positives: u64,
    /// Negative examples that score as high.
    pub false_positives: u64,
}

impl Ranked {
    /// From each example's score, and whether it is positive. Scores are finite.
    pub fn new(scored: impl Iterator<Item = (f32, bool)>) -> Ranked {
        let mut scored: Vec<(f32, bool)> = scored.collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let mut points = Vec::new();
        let (mut true_positives, mut false_positives) = (0, 0);
        // Both zeros are one score.
        for equal in scored.chunk_by(|a, b| a.0 == b.0) {
            let positives = equal.iter().filter(|(_, positive)| *positive).count() as u64;
            true_positives += positives;
            false_positives += equal.len() as u64 - positives;
            points.push(RankedPoint { score: equal[0].0, true_positives, false_positives });
        }
        Ranked { points }
    }

    /// Positive and negative examples.
    pub fn totals(&self) -> (u64, u64) {
        self.points.last().map_or((0, 0), |last| (last.true_positives, last.false_positives))
    }

    /// The area under the ROC curve; none where all examples are positive, or none.
    pub fn roc_auc(&self) -> Option<f64> {
        let (positives, negatives) = self.totals();
        let mut area = 0.0;
        let mut before = (0, 0);
        for point in &self.points {
            let now = (point.true_positives, point.false_positives);
            area += (now.1 - before.1) as f64 * (now.0 + before.0) as f64 / 2.0;
            before = now;
        }
        (positives > 0 && negatives > 0).then(|| area / positives as f64 / negatives as f64)
    }

    /// The average precision; 0 without positive examples.
    pub fn average_precision(&self) -> f64 {
        let (positives, _) = self.totals();
        let mut sum = 0.0;
        let mut before = 0;
        for point in self.points.iter().filter(|_| positives > 0) {
            let precision = point.true_positives as f64 / (point.true_positives + point.false_positives) as f64;
            sum += (point.true_positives - before) as f64 / positives as f64 * precision;
            before = point.true_positives;
        }
        sum
    }
}
