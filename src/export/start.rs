//! What a recipe's training begins with: drawn weights, and those of a file that fit.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::matching::{checked, is_count, matching, tuple};
use super::parameters::stored;
use super::tensors::Contents;
use super::{ExportError, saved};
use crate::data::{Array, Features, Scaling, TrainedOn, other_features, whiten};
use crate::keys::nearest;
use crate::model::{Model, Parameter};
use crate::recipe::{Init, Recipe, Renames, StartSpec};

/// What training began with of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The file, or the folder of a run.
    pub from: String,
    /// Tensors that were taken.
    pub taken: Vec<String>,
    /// Tensors that were drawn, since the file has none of this name and shape.
    pub drawn: Vec<String>,
    /// Tensors of the file that the model has no place for.
    pub unused: Vec<String>,
}

/// Initial weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Initial {
    /// A vector per tensor of the model, in its order.
    pub parameters: Vec<Vec<f32>>,
    /// What a person should know of where they come from: what was taken, what was not, and warnings.
    pub notes: Vec<String>,
    /// What the file of `start.from` gave, where there is one.
    pub start: Option<Started>,
}

impl Initial {
    /// The weights that a recipe's training begins with: those that its seed draws, in their place those of `start.from` that fit a
    /// tensor of the model by name and shape. `scaling` and `trained_on` are those of the data that it trains on, whose features
    /// are `train`: filters that whiten follow from them.
    ///
    /// An error where the file cannot be read, where nothing in it fits, where what fits are no numbers to begin with, and where the
    /// recipe is `strict` and something does not fit.
    pub fn of(
        recipe: &Recipe,
        model: &Model,
        scaling: &Scaling,
        trained_on: &TrainedOn,
        train: &Features,
    ) -> Result<Initial, ExportError> {
        let mut parameters = model.initialise(recipe.seed);
        whiten(&mut parameters, model, train, scaling);
        let mut initial = Initial { parameters, notes: Vec::new(), start: None };
        let Some(from) = &recipe.start.from else {
            initial.notes.extend(kept_as_drawn(model, |_| true));
            return Ok(initial);
        };
        let path = Path::new(from);
        if !path.exists() {
            return Err(ExportError::NoStart { path: path.into() });
        }
        let Contents { tensors, metadata } = stored(path)?;
        let tensors = renamed(path, tensors, &recipe.start.rename)?;
        initial.take(path, &recipe.start, model, tensors)?;
        initial.notes.extend(other_features(&saved::features(&metadata), &trained_on.features));
        initial.notes.extend(saved::scaling(&metadata).and_then(|theirs| other_scaling(path, &theirs, scaling)));
        Ok(initial)
    }

    /// Takes what fits.
    fn take(
        &mut self,
        path: &Path,
        start: &StartSpec,
        model: &Model,
        tensors: Vec<(String, Array)>,
    ) -> Result<(), ExportError> {
        let names: Vec<String> = model.tensors().map(|tensor| tensor.name.clone()).collect();
        let from = path.display().to_string();
        if start.strict {
            self.parameters = matching(path, model, tensors)?;
            self.notes.push(format!("start: all {} tensors are those of {from}", names.len()));
            self.start = Some(Started { from, taken: names, drawn: Vec::new(), unused: Vec::new() });
            return Ok(());
        }
        let (mut taken, mut absent, mut other_shapes) = (vec![false; self.parameters.len()], Vec::new(), Vec::new());
        for ((tensor, values), taken) in model.tensors().zip(&mut self.parameters).zip(&mut taken) {
            match tensors.iter().find(|(name, _)| *name == tensor.name) {
                None => absent.push(tensor.name.clone()),
                Some((_, array)) if array.shape() != tensor.shape => {
                    let (here, there) = (tuple(&tensor.shape), tuple(array.shape()));
                    other_shapes.push(format!("{} is {here}, there {there}", tensor.name));
                }
                Some((_, array)) => {
                    *values = checked(path, tensor, array)?;
                    *taken = true;
                }
            }
        }
        let count = taken.iter().filter(|taken| **taken).count();
        if count == 0 {
            let expected = model.tensors().map(|tensor| format!("{} {}", tensor.name, tuple(&tensor.shape))).collect();
            return Err(ExportError::NothingFits {
                path: path.into(),
                found: first(tensors.iter().map(|(name, array)| format!("{name} {}", tuple(array.shape()))).collect()),
                expected: first(expected),
            });
        }
        let known = |name: &str| model.tensors().any(|tensor| tensor.name == name) || is_count(model, name);
        let unused: Vec<String> =
            tensors.iter().filter(|(name, _)| !known(name)).map(|(name, _)| name.clone()).collect();
        self.notes.push(format!("start: {count} of {} tensors are taken from {from}", taken.len()));
        let which = |wanted: bool| {
            let found = names.iter().zip(&taken).filter(|(_, taken)| **taken == wanted);
            found.map(|(name, _)| name.clone()).collect()
        };
        self.start = Some(Started { from, taken: which(true), drawn: which(false), unused: unused.clone() });
        for (what, names) in [
            ("drawn anew, not in the file", absent),
            ("drawn anew, of another shape", other_shapes),
            ("not used of the file", unused),
        ] {
            self.notes.extend((!names.is_empty()).then(|| format!("start: {what}: {}", first(names).join(", "))));
        }
        let is_drawn = |name: &str| names.iter().position(|known| *known == name).is_some_and(|index| !taken[index]);
        self.notes.extend(kept_as_drawn(model, is_drawn));
        Ok(())
    }
}

