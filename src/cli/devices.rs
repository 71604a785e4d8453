//! `devices`: the adapters, and which one `auto` takes.

use super::{CliError, Context};
use clap::Args;
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::gpu::list_adapters;
use serde_json::json;

/// Lists adapters with their backends, limits and features that matter, and which one `auto` takes
#[derive(Debug, Clone, Default, Args)]
pub struct DevicesArgs {}

pub fn run(_: &DevicesArgs, context: &Context) -> Result<(), CliError> {
    let adapters = list_adapters();
    for adapter in &adapters {
        context.say(format!("{adapter}{}", if adapter.auto { "  <- auto" } else { "" }));
        let limits = &adapter.limits;
        let mib = |bytes: u64| bytes / (1024 * 1024);
        context.say(format!("     driver {}", adapter.driver));
        context.say(format!(
            "     buffer {} MiB, binding {} MiB, workgroup memory {} KiB, {} threads, grid side {}",
            mib(limits.buffer_bytes),
            mib(limits.binding_bytes),
            limits.workgroup_bytes / 1024,
            limits.workgroup_threads,
            limits.workgroups
        ));
        context.say(format!("     features: {}", adapter.features.join(", ")));
        if !adapter.cooperative_matrices.is_empty() {
            context.say(format!("     matrix units: {}", adapter.cooperative_matrices.join(", ")));
        }
        context.emit(adapter);
    }
    let cpu = CpuBackend::new();
    let auto = !adapters.iter().any(|a| a.auto);
    context.say(format!("cpu: {}{}", cpu.info().device, if auto { "  <- auto" } else { "" }));
    context.emit(&json!({ "backend": "cpu", "name": cpu.info().device, "auto": auto }));
    let taken = adapters.iter().find(|a| a.auto).map_or_else(|| cpu.info().device.clone(), |a| a.name.clone());
    context.emit(&json!({ "auto": taken, "adapters": adapters.len() }));
    Ok(())
}
