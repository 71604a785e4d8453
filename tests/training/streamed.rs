//! Sets that find no room on the device are streamed, and nothing but the host's writes tells of it.

use crate::binary::{Workplace, fail, succeed, text};
use crate::cases::spec;
use crate::members::{backends, bits, noise, train};
use crate::story::{Stories, Story};
use gputrain::backend::{Backend, BackendError, DataMemory, DeviceInfo, Session};
use gputrain::data::Storage;
use gputrain::ir::{Limits, Plan};
use gputrain::job::Job;
use gputrain::train::{Checkpoint, Member, Population, Predictions, Set, Stop, Trainer};
use std::sync::Arc;

/// A backend with this much memory for examples.
pub struct Room<'a>(pub &'a dyn Backend, pub u64);

impl Backend for Room<'_> {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    fn limits(&self) -> Limits {
        Limits { data_bytes: self.1, ..self.0.limits() }
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        self.0.prepare(plan)
    }
}

/// Room for no examples: windows of one batch. And a little less than the training set takes: windows of several batches,
/// which do not divide an epoch.
const LITTLE: [u64; 2] = [0, 12_000];

/// 510 examples of 21 bytes (24 on a device) in batches of 7, the last one short, and two evaluation batches.
fn job(overrides: &[(&str, &str)]) -> Job {
    job_of(510, overrides)
}

fn job_of(examples: usize, overrides: &[(&str, &str)]) -> Job {
    let layers = ("model.layers", "[{ dense = 9, activation = \"relu\" }, { dense = 10 }]");
    let common = [layers, ("train.batch", "7"), ("train.epochs", "3"), ("train.log_every", "1")];
    noise(&[&common[..], overrides].concat(), 21, [examples, 1100])
}

/// Three models, two of one seed.
fn members(job: &Job) -> Vec<Member> {
    let member = |(seed, rate): (u64, f32)| {
        let mut member = Member { seed, ..Member::of(&job.recipe) };
        member.optimizer.learning_rate *= rate;
        member
    };
    [(40, 1.0), (41, 1.0), (40, 0.25)].into_iter().map(member).collect()
}

/// What a model reported, and the bits of its final weights.
type Trained = (Story, Vec<Vec<u32>>);

/// Trains on a backend and says how many examples a window of the training set holds.
fn trained(backend: &dyn Backend, job: &Job, members: &[Member]) -> (Option<usize>, Vec<Trained>) {
    let trainer = Trainer::new(backend, spec(job, members)).unwrap();
    let window = trainer.sources()[0].window.map(|window| window.rows);
    let held_out = trainer.sources().iter().skip(1).all(|source| source.window.is_some());
    assert_eq!(window.is_some(), held_out, "all sets or none");
    drop(trainer);
    let stories = train(backend, job, members).into_iter();
    (window, stories.map(|(story, parameters)| (story, bits(&parameters))).collect())
}

#[test]
fn streamed_sets_train_to_the_same_bits() {
    let cases: [&[(&str, &str)]; 7] = [
        &[],
        &[("data.class_weights", "balanced"), ("train.epochs", "1")],
        // Steps of several batches, which windows do not divide.
        &[("train.accumulate", "4"), ("train.ema", "0.9")],
        &[("train.shuffle", "false"), ("train.drop_last", "true")],
        // Not fused, and steps in programs of their own.
        &[("optimizer.clip_norm", "0.1"), ("train.record", "[\"gradient_norms\"]")],
        &[("train.drop_last", "true"), ("train.early_stop", "{ metric = \"train_loss\", patience = 9 }")],
        &[("train.log_every", "29"), ("train.record", "[\"validation\"]")],
    ];
    let backends = backends();
    for overrides in cases {
        // 8160 bytes: a little less is room for windows of two batches, and of six for one model.
        let job = job_of(340, &[&[("train.epochs", "2")], overrides].concat());
        let all = members(&job);
        for (backend, members) in backends.iter().flat_map(|backend| [(backend, &all[..]), (backend, &all[1..2])]) {
            let (window, resident) = trained(&**backend, &job, members);
            assert_eq!(window, None);
            for room in [0, 8150] {
                let (window, streamed) = trained(&Room(&**backend, room), &job, members);
                // An eighth of the room for the rows of all orders.
                let orders = if job.recipe.train.shuffle { members.len() } else { 1 };
                assert_eq!(window, Some(7 * (room as usize / 8 / (orders * 7 * 24)).max(1)), "{overrides:?}");
                let models = members.len();
                let at = format!("{overrides:?} on {}, {models} models, {room} bytes", backend.info().backend);
                for (streamed, resident) in streamed.iter().zip(&resident) {
                    assert_eq!(streamed.0, resident.0, "{at}: measurements");
                    assert!(streamed.1 == resident.1, "{at}: final weights");
                }
            }
        }
    }
}