/// Warns of frozen tensors, running statistics among them, that no file gave.
fn kept_as_drawn(model: &Model, is_drawn: impl Fn(&str) -> bool) -> Option<String> {
    let layer = |name: &str| name.rsplit_once('.').map(|(layer, _)| layer.to_string());
    let frozen = model.parameters.iter().zip(model.frozen_parameters()).filter(|(_, frozen)| *frozen);
    let frozen: Vec<&Parameter> = frozen.map(|(parameter, _)| parameter).collect();
    let is_frozen = |statistic: &&Parameter| frozen.iter().any(|known| layer(&known.name) == layer(&statistic.name));
    let tensors = frozen.iter().copied().chain(model.statistics.iter().filter(is_frozen));
    // What follows from the data is meant to stay as it is.
    let tensors = tensors.filter(|tensor| tensor.init != Init::Whitening);
    let drawn = first(tensors.map(|tensor| tensor.name.clone()).filter(|name| is_drawn(name)).collect());
    let names = drawn.join(", ");
    (!drawn.is_empty())
        .then(|| format!("warning: frozen by start.freeze as they are drawn, since no file gave them: {names}"))
}

/// The file's tensors under the names that the model has for them.
fn renamed(path: &Path, tensors: Vec<(String, Array)>, renames: &Renames) -> Result<Vec<(String, Array)>, ExportError> {
    let mut used = vec![false; renames.0.len()];
    let mut named: Vec<(String, Array)> = Vec::new();
    for (old, array) in tensors {
        let (name, rename) = renames.apply(&old);
        rename.into_iter().for_each(|index| used[index] = true);
        if named.iter().any(|(other, _)| *other == name) {
            return Err(ExportError::RenamedTwice { path: path.into(), old, name });
        }
        named.push((name, array));
    }
    match used.iter().position(|used| !used) {
        Some(index) => {
            let prefix = renames.0[index].0.clone();
            let names = || named.iter().map(|(name, _)| name.as_str());
            let suggestion = nearest(&prefix, names().flat_map(beginnings)).map(str::to_string);
            Err(ExportError::NothingToRename { path: path.into(), prefix, suggestion })
        }
        None => Ok(named),
    }
}

/// What a name begins with, up to each of its dots.
fn beginnings(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(dot, _)| &name[..dot])
}

/// Warns where the weights were trained on inputs that were scaled in another way.
fn other_scaling(path: &Path, theirs: &Scaling, ours: &Scaling) -> Option<String> {
    if theirs == ours {
        return None;
    }
    let words = |scaling: &Scaling| {
        let Scaling { subtract, divide, add } = scaling;
        let more = if subtract.len() > 1 { " for the first feature" } else { "" };
        format!("(x - {}) / {} + {add}{more}", subtract[0], divide[0])
    };
    let both = (words(theirs), words(ours));
    let (theirs, ours) = if both.0 == both.1 { ("other numbers".into(), "these".into()) } else { both };
    Some(format!(
        "warning: the model of {} was trained on inputs scaled to {theirs}, and these are scaled to {ours}: see data.scale",
        path.display()
    ))
}

/// The first of many.
fn first(mut names: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 12;
    let rest = names.len().saturating_sub(SHOWN);
    if rest > 1 {
        names.truncate(SHOWN);
        names.push(format!("and {rest} more"));
    }
    names
}
