//! The list of experiments.

use super::super::CliError;
use gputrain::file::FileError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The experiments that come with the program.
const BUNDLED: &str = include_str!("../../../data/gallery.toml");

/// Experiments, and what to call the columns of other people's figures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    #[serde(default = "coursework")]
    pub coursework: String,
    #[serde(default = "pytorch")]
    pub pytorch: String,
    #[serde(rename = "experiment")]
    pub experiments: Vec<Experiment>,
}

fn coursework() -> String {
    "coursework".into()
}

fn pytorch() -> String {
    "PyTorch".into()
}

/// What an experiment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Does {
    Train,
    Sweep,
    Gradients,
    /// Trains, and draws the loss around the path of the weights.
    Landscape,
}

/// One experiment; `data/gallery.toml` explains the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Experiment {
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub text: String,
    pub does: Does,
    pub recipe: String,
    #[serde(default)]
    pub set: Vec<String>,
    #[serde(default)]
    pub reduced: Vec<String>,
    pub init: Option<String>,
    #[serde(default)]
    pub check: bool,
    #[serde(default)]
    pub published: BTreeMap<String, Vec<f64>>,
    pub picture: Option<String>,
    #[serde(default)]
    pub figures: Vec<Figure>,
}

/// A figure to be read off an experiment, beside other people's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    pub what: String,
    pub value: String,
    pub of: Option<Of>,
    pub coursework: Option<String>,
    pub pytorch: Option<String>,
}

/// Which combination of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Of {
    Number(usize),
    Label(String),
}

impl List {
    /// The bundled list, or that of a file.
    pub fn load(file: Option<&Path>) -> Result<List, CliError> {
        let (text, origin) = match file {
            Some(path) => {
                let text = gputrain::file::read_text(path).map_err(FileError::at(path))?;
                (text, path.display().to_string())
            }
            None => (BUNDLED.to_string(), "data/gallery.toml".to_string()),
        };
        let wrong = |problem: String| CliError::Usage(format!("{origin}: not a list of experiments: {problem}"));
        let list: List = toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().to_string()))?;
        for (index, experiment) in list.experiments.iter().enumerate() {
            let name = &experiment.name;
            // It becomes a folder and a part of links.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                return Err(wrong(format!("name = \"{name}\": expected letters, digits, - and _ (it names a folder)")));
            }
            if list.experiments[..index].iter().any(|other| other.name == *name) {
                return Err(wrong(format!("name = \"{name}\" is there twice")));
            }
        }
        Ok(list)
    }

    /// Whether each experiment is among those asked for; all are if none is named.
    pub fn chosen(&self, only: &[String]) -> Result<Vec<bool>, CliError> {
        let names: Vec<&str> = self.experiments.iter().map(|experiment| experiment.name.as_str()).collect();
        match only.iter().find(|name| !names.contains(&name.as_str())) {
            Some(unknown) => {
                Err(CliError::Usage(format!("--only {unknown}: no such experiment; there are {}", names.join(", "))))
            }
            None => Ok(names.iter().map(|name| only.is_empty() || only.iter().any(|wanted| wanted == name)).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gputrain::recipe::Recipe;

    #[test]
    fn the_bundled_experiments_name_bundled_recipes_and_readable_changes() {
        let list = List::load(None).unwrap();
        assert!(list.experiments.len() >= 10);
        for experiment in &list.experiments {
            let text = Recipe::builtin(&experiment.recipe).unwrap_or_else(|| panic!("{}", experiment.recipe));
            let changes = experiment.set.iter().chain(&experiment.reduced);
            let changes: Vec<(String, String)> = changes
                .map(|change| change.split_once('=').map(|(key, value)| (key.into(), value.into())).unwrap())
                .collect();
            let recipe = Recipe::parse(text, &experiment.name, &changes).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(recipe.sweep.is_some(), experiment.does == Does::Sweep, "{}", experiment.name);
            assert!(!experiment.figures.is_empty() && !experiment.text.is_empty(), "{}", experiment.name);
        }
    }

    #[test]
    fn only_takes_names_of_the_list() {
        let list = List::load(None).unwrap();
        let chosen = list.chosen(&["mnist-rates".to_string()]).unwrap();
        assert_eq!(chosen.iter().filter(|chosen| **chosen).count(), 1);
        assert!(list.chosen(&[]).unwrap().iter().all(|chosen| *chosen));
        let error = list.chosen(&["mnist-rate".to_string()]).unwrap_err();
        assert!(error.message().unwrap().contains("mnist-rates"), "{error:?}");
    }
}