/// Floats, and windows so large that they are packed on threads beside the steps.
#[test]
fn large_windows_of_floats_train_to_the_same_bits() {
    let layers = ("model.layers", "[{ dense = 9, activation = \"relu\" }, { dense = 10 }]");
    let set = [layers, ("train.batch", "7"), ("train.epochs", "2"), ("train.log_every", "1")];
    let mut job = noise(&set, 700, [853, 1100]);
    let dataset = Arc::make_mut(&mut job.dataset);
    for set in [&mut dataset.train].into_iter().chain(&mut dataset.validation) {
        if let Storage::U8(bytes) = &set.features.storage {
            set.features.storage = Storage::F32(bytes.iter().map(|x| f32::from(*x) - 0.3).collect());
        }
    }
    for backend in backends() {
        let (members, on) = (members(&job), &backend.info().backend);
        let resident = trained(&*backend, &job, &members);
        // Of 2.39 MB; those of the validation set hold one batch.
        let streamed = trained(&Room(&*backend, 2_380_000), &job, &members);
        assert_eq!((resident.0, streamed.0), (None, Some(35)), "on {on}");
        assert!(streamed.1 == resident.1, "on {on}");
    }
}

#[test]
fn a_run_goes_on_with_any_memory_for_examples() {
    let job = job(&[("train.epochs", "2"), ("train.record", "[\"validation\"]"), ("train.log_every", "5")]);
    let members = members(&job);
    for backend in backends() {
        let whole = train(&*backend, &job, &members);
        let rooms = [u64::MAX, 0, 12_000].map(|room| Room(&*backend, room));
        // In the middle of a window, at its end, and between two epochs.
        for (first, then, steps) in [(0, 2, 10), (2, 1, 20), (1, 0, 73), (2, 2, 95), (1, 2, 110)] {
            let mut stories = Stories::new(members.len());
            stories.1.stop_after = Some(steps);
            let mut trainer = Trainer::new(&rooms[first], spec(&job, &members)).unwrap();
            for (index, member) in members.iter().enumerate() {
                trainer.set_parameters(index, &job.model.initialise(member.seed)).unwrap();
            }
            assert_eq!(trainer.train(&mut stories).unwrap(), Stop::Interrupted);
            assert_eq!(u64::from(trainer.steps_taken()), steps);
            let checkpoint: Checkpoint = stories.1.checkpoint.take().unwrap();
            let mut trainer = Trainer::new(&rooms[then], spec(&job, &members)).unwrap();
            trainer.restore(&checkpoint).unwrap();
            stories.1.stop_after = None;
            trainer.train(&mut stories).unwrap();
            for (member, (story, parameters)) in whole.iter().enumerate() {
                let at = format!("model {member} on {}, from {steps}", backend.info().backend);
                assert_eq!(&stories.0[member], story, "{at}");
                assert!(bits(&trainer.parameters(member).unwrap()) == bits(parameters), "{at}: final weights");
            }
        }
    }
}

#[test]
fn a_gradient_on_the_way_changes_nothing() {
    // One step a launch.
    let job = job(&[("train.record", "[\"validation\"]"), ("train.epochs", "1")]);
    let members = [Member::of(&job.recipe)];
    for backend in backends() {
        let run = |room: u64| {
            let mut trainer = Trainer::new(&Room(&*backend, room), spec(&job, &members)).unwrap();
            trainer.set_parameters(0, &job.model.initialise(1)).unwrap();
            let before = trainer.gradient().unwrap();
            let mut stories = Stories::new(1);
            stories.1.stop_after = Some(4);
            trainer.train(&mut stories).unwrap();
            let during = trainer.gradient().unwrap();
            stories.1.stop_after = None;
            trainer.train(&mut stories).unwrap();
            (before, during, bits(&trainer.parameters(0).unwrap()))
        };
        let resident = run(u64::MAX);
        assert!(LITTLE.into_iter().all(|room| run(room) == resident), "on {}", backend.info().backend);
    }
}

#[test]
fn only_the_windows_of_streamed_sets_are_written_between_steps() {
    let job = job(&[]);
    let members = members(&job);
    for backend in backends() {
        // Windows of one batch; of seven batches for one model, of two for three.
        for (room, models, windows) in [(u64::MAX, 3, 0), (0, 1, 1), (10_000, 1, 1), (0, 3, 3), (10_000, 3, 3)] {
            let mut trainer = Trainer::new(&Room(&*backend, room), spec(&job, &members[..models])).unwrap();
            trainer.time_steps(73).unwrap();
            let before = trainer.host_counters();
            trainer.time_steps(146).unwrap();
            let after = trainer.host_counters();
            let written = after.bytes_written - before.bytes_written;
            // A window of several orders is sent with what lies between their last examples.
            let (least, most) = (2 * 510 * 24 * windows, 2 * 518 * 24 * windows);
            assert!((least..=most).contains(&written), "{written} bytes for {models} models in {room}");
            assert!(models > 1 || written == least, "one order is sent without a gap: {written}");
            assert_eq!(after.buffers_created, before.buffers_created);
        }
    }
}

