//! Fine-tuning: bundled resnets held against PyTorch's, and layers that training leaves as they are.

use crate::batch_norm;
use crate::binary::{gputrain, text};
use crate::fused::AsGpu;
use crate::members::{backends, bits, noise, train};
use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{Array, read_array, write_arrays};
use gputrain::export::SavedModel;
use gputrain::gradcheck::{DoublePrecision, Options};
use gputrain::job::Job;
use gputrain::planner::{BuildError, Fusion, NotFused};
use gputrain::recipe::{Activation, Recipe, Source};
use gputrain::train::{Member, Predictions, TrainError, Trainer};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/resnet").join(name)
}

/// A bundled resnet of a sixteenth of its channels (resnet20: a quarter), ten classes and small pictures, as make.py trains it.
fn resnet(name: &str, state: &str, more: &[(&str, &str)]) -> Job {
    let (channels, divisor, input, rate) = match name {
        "resnet18" => (&[512, 256, 128, 64][..], 16, "[32, 32, 3]", "0.001"),
        _ => (&[64, 32, 16][..], 4, "[16, 16, 3]", "0.002"),
    };
    let bundled = Recipe::builtin(name).unwrap();
    let section = |name: &str| {
        let start = bundled.find(&format!("[{name}]")).unwrap();
        let end = bundled[start + 1..].find("\n[").map_or(bundled.len(), |end| start + 1 + end);
        bundled[start..end].to_string()
    };
    let mut model = section("model").replace("dense = 1000", "dense = 10");
    // By another sign first, so that none is divided twice.
    for channels in channels {
        model = model.replace(&format!("conv2d = {channels},"), &format!("conv2d: {},", channels / divisor));
    }
    let text = format!("{}\n{}", model.replace("conv2d:", "conv2d ="), section("optimizer"));
    let from = file(&format!("{name}-{state}.safetensors"));
    let set = [
        ("start.from", from.to_str().unwrap()),
        ("start.strict", "true"),
        ("model.input", input),
        ("optimizer.learning_rate", rate),
        ("optimizer.weight_decay", "0.001"),
        ("train.batch", "12"),
        ("train.shuffle", "false"),
    ];
    let set: Vec<(String, String)> = set.iter().chain(more).map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let mut recipe = Recipe::parse(&text, &format!("{name}.toml"), &set).unwrap();
    let key = |key: &str| format!("{}#{key}", file(&format!("{name}.npz")).display());
    recipe.data.train = Some(Source::Arrays { images: key("x"), labels: key("y") });
    Job::load(recipe).unwrap()
}

fn expected(name: &str, key: &str) -> Vec<f64> {
    read_array(&format!("{}#{key}", file(&format!("{name}.npz")).display())).unwrap().to_f64()
}

