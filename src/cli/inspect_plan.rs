//! `inspect --plan`: what a training run launches, and the memory it takes.

use super::table::table;
use super::train::streamed;
use super::{CliError, Context};
use gputrain::ir::{Dispatch, Needs, PhaseKind, Plan, Role};
use gputrain::job::Job;
use gputrain::plan_file::PlanFile;
use gputrain::planner::Fusion;
use gputrain::recipe::Precision;
use gputrain::train::{Draft, Member};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Prints the launches of every program of training from these weights, and writes the plan into a folder; gives the memory by
/// role in bytes.
pub fn say_plan(
    job: &Job,
    weights: Vec<Vec<f32>>,
    fusion: Fusion,
    out: Option<&Path>,
    context: &Context,
) -> Result<Value, CliError> {
    let backend = context.open_backend()?;
    let draft = Draft::new(job.spec(&[Member::of(&job.recipe)]), fusion, backend.limits())?.with_weights(&[weights])?;
    let plan = &backend.tuned(draft.plan());
    plan.io.iter().flat_map(|io| streamed(&io.sources)).for_each(|line| context.say(line));
    let reason = draft.not_fused().map(ToString::to_string);
    match &reason {
        Some(reason) => context.say(format!("\nthe training step is not fused: {reason}")),
        None => context.say("\nthe training step is fused"),
    }
    context.emit(&json!({ "fused": reason.is_none(), "not_fused": reason }));
    if job.recipe.precision == Precision::Mixed {
        let f32 = of_f32_convolutions(plan);
        context.say("mixed precision: the factors of products are f16, sums f32");
        if !f32.is_empty() {
            let reason = "with one or with few channels, they would mostly multiply zeros in matrices of 16 x 16";
            context.say(format!("convolutions that stay f32, since {reason}: {}", f32.join("; ")));
        }
        context.emit(&json!({ "f32_convolutions": f32 }));
    }
    for program in &plan.programs {
        let flops: f64 = program.dispatches().map(|dispatch| dispatch.cost.flops).sum();
        let launches = program.len();
        context.say(format!("\n{}: {launches} launches, {} flop", program.name, short(flops)));
        let rows: Vec<Vec<String>> = program.dispatches().enumerate().map(row).collect();
        context.say(table(&["", "kernel", "computes", "grid", "flop"], &rows));
        let phases = program.phases.iter();
        let phases = phases.flat_map(|phase| phase.dispatches.iter().map(|dispatch| describe(phase.kind, dispatch)));
        let dispatches: Vec<Value> = phases.collect();
        context.emit(&json!({ "program": program.name, "dispatches": dispatches, "flops": flops }));
    }
    let file = PlanFile::new(plan);
    context.emit(&file);
    if let Some(folder) = out {
        file.save(folder)?;
        context.say(format!("\nthe plan is in {}", folder.display()));
    }
    Ok(say_memory(plan, context))
}

/// What those launches of convolutions compute whose factors are not rounded, each once.
fn of_f32_convolutions(plan: &Plan) -> Vec<&str> {
    let mut labels: Vec<&str> = Vec::new();
    for Dispatch { kernel, label, .. } in plan.dispatches() {
        let convolves = ["conv2d", "depthwise"].iter().any(|kind| kernel.name.starts_with(kind));
        if convolves && kernel.needs == Needs::Nothing && !labels.contains(&label.as_str()) {
            labels.push(label);
        }
    }
    labels
}

fn row((index, dispatch): (usize, &Dispatch)) -> Vec<String> {
    let grid = dispatch.grid.map(|side| side.to_string()).join(" x ");
    let kernel = dispatch.kernel.name.to_string();
    vec![index.to_string(), kernel, dispatch.label.clone(), grid, short(dispatch.cost.flops)]
}

fn describe(phase: PhaseKind, dispatch: &Dispatch) -> Value {
    json!({
        "phase": phase.name(),
        "kernel": dispatch.kernel.name,
        "label": dispatch.label,
        "grid": dispatch.grid,
        "constants": dispatch.constants.iter().copied().collect::<BTreeMap<_, _>>(),
        "flops": dispatch.cost.flops,
        "bytes": dispatch.cost.bytes,
    })
}

/// A large number in few digits.
fn short(number: f64) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    match units.iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{:.1}{unit}", number / size),
        None => format!("{number:.0}"),
    }
}

fn say_memory(plan: &Plan, context: &Context) -> Value {
    let mut roles: BTreeMap<Role, (usize, u64)> = BTreeMap::new();
    for buffer in &plan.buffers {
        let (count, bytes) = roles.entry(buffer.role).or_default();
        *count += 1;
        *bytes += buffer.bytes();
        context.detail(format!("{:?} {}: {} bytes", buffer.role, buffer.name, buffer.bytes()));
    }
    let mib = |bytes: u64| format!("{:.2}", bytes as f64 / f64::from(1 << 20));
    let name = |role: Role| format!("{role:?}").to_lowercase();
    let mut rows: Vec<Vec<String>> =
        roles.iter().map(|(role, (count, bytes))| vec![name(*role), count.to_string(), mib(*bytes)]).collect();
    rows.push(vec!["total".to_string(), plan.buffers.len().to_string(), mib(plan.bytes())]);
    context.say(format!("\n{}", table(&["memory", "buffers", "MiB"], &rows)));
    let mut memory: Map<String, Value> = roles.iter().map(|(role, (_, bytes))| (name(*role), json!(bytes))).collect();
    memory.insert("total".to_string(), json!(plan.bytes()));
    Value::Object(memory)
}
