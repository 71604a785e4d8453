//! From the tree to a recipe: names, types, ranges, defaults.

mod data;
mod network;
mod training;

use std::path::Path;

use super::error::RecipeError;
use super::schema::*;
use crate::keys::{Item, KeyError, Node, Place, Table, split_key};

const KEYS: &[&str] = &["name", "seed", "precision", "data", "model", "optimizer", "schedule", "train", "sweep"];

/// Reads a whole recipe. `origin` names the file; its stem stands in for a missing name.
pub(super) fn recipe(root: &Node, origin: &str) -> Result<Recipe, KeyError> {
    let root = Item { path: String::new(), node: root };
    let table = root.table("a table")?.only(KEYS)?;
    let sweep = table.get("sweep").map(|item| training::sweep(&item)).transpose()?;
    let lists_recipes = sweep.as_ref().is_some_and(|sweep| !sweep.recipes.is_empty());
    let (schedule, phase_epochs) = match table.get("schedule") {
        Some(item) => training::schedule(&item)?,
        None => (Schedule::default(), None),
    };
    let recipe = Recipe {
        name: match table.get("name") {
            Some(item) => name(&item)?,
            None => name_from(origin),
        },
        seed: table.get("seed").map_or(Ok(0), |item| item.whole(0))?,
        precision: table.get("precision").map_or(Ok(Precision::default()), |item| item.word())?,
        data: data::data(table.section("data")?)?,
        model: network::model(table.section("model")?, lists_recipes)?,
        optimizer: training::optimizer(table.section("optimizer")?)?,
        schedule,
        train: training::train(table.section("train")?, phase_epochs)?,
        sweep,
    };
    check_metrics(&table, &recipe, lists_recipes)?;
    Ok(recipe)
}

/// A name that can be a folder on every system.
fn name(item: &Item<'_>) -> Result<String, KeyError> {
    let expected = "a name of 1 to 100 characters that can be a folder: no / \\ : * ? \" < > |, and not only dots";
    let text = item.text(expected)?;
    if is_folder_name(text) { Ok(text.to_string()) } else { Err(item.wrong(expected)) }
}

fn is_folder_name(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    (1..=100).contains(&text.chars().count())
        && !text.contains(forbidden)
        && text.chars().any(|c| c != '.')
        && text.trim() == text
}

fn name_from(origin: &str) -> String {
    let stem = Path::new(origin).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if is_folder_name(stem) { stem.to_string() } else { "recipe".to_string() }
}

/// Whoever watches a metric needs the examples it is measured on.
fn check_metrics(table: &Table<'_>, recipe: &Recipe, lists_recipes: bool) -> Result<(), KeyError> {
    let check = |section: &str, key: &str, metric: Metric| match unmeasured(&recipe.data, metric) {
        Some(problem) => {
            let section = table.require(section, &problem)?;
            // Where the metric is the default, the section is what asks for it.
            let found = section.table("a table").ok().and_then(|table| table.get(key));
            Err(found.unwrap_or(section).conflict(problem))
        }
        None => Ok(()),
    };
    if let ScheduleKind::Plateau { metric, .. } = recipe.schedule.kind {
        check("schedule", "metric", metric)?;
    }
    if let Some(stop) = &recipe.train.early_stop {
        check("train", "early_stop", stop.metric)?;
    }
    match &recipe.sweep {
        Some(sweep) if !lists_recipes => check("sweep", "metric", sweep.metric),
        _ => Ok(()),
    }
}

/// Why the metric cannot be measured on this data, if it cannot.
fn unmeasured(data: &DataSpec, metric: Metric) -> Option<String> {
    let (has, key, example) = match metric.set {
        Set::Train => return None,
        Set::Validation => (data.validation != Holdout::None, "validation", "validation = 0.1"),
        // The generated digits bring their own test set.
        Set::Test => (data.test != Holdout::None || data.train.is_none(), "test", "test = { images = …, labels = … }"),
    };
    (!has).then(|| {
        format!("the metric is {metric}, but there is no {key} set; add {example} to [data], or watch another metric")
    })
}

/// Parses text with overrides applied.
pub(super) fn parse(text: &str, origin: &str, overrides: &[(String, String)]) -> Result<Recipe, RecipeError> {
    Ok(recipe(&tree(text, origin, overrides)?, origin)?)
}

/// The tree of a recipe's text with overrides applied, not yet interpreted.
pub(super) fn tree(text: &str, origin: &str, overrides: &[(String, String)]) -> Result<Node, RecipeError> {
    let mut root = Node::parse(text, origin)?;
    for (key, value) in overrides {
        let setting = format!("--set {key}={value}");
        let place = Place::Setting(setting.as_str().into());
        let outcome = split_key(key).and_then(|path| {
            let node = Node::parse_setting(value, &place).map_err(|error| error.to_string())?;
            root.replace(&path, node)
        });
        outcome.map_err(|problem| RecipeError::Override { setting, problem })?;
    }
    Ok(root)
}
