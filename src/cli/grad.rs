//! `grad`: the loss and the gradients of one batch.

use super::train::initial;
use super::{CliError, Context, RecipeArgs};
use clap::Args;
use gputrain::backend::Backend;
use gputrain::data::{Array, write_arrays};
use gputrain::gradcheck::{DoublePrecision, Options, TensorCheck, rounding};
use gputrain::job::Job;
use gputrain::model::Model;
use gputrain::recipe::{AugmentSpec, Precision};
use gputrain::train::{Member, Trainer, TrainerSpec};
use indicatif::ProgressBar;
use serde_json::json;
use std::path::PathBuf;

/// The loss and the gradient of every parameter on the first batch, at the given weights
#[derive(Debug, Clone, Default, Args)]
pub struct GradArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Weights (.safetensors or .npz with layers.N.weight, layers.N.bias) [default: the recipe's initial weights]
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Writes `loss` and a gradient per parameter, but for frozen ones, as .npz
    #[arg(long, value_name = "FILE.npz")]
    out: Option<PathBuf>,
    /// Compares the gradients with central differences in f64, and the device's with the f64 ones; exit code 1 if they
    /// differ. In mixed precision the device's are held against f64 with the same factors rounded to f16
    #[arg(long)]
    check: bool,
    /// With --check: compares at most so many elements of each parameter, spread evenly
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    at_most: u32,
}

/// Bound of --check: analytic against numeric in f64.
const NUMERIC_BOUND: f64 = 1e-6;
/// In mixed precision the device is held against f64 with the same factors rounded to f16, since rounding alone may open or
/// close a unit such as ReLU's. Equal numbers are rounded alike; where f32 and f64 differ in the last bit, a factor may round
/// the other way, which changes it by 2^-10 of itself, and with it each of its terms.
const MIXED_BOUND: f64 = 1.0 / 1024.0;

/// The bound of each parameter's gradient on the device, relative to the sums of the absolute values of its terms.
fn device_bounds(spec: &TrainerSpec) -> Vec<f64> {
    match spec.members[0].precision {
        Precision::F32 => rounding::gradient_bounds(&spec.model, spec.batches().size),
        Precision::Mixed => vec![MIXED_BOUND; spec.model.parameters.len()],
    }
}

pub fn run(args: &GradArgs, context: &Context) -> Result<(), CliError> {
    args.recipe.check_folder(false)?;
    let job = args.recipe.job()?;
    job.described().iter().for_each(|note| context.say(note));
    let parameters = initial(args.init.as_deref(), &job, context)?.parameters;
    let backend = context.open_backend()?;
    let at_most = args.check.then_some(args.at_most as usize);
    let bar = context.progress_bar(0, "{bar:30} {pos}/{len} elements and roundings  {eta} left");
    let Measured { loss, double_loss, gradients, checks } = measure(&job, &parameters, at_most, &*backend, &bar)?;
    context.say(format!("{} ({})", backend.info().device, backend.info().backend));
    let in_f64 = double_loss.map_or(String::new(), |loss| format!(", in f64 {loss}"));
    context.say(format!("loss {loss}{in_f64}"));
    let frozen = job.model.frozen_parameters();
    for ((parameter, gradient), frozen) in job.model.parameters.iter().zip(&gradients).zip(frozen) {
        if frozen {
            context.say(format!("{} {:?}: frozen", parameter.name, parameter.shape));
            continue;
        }
        context.say(describe(&parameter.name, &parameter.shape, gradient));
        context.emit(&json!({ "parameter": parameter.name, "shape": parameter.shape, "gradient": gradient }));
    }
    if let Some(path) = &args.out {
        write(path, &job.model, loss, &gradients)?;
        context.say(format!("wrote {}", path.display()));
    }
    context.emit(&json!({ "loss": loss, "loss_f64": double_loss, "check": checks }));
    let Some(checks) = checks else { return Ok(()) };
    let exact = match job.recipe.precision {
        Precision::F32 => "f64",
        Precision::Mixed => "f64 with factors rounded to f16",
    };
    context.say(format!(
        "bounds: {NUMERIC_BOUND:e} by differences; the device against {exact}, of the sum of the absolute values of all terms of \
         an element: what rounding can make of so many"
    ));
    judge(&checks, context)
}

/// The first batch's loss and gradients, and how they compare.
pub(super) struct Measured {
    pub loss: f32,
    /// The same in f64, where that was asked for.
    pub double_loss: Option<f64>,
    pub gradients: Vec<Vec<f32>>,
    pub checks: Option<Vec<Check>>,
}

