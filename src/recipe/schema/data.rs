//! `[data]`: where the examples come from and how they are split and scaled.

use super::keywords;
use crate::keys::{
    Entries, Entry, Form, Inline, Item, KeyError, List, Node, Number, Optional, Plain, Table, Text, Unless, Value,
    Whole, Written, keyed, kinds,
};

keyed! {
    /// The examples of a run.
    #[derive(Debug, Clone, PartialEq, Default)]
    pub struct DataSpec {
        /// The training examples; without them the generated digits, which bring their own test set.
        pub train: Option<Source> [Optional(SOURCE); "{ images = \"images.npy\", labels = \"labels.npy\" }"],
        /// The test set: its own files, or a share held out of the training files.
        pub test: Holdout [HeldOut; "0.1"],
        /// The validation set: its own files, or a share held out of the training files.
        pub validation: Holdout [HeldOut; "0.1"],
        /// What the model should answer where it is not the labels: its own inputs, as an autoencoder. They are scaled as the
        /// inputs are, and the model has as many outputs. Files of arrays then have no labels.
        pub targets: Option<Aim> [Optional(Plain); "\"inputs\""] where train is (None | Some(Source::Arrays { .. } | Source::Folder { .. } | Source::Pictures { .. }), AIMED),
        /// Whether the first line of a table names its columns; without it that is told from the line.
        pub header: Option<bool> [Optional(Plain); "true"],
        /// The columns of a table that are features, in this order; none stand for every column but the target's and those of
        /// `drop`.
        pub features: Vec<String> [Unless(Vec::new(), COLUMNS); "[\"rooms\", \"district\"]"]
            where train is (Some(Source::Table { .. }), TABLES),
        /// Columns of a table that are left out.
        pub drop: Vec<String> [Unless(Vec::new(), COLUMNS)] where train is (Some(Source::Table { .. }), TABLES),
        /// Columns of a table that are categories though they hold numbers, or though they have many levels.
        pub categorical: Vec<String> [Unless(Vec::new(), COLUMNS); "[\"district\"]"]
            where train is (Some(Source::Table { .. }), TABLES),
        /// What becomes of a table's cells without a value.
        pub missing: Missing where train is (Some(Source::Table { .. }), TABLES) = Missing::Error,
        /// How pictures become examples of one size.
        pub image: ImageSpec [Unless(ImageSpec::default(), IMAGE); "{ size = [64, 64], channels = 3, fit = \"crop\" }"]
            where train is (Some(Source::Folder { .. } | Source::Pictures { .. }), FOLDERS),
        /// What becomes of pictures that cannot be read.
        pub broken: Broken where train is (Some(Source::Folder { .. } | Source::Pictures { .. }), FOLDERS) = Broken::Error,
        /// How features are scaled.
        pub scale: Scale = if matches!(train, Some(Source::Table { .. })) { Scale::Standard } else { Scale::Unit },
        /// What follows the scale "unit": of each channel of an image a number is subtracted, and what is left is divided by another, as
        /// by torchvision's Normalize behind ToTensor; one number is for all features. Weights that were trained on ImageNet want its
        /// mean and deviation, as in the example.
        pub normalize: Option<Normalize> [Optional(NORMALIZE); "{ mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }"]
            where scale is (Scale::Unit, UNIT),
        /// Whether held-out shares keep the classes' shares; without it they do where the training examples are pictures or
        /// a table with classes.
        pub stratify: Option<bool> [Optional(Plain); "true"],
        /// How much the examples of each class count in the loss that is trained on: by name or in the classes' order, 1 for those
        /// that a table does not name, or balanced, so that all classes count the same: examples / (classes * examples of the
        /// class), as in scikit-learn. The loss of a batch is `sum(w * loss) / sum(w)`, as that of
        /// `torch.nn.CrossEntropyLoss(weight=w)`. Validation and test losses and all metrics count every example once.
        pub class_weights: Option<ClassWeights> [Optional(WeightsOfClasses); "\"balanced\""],
        /// How much each example counts in the loss that is trained on: a column of the training table, which is then no feature,
        /// or a file with a weight for each training example, path or path#key. Where classes have weights too, both multiply.
        pub sample_weights: Option<String> [Optional(Text("the name of a column, or a path", is_path)); "\"weight\""]
            where train is (Some(Source::Arrays { .. } | Source::Table { .. }), WEIGHED),
        /// Decides which examples are held out, and the generated digits; without it the recipe's seed does.
        pub seed: Option<u64> [Optional(Whole(0)); "0"],
        /// Keeps only the examples of the first so many classes, in every set; of a folder, move those of other classes away.
        pub classes: Option<usize> [Optional(Whole(2)); "5"]
            where train is (None | Some(Source::Arrays { .. } | Source::Table { .. }), NUMBERED),
        /// Trains on at most so many examples: a part of those that are not held out, picked by the seed.
        pub examples: Option<usize> [Optional(Whole(1)); "10000"],
    }
    check keys_that_fit_together
}

