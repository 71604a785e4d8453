//! Loads examples from files and checks that they fit the model.

use super::array::{Array, Dtype, transpose};
use super::classes::first_classes;
use super::csv::{Columns, Table};
use super::error::{DataError, Problem};
use super::examples::hot_column;
use super::named::Told;
use super::source::{read_labels, read_told};
use super::targets::TargetKind;
use super::weights::check_count as check_weight_count;
use super::{Examples, Features, Numbers, Storage, Targets, remarks};
use crate::model::Shape;
use crate::place::{Format, Place, same_file};
use crate::recipe::Loss;

/// The files of one split, each `path` or `path#key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRef<'a> {
    /// What the model is shown.
    pub images: &'a str,
    /// What it should answer.
    pub labels: &'a str,
}

/// How tables are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableOptions<'a> {
    /// Whether the first line names the columns; without it that is told from the line.
    pub header: Option<bool>,
    /// The features that a model takes, in its order: of a table that names its columns these are taken, in whatever order
    /// they stand there. None stand for every column but the labels'.
    pub features: &'a [String],
    /// Where the examples' weights lie: a column of them is no feature of a table whose columns are not picked.
    pub weights: Option<&'a str>,
}

impl TableOptions<'_> {
    /// Takes the column of weights out of all columns of a table.
    fn without_weights(&self, table: &Table, place: &Place, columns: &mut Columns) -> Result<(), Problem> {
        let Some(weights) = self.weights.map(Place::parse) else { return Ok(()) };
        if place.key.is_none() && weights.key.is_some() && weights.is_table() && same_file(&place.path, &weights.path) {
            let weights = table.keyed(weights.key.as_deref())?;
            columns.indices.retain(|column| !weights.indices.contains(column));
        }
        Ok(())
    }
}

/// Loads one split for a model with this input and these targets.
pub fn load_examples(source: SourceRef<'_>, input: Shape, targets: TargetKind) -> Result<Examples, DataError> {
    RawExamples::read(source, TableOptions::default())?.fit(input, targets, None)
}

/// Loads features alone, as for a prediction.
pub fn load_features(path: &str, input: Shape) -> Result<Features, DataError> {
    RawFeatures::read(path, TableOptions::default())?.fit(input)
}

/// What a person should know of how a file is read: what the first line of a table is taken for, how arrays lie that MATLAB wrote, and
/// what CIFAR's files are.
pub fn reading_notes(source: &str) -> Result<Vec<String>, DataError> {
    let place = Place::parse(source);
    if !place.is_table() {
        return super::source::notes(&place).map_err(|problem| problem.at(source));
    }
    let table = Table::open(&place, None).map_err(|problem| problem.at(source))?;
    let names = table.names().map(|names| format!("columns: {}", remarks::columns(names)));
    Ok(names.into_iter().chain(table.doubt().map(|doubt| format!("{source}: {doubt}"))).collect())
}

/// Features as their file holds them, before a model is known.
#[derive(Debug)]
pub struct RawFeatures<'a> {
    source: &'a str,
    array: Array,
    /// What the columns of a table are called: by their names or, without any, by their keys.
    columns: Vec<String>,
    named: bool,
    notes: Vec<String>,
}