#[test]
fn streamed_sets_are_evaluated_to_the_same_bits() {
    let job = job(&[]);
    let (model, scaling, optimizer) = (&job.model, &job.scaling, &job.recipe.optimizer);
    let (parameters, examples) = (job.model.initialise(5), job.dataset.validation.as_ref().unwrap());
    for backend in backends() {
        let evaluated = |room: u64| {
            Predictions::run(&Room(&*backend, room), model, &parameters, scaling, optimizer, examples).unwrap()
        };
        let scored = |room: u64| {
            let weights = [5, 6, 7].map(|seed| model.initialise(seed).concat());
            let backend = Room(&*backend, room);
            let mut population = Population::new(&backend, model, scaling, optimizer, examples, 2).unwrap();
            weights.chunks(2).flat_map(|some| population.scores(some).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(evaluated(0), evaluated(u64::MAX), "on {}", backend.info().backend);
        assert_eq!(scored(0), scored(u64::MAX), "on {}", backend.info().backend);
    }
}

#[test]
fn the_first_sets_take_the_memory_and_streaming_must_save_some() {
    let job = job(&[]);
    let member = [Member::of(&job.recipe)];
    let cpu = gputrain::backend::cpu::CpuBackend::new();
    let windows = |job: &Job, bytes: u64| {
        let backend = DataMemory { backend: Box::new(cpu.clone()), bytes };
        let trainer = Trainer::new(&backend, spec(job, &member)).unwrap();
        let name = |name: &str| Set::ALL.into_iter().map(Set::name).find(|known| *known == name).unwrap();
        let rows = trainer.sources().iter().map(|source| (name(&source.name), source.window.map(|window| window.rows)));
        rows.collect::<Vec<_>>()
    };
    let (train, validation) = (510 * 24, 1100 * 24);
    assert_eq!(windows(&job, train + validation), [("train", None), ("validation", None)]);
    assert_eq!(windows(&job, train + validation - 1), [("train", None), ("validation", Some(1024))]);
    // The window takes an eighth of the memory, and the validation set fits beside it.
    assert_eq!(windows(&job, train - 1), [("train", Some(63)), ("validation", Some(1024))]);
    let mut small = job.clone();
    Arc::make_mut(&mut small.dataset).validation = Some(job.dataset.train.select(&(0..300).collect::<Vec<_>>()));
    assert_eq!(windows(&small, train - 1), [("train", Some(63)), ("validation", None)]);
    // A window of 300 examples would be the whole set.
    assert_eq!(windows(&small, 0), [("train", Some(7)), ("validation", None)]);
    let full = self::job(&[("train.batch", "\"full\"")]);
    assert_eq!(windows(&full, 0)[0], ("train", None));
}

#[test]
fn the_command_line_streams() {
    let place = Workplace::new(
        r#"
seed = 3
[data]
test = 7000
validation = 1500
[model]
input = [784]
layers = [{ dense = 16, activation = "relu" }, { dense = 10 }]
[train]
epochs = 1
batch = 30
"#,
    );
    let recipe = place.text("recipe.toml");
    let run = |name: &str, memory: &[&str]| {
        let out = place.text(name);
        let arguments = [&["train", &recipe, "--backend", "cpu", "--out", &out][..], memory].concat();
        let said = text(&succeed(&arguments).stdout);
        (said, std::fs::read(format!("{out}/model.safetensors")).unwrap())
    };
    let (said, resident) = run("resident", &[]);
    assert!(!said.contains("streamed"), "{said}");
    let (said, streamed) = run("streamed", &["--data-memory", "512KiB"]);
    assert!(said.contains("train is streamed: 1.1 MiB in windows of 45.9 KiB, 2 batches each"), "{said}");
    assert!(said.contains("test is streamed: 5.2 MiB in windows of 784.0 KiB, 1 batch each"), "{said}");
    assert!(streamed == resident);
    // A sweep says the same, once for runs that share the data.
    let sweep = ["sweep", &recipe, "--set", "sweep.train.shuffle=[true, false]", "--data-memory", "512KiB"];
    let said = text(&succeed(&[&sweep[..], &["--backend", "cpu", "--out", &place.text("sweep")]].concat()).stdout);
    assert_eq!(said.matches("train is streamed: 1.1 MiB in windows of 45.9 KiB, 2 batches each").count(), 1, "{said}");
    let (code, error) = fail(&["train", &recipe, "--data-memory", "much"]);
    assert!(code == 2 && error.contains("--data-memory <SIZE>"), "{error}");
}
