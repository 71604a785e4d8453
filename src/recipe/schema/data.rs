//! `[data]`: where the examples come from and how they are split and scaled.

use super::keywords;

/// The examples of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataSpec {
    /// The training examples; `None` stands for the generated digits, which bring their own test set.
    pub train: Option<Source>,
    /// The test set: its own files, or a share held out of the training files.
    pub test: Holdout,
    /// The validation set: its own files, or a share held out of the training files.
    pub validation: Holdout,
    /// Whether the first line of a table names its columns; without it that is told from the line.
    pub header: Option<bool>,
    /// The columns of a table that are features, in this order; none stand for every column but the target's and those of `drop`.
    pub features: Vec<String>,
    /// Columns of a table that are left out.
    pub drop: Vec<String>,
    /// Columns of a table that are categories though they hold numbers, or though they have many levels.
    pub categorical: Vec<String>,
    /// What becomes of a table's cells without a value.
    pub missing: Missing,
    /// How the pictures of a folder become examples of one size.
    pub image: ImageSpec,
    /// What becomes of pictures that cannot be read.
    pub broken: Broken,
    /// How features are scaled.
    pub scale: Scale,
    /// Whether held-out shares keep the classes' shares; without it they do where the training examples are a folder or a
    /// table with classes.
    pub stratify: Option<bool>,
    /// Decides which examples are held out, and the generated digits; without it the recipe's seed does.
    pub seed: Option<u64>,
    /// Keeps only the examples of the first so many classes, in every set.
    pub classes: Option<usize>,
    /// Trains on at most so many examples: a part of those that are not held out, picked by the seed.
    pub examples: Option<usize>,
}

/// Where examples lie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file of images and a file of labels; each is a path, or `path#key` for one array inside an .npz or .hdf5 file or for
    /// some columns of a table. Until `Recipe::resolve_data` has found the files, a path may list alternatives separated by
    /// ` | `.
    Arrays {
        /// The features.
        images: String,
        /// The labels or targets.
        labels: String,
    },
    /// A folder whose subfolders are the classes and hold pictures.
    Folder {
        /// Its path.
        folder: String,
    },
    /// A table with columns of any kind, some of which are the target.
    Table {
        /// Its path.
        table: String,
        /// The names of the target's columns, or without names their numbers from 0.
        target: Vec<String>,
    },
}

impl Source {
    /// The path that stands for the source where it is named.
    pub fn name(&self) -> &str {
        match self {
            Source::Arrays { images: path, .. }
            | Source::Folder { folder: path }
            | Source::Table { table: path, .. } => path,
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
            Source::Arrays { images, labels } => vec![("images", images), ("labels", labels)],
            Source::Folder { folder } => vec![("folder", folder)],
            Source::Table { table, .. } => vec![("table", table)],
        }
    }

    /// Every path.
    pub fn paths(&self) -> Vec<&str> {
        match self {
            Source::Arrays { images, labels } => vec![images, labels],
            Source::Folder { folder } => vec![folder],
            Source::Table { table, .. } => vec![table],
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

/// What becomes of a table's cells without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Missing {
    /// They are refused.
    #[default]
    Error,
    /// A number becomes the mean of its column over the training examples; a category none of the levels.
    Mean,
    /// A number becomes the median of its column over the training examples; a category none of the levels.
    Median,
    /// As `Mean`, and a feature of its own says for each such column where it was missing.
    Indicator,
}

keywords!(Missing {
    "error" => Error,
    "mean" => Mean,
    "median" => Median,
    "indicator" => Indicator,
});

/// How pictures become examples of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ImageSpec {
    /// Height and width in pixels; without it the data decides.
    pub size: Option<[usize; 2]>,
    /// 1 (grey) or 3 (colours); without it the data decides.
    pub channels: Option<usize>,
    /// What becomes of a picture of another shape; without it it is cropped.
    pub fit: Option<Fit>,
}

/// What becomes of a picture whose sides have another ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// What is too long is cut off on both sides.
    Crop,
    /// What is too short is filled up on both sides.
    Pad,
    /// Each side is scaled by itself.
    Stretch,
}

keywords!(Fit {
    "crop" => Crop,
    "pad" => Pad,
    "stretch" => Stretch,
});

/// What becomes of pictures that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Broken {
    /// They are refused.
    #[default]
    Error,
    /// They are left out.
    Skip,
}

keywords!(Broken {
    "error" => Error,
    "skip" => Skip,
});

/// How features are scaled before they enter the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scale {
    /// As stored.
    None,
    /// Divided by 255.
    #[default]
    Unit,
    /// Divided by 255, minus 0.5.
    Centered,
    /// To -1..1 over the training set's smallest and largest value.
    MinMax,
    /// Each feature to mean 0 and variance 1 over the training set.
    Standard,
}

keywords!(Scale {
    "none" => None,
    "unit" => Unit,
    "centered" => Centered,
    "minmax" => MinMax,
    "standard" => Standard,
});
