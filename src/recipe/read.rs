//! From the tree to a recipe.

use std::path::Path;

use super::error::RecipeError;
use super::schema::*;
use crate::keys::{Item, KeyError, Keyed, Node, Place, Table, split_key};

/// Reads a whole recipe. `origin` names the file; its stem stands in for a missing name.
pub(super) fn recipe(root: &Node, origin: &str) -> Result<Recipe, KeyError> {
    let root = Item { path: String::new(), node: root }.table("a table")?;
    let mut recipe = Recipe::of(root.clone())?;
    let stem = Path::new(origin).file_stem().and_then(|stem| stem.to_str()).filter(|stem| is_folder_name(stem));
    if let (Some(stem), None) = (stem, root.get("name")) {
        recipe.name = stem.to_string();
    }
    if let (ScheduleKind::Phases(phases), None) = (&recipe.schedule.kind, root.section("train")?.get("epochs")) {
        recipe.train.epochs = phases.iter().map(|phase| phase.epochs).sum();
    }
    check_metrics(&root, &recipe)?;
    check_class_weights(&root, &recipe)?;
    check_targets(&root, &recipe)?;
    Ok(recipe)
}

/// Refuses weights of classes where the loss knows none, and beside smoothed labels: PyTorch weighs the share that smoothing
/// gives to a class by that class' weight, and not by the label's.
fn check_class_weights(root: &Table<'_>, recipe: &Recipe) -> Result<(), KeyError> {
    let (ModelSpec { loss, label_smoothing, .. }, data) = (&recipe.model, root.section("data")?);
    let Some(item) = data.get("class_weights") else { return Ok(()) };
    if loss.takes_values() {
        return Err(item.conflict(format!(
            "weighs classes, and the loss {loss} is one of values; remove it, take softmax_cross_entropy or \
             binary_cross_entropy, or weigh examples with data.sample_weights"
        )));
    }
    if *label_smoothing != 0.0 {
        return Err(item.conflict(
            "does not go together with model.label_smoothing: a smoothed label is of several classes; remove one, or weigh \
             examples with data.sample_weights",
        ));
    }
    Ok(())
}

/// Refuses inputs as targets beside what needs labels, or changes the inputs alone.
fn check_targets(root: &Table<'_>, recipe: &Recipe) -> Result<(), KeyError> {
    let data = root.section("data")?;
    let Some(item) = data.get("targets") else { return Ok(()) };
    if recipe.model.loss == Loss::SoftmaxCrossEntropy {
        return Err(item.conflict(
            "needs a loss of values, and softmax_cross_entropy is one of classes; set model.loss = \"mse\", or binary_cross_entropy \
             for inputs from 0 to 1",
        ));
    }
    let of_labels = ["class_weights", "sample_weights", "classes"].into_iter().find(|key| data.get(key).is_some());
    if let Some(key) = of_labels {
        return Err(item.conflict(format!("leaves no labels for data.{key}; remove one")));
    }
    if recipe.augment.changes_images() {
        return Err(
            item.conflict("does not go together with [augment]: images would change, and the targets not; remove one")
        );
    }
    Ok(())
}

/// Whoever watches a metric needs the examples it is measured on.
fn check_metrics(table: &Table<'_>, recipe: &Recipe) -> Result<(), KeyError> {
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
        Some(sweep) if sweep.recipes.is_empty() => check("sweep", "metric", sweep.metric),
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
