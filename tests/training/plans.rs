//! Plans in files: what is written, read back and run gives the same bits, and what was changed is refused.

use crate::binary::{Workplace, succeed, text};
use crate::members::{backends, bits, noise};
use crate::story::{Stories, Story};
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::{Backend, DataMemory};
use gputrain::export::parameter_hash;
use gputrain::ir::{PhaseKind, Plan};
use gputrain::job::Job;
use gputrain::plan_file::{self, PlanFile};
use gputrain::planner::Fusion;
use gputrain::train::{Draft, Member, Stop, TrainError, Trainer};
use serde_json::{Value, json};

const DENSE: &str = "[{ dense = 9, activation = \"relu\" }, { dense = 10 }]";
const DROPOUT: &str = "[{ dense = 9, activation = \"relu\" }, { dropout = 0.2 }, { dense = 10 }]";

/// Examples with weights.
const WEIGHTS: (&str, &str) = ("data.class_weights", "balanced");

fn job(changes: &[(&str, &str)]) -> Job {
    let small = [("model.layers", DENSE), ("train.batch", "8"), ("train.epochs", "2"), ("train.log_every", "1")];
    noise(&[&small[..], changes].concat(), 20, [100, 40])
}

/// The job's plan for a backend, with its initial weights.
fn plan(backend: &dyn Backend, job: &Job, fusion: Fusion) -> Plan {
    let draft = Draft::new(job.spec(&[Member::of(&job.recipe)]), fusion, backend.limits()).unwrap();
    draft.with_weights(&[job.model.initialise(job.recipe.seed)]).unwrap().plan().lower()
}

fn read_back(plan: &Plan) -> Plan {
    let file = PlanFile::new(plan);
    let read = plan_file::read(file.json().as_bytes(), file.blob()).unwrap();
    assert!(PlanFile::new(&read).json() == file.json(), "what was read is written as it was");
    read
}

/// What training measured, and its final weights.
fn trained(mut trainer: Trainer) -> (Story, Vec<Vec<f32>>) {
    let mut stories = Stories::new(1);
    assert_eq!(trainer.train(&mut stories).unwrap(), Stop::Finished);
    (stories.0.remove(0), trainer.parameters(0).unwrap())
}

/// Trains on the plan as it is made, and as it comes back from its files, which hold the weights too.
fn same_after_reading(backend: &dyn Backend, job: &Job, fusion: Fusion) {
    let spec = job.spec(&[Member::of(&job.recipe)]);
    let mut trainer = Trainer::with_fusion(backend, spec.clone(), fusion).unwrap();
    trainer.set_parameters(0, &job.model.initialise(job.recipe.seed)).unwrap();
    let (story, weights) = trained(trainer);
    let read = Trainer::with_plan(backend, spec, read_back(&plan(backend, job, fusion))).unwrap();
    assert_eq!(read.not_fused().is_none(), fusion == Fusion::Always);
    let (again, found) = trained(read);
    assert_eq!(again, story);
    assert_eq!(bits(&found), bits(&weights));
    assert_eq!(parameter_hash(&found), parameter_hash(&weights));
}

#[test]
fn a_plan_that_was_written_and_read_trains_to_the_same_bits() {
    let cpu = CpuBackend::new();
    same_after_reading(&cpu, &job(&[("model.layers", DROPOUT)]), Fusion::Never);
    same_after_reading(&cpu, &job(&[]), Fusion::Always);
    let norm = "[{ dense = 9 }, { batch_norm = true, activation = \"relu\" }, { dense = 10 }]";
    same_after_reading(&cpu, &job(&[("model.layers", norm)]), Fusion::Never);
    same_after_reading(&cpu, &job(&[("precision", "\"mixed\"")]), Fusion::Never);
    same_after_reading(&cpu, &job(&[("train.record", "[\"gradient_norms\", \"weight_norms\"]")]), Fusion::Never);
    let more = [("train.accumulate", "3"), ("train.ema", "0.9"), ("schedule", "{ kind = \"one_cycle\" }")];
    same_after_reading(&cpu, &job(&more), Fusion::Never);
    same_after_reading(&cpu, &job(&[&more[..1], &[WEIGHTS]].concat()), Fusion::Never);
    same_after_reading(&cpu, &job(&more[1..]), Fusion::Always);
    let mixup = ("augment.mixup", "0.4");
    same_after_reading(&cpu, &job(&[&more[..1], &[WEIGHTS, mixup]].concat()), Fusion::Never);
    let little = DataMemory { backend: Box::new(cpu), bytes: 0 };
    same_after_reading(&little, &job(&[("model.layers", DROPOUT)]), Fusion::Never);
}