impl<'a> RawFeatures<'a> {
    /// Reads the file.
    pub fn read(source: &'a str, options: TableOptions<'_>) -> Result<RawFeatures<'a>, DataError> {
        let place = Place::parse(source);
        let at_source = |problem: Problem| problem.at(source);
        if place.is_table() {
            let table = Table::open(&place, options.header).map_err(at_source)?;
            let mut columns = table.keyed(place.key.as_deref()).map_err(at_source)?;
            options.without_weights(&table, &place, &mut columns).map_err(at_source)?;
            return RawFeatures::from_table(source, &table, columns, options).map_err(at_source);
        }
        let Told { array, notes, .. } = read_told(source)?;
        refuse_channels_first(array.shape()).map_err(at_source)?;
        let order = (!options.features.is_empty()).then(|| in_order(source, options.features));
        let notes = notes.into_iter().chain(order).collect();
        Ok(RawFeatures { source, array, columns: Vec::new(), named: false, notes })
    }

    /// Those in some columns of a table.
    fn from_table(
        source: &'a str,
        table: &Table,
        columns: Columns,
        options: TableOptions<'_>,
    ) -> Result<RawFeatures<'a>, Problem> {
        let mut notes: Vec<String> = table.doubt().map(|doubt| format!("{source}: {doubt}")).into_iter().collect();
        let named = table.names().is_some();
        let indices = match options.features {
            [] => columns.indices,
            features if named => table.by_names(features, &columns)?,
            features if features.len() != columns.indices.len() => {
                let (order, count) = (remarks::columns(features), features.len());
                let expected = format!(
                    "the {count} columns that the model was trained on ({order}), in this order, or names of columns; pick \
                     columns as FILE#0..{count} or FILE#0,2,…"
                );
                return Err(Problem::Shape { found: table.shape(&columns), expected });
            }
            features => {
                notes.push(in_order(source, features));
                columns.indices
            }
        };
        let columns = Columns { indices, single: false };
        let array = table.finite_array(&columns)?;
        let columns = columns.indices.iter().map(|&column| table.name(column)).collect();
        Ok(RawFeatures { source, array, columns, named, notes })
    }

    /// The names of the features, in their order; none where the file has no names.
    pub fn names(&self) -> &[String] {
        if self.named { &self.columns } else { &[] }
    }

    /// What a person should know of how the file was read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The input of a model for them; an error where the array has too few dimensions or too many.
    pub fn input(&self) -> Result<Shape, DataError> {
        let expected = match *self.array.shape() {
            [_, features] => return Ok(Shape::Features(features)),
            [_, height, width] => return Ok(Shape::Image { channels: 1, height, width }),
            [_, height, width, channels] => return Ok(Shape::Image { channels, height, width }),
            [] => "an example in each row: this is a single number",
            [_] => "(N, 1) where each example is a single number; in NumPy x.reshape(-1, 1), or set model.input = [1]",
            _ => "(N, features), (N, height, width) or (N, height, width, channels)",
        };
        let found = self.array.shape().to_vec();
        Err(Problem::Shape { found, expected: expected.to_owned() }.at(self.source))
    }

    /// The features for a model with this input.
    pub fn fit(self, input: Shape) -> Result<Features, DataError> {
        features(self.array, input).map_err(|problem| problem.for_matlab(self.source).at(self.source))
    }
}

/// One split as its files hold it, before a model is known.
#[derive(Debug)]
pub struct RawExamples<'a> {
    source: SourceRef<'a>,
    features: RawFeatures<'a>,
    labels: Array,
    /// What the classes are called; none where the files do not tell.
    classes: Vec<String>,
    /// The examples' weights, and where they come from.
    weights: Option<(String, Vec<f32>)>,
}

