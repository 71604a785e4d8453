//! Shadow training: a right device is left alone, and a wrong value in any launch of a step is found where it arises.

use crate::binary::{fail, succeed, text};
use crate::cases::spec;
use crate::common;
use crate::fused::AsGpu;
use crate::members::bits;
use crate::story::{Stories, golden_job};
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::{Backend, BackendError, DataMemory, DeviceInfo, HostCounters, LaunchTime, Session, Ticket};
use gputrain::ir::{Access, BufferId, Element, Limits, Plan, ProgramId, Slice};
use gputrain::job::Job;
use gputrain::planner::Fusion;
use gputrain::train::{Member, TrainError, Trainer};
use gputrain::verify::Shadow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A device that computes one value wrongly: with a fault that comes and goes, or whenever it runs that launch.
#[derive(Clone)]
struct Fault {
    /// The launch, by its place in the step.
    launch: usize,
    /// Which of the runs of the launch by itself, from 0, is struck; all from it on where it stays.
    run: u32,
    stays: bool,
    /// Whether another buffer is struck than those that the launch writes.
    stray: bool,
    runs: Arc<AtomicU32>,
}

impl Fault {
    fn at(launch: usize, run: u32) -> Fault {
        Fault { launch, run, stays: false, stray: false, runs: Arc::default() }
    }
}

struct Faulty(Box<dyn Backend>, Fault);

struct FaultySession(Box<dyn Session>, Arc<Plan>, Fault);

impl Backend for Faulty {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        Ok(Box::new(FaultySession(self.0.prepare(plan.clone())?, plan, self.1.clone())))
    }
}

impl FaultySession {
    /// Changes the first value that the launch wrote, by more than the largest, or the last word of the parameters.
    fn strike(&mut self, program: ProgramId) -> Result<(), BackendError> {
        let launch = &self.1.programs[program.0].phases[0].dispatches[0];
        let written = launch.kernel.bindings.iter().position(|binding| binding.access == Access::ReadWrite).unwrap();
        let slice = match self.2.stray {
            true => {
                let parameters = self.1.buffers.iter().position(|buffer| buffer.name == "parameters").unwrap();
                Slice { buffer: BufferId(parameters), offset: self.1.buffers[parameters].len - 1, len: 1 }
            }
            false => launch.slices[written],
        };
        let words = self.0.read(slice)?;
        let wrong = match launch.kernel.bindings[written].element {
            // Beyond any bound, however large the values are: losses are scaled in mixed precision.
            Element::F32 => {
                let values = words.iter().map(|word| f32::from_bits(*word).abs());
                let largest = values.filter(|value| value.is_finite()).fold(0.0, f32::max);
                (f32::from_bits(words[0]) + 0.5 + largest).to_bits()
            }
            Element::U32 => words[0] ^ 1,
        };
        self.0.write(slice.buffer, slice.offset, &[wrong])
    }
}

