//! A table with a target: what its columns are taken for, and the examples that they make.

use rayon::prelude::*;
use std::collections::HashMap;

use super::cells;
use super::column::FileFormat;
use super::error::{DataError, Problem};
use super::frame::{Frame, MAX_LEVELS, NO_LEVEL, Reading, Values};
use super::header;
use super::remarks;
use super::table_columns::{FeatureColumn, TableColumns, TargetColumn};
use super::weights;
use super::{Examples, Features, Storage, TargetKind, Targets, TrainedOn};
use crate::model::Shape;
use crate::place::{Place, same_file};
use crate::recipe::{DataSpec, Loss, Missing};

/// A text with more levels is a category only where the recipe says so.
const MANY_LEVELS: usize = 100;
/// So many levels are never too many; more are, where half of the rows have one of their own.
const FEW_LEVELS: usize = 10;
/// Whole numbers with more different values are no classes, unless the loss says so.
const FEW_NUMBERS: usize = 20;
/// Nor are they, where a value has fewer rows than this on average.
const ROWS_OF_CLASS: usize = 3;
/// The most numbers of all examples.
const MAX_NUMBERS: usize = 1 << 31;

/// A table as its file holds it, before a model is known.
#[derive(Debug)]
pub struct RawTable {
    source: String,
    frame: Frame,
    columns: TableColumns,
    /// Where each feature column lies.
    features: Vec<usize>,
    /// Where each target column lies; none where the table lacks them.
    targets: Option<Vec<usize>>,
    /// The classes of the table that the model was trained on.
    class_names: Vec<String>,
    /// The examples' weights, where they have any.
    weights: Option<Vec<f32>>,
    notes: Vec<String>,
    /// Whether it is to be trained on: no model knows its columns.
    is_new: bool,
}

/// Refuses files that are no tables, and keys.
fn check_place(place: &Place) -> Result<(), Problem> {
    if !place.is_table() {
        // A missing file is worth saying before an odd name is.
        super::bytes::open_file(&place.path)?;
    }
    if !place.is_table() && FileFormat::of(&place.path)?.is_none() {
        return Err(Problem::NoTable);
    }
    place.key.as_ref().map_or(Ok(()), |key| Err(Problem::TableKey { key: key.clone() }))
}

/// Refuses columns that are named in a list where another list, or the same one before, has them already.
fn check_named(frame: &Frame, lists: &[(&'static str, &Vec<usize>, &Vec<usize>, &'static str)]) -> Result<(), Problem> {
    for (key, columns, others, other) in lists {
        let is_same = std::ptr::eq(*columns, *others);
        let mut named = columns.iter().enumerate().map(|(place, column)| {
            let others = if is_same { &others[..place] } else { &others[..] };
            (column, others.contains(column))
        });
        if let Some((column, _)) = named.find(|(_, twice)| *twice) {
            return Err(Problem::NamedTwice { key, name: frame.name(*column), other });
        }
    }
    Ok(())
}

/// The column that weighs the examples, by its name alone or with the table's file; none where the name is that of another file.
fn weighing(frame: &Frame, place: &Place, name: &str) -> Result<Option<usize>, Problem> {
    if let Some(column) = frame.find(name)? {
        return Ok(Some(column));
    }
    let file = Place::parse(name);
    match &file.key {
        Some(key) if same_file(&file.path, &place.path) => frame.require(key).map(Some),
        // The name of no file.
        None if !name.contains(['.', '/', '\\']) && !file.path.exists() => frame.require(name).map(Some),
        _ => Ok(None),
    }
}

/// The texts of a table's column, one for each row.
pub fn column_texts(table: &str, header: Option<bool>, column: &str) -> Result<Vec<String>, DataError> {
    let place = Place::parse(table);
    let texts = Frame::read(&place, header, &[column.to_string()], |_, _| Reading::Told).and_then(|frame| {
        let number = frame.require(column)?;
        frame.texts(&place, number)
    });
    texts.map_err(|problem| problem.at(table))
}

impl RawTable {
    /// Reads the file: by the columns that are known, else by what the recipe says of them.
    pub fn read(table: &str, target: &[String], data: &DataSpec, known: &TrainedOn) -> Result<RawTable, DataError> {
        RawTable::read_for(table, target, data, known, false)
    }

    /// The same, a new table's levels numbered where an embedding looks them up.
    pub(crate) fn read_for(
        table: &str,
        target: &[String],
        data: &DataSpec,
        known: &TrainedOn,
        looks_up: bool,
    ) -> Result<RawTable, DataError> {
        let place = Place::parse(table);
        let read = check_place(&place).and_then(|()| match &known.table {
            Some(columns) => RawTable::read_known(&place, data, columns),
            None => RawTable::read_new(&place, target, data, looks_up),
        });
        let mut raw = read.map_err(|problem| problem.at(table))?;
        raw.source = table.into();
        raw.order(&known.features).map_err(|problem| problem.at(table))?;
        raw.class_names.clone_from(&known.class_names);
        Ok(raw)
    }

