//! `bench`: times workloads and kernels.

use super::{CliError, Context, FusionArgs};
use crate::backend::Backend;
use crate::data::{Dataset, Examples, Features, Scaling, Storage, Targets};
use crate::kernel::{Case, Kernel, REGISTRY, hash};
use crate::model::Model;
use crate::plan::{BufferId, Plan, Role};
use crate::recipe::{Loss, Recipe};
use crate::train::{Member, Trainer, TrainerSpec};
use clap::Args;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

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
    #[command(flatten)]
    fusion: FusionArgs,
}

/// The workloads and the examples that an epoch of each goes through.
const WORKLOADS: [(&str, usize); 9] = [
    ("fashion-mlp-10x3", 60_000),
    ("fashion-mlp-40x5-l2", 48_000),
    ("notmnist-mlp-1000", 15_000),
    ("mnist-mlp-tanh", 50_000),
    ("mnist-mlp-adam", 48_000),
    ("fashion5-mlp1", 27_000),
    ("fashion5-cnn3", 27_000),
    ("fashion5-cnn5", 27_000),
    ("wide-mlp-4096", 40_960),
];

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct WorkloadTime {
    workload: String,
    backend: String,
    device: String,
    precision: String,
    us_per_step: f64,
    us_per_step_spread: [f64; 2],
    steps_per_second: f64,
    seconds_per_epoch: f64,
    tflops: f64,
    percent_of_peak: f64,
    dispatches_per_step: usize,
    host_encode_us_per_dispatch: f64,
    host_bytes_written_in_loop: u64,
    host_buffers_created_in_loop: u64,
}

