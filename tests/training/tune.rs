//! Tuned variants: measured on a device, right, and of no consequence for the results.

use crate::cases::spec;
use crate::common;
use crate::story::golden_job;
use gputrain::backend::Backend;
use gputrain::graph::Fusion;
use gputrain::kernel::variants;
use gputrain::plan::{Dispatch, Plan};
use gputrain::train::{Member, Silent, Trainer};
use gputrain::tune::{Measured, measure};
use std::path::Path;

/// A network with dense layers in both precisions, and one with convolutions.
const NETWORKS: [(&str, &[(&str, &str)]); 3] =
    [("optimizer-adam", &[]), ("optimizer-adam", &[("precision", "mixed")]), ("conv-l2-momentum", &[])];

fn trained(backend: &dyn Backend, (network, overrides): (&str, &[(&str, &str)])) -> (Plan, Vec<Vec<f32>>) {
    let job = golden_job(network, overrides);
    let members = [Member::of(&job.recipe)];
    let mut trainer = Trainer::with_fusion(backend, spec(&job, &members), Fusion::Never).unwrap();
    trainer.set_parameters(0, &job.model.initialise(1)).unwrap();
    trainer.train(&mut Silent).unwrap();
    (trainer.plan().clone(), trainer.finish().unwrap().remove(0).parameters)
}

fn with_variants(plan: &Plan) -> impl Iterator<Item = &Dispatch> {
    plan.programs.iter().flat_map(|p| &p.dispatches).filter(|d| !variants(d).is_empty())
}

/// The variants that the device can run.
fn allowed(backend: &dyn Backend, dispatch: &Dispatch) -> Vec<Dispatch> {
    let limits = backend.limits();
    variants(dispatch).into_iter().filter(|v| limits.allow(v.kernel, &v.constants)).collect()
}

#[test]
fn every_variant_trains_to_the_same_bits() {
    let Some(backend) = common::vulkan() else { return };
    for network in NETWORKS {
        let (planned, parameters) = trained(&backend, network);
        let most = with_variants(&planned).map(|d| allowed(&backend, d).len()).max().unwrap();
        for number in 0..most {
            // As if this one had been the fastest of each launch.
            let favour = |d: &Dispatch| {
                let variants = allowed(&backend, d);
                let time = |i: usize| Ok(if i == number % variants.len() { 1.0 } else { 2.0 });
                let variants = variants.iter().cloned().enumerate().map(|(i, v)| (v, time(i))).collect();
                Measured { planned: d.clone(), variants }
            };
            // The same device, with nothing learned.
            let backend = common::vulkan().unwrap();
            backend.tuning().unwrap().learn(&with_variants(&planned).map(favour).collect::<Vec<_>>()).unwrap();
            let (tuned, found) = trained(&backend, network);
            for (d, chosen) in with_variants(&planned).zip(with_variants(&tuned)) {
                let allowed = allowed(&backend, d);
                let wanted = &allowed[number % allowed.len()];
                assert_eq!(chosen.constants, wanted.constants, "{network:?}, {}", d.label);
                assert_eq!(chosen.kernel.needs, d.kernel.needs, "{network:?}, {}: another way to multiply", d.label);
            }
            assert!(found == parameters, "{network:?}: variant {number} changes the results");
        }
    }
}

#[test]
fn the_variants_of_a_plan_are_measured_and_right() {
    let Some(backend) = common::vulkan() else { return };
    for network in NETWORKS {
        let (plan, _) = trained(&backend, network);
        let mut seen = 0;
        let measured = measure(&backend, &plan, |_| seen += 1).unwrap();
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
    command.args(["--set", "data.examples=100", "--batch", "10", "--out", run]).args(arguments);
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
