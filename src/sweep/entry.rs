//! The runs that a sweep stands for.

use super::SweepError;
use crate::job::JobError;
use crate::model::Model;
use crate::recipe::{Holdout, Metric, Recipe, RecipeText, ScheduleKind, Set, SweepSpec};
use std::path::Path;

/// The folder of the best, trained once more, in that of the sweep.
pub(super) const RETRAINED: &str = "best";

/// A recipe's sweep, ready to run: every run with its data found.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The recipe that holds the `[sweep]` table, as it was resolved.
    pub recipe: Recipe,
    /// The table.
    pub spec: SweepSpec,
    /// Every run: combination after combination, in each the trials.
    pub entries: Vec<Entry>,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The number of its combination; trials share it.
    pub combination: usize,
    /// What sets the combination apart from the others.
    pub settings: Vec<(String, toml::Value)>,
    /// The recipe of this run.
    pub recipe: Recipe,
    /// Its folder, relative to that of the sweep.
    pub folder: String,
}

impl Sweep {
    /// Reads the sweep of a recipe, and checks what can be checked before training.
    pub fn load(text: &RecipeText, overrides: &[(String, String)], data: Option<&Path>) -> Result<Sweep, SweepError> {
        let mut recipe = text.parse(overrides)?;
        let spec = recipe.sweep.clone().ok_or_else(|| SweepError::NoSweep(text.origin.clone()))?;
        let mut variations = spec.expand(text, overrides)?;
        for (_, recipe) in &mut variations {
            recipe.prefer_data(data, text.path.as_deref());
            recipe.resolve_data(data)?;
        }
        if spec.recipes.is_empty() {
            recipe.prefer_data(data, text.path.as_deref());
            recipe.resolve_data(data)?;
        }
        let trials = spec.trials.max(1) as usize;
        let mut entries: Vec<Entry> = Vec::new();
        for (index, (mut settings, mut recipe)) in variations.into_iter().enumerate() {
            if trials > 1 {
                // The seed of the trial.
                settings.pop();
                // All trials hold out what the first one's seed picks. The recipe says so: it repeats the run.
                let first = entries.get(index / trials * trials).map_or(recipe.seed, |first| first.recipe.seed);
                recipe.data.seed.get_or_insert(first);
            }
            let seed = if trials > 1 { format!("-seed-{}", recipe.seed) } else { String::new() };
            let folder = format!("runs/{index:03}{}{seed}", slug(&label(&settings)));
            entries.push(Entry { combination: index / trials, settings, recipe, folder });
        }
        let sweep = Sweep { recipe, spec, entries };
        sweep.check()?;
        Ok(sweep)
    }

    /// The runs of a combination.
    pub fn trials(&self, combination: usize) -> std::ops::Range<usize> {
        let trials = self.spec.trials.max(1) as usize;
        combination * trials..(combination + 1) * trials
    }

    /// Number of combinations.
    pub fn combinations(&self) -> usize {
        self.entries.last().map_or(0, |last| last.combination + 1)
    }

    /// What would otherwise come out only after hours.
    fn check(&self) -> Result<(), SweepError> {
        for Entry { recipe, .. } in &self.entries {
            if !recipe.model.leaves_to_data() {
                Model::of(recipe, None).map_err(JobError::Model)?;
            }
            if let Some(set) = missing_set(recipe, self.spec.metric) {
                let (metric, name) = (self.spec.metric, recipe.name.clone());
                return Err(SweepError::NoMetric { metric, name, set });
            }
            if self.spec.retrain
                && recipe.data.sample_weights.is_some()
                && matches!(recipe.data.validation, Holdout::Files(_))
            {
                return Err(SweepError::RetrainWeighs { name: recipe.name.clone() });
            }
            let slows = recipe.train.early_stop.filter(|rule| rule.slow_down.is_some()).map(|rule| rule.metric);
            let watched = match recipe.schedule.kind {
                ScheduleKind::Plateau { metric, .. } => [Some(metric), slows],
                _ => [None, slows],
            };
            let watched = watched.into_iter().flatten().find(|metric| metric.set == Set::Validation);
            if let Some(metric) = watched.filter(|_| self.spec.retrain) {
                return Err(SweepError::RetrainWatches { metric, name: recipe.name.clone() });
            }
        }
        Ok(())
    }
}