impl Session for FaultySession {
    fn run(&mut self, program: ProgramId, times: u32) -> Result<(), BackendError> {
        self.0.run(program, times)?;
        // Launches by themselves lie behind the programs of the trainer, those of the step first.
        let step = self.1.programs.iter().position(|program| program.name == "train step").unwrap();
        let apart = self.1.programs.iter().map(|program| program.len()).collect::<Vec<_>>();
        let own = self.1.programs.len() - apart[step];
        if program.0 == own + self.2.launch {
            let run = self.2.runs.fetch_add(1, Ordering::Relaxed);
            if run == self.2.run || run > self.2.run && self.2.stays {
                self.strike(program)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, buffer: BufferId, offset: usize, words: &[u32]) -> Result<(), BackendError> {
        self.0.write(buffer, offset, words)
    }

    fn snapshot(&mut self, slice: Slice) -> Result<Ticket, BackendError> {
        self.0.snapshot(slice)
    }

    fn fetch(&mut self, ticket: Ticket) -> Result<Vec<u32>, BackendError> {
        self.0.fetch(ticket)
    }

    fn wait(&mut self) -> Result<(), BackendError> {
        self.0.wait()
    }

    fn profile(&mut self, program: ProgramId) -> Result<Vec<LaunchTime>, BackendError> {
        self.0.profile(program)
    }

    fn counters(&self) -> HostCounters {
        self.0.counters()
    }
}

fn members(job: &Job, count: u64) -> Vec<Member> {
    (0..count).map(|seed| Member { seed, ..Member::of(&job.recipe) }).collect()
}

/// The bits of each member's weights.
type Weights = Vec<Vec<Vec<u32>>>;

/// Trains all members: the error, or their final weights; and the step of the last checkpoint.
fn run(backend: &dyn Backend, job: &Job, members: &[Member]) -> (Result<Weights, TrainError>, Option<u32>) {
    let mut trainer = Trainer::new(backend, spec(job, members)).unwrap();
    for (index, member) in members.iter().enumerate() {
        trainer.set_parameters(index, &job.model.initialise(member.seed)).unwrap();
    }
    let mut stories = Stories::new(members.len());
    let trained = trainer.train(&mut stories);
    let weights = |_| (0..members.len()).map(|member| bits(&trainer.parameters(member).unwrap())).collect();
    (trained.map(weights), stories.1.checkpoint.map(|checkpoint| checkpoint.progress.step))
}

/// Plain, mixed, fused and streamed trainings, of one model and of three.
fn trainings() -> Vec<(Job, Limits, u64)> {
    let short = ("train.epochs", "2");
    let wide = CpuBackend::new().limits();
    let fusing = AsGpu::new().limits();
    let tight = Limits { data_bytes: 0, ..wide };
    let mixed = ("precision", "mixed");
    let recorded = ("train.record", "[\"gradient_norms\"]");
    vec![
        (golden_job("optimizer-clip-norm-l2-weight-decay", &[short, recorded]), wide, 1),
        (golden_job("optimizer-adam", &[short, ("train.shuffle", "true")]), fusing, 3),
        (golden_job("optimizer-adam", &[short, mixed]), wide, 1),
        (golden_job("conv-l2-momentum", &[short]), tight, 2),
        (golden_job("batch-norm-images", &[short, mixed]), wide, 2),
        (golden_job("mixup-values-weights", &[short]), wide, 2),
    ]
}

#[test]
fn a_right_device_is_left_alone() {
    for (job, limits, count) in trainings() {
        let members = members(&job, count);
        type Open = fn() -> Box<dyn Backend>;
        let mut devices: Vec<(Open, &str)> = vec![
            (|| Box::new(CpuBackend::new()), "the CPU"),
            // Other sums than those of the CPU's fast kernels, in f32 too.
            (|| Box::new(CpuBackend::reference_only()), "the reference"),
        ];
        if common::vulkan().is_some() {
            devices.push((|| Box::new(common::vulkan().unwrap()), "Vulkan"));
        }
        for (device, name) in devices {
            let device = || Box::new(Limited(device(), limits)) as Box<dyn Backend>;
            let shadow = Shadow::new(device(), 3);
            let at = format!("{} on {name}", job.recipe.name);
            let weights = run(&shadow, &job, &members).0.unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(weights, run(&*device(), &job, &members).0.unwrap(), "{at}");
            let steps = Trainer::new(&*device(), spec(&job, &members)).unwrap().total_steps();
            assert_eq!(shadow.checked(), steps / 3, "{at}");
        }
    }
}

/// A device with other limits, but for what a GPU cannot exceed.
struct Limited(Box<dyn Backend>, Limits);

impl Backend for Limited {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    fn limits(&self) -> Limits {
        let own = self.0.limits();
        let Limits { data_bytes, costly_launches, busy_workgroups, .. } = self.1;
        let (workgroup_bytes, workgroup_threads) =
            (own.workgroup_bytes.min(self.1.workgroup_bytes), own.workgroup_threads.min(self.1.workgroup_threads));
        Limits { data_bytes, costly_launches, busy_workgroups, workgroup_bytes, workgroup_threads, ..own }
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        self.0.prepare(plan)
    }
}

#[test]
fn a_wrong_value_in_any_launch_is_found_where_it_arises() {
    for (mut job, limits, count) in trainings() {
        job.recipe.train.record.clear();
        job.recipe.train.checkpoint_steps = 1;
        let members = members(&job, count);
        let device = || Box::new(Limited(Box::new(CpuBackend::new()), limits)) as Box<dyn Backend>;
        let trainer = Trainer::new(&*device(), spec(&job, &members)).unwrap();
        let launches: Vec<_> = trainer.step_program().dispatches().cloned().collect();
        assert_eq!(launches.len() == 2, limits.costly_launches, "{}", job.recipe.name);
        for (index, launch) in launches.iter().enumerate() {
            // Every second step is checked; the third of those is struck, step 6.
            let shadow = Shadow::new(Box::new(Faulty(device(), Fault::at(index, 2))), 2);
            let (result, checkpoint) = run(&shadow, &job, &members);
            let at = format!("{}: {}", job.recipe.name, launch.label);
            let Err(TrainError::Backend(error @ BackendError::Differs { checked, .. })) = result else {
                panic!("{at} was not noticed")
            };
            let text = error.to_string();
            let named = format!("{} ({}) at step 6: ", launch.label, launch.kernel.name);
            for part in [&*named, "[0] of ", ", the CPU says ", "a fault that comes and goes", "2 steps were checked"] {
                assert!(text.contains(part), "{at}: no {part} in: {text}");
            }
            assert_eq!((checked, shadow.checked(), checkpoint), (2, 2, Some(5)), "{at}");
        }
    }
}

#[test]
fn a_fault_that_stays_and_a_stray_write_are_called_so() {
    let job = golden_job("optimizer-adam", &[("train.epochs", "2")]);
    let members = members(&job, 1);
    let error = |fault: Fault| {
        let device = Faulty(Box::new(DataMemory { backend: Box::new(CpuBackend::new()), bytes: 0 }), fault);
        run(&Shadow::new(Box::new(device), 1), &job, &members).0.unwrap_err().to_string()
    };
    let stays = error(Fault { stays: true, ..Fault::at(1, 0) });
    assert!(stays.contains("layers.0 forward (dense_forward) at step 1") && stays.contains("does so again"), "{stays}");
    // While the loss is computed.
    let trainer = Trainer::with_fusion(&CpuBackend::new(), spec(&job, &members), Fusion::Never).unwrap();
    let loss = trainer.step_program().dispatches().position(|launch| launch.label == "loss").unwrap();
    let stray = error(Fault { stray: true, ..Fault::at(loss, 1) });
    assert!(stray.contains("at step 2") && stray.contains("parameters"), "{stray}");
}

#[test]
fn shadowed_runs_say_what_was_checked() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name).display().to_string();
    let train = |name: &str, every: &str| {
        let small =
            ["--epochs", "1", "--set", "data.examples=300", "--set", "data.validation=20", "--layers", "8:relu,10"];
        let arguments = ["--backend", "cpu", "train", "--out", &out(name), "--shadow", every];
        text(&succeed(&[&arguments[..], &small].concat()).stdout)
    };
    let said = train("often", "2");
    assert!(said.contains("1 step was checked on the CPU: no launch differed"), "{said}");
    let said = train("never", "1000");
    assert!(said.contains("no step was checked on the CPU: fewer than 1000 were taken"), "{said}");
    assert_eq!(fail(&["--backend", "cpu", "train", "--shadow", "0"]).0, 2);
}
