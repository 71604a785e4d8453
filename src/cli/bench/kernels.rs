//! Times single kernels.

use super::BenchArgs;
use crate::backend::Backend;
use crate::backend::timing::{Effort, TimedCase, repeat, spread};
use crate::cli::{CliError, Context};
use crate::kernel::{Case, Contents, Kernel, dense_forward, matmul};

/// The rate of a large matrix product in TFLOP/s: what percentages are of.
pub(super) fn measure_peak(backend: &dyn Backend, context: &Context) -> Result<f64, CliError> {
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
        let seconds = time_case(&case, backend, Effort { seconds: 0.2, repeat: 3 })?[0];
        let rate = 2.0 * (side as f64).powi(3) / seconds / 1e12;
        context.detail(format!("tiles {tiles:?}: {rate:.4} TFLOP/s in a product of {side} x {side} matrices"));
        best = best.max(rate);
    }
    Ok(best)
}

/// Seconds per launch of one case: fastest, median and slowest.
fn time_case(case: &Case, backend: &dyn Backend, effort: Effort) -> Result<[f64; 3], CliError> {
    let mut case = TimedCase::new(backend, case)?;
    Ok(spread(&repeat(effort, |launches| case.time(launches))?.1))
}

/// Times the case of a kernel that has the most work.
pub(super) fn time(
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
    let [fastest, median, slowest] = time_case(case, backend, args.effort())?;
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