    /// Puts the columns into the order of a run that goes on, whose features have these names.
    fn order(&mut self, known: &[String]) -> Result<(), Problem> {
        let found = self.columns.feature_names();
        if known.is_empty() || known == found {
            return Ok(());
        }
        let missing: Vec<String> = known.iter().filter(|name| !found.contains(name)).cloned().collect();
        if !missing.is_empty() {
            return Err(Problem::ColumnsMissing { missing, columns: found });
        }
        let place = |column: &FeatureColumn| known.iter().position(|name| *name == column.names()[0]);
        let mut columns: Vec<(FeatureColumn, usize)> =
            self.columns.features.drain(..).zip(self.features.drain(..)).collect();
        // What is new comes last: the model has no place for it, which is told when it is built.
        columns.sort_by_key(|(column, _)| place(column).unwrap_or(usize::MAX));
        (self.columns.features, self.features) = columns.into_iter().unzip();
        if self.columns.levels().is_some() {
            self.columns.number_levels();
        }
        Ok(())
    }

    /// A table to train on.
    fn read_new(place: &Place, target: &[String], data: &DataSpec, looks_up: bool) -> Result<RawTable, Problem> {
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
        let require = |names: &[String]| names.iter().map(|name| frame.require(name)).collect::<Result<Vec<_>, _>>();
        let (targets, dropped) = (require(target)?, require(&data.drop)?);
        let (forced, picked) = (require(&data.categorical)?, require(&data.features)?);
        check_named(
            &frame,
            &[
                ("the target", &targets, &targets, "is named there before"),
                ("data.features", &picked, &picked, "is named there before"),
                ("data.features", &picked, &targets, "is the target"),
                ("data.drop", &dropped, &targets, "is the target"),
                ("data.categorical", &forced, &dropped, "data.drop leaves out"),
            ],
        )?;
        let weighing = data.sample_weights.as_ref().map_or(Ok(None), |name| weighing(&frame, place, name))?;
        if let Some(column) = weighing.filter(|column| targets.contains(column)) {
            return Err(Problem::WeightTwice { name: frame.name(column), what: "the target" });
        }
        let mut notes = vec![format!("{} rows, {}", frame.rows, frame.dialect)];
        let features = if data.features.is_empty() {
            let mut left_out = Vec::new();
            let rest = |column: &usize| {
                !targets.contains(column) && !dropped.contains(column) && weighing.as_ref() != Some(column)
            };
            let taken = (0..frame.width()).filter(rest).filter(|column| match reason(&frame, *column) {
                Some(reason) if !forced.contains(column) => {
                    left_out.push(format!("{} ({reason})", frame.name(*column)));
                    false
                }
                _ => true,
            });
            let taken: Vec<usize> = taken.collect();
            left_out.extend(dropped.iter().map(|column| format!("{} (data.drop)", frame.name(*column))));
            left_out.extend(weighing.map(|column| format!("{} (data.sample_weights)", frame.name(column))));
            if !left_out.is_empty() {
                notes.push(format!("left out: {}", left_out.join(", ")));
            }
            taken
        } else {
            picked
        };
        if let Some(column) = weighing.filter(|column| features.contains(column)) {
            return Err(Problem::WeightTwice { name: frame.name(column), what: "a feature (data.features)" });
        }
        if features.is_empty() {
            return Err(Problem::NoFeatures);
        }
        check_levels(&frame, &features, &forced)?;
        let columns = features.iter().map(|column| {
            // A name that stands for two columns finds neither in other tables.
            frame.find(&frame.name(*column))?;
            feature(&frame, *column, forced.contains(column), data.missing)
        });
        let columns = columns.zip(&features).map(|(column, place)| Ok((column?, *place)));
        let mut columns = columns.collect::<Result<Vec<(FeatureColumn, usize)>, Problem>>()?;
        if looks_up {
            // An embedding takes the last values.
            columns.sort_by_key(|(column, _)| column.levels.is_some());
        }
        let (features_of, features): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let targets_of = targets.iter().map(|column| TargetColumn::new(frame.name(*column))).collect();
        let mut columns = TableColumns { features: features_of, targets: targets_of };
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
            targets: Some(targets),
            class_names: Vec::new(),
            weights: None,
            notes,
            is_new: true,
        };
        raw.check_size()?;
        raw.check_target()?;
        raw.notes.push(raw.target_in_words());
        raw.weights = weighing.map(|column| raw.column_of_weights(column)).transpose()?;
        Ok(raw)
    }

    /// The weights in a column.
    fn column_of_weights(&self, column: usize) -> Result<Vec<f32>, Problem> {
        let values = &self.frame.columns[column];
        if let Some(why) = &values.unusable {
            return Err(why.problem(vec![self.frame.name(column)]));
        }
        let cell = |line: u64, cause: String| Err(self.frame.cell(line, column, cause));
        if let Some((line, text)) = &values.text {
            return cell(*line, format!("{text:?} is text, and data.sample_weights are numbers; repair the cell"));
        }
        let (missing, line) = values.missing;
        if missing > 0 {
            return cell(line, "the weight is missing; fill it in, 0 for a row that is not to count".into());
        }
        if let Some((line, value)) = values.not_finite {
            return cell(line, format!("the weight is {value}; every weight must be finite"));
        }
        let weights: Vec<f32> = values.numbers.iter().flatten().map(|weight| *weight as f32).collect();
        weights::check_weights(&weights).map(|()| weights)
    }

    /// Whether a column holds the examples' weights.
    pub(crate) fn is_weighed(&self) -> bool {
        self.weights.is_some()
    }

    /// The same with weights for its rows.
    pub(crate) fn weighed(self, weights: Vec<f32>) -> Result<RawTable, Problem> {
        weights::check_count(&weights, self.frame.rows)?;
        Ok(RawTable { weights: Some(weights), ..self })
    }

    /// A table for a model.
    fn read_known(place: &Place, data: &DataSpec, columns: &TableColumns) -> Result<RawTable, Problem> {
        let target_names: Vec<String> = columns.targets.iter().map(|target| target.name.clone()).collect();
        let names: Vec<String> = columns.features.iter().map(|column| column.name.clone()).collect();
        let is_text = |name: &str| columns.features.iter().any(|column| column.name == name && column.levels.is_some());
        let reading = |_: usize, name: &str| match name {
            _ if target_names.iter().any(|target| target == name) => Reading::Both,
            _ if is_text(name) => Reading::Texts,
            _ => Reading::Told,
        };
        let expected = [&names[..], &target_names].concat();
        let frame = Frame::read(place, data.header, &expected, reading)?;
        if frame.rows == 0 {
            return Err(Problem::Empty { shape: vec![0, frame.width()] });
        }
        let mut notes = vec![format!("{} rows, {}", frame.rows, frame.dialect)];
        let by_number = |name: &String| name.starts_with('#');
        if !frame.is_named() && !names.iter().all(by_number) {
            return Err(Problem::ColumnsMissing { missing: names, columns: frame.names() });
        }
        let find = |name: &String| match frame.find(name) {
            // A number finds a column only where columns have no names.
            Ok(Some(column)) if frame.name(column) == *name => Ok(Some(column)),
            Ok(_) => Ok(None),
            Err(problem) => Err(problem),
        };
        let found = names.iter().map(find).collect::<Result<Vec<_>, Problem>>()?;
        let missing: Vec<String> =
            names.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(name, _)| name.clone()).collect();
        if !missing.is_empty() {
            return Err(Problem::ColumnsMissing { missing, columns: frame.names() });
        }
        let features: Vec<usize> = found.into_iter().flatten().collect();
        let targets = target_names.iter().map(find).collect::<Result<Vec<_>, Problem>>()?;
        let targets: Option<Vec<usize>> = targets.into_iter().collect();
        let used =
            |column: &usize| features.contains(column) || targets.iter().flatten().any(|target| target == column);
        let others: Vec<String> =
            (0..frame.width()).filter(|column| !used(column)).map(|column| frame.name(column)).collect();
        if !others.is_empty() {
            notes.push(format!("columns that the model does not take: {}", remarks::columns(&others)));
        }
        for (column, known) in features.iter().zip(&columns.features) {
            check_column(&frame, *column, known.levels.is_some(), data.missing, false)?;
        }
        notes.extend(missing_note(&frame, &features, data.missing));
        let raw = RawTable {
            source: String::new(),
            frame,
            columns: columns.clone(),
            features,
            targets,
            class_names: Vec::new(),
            weights: None,
            notes,
            is_new: false,
        };
        raw.check_size()?;
        Ok(raw)
    }

    /// Keeps the table for the one who reads the same file next, in the same way: it is not parsed again.
    pub fn keep(self) {
        self.frame.keep();
    }

    /// What its columns are taken for.
    pub fn columns(&self) -> &TableColumns {
        &self.columns
    }

    /// The input of a model for it.
    pub fn input(&self) -> Shape {
        Shape::Features(self.columns.width())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.frame.rows
    }

    /// Whether it holds the target in every row.
    pub fn is_labelled(&self) -> bool {
        let is_whole = |column: &usize| self.frame.columns[*column].missing.0 == 0;
        self.targets.as_ref().is_some_and(|targets| targets.iter().all(is_whole))
    }

    /// What a person should know of how it was read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn check_size(&self) -> Result<(), Problem> {
        let width = self.columns.width();
        match self.frame.rows.checked_mul(width).is_some_and(|numbers| numbers <= MAX_NUMBERS) {
            true => Ok(()),
            false => Err(Problem::TableTooLarge { rows: self.frame.rows, features: width, most: MAX_NUMBERS }),
        }
    }

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
        let numbers = || self.frame.columns[column].numbers.iter().flatten().filter(|value| !value.is_nan());
        let mut found: Vec<f64> = Vec::new();
        let few = numbers().all(|value| {
            if !found.contains(value) {
                found.push(*value);
            }
            value.fract() == 0.0 && found.len() <= FEW_NUMBERS
        });
        few && found.len() * ROWS_OF_CLASS <= self.frame.rows
    }

    /// Refuses targets that cannot be learned.
    fn check_target(&self) -> Result<(), Problem> {
        let targets = self.targets.as_deref().unwrap_or_default();
        for column in targets {
            let values = &self.frame.columns[*column];
            if let Some(why) = &values.unusable {
                return Err(why.problem(vec![self.frame.name(*column)]));
            }
            let (missing, line) = values.missing;
            if missing > 0 {
                let rows = if missing == 1 { "1 row has".into() } else { format!("{missing} rows have") };
                let cause =
                    format!("the target is missing here ({rows} none); remove these rows, in pandas with dropna");
                return Err(self.frame.cell(line, *column, cause));
            }
            if let Some((line, value)) = values.not_finite {
                return Err(self.frame.cell(
                    line,
                    *column,
                    format!("the target is {value}; every value must be finite"),
                ));
            }
            let is_constant = |numbers: &Vec<f64>| numbers.iter().all(|value| *value == numbers[0]);
            if self.is_new && values.numbers.as_ref().is_some_and(is_constant) {
                return Err(Problem::OneClass { name: self.frame.name(*column) });
            }
            let dates = values.numbers.is_none()
                && !values.levels.is_empty()
                && values.levels.iter().all(|l| cells::is_date(l));
            if dates {
                return Err(Problem::Dates { columns: vec![self.frame.name(*column)] });
            }
            if targets.len() > 1
                && values.numbers.is_none()
                && !values.levels.iter().all(|level| cells::is_boolean(level))
            {
                let cause = "of several targets each must be numbers, or true and false".into();
                return Err(self.frame.cell(values.text.as_ref().map_or(1, |(line, _)| *line), *column, cause));
            }
        }
        Ok(())
    }

    /// The target, in words.
    fn target_in_words(&self) -> String {
        let targets = self.targets.as_deref().unwrap_or_default();
        let names: Vec<String> = targets.iter().map(|column| self.frame.name(*column)).collect();
        format!("target: {}", remarks::columns(&names))
    }

    /// The classes in a column, sorted, and the class of each row.
    fn classes(&self, column: usize) -> Result<(Vec<String>, Vec<u32>), Problem> {
        let values = &self.frame.columns[column];
        if let Some(numbers) = &values.numbers {
            if let Some(row) = numbers.iter().position(|value| value.fract() != 0.0) {
                return Err(Problem::NoClass { name: self.frame.name(column), row, value: numbers[row] });
            }
            let mut found: Vec<f64> = numbers.clone();
            found.sort_unstable_by(f64::total_cmp);
            found.dedup_by(|a, b| a == b);
            self.check_classes(column, found.len())?;
            let labels = numbers.iter().map(|value| found.partition_point(|class| class < value) as u32).collect();
            return Ok((found.iter().map(|class| format!("{}", class + 0.0)).collect(), labels));
        }
        let Some(codes) = &values.codes else {
            self.check_classes(column, MAX_LEVELS + 1)?;
            return Ok(Default::default());
        };
        self.check_classes(column, values.levels.len())?;
        let (names, places) = sorted(&values.levels);
        Ok((names, codes.iter().map(|code| places[*code as usize]).collect()))
    }

    fn check_classes(&self, column: usize, found: usize) -> Result<(), Problem> {
        match found {
            // What a model knows already needs no second class here.
            0 | 1 if self.class_names.is_empty() => Err(Problem::OneClass { name: self.frame.name(column) }),
            found if found > MAX_LEVELS => {
                Err(Problem::ManyClasses { name: self.frame.name(column), most: MAX_LEVELS, rows: self.frame.rows })
            }
            _ => Ok(()),
        }
    }

    /// The classes that a model tells apart, and the class of each row. Where only the first classes are kept, the others are
    /// numbered above them.
    fn known_classes(&self, column: usize, kept: Option<usize>) -> Result<(Vec<String>, Vec<u32>), Problem> {
        let (found, labels) = self.classes(column)?;
        if self.class_names.is_empty() {
            return Ok((found, labels));
        }
        let known = &self.class_names;
        let places: Vec<Option<u32>> =
            found.iter().map(|name| known.iter().position(|known| known == name).map(|place| place as u32)).collect();
        let strange = || found.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(name, _)| name.clone());
        if kept.is_none() && strange().next().is_some() {
            return Err(Problem::StrangeClasses { found: strange().collect(), known: known.clone() });
        }
        let place = |label: &u32| places[*label as usize].unwrap_or(known.len() as u32);
        Ok((known.clone(), labels.iter().map(place).collect()))
    }

    /// Why its targets are no truth for a model with these, if so: another class, a text among numbers.
    pub fn target_problem(&mut self, kind: TargetKind, classes: Option<usize>) -> Option<DataError> {
        let notes = self.notes.clone();
        let problem = self.check_target().and_then(|()| self.learned(kind, classes)).err();
        self.notes = notes;
        problem.map(|problem| problem.at(&self.source))
    }

    /// Features alone, as for a prediction, missing numbers filled in.
    pub fn features(mut self, input: Shape) -> Result<(Features, Vec<String>), DataError> {
        let mut features = self.encode(input).map_err(|problem| problem.at(&self.source))?;
        self.columns.fill(&mut features);
        Ok((features, self.notes))
    }

    /// Examples for a model with this input and these targets: all of them, or those of the first so many classes. Also what
    /// other tables are read by. Missing numbers are not yet filled in, and values not yet scaled, unless the columns were
    /// known.
    pub fn fit(
        mut self,
        input: Shape,
        kind: TargetKind,
        classes: Option<usize>,
    ) -> Result<(Examples, TrainedOn, Vec<String>), DataError> {
        let source = self.source.clone();
        let at_source = |problem: Problem| problem.at(&source);
        let features = self.encode(input).map_err(at_source)?;
        self.check_target().map_err(at_source)?;
        let (targets, mut names) = self.learned(kind, classes).map_err(at_source)?;
        let mut examples = Examples { features, targets, weights: self.weights.take() };
        if let Some(wanted) = classes {
            examples.keep_first_classes(wanted);
            names.truncate(wanted.max(2));
        }
        self.columns.fill(&mut examples.features);
        self.columns.scale_targets(&mut examples.targets);
        let trained_on = TrainedOn {
            features: self.columns.feature_names(),
            classes: None,
            class_names: names,
            table: Some(self.columns),
        };
        Ok((examples, trained_on, self.notes))
    }

    /// The targets as the model learns them, and the names of the classes.
    fn learned(&mut self, kind: TargetKind, kept: Option<usize>) -> Result<(Targets, Vec<String>), Problem> {
        let Some(targets) = self.targets.clone() else {
            let named = |target: &TargetColumn| self.frame.find(&target.name).is_ok_and(|found| found.is_some());
            let missing = self.columns.targets.iter().filter(|target| !named(target)).map(|target| target.name.clone());
            return Err(Problem::ColumnsMissing { missing: missing.collect(), columns: self.frame.names() });
        };
        let (count, outputs) = (targets.len(), kind.outputs());
        let one_hot =
            |labels: Vec<u32>| Targets::Values { values: super::load::one_hot_rows(&labels, outputs), outputs };
        match (kind, &targets[..]) {
            (TargetKind::Classes { .. }, [column]) => {
                let (names, labels) = self.known_classes(*column, kept)?;
                self.check_outputs(kept.unwrap_or(names.len()).min(names.len()), outputs, "classes")?;
                self.describe_classes(*column, &names, &labels);
                Ok((Targets::Classes { labels, classes: outputs }, names))
            }
            (TargetKind::Classes { .. }, _) => Err(Problem::SeveralTargets { count }),
            (TargetKind::Probabilities { outputs: 1 }, [column]) if !self.has_fractions(*column) => {
                let (names, labels) = self.known_classes(*column, None)?;
                self.check_outputs(names.len(), 2, "classes")?;
                self.describe_classes(*column, &names, &labels);
                let values = labels.into_iter().map(|label| label as f32).collect();
                Ok((Targets::Values { values, outputs: 1 }, names))
            }
            (_, [column]) if outputs > 1 => {
                let (names, labels) = self.known_classes(*column, None)?;
                self.check_outputs(names.len(), outputs, "classes")?;
                self.describe_classes(*column, &names, &labels);
                Ok((one_hot(labels), names))
            }
            _ => {
                self.check_outputs(count, outputs, "targets")?;
                let columns =
                    targets.iter().map(|column| self.numbers(*column)).collect::<Result<Vec<_>, Problem>>()?;
                let values = (0..self.frame.rows).flat_map(|row| columns.iter().map(move |column| column[row] as f32));
                let targets = Targets::Values { values: values.collect(), outputs };
                targets.check(kind)?;
                self.describe_values(matches!(kind, TargetKind::Probabilities { .. }));
                Ok((targets, Vec::new()))
            }
        }
    }

    fn has_fractions(&self, column: usize) -> bool {
        self.frame.columns[column].numbers.iter().flatten().any(|value| value.fract() != 0.0)
    }

    /// The numbers of a target.
    fn numbers(&self, column: usize) -> Result<Vec<f64>, Problem> {
        let values = &self.frame.columns[column];
        match (&values.numbers, &values.codes) {
            (Some(numbers), _) => Ok(numbers.clone()),
            (None, Some(codes)) if values.levels.iter().all(|level| cells::is_boolean(level)) => {
                let numbers: Vec<f64> = values.levels.iter().filter_map(|level| cells::boolean(level)).collect();
                Ok(codes.iter().map(|code| numbers[*code as usize]).collect())
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
                let ones = self.numbers(*column).unwrap_or_default().iter().filter(|value| **value == 1.0).count();
                return format!("{}, 1 (yes) in {ones} of {} rows", self.frame.name(*column), self.frame.rows);
            }
            let values = self.frame.columns[*column].numbers.iter().flatten();
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
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

    /// The features as numbers, missing ones as NaN.
    fn encode(&mut self, input: Shape) -> Result<Features, Problem> {
        /// Rows that a thread takes at once.
        const ROWS: usize = 4096;
        let (rows, width) = (self.frame.rows, self.columns.width());
        if input.len() != width {
            let expected =
                format!("(N, {}) for the model's input; leave model.input out, or change the columns", input.len());
            return Err(Problem::Shape { found: vec![rows, width], expected });
        }
        let mut at = 0;
        let mut parts = Vec::with_capacity(self.features.len());
        for (place, column) in self.features.iter().zip(&self.columns.features) {
            let values = &self.frame.columns[*place];
            let end = at + column.width();
            let indicator = column.indicator.then_some(end - 1);
            parts.push(match (&column.levels, &values.numbers, &values.codes) {
                (None, Some(numbers), _) => Part::Numbers { at, numbers, indicator },
                (Some(levels), _, Some(codes)) => {
                    let known: HashMap<&String, usize> = levels.iter().zip(0..).collect();
                    let first = column.first_level.unwrap_or(at);
                    let place = |level: &String| known.get(level).map(|place| first + place);
                    let places: Vec<Option<usize>> = values.levels.iter().map(place).collect();
                    self.notes.extend(strange_levels(&column.name, &values.levels, &places, codes));
                    match column.first_level {
                        Some(_) => Part::Numbered { at, places, codes },
                        None => Part::Levels { places, codes, indicator },
                    }
                }
                // Without a value the column may be of either kind.
                (Some(_), ..) if column.first_level.is_some() => Part::Numbered { at, places: Vec::new(), codes: &[] },
                _ => Part::Nothing { at: column.levels.is_none().then_some(at), indicator },
            });
            at = end;
        }
        let mut all = vec![0f32; rows * width];
        all.par_chunks_mut(width * ROWS).enumerate().for_each(|(block, out)| {
            for (index, row) in out.chunks_exact_mut(width).enumerate() {
                parts.iter().for_each(|part| part.write(block * ROWS + index, row));
            }
        });
        Ok(Features { storage: Storage::F32(all.into()), count: rows, shape: input })
    }
}

/// What a column adds to each row of features.
enum Part<'a> {
    Numbers {
        at: usize,
        numbers: &'a [f64],
        indicator: Option<usize>,
    },
    Levels {
        places: Vec<Option<usize>>,
        codes: &'a [u32],
        indicator: Option<usize>,
    },
    /// The number of the level, or -1 for none.
    Numbered {
        at: usize,
        places: Vec<Option<usize>>,
        codes: &'a [u32],
    },
    Nothing {
        at: Option<usize>,
        indicator: Option<usize>,
    },
}