impl<'a> RawExamples<'a> {
    /// Reads the files. Of one table for both, the features are the columns that are not the labels'.
    pub fn read(source: SourceRef<'a>, options: TableOptions<'_>) -> Result<RawExamples<'a>, DataError> {
        let (images, labels) = (Place::parse(source.images), Place::parse(source.labels));
        if !labels.is_table() {
            let mut features = RawFeatures::read(source.images, options)?;
            let Told { array: labels, classes, notes } = read_labels(source.labels)?;
            features.notes.extend(notes);
            features.describe(&[source.labels.to_owned()]);
            return Ok(RawExamples { source, features, labels, classes, weights: None });
        }
        let at_labels = |problem: Problem| problem.at(source.labels);
        let table = Table::open(&labels, options.header).map_err(at_labels)?;
        let mut targets = table.keyed(labels.key.as_deref()).map_err(at_labels)?;
        options.without_weights(&table, &labels, &mut targets).map_err(at_labels)?;
        let names: Vec<String> = targets.indices.iter().map(|&column| table.name(column)).collect();
        let mut features = if images.is_table() && same_file(&images.path, &labels.path) {
            let columns = table.keyed(images.key.as_deref()).and_then(|mut columns| {
                // The whole table is what it is to give back where both are the whole table.
                let apart = images.key.is_none() && labels.key.is_some();
                columns.indices.retain(|column| !apart || !targets.indices.contains(column));
                options.without_weights(&table, &images, &mut columns).map(|()| columns)
            });
            let features = columns.and_then(|columns| RawFeatures::from_table(source.images, &table, columns, options));
            let mut features = features.map_err(|problem| problem.at(source.images))?;
            features.notes.extend(remarks::targets_beside(&features.columns, &names));
            features
        } else {
            let mut features = RawFeatures::read(source.images, options)?;
            features.notes.extend(table.doubt().map(|doubt| format!("{}: {doubt}", source.labels)));
            features
        };
        features.describe(&names);
        let labels = table.finite_array(&targets).map_err(at_labels)?;
        Ok(RawExamples { source, features, labels, classes: Vec::new(), weights: None })
    }

    /// The same with weights, one for each example of the files.
    pub(crate) fn weighed(self, weights: Vec<f32>, source: &str) -> RawExamples<'a> {
        RawExamples { weights: Some((source.into(), weights)), ..self }
    }

    /// The input of a model for them; an error where the array has too few dimensions or too many.
    pub fn input(&self) -> Result<Shape, DataError> {
        self.features.input()
    }

    /// The names of the features, in their order; none where the file has no names.
    pub fn names(&self) -> &[String] {
        self.features.names()
    }

    /// Number of examples.
    pub fn count(&self) -> usize {
        self.features.array.shape().first().copied().unwrap_or(0)
    }

    /// What a model has to give for them: classes where the labels look like such, else values; a loss of values takes them as such.
    pub fn target_kind(&self, loss: Option<Loss>) -> TargetKind {
        let labels = &self.labels;
        let width = labels.shape().iter().skip(1).product::<usize>().max(1);
        let last = super::inspect::classes(labels).and_then(|classes| {
            let (first, last) = (classes.first()?.0, classes.last()?.0);
            usize::try_from(last).ok().filter(|_| first >= 0)
        });
        let outputs = last.map(|last| (last + 1).max(self.classes.len()).max(if width > 1 { width } else { 2 }));
        match (loss, outputs) {
            (None | Some(Loss::SoftmaxCrossEntropy), Some(outputs)) => TargetKind::Classes { outputs },
            (Some(Loss::BinaryCrossEntropy), _) => TargetKind::Probabilities { outputs: width },
            (Some(Loss::SoftmaxCrossEntropy), None) => TargetKind::Classes { outputs: width.max(2) },
            (_, _) => TargetKind::Values { outputs: width },
        }
    }

    /// Whether the features are bytes, as pixels are.
    pub fn are_bytes(&self) -> bool {
        self.features.array.dtype() == Dtype::U8
    }

    /// What the classes of so many outputs are called; none where the files do not tell, or where the outputs are others.
    pub fn class_names(&self, outputs: usize) -> Vec<String> {
        self.classes.get(..outputs).unwrap_or_default().to_vec()
    }

    /// What a person should know of how the files were read.
    pub fn notes(&self) -> &[String] {
        self.features.notes()
    }

    /// Examples for a model with this input and these targets: all of them, or those of the first so many classes, in
    /// the files' order.
    pub fn fit(self, input: Shape, targets: TargetKind, classes: Option<usize>) -> Result<Examples, DataError> {
        let RawExamples { source, features, labels, weights, .. } = self;
        let features = features.fit(input)?;
        let at_labels = |problem: Problem| problem.for_matlab(source.labels).at(source.labels);
        check_count(&labels, &features, source).map_err(at_labels)?;
        let counted = |(source, weights): (String, Vec<f32>)| {
            check_weight_count(&weights, features.count).map(|()| weights).map_err(|problem| problem.at(source))
        };
        let weights = weights.map(counted).transpose()?;
        let (features, labels, weights, rows) = match classes {
            None => (features, labels, weights, None),
            Some(wanted) => {
                let (kept, labels) = first_classes(&labels, wanted).map_err(at_labels)?;
                let of_kept = |weights: Vec<f32>| kept.iter().map(|index| weights[*index]).collect();
                (features.select(&kept), labels, weights.map(of_kept), Some(kept))
            }
        };
        Ok(Examples { features, targets: self::targets(&labels, targets).map_err(at_labels)?, weights, rows })
    }
}

