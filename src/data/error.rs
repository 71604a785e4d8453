//! What can be wrong with data, said so that the user can put it right.

use std::fmt;
use std::io;

use crate::keys::{did_you_mean, nearest};
use crate::model::Shape;

/// Something is wrong with the data at `place`.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct DataError {
    /// The file, with `#key` when an array inside it is meant.
    pub place: String,
    /// What is wrong, and the remedy.
    pub problem: Problem,
}

/// What is wrong with some data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is no such file.
    #[error("there is no such file; check the path (a relative one starts at the current folder)")]
    NotFound,
    /// No such file comes with the program.
    #[error("no such file comes with gputrain; it has {}", list(names))]
    NotBundled {
        /// Those that do.
        names: Vec<String>,
    },
    /// The operating system refused.
    #[error("{0}")]
    Io(io::Error),
    /// The name's ending says nothing.
    #[error(
        "the name does not tell the format; expected .npy, .npz, .csv, .parquet, .arrow / .feather, .h5 / .hdf5, .mat or IDX (-idx3-ubyte or .idx), .npy, .csv and IDX also followed by .gz; of CIFAR the folder of its files, or their .tar.gz"
    )]
    UnknownFormat,
    /// A MAT-file of version 4.
    #[error("a MAT-file of version 4; save it with save(…, '-v7'), or in Python with numpy.savez")]
    OldMatlab,
    /// A variable of MATLAB's that is no array of numbers.
    #[error("holds {kind}; expected numbers or logicals: {remedy}")]
    MatlabType {
        /// What it holds.
        kind: &'static str,
        /// What to save in its place.
        remedy: &'static str,
    },
    /// A pickle calls for something that makes no array.
    #[error(
        "a pickle that asks for the Python object {name}, which is not called here; expected lists, texts, numbers and NumPy's arrays: \
         save the arrays in Python with numpy.savez"
    )]
    PickledObject {
        /// Its module and name.
        name: String,
    },
    /// Something is wrong with a file among several.
    #[error("{name}: {problem}")]
    InFile {
        /// The file.
        name: String,
        /// What is wrong.
        problem: Box<Problem>,
    },
    /// The shape of an array that MATLAB wrote is wrong.
    #[error(
        "{0}. MATLAB's axes are reversed in its files: save the transpose, in MATLAB x' or permute(x, ndims(x):-1:1)"
    )]
    Reversed(Box<Problem>),
    /// The library was built without what reads the format.
    #[error(
        "is in {format}, which this build of gputrain leaves out; build it with the feature `{feature}` (cargo install --path . \
         --features {feature}, in gputrain's folder), or {convert}"
    )]
    LeftOut {
        /// The format.
        format: &'static str,
        /// The feature of the package that reads it.
        feature: &'static str,
        /// How to do without.
        convert: &'static str,
    },
    /// Bytes are packed in a way that is not unpacked.
    #[error(
        "is packed by {packing}, which is not read of {format}; write it with snappy, gzip, zstd or none (in pandas with \
         to_parquet(…, compression=\"snappy\") or to_feather(…, compression=\"uncompressed\"))"
    )]
    Packing {
        /// The format of the file.
        format: &'static str,
        /// How it is packed.
        packing: String,
    },
    /// The bytes break the rules of the format.
    #[error("not a valid {format} file: {detail}; write it, or download it, again")]
    Malformed {
        /// The format that was expected.
        format: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A line of a table cannot be used.
    #[error("line {line}: {cause}")]
    Table {
        /// The line, counting from 1.
        line: u64,
        /// Why, and the remedy.
        cause: String,
    },
    /// A cell of a table cannot be used.
    #[error("line {line}, column {column} ({name}): {cause}")]
    Cell {
        /// The line, counting from 1.
        line: u64,
        /// The column, counting from 1.
        column: usize,
        /// The column's name in quotation marks or, without names, the key that picks it.
        name: String,
        /// Why, and the remedy.
        cause: String,
    },
    /// A cell of a file of columns cannot be used.
    #[error("column {name:?}, row {row} (from 0): {cause}")]
    ColumnCell {
        /// The row, counting from 0.
        row: u64,
        /// The column's name.
        name: String,
        /// Why, and the remedy.
        cause: String,
    },
    /// Columns of values that are no single numbers or texts.
    #[error(
        "the column {} holds {kind}, each of which is no single number or text; leave it out (--set 'data.drop=[{}]'), or make \
         columns of numbers of it first",
        quoted(columns),
        quoted(columns)
    )]
    ColumnType {
        /// The columns.
        columns: Vec<String>,
        /// What they hold.
        kind: String,
    },
    /// Columns of pictures in a table of numbers and texts.
    #[error(
        "the column {} holds pictures; to train on them give the file as train = {{ pictures = \"FILE\", label = \"COLUMN\" }} (or by \
         --train FILE --target COLUMN), to train on the other columns leave it out (--set 'data.drop=[{}]')",
        quoted(columns),
        quoted(columns)
    )]
    PictureColumns {
        /// The columns.
        columns: Vec<String>,
    },
    /// A table of pictures without any, or whose labels are not told.
    #[error("{cause}")]
    PictureTable {
        /// What is wrong, and the remedy.
        cause: String,
    },
    /// The table has no such column.
    #[error(
        "has no column {key:?}; it has {} (a column is picked by its name or its number from 0, several by a range such as 1..5 or a list such as a,b){}",
        list(columns),
        first_line(*header)
    )]
    ColumnMissing {
        /// The key asked for.
        key: String,
        /// The columns there are.
        columns: Vec<String>,
        /// What `data.header` may have to be; none where it tells nothing.
        header: Option<bool>,
    },
    /// A name stands for two columns.
    #[error(
        "columns {} and {} are both called {name:?}; rename one, or pick one by its number from 0{}",
        columns[0],
        columns[1],
        first_line(*header)
    )]
    ColumnTwice {
        /// The name.
        name: String,
        /// The columns, counting from 1.
        columns: [usize; 2],
        /// What `data.header` may have to be; none where it tells nothing.
        header: Option<bool>,
    },
    /// The table lacks columns that the model was trained on.
    #[error(
        "has no column {}, which the model was trained on; it has {}; name the columns as in training, or leave their names \
         out to have them taken in the order of training",
        quoted(missing),
        list(columns)
    )]
    FeaturesMissing {
        /// The names that are missing.
        missing: Vec<String>,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// The file ends early.
    #[error(
        "cut short: the header announces {expected} bytes of values, the file holds {found}; copy or download it again"
    )]
    Truncated {
        /// Bytes announced.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// The file holds more than its values.
    #[error("holds more than the {expected} bytes of values that its header announces; write it again")]
    Trailing {
        /// Bytes announced.
        expected: u64,
    },
    /// The header announces more than the file can hold.
    #[error(
        "the header announces an array of shape {}, more than a file of this size can hold; it is damaged: write it again",
        tuple(shape)
    )]
    TooLarge {
        /// The announced shape.
        shape: Vec<usize>,
    },
    /// The values are of a type that is no number, or an unusual one.
    #[error(
        "holds values of type {type_name}; expected integers, 16- to 64-bit floats or booleans: convert them, in NumPy with astype"
    )]
    UnsupportedType {
        /// The type's name in its format.
        type_name: String,
    },
    /// The file has no array of that name.
    #[error("has no array {key:?}; it has {}", list(keys))]
    KeyMissing {
        /// The key asked for.
        key: String,
        /// The keys there are.
        keys: Vec<String>,
    },
    /// The file has several arrays and the path names none.
    #[error("has {} arrays; name one as PATH#KEY, with KEY one of {}", keys.len(), list(keys))]
    KeyNeeded {
        /// The keys there are.
        keys: Vec<String>,
    },
    /// The names of a file's arrays do not tell which are the examples.
    #[error(
        "which arrays are the examples and which their labels? Names such as x_train and y_train, or X and y, tell; here name them: \
         --train-images PATH#KEY --train-labels PATH#KEY, with KEY one of {}",
        list(keys)
    )]
    NoPair {
        /// The keys there are.
        keys: Vec<String>,
    },
    /// A file for testing of another kind than the training file.
    #[error("is no file of named arrays, which the training file is; give one (.npz, .h5, .mat, or CIFAR's files)")]
    NotArrays,
    /// The format knows no keys.
    #[error("a {format} file holds one array without a name; leave out #{key}")]
    KeyUseless {
        /// The format.
        format: &'static str,
        /// The key given.
        key: String,
    },
    /// The shape is not one that was expected.
    #[error("has shape {}, expected {expected}", tuple(found))]
    Shape {
        /// The array's shape.
        found: Vec<usize>,
        /// What would do, and the remedy.
        expected: String,
    },
    /// There is nothing in it.
    #[error(
        "holds no examples (shape {}); expected at least one, with values: name another array or file, or write this one again",
        tuple(shape)
    )]
    Empty {
        /// The array's shape.
        shape: Vec<usize>,
    },
    /// Examples and labels differ in number.
    #[error("holds {labels} labels but {images} holds {count} examples; give the two files of one split{cause}")]
    CountsDiffer {
        /// Number of labels.
        labels: usize,
        /// The file of the examples.
        images: String,
        /// Number of examples.
        count: usize,
        /// What may be the matter, in parentheses; empty where nothing tells.
        cause: Box<str>,
    },
    /// A label is negative or too large.
    #[error(
        "label {value} at index {index} is not one of the model's {outputs} classes, 0 to {}; give the last layer more units, \
         number the classes from 0, or train with data.classes = {outputs}, which leaves the examples of other classes out, \
         here and in eval",
        outputs - 1
    )]
    Label {
        /// Where it is, counting from 0.
        index: usize,
        /// The label.
        value: i128,
        /// Outputs of the model.
        outputs: usize,
    },
    /// A label is not an integer.
    #[error(
        "label {value} at index {index} is not an integer; class labels are integers from 0 (float targets need the loss mse, half_mse or binary_cross_entropy)"
    )]
    NotInteger {
        /// Where it is, counting from 0.
        index: usize,
        /// The label.
        value: f64,
    },
    /// No example is of a class that is to be kept.
    #[error("none of the {count} examples is of the first {classes} classes; set data.classes higher, or leave it out")]
    NoneOfClasses {
        /// Number of examples.
        count: usize,
        /// Number of classes that are kept.
        classes: usize,
    },
    /// A row of one-hot labels is not one 1 among zeros.
    #[error(
        "row {row} is not one-hot: expected a single 1 among zeros (float targets need the loss mse, half_mse or binary_cross_entropy)"
    )]
    NotOneHot {
        /// The row, counting from 0.
        row: usize,
    },
    /// A value is NaN or infinite.
    #[error("row {row} holds {value}; every value must be finite: remove or repair the row")]
    NotFinite {
        /// The row (the example), counting from 0.
        row: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// A target that is no probability.
    #[error(
        "row {row} has the target {value}, but binary_cross_entropy takes targets from 0 (no) to 1 (yes); {remedy}"
    )]
    NotProbability {
        /// The row (the example), counting from 0.
        row: usize,
        /// The target.
        value: f32,
        /// What to do with targets like these.
        remedy: String,
    },
    /// No table by its name.
    #[error(
        "is no table by its name; expected .csv, .tsv or .txt, also followed by .gz, or .parquet, .arrow or .feather. Other tables are \
         converted, in pandas with to_csv; arrays are given as images and labels (--train-images, --train-labels)"
    )]
    NoTable,
    /// A key where columns have names.
    #[error(
        "the columns of a table with a target are named by data.features, data.drop and the target; leave out #{key}"
    )]
    TableKey {
        /// The key given.
        key: String,
    },
    /// A folder holds no pictures that could be trained on.
    #[error(
        "{cause}; expected a folder whose subfolders are the classes and hold pictures (PNG, JPEG, WebP, BMP or GIF)"
    )]
    NoPictures {
        /// What it holds instead.
        cause: String,
    },
    /// A picture cannot be read.
    #[error(
        "cannot be read as a picture: {cause}{}; repair or remove it, or leave such pictures out with data.broken = \"skip\" \
         (predict and eval: --skip-broken)",
        also(*others)
    )]
    BrokenPicture {
        /// What is wrong with it.
        cause: String,
        /// Pictures beside it that cannot be read either.
        others: usize,
    },
    /// A folder of pictures has classes that the model was not trained on.
    #[error(
        "has folders for classes that the model was not trained on: {}; its classes are {}",
        quoted(unknown),
        quoted(classes)
    )]
    UnknownClasses {
        /// The names of those folders.
        unknown: Vec<String>,
        /// The names of the model's classes.
        classes: Vec<String>,
    },
    /// A folder is divided into sets.
    #[error("is divided into sets; name one of them: {}", sets.join(", "))]
    Divided {
        /// The folders of the sets.
        sets: Vec<String>,
    },
    /// A table without a target.
    #[error(
        "which column is to be predicted? Say so with --target COLUMN, or target = \"COLUMN\" beside the table; it has {}",
        list(columns)
    )]
    NoTarget {
        /// The columns there are.
        columns: Vec<String>,
    },
    /// A column that is named where it cannot be.
    #[error("{key} names {name:?}, which {other}; leave it out")]
    NamedTwice {
        /// Where it is named.
        key: &'static str,
        /// The column.
        name: String,
        /// What it is named as elsewhere.
        other: &'static str,
    },
    /// A column of weights that is something else, too.
    #[error("data.sample_weights = {name:?} is {what}; leave it out there, or weigh by another column")]
    WeightTwice {
        /// The column.
        name: String,
        /// What else it is.
        what: &'static str,
    },
    /// A weight that is none.
    #[error("example {row} has the weight {value}; a weight is a finite number, 0 or more")]
    Weight {
        /// The example, counting from 0.
        row: usize,
        /// Its weight.
        value: f32,
    },
    /// Weights that are not as many as the examples.
    #[error("there are {weights} weights, and there are {count} examples in the training files; give one for each")]
    WeightCount {
        /// Number of weights.
        weights: usize,
        /// Number of examples.
        count: usize,
    },
    /// No example counts.
    #[error("every training example has the weight 0; give some of them a weight above 0")]
    NoWeight,
    /// Weights of classes where there are none.
    #[error(
        "weighs classes, and the targets are values that name none; leave data.class_weights out, or weigh examples with data.sample_weights"
    )]
    WeighsNoClasses,
    /// Weights of other classes.
    #[error(
        "there are {found} weights for {} classes: {}; give one for each, in this order, or by name as {{ {:?} = 2.0 }}",
        classes.len(), list(classes), classes.first().map_or("name", String::as_str)
    )]
    ClassWeightCount {
        /// Number of weights.
        found: usize,
        /// The names of the classes.
        classes: Vec<String>,
    },
    /// The weight of a class that there is not.
    #[error(
        "there is no class {name:?}{}; the classes are {}",
        did_you_mean(&nearest(name, classes.iter().map(String::as_str))), list(classes)
    )]
    NoSuchClass {
        /// The name.
        name: String,
        /// The names of the classes.
        classes: Vec<String>,
    },
    /// Nothing to learn from.
    #[error("no column is left to be a feature; give a table with other columns than the target, or shorten data.drop")]
    NoFeatures,
    /// The table lacks columns that the model takes.
    #[error("has no column {}, which the model was trained on; it has {}", quoted(missing), list(columns))]
    ColumnsMissing {
        /// The names that are missing.
        missing: Vec<String>,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// The table lacks what the model predicts.
    #[error(
        "has no column {}, which the model was trained on; it has {}; a table without the target is for gputrain predict",
        quoted(missing),
        list(columns)
    )]
    TargetMissing {
        /// The names that are missing.
        missing: Vec<String>,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// More numbers than memory should be asked for, and no file takes them.
    #[error("its rows come to {} MiB, and the user's cache directory does not take them: {cause}; make room there", bytes >> 20)]
    NoRoom {
        /// Bytes of all rows.
        bytes: u64,
        /// Why they cannot be written.
        cause: io::Error,
    },
    /// More numbers than a disk should be asked for.
    #[error(
        "{rows} rows of {features} features are more than {most} numbers; leave columns with many levels out with data.drop"
    )]
    TableTooLarge {
        /// Rows of the table.
        rows: usize,
        /// Features that its columns make.
        features: usize,
        /// The most numbers there may be.
        most: usize,
    },
    /// A class that is no whole number.
    #[error(
        "the target {name:?} is {value} in row {row}, which is no class; for values take the loss mse (--loss mse), or leave \
         the loss out"
    )]
    NoClass {
        /// The column.
        name: String,
        /// The row, counting from 0.
        row: usize,
        /// What it holds.
        value: f64,
    },
    /// A target that never varies.
    #[error("the target {name:?} has one value in all rows: there is nothing to tell apart; take another column")]
    OneClass {
        /// The column.
        name: String,
    },
    /// A target with more classes than anyone means.
    #[error(
        "the target {name:?} has more than {most} different values in {rows} rows, which are no classes; for numbers take the loss mse"
    )]
    ManyClasses {
        /// The column.
        name: String,
        /// The most classes.
        most: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// Classes that the model was not trained on.
    #[error("the target has {}, which the training table had not; it had {}", quoted(found), list(known))]
    StrangeClasses {
        /// Those that are strange.
        found: Vec<String>,
        /// Those of the training.
        known: Vec<String>,
    },
    /// Several targets under a loss that takes one.
    #[error(
        "{count} targets cannot be classes together; for values take the loss mse (--loss mse), for several yes-or-no targets \
         binary_cross_entropy"
    )]
    SeveralTargets {
        /// Number of targets.
        count: usize,
    },
    /// A last layer of another size than the target.
    #[error(
        "the target has {needed} {what}, but the last layer gives {outputs}; give the last layer {needed} units, or leave the layers out (--train makes a network that suits the data)"
    )]
    Outputs {
        /// Classes or columns of the target.
        needed: usize,
        /// Units of the last layer.
        outputs: usize,
        /// What is counted.
        what: &'static str,
    },
    /// Columns of dates.
    #[error(
        "the column {} holds dates, which are neither numbers nor categories; leave it out (--set 'data.drop=[{}]'), or turn it \
         into numbers, such as days or the month, in pandas with pd.to_datetime(x).dt.month",
        quoted(columns),
        quoted(columns)
    )]
    Dates {
        /// The columns.
        columns: Vec<String>,
    },
    /// Texts that tell examples apart.
    #[error(
        "{} so many levels that they hardly are categories: {}; leave out what only names the examples (--set \
         'data.drop=[{}]'), or say that they are categories with data.categorical (up to 10000 levels; a first layer \
         {{ embedding = 8 }} learns 8 numbers for each level in place of a feature for each)",
        if columns.len() == 1 { "a column of text has" } else { "columns of text have" },
        list(&columns.iter().map(|(name, levels)| format!("{name:?} has {levels}")).collect::<Vec<_>>()),
        quoted(&columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>())
    )]
    ManyLevels {
        /// The columns, each with its number of levels.
        columns: Vec<(String, usize)>,
    },
    /// Numbers that are alike but for digits which are lost.
    #[error(
        "{what} {name:?} has numbers that all are about {mean}, and differ only in digits that single precision does not have (it has \
         seven): {}",
        finer(what, name, *mean)
    )]
    TooFine {
        /// What the column is.
        what: &'static str,
        /// The column.
        name: String,
        /// A number that all are about.
        mean: f32,
    },
    /// A column of a folder of pictures.
    #[error("is {what}; it has no column {column:?}: leave --target out")]
    NoColumns {
        /// What it is, and where its classes are.
        what: &'static str,
        /// The column.
        column: String,
    },
    /// Values cannot be held out by class.
    #[error("data.stratify = true keeps the classes' shares, but the targets are values; leave it out")]
    NoStrata,
    /// A split asks for more than there is.
    #[error(
        "cannot take {wanted} of {count} examples: at least one must go to each side; change the fraction or count"
    )]
    Split {
        /// Examples asked for.
        wanted: String,
        /// Examples there are.
        count: usize,
    },
    /// A value that is not the number of a level.
    #[error(
        "example {example} (counted from 0), feature {feature} (from 0): {value} is not the number of a level; the embedding has {levels}, \
         numbered from 0 to {}: raise its levels, or correct the data",
        levels - 1
    )]
    Level {
        /// The example, counting from 0.
        example: usize,
        /// The feature, counting from 0.
        feature: usize,
        /// What it holds.
        value: f32,
        /// The levels there are.
        levels: usize,
    },
    /// Numbers for other channels than the examples have.
    #[error(
        "data.normalize has numbers for {given} channels, and the examples are {shape}; give one for each channel, or one for all"
    )]
    Channels {
        /// Those that there are numbers for.
        given: usize,
        /// The examples.
        shape: Shape,
    },
    /// Scaled numbers of levels.
    #[error(
        "the embedding takes the numbers of levels as they are (features {first} to {}, from 0), but the data is scaled; set \
         data.scale = \"none\"",
        width.saturating_sub(1)
    )]
    ScaledLevels {
        /// The first feature that is looked up.
        first: usize,
        /// Features of an example.
        width: usize,
    },
    /// Levels that are not the table's.
    #[error(
        "the embedding has {given} levels, but the table has {levels} in {categories} categories; leave out levels and categories: \
         they are taken from the table"
    )]
    OtherLevels {
        /// The embedding's levels.
        given: usize,
        /// The table's levels.
        levels: usize,
        /// Its categories.
        categories: usize,
    },
    /// Categories of a table, which are columns of ones and zeros already.
    #[error(
        "the embedding takes numbers of levels, but the table's category {column:?} comes as one feature of 0 and 1 for each level; \
         leave out the embedding's levels and categories: they are taken from the table then"
    )]
    LevelsAsFeatures {
        /// The column.
        column: String,
    },
    /// The format cannot hold this.
    #[error("{format} cannot hold {what}; {remedy}")]
    CannotWrite {
        /// The format.
        format: &'static str,
        /// What does not fit.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
}