pub fn run(args: &BenchArgs, context: &Context) -> Result<(), CliError> {
    let backend = context.open_backend()?;
    let named: Vec<&str> = match args.names.is_empty() {
        true => WORKLOADS.iter().map(|(name, _)| *name).filter(|n| *n != "wide-mlp-4096").collect(),
        false => args.names.iter().map(String::as_str).collect(),
    };
    context.say(format!("{} ({})", backend.info().device, backend.info().backend));
    let mut peak = None;
    for name in &named {
        if let Some(kernel) = REGISTRY.iter().find(|k| k.name == *name) {
            time_kernel(kernel, &*backend, args, context)?;
        } else if let Some((workload, samples)) = WORKLOADS.iter().find(|(w, _)| w == name) {
            let peak = match peak {
                Some(peak) => peak,
                None => *peak.insert(measure_peak(&*backend, context)?),
            };
            time_workload(workload, *samples, peak, &*backend, args, context)?;
        } else {
            let workloads: Vec<&str> = WORKLOADS.iter().map(|(name, _)| *name).collect();
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

fn time_workload(
    name: &str,
    samples: usize,
    peak: f64,
    backend: &dyn Backend,
    args: &BenchArgs,
    context: &Context,
) -> Result<(), CliError> {
    let text = Recipe::builtin(name).ok_or_else(|| CliError::Failed(format!("there is no recipe {name}")))?;
    let recipe = Recipe::parse(text, name, &[])?;
    let model = Model::build(&recipe.model, None)?;
    let dataset = Dataset { train: random_examples(&model, samples), validation: None, test: None };
    let scaling = Scaling::fit(recipe.data.scale, &dataset.train.features);
    let members = [Member::of(&recipe)];
    let mut train = recipe.train.clone();
    (train.early_stop, train.record) = (None, Vec::new());
    let spec = TrainerSpec { model: &model, dataset: &dataset, scaling: &scaling, train: &train, members: &members };
    let mut trainer = Trainer::with_fusion(backend, spec, args.fusion.fusion())?;
    trainer.set_parameters(0, &model.initialise(recipe.seed))?;

    let (steps, times) = repeat(args, |steps| Ok(trainer.time_steps(steps)?))?;
    let before = trainer.host_counters();
    trainer.time_steps(steps)?;
    let after = trainer.host_counters();
    let program = trainer.step_program();
    let flops: f64 = program.dispatches.iter().map(|d| f64::from(d.grid[2]) * (d.kernel.cost)(&d.params).flops).sum();
    let dispatches = program.dispatches.len();
    let [fastest, median, slowest] = spread(&times);
    let encoded = (after.dispatches - before.dispatches).max(1) as f64;
    let time = WorkloadTime {
        workload: name.into(),
        backend: backend.info().backend.clone(),
        device: backend.info().device.clone(),
        precision: recipe.precision.to_string(),
        us_per_step: median * 1e6,
        us_per_step_spread: [fastest * 1e6, slowest * 1e6],
        steps_per_second: 1.0 / median,
        seconds_per_epoch: median * trainer.steps_per_epoch() as f64,
        tflops: flops / median / 1e12,
        percent_of_peak: 100.0 * flops / median / 1e12 / peak,
        dispatches_per_step: dispatches,
        host_encode_us_per_dispatch: (after.encode_nanoseconds - before.encode_nanoseconds) as f64 / 1e3 / encoded,
        host_bytes_written_in_loop: after.bytes_written - before.bytes_written,
        host_buffers_created_in_loop: after.buffers_created - before.buffers_created,
    };
    context.say(format!(
        "{name:22} {:10.1} us/step ({:.1} to {:.1})  {:8.4} TFLOP/s ({:4.1} % of the measured peak)  {dispatches} dispatches",
        time.us_per_step,
        time.us_per_step_spread[0],
        time.us_per_step_spread[1],
        time.tflops,
        time.percent_of_peak
    ));
    context.emit(&time);
    Ok(())
}

/// Seconds per step of several repetitions, and the steps of one.
fn repeat(
    args: &BenchArgs,
    mut time: impl FnMut(u32) -> Result<std::time::Duration, CliError>,
) -> Result<(u32, Vec<f64>), CliError> {
    let mut steps = 1u32;
    // Warm-up, which also finds out how many steps a repetition takes.
    loop {
        let took = time(steps)?.as_secs_f64();
        if took >= args.seconds / 4.0 || steps >= 1 << 20 {
            steps = ((f64::from(steps) * args.seconds / took.max(1e-9)) as u32).max(1);
            break;
        }
        steps *= 2;
    }
    let times: Result<Vec<f64>, CliError> =
        (0..args.repeat.max(1)).map(|_| Ok(time(steps)?.as_secs_f64() / f64::from(steps))).collect();
    Ok((steps, times?))
}

/// Smallest, median and largest.
fn spread(times: &[f64]) -> [f64; 3] {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    [sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]]
}

/// Examples without meaning, the same every time.
fn random_examples(model: &Model, count: usize) -> Examples {
    let width = model.input.len();
    let words = (0..(count * width).div_ceil(4) as u32).flat_map(|i| hash::mix(i).to_le_bytes());
    let bytes: Vec<u8> = words.take(count * width).collect();
    let label = |i: usize| hash::combine(1, i as u32) % model.outputs() as u32;
    let targets = match model.loss {
        Loss::SoftmaxCrossEntropy => {
            Targets::Classes { labels: (0..count).map(label).collect(), classes: model.outputs() }
        }
        _ => {
            let values = (0..count * model.outputs()).map(|i| (hash::mix(i as u32) & 1) as f32).collect();
            Targets::Values { values, outputs: model.outputs() }
        }
    };
    Examples { features: Features { storage: Storage::U8(bytes), count, shape: model.input }, targets }
}

/// The rate of a large matrix product in TFLOP/s: what percentages are of.
fn measure_peak(backend: &dyn Backend, context: &Context) -> Result<f64, CliError> {
    use crate::kernel::{Contents, dense_forward, matmul};
    let side = if backend.info().software { 512 } else { 2048 };
    let contents: Vec<Contents> = [side * side, side * side, side * side].map(|n| Contents::random(n, 1.0, 1)).into();
    let s = Case::slices(&contents);
    let n = side as u32;
    let shape = dense_forward::Params { rows: n, inputs: n, outputs: n, parameter_stride: n * n, input_stride: n * n };
    let mut best = 0.0f64;
    for tiles in matmul::VARIANTS {
        let operands = dense_forward::Operands { input: s[0], weight: s[1], bias: None, output: s[2] };
        let dispatch = dense_forward::dispatch("peak", shape, 1, 0, tiles, operands);
        let case = Case { name: "peak".into(), dispatch, contents: contents.clone() };
        let args = BenchArgs { seconds: 0.2, repeat: 3, ..BenchArgs::default() };
        let seconds = spread(&time_case(&dense_forward::KERNEL, &case, backend, &args)?)[0];
        let rate = 2.0 * (side as f64).powi(3) / seconds / 1e12;
        context.detail(format!("tiles {tiles:?}: {rate:.4} TFLOP/s in a product of {side} x {side} matrices"));
        best = best.max(rate);
    }
    Ok(best)
}

/// Seconds per launch of one case.
fn time_case(kernel: &Kernel, case: &Case, backend: &dyn Backend, args: &BenchArgs) -> Result<Vec<f64>, CliError> {
    let mut plan = Plan::default();
    for (binding, contents) in kernel.bindings.iter().zip(&case.contents) {
        plan.buffer(binding.name, binding.element, contents.len(), Role::Activations);
    }
    let program = plan.program(kernel.name, vec![case.dispatch.clone()]);
    let mut session = backend.prepare(Arc::new(plan))?;
    for (index, contents) in case.contents.iter().enumerate() {
        let words = match contents {
            crate::kernel::Contents::F32(values) => bytemuck::cast_slice(values),
            crate::kernel::Contents::U32(words) => words,
        };
        session.write(BufferId(index), 0, words)?;
    }
    let (_, times) = repeat(args, |count| {
        session.wait()?;
        let start = Instant::now();
        session.run(program, count)?;
        session.wait()?;
        Ok(start.elapsed())
    })?;
    Ok(times)
}

/// Times the case of a kernel that has the most work.
fn time_kernel(
    kernel: &'static Kernel,
    backend: &dyn Backend,
    args: &BenchArgs,
    context: &Context,
) -> Result<(), CliError> {
    let work = |case: &Case| {
        let cost = (kernel.cost)(&case.dispatch.params);
        f64::from(case.dispatch.grid[2]) * (cost.flops + cost.bytes)
    };
    let cases = (kernel.cases)();
    let Some(case) = cases.iter().max_by(|a, b| work(a).total_cmp(&work(b))) else {
        return Err(CliError::Failed(format!("{} has no cases", kernel.name)));
    };
    let [fastest, median, slowest] = spread(&time_case(kernel, case, backend, args)?);
    let cost = (kernel.cost)(&case.dispatch.params);
    let models = f64::from(case.dispatch.grid[2]);
    let (gflops, gbytes) = (models * cost.flops / median / 1e9, models * cost.bytes / median / 1e9);
    let (name, shape) = (kernel.name, &case.name);
    context.say(format!("{name:24} {:9.2} us  {gflops:9.2} GFLOP/s  {gbytes:8.2} GB/s  {shape}", median * 1e6));
    context.emit(&serde_json::json!({
        "kernel": name, "case": shape, "backend": backend.info().backend, "device": backend.info().device,
        "us": median * 1e6, "us_spread": [fastest * 1e6, slowest * 1e6],
        "gflops": gflops, "gbytes_per_second": gbytes,
    }));
    Ok(())
}