impl RawFeatures<'_> {
    /// Notes what the columns of a table were taken for; `targets` are the columns of the labels.
    fn describe(&mut self, targets: &[String]) {
        if !self.columns.is_empty() {
            let [features, targets] = [&self.columns, targets].map(remarks::columns);
            self.notes.insert(0, format!("features: {features}; target: {targets}"));
        }
    }
}

/// The outputs that a network needs for the labels of a source: one for each class, if they are classes, else one for each
/// value.
pub fn outputs(source: SourceRef<'_>, header: Option<bool>, classes: bool) -> Result<usize, DataError> {
    let place = Place::parse(source.labels);
    let at_labels = |problem: Problem| problem.at(source.labels);
    let array = if place.is_table() {
        let table = Table::open(&place, header).map_err(at_labels)?;
        table.keyed(place.key.as_deref()).and_then(|columns| table.array(&columns)).map_err(at_labels)?
    } else {
        read_labels(source.labels)?.array
    };
    match *array.shape() {
        [_] | [_, 1] if classes => {
            let labels = array.integers().collect::<Result<Vec<i128>, Problem>>().map_err(at_labels)?;
            let most = labels.into_iter().max().and_then(|most| usize::try_from(most).ok());
            // A class alone is none; what is wrong with such labels is told when they are loaded.
            Ok(most.map_or(2, |most| most.saturating_add(1).max(2)))
        }
        // In a row: told when they are loaded.
        [1, count] if count > 1 => Ok(2),
        [_, ref rest @ ..] => Ok(rest.iter().product::<usize>().max(1)),
        [] => Ok(1),
    }
}

/// Refuses labels that are not as many as the examples.
fn check_count(labels: &Array, features: &Features, source: SourceRef<'_>) -> Result<(), Problem> {
    let (found, examples) = (labels.shape().to_vec(), features.count);
    let remedy = |expected: &str| Err(Problem::Shape { found: found.clone(), expected: expected.to_owned() });
    match *labels.shape() {
        [] => remedy("(N,), a label for each example: this is a single number"),
        [1, count] if count == examples && examples > 1 => {
            remedy("(N,) or (N, 1): the labels lie in a row; transpose them, in NumPy with y.T")
        }
        [count, ..] if count != examples && !labels.is_empty() => {
            let cause = why_counts_differ(labels, features, source).into();
            Err(Problem::CountsDiffer { labels: count, images: source.images.to_owned(), count: examples, cause })
        }
        _ => Ok(()),
    }
}

/// What may be the matter where labels are not as many as the examples, in parentheses.
fn why_counts_differ(labels: &Array, features: &Features, source: SourceRef<'_>) -> String {
    let is_table = |source: &str| matches!(Format::from_path(&Place::parse(source).path), Some((Format::Csv, _)));
    let (count, examples) = (labels.shape()[0], features.count);
    let first = |source: &str, value: String, taken: &str| {
        format!(
            " (the first line of {source}, {value}, was taken for {taken}; if it names the columns, say so with data.header \
             = true)"
        )
    };
    match *labels.shape() {
        [_, columns] if columns == examples => {
            " (the labels lie in rows: transpose them, in NumPy with y.T)".to_owned()
        }
        _ if features.shape == Shape::Features(count) => {
            " (the examples lie in columns: transpose them, in NumPy with x.T)".to_owned()
        }
        _ if count == examples + 1 && is_table(source.labels) => {
            let value = labels.first().map_or(String::new(), |value| value.to_string());
            first(source.labels, value, "a label")
        }
        _ if count + 1 == examples && is_table(source.images) => {
            first(source.images, format!("{}, …", features.storage.get(0)), "an example")
        }
        _ => String::new(),
    }
}

/// What is said where columns without names are taken for those of a model.
fn in_order(source: &str, features: &[String]) -> String {
    let order = remarks::columns(features);
    format!("{source} names no columns: they are taken in the order of training ({order})")
}

