//! From a `[sweep]` table to the recipes it stands for.

use std::path::Path;

use super::error::RecipeError;
use super::read;
use super::schema::{Recipe, SweepSpec};
use super::text::RecipeText;
use crate::keys::{Node, Place, split_key};

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
    /// `base` is the text that holds the sweep, and `overrides` those it was read with: keys left to their defaults
    /// there (the weight decay of an optimizer, say) follow the grid's values. Listed recipes are files, relative to
    /// the base's folder or the current one, or names of bundled ones; the overrides apply to them too, except those
    /// of the base's own `sweep` table and name.
    pub fn expand(&self, base: &RecipeText, overrides: &[(String, String)]) -> Result<Vec<Variation>, RecipeError> {
        self.refuse_lost(overrides)?;
        if self.count().is_none_or(|runs| runs > MAX_RUNS) {
            return Err(RecipeError::SweepTooLarge { origin: base.origin.clone(), limit: MAX_RUNS });
        }
        let mut runs = Vec::new();
        if self.recipes.is_empty() {
            self.expand_one(base, overrides, &[], &mut runs)?;
        }
        let folder = base.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let inherited: Vec<_> = overrides.iter().filter(|(key, _)| !is_of_the_base(key)).cloned().collect();
        for name in &self.recipes {
            let label = [("recipe".to_string(), toml::Value::String(name.clone()))];
            let label = if self.recipes.len() > 1 { &label[..] } else { &[] };
            self.expand_one(&RecipeText::find_from(name, folder)?, &inherited, label, &mut runs)?;
        }
        Ok(runs)
    }

    /// Refuses overrides that the grid would replace: of its keys, or of parts of them.
    fn refuse_lost(&self, overrides: &[(String, String)]) -> Result<(), RecipeError> {
        for (key, value) in overrides {
            // What is no key is said where it is applied.
            let path = split_key(key).unwrap_or_default();
            let replaces = |(varied, _): &&(String, Vec<toml::Value>)| {
                split_key(varied).is_ok_and(|varied| path.starts_with(&varied))
            };
            if let Some((varied, _)) = self.grid.iter().find(replaces) {
                return Err(RecipeError::SweepSets { setting: format!("--set {key}={value}"), key: varied.clone() });
            }
        }
        Ok(())
    }

    /// How many runs the sweep has, if that is a number.
    fn count(&self) -> Option<usize> {
        let grid = self.grid.iter().try_fold(1usize, |n, (_, values)| n.checked_mul(values.len()))?;
        grid.checked_mul(self.trials as usize)?.checked_mul(self.recipes.len().max(1))
    }

    fn expand_one(
        &self,
        base: &RecipeText,
        overrides: &[(String, String)],
        label: &[(String, toml::Value)],
        runs: &mut Vec<Variation>,
    ) -> Result<(), RecipeError> {
        let tree = read::tree(&base.text, &base.origin, overrides)?;
        let mut choice = vec![0; self.grid.len()];
        loop {
            let (varied, mut recipe) = self.combine(&tree, &base.origin, &choice)?;
            base.find_data(&mut recipe);
            for trial in 0..self.trials {
                let recipe = Recipe { seed: recipe.seed.wrapping_add(trial.into()), ..recipe.clone() };
                let mut varied = [label, &varied].concat();
                if self.trials > 1 {
                    varied.push(("seed".into(), seed_value(recipe.seed)));
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
