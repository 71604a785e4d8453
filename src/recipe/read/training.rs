//! `[optimizer]`, `[schedule]`, `[train]` and `[sweep]`.

use super::super::schema::*;
use super::KEYS;
use crate::keys::{Item, KeyError, Node, Table, Value, nearest};

const RATE: &str = "a learning rate above 0";

pub(super) fn optimizer(table: Table<'_>) -> Result<OptimizerSpec, KeyError> {
    let table = table.only(&[
        "kind",
        "learning_rate",
        "momentum",
        "nesterov",
        "beta1",
        "beta2",
        "alpha",
        "centered",
        "epsilon",
        "l2",
        "weight_decay",
        "clip_norm",
    ])?;
    let kind = table.get("kind").map_or(Ok(OptimizerKind::Adam), |item| item.word())?;
    let owners = |key: &str| -> &[OptimizerKind] {
        match key {
            "momentum" => &[OptimizerKind::Sgd, OptimizerKind::RmsProp],
            "nesterov" => &[OptimizerKind::Sgd],
            "beta1" | "beta2" => &[OptimizerKind::Adam, OptimizerKind::AdamW, OptimizerKind::Lion],
            "alpha" | "centered" => &[OptimizerKind::RmsProp],
            _ => &[OptimizerKind::Adam, OptimizerKind::AdamW, OptimizerKind::RmsProp],
        }
    };
    let own = ["momentum", "nesterov", "beta1", "beta2", "alpha", "centered", "epsilon"];
    if let Some((key, item)) =
        own.iter().filter_map(|key| Some((key, table.get(key)?))).find(|(key, _)| !owners(key).contains(&kind))
    {
        let owners: Vec<String> = owners(key).iter().map(|kind| format!("\"{kind}\"")).collect();
        let owners = owners.join(" and ");
        return Err(item.conflict(format!("belongs to kind = {owners}, but the optimizer is \"{kind}\"; remove it")));
    }
    let mut spec = OptimizerSpec::new(kind);
    let set = |key: &str, field: &mut f32, expected: &str, allowed: fn(f32) -> bool| {
        if let Some(item) = table.get(key) {
            *field = item.number(expected, allowed)?;
        }
        Ok(())
    };
    set("learning_rate", &mut spec.learning_rate, RATE, |x| x > 0.0)?;
    set("momentum", &mut spec.momentum, "0 or more, below 1", |x| (0.0..1.0).contains(&x))?;
    set("beta1", &mut spec.beta1, "0 or more, below 1", |x| (0.0..1.0).contains(&x))?;
    set("beta2", &mut spec.beta2, "0 or more, below 1", |x| (0.0..1.0).contains(&x))?;
    set("alpha", &mut spec.alpha, "0 or more, below 1", |x| (0.0..1.0).contains(&x))?;
    if let Some(item) = table.get("centered") {
        spec.centered = item.boolean()?;
    }
    set("epsilon", &mut spec.epsilon, "a number above 0", |x| x > 0.0)?;
    set("l2", &mut spec.l2, "a number, 0 or more", |x| x >= 0.0)?;
    set("weight_decay", &mut spec.weight_decay, "a number, 0 or more", |x| x >= 0.0)?;
    spec.clip_norm = table.get("clip_norm").map(|item| item.number("a norm above 0", |x| x > 0.0)).transpose()?;
    if let Some(item) = table.get("nesterov") {
        spec.nesterov = item.boolean()?;
        if spec.nesterov && spec.momentum == 0.0 {
            return Err(item.conflict("needs a momentum; add momentum = 0.9, or remove nesterov"));
        }
    }
    Ok(spec)
}

