//! Tuning before a run.

use super::table::table;
use super::{CliError, Context};
use clap::Args;
use gputrain::backend::Backend;
use gputrain::backend::timing::{Effort, Spread, repeat};
use gputrain::ir::Dispatch;
use gputrain::planner::{BuildError, Fusion};
use gputrain::train::{Draft, TrainError, Trainer, TrainerSpec};
use gputrain::tune::{Measured, keep, measure};
use serde_json::json;
use std::collections::BTreeMap;

/// Whether to measure variants first.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct TuneArgs {
    /// First measures on this GPU the variants of every matrix product and convolution of the run; the fastest are
    /// used now and whenever the same shapes come again. Also tells whether steps are faster fused or not
    #[arg(long)]
    tune: bool,
}

impl TuneArgs {
    /// Whether it is asked for.
    pub fn is_asked(self) -> bool {
        self.tune
    }

    /// Measures what the training launches, if that is asked for, and keeps what is faster in the user's cache directory.
    pub fn tune(
        self,
        backend: &dyn Backend,
        context: &Context,
        spec: TrainerSpec,
        fusion: Fusion,
    ) -> Result<(), CliError> {
        if !self.tune {
            return Ok(());
        }
        let Some(tuning) = backend.tuning() else {
            let device = &backend.info().device;
            return Err(CliError::Usage(format!("--tune: {device} has one variant of each kernel; leave it out")));
        };
        // A plain step has the products that a fused one does without.
        let products = if fusion == Fusion::Auto { Fusion::Never } else { fusion };
        let draft = Draft::new(spec.clone(), products, backend.limits())?;
        let measured = measure(backend, draft.plan(), |measured| context.detail(describe(measured)))?;
        keep(tuning, &measured).map_err(gputrain::backend::BackendError::from)?;
        measured.iter().for_each(|measured| context.emit(&record(measured)));
        let rows: Vec<Vec<String>> = measured.iter().map(row).collect();
        context.say(table(&["launch", "planned", "us", "fastest", "us"], &rows));
        if fusion == Fusion::Auto { compare_steps(backend, context, spec) } else { Ok(()) }
    }
}

/// Tells how long a step takes fused and plain. The planner's choice stays: the two sum in different orders, and a
/// measurement must not change the results of a recipe.
fn compare_steps(backend: &dyn Backend, context: &Context, spec: TrainerSpec) -> Result<(), CliError> {
    let fused = match Draft::new(spec.clone(), Fusion::Always, backend.limits()) {
        Err(TrainError::Build(BuildError::NotFused(_))) => return Ok(()),
        draft => step_seconds(backend, draft?)?,
    };
    let plain = step_seconds(backend, Draft::new(spec.clone(), Fusion::Never, backend.limits())?)?;
    let chosen = Draft::new(spec, Fusion::Auto, backend.limits())?.is_fused();
    let (choice, other) = if chosen { ("fused", "--unfused") } else { ("plain", "--fused") };
    let slower = if chosen { fused > plain } else { plain > fused };
    let advice =
        if slower { format!("; {other} is faster here, and differs in the last digits") } else { String::new() };
    let [fused, plain] = [fused, plain].map(|seconds| seconds * 1e6);
    context
        .say(format!("a step takes {fused:.1} us fused and {plain:.1} us plain; the planner chose {choice}{advice}"));
    context.emit(&json!({ "tuned": "step", "us": { "fused": fused, "plain": plain }, "chosen": choice }));
    Ok(())
}

/// Median time of a training step.
fn step_seconds(backend: &dyn Backend, draft: Draft) -> Result<f64, CliError> {
    const EFFORT: Effort = Effort { seconds: 0.1, repeat: 5 };
    let mut trainer = Trainer::prepare(backend, draft)?;
    Ok(Spread::new(&repeat(EFFORT, |steps| trainer.time_steps(steps))?.1).median)
}

/// The constants that tell variants apart.
fn variant(dispatch: &Dispatch) -> String {
    let sizes = ["TILE_M", "TILE_N", "TILE_K", "COLUMNS", "PIXELS"];
    let of = |name| dispatch.constants.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    let size = sizes.into_iter().filter_map(of).map(|value| value.to_string()).collect::<Vec<_>>().join("x");
    let more = [("SUBGROUPS", "subgroups"), ("STAGES", "stages"), ("WIDTH", "wide")];
    let more = more.into_iter().filter_map(|(name, what)| Some((of(name).filter(|value| *value > 1)?, what)));
    more.fold(size, |text, (value, what)| format!("{text} {value} {what}"))
}

fn us(seconds: Option<f64>) -> String {
    seconds.map_or("-".into(), |s| format!("{:.1}", s * 1e6))
}

fn seconds_of(measured: &Measured, dispatch: &Dispatch) -> Option<f64> {
    measured.variants.iter().find(|(d, _)| d.constants == dispatch.constants).and_then(|(_, t)| t.clone().ok())
}

fn row(measured: &Measured) -> Vec<String> {
    let best = measured.best().unwrap_or(&measured.planned);
    let (planned, fastest) = (&measured.planned, us(seconds_of(measured, best)));
    vec![planned.label.clone(), variant(planned), us(measured.planned_seconds()), variant(best), fastest]
}

fn describe(measured: &Measured) -> String {
    let line = |(dispatch, time): &(Dispatch, Result<f64, String>)| match time {
        Ok(seconds) => format!("  {:36} {:10.1} us", variant(dispatch), seconds * 1e6),
        Err(wrong) => format!("  {:36} is wrong here, and left out: {wrong}", variant(dispatch)),
    };
    let lines: Vec<String> = measured.variants.iter().map(line).collect();
    format!("{} ({})\n{}", measured.planned.label, measured.planned.kernel.name, lines.join("\n"))
}

fn record(measured: &Measured) -> serde_json::Value {
    let right = |(d, time): &(Dispatch, Result<f64, String>)| Some((variant(d), time.as_ref().ok()? * 1e6));
    let wrong = |(d, time): &(Dispatch, Result<f64, String>)| Some((variant(d), time.as_ref().err()?.clone()));
    json!({
        "tuned": measured.planned.label,
        "kernel": measured.planned.kernel.name,
        "planned": variant(&measured.planned),
        "chosen": variant(measured.best().unwrap_or(&measured.planned)),
        "us": measured.variants.iter().filter_map(right).collect::<BTreeMap<_, _>>(),
        "wrong": measured.variants.iter().filter_map(wrong).collect::<BTreeMap<_, _>>(),
    })
}
