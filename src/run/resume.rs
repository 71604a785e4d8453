//! What a run may change when it goes on.

use super::RunError;
use crate::recipe::Recipe;
use crate::train::Progress;
use std::path::Path;
use toml::{Table, Value};

/// Keys, and tables of keys, that decide nothing of the state that a checkpoint holds. The trackers of early stopping and
/// of a plateau begin anew where another metric is watched.
const MAY_CHANGE: [&str; 11] = [
    "name",
    "optimizer.learning_rate",
    "schedule",
    "sweep",
    "train.checkpoint_every",
    "train.checkpoint_steps",
    "train.early_stop",
    "train.epochs",
    "train.log_every",
    "train.record",
    "train.validate_every",
];

/// Refuses to go on with `recipe` where the run in `folder` had `before` and came as far as its checkpoint says: the state
/// would be taken for that of another run, with other batches, held-out examples or moments.
pub fn check_resume(folder: &Path, before: &Recipe, recipe: &Recipe, progress: &Progress) -> Result<(), RunError> {
    let [had, asks] = [before, recipe].map(settings);
    let had_value = |key: &String| had.iter().find(|(known, _)| known == key).map(|(_, value)| value);
    let changed = |(key, value): &&(String, Value)| !may_change(key) && had_value(key).is_some_and(|had| had != value);
    let gone = |(key, _): &&(String, Value)| !may_change(key) && !asks.iter().any(|(asked, _)| asked == key);
    let new = |(key, _): &&(String, Value)| !may_change(key) && had_value(key).is_none();
    // What has another value, before what comes and goes with it: an optimizer's kind before its numbers.
    if let Some((key, _)) = asks.iter().find(changed).or(had.iter().find(gone)).or(asks.iter().find(new)) {
        let text = |settings: &[(String, Value)]| {
            let found = settings.iter().find(|(known, _)| known == key);
            found.map_or("nothing".into(), |(_, value)| value.to_string())
        };
        let (had, asked) = (text(&had), text(&asks));
        return Err(RunError::Changed { folder: folder.into(), key: key.clone(), had, asked });
    }
    let (done, epochs) = (progress.epoch, recipe.train.epochs);
    if done >= epochs {
        return Err(RunError::Behind { folder: folder.into(), done, epochs });
    }
    match (&recipe.train.early_stop, &progress.early_stop[..]) {
        // Where another metric is watched than before, the tracker begins anew.
        (Some(rule), [tracker]) if tracker.has_waited(rule) && progress.watched[0] == Some(rule.metric.to_string()) => {
            let (metric, waited, patience) = (rule.metric.to_string(), tracker.waited, rule.patience);
            Err(RunError::Stopped { folder: folder.into(), epoch: done, metric, waited, patience })
        }
        _ => Ok(()),
    }
}

/// What is to be said where epochs that are done, or begun, had another learning rate than `recipe` gives them: the weights
/// will not be those of a run by this recipe from its start. A cosine depends on the number of all epochs.
pub fn rate_notes(before: &Recipe, recipe: &Recipe, progress: &Progress) -> Vec<String> {
    let rates = |epoch: u32| {
        // Of a schedule by step, the rate at the epoch's begin, as if it had one step.
        [before, recipe].map(|r| {
            let (base, epochs) = (r.optimizer.learning_rate, r.train.epochs);
            r.schedule.learning_rate(base, epoch, epochs) * r.schedule.factor(base, epoch.into(), 1, epochs)
        })
    };
    let differs = |epoch: &u32| rates(*epoch)[0] != rates(*epoch)[1];
    let mut notes = Vec::new();
    let done = (0..progress.epoch).filter(differs);
    if let Some(first) = done.clone().next() {
        let [had, has] = rates(first);
        notes.push(format!(
            "note: {} of the {} epochs done had another learning rate than they would have now (epoch {}: {had}, now {has}): the \
             run will not end with the weights of one that had these settings from its start",
            done.count(),
            progress.epoch,
            first + 1,
        ));
    }
    if progress.step_in_epoch > 0 && differs(&progress.epoch) {
        let [had, has] = rates(progress.epoch);
        let (epoch, steps) = (progress.epoch + 1, progress.step_in_epoch);
        notes.push(format!(
            "note: {steps} steps of epoch {epoch} were taken at a learning rate of {had}, the others follow at {has}; its line in \
             metrics.jsonl tells both"
        ));
    }
    notes
}