/// Reads `[schedule]`, or a list of phases in its place; for phases also how many epochs they make.
pub(super) fn schedule(item: &Item<'_>) -> Result<(Schedule, Option<u32>), KeyError> {
    if let Value::Array(_) = item.node.value {
        let (phases, epochs) = phases(item)?;
        return Ok((Schedule { kind: ScheduleKind::Phases(phases), ..Schedule::default() }, Some(epochs)));
    }
    let table = item.table("a table with a kind, or a list of phases")?;
    let kind = match table.get("kind") {
        Some(item) => item.text(&kinds())?.to_string(),
        None => "constant".to_string(),
    };
    let Some((_, keys)) = SCHEDULES.iter().find(|(name, _)| *name == kind) else {
        return Err(table.require("kind", &kinds())?.wrong(kinds()));
    };
    let table = table.only(keys)?;
    let mut epochs = None;
    let factor = |allowed: fn(f32) -> bool, expected: &str, default: Option<f32>| match (table.get("factor"), default) {
        (Some(item), _) => item.number(expected, allowed),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(table.missing("factor", expected)),
    };
    let kind = match kind.as_str() {
        "step" => ScheduleKind::Step {
            every: table.require("every", "a number of epochs")?.whole(1)?,
            factor: factor(|x| x > 0.0, "a number above 0, such as 0.1", None)?,
        },
        "multi_step" => ScheduleKind::MultiStep {
            epochs: milestones(&table.require("epochs", "ascending epochs, such as [20, 40]")?)?,
            factor: factor(|x| x > 0.0, "a number above 0, such as 0.5", None)?,
        },
        "cosine" => ScheduleKind::Cosine {
            min: table.get("min").map_or(Ok(0.0), |item| item.number("a learning rate, 0 or more", |x| x >= 0.0))?,
            by: table.get("by").map_or(Ok(By::Epoch), |item| item.word())?,
        },
        "one_cycle" => {
            let number = |key: &str, default: f32, expected: &str, allowed: fn(f32) -> bool| {
                table.get(key).map_or(Ok(default), |item| item.number(expected, allowed))
            };
            ScheduleKind::OneCycle {
                pct_start: number("pct_start", 0.3, "a share, 0 or more and at most 1", |x| (0.0..=1.0).contains(&x))?,
                div_factor: number("div_factor", 25.0, "a number above 0", |x| x > 0.0)?,
                final_div_factor: number("final_div_factor", 1e4, "a number above 0", |x| x > 0.0)?,
                anneal: table.get("anneal").map_or(Ok(Anneal::Cos), |item| item.word())?,
                by: table.get("by").map_or(Ok(By::Step), |item| item.word())?,
            }
        }
        "plateau" => ScheduleKind::Plateau {
            metric: table.get("metric").map_or(Ok(Metric::ValidationLoss), |item| item.word())?,
            factor: factor(|x| x > 0.0 && x < 1.0, "a number between 0 and 1", Some(0.1))?,
            patience: table.get("patience").map_or(Ok(10), |item| item.whole(0))?,
            threshold: table
                .get("threshold")
                .map_or(Ok(0.0), |item| item.number("a number, 0 or more, below 1", |x| (0.0..1.0).contains(&x)))?,
            cooldown: table.get("cooldown").map_or(Ok(0), |item| item.whole(0))?,
            min_lr: table
                .get("min_lr")
                .map_or(Ok(0.0), |item| item.number("a learning rate, 0 or more", |x| x >= 0.0))?,
        },
        "phases" => {
            let (phases, total) = phases(&table.require("phases", PHASES)?)?;
            epochs = Some(total);
            ScheduleKind::Phases(phases)
        }
        _ => ScheduleKind::Constant,
    };
    let warmup_steps = table.get("warmup_steps").map_or(Ok(0), |item| item.whole(0))?;
    let warmup_epochs = match table.get("warmup_epochs") {
        None => 0.0,
        Some(item) if table.get("warmup_steps").is_some() => {
            return Err(item.conflict("stands beside warmup_steps; keep one of them"));
        }
        Some(item) => item.number("a number of epochs, 0 or more", |x| x >= 0.0)?,
    };
    Ok((Schedule { kind, warmup_steps, warmup_epochs }, epochs))
}