/// Takes the gradient of the first batch at the given weights. With `at_most` it is compared with central differences
/// in f64, of so many elements of each parameter.
pub(super) fn measure(
    job: &Job,
    parameters: &[Vec<f32>],
    at_most: Option<usize>,
    backend: &dyn Backend,
    bar: &ProgressBar,
) -> Result<Measured, CliError> {
    let members = [Member::of(&job.recipe)];
    // Gradients are those at the images as they are.
    let spec = TrainerSpec { augment: AugmentSpec::NONE, ..job.spec(&members) };
    let mut trainer = Trainer::new(backend, spec.clone())?;
    trainer.set_parameters(0, parameters)?;
    let (loss, gradients) = trainer.gradient()?;
    let checked = at_most.map(|at_most| check(at_most, spec, parameters, &gradients, bar)).transpose()?;
    let (double_loss, checks) = checked.unzip();
    Ok(Measured { loss, double_loss, gradients, checks })
}

/// A tensor's gradient in words: all of it where it is small.
fn describe(name: &str, shape: &[usize], gradient: &[f32]) -> String {
    let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    let head = format!("{name} {shape:?}: norm {norm:.6e}");
    if gradient.len() > 32 { head } else { format!("{head}, {gradient:?}") }
}

fn write(path: &std::path::Path, model: &Model, loss: f32, gradients: &[Vec<f32>]) -> Result<(), CliError> {
    let tensors = model.parameters.iter().zip(gradients).zip(model.frozen_parameters());
    let tensors =
        tensors.filter(|(_, frozen)| !frozen).map(|((p, g), _)| (p.name.as_str(), Array::from_f32(&p.shape, g)));
    let arrays: Vec<(&str, Array)> = std::iter::once(("loss", Array::from_f32(&[], &[loss])))
        .chain(tensors)
        .filter_map(|(name, array)| Some((name, array?)))
        .collect();
    let named: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    Ok(write_arrays(path, &named)?)
}

/// One parameter's verdict.
#[derive(Debug, serde::Serialize)]
pub(super) struct Check {
    #[serde(flatten)]
    pub numeric: TensorCheck,
    /// Largest error of the device's gradient against the one in f64, with factors rounded as on the device, relative to the
    /// sum of the absolute values of the element's terms.
    pub device_error: f64,
    /// Its bound: see [`rounding`].
    pub device_bound: f64,
}

impl Check {
    /// Whether both errors are within their bounds. Where nothing was compared there is no error to go by.
    pub(super) fn passes(&self) -> bool {
        self.numeric.checked > 0 && self.numeric.worst_error <= NUMERIC_BOUND && self.device_error <= self.device_bound
    }
}

/// The loss in f64, and every parameter's verdict.
fn check(
    at_most: usize,
    spec: TrainerSpec,
    parameters: &[Vec<f32>],
    gradients: &[Vec<f32>],
    bar: &ProgressBar,
) -> Result<(f64, Vec<Check>), CliError> {
    let widen = |values: &Vec<f32>| values.iter().map(|x| f64::from(*x)).collect();
    let parameters = parameters.iter().map(widen).collect::<Vec<_>>();
    let mut double = DoublePrecision::new(spec.clone())?;
    double.set_parameters(&parameters);
    let (loss, mut exact) = double.gradient();
    let frozen = spec.model.frozen_parameters();
    let trained = || spec.model.parameters.iter().zip(&frozen).filter(|(_, frozen)| !**frozen).map(|(p, _)| p);
    let names: Vec<String> = trained().map(|p| p.name.clone()).collect();
    let compared: &dyn Fn() = &|| bar.inc(1);
    let options = Options { at_most: Some(at_most), compared: Some(compared) };
    let elements: usize = trained().map(|p| options.count(p.len())).sum();
    bar.set_length(elements as u64 + u64::from(rounding::SAMPLES));
    let numeric = double.check(&names, options);
    double.set_parameters(&parameters);
    let precision = spec.members[0].precision;
    if precision == Precision::Mixed {
        double = DoublePrecision::rounded(spec.clone(), precision)?;
        double.set_parameters(&parameters);
        (_, exact) = double.gradient();
    }
    let mut terms = double.absolute_terms()?;
    let bounds = device_bounds(&spec);
    for sample in 0..rounding::SAMPLES {
        double.set_parameters(&rounding::as_rounded(&spec.model, &parameters, sample));
        let (_, rounded) = double.gradient();
        allow(&mut terms, &rounded, &exact, &bounds);
        compared();
    }
    bar.finish_and_clear();
    let device = gradients.iter().zip(&exact).zip(&terms).zip(bounds).zip(&frozen).filter(|(_, frozen)| !**frozen);
    let device =
        device.map(|((((ours, exact), terms), bound), _)| (rounding::relative_to_terms(ours, exact, terms), bound));
    let checks = numeric.into_iter().zip(device);
    let check = |(numeric, (device_error, device_bound))| Check { numeric, device_error, device_bound };
    Ok((loss, checks.map(check).collect()))
}