impl Part<'_> {
    fn write(&self, index: usize, row: &mut [f32]) {
        let (missing, indicator) = match self {
            Part::Numbers { at, numbers, indicator } => {
                row[*at] = numbers[index] as f32;
                (numbers[index].is_nan(), indicator)
            }
            Part::Levels { places, codes, indicator } => {
                let code = codes[index];
                if code != NO_LEVEL
                    && let Some(place) = places[code as usize]
                {
                    row[place] = 1.0;
                }
                (code == NO_LEVEL, indicator)
            }
            Part::Numbered { at, places, codes } => {
                let level = codes.get(index).and_then(|code| places.get(*code as usize).copied().flatten());
                row[*at] = level.map_or(-1.0, |level| level as f32);
                (level.is_none(), &None)
            }
            Part::Nothing { at, indicator } => {
                at.iter().for_each(|at| row[*at] = f32::NAN);
                (true, indicator)
            }
        };
        if let (true, Some(indicator)) = (missing, indicator) {
            row[*indicator] = 1.0;
        }
    }
}

/// Levels in their order (numbers by value, else texts), and the place of each in it.
fn sorted(levels: &[String]) -> (Vec<String>, Vec<u32>) {
    let numbers: Option<Vec<f64>> =
        levels.iter().map(|level| cells::number(level, false).map(|(value, _)| value)).collect();
    let mut order: Vec<usize> = (0..levels.len()).collect();
    match numbers {
        Some(numbers) => order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]).then(levels[*a].cmp(&levels[*b]))),
        None => order.sort_by(|a, b| levels[*a].cmp(&levels[*b])),
    }
    let mut places = vec![0; levels.len()];
    order.iter().enumerate().for_each(|(place, level)| places[*level] = place as u32);
    (order.into_iter().map(|level| levels[level].clone()).collect(), places)
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
    let counts = |numbers: &Vec<f64>| numbers.len() > 3 && numbers.windows(2).all(|pair| pair[1] - pair[0] == 1.0);
    (column == 0 && is_index && values.numbers.as_ref().is_some_and(counts)).then_some("counts the rows")
}