pub(in crate::recipe) const TABLES: &str =
    "the training examples of a table: train = { table = \"FILE\", target = \"COLUMN\" }";

pub(in crate::recipe) const FOLDERS: &str =
    "the training examples of pictures: train = { folder = \"PATH\" }, or { pictures = \"FILE\" }";

pub(in crate::recipe) const NUMBERED: &str =
    "classes that are numbered; of a folder, move the folders of other classes away";

const UNIT: &str = "the scale \"unit\"";

const WEIGHED: &str =
    "the training examples of a table or of arrays; of pictures, weigh the classes with data.class_weights";

const AIMED: &str = "the training examples of arrays or of a folder or table of pictures; of any other table, give it as train = { images = \"FILE\" }";

const COLUMN_NAMES: &str = "a list of names of columns, such as [\"rooms\", \"district\"]";

const COLUMNS: List<Text, String> = List(COLUMN_NAMES, Text(COLUMN_NAMES, |_| true), |_| true);

fn keys_that_fit_together(spec: &DataSpec, table: &Table<'_>) -> Result<(), KeyError> {
    if let (Some(Normalize { mean, std }), Some(item)) = (&spec.normalize, table.get("normalize"))
        && mean.len() != std.len()
    {
        let (means, stds) = (mean.len(), std.len());
        let problem = format!("has {means} means and {stds} deviations; give one of each for every channel");
        return Err(item.conflict(problem));
    }
    if let (false, Some(item)) = (spec.features.is_empty(), table.get("drop")) {
        return Err(item
            .conflict("features names the columns that are taken, so that drop has nothing to leave out; remove one"));
    }
    for (set, source) in spec.sources() {
        let Some(item) = table.get(set) else { continue };
        match (source, spec.targets) {
            (Source::Arrays { labels, .. }, None) if labels.is_empty() => {
                let expected = "the labels or targets of the images; without them, data.targets = \"inputs\" trains an autoencoder";
                item.table("a table")?.require("labels", expected)?;
            }
            (Source::Arrays { labels, .. }, Some(aim)) if !labels.is_empty() => {
                let item = item.table("a table")?.get("labels").unwrap_or(item);
                return Err(item.conflict(format!("would not be read, since data.targets = \"{aim}\"; remove one")));
            }
            _ => {}
        }
    }
    match (&spec.test, &spec.validation, table.get("validation")) {
        (Holdout::Fraction(test), Holdout::Fraction(validation), Some(item)) if test + validation >= 1.0 => {
            Err(item.conflict(format!("test = {test} and validation = {validation} leave no examples for training")))
        }
        _ => Ok(()),
    }
}

kinds! {
    /// Where examples lie. Until `Recipe::resolve_data` has found the files, a path may list alternatives separated by ` | `.
    #[derive(Debug, Clone, PartialEq, Eq, Hash)]
    pub enum Source = "images" {
        /// A file of images and a file of labels; each is a path, or `path#key` for one array inside an .npz or .hdf5 file or for
        /// some columns of a table.
        "images" => Arrays {
            /// The features.
            images: String [ARRAY; "\"images.npy\""],
            /// The labels or targets; none with `data.targets`.
            labels: String [Unless(String::new(), ARRAY); "\"labels.npy\""],
        },
        /// A folder whose subfolders are the classes and hold pictures.
        "folder" => Folder {
            /// Its path.
            folder: String [Text("the path of a folder", is_path); "\"flowers\""],
        },
        /// A table with columns of any kind, some of which are the target.
        "table" => Table {
            /// Its path.
            table: String [Text("the path of a table, such as \"house.csv\"", is_path); "\"house.csv\""],
            /// The names of the target's columns, or without names their numbers from 0.
            target: Vec<String> [Target; "\"price\""],
        },
        /// A Parquet or Arrow file with a column of pictures, as Hugging Face's `datasets` writes it, and one of labels.
        "pictures" => Pictures {
            /// Its path.
            pictures: String [Text("the path of a Parquet or Arrow file", is_path); "\"train.parquet\""],
            /// The name of the column of labels; without it the only one beside the pictures.
            label: String [Unless(String::new(), Text("the name of a column", is_path)); "\"label\""],
        },
    }
}

