//! `plot`: curves of runs.

use super::{CliError, Context};
use clap::Args;
use gputrain::report::compare_runs;
use serde_json::json;
use std::path::PathBuf;

/// Draws the loss and accuracy curves of one run, or of several over each other
///
/// Training is dashed, validation (or test, without validation) continuous.
#[derive(Debug, Clone, Default, Args)]
pub struct PlotArgs {
    /// Folders of runs, as `train --out DIR` writes them
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The drawing: .svg or .png
    #[arg(long, value_name = "FILE", default_value = "comparison.svg")]
    out: PathBuf,
}

pub fn run(args: &PlotArgs, context: &Context) -> Result<(), CliError> {
    compare_runs(&args.runs, &args.out)?;
    context.say(format!("wrote {}", args.out.display()));
    context.emit(&json!({ "file": args.out, "runs": args.runs }));
    Ok(())
}
