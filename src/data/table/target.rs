//! The columns that are to be predicted: what is to be learned of them, and what cannot be.

use super::check::check_precision;
use super::raw::RawTable;
use crate::data::cells;
use crate::data::error::{DataError, Problem};
use crate::data::frame::Parts;
use crate::data::load::one_hot_rows;
use crate::data::remarks;
use crate::data::table_columns::TargetColumn;
use crate::data::{TargetKind, Targets};
use crate::recipe::Loss;

/// Whole numbers with more different values are no classes, unless the loss says so.
const FEW_NUMBERS: usize = 20;
/// Nor are they, where a value has fewer rows than this on average.
const ROWS_OF_CLASS: usize = 3;

impl RawTable {
    /// Targets that a model with this loss gives; without a loss told from the table.
    pub fn target_kind(&self, loss: Option<Loss>) -> Result<TargetKind, DataError> {
        self.told_target(loss).map_err(|problem| problem.at(&self.source))
    }

    fn told_target(&self, loss: Option<Loss>) -> Result<TargetKind, Problem> {
        let targets = self.targets.as_deref().unwrap_or_default();
        let count = targets.len();
        let [single] = targets else {
            return Ok(match loss {
                Some(Loss::BinaryCrossEntropy) => TargetKind::Probabilities { outputs: count },
                None if targets.iter().all(|column| self.is_bit(*column)) => {
                    TargetKind::Probabilities { outputs: count }
                }
                _ => TargetKind::Values { outputs: count },
            });
        };
        let classes =
            || -> Result<TargetKind, Problem> { Ok(TargetKind::Classes { outputs: self.classes(*single)?.0.len() }) };
        match loss {
            Some(Loss::SoftmaxCrossEntropy) => classes(),
            Some(Loss::BinaryCrossEntropy) => Ok(TargetKind::Probabilities { outputs: 1 }),
            Some(_) => Ok(TargetKind::Values { outputs: 1 }),
            None if self.frame.columns[*single].numbers.is_some() && !self.is_few(*single) => {
                Ok(TargetKind::Values { outputs: 1 })
            }
            None => classes(),
        }
    }

    /// Whether a column holds few different whole numbers.
    fn is_few(&self, column: usize) -> bool {
        let numbers = || self.read_numbers(column).filter(|value| !value.is_nan());
        let mut found: Vec<f64> = Vec::new();
        let few = numbers().all(|value| {
            if !found.contains(&value) {
                found.push(value);
            }
            value.fract() == 0.0 && found.len() <= FEW_NUMBERS
        });
        few && found.len() * ROWS_OF_CLASS <= self.frame.rows
    }

    /// Whether a column says of each row yes or no.
    fn is_bit(&self, column: usize) -> bool {
        self.numbers(column).is_ok_and(|mut numbers| numbers.all(|value| value == 0.0 || value == 1.0))
    }