const SOURCE: Inline = Inline(
    "{ images = \"FILE\", labels = \"FILE\" }, { folder = \"PATH\" }, { table = \"FILE\", target = \"COLUMN\" }, or { pictures = \"FILE\" }",
);

const ARRAY: Text = Text("a path, or path#key for one array of an .npz or .hdf5 file", is_path);

fn is_path(text: &str) -> bool {
    !text.is_empty()
}

/// The name of a column, or several.
struct Target;

impl Form<Vec<String>> for Target {
    fn expected(&self) -> String {
        "the name of a column, or a list of names".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Vec<String>, KeyError> {
        let names = match &item.node.value {
            Value::String(name) => vec![name.clone()],
            _ => COLUMNS.read(item).map_err(|_| item.wrong(self.expected()))?,
        };
        if names.is_empty() { Err(item.wrong(self.expected())) } else { Ok(names) }
    }

    fn write(&self, key: &str, names: &Vec<String>, entries: &mut Entries) {
        match &names[..] {
            [one] => entries.put(key, one),
            _ => entries.put(key, names),
        }
    }
}

impl Source {
    /// The source as a recipe writes it.
    pub(crate) fn toml(&self) -> String {
        self.written().map_or(String::new(), |entry| entry.text())
    }

    /// The path that stands for the source where it is named.
    pub fn name(&self) -> &str {
        match self {
            Source::Arrays { images: path, .. }
            | Source::Folder { folder: path }
            | Source::Table { table: path, .. }
            | Source::Pictures { pictures: path, .. } => path,
        }
    }

    /// Another source of the same kind, at another path: its labels, where they have a file, are there too.
    pub fn beside(&self, path: &str) -> Source {
        let mut other = self.clone();
        other.paths_mut().into_iter().for_each(|(_, old)| *old = path.into());
        other
    }

    /// Every path, with the key that has it.
    pub fn paths_mut(&mut self) -> Vec<(&'static str, &mut String)> {
        match self {
            Source::Arrays { images, labels } => {
                let labels = (!labels.is_empty()).then_some(("labels", labels));
                std::iter::once(("images", images)).chain(labels).collect()
            }
            Source::Folder { folder } => vec![("folder", folder)],
            Source::Table { table, .. } => vec![("table", table)],
            Source::Pictures { pictures, .. } => vec![("pictures", pictures)],
        }
    }

    /// Every path.
    pub fn paths(&self) -> Vec<&str> {
        match self {
            Source::Arrays { images, labels } if labels.is_empty() => vec![images],
            Source::Arrays { images, labels } => vec![images, labels],
            Source::Folder { folder } => vec![folder],
            Source::Table { table, .. } => vec![table],
            Source::Pictures { pictures, .. } => vec![pictures],
        }
    }
}

/// How much the examples of each class count.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassWeights {
    /// All classes count the same.
    Balanced,
    /// By the classes' names; 1 for those that are not named.
    ByName(Vec<(String, f32)>),
    /// One for each class, in their order.
    InOrder(Vec<f32>),
}

/// The weights of classes.
struct WeightsOfClasses;

impl Form<ClassWeights> for WeightsOfClasses {
    fn expected(&self) -> String {
        "\"balanced\", a table such as { cat = 2.0, dog = 1.0 }, or a list such as [2.0, 1.0]; weights are 0 or more, and not \
         all are 0"
            .into()
    }

    fn read(&self, item: &Item<'_>) -> Result<ClassWeights, KeyError> {
        let weight = |item: &Item<'_>| item.number("a weight, 0 or more", |weight| weight >= 0.0);
        let weights = match &item.node.value {
            Value::String(word) if word == "balanced" => return Ok(ClassWeights::Balanced),
            Value::Table(_) => {
                let table = item.table(&self.expected())?;
                let named = table.items().map(|(name, item)| Ok((name.to_string(), weight(&item)?)));
                ClassWeights::ByName(named.collect::<Result<_, KeyError>>()?)
            }
            Value::Array(_) => {
                let items = item.list(&self.expected())?;
                ClassWeights::InOrder(items.iter().map(weight).collect::<Result<_, KeyError>>()?)
            }
            _ => return Err(item.wrong(self.expected())),
        };
        let is_useless = match &weights {
            ClassWeights::ByName(named) => named.is_empty(),
            ClassWeights::InOrder(list) => list.iter().all(|weight| *weight == 0.0),
            ClassWeights::Balanced => false,
        };
        if is_useless { Err(item.wrong(self.expected())) } else { Ok(weights) }
    }
}