/// Counts the terms as so many more that this gradient, too, is within the bounds.
fn allow(terms: &mut [Vec<f64>], gradients: &[Vec<f64>], exact: &[Vec<f64>], bounds: &[f64]) {
    for (((terms, gradient), exact), bound) in terms.iter_mut().zip(gradients).zip(exact).zip(bounds) {
        for ((terms, gradient), exact) in terms.iter_mut().zip(gradient).zip(exact) {
            *terms = terms.max((gradient - exact).abs() / bound);
        }
    }
}

fn judge(checks: &[Check], context: &Context) -> Result<(), CliError> {
    let mut failed = Vec::new();
    for check in checks {
        let Check { numeric, device_error, device_bound } = check;
        context.say(format!("{numeric}; device against f64: {device_error:.1e} (bound {device_bound:.1e})"));
        if !check.passes() {
            let reason = if check.numeric.checked == 0 { " (not checked)" } else { "" };
            failed.push(format!("{}{reason}", check.numeric.name));
        }
    }
    if failed.is_empty() {
        context.say("all gradients agree");
        return Ok(());
    }
    Err(CliError::Failed(format!("gradients out of bounds: {}", failed.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gputrain::backend::cpu::CpuBackend;
    use gputrain::data::{Dataset, Examples, Features, Scaling, Storage, Targets};
    use gputrain::kernel::formula::hash;
    use gputrain::recipe::Recipe;
    use std::sync::Arc;

    /// The third weight of each unit is minus the rounded sum of the others: in f64 what is left opens half of the units, in f32
    /// nothing is left.
    #[test]
    fn a_unit_that_rounding_shuts_is_in_bounds_and_a_wrong_gradient_is_not() {
        const UNITS: u32 = 64;
        let text = "[model]\ninput = [3]\nloss = \"mse\"\nlayers = [{ dense = 64, activation = \"relu\", bias = false }, \
                    { dense = 1 }]\n[data]\nscale = \"none\"\n[train]\nbatch = \"full\"";
        let recipe = Recipe::parse(text, "r.toml", &[]).unwrap();
        let model = Model::build(&recipe.model, None).unwrap();
        let random = |i: u32| hash::mix(i) as f32 / u32::MAX as f32 + 0.1;
        let unit = |j: u32| [random(2 * j), random(2 * j + 1), -(random(2 * j) + random(2 * j + 1))];
        let first: Vec<f32> = (0..UNITS).flat_map(unit).collect();
        let parameters = [first, (0..UNITS).map(|j| random(1000 + j)).collect(), vec![0.0]];
        let features = Features { storage: Storage::F32(vec![1.0; 3].into()), count: 1, shape: model.input };
        let scaling = Scaling::fit(recipe.data.scale, &features);
        let train = Examples::unweighted(features, Targets::Values { values: vec![1.0], outputs: 1 });
        let dataset = Arc::new(Dataset { train, validation: None, test: None });
        let job = Job {
            recipe,
            model,
            dataset,
            scaling,
            trained_on: Default::default(),
            notes: Vec::new(),
            weighing: Vec::new(),
            files: Vec::new(),
        };
        let measured = measure(&job, &parameters, Some(1), &CpuBackend::new(), &ProgressBar::hidden()).unwrap();
        let open = |gradients: &[f32]| gradients.iter().filter(|gradient| **gradient != 0.0).count();
        assert!(open(&measured.gradients[0]) < 3 * 20, "the units are shut in f32: {:?}", measured.gradients[0]);
        let errors = |checks: &[Check]| checks.iter().all(|check| check.device_error <= check.device_bound);
        assert!(errors(measured.checks.as_ref().unwrap()), "{:?}", measured.checks);
        // The last bias' gradient has no such excuse.
        let members = [Member::of(&job.recipe)];
        let mut wrong = measured.gradients.clone();
        wrong[2][0] *= 1.001;
        let (_, checks) = check(1, job.spec(&members), &parameters, &wrong, &ProgressBar::hidden()).unwrap();
        assert!(checks[2].device_error > checks[2].device_bound, "{checks:?}");
    }

    #[test]
    fn a_tensor_of_which_nothing_was_compared_does_not_pass() {
        let of = |checked: usize, worst_error: f64, device_error: f64| {
            let numeric = TensorCheck {
                name: "layers.0.bias".into(),
                checked,
                skipped: 3,
                worst_error,
                worst_element: 0,
                analytic: 0.0,
                numeric: 0.0,
            };
            Check { numeric, device_error, device_bound: 1e-5 }
        };
        assert!(of(1, 1e-7, 1e-6).passes());
        let none = of(0, 0.0, 0.0);
        assert_eq!(none.numeric.to_string(), "layers.0.bias: not checked (3 elements at kinks skipped)");
        for bad in [none, of(1, 1e-5, 0.0), of(1, f64::NAN, 0.0), of(1, 0.0, 1e-4), of(1, 0.0, f64::NAN)] {
            assert!(!bad.passes(), "{bad:?}");
        }
    }
}
