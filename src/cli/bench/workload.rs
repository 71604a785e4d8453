//! Times training steps of bundled recipes on random data.

use super::BenchArgs;
use crate::backend::timing::{repeat, spread};
use crate::backend::{Backend, LaunchTime};
use crate::cli::table::table;
use crate::cli::train::say_streamed;
use crate::cli::{CliError, Context};
use crate::data::{Dataset, Examples, Features, Scaling, Storage, Targets};
use crate::kernel::hash;
use crate::model::Model;
use crate::plan::Dispatch;
use crate::recipe::{Loss, Recipe};
use crate::train::{Member, Trainer, TrainerSpec};
use serde::Serialize;

/// The workloads and the examples that an epoch of each goes through.
pub(super) const WORKLOADS: [(&str, usize); 9] = [
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

/// Times the steps of one workload.
pub(super) fn time(
    name: &str,
    samples: usize,
    peak: f64,
    backend: &dyn Backend,
    args: &BenchArgs,
    context: &Context,
) -> Result<(), CliError> {
    let text = Recipe::builtin(name).ok_or_else(|| CliError::Failed(format!("there is no recipe {name}")))?;
    let precision = args.precision.iter().map(|precision| ("precision".to_string(), precision.clone()));
    let recipe = Recipe::parse(text, name, &precision.collect::<Vec<_>>())?;
    let model = Model::build(&recipe.model, None)?;
    let dataset = Dataset { train: random_examples(&model, samples), validation: None, test: None };
    let scaling = Scaling::fit(recipe.data.scale, &dataset.train.features);
    let members = [Member::of(&recipe)];
    let mut train = recipe.train.clone();
    (train.early_stop, train.record) = (None, Vec::new());
    let spec = TrainerSpec { model: &model, dataset: &dataset, scaling: &scaling, train: &train, members: &members };
    let fusion = args.fusion.fusion();
    args.tune.tune(backend, context, spec, fusion)?;
    let mut trainer = Trainer::with_fusion(backend, spec, fusion)?;
    trainer.set_parameters(0, &model.initialise(recipe.seed))?;
    say_streamed(&trainer, context);

    let (steps, times) = repeat(args.effort(), |steps| trainer.time_steps(steps))?;
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
    if args.profile {
        profile(name, &mut trainer, context)?;
    }
    Ok(())
}

/// One launch of a step, as `--profile --json` tells of it.
#[derive(Debug, Serialize)]
struct ProfiledLaunch<'a> {
    workload: &'a str,
    launch: String,
    kernel: &'static str,
    us: f64,
    percent_of_step: f64,
    gflops: f64,
    gbytes_per_second: f64,
}

/// Where the time of a step goes: the median of several steps, launch by launch.
fn profile(workload: &str, trainer: &mut Trainer, context: &Context) -> Result<(), CliError> {
    const STEPS: usize = 21;
    let steps: Vec<Vec<LaunchTime>> = (0..STEPS).map(|_| trainer.profile_step()).collect::<Result<_, _>>()?;
    let dispatches = &trainer.step_program().dispatches;
    let median = |launch: usize| spread(&steps.iter().map(|step| step[launch].nanoseconds).collect::<Vec<_>>())[1];
    let medians: Vec<f64> = (0..dispatches.len()).map(median).collect();
    let whole: f64 = medians.iter().sum();
    let one = |(dispatch, nanoseconds): (&Dispatch, &f64)| {
        let (cost, models) = ((dispatch.kernel.cost)(&dispatch.params), f64::from(dispatch.grid[2]));
        // Operations per nanosecond are billions per second.
        ProfiledLaunch {
            workload,
            launch: dispatch.label.clone(),
            kernel: dispatch.kernel.name,
            us: nanoseconds / 1e3,
            percent_of_step: 100.0 * nanoseconds / whole,
            gflops: models * cost.flops / nanoseconds,
            gbytes_per_second: models * cost.bytes / nanoseconds,
        }
    };
    let launches: Vec<ProfiledLaunch> = dispatches.iter().zip(&medians).map(one).collect();
    let row = |l: &ProfiledLaunch| {
        let numbers = [l.us, l.percent_of_step, l.gflops, l.gbytes_per_second].map(|x| format!("{x:.1}"));
        [l.launch.clone(), l.kernel.to_string()].into_iter().chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = launches.iter().map(row).collect();
    context.say(table(&["launch", "kernel", "us", "% of step", "GFLOP/s", "GB/s"], &rows));
    launches.iter().for_each(|launch| context.emit(launch));
    Ok(())
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
