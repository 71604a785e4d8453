//! What the columns of a table are, as a model keeps it: other tables are read by it.

use serde::{Deserialize, Serialize};

use super::middle::{means, medians};
use super::{Features, Scaling, Storage, Targets};
use crate::model::Levels;
use crate::recipe::Missing;

/// The columns of a table that a model was trained on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableColumns {
    /// Those that are features, in the model's order.
    pub features: Vec<FeatureColumn>,
    /// Those that are to be predicted.
    pub targets: Vec<TargetColumn>,
}

/// A column that is a feature, or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureColumn {
    /// Its name or, without one, its number from 0 after a `#`.
    pub name: String,
    /// The levels of a category, each of which is a feature that is 1 or 0; none of a number, which is a feature by itself.
    pub levels: Option<Vec<String>>,
    /// The number of the first of them where an embedding looks them up: they are numbered through over all categories, and the
    /// column is one feature, the number of its level, or -1 for none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_level: Option<usize>,
    /// What a missing number becomes: the mean or the median of the training examples.
    pub fill: Option<f64>,
    /// Whether a last feature of the column says where it was missing.
    pub indicator: bool,
}

/// A column that is to be predicted. Values are learned less their mean and divided by their deviation, both over the training
/// examples; classes are not touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetColumn {
    /// Its name or, without one, its number from 0 after a `#`.
    pub name: String,
    /// What was subtracted.
    pub mean: f64,
    /// What was divided by then; never 0.
    pub deviation: f64,
}

impl TargetColumn {
    /// A column that is learned as it is.
    pub(super) fn new(name: String) -> TargetColumn {
        TargetColumn { name, mean: 0.0, deviation: 1.0 }
    }

    /// Whether it is learned as it is.
    fn is_plain(&self) -> bool {
        self.mean == 0.0 && self.deviation == 1.0
    }
}

impl FeatureColumn {
    /// Features that it makes.
    pub(crate) fn width(&self) -> usize {
        let levels = self.levels.as_ref().filter(|_| self.first_level.is_none());
        levels.map_or(1, Vec::len) + usize::from(self.indicator)
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<String> {
        let name = &self.name;
        let values = match &self.levels {
            Some(levels) if self.first_level.is_none() => {
                levels.iter().map(|level| format!("{name}={level}")).collect()
            }
            _ => vec![name.clone()],
        };
        values.into_iter().chain(self.indicator.then(|| format!("{name} missing"))).collect()
    }
}

impl TableColumns {
    /// Features that all columns make.
    pub fn width(&self) -> usize {
        self.features.iter().map(FeatureColumn::width).sum()
    }

    /// Their names, such as `rooms` or `district=north`.
    pub fn feature_names(&self) -> Vec<String> {
        self.features.iter().flat_map(FeatureColumn::names).collect()
    }

    /// Numbers the levels of all categories through, for an embedding that looks them up.
    pub(super) fn number_levels(&mut self) {
        let mut count = 0;
        for column in &mut self.features {
            if let Some(levels) = &column.levels {
                (column.first_level, column.indicator) = (Some(count), false);
                count += levels.len();
            }
        }
    }

    /// The levels that an embedding looks up, where they are numbered.
    pub(crate) fn levels(&self) -> Option<Levels> {
        let numbered = self.features.iter().filter(|column| column.first_level.is_some());
        let levels = numbered.clone().flat_map(|column| &column.levels).map(Vec::len).sum();
        let categories = numbered.count();
        (categories > 0).then_some(Levels { count: Some(levels), categories: Some(categories) })
    }

    /// The features that are numbers of the table, each with its column; the others are 1 or 0, or numbers of levels.
    fn numbers(&self) -> Vec<(usize, usize)> {
        let mut at = 0;
        let mut numbers = Vec::new();
        for (index, column) in self.features.iter().enumerate() {
            if column.levels.is_none() {
                numbers.push((at, index));
            }
            at += column.width();
        }
        numbers
    }

    /// Takes what missing numbers become from the training examples.
    pub(crate) fn fit_fills(&mut self, missing: Missing, train: &Features) {
        let numbers = self.numbers();
        let places: Vec<usize> = numbers.iter().map(|(at, _)| *at).collect();
        let fills = match missing {
            Missing::Error => return,
            Missing::Mean | Missing::Indicator => means(train, &places),
            Missing::Median => medians(train, &places),
        };
        for ((_, column), fill) in numbers.into_iter().zip(fills) {
            self.features[column].fill = Some(single(fill));
        }
    }

    /// Fills missing numbers in.
    pub(crate) fn fill(&self, features: &mut Features) {
        let Storage::F32(values) = &mut features.storage else { return };
        let fills: Vec<(usize, f32)> = self
            .numbers()
            .into_iter()
            .filter_map(|(at, column)| Some((at, self.features[column].fill? as f32)))
            .collect();
        if fills.is_empty() {
            return;
        }
        let width = self.width().max(1);
        let is_missing = |row: &[f32]| fills.iter().any(|(at, _)| row[*at].is_nan());
        if !values.chunks_exact(width).any(is_missing) {
            return;
        }
        values.change(width, |rows| {
            for row in rows.chunks_exact_mut(width) {
                for (at, fill) in &fills {
                    if row[*at].is_nan() {
                        row[*at] = *fill;
                    }
                }
            }
        });
    }

