//! Tuned variants: measured on a device, right, and of no consequence for the results.

use crate::cases::spec;
use crate::common;
use crate::story::golden_job;
use gputrain::backend::Backend;
use gputrain::ir::{Dispatch, Plan};
use gputrain::kernel::{Launch, LaunchPlan};
use gputrain::planner::Fusion;
use gputrain::train::{Draft, Member, Silent, Trainer};
use gputrain::tune::{Measured, keep, measure};
use std::path::Path;
use std::sync::Arc;

/// A network with dense layers and one with convolutions, both in both precisions. Sums in another order show in the first steps.
const NETWORKS: [(&str, &[(&str, &str)]); 4] = [
    ("optimizer-adam", &[EPOCHS]),
    ("optimizer-adam", &[EPOCHS, ("precision", "mixed")]),
    ("conv-l2-momentum", &[EPOCHS]),
    ("conv-l2-momentum", &[EPOCHS, ("precision", "mixed"), ("model.layers", FILTERS)]),
];
const EPOCHS: (&str, &str) = ("train.epochs", "2");
const FILTERS: &str = "[{ conv2d = 16, kernel = 3 }, { conv2d = 12, kernel = 2, stride = 2 }, { dense = 5 }]";

/// The plan with the planner's variants.
fn drafted(backend: &dyn Backend, (network, overrides): (&str, &[(&str, &str)])) -> LaunchPlan {
    let job = golden_job(network, overrides);
    let members = [Member::of(&job.recipe)];
    Draft::new(spec(&job, &members), Fusion::Never, backend.limits()).unwrap().plan().clone()
}

/// The plan that runs, and the weights at the end.
fn trained(backend: &dyn Backend, (network, overrides): (&str, &[(&str, &str)])) -> (Plan, Vec<Vec<f32>>) {
    let job = golden_job(network, overrides);
    let members = [Member::of(&job.recipe)];
    let mut trainer = Trainer::with_fusion(backend, spec(&job, &members), Fusion::Never).unwrap();
    trainer.set_parameters(0, &job.model.initialise(1)).unwrap();
    trainer.train(&mut Silent).unwrap();
    (trainer.plan().clone(), trainer.finish().unwrap().remove(0).parameters)
}

/// The variants that the device can run.
fn allowed(backend: &dyn Backend, launch: &dyn Launch) -> Vec<Dispatch> {
    let limits = backend.limits();
    launch.variants().iter().map(|variant| variant.lower()).filter(|variant| limits.allow(variant)).collect()
}

#[test]
fn every_variant_trains_to_the_same_bits() {
    let Some(backend) = common::vulkan() else { return };
    for network in NETWORKS {
        let drafted = drafted(&backend, network);
        let with_variants: Vec<_> = drafted.launches().filter(|launch| !launch.variants().is_empty()).collect();
        let (untuned, parameters) = trained(&backend, network);
        assert_eq!(untuned.dispatches().count(), drafted.launches().count(), "{network:?}");
        let most = with_variants.iter().map(|launch| allowed(&backend, &***launch).len()).max().unwrap();
        for number in 0..most {
            // As if this one had been the fastest of each launch.
            let favour = |launch: &&Arc<dyn Launch>| {
                let variants = allowed(&backend, &***launch);
                let time = |i: usize| Ok(if i == number % variants.len() { 1.0 } else { 2.0 });
                let variants = variants.iter().cloned().enumerate().map(|(i, v)| (v, time(i))).collect();
                Measured { launch: Arc::clone(launch), planned: launch.lower(), variants }
            };
            // The same device, with nothing learned.
            let backend = common::vulkan().unwrap();
            keep(backend.tuning().unwrap(), &with_variants.iter().map(favour).collect::<Vec<_>>()).unwrap();
            let (tuned, found) = trained(&backend, network);
            assert_eq!(tuned.dispatches().count(), drafted.launches().count(), "{network:?}");
            for (launch, chosen) in drafted.launches().zip(tuned.dispatches()) {
                let (planned, allowed) = (launch.lower(), allowed(&backend, &**launch));
                let wanted = if allowed.is_empty() { &planned } else { &allowed[number % allowed.len()] };
                let label = &planned.label;
                assert_eq!(chosen.constants, wanted.constants, "{network:?}, {label}");
                assert_eq!(chosen.kernel.needs, planned.kernel.needs, "{network:?}, {label}: another way to multiply");
            }
            assert!(found == parameters, "{network:?}: variant {number} changes the results");
        }
    }
}

#[test]
fn the_variants_of_a_plan_are_measured_and_right() {
    let Some(backend) = common::vulkan() else { return };
    for network in NETWORKS {
        let mut seen = 0;
        let measured = measure(&backend, &drafted(&backend, network), |_| seen += 1).unwrap();
        assert!(seen == measured.len() && seen >= 3, "{network:?}: {seen} launches");
        for m in &measured {
            for (variant, time) in &m.variants {
                let time = time.clone().unwrap_or_else(|e| panic!("{network:?}, {}: {e}", variant.label));
                assert!(time > 0.0 && time < 60.0, "{network:?}, {}: {time} s", variant.label);
            }
            assert!(m.planned_seconds().is_some(), "{network:?}: {} is not among its variants", m.planned.label);
        }
    }
}

/// What `train --tune` tells of a step, fused or not, of a network of ten outputs.
fn steps_told(folder: &Path, run: &str, arguments: &[&str]) -> Vec<serde_json::Value> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gputrain"));
    command.args(["--backend", "vulkan", "--json", "train", "--tune", "--layers", "5:relu,10", "--epochs", "1"]);
    command.args(["--set", "data.examples=100", "--set", "data.validation=50", "--set", "data.test=50"]);
    command.args(["--batch", "10", "--out", run]).args(arguments);
    let output = command.current_dir(folder).env("XDG_CACHE_HOME", folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &serde_json::Value| line["tuned"] == "step").collect()
}

#[test]
fn tuning_tells_whether_fused_steps_are_faster() {
    if common::vulkan().is_none() {
        return;
    }
    // What is found here must not outlive the test.
    let folder = tempfile::tempdir().unwrap();
    let [step] = &steps_told(folder.path(), "first", &[])[..] else { panic!("a step is timed once in each form") };
    assert_eq!(step["chosen"], "fused");
    assert!(["fused", "plain"].iter().all(|form| step["us"][form].as_f64().unwrap() > 0.0), "{step}");
    // There is no fused form of such a step.
    assert!(steps_told(folder.path(), "second", &["--set", "optimizer.clip_norm=1.0"]).is_empty());
}