/// Refuses columns that a table of text could not hold, all of the first kind.
fn check_usable(frame: &Frame, columns: &[usize]) -> Result<(), Problem> {
    let unusable = |column: &usize| frame.columns[*column].unusable.as_ref();
    let Some(why) = columns.iter().find_map(unusable) else { return Ok(()) };
    let alike = columns.iter().filter(|column| unusable(column) == Some(why));
    Err(why.problem(alike.map(|column| frame.name(*column)).collect()))
}

/// Refuses dates, and texts with so many levels that they tell examples apart.
fn check_levels(frame: &Frame, features: &[usize], forced: &[usize]) -> Result<(), Problem> {
    check_usable(frame, features)?;
    let texts = || {
        let is_text = |column: &&usize| frame.columns[**column].text.is_some() && !forced.contains(column);
        features.iter().filter(is_text).map(|column| (*column, &frame.columns[*column]))
    };
    let dates = |values: &Values| values.number.is_none() && values.levels.iter().all(|level| cells::is_date(level));
    let columns: Vec<String> =
        texts().filter(|(_, values)| dates(values)).map(|(column, _)| frame.name(column)).collect();
    if !columns.is_empty() {
        return Err(Problem::Dates { columns });
    }
    let is_many = |values: &Values| {
        let levels = values.levels.len();
        values.number.is_none()
            && (values.overflows || levels > MANY_LEVELS || levels > FEW_LEVELS && 2 * levels > frame.rows)
    };
    let many: Vec<(String, usize)> = texts()
        .filter(|(_, values)| is_many(values))
        .map(|(column, values)| (frame.name(column), values.levels.len()))
        .collect();
    if !many.is_empty() {
        return Err(Problem::ManyLevels { columns: many });
    }
    let endless = features.iter().find(|column| frame.columns[**column].overflows);
    endless.map_or(Ok(()), |column| Err(Problem::ManyLevels { columns: vec![(frame.name(*column), MAX_LEVELS)] }))
}