impl Problem {
    /// This problem, found at `place`.
    pub(crate) fn at(self, place: impl fmt::Display) -> DataError {
        DataError { place: place.to_string(), problem: self }
    }

    /// Bytes that break the rules of `format`.
    pub(crate) fn malformed(format: &'static str, detail: impl fmt::Display) -> Problem {
        Problem::Malformed { format, detail: detail.to_string() }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Problem {
        match error.kind() {
            io::ErrorKind::NotFound => Problem::NotFound,
            _ => Problem::Io(error),
        }
    }
}

/// A word on further pictures that cannot be read.
fn also(others: usize) -> String {
    if others > 0 { format!(" (and {others} more cannot be read)") } else { String::new() }
}

/// What to do where the first line may be something else than it was taken for.
fn first_line(header: Option<bool>) -> &'static str {
    match header {
        Some(true) => {
            "; if the first line names the columns, say so with data.header = true (eval and predict: --header true)"
        }
        Some(false) => {
            "; if the first line is an example like the others, say so with data.header = false (eval and predict: --header false)"
        }
        None => "",
    }
}

/// What to do with numbers whose digits are lost.
fn finer(what: &str, name: &str, mean: f32) -> String {
    let subtract = format!("subtract a number like {mean} from each, in pandas with t[{name:?}] -= {mean}");
    match what {
        "the target" => format!("{subtract}, and add it to the predictions again"),
        _ => format!(
            "{subtract}, the same one in every table that the model is to see, or leave the column out (--set 'data.drop=[{name:?}]')"
        ),
    }
}

/// A shape as Python writes it: `(60000, 28, 28)`.
pub(crate) fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Names in quotation marks, the first of many.
pub(crate) fn quoted(names: &[String]) -> String {
    list(&names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>())
}

/// The first keys, for a message that stays readable.
fn list(keys: &[String]) -> String {
    const SHOWN: usize = 20;
    if keys.is_empty() {
        return "none".to_owned();
    }
    let rest = keys.len().saturating_sub(SHOWN);
    let shown = keys.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if rest > 0 { format!("{shown} and {rest} more") } else { shown }
}