impl Written for ClassWeights {
    fn written(&self) -> Option<Entry> {
        match self {
            ClassWeights::Balanced => "balanced".written(),
            ClassWeights::InOrder(list) => list.written(),
            ClassWeights::ByName(named) => {
                let one =
                    |(name, weight): &(String, f32)| format!("{} = {weight:?}", toml::Value::String(name.clone()));
                let entries: Vec<String> = named.iter().map(one).collect();
                Some(Entry::Value(format!("{{ {} }}", entries.join(", "))))
            }
        }
    }
}

/// A set of examples kept away from training. Shares are drawn by the data's seed before training starts, the test
/// set first, so that the same seed holds out the same examples whatever the validation share is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Holdout {
    /// There is none.
    #[default]
    None,
    /// A share of the training files, above 0 and below 1.
    Fraction(f64),
    /// So many examples of the training files.
    Count(usize),
    /// Files of its own.
    Files(Source),
}

/// A set that is held out: where it has files, they are like those of `train`, and a table has the same target.
struct HeldOut;

impl Form<Holdout> for HeldOut {
    fn expected(&self) -> String {
        "a fraction between 0 and 1 (such as 0.1), a count (such as 1000), or { images = …, labels = … }, { folder = … }, { table = … }, { pictures = … }".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Holdout, KeyError> {
        match item.node.value {
            Value::Table(_) => SOURCE.read(item).map(Holdout::Files),
            Value::Integer(0) => Ok(Holdout::None),
            Value::Integer(count) if count > 0 => {
                Ok(Holdout::Count(usize::try_from(count).map_err(|_| item.wrong(self.expected()))?))
            }
            Value::Float(0.0) => Ok(Holdout::None),
            Value::Float(share) if share > 0.0 && share < 1.0 => Ok(Holdout::Fraction(share)),
            _ => Err(item.wrong(self.expected())),
        }
    }

    fn get(&self, data: &Table<'_>, key: &str) -> Result<Holdout, KeyError> {
        let Some(item) = data.get(key) else { return Ok(Holdout::None) };
        let train = data.get("train");
        let node = with_target(item.node, train.as_ref().map(|train| train.node));
        let set = self.read(&Item { path: item.path.clone(), node: &node })?;
        if let (Holdout::Files(files), Some(train)) = (&set, train) {
            alike(&item, files, &SOURCE.read(&train)?)?;
        }
        Ok(set)
    }
}

/// A table that is held out, with the target or the labels' column of the training table where it names none.
fn with_target(set: &Node, train: Option<&Node>) -> Node {
    let mut set = set.clone();
    let has = |entries: &[(String, Node)], key: &str| entries.iter().any(|(name, _)| name == key);
    if let (Value::Table(own), Some(Node { value: Value::Table(train), .. })) = (&mut set.value, train) {
        for (kind, column) in [("table", "target"), ("pictures", "label")] {
            if has(own, kind) && !has(own, column) {
                own.extend(train.iter().find(|(name, _)| name == column).cloned());
            }
        }
    }
    set
}

/// Refuses files that are held out and not like those of the training examples.
fn alike(item: &Item<'_>, files: &Source, train: &Source) -> Result<(), KeyError> {
    match (files, train) {
        (Source::Table { target, .. }, Source::Table { target: known, .. }) if target != known => {
            let item = item.table("")?.get("target").unwrap_or(item.clone());
            Err(item.conflict(format!("the target of the training table is {}; leave it out here", known.join(", "))))
        }
        (Source::Arrays { .. }, Source::Arrays { .. })
        | (Source::Folder { .. }, Source::Folder { .. })
        | (Source::Table { .. }, Source::Table { .. })
        | (Source::Pictures { .. }, Source::Pictures { .. }) => Ok(()),
        (_, train) => {
            let kind = match train {
                Source::Arrays { .. } => "{ images = …, labels = … }",
                Source::Folder { .. } => "{ folder = … }",
                Source::Table { .. } => "{ table = … }",
                Source::Pictures { .. } => "{ pictures = … }",
            };
            Err(item.conflict(format!(
                "is of another kind than the training examples, which are {kind}; give one like these"
            )))
        }
    }
}

impl Written for Holdout {
    fn written(&self) -> Option<Entry> {
        match self {
            Holdout::None => None,
            Holdout::Fraction(share) => share.written(),
            Holdout::Count(count) => count.written(),
            Holdout::Files(files) => files.written(),
        }
    }
}

keyed! {
    /// How pictures become examples of one size.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct ImageSpec {
        /// Height and width in pixels; without it the data decides.
        pub size: Option<[usize; 2]> [Optional(Sides); "[64, 64]"],
        /// 1 (grey) or 3 (red, green, blue); without it the data decides.
        pub channels: Option<usize> [Optional(Channels); "3"],
        /// What becomes of a picture of another shape; without it it is cropped.
        pub fit: Option<Fit> [Optional(Plain); "\"crop\""],
    }
}

