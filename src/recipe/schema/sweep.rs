//! `[sweep]`: variations of a recipe.

use super::{Metric, Recipe};
#[cfg(test)]
use crate::keys::KeyReference;
use crate::keys::{
    Entries, Entry, Form, Item, KeyError, Keyed, List, Node, Table, Text, Unless, Value, Whole, Written, keyed, nearest,
};

keyed! {
    /// Variations of a recipe.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SweepSpec {
        /// Whole recipes (paths, or names of bundled ones) that take the place of the base recipe.
        pub recipes: Vec<String> [Unless(Vec::new(), RECIPES); "[\"fashion5-mlp1\", \"fashion5-mlp2\"]"],
        /// Recipe keys and the values each one takes; every combination is trained.
        pub grid: Vec<(String, Vec<toml::Value>)> [Grid; "[0.1, 0.01]"],
        /// Every combination is trained with so many seeds: seed, seed + 1, …
        pub trials: u32 [Whole(1)] = 1,
        /// What tells the best combination.
        pub metric: Metric = Metric::ValidationAccuracy,
        /// Whether the best combination is trained again on training and validation examples together.
        pub retrain: bool = false,
    }
}

const RECIPES: List<Text, String> = List(RECIPE_NAMES, Text(RECIPE_NAMES, |_| true), |names| !names.is_empty());

const RECIPE_NAMES: &str = "a list of recipe files or names of bundled recipes";

impl Default for SweepSpec {
    fn default() -> SweepSpec {
        SweepSpec::with_defaults(&[])
    }
}

/// Every key that is none of the table's own.
struct Grid;

impl Grid {
    /// The keys of `[sweep]` that are not recipe keys.
    fn own() -> impl Iterator<Item = &'static str> {
        SweepSpec::KEYS.iter().copied().filter(|key| *key != "grid")
    }

    /// The keys of a recipe that can vary.
    fn varied() -> impl Iterator<Item = &'static str> {
        Recipe::KEYS.iter().copied().filter(|key| *key != "sweep")
    }
}

type Variations = Vec<(String, Vec<toml::Value>)>;

impl Form<Variations> for Grid {
    fn expected(&self) -> String {
        "a list of values to try, such as [0.1, 0.01]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Variations, KeyError> {
        Err(item.wrong(self.expected()))
    }

    fn get(&self, table: &Table<'_>, _: &str) -> Result<Variations, KeyError> {
        let mut grid = Vec::new();
        for (key, item) in table.items().filter(|(key, _)| !Grid::own().any(|own| own == *key)) {
            variations(key, &item, &mut grid)?;
        }
        Ok(grid)
    }

    fn write(&self, _: &str, grid: &Variations, entries: &mut Entries) {
        for (key, values) in grid {
            let key = toml::Value::String(key.clone()).to_string();
            entries.put(&key, &toml::Value::Array(values.clone()));
        }
    }

    fn known<'a>(&self, _: &'static str, table: &Table<'a>) -> Result<Vec<&'a str>, KeyError> {
        Ok(table.items().map(|(key, _)| key).collect())
    }

    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        vec![KeyReference { key: "\"optimizer.learning_rate\"".into(), required: false, ..key }]
    }
}

impl Written for (String, Vec<toml::Value>) {
    fn written(&self) -> Option<Entry> {
        toml::Value::Array(self.1.clone()).written()
    }
}

/// Collects the values of one key. `[sweep.optimizer]` and dotted keys are tables here, and mean the same as a quoted
/// key, so that nobody has to remember the quotes.
fn variations(key: &str, item: &Item<'_>, grid: &mut Vec<(String, Vec<toml::Value>)>) -> Result<(), KeyError> {
    let first = key.split('.').next().unwrap_or(key);
    if !Grid::varied().any(|key| key == first) {
        return Err(KeyError::UnknownKey {
            place: item.node.place.clone(),
            key: item.path.clone(),
            suggestion: nearest(first, Grid::own().chain(Grid::varied())).map(str::to_string),
            known: Grid::own()
                .chain(["any key of a recipe, such as \"optimizer.learning_rate\""])
                .map(str::to_string)
                .collect(),
        });
    }
    match &item.node.value {
        Value::Table(entries) => {
            for (name, node) in entries {
                let inner = Item { path: format!("{}.{name}", item.path), node };
                variations(&format!("{key}.{name}"), &inner, grid)?;
            }
            Ok(())
        }
        Value::Array(values) if !values.is_empty() => {
            if grid.iter().any(|(known, _)| known == key) {
                return Err(item.conflict("is given twice"));
            }
            grid.push((key.to_string(), values.iter().map(Node::to_toml).collect()));
            Ok(())
        }
        _ => Err(item.wrong(Grid.expected())),
    }
}