#[test]
fn a_plan_for_a_gpu_that_was_written_and_read_trains_to_the_same_bits() {
    for backend in backends().into_iter().skip(1) {
        same_after_reading(&*backend, &job(&[]), Fusion::Always);
    }
}

#[test]
fn a_step_is_a_list_of_phases_and_its_other_forms_lack_or_add_some() {
    use PhaseKind::{Backward, Exchange, Finish, Forward, Gather, Update};
    let job = job(&[("train.record", "[\"weight_norms\"]"), ("optimizer.l2", "0.1"), ("precision", "\"mixed\"")]);
    let plan = plan(&CpuBackend::new(), &job, Fusion::Never);
    let training = plan.io().unwrap().training.clone().unwrap();
    let phases = |id: gputrain::ir::ProgramId| {
        let kinds = plan.programs[id.0].phases.iter();
        kinds.map(|phase| phase.kind).collect::<Vec<_>>()
    };
    let kernels = |id: gputrain::ir::ProgramId, kind: PhaseKind| {
        let phase = plan.programs[id.0].phases.iter().find(|phase| phase.kind == kind).unwrap();
        phase.dispatches.iter().map(|dispatch| dispatch.kernel.name).collect::<Vec<_>>()
    };
    let step = [Gather, Forward, Backward, Exchange, Update, Finish];
    assert_eq!(phases(training.step), step);
    assert_eq!(phases(training.recorded_step.unwrap()), step);
    assert_eq!(phases(training.gradient), [Gather, Forward, Backward, Exchange, Finish]);
    let [before, after] = training.halves.unwrap();
    assert_eq!((phases(before), phases(after)), (step[..3].to_vec(), step[3..].to_vec()));
    assert_eq!(kernels(training.step, Gather), ["gather"]);
    assert_eq!(kernels(training.step, Forward).last(), Some(&"sum_squares"), "the penalty is a part of the loss");
    assert_eq!(kernels(training.step, Backward).last(), Some(&"unscale_gradients"));
    assert!(kernels(training.step, Exchange).is_empty());
    assert_eq!(kernels(training.step, Update)[0], "adjust_loss_scale");
    assert_eq!(kernels(training.step, Finish), ["finish_step"]);
    let recorded = kernels(training.recorded_step.unwrap(), Update);
    assert_eq!(recorded[..8], ["sum_squares"; 8]);
    assert_eq!(recorded[8..], kernels(training.step, Update));
}

#[test]
fn a_fused_step_has_no_place_to_exchange_gradients() {
    let plan = plan(&CpuBackend::new(), &job(&[]), Fusion::Always);
    let training = plan.io().unwrap().training.as_ref().unwrap();
    let step = &plan.programs[training.step.0];
    let phases: Vec<_> = step.phases.iter().map(|phase| (phase.kind, phase.dispatches.len())).collect();
    assert_eq!(phases, [(PhaseKind::Backward, 1), (PhaseKind::Update, 1)]);
    assert_eq!(training.halves, None);
}

