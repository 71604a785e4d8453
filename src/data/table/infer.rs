//! A table to train on: what its columns are taken for.

use super::check::{check_column, check_levels, check_named, check_precision};
use super::classes::sorted;
use super::raw::RawTable;
use super::weights::weighing;
use super::words::{in_words, missing_note};
use crate::data::error::Problem;
use crate::data::frame::{Frame, Parts, Reading};
use crate::data::table_columns::{FeatureColumn, TableColumns, TargetColumn};
use crate::place::Place;
use crate::recipe::{DataSpec, Missing};

/// The columns that a recipe names.
struct Named {
    targets: Vec<usize>,
    /// Those that are left out.
    dropped: Vec<usize>,
    /// Those that are categories, whatever their cells are.
    forced: Vec<usize>,
    /// The features; none where they are all that is left.
    picked: Vec<usize>,
    /// The one that weighs the examples.
    weighing: Option<usize>,
}

/// Reads a table, and tells its columns' kinds from their cells and the recipe. Where an embedding looks categories up, they follow the
/// numbers.
pub(super) fn read(place: &Place, target: &[String], data: &DataSpec, looks_up: bool) -> Result<RawTable, Problem> {
    let frame = frame(place, target, data)?;
    let named = Named::of(&frame, place, target, data)?;
    let mut notes = vec![format!("{} rows, {}", frame.rows, frame.dialect)];
    let mut features = named.features(&frame, &mut notes)?;
    if looks_up {
        features.sort_by_key(|column| is_category(&frame, *column, &named.forced));
    }
    let mut columns = columns(&frame, &features, &named, data.missing)?;
    if looks_up {
        columns.number_levels();
    }
    notes.push(format!("features: {}", in_words(&columns)));
    notes.extend(missing_note(&frame, &features, data.missing));
    let mut raw = RawTable {
        source: String::new(),
        frame,
        columns,
        features,
        targets: Some(named.targets),
        class_names: Vec::new(),
        weights: None,
        notes,
        is_new: true,
    };
    raw.check_size()?;
    raw.check_target()?;
    raw.notes.push(raw.target_in_words());
    raw.weights = named.weighing.map(|column| raw.column_of_weights(column)).transpose()?;
    Ok(raw)
}

/// The cells, those of the columns that may be texts as such.
fn frame(place: &Place, target: &[String], data: &DataSpec) -> Result<Frame, Problem> {
    // By name or number: which of them is meant is known when the first line is.
    let means = |wanted: &String, column: usize, name: &str| {
        wanted == name || wanted.strip_prefix('#').unwrap_or(wanted).parse() == Ok(column)
    };
    let reading = |column: usize, name: &str| {
        let is_wanted = target.iter().chain(&data.categorical).any(|wanted| means(wanted, column, name));
        if is_wanted { Reading::Both } else { Reading::Told }
    };
    let expected = [target, &data.features, &data.drop, &data.categorical].concat();
    let frame = Frame::read(place, data.header, &expected, reading)?;
    if target.is_empty() {
        return Err(Problem::NoTarget { columns: frame.names() });
    }
    if frame.rows == 0 {
        return Err(Problem::Empty { shape: vec![0, frame.width()] });
    }
    Ok(frame)
}

impl Named {
    fn of(frame: &Frame, place: &Place, target: &[String], data: &DataSpec) -> Result<Named, Problem> {
        let require = |names: &[String]| names.iter().map(|name| frame.require(name)).collect::<Result<Vec<_>, _>>();
        let (targets, dropped) = (require(target)?, require(&data.drop)?);
        let (forced, picked) = (require(&data.categorical)?, require(&data.features)?);
        check_named(
            frame,
            &[
                ("the target", &targets, &targets, "is named there before"),
                ("data.features", &picked, &picked, "is named there before"),
                ("data.features", &picked, &targets, "is the target"),
                ("data.drop", &dropped, &targets, "is the target"),
                ("data.categorical", &forced, &dropped, "data.drop leaves out"),
            ],
        )?;
        let weighing = data.sample_weights.as_ref().map_or(Ok(None), |name| weighing(frame, place, name))?;
        if let Some(column) = weighing.filter(|column| targets.contains(column)) {
            return Err(Problem::WeightTwice { name: frame.name(column), what: "the target" });
        }
        Ok(Named { targets, dropped, forced, picked, weighing })
    }

