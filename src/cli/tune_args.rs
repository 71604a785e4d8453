//! Tuning before a run.

use super::table::table;
use super::{CliError, Context};
use crate::backend::Backend;
use crate::plan::{Dispatch, Plan};
use crate::tune::{self, Measured, measure};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;

/// Whether to measure variants first.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct TuneArgs {
    /// First measures on this GPU the variants of every matrix product and convolution of the run; the fastest are
    /// used now and whenever the same shapes come again
    #[arg(long)]
    tune: bool,
}

impl TuneArgs {
    /// Measures what the plan launches, if that is asked for, and keeps what is faster in the user's cache directory.
    pub fn tune(self, backend: &dyn Backend, context: &Context, plan: &Plan) -> Result<(), CliError> {
        if !self.tune {
            return Ok(());
        }
        let Some(tuning) = backend.tuning() else {
            let device = &backend.info().device;
            return Err(CliError::Usage(format!("--tune: {device} has one variant of each kernel; leave it out")));
        };
        let measured =
            measure(backend, &tune::applied(backend, plan.clone()), |measured| context.detail(describe(measured)))?;
        tuning.learn(&measured).map_err(crate::backend::BackendError::from)?;
        measured.iter().for_each(|measured| context.emit(&record(measured)));
        let rows: Vec<Vec<String>> = measured.iter().map(row).collect();
        context.say(table(&["launch", "planned", "us", "fastest", "us"], &rows));
        Ok(())
    }
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
    let one = |(dispatch, time): &(Dispatch, Result<f64, String>)| match time {
        Ok(seconds) => format!("  {:36} {:10.1} us", variant(dispatch), seconds * 1e6),
        Err(wrong) => format!("  {:36} is wrong here, and left out: {wrong}", variant(dispatch)),
    };
    let lines: Vec<String> = measured.variants.iter().map(one).collect();
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
