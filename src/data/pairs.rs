//! Which arrays of a file are examples and which their labels, by their names.

use super::error::{DataError, Problem};
use super::named::Named;
use crate::place::Place;

/// What examples and their labels are called, beside the name of a set.
const PAIRS: [[&str; 2]; 5] =
    [["x", "y"], ["images", "labels"], ["data", "labels"], ["features", "labels"], ["inputs", "targets"]];

/// The names of sets, and what they are called in names of arrays.
const SETS: [(&str, &[&str]); 3] =
    [("train", &["train", "tr"]), ("validation", &["validation", "valid", "val"]), ("test", &["test", "te"])];

/// The pairs of examples and labels that a file has, each as path#key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArraySets {
    /// What to train on, or all there is.
    pub train: [String; 2],
    /// What to watch, if it is there.
    pub validation: Option<[String; 2]>,
    /// What to test with, if it is there.
    pub test: Option<[String; 2]>,
}

/// The examples and labels of a file of named arrays (.npz, HDF5, MATLAB or CIFAR), told by names such as `x_train` and `y_train`,
/// or `X` and `y`; none where the path is of something else. An error where the names do not tell.
pub fn array_sets(path: &str) -> Result<Option<ArraySets>, DataError> {
    let place = Place::parse(path);
    let at_path = |problem: Problem| problem.at(path);
    if place.key.is_some() {
        return Ok(None);
    }
    let Some(file) = Named::open(&place.path).map_err(at_path)? else { return Ok(None) };
    let keys = file.keys().map_err(at_path)?;
    let find = |wanted: &str| keys.iter().find(|key| key.eq_ignore_ascii_case(wanted));
    let both = |pair: [String; 2]| {
        let [examples, labels] = pair.map(|name| find(&name).map(|key| format!("{path}#{key}")));
        Some([examples?, labels?])
    };
    let bare = || PAIRS.iter().find_map(|pair| both(pair.map(str::to_owned)));
    let of_set = |set: &str| {
        let names = SETS.iter().find(|(name, _)| *name == set).map_or(&[][..], |(_, names)| names);
        let spelled = names.iter().flat_map(|set| {
            PAIRS.iter().flat_map(move |pair| {
                [pair.map(|name| format!("{name}_{set}")), pair.map(|name| format!("{set}_{name}"))]
            })
        });
        spelled.into_iter().find_map(both)
    };
    match of_set("train").or_else(bare) {
        Some(train) => Ok(Some(ArraySets { train, validation: of_set("validation"), test: of_set("test") })),
        None => Err(at_path(Problem::NoPair { keys })),
    }
}