#[test]
fn a_plan_of_something_else_is_refused() {
    let backend = CpuBackend::new();
    let plan = plan(&backend, &job(&[]), Fusion::Never);
    let refused = |job: &Job, members: usize, said: &str| {
        let spec = job.spec(&vec![Member::of(&job.recipe); members]);
        let error = Trainer::with_plan(&backend, spec, plan.clone()).err().unwrap();
        assert!(matches!(error, TrainError::OtherPlan(_)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    };
    refused(&job(&[]), 2, "trains 1 models side by side, not 2");
    refused(&job(&[("model.layers", "[{ dense = 8 }, { dense = 10 }]")]), 1, "not layers.0.weight [8, 20]");
    refused(&job(&[("train.batch", "9")]), 1, "size: 8");
    refused(&noise(&[("model.layers", DENSE), ("train.batch", "8")], 20, [99, 40]), 1, "its train set is");
    let other = |changes: &[(&str, &str)], said: &str| refused(&job(changes), 1, said);
    other(
        &[("model.layers", "[{ dense = 9, activation = \"tanh\" }, { dense = 10 }]")],
        "launches of layers.0 forward",
    );
    other(&[("optimizer.kind", "\"sgd\"")], "its buffers");
    other(&[("optimizer.learning_rate", "0.5")], "its learning rates");
    other(&[("seed", "5")], "its initial numbers");
    other(&[("train.record", "[\"weight_norms\"]")], "its places of data");
    let wrong = |weights: &[Vec<Vec<f32>>]| {
        let draft =
            Draft::new(job(&[]).spec(&[Member::of(&job(&[]).recipe)]), Fusion::Never, backend.limits()).unwrap();
        draft.with_weights(weights).err().unwrap().to_string()
    };
    assert!(wrong(&[]).contains("of 0 models, not of 1"));
    assert!(wrong(&[vec![vec![0.0; 3]; 4]]).contains("layers.0.weight has 3 values, not the 180 of [9, 20]"));
}

/// A file's JSON with one value changed, and its hash made anew.
fn changed(json: &str, pointer: &str, value: Value) -> Vec<u8> {
    let mut document: Value = serde_json::from_str(json).unwrap();
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}")) = value;
    document.as_object_mut().unwrap().remove("hash");
    let rest = format!("\",{}", &document.to_string()[1..]);
    format!("{{\"hash\":\"{}{rest}", blake3::hash(rest.as_bytes()).to_hex()).into_bytes()
}

#[test]
fn what_a_plan_cannot_hold_is_refused_and_never_a_panic() {
    let halved = [("schedule.kind", "step"), ("schedule.every", "1"), ("schedule.factor", "0.5")];
    let plan = plan(&CpuBackend::new(), &job(&halved), Fusion::Always);
    let file = PlanFile::new(&plan);
    let (json, blob) = (file.json(), file.blob());
    let unchanged = changed(&json, "/version", json!(2));
    plan_file::read(&unchanged, blob).expect("only the order of its keys is another");
    let whole = usize::MAX as u64;
    let mut unclear = Vec::new();
    for (pointer, value, said) in [
        ("/format", json!("x"), "format"),
        ("/version", json!(1), "its version is 1, and 2 is read"),
        ("/version", json!("1"), "invalid type"),
        ("/blob/bytes", json!(1), "are not the 1 that it was written with"),
        ("/buffers/0/len", json!(0), "the buffer parameters has 0 elements"),
        ("/buffers/0/len", json!(whole), "the buffer parameters has 18446744073709551615"),
        ("/buffers/1/len", json!(64), "of gradients (64 elements)"),
        ("/buffers/0/element", json!("f64"), "unknown variant"),
        ("/pipelines/0/kernel", json!("no_such"), "pipeline 0 (no_such): there is no such kernel"),
        ("/pipelines/0/kernel", json!("adam"), "another version of the kernel"),
        ("/pipelines/0/shader", json!(10_000), "there is no shader 10000"),
        ("/pipelines/0/constants", json!([["NO_SUCH", 1]]), "its shader has no constant NO_SUCH"),
        ("/shaders/0", json!("fn main() {}"), "shader 0 is not its text in this version"),
        ("/programs/1/phases/0/kind", json!("sideways"), "unknown variant"),
        ("/programs/1/phases/0/dispatches/0/pipeline", json!(99), "there is no pipeline 99"),
        ("/programs/1/phases/0/dispatches/0/slices/0/buffer", json!(9999), "names no buffer"),
        ("/programs/1/phases/0/dispatches/0/slices/0/offset", json!(whole - 63), "slice"),
        ("/programs/1/phases/0/dispatches/0/slices/0/len", json!(whole), "slice"),
        ("/programs/1/phases/0/dispatches/0/params", json!([1]), "parameter words"),
        ("/programs/1/phases/0/dispatches/0/grid/0", json!(0), "grid"),
        ("/programs/1/phases/0/dispatches/0/cost/flops", json!(-1.0), "its cost"),
        ("/init/0/buffer", json!(9999), "there is no buffer 9999"),
        ("/init/0/words", Value::Null, "begins with either words or a part of plan.bin"),
        ("/init/0/words", json!(vec![0; 100]), "100 words for scaling.subtract, which has 1"),
        ("/init/6/blob/0", json!(whole), "plan.bin has no"),
        ("/init/6/blob/1", json!(whole), "plan.bin has no"),
        ("/io/models", json!(0), "there are 0 models"),
        ("/io/models", json!(whole), "the parameters"),
        ("/io/hyper", json!(9999), "there is no buffer 9999 for hyper"),
        ("/io/parameters/stride", json!(1), "1 elements"),
        ("/io/parameters/tensors/0/offset", json!(whole), "has no place of its own"),
        ("/io/parameters/tensors/1/offset", json!(0), "has no place of its own"),
        ("/io/parameters/tensors/0/shape/0", json!(whole), "has no place of its own"),
        ("/io/sources/0/layout/examples", json!(101), "the set train"),
        ("/io/sources/0/layout/features", json!(whole), "the set train"),
        ("/io/sources/0/batches/size", json!(0), "the set train"),
        ("/io/sources/0/window", json!({ "rows": 0, "orders": 1 }), "the set train"),
        ("/io/sources/0/targets", json!(0), "the targets of train"),
        ("/io/training/step", json!(99), "there is no program 99 for step"),
        ("/io/training/halves", json!([99, 0]), "there is no program 99"),
        ("/io/training/steps_per_epoch", json!(0), "takes 0 steps"),
        ("/io/training/log_steps", json!(0), "the log"),
        ("/io/slots/hyper/learning_rate", json!(1), "its slots are not those"),
        ("/io/slots/counters", json!({}), "its slots are not those"),
        ("/io/training/learning_rates", json!([]), "learning_rates must have"),
        ("/io/training/learning_rates/0/epoch", json!(1), "learning_rates must have"),
        ("/io/training/learning_rates/0/bits", json!([]), "learning_rates must have"),
        ("/io/training/learning_rates/0/bits/0", json!(f32::NAN.to_bits()), "learning_rates must have"),
        ("/io/training/learning_rates/1/epoch", json!(2), "learning_rates must have"),
        ("/io/training/state/0", json!(9999), "for the state"),
        ("/io/evaluations/0/name", json!("x"), "there is no set x"),
        ("/io/evaluations/0/steps", json!(3), "has 3 steps"),
        ("/io/evaluations/0/outputs/len", json!(whole), "evaluation of validation"),
    ] {
        let error = plan_file::read(&changed(&json, pointer, value), blob).unwrap_err();
        if !error.contains(said) {
            unclear.push(format!("{pointer}: {error}"));
        }
    }
    assert!(unclear.is_empty(), "{unclear:#?}");
    let weighted = PlanFile::new(&self::plan(&CpuBackend::new(), &self::job(&[WEIGHTS]), Fusion::Never));
    for (pointer, value, said) in [
        ("/io/sources/0/weights", Value::Null, "has no buffer of its examples' weights"),
        ("/io/sources/0/layout/weighted", json!(false), "the set train has weights, and its examples have none"),
        ("/io/sources/0/weights", json!(0), "the weights of train"),
    ] {
        let error = plan_file::read(&changed(&weighted.json(), pointer, value), weighted.blob()).unwrap_err();
        assert!(error.contains(said), "{pointer}: {error}");
    }
    // Loops that a shader writes out as often as a constant says.
    let number = plan.dispatches().find(|dispatch| dispatch.constants.iter().any(|c| c.0 == "UNROLL")).unwrap();
    let place = |document: &Value| {
        let pipelines = document["pipelines"].as_array().unwrap();
        pipelines.iter().position(|pipeline| pipeline["kernel"] == number.kernel.name).unwrap()
    };
    let document: Value = serde_json::from_str(&json).unwrap();
    let at = place(&document);
    for constant in 0..document["pipelines"][at]["constants"].as_array().unwrap().len() {
        for value in [0, 1 << 20, u32::MAX] {
            let pointer = format!("/pipelines/{at}/constants/{constant}/1");
            if document.pointer(&pointer) != Some(&json!(value)) {
                let error = plan_file::read(&changed(&json, &pointer, json!(value)), blob).unwrap_err();
                assert!(error.contains("is not its text"), "{pointer} {value}: {error}");
            }
        }
    }
    // Any byte.
    let bytes = json.as_bytes();
    for at in (0..bytes.len()).step_by(bytes.len() / 100) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1;
        assert!(plan_file::read(&damaged, blob).is_err(), "byte {at}");
        assert!(plan_file::read(&bytes[..at], blob).is_err(), "{at} bytes");
    }
    let mut damaged = blob.to_vec();
    damaged[17] ^= 1;
    assert!(plan_file::read(bytes, &damaged).unwrap_err().contains("plan.bin"));
}

