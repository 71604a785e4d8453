//! From a `[sweep]` table to the recipes it stands for.

use std::path::Path;

use super::error::{Place, RecipeError, nearest};
use super::read;
use super::schema::{Recipe, SweepSpec};
use super::tree::{Node, split_key};
use super::{builtin_names, read_text};

/// One run of a sweep: what sets it apart, and its recipe.
pub type Variation = (Vec<(String, toml::Value)>, Recipe);

/// Above this a sweep is surely a mistake.
const MAX_RUNS: usize = 10_000;

impl SweepSpec {
    /// Every run of the sweep, in this order: the listed recipes first to last; for each, every combination of the
    /// grid, its keys in the order of the file and the last one changing fastest; for each, the trials with seed,
    /// seed + 1, … Beside each recipe stands what sets it apart: `recipe` where several are listed, the grid's keys
    /// that take more than one value, `seed` where there are several trials.
    ///
    /// `base`, `origin` and `overrides` are the text that holds the sweep, its file, and the overrides it was read
    /// with: keys left to their defaults there (the weight decay of an optimizer, say) follow the grid's values.
    /// Listed recipes are files, relative to the base's folder or the current one, or names of bundled ones; the
    /// overrides apply to them too, except those of the base's own `sweep` table and name.
    pub fn expand(
        &self,
        base: &str,
        origin: &str,
        overrides: &[(String, String)],
    ) -> Result<Vec<Variation>, RecipeError> {
        let combinations = self.grid.iter().try_fold(1usize, |n, (_, values)| n.checked_mul(values.len()));
        let runs = combinations
            .and_then(|n| n.checked_mul(self.trials as usize))
            .and_then(|n| n.checked_mul(self.recipes.len().max(1)));
        if runs.is_none_or(|runs| runs > MAX_RUNS) {
            return Err(RecipeError::SweepTooLarge { origin: origin.into(), limit: MAX_RUNS });
        }
        let mut runs = Vec::new();
        if self.recipes.is_empty() {
            self.expand_one(
                &Text { text: base.into(), origin: origin.into(), beside: None },
                overrides,
                &[],
                &mut runs,
            )?;
        }
        let inherited: Vec<_> = overrides.iter().filter(|(key, _)| !is_of_the_base(key)).cloned().collect();
        for name in &self.recipes {
            let label = [("recipe".to_string(), toml::Value::String(name.clone()))];
            let label = if self.recipes.len() > 1 { &label[..] } else { &[] };
            self.expand_one(&find_recipe(name, origin)?, &inherited, label, &mut runs)?;
        }
        Ok(runs)
    }

    fn expand_one(
        &self,
        text: &Text,
        overrides: &[(String, String)],
        label: &[(String, toml::Value)],
        runs: &mut Vec<Variation>,
    ) -> Result<(), RecipeError> {
        let tree = read::tree(&text.text, &text.origin, overrides)?;
        let mut choice = vec![0; self.grid.len()];
        loop {
            let (varied, recipe) = self.combine(&tree, &text.origin, &choice)?;
            for trial in 0..self.trials {
                let mut recipe = Recipe { seed: recipe.seed.wrapping_add(trial.into()), ..recipe.clone() };
                let mut varied = [label, &varied].concat();
                if self.trials > 1 {
                    varied.push(("seed".into(), seed_value(recipe.seed)));
                }
                if let Some(path) = &text.beside {
                    recipe.find_beside(path);
                }
                runs.push((varied, recipe));
            }
            if !self.advance(&mut choice) {
                return Ok(());
            }
        }
    }

    /// One combination of the grid on one recipe.
    fn combine(&self, tree: &Node, origin: &str, choice: &[usize]) -> Result<Variation, RecipeError> {
        let mut tree = tree.clone();
        let mut varied = Vec::new();
        for ((key, values), index) in self.grid.iter().zip(choice) {
            let value = &values[*index];
            let setting = format!("{origin}: [sweep] {key} = {value}");
            let node = Node::from_toml(value, &Place::Setting(setting.as_str().into()));
            let outcome = split_key(key).and_then(|path| tree.set(&path, node));
            outcome.map_err(|problem| RecipeError::Override { setting, problem })?;
            if values.len() > 1 {
                varied.push((key.clone(), value.clone()));
            }
        }
        let recipe = read::recipe(&tree, origin)?;
        // A combination is one run; the sweep belongs to the base.
        Ok((varied, Recipe { sweep: None, ..recipe }))
    }

    /// The next combination, the last key changing fastest; false after the last one.
    fn advance(&self, choice: &mut [usize]) -> bool {
        for (index, (_, values)) in choice.iter_mut().zip(&self.grid).rev() {
            *index += 1;
            if *index < values.len() {
                return true;
            }
            *index = 0;
        }
        false
    }
}

/// Overrides that speak of the sweep's own recipe, not of those it lists.
fn is_of_the_base(key: &str) -> bool {
    key == "name" || key == "sweep" || key.starts_with("sweep.")
}

fn seed_value(seed: u64) -> toml::Value {
    i64::try_from(seed).map_or_else(|_| toml::Value::String(seed.to_string()), toml::Value::Integer)
}

struct Text {
    text: String,
    origin: String,
    /// The file, where data may lie beside it.
    beside: Option<std::path::PathBuf>,
}

fn find_recipe(name: &str, origin: &str) -> Result<Text, RecipeError> {
    let folder = Path::new(origin).parent().unwrap_or(Path::new(""));
    for path in [folder.join(name), name.into()] {
        if path.is_file() {
            let text = read_text(&path)?;
            return Ok(Text { text, origin: path.display().to_string(), beside: Some(path) });
        }
    }
    let bundled = name.strip_suffix(".toml").unwrap_or(name);
    match Recipe::builtin(bundled) {
        Some(text) => Ok(Text { text: text.into(), origin: format!("{bundled}.toml"), beside: None }),
        None => Err(RecipeError::NoSuchRecipe {
            origin: origin.into(),
            name: name.into(),
            suggestion: nearest(bundled, builtin_names()),
        }),
    }
}