/// The set that a metric needs and the recipe does not have.
fn missing_set(recipe: &Recipe, metric: Metric) -> Option<&'static str> {
    let data = &recipe.data;
    let missing = match metric.set {
        Set::Train => false,
        Set::Validation => data.validation == Holdout::None,
        // The generated digits bring a test set.
        Set::Test => data.test == Holdout::None && data.train.is_some(),
    };
    missing.then_some(metric.set.name())
}

/// A setting's value as a person writes it.
pub(super) fn value_text(value: &toml::Value) -> String {
    let list = |values: &[toml::Value]| values.iter().map(value_text).collect::<Vec<_>>();
    match value {
        toml::Value::String(text) => short(text),
        toml::Value::Float(number) if *number != 0.0 && !(1e-4..1e6).contains(&number.abs()) => format!("{number:e}"),
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => list(values).join("; "),
        toml::Value::Array(values) => format!("[{}]", list(values).join(", ")),
        toml::Value::Table(entries) => {
            let entry = |(key, value): (&String, &toml::Value)| format!("{} {}", name(key), value_text(value));
            entries.iter().map(entry).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Layers that come several times in a row, told once: "40:relu ×3,10".
fn short(text: &str) -> String {
    let parts: Vec<&str> = text.split(',').collect();
    let told = |run: &[&str]| if run.len() > 1 { format!("{} ×{}", run[0], run.len()) } else { run[0].to_string() };
    parts.chunk_by(|a, b| a == b).map(told).collect::<Vec<_>>().join(",")
}

/// The last part of a key, for people.
fn name(key: &str) -> String {
    key.rsplit('.').next().unwrap_or(key).replace('_', " ")
}

/// What a table calls the settings: the last parts of their keys, or the whole keys where those would be the same.
pub(super) fn names(settings: &[(String, toml::Value)]) -> Vec<String> {
    let short: Vec<String> = settings.iter().map(|(key, _)| name(key)).collect();
    let distinct = short.iter().collect::<std::collections::BTreeSet<_>>().len() == short.len();
    if distinct { short } else { settings.iter().map(|(key, _)| key.clone()).collect() }
}

/// A combination in a few words: texts and tables speak for themselves, other values go with the last part of their key.
pub(super) fn label(settings: &[(String, toml::Value)]) -> String {
    let speaks = |value: &toml::Value| match value {
        toml::Value::String(_) | toml::Value::Table(_) => true,
        toml::Value::Array(values) => values.iter().any(toml::Value::is_table),
        _ => false,
    };
    let word = |(key, value): &(String, toml::Value)| {
        if speaks(value) { value_text(value) } else { format!("{} {}", name(key), value_text(value)) }
    };
    settings.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// A label as part of a file name.
fn slug(label: &str) -> String {
    const LONGEST: usize = 48;
    let mut slug = String::new();
    for c in label.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
        if !(c == '-' && (slug.is_empty() || slug.ends_with('-'))) {
            slug.push(c);
        }
    }
    slug.truncate(LONGEST);
    let slug = slug.trim_end_matches(['-', '.']);
    if slug.is_empty() { String::new() } else { format!("-{slug}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_combination_has_a_short_name() {
        let setting = |key: &str, value: &str| -> (String, toml::Value) {
            let table: toml::Table = format!("x = {value}").parse().unwrap();
            (key.to_string(), table["x"].clone())
        };
        let phases = setting("schedule.phases", "[{ epochs = 24, rate = 0.1 }, { epochs = 3, rate = 1e-7 }]");
        assert_eq!(label(&[phases]), "epochs 24 rate 0.1; epochs 3 rate 1e-7");
        let keys = ["train.batch", "train.log_every"].map(|key| setting(key, "1"));
        assert_eq!(names(&keys), ["batch", "log every"]);
        assert_eq!(names(&["a.x", "b.x"].map(|key| setting(key, "1"))), ["a.x", "b.x"]);
        assert_eq!(value_text(&"40:relu,40:relu,40:relu,10".into()), "40:relu ×3,10");
        let settings = [setting("model.activation", "\"tanh\""), setting("optimizer.learning_rate", "0.05")];
        assert_eq!(label(&settings), "tanh, learning rate 0.05");
        assert_eq!(slug(&label(&settings)), "-tanh-learning-rate-0.05");
        assert_eq!((slug(""), slug("../..")), (String::new(), "-..-".trim_end_matches('-').replace("-..", "")));
        let long = slug(&"30:relu,".repeat(20));
        assert!(long.len() < 60 && !long.ends_with('-'), "{long}");
    }
}
