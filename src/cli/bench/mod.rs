//! `bench`: times workloads and kernels.

mod kernels;
mod workload;

use super::{CliError, Context, FusionArgs, TuneArgs};
use crate::backend::timing::Effort;
use crate::kernel::REGISTRY;
use clap::Args;

/// Times the named workloads (bundled recipes) or kernels
///
/// Needs no data files: it trains on random data of the right shape. Every figure is the median of several repetitions
/// after a warm-up.
#[derive(Debug, Clone, Default, Args)]
pub struct BenchArgs {
    /// Workloads or kernels [default: all workloads but wide-mlp-4096]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Seconds of each repetition
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Repetitions
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Also print where the time of a step goes, launch by launch
    #[arg(long)]
    profile: bool,
    /// Precision of the workloads: f32 or mixed [default: the recipe's]
    #[arg(long, value_name = "PRECISION")]
    precision: Option<String>,
    #[command(flatten)]
    fusion: FusionArgs,
    #[command(flatten)]
    tune: TuneArgs,
}

impl BenchArgs {
    fn effort(&self) -> Effort {
        Effort { seconds: self.seconds, repeat: self.repeat }
    }
}

pub fn run(args: &BenchArgs, context: &Context) -> Result<(), CliError> {
    let backend = context.open_backend()?;
    let named: Vec<&str> = match args.names.is_empty() {
        true => workload::WORKLOADS.iter().map(|(name, _)| *name).filter(|n| *n != "wide-mlp-4096").collect(),
        false => args.names.iter().map(String::as_str).collect(),
    };
    context.say(format!("{} ({})", backend.info().device, backend.info().backend));
    let mut peak = None;
    for name in &named {
        if let Some(kernel) = REGISTRY.iter().find(|k| k.name == *name) {
            kernels::time(kernel, &*backend, args, context)?;
        } else if let Some((workload, samples)) = workload::WORKLOADS.iter().find(|(w, _)| w == name) {
            let peak = match peak {
                Some(peak) => peak,
                None => *peak.insert(kernels::measure_peak(&*backend, context)?),
            };
            workload::time(workload, *samples, peak, &*backend, args, context)?;
        } else {
            let workloads: Vec<&str> = workload::WORKLOADS.iter().map(|(name, _)| *name).collect();
            let kernels: Vec<&str> = REGISTRY.iter().map(|k| k.name).collect();
            return Err(CliError::Usage(format!(
                "{name} is no workload ({}) and no kernel ({})",
                workloads.join(", "),
                kernels.join(", ")
            )));
        }
    }
    context.emit(&serde_json::json!({ "benchmarks": named.len(), "peak_tflops": peak }));
    Ok(())
}