    /// The columns of the features: those that are picked, else all that can be features.
    fn features(&self, frame: &Frame, notes: &mut Vec<String>) -> Result<Vec<usize>, Problem> {
        let features = if self.picked.is_empty() { self.others(frame, notes) } else { self.picked.clone() };
        if let Some(column) = self.weighing.filter(|column| features.contains(column)) {
            return Err(Problem::WeightTwice { name: frame.name(column), what: "a feature (data.features)" });
        }
        if features.is_empty() { Err(Problem::NoFeatures) } else { Ok(features) }
    }

    /// The columns that are nothing else and can be features; notes what is left out.
    fn others(&self, frame: &Frame, notes: &mut Vec<String>) -> Vec<usize> {
        let mut left_out = Vec::new();
        let rest = |column: &usize| {
            !self.targets.contains(column) && !self.dropped.contains(column) && self.weighing.as_ref() != Some(column)
        };
        let taken = (0..frame.width()).filter(rest).filter(|column| match reason(frame, *column) {
            Some(reason) if !self.forced.contains(column) => {
                left_out.push(format!("{} ({reason})", frame.name(*column)));
                false
            }
            _ => true,
        });
        let taken: Vec<usize> = taken.collect();
        left_out.extend(self.dropped.iter().map(|column| format!("{} (data.drop)", frame.name(*column))));
        left_out.extend(self.weighing.map(|column| format!("{} (data.sample_weights)", frame.name(column))));
        if !left_out.is_empty() {
            notes.push(format!("left out: {}", left_out.join(", ")));
        }
        taken
    }
}

/// Why a column is no feature, if it is none.
fn reason(frame: &Frame, column: usize) -> Option<&'static str> {
    let values = &frame.columns[column];
    if values.is_empty() {
        return Some("no values");
    }
    let name = frame.name(column).to_ascii_lowercase();
    if name.starts_with("__index_level_") {
        return Some("pandas' index");
    }
    let is_index = name.starts_with('#') || name == "index" || name == "unnamed: 0" || name.ends_with("id");
    let counts = |numbers: &Parts<f64>| {
        numbers.len() > 3 && numbers.iter().zip(numbers.iter().skip(1)).all(|(number, next)| next - number == 1.0)
    };
    (column == 0 && is_index && values.numbers.as_ref().is_some_and(counts)).then_some("counts the rows")
}

/// What the columns of a training table are.
fn columns(frame: &Frame, features: &[usize], named: &Named, missing: Missing) -> Result<TableColumns, Problem> {
    check_levels(frame, features, &named.forced)?;
    let is_number = |column: &usize| !is_category(frame, *column, &named.forced);
    check_precision(frame, &Vec::from_iter(features.iter().copied().filter(is_number)), "the column")?;
    let of = features.iter().map(|column| {
        // A name that stands for two columns finds neither in other tables.
        frame.find(&frame.name(*column))?;
        feature(frame, *column, is_category(frame, *column, &named.forced), missing)
    });
    let features = of.collect::<Result<Vec<FeatureColumn>, Problem>>()?;
    let targets = named.targets.iter().map(|column| TargetColumn::new(frame.name(*column))).collect();
    Ok(TableColumns { features, targets })
}

/// Whether a column is a category: it is one of those that are said to be, or holds texts alone.
fn is_category(frame: &Frame, column: usize, forced: &[usize]) -> bool {
    let values = &frame.columns[column];
    forced.contains(&column) || values.text.is_some() && values.number.is_none()
}

/// What one of them is.
fn feature(frame: &Frame, column: usize, is_category: bool, missing: Missing) -> Result<FeatureColumn, Problem> {
    let values = &frame.columns[column];
    check_column(frame, column, is_category, missing, true)?;
    let levels = is_category.then(|| sorted(&values.levels).0);
    let indicator = missing == Missing::Indicator && values.missing.0 > 0;
    Ok(FeatureColumn { name: frame.name(column), levels, first_level: None, fill: None, indicator })
}