    /// Takes mean and deviation of values that are to be learned from the training examples.
    pub(crate) fn fit_targets(&mut self, train: &Targets) {
        let Targets::Values { values, outputs } = train else { return };
        if *outputs != self.targets.len() {
            return;
        }
        for (at, column) in self.targets.iter_mut().enumerate() {
            let all = || values.iter().skip(at).step_by(*outputs).map(|value| f64::from(*value));
            let count = all().count().max(1) as f64;
            column.mean = single(all().sum::<f64>() / count);
            let variance = all().map(|value| (value - column.mean).powi(2)).sum::<f64>() / count;
            column.deviation = if variance > 0.0 { single(variance.sqrt()) } else { 1.0 };
        }
    }

    /// How values are learned, in words.
    pub(crate) fn targets_in_words(&self) -> Vec<String> {
        let scaled = self.targets.iter().filter(|column| !column.is_plain());
        let words = |column: &TargetColumn| {
            let name = &column.name;
            let [mean, deviation] = [column.mean, column.deviation].map(six_digits);
            format!(
                "{name} is learned less its mean {mean}, divided by its standard deviation {deviation}: a loss of 1 is that \
                 of always guessing the mean; predictions are values of {name} again"
            )
        };
        scaled.take(12).map(words).collect()
    }

    /// Values as they are learned.
    pub(crate) fn scale_targets(&self, targets: &mut Targets) {
        if let Targets::Values { values, outputs } = targets
            && self.scales(*outputs)
        {
            for row in values.chunks_exact_mut(*outputs) {
                for (value, column) in row.iter_mut().zip(&self.targets) {
                    *value = ((f64::from(*value) - column.mean) / column.deviation) as f32;
                }
            }
        }
    }

    /// Whether so many outputs are values that were scaled.
    pub(crate) fn scales(&self, outputs: usize) -> bool {
        outputs == self.targets.len() && self.targets.iter().any(|column| !column.is_plain())
    }

    /// Outputs of a model as values of the table.
    pub fn unscale(&self, values: &mut [f32], outputs: usize) {
        if self.scales(outputs) {
            for row in values.chunks_exact_mut(outputs) {
                for (value, column) in row.iter_mut().zip(&self.targets) {
                    *value = (f64::from(*value) * column.deviation + column.mean) as f32;
                }
            }
        }
    }

    /// Leaves features as they are that are 1 or 0, or numbers of levels.
    pub(crate) fn keep_levels(&self, scaling: &mut Scaling) {
        let (width, numbers) = (self.width(), self.numbers());
        // A single number may stand for all features.
        if scaling.subtract.len() != width || width < 2 && !numbers.is_empty() {
            return;
        }
        let numbers: Vec<usize> = numbers.into_iter().map(|(at, _)| at).collect();
        for at in (0..width).filter(|at| !numbers.contains(at)) {
            (scaling.subtract[at], scaling.divide[at]) = (0.0, 1.0);
        }
    }

    /// The numbers as they were written, however a reader rounds their decimals.
    pub(super) fn rounded(mut self) -> TableColumns {
        self.features.iter_mut().filter_map(|column| column.fill.as_mut()).for_each(|fill| *fill = single(*fill));
        for target in &mut self.targets {
            (target.mean, target.deviation) = (single(target.mean), single(target.deviation));
        }
        self
    }

    /// What is wrong with columns that are stored with a model of so many features; nothing if they can be used.
    pub(crate) fn problem(&self, features: usize) -> Option<String> {
        if self.width() != features {
            return Some(format!("has columns that make {} features, expected {features}", self.width()));
        }
        let mut next = 0;
        for column in self.features.iter().filter(|column| column.first_level.is_some()) {
            if column.levels.is_none() || column.indicator || column.first_level != Some(next) {
                return Some(format!("numbers the levels of {:?} in another way than expected", column.name));
            }
            next += column.levels.as_ref().map_or(0, Vec::len);
        }
        let finite = |number: &f64| (*number as f32).is_finite();
        let fills = self.features.iter().filter_map(|column| column.fill);
        let scaled = self
            .targets
            .iter()
            .all(|target| finite(&target.mean) && finite(&target.deviation) && target.deviation as f32 > 0.0);
        (!scaled || !fills.into_iter().all(|fill| finite(&fill))).then(|| "holds what is no number".to_string())
    }
}

/// A number to six places, or where it is small to six digits.
fn six_digits(number: f64) -> String {
    if number == 0.0 || number.abs() >= 1e-3 { format!("{number:.6}") } else { format!("{number:.5e}") }
}

/// The nearest number of single precision.
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}
