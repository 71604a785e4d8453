//! Times single kernels.

use super::{BenchArgs, repeat, spread};
use crate::backend::Backend;
use crate::cli::{CliError, Context};
use crate::kernel::{Case, Contents, Kernel, dense_forward, matmul};
use crate::plan::{BufferId, Plan, Role};
use std::sync::Arc;
use std::time::Instant;

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
            Contents::F32(values) => bytemuck::cast_slice(values),
            Contents::U32(words) => words,
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
