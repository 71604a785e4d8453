use super::*;
use crate::backend::Backend;
use crate::backend::gpu::GpuBackend;
use crate::backend::tuning::Tuning;
use crate::ir::{Batches, DataLayout, TargetLayout};
use crate::model::{Model, Shape};
use crate::planner::PlanBuilder;
use crate::recipe::Recipe;

/// The launches of the default recipe on a device that computes nothing.
fn plan() -> LaunchPlan {
    let text = Recipe::builtin("digits").unwrap();
    let recipe = Recipe::parse(text, "digits", &[]).unwrap();
    let model = Model::build(&recipe.model, Some(Shape::Features(784))).unwrap();
    let mut builder = PlanBuilder::new(&model, 1, 1, 0.0, GpuBackend::noop().unwrap().limits());
    let layout = DataLayout {
        examples: 4000,
        folds: 1,
        features: 784,
        bytes: true,
        targets: TargetLayout::Classes,
        weighted: false,
    };
    let source = builder.source("train", layout, Batches { size: 128, shuffle: true });
    builder.training(&source, &recipe.train, &recipe.optimizer, false).unwrap();
    builder.finish_plan().unwrap().plan
}

/// Times as if the variants took these seconds, again and again; none is wrong but those of `f64::NAN`.
fn measured(launch: &Arc<dyn Launch>, seconds: &[f64]) -> Measured {
    let time = |s: f64| if s.is_nan() { Err("it computes something else".to_string()) } else { Ok(s) };
    let variants = lowered(&**launch).into_iter().zip(seconds.iter().cycle()).map(|(d, s)| (d, time(*s))).collect();
    Measured { launch: Arc::clone(launch), planned: launch.lower(), variants }
}

/// All variants of a launch.
fn lowered(launch: &dyn Launch) -> Vec<Dispatch> {
    launch.variants().iter().map(|variant| variant.lower()).collect()
}

/// What is kept of a measurement.
fn learn(tuning: &mut Tuning, measured: &Measured) {
    measured.best().into_iter().for_each(|best| tuning.keep(&*measured.launch, best));
}

fn launch_of<'a>(plan: &'a LaunchPlan, kernel: &str) -> &'a Arc<dyn Launch> {
    plan.launches().find(|launch| launch.lower().kernel.name == kernel).expect("the default recipe has dense layers")
}

#[test]
fn every_launch_is_one_of_its_variants() {
    for launch in plan().launches() {
        let (dispatch, variants) = (launch.lower(), lowered(&**launch));
        let same = |v: &&Dispatch| is_same(v, &dispatch) && v.grid == dispatch.grid;
        let found = variants.iter().find(same);
        assert_eq!(found.is_some(), !variants.is_empty(), "{}", dispatch.label);
        if let Some(found) = found {
            assert_eq!((&found.params, &found.slices), (&dispatch.params, &dispatch.slices), "{}", dispatch.label);
        }
    }
}

#[test]
fn the_fastest_right_variant_takes_the_place_of_the_planned_one() {
    let plan = plan();
    let planned = launch_of(&plan, "dense_forward");
    let all = lowered(&**planned);
    let position = all.iter().position(|v| v.constants == planned.lower().constants).unwrap();
    let mut seconds = vec![3.0; all.len()];
    let (wrong, right) = ((position + 1) % all.len(), (position + 2) % all.len());
    (seconds[wrong], seconds[right]) = (f64::NAN, 2.0);
    let measured = measured(planned, &seconds);
    assert_eq!(measured.planned_seconds(), Some(3.0));
    let mut tuning = Tuning::default();
    learn(&mut tuning, &measured);
    let tuned = |kernel: &str| tuning.tuned(&**launch_of(&plan, kernel)).constants;
    assert_eq!(tuned("dense_forward"), all[right].constants);
    assert_eq!(tuned("dense_backward_weight"), launch_of(&plan, "dense_backward_weight").lower().constants);
    // What is known of a shape is known of it in every variant.
    for variant in planned.variants() {
        assert_eq!(tuning.tuned(&*variant).constants, all[right].constants);
    }

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("new").join("tuning.json");
    assert_eq!(Tuning::load(&file).unwrap(), Tuning::default(), "there is none yet");
    tuning.save(&file).unwrap();
    assert_eq!(Tuning::load(&file).unwrap(), tuning);
    std::fs::write(&file, "{ \"choices\": 3 }").unwrap();
    let error = Tuning::load(&file).unwrap_err().to_string();
    assert!(error.contains("tuning.json") && error.contains("delete it"), "{error}");
}

#[test]
fn a_little_faster_is_not_worth_it() {
    let plan = plan();
    let planned = launch_of(&plan, "dense_forward");
    let all = lowered(&**planned);
    let position = all.iter().position(|v| v.constants == planned.lower().constants).unwrap();
    let mut seconds = vec![0.97; all.len()];
    seconds[position] = 1.0;
    let mut tuning = Tuning::default();
    learn(&mut tuning, &measured(planned, &seconds));
    assert!(tuning.is_empty(), "3 % are noise");
    seconds[position] = f64::NAN;
    learn(&mut tuning, &measured(planned, &seconds));
    assert_eq!(tuning.len(), 1, "anything is better than what is wrong");
}