const IMAGE: Inline = Inline("{ size = [HEIGHT, WIDTH], channels = 1 or 3, fit = \"crop\" }");

/// Height and width of pictures.
struct Sides;

impl Form<[usize; 2]> for Sides {
    fn expected(&self) -> String {
        "[height, width] in pixels, 1 to 16384 each, such as [64, 64]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<[usize; 2], KeyError> {
        let sides = item.list(&self.expected())?.iter().map(|side| side.whole(1)).collect::<Result<Vec<usize>, _>>()?;
        match sides[..] {
            [height, width] if height.max(width) <= 16384 => Ok([height, width]),
            _ => Err(item.wrong(self.expected())),
        }
    }
}

/// Channels of pictures.
struct Channels;

impl Form<usize> for Channels {
    fn expected(&self) -> String {
        "1 (grey) or 3 (red, green, blue)".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<usize, KeyError> {
        match item.whole(1)? {
            channels @ (1 | 3) => Ok(channels),
            _ => Err(item.wrong(self.expected())),
        }
    }
}

keywords! {
    /// What becomes of pictures that cannot be read.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Broken = Error {
        /// They are refused.
        "error" => Error,
        /// They are left out.
        "skip" => Skip,
    }
}

impl DataSpec {
    /// Every set that has files of its own, by its key.
    pub fn sources(&self) -> impl Iterator<Item = (&'static str, &Source)> {
        let held_out = [("test", &self.test), ("validation", &self.validation)];
        let held_out = held_out.into_iter().filter_map(|(set, holdout)| match holdout {
            Holdout::Files(source) => Some((set, source)),
            _ => None,
        });
        self.train.iter().map(|source| ("train", source)).chain(held_out)
    }
}

keywords! {
    /// What a model should answer in the place of labels.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Aim {
        /// What it was given.
        "inputs" => Inputs,
    }
}

keywords! {
    /// What becomes of a table's cells without a value.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Missing = Error {
        /// They are refused.
        "error" => Error,
        /// A number becomes the mean of its column over the training examples; a category none of the levels.
        "mean" => Mean,
        /// A number becomes the median of its column over the training examples; a category none of the levels.
        "median" => Median,
        /// As `Mean`, and a feature of its own says for each such column where it was missing.
        "indicator" => Indicator,
    }
}

keywords! {
    /// What becomes of a picture whose sides have another ratio.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Fit {
        /// What is too long is cut off on both sides.
        "crop" => Crop,
        /// What is too short is filled up on both sides.
        "pad" => Pad,
        /// Each side is scaled by itself.
        "stretch" => Stretch,
    }
}

keyed! {
    /// Mean and standard deviation of each channel, or of all features, where white is 1.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Normalize {
        /// Subtracted.
        pub mean: Vec<f32> [List("a number for each channel, such as [0.485, 0.456, 0.406]", FINITE, |list| !list.is_empty()); "[0.5]"],
        /// Divided by.
        pub std: Vec<f32> [List("a number above 0 for each channel, such as [0.229, 0.224, 0.225]", FINITE, |list| {
            !list.is_empty() && list.iter().all(|std| *std > 0.0)
        }); "[0.5]"],
    }
}

const FINITE: Number = Number("a number", |_| true);

const NORMALIZE: Inline = Inline("{ mean = [NUMBERS], std = [NUMBERS] }");

keywords! {
    /// How features are scaled before they enter the network.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Scale = Unit {
        /// As stored.
        "none" => None,
        /// Divided by 255.
        "unit" => Unit,
        /// Divided by 255, minus 0.5.
        "centered" => Centered,
        /// To -1..1 over the training set's smallest and largest value.
        "minmax" => MinMax,
        /// Each feature to mean 0 and variance 1 over the training set.
        "standard" => Standard,
    }
}