const SCHEDULES: &[(&str, &[&str])] = &[
    ("constant", &["kind", "warmup_steps", "warmup_epochs"]),
    ("step", &["kind", "every", "factor", "warmup_steps", "warmup_epochs"]),
    ("multi_step", &["kind", "epochs", "factor", "warmup_steps", "warmup_epochs"]),
    ("cosine", &["kind", "min", "by", "warmup_steps", "warmup_epochs"]),
    (
        "one_cycle",
        &["kind", "pct_start", "div_factor", "final_div_factor", "anneal", "by", "warmup_steps", "warmup_epochs"],
    ),
    (
        "plateau",
        &["kind", "metric", "factor", "patience", "threshold", "cooldown", "min_lr", "warmup_steps", "warmup_epochs"],
    ),
    ("phases", &["kind", "phases", "warmup_steps", "warmup_epochs"]),
];

const PHASES: &str = "a list of phases, such as [{ epochs = 24, learning_rate = 0.1 }]";

fn kinds() -> String {
    let names = SCHEDULES.iter().map(|(name, _)| format!("\"{name}\""));
    format!("one of {}", names.collect::<Vec<_>>().join(", "))
}

fn milestones(item: &Item<'_>) -> Result<Vec<u32>, KeyError> {
    let expected = "ascending epochs, such as [20, 40]";
    let epochs = item.list(expected)?.iter().map(|item| item.whole(1)).collect::<Result<Vec<u32>, _>>()?;
    let ascending = !epochs.is_empty() && epochs.windows(2).all(|pair| pair[0] < pair[1]);
    if ascending { Ok(epochs) } else { Err(item.wrong(expected)) }
}

fn phases(item: &Item<'_>) -> Result<(Vec<Phase>, u32), KeyError> {
    let mut total = 0u32;
    let mut phases = Vec::new();
    for item in item.list(PHASES)? {
        let table = item.table("{ epochs = 24, learning_rate = 0.1 }")?.only(&["epochs", "learning_rate"])?;
        let epochs = table.require("epochs", "a number of epochs")?.whole(1)?;
        total = total.checked_add(epochs).ok_or_else(|| item.wrong("fewer epochs in all phases together"))?;
        let learning_rate = table.require("learning_rate", RATE)?.number(RATE, |x| x > 0.0)?;
        phases.push(Phase { epochs, learning_rate });
    }
    if phases.is_empty() { Err(item.wrong(PHASES)) } else { Ok((phases, total)) }
}

/// Reads `[train]`; phases of a schedule make the default number of epochs.
pub(super) fn train(table: Table<'_>, phase_epochs: Option<u32>) -> Result<TrainSpec, KeyError> {
    let table = table.only(&[
        "epochs",
        "batch",
        "shuffle",
        "drop_last",
        "log_every",
        "validate_every",
        "early_stop",
        "checkpoint_every",
        "checkpoint_steps",
        "record",
        "accumulate",
        "ema",
    ])?;
    let default = TrainSpec::default();
    let boolean = |key: &str, default| table.get(key).map_or(Ok(default), |item| item.boolean());
    let whole = |key: &str, least, default| table.get(key).map_or(Ok(default), |item| item.whole(least));
    let log_every = whole("log_every", 0, default.log_every)?;
    let validate_every = whole("validate_every", 0, default.validate_every)?;
    if let Some(item) = table.get("validate_every").filter(|_| log_every > 0 && validate_every % log_every != 0) {
        let problem = format!("only logged steps are validated; expected a multiple of train.log_every = {log_every}");
        return Err(item.conflict(problem));
    }
    Ok(TrainSpec {
        epochs: whole("epochs", 1, phase_epochs.unwrap_or(default.epochs))?,
        batch: table.get("batch").map_or(Ok(default.batch), |item| batch(&item))?,
        shuffle: boolean("shuffle", default.shuffle)?,
        drop_last: boolean("drop_last", default.drop_last)?,
        log_every,
        validate_every,
        early_stop: table.get("early_stop").map(|item| early_stop(&item)).transpose()?,
        checkpoint_every: whole("checkpoint_every", 0, default.checkpoint_every)?,
        checkpoint_steps: whole("checkpoint_steps", 0, default.checkpoint_steps)?,
        record: table.get("record").map_or(Ok(Vec::new()), |item| record(&item))?,
        accumulate: whole("accumulate", 1, default.accumulate)?,
        ema: table
            .get("ema")
            .map(|item| item.number("a decay, 0 or more and below 1, such as 0.999", |x| (0.0..1.0).contains(&x)))
            .transpose()?,
    })
}