/// What a column of a training table is.
fn feature(frame: &Frame, column: usize, forced: bool, missing: Missing) -> Result<FeatureColumn, Problem> {
    let values = &frame.columns[column];
    let is_category = forced || values.text.is_some() && values.number.is_none();
    check_column(frame, column, is_category, missing, true)?;
    let levels = is_category.then(|| sorted(&values.levels).0);
    let indicator = missing == Missing::Indicator && values.missing.0 > 0;
    Ok(FeatureColumn { name: frame.name(column), levels, first_level: None, fill: None, indicator })
}

/// Refuses a column whose cells are not all of its kind, or missing where that is an error. A model that is there already
/// leaves no choice but to repair them.
fn check_column(
    frame: &Frame,
    column: usize,
    is_category: bool,
    missing: Missing,
    is_new: bool,
) -> Result<(), Problem> {
    let values = &frame.columns[column];
    check_usable(frame, &[column])?;
    if !is_category && let Some((line, text)) = &values.text {
        let beside = values
            .number
            .as_ref()
            .map_or(String::new(), |(line, number)| format!(" ({number:?} in line {line} is one)"));
        let name = frame.name(column);
        let cause = if header::has_comma(text) {
            format!("{text:?} is written with a comma; write a point, and no comma between thousands")
        } else if !is_new {
            format!("{text:?} is text, but the model was trained on numbers here; repair the cell")
        } else {
            format!(
                "{text:?} is text, but the column holds numbers{beside}; repair the cell, leave the column out with data.drop = \
                 [{name:?}], or make it a category with data.categorical = [{name:?}]"
            )
        };
        return Err(frame.cell(*line, column, cause));
    }
    if is_category && values.overflows {
        return Err(Problem::ManyLevels { columns: vec![(frame.name(column), MAX_LEVELS)] });
    }
    if !is_category && let Some((line, value)) = values.not_finite {
        let cause = format!("the value is {value}; every value must be finite: repair the cell or remove the row");
        return Err(frame.cell(line, column, cause));
    }
    let (count, line) = values.missing;
    if count > 0 && missing == Missing::Error {
        let rows = if count == 1 { "in 1 row".to_string() } else { format!("in {count} rows") };
        let remedy = if is_new {
            format!(
                "choose with data.missing: \"mean\", \"median\" or \"indicator\" (--set data.missing=mean), or leave the column \
                 out with data.drop = [{:?}]",
                frame.name(column)
            )
        } else {
            "train with data.missing = \"mean\", \"median\" or \"indicator\", which this model was not".into()
        };
        let cause =
            format!("the value is missing ({rows}; missing is {}); fill it in, or {remedy}", cells::missing_words());
        return Err(frame.cell(line, column, cause));
    }
    Ok(())
}

