//! What can be wrong with a recipe, and where.

use crate::keys::{KeyError, did_you_mean};
use crate::place::Format;
use std::path::PathBuf;

/// A recipe that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// A key or value that cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file cannot be read.
    #[error("{}: cannot read the recipe: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// An override that is not `key=value` or leads nowhere.
    #[error("{setting}: {problem}")]
    Override {
        /// The override as given.
        setting: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A layer of `--layers` that cannot be read.
    #[error("layers \"{text}\": layer {index} is \"{found}\": {problem}")]
    Layers {
        /// The whole list.
        text: String,
        /// Which layer, from 0.
        index: usize,
        /// The part that is wrong.
        found: String,
        /// What is wrong, and what is expected.
        problem: String,
    },
    /// A data file that is nowhere.
    #[error(
        "{key} = \"{path}\": no such file in the recipe's folder; also looked for {}; give its folder with --data DIR",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    DataNotFound {
        /// The key that names the file.
        key: String,
        /// What it says.
        path: String,
        /// Every place that was tried.
        looked: Vec<PathBuf>,
    },
    /// A folder where a data file is expected.
    #[error("{key} = \"{path}\": {} is a folder; give a file of examples (.npy, .npz#key, .hdf5#key, .idx, .csv, .parquet), or the folder itself as {{ folder = … }}", folder.display())]
    DataFolder {
        /// The key that names it.
        key: String,
        /// What it says.
        path: String,
        /// The folder.
        folder: PathBuf,
    },
    /// Something else than a file or a folder where a data file is expected.
    #[error("{key} = \"{path}\": {} is a pipe, a device or a socket, not a file; write what it gives to a file, and name that", found.display())]
    DataNoFile {
        /// The key that names it.
        key: String,
        /// What it says.
        path: String,
        /// What was found.
        found: PathBuf,
    },
    /// A run's data file that might be one of two.
    #[error(
        "{key} = \"{path}\" might be {} or, beside the run, {}; say which with --data DIR",
        found[0], found[1]
    )]
    DataTwice {
        /// The key that names the file.
        key: String,
        /// What it says.
        path: String,
        /// What was found in the current folder, and around the run.
        found: [String; 2],
    },
    /// A name that is neither a file nor a bundled recipe.
    #[error(
        "no recipe \"{name}\": it is neither a file nor a bundled recipe{}; bundled are {}",
        did_you_mean(suggestion),
        bundled.join(", ")
    )]
    NoSuchRecipe {
        /// The name.
        name: String,
        /// The bundled recipe whose name looks most like it.
        suggestion: Option<&'static str>,
        /// The names of all bundled recipes.
        bundled: Vec<&'static str>,
    },
    /// Data where a recipe is expected.
    #[error(
        "{} is data, not a recipe; {}", path.display(),
        match format {
            Format::Csv | Format::Parquet | Format::Arrow => {
                format!("--train {} --target COLUMN trains on a table", path.display())
            }
            _ => format!("--train-images {} --train-labels FILE trains on arrays", path.display()),
        }
    )]
    DataForRecipe {
        /// The file.
        path: PathBuf,
        /// What its name tells.
        format: Format,
    },
    /// A folder where a recipe is expected.
    #[error("{} is a folder, not a recipe; {remedy}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What to give instead.
        remedy: String,
    },
    /// An override of a key whose values the sweep sets.
    #[error(
        "{setting}: the sweep itself sets {key}; give --set 'sweep.{key}=[VALUE, …]' to let it take other values, or one"
    )]
    SweepSets {
        /// The override.
        setting: String,
        /// The key in the sweep's table.
        key: String,
    },
    /// More combinations than anyone means.
    #[error("{origin}: the sweep has more than {limit} combinations; take values or trials away")]
    SweepTooLarge {
        /// The recipe with the sweep.
        origin: String,
        /// The most that are expanded.
        limit: usize,
    },
}