fn batch(item: &Item<'_>) -> Result<Batch, KeyError> {
    let expected = "a number of examples, 1 or more, or \"full\"";
    match &item.node.value {
        Value::String(word) if word == "full" => Ok(Batch::Full),
        Value::Integer(n) if (1..=i128::from(u32::MAX)).contains(n) => {
            Ok(Batch::Size(usize::try_from(*n).map_err(|_| item.wrong(expected))?))
        }
        _ => Err(item.wrong(expected)),
    }
}

fn early_stop(item: &Item<'_>) -> Result<EarlyStop, KeyError> {
    let table =
        item.table("{ metric = \"validation_loss\", patience = 5 }")?.only(&["metric", "patience", "min_delta"])?;
    let min_delta = table.get("min_delta").map(|item| item.number("a number, 0 or more", |x| x >= 0.0)).transpose()?;
    Ok(EarlyStop {
        metric: table.get("metric").map_or(Ok(Metric::ValidationLoss), |item| item.word())?,
        patience: table.require("patience", "a number of epochs")?.whole(0)?,
        min_delta: min_delta.unwrap_or(0.0),
    })
}

fn record(item: &Item<'_>) -> Result<Vec<Record>, KeyError> {
    let mut records: Vec<Record> = Vec::new();
    for item in item.list("a list, such as [\"gradient_norms\", \"weights\"]")? {
        let record = item.word()?;
        if !records.contains(&record) {
            records.push(record);
        }
    }
    Ok(records)
}

/// Keys of `[sweep]` that are not recipe keys.
const SWEEP_KEYS: &[&str] = &["recipes", "trials", "metric", "retrain"];

pub(super) fn sweep(item: &Item<'_>) -> Result<SweepSpec, KeyError> {
    let table = item.table("a table, such as [sweep]")?;
    let mut spec = SweepSpec::default();
    for (key, item) in table.items() {
        match key {
            "recipes" => {
                let expected = "a list of recipe files or names of bundled recipes";
                let names = item.list(expected)?;
                spec.recipes =
                    names.iter().map(|name| name.text(expected).map(str::to_string)).collect::<Result<_, _>>()?;
                if spec.recipes.is_empty() {
                    return Err(item.wrong(expected));
                }
            }
            "trials" => spec.trials = item.whole(1)?,
            "metric" => spec.metric = item.word()?,
            "retrain" => spec.retrain = item.boolean()?,
            key => variations(key, &item, &mut spec.grid)?,
        }
    }
    Ok(spec)
}

/// Collects the values of one key. `[sweep.optimizer]` and dotted keys are tables here, and mean the same as a quoted
/// key, so that nobody has to remember the quotes.
fn variations(key: &str, item: &Item<'_>, grid: &mut Vec<(String, Vec<toml::Value>)>) -> Result<(), KeyError> {
    let expected = "a list of values to try, such as [0.1, 0.01]";
    let first = key.split('.').next().unwrap_or(key);
    if !KEYS.contains(&first) || first == "sweep" {
        return Err(KeyError::UnknownKey {
            place: item.node.place.clone(),
            key: item.path.clone(),
            suggestion: nearest(first, SWEEP_KEYS.iter().chain(KEYS).copied().filter(|known| *known != "sweep")),
            known: SWEEP_KEYS
                .iter()
                .copied()
                .chain(["any key of a recipe, such as \"optimizer.learning_rate\""])
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
        _ => Err(item.wrong(expected)),
    }
}