/// The largest difference.
fn off(ours: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(ours.len(), exact.len());
    ours.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

fn logits(job: &Job, parameters: &[Vec<f32>]) -> Vec<f32> {
    let mut model = job.model.clone();
    model.output_activation = Activation::Linear;
    let (scaling, optimizer, examples) = (&job.scaling, &job.recipe.optimizer, &job.dataset.train);
    Predictions::run(&CpuBackend::new(), &model, parameters, scaling, optimizer, examples).unwrap().outputs
}

/// Losses of 20 steps, relative to PyTorch's, and the logits after them.
fn follow(job: &Job, losses: &[f64]) -> (f64, Vec<f32>, Vec<Vec<f32>>) {
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    let mut worst: f64 = 0.0;
    for loss in losses {
        trainer.step(1).unwrap();
        worst = worst.max((f64::from(trainer.losses().unwrap()[0]) - loss).abs() / loss);
    }
    let parameters = trainer.parameters(0).unwrap();
    (worst, logits(job, &parameters), parameters)
}

#[test]
fn resnets_with_a_state_dict_of_pytorch_do_what_it_does_there() {
    for name in ["resnet18", "resnet20"] {
        let job = resnet(name, "start", &[]);
        let initial = job.initial().unwrap();
        let at_start = off(&logits(&job, &initial.parameters), &expected(name, "logits"));
        let trained = resnet(name, "trained", &[]);
        let at_end = off(&logits(&trained, &trained.initial().unwrap().parameters), &expected(name, "trained_logits"));
        let (losses, after, parameters) = follow(&job, &expected(name, "losses"));
        println!(
            "{name}: logits {at_start:.1e}, of the trained state dict {at_end:.1e}; losses {losses:.1e}, then logits {:.1e}",
            off(&after, &expected(name, "trained_logits"))
        );
        assert!(at_start < 1e-4 && at_end < 1e-4 && losses < 1e-4, "{name}: {at_start:e} {at_end:e} {losses:e}");

        // What is saved has PyTorch's names and shapes, but for the counts.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let Job { recipe, model, scaling, trained_on, .. } = job;
        SavedModel { recipe, model, scaling, trained_on, parameters }.save(&path).unwrap();
        let tensors = |path: &Path| -> BTreeSet<String> {
            let bytes = std::fs::read(path).unwrap();
            let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
            let tensors = header.as_object().unwrap().iter().filter(|(key, _)| *key != "__metadata__");
            let counted = tensors.filter(|(key, _)| !key.ends_with("num_batches_tracked"));
            counted.map(|(key, value)| format!("{key} {} {}", value["dtype"], value["shape"])).collect()
        };
        assert_eq!(tensors(&path), tensors(&file(&format!("{name}-start.safetensors"))));
    }
}

/// PyTorch's frozen modules are in `eval()` there, with parameters that need no gradient.
#[test]
fn frozen_modules_do_what_they_do_in_pytorch() {
    for (name, freeze) in
        [("resnet18", "[\"conv1\", \"bn1\", \"layer1\", \"layer3.0\"]"), ("resnet20", "[\"layer2\", \"layer3.1.bn1\"]")]
    {
        let job = resnet(name, "start", &[("start.freeze", freeze), ("optimizer.clip_norm", "1.0")]);
        let (losses, after, parameters) = follow(&job, &expected(name, "frozen_losses"));
        let off = off(&after, &expected(name, "frozen_logits"));
        println!("{name}: losses {losses:.1e}, logits {off:.1e}");
        assert!(losses < 1e-4 && off < 1e-3, "{name}: {losses:e} {off:e}");
        let before = job.initial().unwrap().parameters;
        for layer in &job.model.layers {
            let own = layer.tensors.iter().map(|(_, index)| *index);
            let statistics = layer.statistics.iter().map(|index| job.model.parameters.len() + index);
            for index in own.chain(statistics) {
                assert_eq!(before[index] == parameters[index], layer.frozen, "{name}: {}", layer.name);
            }
        }
    }
}

const LAYERS: &str = "[{ name = \"a\", dense = 9 }, { name = \"b\", dense = 8, activation = \"tanh\" }, { name = \"c\", batch_norm = true, \
                      activation = \"relu\" }, { name = \"d\", dense = 7, activation = \"relu\" }, { name = \"e\", dense = 10 }]";

fn frozen(more: &[(&str, &str)]) -> Job {
    let common =
        [("model.layers", LAYERS), ("train.batch", "8"), ("train.epochs", "2"), ("start.freeze", "[\"b\", \"c\"]")];
    let mut job = noise(&[&common[..], more].concat(), 20, [60, 20]);
    job.model.freeze(&job.recipe.start.freeze).unwrap();
    job
}

#[test]
fn nothing_changes_what_is_frozen_and_members_do_not_see_each_other() {
    let decays: &[(&str, &str)] =
        &[("optimizer.weight_decay", "0.1"), ("optimizer.l2", "0.01"), ("optimizer.clip_norm", "0.5")];
    let cases: [&[(&str, &str)]; 9] = [
        &[("optimizer.kind", "sgd"), ("optimizer.momentum", "0.9")],
        &[("optimizer.kind", "adam")],
        &[("optimizer.kind", "adamw"), ("optimizer.decay_bias", "false")],
        &[("optimizer.kind", "rmsprop"), ("optimizer.centered", "true"), ("optimizer.momentum", "0.5")],
        &[("optimizer.kind", "lion"), ("optimizer.learning_rate", "0.001")],
        &[("optimizer.kind", "muon"), ("optimizer.learning_rate", "0.01")],
        &[("optimizer.kind", "adam"), ("train.accumulate", "3")],
        &[("optimizer.kind", "adamw"), ("train.ema", "0.5")],
        &[
            ("optimizer.kind", "adam"),
            ("precision", "mixed"),
            ("train.record", "[\"gradient_norms\"]"),
            ("train.log_every", "2"),
        ],
    ];
    for case in cases {
        let job = frozen(&[case, decays].concat());
        let member = |seed: u64| Member { seed, ..Member::of(&job.recipe) };
        let members = [member(1), member(2), member(3)];
        for backend in backends() {
            let together = train(&*backend, &job, &members);
            for (member, (story, after)) in members.iter().zip(&together) {
                let before = job.model.initialise(member.seed);
                let alone = &train(&*backend, &job, std::slice::from_ref(member))[0];
                assert!(alone.0 == *story && bits(&alone.1) == bits(after), "{case:?}: beside others");
                // a, b, c, d, e with a weight and a bias each, then the statistics of c.
                let (before, after) = (bits(&before), bits(after));
                let same: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
                let f = false;
                assert_eq!(same, [f, f, true, true, true, true, f, f, f, f, true, true], "{case:?}");
            }
        }
    }
}

#[test]
fn the_penalty_is_that_of_what_is_trained() {
    let loss = |l2: &str| {
        let mut trainer = frozen(&[("optimizer.l2", l2)]).trainer(&CpuBackend::new()).unwrap();
        f64::from(trainer.gradient().unwrap().0)
    };
    let (job, sum) = (frozen(&[]), |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>());
    let weights = job.model.initialise(job.recipe.seed);
    let trained: f64 = [0, 6, 8].iter().map(|index| sum(&weights[*index])).sum();
    assert!(
        (loss("0.25") - loss("0.0") - 0.25 * trained).abs() < 1e-4 * trained,
        "{} {trained}",
        loss("0.25") - loss("0.0")
    );
}

#[test]
fn the_gradient_goes_through_frozen_layers() {
    let layers = "[{ conv2d = 3, kernel = 2, activation = \"tanh\" }, { batch_norm = true, activation = \"tanh\" }, \
                  { conv2d = 2, kernel = 1 }, { layer_norm = true }, { dense = 10 }]";
    let (job, mut parameters) = batch_norm::images(layers);
    let mut job = job;
    job.model.freeze(&["layers.1".into(), "layers.3".into()]).unwrap();
    let statistics = job.model.parameters.len();
    (parameters[statistics], parameters[statistics + 1]) = (vec![0.3, -0.2, 0.1], vec![0.5, 2.0, 1.5]);
    let spec = job.spec(&[Member::of(&job.recipe)]);
    let mut double = DoublePrecision::new(spec.clone()).unwrap();
    double.set_parameters(&parameters.iter().map(|p| p.iter().map(|x| f64::from(*x)).collect()).collect::<Vec<_>>());
    let frozen = job.model.frozen_parameters();
    assert_eq!(frozen, [false, false, true, true, false, false, true, true, false, false]);
    let trained = job.model.parameters.iter().zip(&frozen).filter(|(_, frozen)| !**frozen);
    let names: Vec<String> = trained.map(|(parameter, _)| parameter.name.clone()).collect();
    let checks = double.check(&names, Options { at_most: Some(20), compared: None });
    assert_eq!(checks.len(), 6);
    for check in &checks {
        assert!(check.checked > 0 && check.worst_error < 1e-6, "{check}");
    }
    let mut trainer = Trainer::new(&CpuBackend::new(), spec).unwrap();
    trainer.set_parameters(0, &parameters).unwrap();
    let (_, ours) = trainer.gradient().unwrap();
    let (_, exact) = double.gradient();
    for ((ours, exact), frozen) in ours.iter().zip(&exact).zip(frozen) {
        // The layer norm divides by little.
        let largest = exact.iter().fold(1e-3, |most: f64, x| most.max(x.abs()));
        assert!(off(ours, exact) < 1e-3 * largest, "{ours:?} {exact:?}");
        assert_eq!(ours.iter().all(|gradient| *gradient == 0.0), frozen);
    }
    let labels: Vec<&str> = trainer.step_program().dispatches().map(|dispatch| &*dispatch.label).collect();
    assert!(!labels.iter().any(|label| label.contains("layers.1 backward weight")), "{labels:?}");
}

#[test]
fn a_step_with_frozen_layers_is_not_fused_and_says_so() {
    let layers = [("model.layers", "[{ dense = 9 }, { dense = 10 }]"), ("start.freeze", "[\"layers.0\"]")];
    let job = frozen(&layers);
    match Trainer::with_fusion(&AsGpu::new(), job.spec(&[Member::of(&job.recipe)]), Fusion::Always) {
        Err(TrainError::Build(BuildError::NotFused(reason @ NotFused::Frozen))) => {
            assert!(reason.to_string().contains("start.freeze"));
        }
        other => panic!("{:?}", other.err()),
    }
}

/// A folder with data, a start and a recipe.
fn story(at: &Path) {
    let values: Vec<f32> = (0..40 * 6).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
    let labels: Vec<f32> = (0..40).map(|i| (i % 3) as f32).collect();
    let (x, y) = (Array::from_f32(&[40, 6], &values).unwrap(), Array::from_f32(&[40], &labels).unwrap());
    write_arrays(&at.join("data.npz"), &[("x", &x), ("y", &y)]).unwrap();
    for (name, value) in [("one.npz", 0.5), ("two.npz", 0.25)] {
        let weight = Array::from_f32(&[4, 6], &[value; 24]).unwrap();
        write_arrays(&at.join(name), &[("trunk.weight", &weight)]).unwrap();
    }
    let recipe = "[data]\ntrain = { images = \"data.npz#x\", labels = \"data.npz#y\" }\nscale = \"none\"\n[model]\ninput = [6]\n\
                  layers = [{ name = \"stem\", dense = 4 }, { dense = 3 }]\n[start]\nfrom = \"one.npz\"\nrename = { trunk = \"stem\" }\n\
                  freeze = [\"stem\"]\n[train]\nepochs = 2\nbatch = 10\n";
    std::fs::write(at.join("r.toml"), recipe).unwrap();
    std::fs::write(
        at.join("s.toml"),
        format!("{recipe}[sweep]\n\"start.from\" = [\"one.npz\", \"two.npz\"]\nmetric = \"train_loss\"\n"),
    )
    .unwrap();
}

fn stem(at: &Path) -> Vec<f32> {
    SavedModel::load(at).unwrap().parameters[0].clone()
}

#[test]
fn a_start_is_read_once_and_each_run_of_a_sweep_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    story(at);
    let run = |arguments: &[&str]| {
        let output = gputrain(&[&["--backend", "cpu"], arguments].concat()).current_dir(at).output().unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = run(&["train", "r.toml", "--out", "run"]);
    assert_eq!(code, Some(0), "{said}");
    for line in
        ["start: 1 of 4 tensors are taken from", "not in the file: stem.bias, layers.1.weight, layers.1.bias", "frozen"]
    {
        assert!(said.contains(line), "no {line} in: {said}");
    }
    assert_eq!(stem(&at.join("run")), [0.5; 24]);
    let started = || {
        let summary = std::fs::read_to_string(at.join("run/summary.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&summary).unwrap()["start"].clone()
    };
    let first = started();
    assert!(first["from"].as_str().is_some_and(|from| from.ends_with("one.npz")), "{first}");
    assert_eq!(first["taken"], serde_json::json!(["stem.weight"]));
    assert_eq!(first["drawn"], serde_json::json!(["stem.bias", "layers.1.weight", "layers.1.bias"]));
    std::fs::write(at.join("w.pt"), "PK").unwrap();
    let (code, said) = run(&["train", "r.toml", "--set", "start.from=w.pt", "--out", "torch"]);
    assert!(code == Some(2) && said.contains("safetensors.torch.save_file"), "{said}");
    let (code, said) = run(&["train", "r.toml", "--init", "one.npz"]);
    assert!(code == Some(2) && said.contains("--init one.npz and start.from"), "{said}");
    let (code, said) = run(&["sweep", "s.toml", "--out", "sweep"]);
    assert_eq!(code, Some(0), "{said}");
    let mut stems: Vec<f32> =
        std::fs::read_dir(at.join("sweep/runs")).unwrap().map(|run| stem(&run.unwrap().path())[7]).collect();
    stems.sort_by(f32::total_cmp);
    assert_eq!(stems, [0.25, 0.5]);
    std::fs::remove_file(at.join("one.npz")).unwrap();
    let (code, said) = run(&["train", "--resume", "run", "--epochs", "3"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(started(), first, "a run that goes on keeps what it began with");
    assert_eq!(stem(&at.join("run")), [0.5; 24]);
    let (code, said) = run(&["train", "--resume", "run", "--epochs", "4", "--set", "start.freeze=[]"]);
    assert!(code == Some(2) && said.contains("start.freeze"), "{said}");
    let (code, said) = run(&["train", "r.toml", "--out", "again"]);
    assert!(code == Some(2) && said.contains("start.from = \"one.npz\": no such file"), "{said}");
    assert!(!at.join("again").exists());
}
