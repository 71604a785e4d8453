//! Times single kernels.

use super::BenchArgs;
use crate::cli::{CliError, Context};
use gputrain::backend::Backend;
use gputrain::backend::timing::{Effort, Spread, TimedCase, repeat};
use gputrain::kernel::dense::tiling::{TILES, Tiling};
use gputrain::kernel::formula::activation;
use gputrain::kernel::{Case, Contents, Launch, Specification, dense};

/// The rate of a large matrix product in TFLOP/s: what percentages are of.
pub(super) fn measure_peak(backend: &dyn Backend, context: &Context) -> Result<f64, CliError> {
    let side = if backend.info().software { 512 } else { 2048 };
    let contents: Vec<Contents> = [side * side, side * side, side * side].map(|n| Contents::random(n, 1.0, 1)).into();
    let s = Case::slices(&contents);
    let n = side as u32;
    let shape = dense::forward::Params { rows: n, inputs: n, outputs: n, parameter_stride: n * n, input_stride: n * n };
    let mut best = 0.0f64;
    for tile in TILES {
        let product = dense::Forward {
            label: "peak".into(),
            shape,
            models: 1,
            activation: activation::LINEAR,
            tiling: Tiling::plain(tile),
            operands: dense::forward::Operands { input: s[0], weight: s[1], bias: None, output: s[2] },
        };
        let case = Case { name: "peak".into(), dispatch: product.lower(), contents: contents.clone() };
        let seconds = time_case(&case, backend, Effort { seconds: 0.2, repeat: 3 })?.fastest;
        let rate = 2.0 * (side as f64).powi(3) / seconds / 1e12;
        context.detail(format!("{tile:?}: {rate:.4} TFLOP/s in a product of {side} x {side} matrices"));
        best = best.max(rate);
    }
    Ok(best)
}

/// Seconds per launch of one case.
fn time_case(case: &Case, backend: &dyn Backend, effort: Effort) -> Result<Spread, CliError> {
    let mut case = TimedCase::new(backend, case)?;
    Ok(Spread::new(&repeat(effort, |launches| case.time(launches))?.1))
}

/// Times the case of a kernel that has the most work.
pub(super) fn time(
    specification: &'static Specification,
    backend: &dyn Backend,
    args: &BenchArgs,
    context: &Context,
) -> Result<(), CliError> {
    let name = specification.kernel.name;
    let work = |case: &Case| case.dispatch.cost.flops + case.dispatch.cost.bytes;
    let cases = (specification.cases)();
    let Some(case) = cases.iter().max_by(|a, b| work(a).total_cmp(&work(b))) else {
        return Err(CliError::Failed(format!("{name} has no cases")));
    };
    let Spread { fastest, median, slowest } = time_case(case, backend, args.effort())?;
    let cost = case.dispatch.cost;
    let (gflops, gbytes) = (cost.flops / median / 1e9, cost.bytes / median / 1e9);
    let shape = &case.name;
    context.say(format!("{name:24} {:9.2} us  {gflops:9.2} GFLOP/s  {gbytes:8.2} GB/s  {shape}", median * 1e6));
    context.emit(&serde_json::json!({
        "kernel": name, "case": shape, "backend": backend.info().backend, "device": backend.info().device,
        "us": median * 1e6, "us_spread": [fastest * 1e6, slowest * 1e6],
        "gflops": gflops, "gbytes_per_second": gbytes,
    }));
    Ok(())
}
