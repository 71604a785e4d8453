//! What can be wrong with a key or its value, and where.

use std::fmt;
use std::sync::Arc;

/// A key or value that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeyError {
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
        suggestion: Option<String>,
        /// Every key that is known at this place.
        known: Vec<String>,
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
}

/// `; did you mean "…"?`, where there is a suggestion.
pub(crate) fn did_you_mean(suggestion: &Option<impl fmt::Display>) -> String {
    suggestion.as_ref().map_or(String::new(), |name| format!("; did you mean \"{name}\"?"))
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
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
