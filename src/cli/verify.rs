//! `verify`: every kernel against its CPU reference.

use super::{CliError, Context};
use clap::Args;
use gputrain::kernel::{REGISTRY, Specification};
use gputrain::parity::{VerifyReport, verify_kernel};

/// Runs every kernel and variant against its CPU reference on this machine's device, at awkward shapes
///
/// Prints a table of errors; exit code 1 if any is out of bounds.
#[derive(Debug, Clone, Default, Args)]
pub struct VerifyArgs {
    /// Only kernels whose name contains one of these
    #[arg(value_name = "KERNEL")]
    pub kernels: Vec<String>,
}

pub fn run(args: &VerifyArgs, context: &Context) -> Result<(), CliError> {
    let backend = context.open_backend()?;
    let wanted = |name: &str| args.kernels.is_empty() || args.kernels.iter().any(|k| name.contains(k.as_str()));
    let kernels: Vec<_> = REGISTRY.iter().copied().filter(|specification| wanted(specification.kernel.name)).collect();
    if kernels.is_empty() {
        let names: Vec<_> = REGISTRY.iter().map(|specification| specification.kernel.name).collect();
        let asked = args.kernels.join(", ");
        return Err(CliError::Usage(format!("no kernel is called {asked}; there are {}", names.join(", "))));
    }
    // Minutes on a slow device: the bar names the kernel that takes them.
    let bar = context.progress_bar(kernels.len() as u64, "{bar:30} {pos}/{len} kernels  {msg}");
    let row = |specification: &'static Specification| {
        bar.set_message(specification.kernel.name);
        let row = verify_kernel(&*backend, specification);
        bar.inc(1);
        row
    };
    let report = VerifyReport { device: backend.info().clone(), rows: kernels.into_iter().map(row).collect() };
    bar.finish_and_clear();
    context.say(&report);
    context.emit(&report);
    if report.passed() {
        return Ok(());
    }
    let broken: Vec<_> = report.rows.iter().filter(|r| !r.passed).map(|r| r.kernel.to_string()).collect();
    Err(CliError::Failed(format!("out of bounds: {}", broken.join(", "))))
}
