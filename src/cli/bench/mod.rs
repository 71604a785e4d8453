//! `bench`: times workloads and kernels.

mod kernels;
mod workload;

use super::{CliError, Context, FusionArgs, TuneArgs};
use clap::Args;
use gputrain::backend::timing::Effort;
use gputrain::kernel::{REGISTRY, Specification};
use gputrain::recipe::{RecipeError, RecipeText};
use workload::{WORKLOADS, Workload};

/// Takes longer than all the others together.
const BY_NAME_ALONE: &str = "wide-mlp-4096";

/// Times the training steps of recipes, or kernels
///
/// Needs no data files: it trains on random data of the right shape. Every figure is the median of several repetitions
/// after a warm-up.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = names())]
pub struct BenchArgs {
    /// Workloads, recipe files, bundled recipes or kernels [default: all workloads but wide-mlp-4096]
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

/// What the help says of the names.
fn names() -> String {
    let kernels: Vec<&str> = REGISTRY.iter().map(|specification| specification.kernel.name).collect();
    format!(
        "Workloads: {}.\n\nAny other recipe is timed on 10,000 examples, or as many as its data.examples says.\n\nKernels: {}.",
        workload::names(),
        kernels.join(", ")
    )
}

/// What a name stands for.
enum Timed {
    Kernel(&'static Specification),
    Workload(Box<Workload>),
}

impl Timed {
    fn find(name: &str, args: &BenchArgs) -> Result<Timed, CliError> {
        if let Some(specification) = REGISTRY.iter().find(|specification| specification.kernel.name == name) {
            return Ok(Timed::Kernel(specification));
        }
        match RecipeText::find(name) {
            Ok(text) => Ok(Timed::Workload(Box::new(Workload::new(name, &text, args.precision.as_deref())?))),
            Err(RecipeError::NoSuchRecipe { suggestion, .. }) => {
                let meant = suggestion.map_or(String::new(), |name| format!(" (did you mean \"{name}\"?)"));
                Err(CliError::Usage(format!(
                    "{name} is no recipe and no kernel{meant}; the workloads are {}; any recipe file will do, and \
                     `gputrain bench --help` lists the kernels",
                    workload::names()
                )))
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub fn run(args: &BenchArgs, context: &Context) -> Result<(), CliError> {
    let named: Vec<&str> = match args.names.is_empty() {
        true => WORKLOADS.iter().map(|(name, _)| *name).filter(|name| *name != BY_NAME_ALONE).collect(),
        false => args.names.iter().map(String::as_str).collect(),
    };
    // All of them first: a wrong one is not worth waiting for.
    let timed = named.iter().map(|name| Timed::find(name, args)).collect::<Result<Vec<Timed>, _>>()?;
    let backend = context.open_backend()?;
    context.say(format!("{} ({})", backend.info().device, backend.info().backend));
    let mut peak = None;
    for timed in &timed {
        match timed {
            Timed::Kernel(specification) => kernels::time(specification, &*backend, args, context)?,
            Timed::Workload(workload) => {
                let peak = match peak {
                    Some(peak) => peak,
                    None => *peak.insert(kernels::measure_peak(&*backend, context)?),
                };
                workload.time(peak, &*backend, args, context)?;
            }
        }
    }
    context.emit(&serde_json::json!({ "benchmarks": named.len(), "peak_tflops": peak }));
    Ok(())
}