/// Refuses images with their channels first: files have them last.
fn refuse_channels_first(shape: &[usize]) -> Result<(), Problem> {
    let &[_, channels, height, width] = shape else { return Ok(()) };
    // Colours come in threes; one row of pixels with many channels may be a signal.
    let first = channels == 3 || [1, 2, 4].contains(&channels) && height == width;
    if !first || height <= 4 || width <= 4 {
        return Ok(());
    }
    let flat = channels * height * width;
    Err(Problem::Shape {
        found: shape.to_vec(),
        expected: format!(
            "(N, {height}, {width}, {channels}); {CHANNELS_FIRST}. If these are images of {channels} x {height} pixels with \
             {width} channels, write them flat, (N, {flat}), and set model.input = [{channels}, {height}, {width}]"
        ),
    })
}

/// What to do about images that a file holds channels first.
const CHANNELS_FIRST: &str = "the file has its channels first: write them last, in NumPy with x.transpose(0, 2, 3, 1)";

fn targets(labels: &Array, kind: TargetKind) -> Result<Targets, Problem> {
    match kind {
        TargetKind::Classes { outputs } => classes(labels, outputs),
        TargetKind::Values { outputs } | TargetKind::Probabilities { outputs } => values(labels, outputs, kind),
    }
}

/// The features in an array, if they are of the shape that the model takes.
fn features(array: Array, input: Shape) -> Result<Features, Problem> {
    let shape = array.shape().to_vec();
    if array.is_empty() {
        return Err(Problem::Empty { shape });
    }
    if !accepts(input, &shape) {
        return Err(Problem::Shape { expected: expected(input, &shape), found: shape });
    }
    let storage = channels_first(array.into_storage(), input);
    if let Storage::F32(values) = &storage
        && let Some(index) = values.iter().position(|value| !value.is_finite())
    {
        return Err(Problem::NotFinite { row: index / input.len(), value: f64::from(values[index]) });
    }
    Ok(Features { storage, count: shape[0], shape: input })
}

/// True when an array of this shape holds examples for that input.
fn accepts(input: Shape, shape: &[usize]) -> bool {
    let Some((_, example)) = shape.split_first() else { return false };
    let flat = example.len() <= 3 && example.iter().product::<usize>() == input.len();
    match (input, example) {
        (Shape::Features(_), _) => flat,
        (Shape::Image { .. }, [_]) => flat,
        (Shape::Image { channels, height, width }, [rows, columns]) => {
            channels == 1 && (height, width) == (*rows, *columns)
        }
        (Shape::Image { channels, height, width }, [rows, columns, depth]) => {
            (channels, height, width) == (*depth, *rows, *columns)
        }
        _ => false,
    }
}

/// What would have been accepted, and what to do when it is clear what happened.
fn expected(input: Shape, found: &[usize]) -> String {
    match input {
        Shape::Features(n) => {
            format!(
                "(N, {n}) or images with {n} values each, for the model's input [{n}]; change the input or the file"
            )
        }
        Shape::Image { channels, height, width } => {
            let grey = if channels == 1 { format!("(N, {height}, {width}), ") } else { String::new() };
            let input = format!("[{height}, {width}, {channels}]");
            let shapes = format!("{grey}(N, {height}, {width}, {channels}) or (N, {})", channels * height * width);
            let remedy = match found {
                [_, depth, rows, columns] if (*depth, *rows, *columns) == (channels, height, width) => {
                    CHANNELS_FIRST.to_owned()
                }
                [_, rows, columns, depth] if (*depth, *rows, *columns) == (height, width, channels) => {
                    format!("input is height, width, channels: set model.input = [{rows}, {columns}, {depth}]")
                }
                _ => "change the input or the file".to_owned(),
            };
            format!("{shapes}, for the model's input {input}; {remedy}")
        }
    }
}

/// Files have the channels of a pixel side by side, memory has channel after channel.
pub(super) fn channels_first(storage: Storage, input: Shape) -> Storage {
    let Shape::Image { channels, height, width } = input else { return storage };
    match storage {
        _ if channels == 1 => storage,
        Storage::U8(values) => Storage::U8(transposed(&values, height * width, channels)),
        Storage::F32(values) => Storage::F32(transposed(&values, height * width, channels)),
    }
}

/// The same of numbers that may be mapped.
fn transposed<T: bytemuck::Pod>(values: &Numbers<T>, rows: usize, columns: usize) -> Numbers<T> {
    Numbers::made(values.is_mapped(), values.len(), |write| {
        values.chunks_exact(rows * columns).try_for_each(|matrix| write(&transpose(matrix, rows, columns)))
    })
}