/// What becomes of missing values, and where there are any.
fn missing_note(frame: &Frame, features: &[usize], missing: Missing) -> Option<String> {
    let count = |column: &usize| frame.columns[*column].missing.0;
    let found = features.iter().filter(|column| count(column) > 0);
    let found: Vec<String> = found.map(|column| format!("{} {}", frame.name(*column), count(column))).collect();
    let becomes = match missing {
        Missing::Error => return None,
        Missing::Mean => "a number becomes the mean of the training examples, a category none of its levels",
        Missing::Median => "a number becomes the median of the training examples, a category none of its levels",
        Missing::Indicator => {
            "a number becomes the mean of the training examples, a category none of its levels, and a feature says so"
        }
    };
    (!found.is_empty()).then(|| format!("missing values: {}; {becomes}", remarks::columns(&found)))
}

/// A warning for levels that the training table had not.
fn strange_levels(name: &str, levels: &[String], places: &[Option<usize>], codes: &[u32]) -> Option<String> {
    let strange: Vec<String> =
        levels.iter().zip(places).filter(|(_, place)| place.is_none()).map(|(level, _)| format!("{level:?}")).collect();
    let is_strange = |code: &&u32| **code != NO_LEVEL && places[**code as usize].is_none();
    let rows = codes.iter().filter(is_strange).count();
    (rows > 0).then(|| {
        format!(
            "warning: {name} has levels that the training table had not, in {rows} rows: {}; they are taken for none of its \
             levels",
            remarks::columns(&strange)
        )
    })
}

/// The features, in words.
fn in_words(columns: &TableColumns) -> String {
    /// Levels of a category that are listed.
    const SHOWN: usize = 6;
    let numbers: Vec<String> =
        columns.features.iter().filter(|column| column.levels.is_none()).map(|column| column.name.clone()).collect();
    let category = |column: &FeatureColumn| {
        let levels = column.levels.as_ref()?;
        let more = if levels.len() > SHOWN { ", …" } else { "" };
        let listed = levels[..levels.len().min(SHOWN)].join(", ");
        Some(format!("{} ({} levels: {listed}{more})", column.name, levels.len()))
    };
    let categories: Vec<String> = columns.features.iter().filter_map(category).collect();
    let plural =
        |count: usize, one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
    let mut parts = Vec::new();
    if !numbers.is_empty() {
        parts.push(format!("{}: {}", plural(numbers.len(), "number", "numbers"), remarks::columns(&numbers)));
    }
    if !categories.is_empty() {
        parts.push(format!(
            "{}: {}",
            plural(categories.len(), "category", "categories"),
            remarks::columns(&categories)
        ));
    }
    parts.join("; ")
}
