//! `[data]`: where the examples come from and how they are split and scaled.

use super::keywords;

/// The examples of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataSpec {
    /// The training files; `None` stands for the generated digits, which bring their own test set.
    pub train: Option<Source>,
    /// The test set: its own files, or a share held out of the training files.
    pub test: Holdout,
    /// The validation set: its own files, or a share held out of the training files.
    pub validation: Holdout,
    /// Whether the first line of a table names its columns; without it that is told from the line.
    pub header: Option<bool>,
    /// How features are scaled.
    pub scale: Scale,
    /// Decides which examples are held out, and the generated digits; without it the recipe's seed does.
    pub seed: Option<u64>,
    /// Keeps only the examples of the first so many classes, in every set.
    pub classes: Option<usize>,
    /// Trains on at most so many examples: a part of those that are not held out, picked by the seed.
    pub examples: Option<usize>,
}

/// A file of images and a file of labels; each is a path, or `path#key` for one array inside an .npz or .hdf5 file or for
/// some columns of a table.
/// Until `Recipe::resolve_data` has found the files, a path may list alternatives separated by ` | `.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The features.
    pub images: String,
    /// The labels or targets.
    pub labels: String,
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