/// Class labels: integers, or rows with a single 1.
fn classes(array: &Array, outputs: usize) -> Result<Targets, Problem> {
    let shape = array.shape();
    if array.is_empty() {
        return Err(Problem::Empty { shape: shape.to_vec() });
    }
    let labels = match *shape {
        [_] | [_, 1] => integer_labels(array, outputs)?,
        [_, columns] if columns == outputs => one_hot_labels(array, columns)?,
        _ => {
            let expected = format!("(N,), (N, 1) or one-hot (N, {outputs}), for the model's {outputs} outputs");
            return Err(Problem::Shape { found: shape.to_vec(), expected });
        }
    };
    Ok(Targets::Classes { labels, classes: outputs })
}

fn integer_labels(array: &Array, outputs: usize) -> Result<Vec<u32>, Problem> {
    let checked = array.integers().enumerate().map(|(index, value)| {
        let value = value?;
        let label = u32::try_from(value).ok().filter(|&label| (label as usize) < outputs);
        label.ok_or(Problem::Label { index, value, outputs })
    });
    checked.collect()
}

fn one_hot_labels(array: &Array, columns: usize) -> Result<Vec<u32>, Problem> {
    let rows = array.to_f32();
    let hot = rows
        .chunks_exact(columns)
        .enumerate()
        .map(|(row, values)| hot_column(values).map(|column| column as u32).ok_or(Problem::NotOneHot { row }));
    hot.collect()
}

/// Target values; integer labels become one-hot rows when the model has several outputs.
fn values(array: &Array, outputs: usize, kind: TargetKind) -> Result<Targets, Problem> {
    let shape = array.shape();
    if array.is_empty() {
        return Err(Problem::Empty { shape: shape.to_vec() });
    }
    let width: usize = shape[1..].iter().product();
    let values = match shape {
        [_] | [_, 1] if outputs > 1 => one_hot_rows(&integer_labels(array, outputs)?, outputs),
        [_, ..] if width == outputs && shape.len() <= 3 => array.to_f32(),
        _ => {
            let expected = format!("(N, {outputs}) or integer labels (N,), for the model's {outputs} outputs");
            return Err(Problem::Shape { found: shape.to_vec(), expected });
        }
    };
    let targets = Targets::Values { values, outputs };
    targets.check(kind)?;
    Ok(targets)
}

pub(super) fn one_hot_rows(labels: &[u32], outputs: usize) -> Vec<f32> {
    let mut rows = vec![0.0; labels.len() * outputs];
    for (row, &label) in rows.chunks_exact_mut(outputs).zip(labels) {
        row[label as usize] = 1.0;
    }
    rows
}

impl Examples {
    /// Makes examples that are in memory fit a model, as loading a file does: the same values under the model's input
    /// shape, classes as one-hot rows where the loss takes values.
    pub fn fit(&mut self, input: Shape, targets: TargetKind) -> Result<(), Problem> {
        let found = self.features.shape;
        let single_channel = !matches!(found, Shape::Image { channels, .. } if channels > 1);
        if found != input && (found.len() != input.len() || !single_channel) {
            let shape = vec![self.features.count, found.len()];
            return Err(Problem::Shape { expected: expected(input, &shape), found: shape });
        }
        if matches!(found, Shape::Features(_)) {
            // Flat images lie as those of files do.
            let storage = std::mem::replace(&mut self.features.storage, Storage::U8(Vec::new().into()));
            self.features.storage = channels_first(storage, input);
        }
        self.features.shape = input;
        let outputs = targets.outputs();
        let Targets::Classes { labels, .. } = &self.targets else { return self.targets.check_shape(targets) };
        if let Some(index) = labels.iter().position(|&label| label as usize >= outputs) {
            return Err(Problem::Label { index, value: i128::from(labels[index]), outputs });
        }
        self.targets = match targets {
            TargetKind::Classes { outputs } => Targets::Classes { labels: labels.clone(), classes: outputs },
            TargetKind::Values { outputs } | TargetKind::Probabilities { outputs } => {
                Targets::Values { values: one_hot_rows(labels, outputs), outputs }
            }
        };
        Ok(())
    }
}