/// What a host must write between epochs, by a schedule: (epoch, rate of the model).
fn rates_by(schedule: &[(&str, &str)]) -> Option<Vec<(u32, f32)>> {
    let changes = [&[("train.epochs", "5"), ("optimizer.learning_rate", "0.5")], schedule].concat();
    let plan = read_back(&plan(&CpuBackend::new(), &job(&changes), Fusion::Never));
    let training = plan.io().unwrap().training.clone().unwrap();
    assert_eq!(training.epochs, 5);
    Some(training.learning_rates?.iter().map(|rates| (rates.epoch, f32::from_bits(rates.bits[0]))).collect())
}

#[test]
fn a_plan_says_the_rates_of_all_epochs() {
    assert_eq!(rates_by(&[]), Some(vec![(0, 0.5)]));
    let steps = [("schedule.kind", "multi_step"), ("schedule.epochs", "[2, 4]"), ("schedule.factor", "0.5")];
    assert_eq!(rates_by(&steps), Some(vec![(0, 0.5), (2, 0.25), (4, 0.125)]));
    // By step the plan has a table of its own.
    assert_eq!(rates_by(&[("schedule.kind", "one_cycle")]), Some(vec![(0, 0.5)]));
    assert_eq!(rates_by(&[("schedule.kind", "plateau"), ("schedule.metric", "train_loss")]), None);
}

#[test]
fn inspect_writes_the_plan_and_prints_it() {
    let place =
        Workplace::new("[model]\ninput = [784]\nlayers = [{ dense = 12 }, { dense = 10 }]\n[data]\ntest = 100\n");
    let (recipe, folder) = (place.text("recipe.toml"), place.path("plan"));
    let out = place.text("plan");
    let output = succeed(&["--backend", "cpu", "--json", "inspect", &recipe, "--plan", "--out", &out]);
    let json = std::fs::read_to_string(folder.join("plan.json")).unwrap();
    assert!(text(&output.stdout).lines().any(|line| line == json), "the same is a line of the output");
    let plan = plan_file::load(&folder).unwrap();
    assert_eq!(plan.io().unwrap().training.as_ref().unwrap().steps_per_epoch, 78);
}