    /// The numbers of a column; none where it holds texts.
    fn read_numbers(&self, column: usize) -> impl Iterator<Item = f64> + '_ {
        self.frame.columns[column].numbers.iter().flat_map(Parts::iter)
    }

    /// Refuses targets that cannot be learned.
    pub(super) fn check_target(&self) -> Result<(), Problem> {
        let targets = self.targets.as_deref().unwrap_or_default();
        targets.iter().try_for_each(|column| {
            self.check_target_cells(*column)?;
            self.check_target_kind(*column, targets.len() == 1)
        })
    }

    /// Refuses cells without a value that can be learned.
    fn check_target_cells(&self, column: usize) -> Result<(), Problem> {
        let values = &self.frame.columns[column];
        if let Some(why) = &values.unusable {
            return Err(why.problem(vec![self.frame.name(column)]));
        }
        let (missing, line) = values.missing;
        if missing > 0 {
            let rows = if missing == 1 { "1 row has".into() } else { format!("{missing} rows have") };
            let cause = format!("the target is missing here ({rows} none); remove these rows, in pandas with dropna");
            return Err(self.frame.cell(line, column, cause));
        }
        if let Some((line, value)) = values.not_finite {
            return Err(self.frame.cell(line, column, format!("the target is {value}; every value must be finite")));
        }
        Ok(())
    }

    /// Refuses a target that says nothing, or not what a network learns.
    fn check_target_kind(&self, column: usize, is_alone: bool) -> Result<(), Problem> {
        let values = &self.frame.columns[column];
        let is_constant = |numbers: &Parts<f64>| {
            let first = numbers.iter().next();
            numbers.iter().all(|value| Some(value) == first)
        };
        if self.is_new && values.numbers.as_ref().is_some_and(is_constant) {
            return Err(Problem::OneClass { name: self.frame.name(column) });
        }
        let dates =
            values.numbers.is_none() && !values.levels.is_empty() && values.levels.iter().all(|l| cells::is_date(l));
        if dates {
            return Err(Problem::Dates { columns: vec![self.frame.name(column)] });
        }
        if !is_alone && values.numbers.is_none() && !values.levels.iter().all(|level| cells::is_boolean(level)) {
            let cause = "of several targets each must be numbers, or true and false".into();
            return Err(self.frame.cell(values.text.as_ref().map_or(1, |(line, _)| *line), column, cause));
        }
        Ok(())
    }

    /// The target, in words.
    pub(super) fn target_in_words(&self) -> String {
        let targets = self.targets.as_deref().unwrap_or_default();
        let names: Vec<String> = targets.iter().map(|column| self.frame.name(*column)).collect();
        format!("target: {}", remarks::columns(&names))
    }

    /// Why its targets are no truth for a model with these, if so: another class, a text among numbers.
    pub fn target_problem(&mut self, kind: TargetKind, classes: Option<usize>) -> Option<DataError> {
        let notes = self.notes.clone();
        let problem = self.check_target().and_then(|()| self.learned(kind, classes)).err();
        self.notes = notes;
        problem.map(|problem| problem.at(&self.source))
    }

    /// The targets as the model learns them, and the names of the classes.
    pub(super) fn learned(&mut self, kind: TargetKind, kept: Option<usize>) -> Result<(Targets, Vec<String>), Problem> {
        let Some(targets) = self.targets.clone() else {
            let named = |target: &TargetColumn| self.frame.find(&target.name).is_ok_and(|found| found.is_some());
            let missing = self.columns.targets.iter().filter(|target| !named(target)).map(|target| target.name.clone());
            return Err(Problem::TargetMissing { missing: missing.collect(), columns: self.frame.names() });
        };
        let (count, outputs) = (targets.len(), kind.outputs());
        match (kind, &targets[..]) {
            (TargetKind::Classes { .. }, [column]) => {
                let (names, labels) = self.learned_classes(*column, kept, outputs)?;
                Ok((Targets::Classes { labels, classes: outputs }, names))
            }
            (TargetKind::Classes { .. }, _) => Err(Problem::SeveralTargets { count }),
            (TargetKind::Probabilities { outputs: 1 }, [column]) if !self.has_fractions(*column) => {
                let (names, labels) = self.learned_classes(*column, None, 2)?;
                let values = labels.into_iter().map(|label| label as f32).collect();
                Ok((Targets::Values { values, outputs: 1 }, names))
            }
            (_, [column]) if outputs > 1 => {
                let (names, labels) = self.learned_classes(*column, None, outputs)?;
                Ok((Targets::Values { values: one_hot_rows(&labels, outputs), outputs }, names))
            }
            _ => Ok((self.learned_values(&targets, kind)?, Vec::new())),
        }
    }

    /// The classes of a column, of which there must be so many, and the class of each row.
    fn learned_classes(
        &mut self,
        column: usize,
        kept: Option<usize>,
        outputs: usize,
    ) -> Result<(Vec<String>, Vec<u32>), Problem> {
        let (names, labels) = self.known_classes(column, kept)?;
        self.check_outputs(kept.unwrap_or(names.len()).min(names.len()), outputs, "classes")?;
        self.describe_classes(column, &names, &labels);
        Ok((names, labels))
    }

    /// The values of columns of numbers.
    fn learned_values(&mut self, targets: &[usize], kind: TargetKind) -> Result<Targets, Problem> {
        let outputs = kind.outputs();
        self.check_outputs(targets.len(), outputs, "targets")?;
        check_precision(&self.frame, if self.is_new { targets } else { &[] }, "the target")?;
        let mut values = vec![0.0; self.frame.rows * outputs];
        for (at, column) in targets.iter().enumerate() {
            let of_column = values.iter_mut().skip(at).step_by(outputs);
            of_column.zip(self.numbers(*column)?).for_each(|(value, number)| *value = number as f32);
        }
        let targets = Targets::Values { values, outputs };
        targets.check(kind)?;
        self.describe_values(matches!(kind, TargetKind::Probabilities { .. }));
        Ok(targets)
    }

    fn has_fractions(&self, column: usize) -> bool {
        self.read_numbers(column).any(|value| value.fract() != 0.0)
    }

    /// The numbers of a target.
    fn numbers(&self, column: usize) -> Result<Box<dyn Iterator<Item = f64> + '_>, Problem> {
        let values = &self.frame.columns[column];
        match (&values.numbers, &values.codes) {
            (Some(numbers), _) => Ok(Box::new(numbers.iter())),
            (None, Some(codes)) if values.levels.iter().all(|level| cells::is_boolean(level)) => {
                let numbers: Vec<f64> = values.levels.iter().filter_map(|level| cells::boolean(level)).collect();
                Ok(Box::new(codes.iter().map(move |code| numbers[code as usize])))
            }
            _ => {
                let (line, text) = values.text.clone().unwrap_or_default();
                let cause = format!(
                    "{text:?} is text, but the loss takes numbers; for classes leave the loss out, or take softmax_cross_entropy"
                );
                Err(self.frame.cell(line, column, cause))
            }
        }
    }

    fn check_outputs(&self, needed: usize, outputs: usize, what: &'static str) -> Result<(), Problem> {
        if needed == outputs { Ok(()) } else { Err(Problem::Outputs { needed, outputs, what }) }
    }

    /// Notes the classes with their counts, in place of the target's name.
    fn describe_classes(&mut self, column: usize, names: &[String], labels: &[u32]) {
        /// More are not listed.
        const SHOWN: usize = 20;
        let mut counts = vec![0usize; names.len()];
        labels.iter().for_each(|label| counts.get_mut(*label as usize).into_iter().for_each(|count| *count += 1));
        let listed = names.iter().zip(&counts).take(SHOWN).map(|(name, count)| format!("{name} {count}"));
        let more = if names.len() > SHOWN { " …" } else { "" };
        let numbers = self.frame.columns[column].numbers.is_some();
        let doubt = if numbers { " (numbers taken for classes; the loss mse takes them for values)" } else { "" };
        let listed = listed.collect::<Vec<_>>().join(", ");
        self.note_target(format!("{}, {} classes: {listed}{more}{doubt}", self.frame.name(column), names.len()));
    }

    /// Notes the range of values, or of bits how often they are 1, in place of the target's name.
    fn describe_values(&mut self, are_probabilities: bool) {
        let of = |column: &usize| {
            if are_probabilities && !self.has_fractions(*column) {
                let ones = self.numbers(*column).map_or(0, |numbers| numbers.filter(|value| *value == 1.0).count());
                return format!("{}, 1 (yes) in {ones} of {} rows", self.frame.name(*column), self.frame.rows);
            }
            let ends = (f64::INFINITY, f64::NEG_INFINITY);
            let (low, high) = self.read_numbers(*column).fold(ends, |(low, high), v| (low.min(v), high.max(v)));
            let doubt = if self.is_few(*column) { ", taken for values though they are few whole numbers" } else { "" };
            if low <= high {
                format!("{}, values from {low} to {high}{doubt}", self.frame.name(*column))
            } else {
                self.frame.name(*column)
            }
        };
        let words: Vec<String> = self.targets.iter().flatten().take(12).map(of).collect();
        self.note_target(words.join("; "));
    }

    fn note_target(&mut self, words: String) {
        let note = format!("target: {words}");
        match self.notes.iter_mut().find(|note| note.starts_with("target: ")) {
            Some(old) => *old = note,
            None => self.notes.push(note),
        }
    }
}