fn may_change(key: &str) -> bool {
    let rest = |free: &&str| key.strip_prefix(*free);
    MAY_CHANGE.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Every key of a recipe with its value, defaults included.
fn settings(recipe: &Recipe) -> Vec<(String, Value)> {
    // A recipe is written as TOML that can be read.
    let table: Table = recipe
        .to_toml()
        .parse()
        .unwrap_or_else(|error| unreachable!("the recipe that was written cannot be read: {error}"));
    let mut settings = Vec::new();
    flatten("", table, &mut settings);
    settings
}

fn flatten(prefix: &str, table: Table, settings: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => flatten(&format!("{key}."), inner, settings),
            value => settings.push((key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Tracker;

    const TEXT: &str = "seed = 3\n[data]\nvalidation = 100\n[model]\ninput = [784]\nlayers = \"12:relu,10\"\n\
                        [optimizer]\nkind = \"adam\"\nclip_norm = 1.0\n[train]\nepochs = 4\nbatch = 40\n";

    fn changed(settings: &[(&str, &str)]) -> Result<(), RunError> {
        let settings: Vec<_> = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let [before, recipe] = [&[][..], &settings].map(|settings| Recipe::parse(TEXT, "r.toml", settings).unwrap());
        check_resume(Path::new("runs/one"), &before, &recipe, &Progress { epoch: 2, ..Progress::default() })
    }

    #[test]
    fn what_decides_how_the_state_goes_on_must_stay() {
        for (key, value, had, asked) in [
            ("train.batch", "64", "40", "64"),
            ("train.batch", "full", "40", "\"full\""),
            ("train.shuffle", "false", "true", "false"),
            ("train.drop_last", "true", "false", "true"),
            ("train.accumulate", "4", "1", "4"),
            ("train.ema", "0.9", "nothing", "0.9"),
            ("model.label_smoothing", "0.1", "0.0", "0.1"),
            ("seed", "4", "3", "4"),
            ("data.seed", "3", "nothing", "3"),
            ("data.validation", "0.1", "100", "0.1"),
            ("data.examples", "50", "nothing", "50"),
            ("data.scale", "standard", "\"unit\"", "\"standard\""),
            ("optimizer.kind", "adamw", "\"adam\"", "\"adamw\""),
            ("optimizer.beta1", "0.5", "0.9", "0.5"),
            ("optimizer.weight_decay", "0.5", "0.0", "0.5"),
            ("precision", "mixed", "\"f32\"", "\"mixed\""),
            ("model.loss", "mse", "\"softmax_cross_entropy\"", "\"mse\""),
        ] {
            let text = changed(&[(key, value)]).unwrap_err().to_string();
            for part in ["runs/one", &format!("{key} = {had}"), &format!(" {asked} "), "--out"] {
                assert!(text.contains(part), "{key}: no {part} in: {text}");
            }
        }
        // The kind is named, though Adam's numbers go with it.
        let mut text = TEXT.replace("clip_norm = 1.0\n", "");
        let before = Recipe::parse(&text, "r.toml", &[]).unwrap();
        text = text.replace("adam", "sgd");
        let recipe = Recipe::parse(&text, "r.toml", &[]).unwrap();
        let error = check_resume(Path::new("one"), &before, &recipe, &Progress::default()).unwrap_err();
        assert!(matches!(&error, RunError::Changed { key, .. } if key == "optimizer.kind"), "{error}");
    }

    #[test]
    fn what_is_watched_recorded_and_still_to_come_may_change() {
        changed(&[]).unwrap();
        changed(&[
            ("name", "other"),
            ("train.epochs", "3"),
            ("train.log_every", "5"),
            ("train.validate_every", "10"),
            ("train.record", "[\"weights\"]"),
            ("train.checkpoint_every", "2"),
            ("train.checkpoint_steps", "20"),
            ("train.early_stop", "{ metric = \"validation_loss\", patience = 2 }"),
            ("optimizer.learning_rate", "0.5"),
            ("schedule", "{ kind = \"plateau\", metric = \"validation_loss\", factor = 0.5, patience = 1 }"),
        ])
        .unwrap();
    }

    #[test]
    fn a_run_that_stopped_early_stays_so_unless_its_rule_changed() {
        let waited = |waited| Tracker { best: Some(0.5), best_epoch: 1, waited, ..Tracker::default() };
        let go_on = |tracker: Tracker, rule: &[(&str, &str)]| {
            let rule: Vec<_> =
                rule.iter().map(|(key, value)| (format!("train.early_stop.{key}"), value.to_string())).collect();
            let [before, recipe] = [&[][..], &rule].map(|settings| Recipe::parse(TEXT, "r.toml", settings).unwrap());
            let watched = [Some("validation_loss".into()), None];
            let progress = Progress { epoch: 3, early_stop: vec![tracker], watched, ..Progress::default() };
            check_resume(Path::new("runs/one"), &before, &recipe, &progress)
        };
        let three = [("metric", "validation_loss"), ("patience", "3")];
        let text = go_on(waited(3), &three).unwrap_err().to_string();
        for part in ["runs/one stopped early after epoch 3", "validation_loss", "--set train.early_stop.patience=4"] {
            assert!(text.contains(part), "no {part} in: {text}");
        }
        assert!(go_on(waited(4), &three).is_err());
        // A patience of 0 is one of 1.
        assert!(go_on(waited(1), &[("metric", "validation_loss"), ("patience", "0")]).is_err());
        go_on(waited(0), &[("metric", "validation_loss"), ("patience", "0")]).unwrap();
        go_on(waited(2), &three).unwrap();
        go_on(waited(3), &[("metric", "validation_loss"), ("patience", "4")]).unwrap();
        go_on(waited(3), &[("metric", "validation_accuracy"), ("patience", "3")]).unwrap();
        go_on(waited(3), &[]).unwrap();
    }

    #[test]
    fn a_rate_that_was_another_is_said() {
        let notes = |settings: &[(&str, &str)], epoch: u32, step_in_epoch: u32| {
            let cosine = format!("{TEXT}[schedule]\nkind = \"cosine\"\n");
            let settings: Vec<_> = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            let [before, recipe] = [&[][..], &settings].map(|s| Recipe::parse(&cosine, "r.toml", s).unwrap());
            rate_notes(&before, &recipe, &Progress { epoch, step_in_epoch, ..Progress::default() })
        };
        assert_eq!(notes(&[], 3, 2), [""; 0]);
        // Nothing is done yet that could have been otherwise; the first epoch of a cosine has the full rate.
        assert_eq!(notes(&[("train.epochs", "8")], 1, 0), [""; 0]);
        let longer = notes(&[("train.epochs", "8")], 4, 0);
        assert!(longer.len() == 1 && longer[0].contains("3 of the 4 epochs done") && longer[0].contains("(epoch 2: "));
        let middle = notes(&[("train.epochs", "8")], 1, 5);
        assert!(middle.len() == 1 && middle[0].contains("5 steps of epoch 2"), "{middle:?}");
        assert_eq!(notes(&[("optimizer.learning_rate", "0.5")], 2, 1).len(), 2);
        let by_step = notes(&[("schedule.by", "step"), ("train.epochs", "8")], 4, 0);
        assert!(by_step.len() == 1 && by_step[0].contains("3 of the 4 epochs done"), "{by_step:?}");
    }

    #[test]
    fn a_run_does_not_go_back() {
        let text = changed(&[("train.epochs", "2")]).unwrap_err().to_string();
        assert!(text.contains("train.epochs") && text.contains("2 epochs") && text.contains("more"), "{text}");
    }
}
