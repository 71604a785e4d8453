//! What can be wrong with a recipe, and where.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A recipe that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("{}: cannot read the recipe: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is far larger than any recipe.
    #[error("{origin}: {bytes} bytes are too many for a recipe; at most {limit} are read")]
    TooLarge {
        /// The file.
        origin: String,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Not TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A key that means nothing here.
    #[error("{place}: unknown key \"{key}\"{}; known here: {}", did_you_mean(suggestion), known.join(", "))]
    UnknownKey {
        /// Where.
        place: Place,
        /// The whole key, dotted.
        key: String,
        /// The known key that looks most like it.
        suggestion: Option<&'static str>,
        /// Every key that is known at this place.
        known: Vec<&'static str>,
    },
    /// A value of the wrong type or out of range.
    #[error("{place}: {key} = {found}: expected {expected}")]
    Value {
        /// Where.
        place: Place,
        /// The whole key, dotted.
        key: String,
        /// The value, shortened.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A key that must be there.
    #[error("{place}: {key} is missing: expected {expected}")]
    Missing {
        /// The table it is missing from.
        place: Place,
        /// The whole key, dotted.
        key: String,
        /// What is allowed.
        expected: String,
    },
    /// Keys that contradict each other.
    #[error("{place}: {key}: {problem}")]
    Conflict {
        /// Where.
        place: Place,
        /// The whole key, dotted.
        key: String,
        /// What does not fit, and what to do.
        problem: String,
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
        key: &'static str,
        /// What it says.
        path: String,
        /// Every place that was tried.
        looked: Vec<PathBuf>,
    },
    /// A folder where a data file is expected.
    #[error("{key} = \"{path}\": {} is a folder; give a file of examples (.npy, .npz#key, .hdf5#key, .idx, .csv)", folder.display())]
    DataFolder {
        /// The key that names it.
        key: &'static str,
        /// What it says.
        path: String,
        /// The folder.
        folder: PathBuf,
    },
    /// A run's data file that might be one of two.
    #[error(
        "{key} = \"{path}\" might be {} or, beside the run, {}; say which with --data DIR",
        found[0], found[1]
    )]
    DataTwice {
        /// The key that names the file.
        key: &'static str,
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

fn did_you_mean(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or(String::new(), |name| format!("; did you mean \"{name}\"?"))
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a recipe.
    Line {
        /// The file, or another name of the text.
        origin: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// An override, as it was given: `--set a.b=c`, or a value of a sweep.
    Setting(Arc<str>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { origin, line } => write!(f, "{origin}:{line}"),
            Place::Setting(text) => f.write_str(text),
        }
    }
}

/// The candidate that is most likely meant by `word`: the one that it abbreviates by initials (`lr`), the one that it
/// extends by a word of its own (`batch_size`), or else the one that is spelled most alike, if one is alike enough.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let initials = |candidate: &&&str| {
        candidate.contains('_') && candidate.split('_').filter_map(|part| part.chars().next()).eq(word.chars())
    };
    let extended = |candidate: &&&str| word.split('_').any(|part| part == **candidate) && candidate.len() > 2;
    let found = candidates.iter().find(initials).or_else(|| candidates.iter().find(extended));
    found.copied().or_else(|| alike(&word, &candidates))
}

/// The candidate that the fewest typing errors turn into `word`, if they are few for words of this length.
fn alike<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let length = word.chars().count();
    let limit = if length < 4 { length / 2 } else { (length / 3).max(2) };
    let distances = candidates.iter().map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate));
    distances
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
