//! Training in the shadow of the CPU: every Nth step runs launch by launch on both, from the same buffers, and the first
//! launch whose results differ ends the run.
//!
//! Before such a step the device's buffers are copied to the CPU. Each launch of it is then followed by a copy of what it
//! wrote, so that the device still goes through the step without a stop. The CPU runs the same launch from what the device
//! had before it, and goes on from what the device has after it: errors do not add up, and each launch is held to the bound
//! of its own kernel. At the end nothing may have changed that no launch writes.
//!
//! A shadowed step costs a step on the CPU and a copy of all that training computes; the examples stay in host memory too.

use crate::backend::cpu::denormals::FlushDenormals;
use crate::backend::cpu::{Data, Implementation, Machine, threads};
use crate::backend::tuning::TuningStore;
use crate::backend::{Backend, BackendError, DeviceInfo, HostCounters, LaunchTime, Session, Ticket};
use crate::ir::{Access, Binding, BufferId, Dispatch, Element, Limits, Plan, ProgramId, Slice};
use crate::kernel::Specification;
use crate::kernel::formula::hash;
use crate::kernel::step::state;
use crate::parity::{Difference, FAST_SLACK, differing_word, element_error, largest_error};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the names of programs that are steps begin with.
const STEP: &str = "train step";
/// The same of those with which a step in parts ends.
const UPDATE: &str = "update of a step";
/// And of all parts of a step, between which ranks hear of each other.
const PARTS: &[&str] = &["batch of a step", "gradients of a step", UPDATE];
/// What is added to the name of a program that takes norms too, in the place of the one without.
const WITH_NORMS: &str = " with norms";

/// A backend whose training is checked on the CPU at every Nth step; all else runs as it does without.
pub struct Shadow {
    backend: Box<dyn Backend>,
    every: u32,
    /// What the names of programs begin with that are checked.
    programs: &'static [&'static str],
    checked: Arc<AtomicU64>,
}

impl Shadow {
    /// Checks every `every`th step that a session takes, counted from its first.
    pub fn new(backend: Box<dyn Backend>, every: u32) -> Shadow {
        Shadow { backend, every: every.max(1), programs: &[STEP], checked: Arc::default() }
    }

    /// The same of a rank's session, whose steps come in parts: each part is checked every `every`th time.
    pub fn of_rank(backend: Box<dyn Backend>, every: u32) -> Shadow {
        Shadow { programs: PARTS, ..Shadow::new(backend, every) }
    }

    /// Steps that were checked so far without a difference.
    pub fn checked(&self) -> u64 {
        self.checked.load(Relaxed)
    }
}

impl Backend for Shadow {
    fn info(&self) -> &DeviceInfo {
        self.backend.info()
    }

    fn limits(&self) -> Limits {
        self.backend.limits()
    }

    fn tuning(&self) -> Option<&TuningStore> {
        self.backend.tuning()
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        let is_checked = |name: &str| self.programs.iter().any(|begin| name.starts_with(begin));
        let steps: Vec<usize> = (0..plan.programs.len()).filter(|id| is_checked(&plan.programs[*id].name)).collect();
        if steps.is_empty() {
            return self.backend.prepare(plan);
        }
        // Each launch of a step as a program of its own, behind the others.
        let mut apart = Plan::clone(&plan);
        let mut launches = HashMap::new();
        for id in steps {
            let one = |launch: &Dispatch| apart.program(launch.label.clone(), vec![launch.clone()]);
            launches.insert(id, plan.programs[id].dispatches().map(one).collect());
        }
        let written = plan.dispatches().flat_map(written);
        let mut computed: Vec<BufferId> = written.map(|(_, slice)| slice.buffer).collect();
        computed.sort();
        computed.dedup();
        Ok(Box::new(ShadowSession {
            device: self.backend.prepare(Arc::new(apart))?,
            name: self.backend.info().device.clone(),
            cpu: Machine::new(Arc::clone(&plan), Implementation::Fast)?,
            plan,
            launches,
            computed,
            every: self.every,
            taken: HashMap::new(),
            checked: Arc::clone(&self.checked),
        }))
    }
}

/// What a launch writes.
fn written(launch: &Dispatch) -> impl Iterator<Item = (&'static Binding, Slice)> {
    let bindings = launch.kernel.bindings.iter().zip(launch.slices.iter().copied());
    bindings.filter(|(binding, _)| binding.access == Access::ReadWrite)
}

/// What differs, and how.
type Found = ((&'static Binding, Slice), Difference);

struct ShadowSession {
    device: Box<dyn Session>,
    /// The device's name.
    name: String,
    /// The same buffers on the CPU: those that no launch writes always, the others during a shadowed step.
    cpu: Machine<f32>,
    plan: Arc<Plan>,
    /// For each program of a step its launches as programs.
    launches: HashMap<usize, Vec<ProgramId>>,
    /// Buffers that some launch writes.
    computed: Vec<BufferId>,
    every: u32,
    /// Of each program by its name, with norms or without: its runs since the last that was checked.
    taken: HashMap<String, u32>,
    checked: Arc<AtomicU64>,
}

impl ShadowSession {
    /// Runs one step on the device and on the CPU.
    fn shadowed(&mut self, program: usize) -> Result<(), BackendError> {
        for (buffer, words) in self.read_computed()? {
            self.cpu.write_words(self.plan.whole(buffer), &words);
        }
        let step = self.step();
        let plan = Arc::clone(&self.plan);
        let launches = plan.programs[program].dispatches();
        let singles = self.launches[&program].clone();
        let mut tickets = Vec::new();
        for (launch, single) in launches.clone().zip(&singles) {
            self.device.run(*single, 1)?;
            let copies = written(launch).map(|(_, slice)| self.device.snapshot(slice));
            tickets.push(copies.collect::<Result<Vec<_>, _>>()?);
        }
        let after = self.read_computed()?;
        for ((launch, single), tickets) in launches.zip(singles).zip(tickets) {
            let found = tickets.into_iter().map(|ticket| self.device.fetch(ticket)).collect::<Result<Vec<_>, _>>()?;
            if let Some(found) = self.compare(launch, &found)? {
                let again = self.again(launch, single)?;
                return Err(self.differs(step, launch, &found, again));
            }
        }
        for (buffer, words) in after {
            let kept = self.cpu.read_words(self.plan.whole(buffer));
            if let Some(at) = (0..words.len()).find(|at| words[*at] != kept[*at]) {
                let name = &self.plan.buffers[buffer.0].name;
                return Err(self.error(format!(
                    "the memory at step {step}: element {at} of {name} changed from {:#010x} to {:#010x}, which no launch of the step wrote",
                    kept[at], words[at]
                )));
            }
        }
        if [STEP, UPDATE].iter().any(|end| plan.programs[program].name.starts_with(end)) {
            self.checked.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn read_computed(&mut self) -> Result<Vec<(BufferId, Vec<u32>)>, BackendError> {
        let copy = |buffer: &BufferId| Ok((*buffer, self.device.snapshot(self.plan.whole(*buffer))?));
        let tickets = self.computed.iter().map(copy).collect::<Result<Vec<_>, BackendError>>()?;
        tickets.into_iter().map(|(buffer, ticket)| Ok((buffer, self.device.fetch(ticket)?))).collect()
    }

    /// Number of the step to come, from 1.
    fn step(&self) -> u32 {
        let counters = self.plan.buffers.iter().position(|buffer| buffer.name == "train.counters");
        counters.map_or(0, |id| self.cpu.words(BufferId(id))[state::STEP] + 1)
    }

    /// Runs a launch on the CPU and holds against it what the device `found`, which the CPU goes on with. Where they differ,
    /// the CPU stays where it was before.
    fn compare(&mut self, launch: &Dispatch, found: &[Vec<u32>]) -> Result<Option<Found>, BackendError> {
        let before: Vec<Vec<u32>> = written(launch).map(|(_, slice)| self.cpu.read_words(slice)).collect();
        {
            let _flush = FlushDenormals::here();
            threads::with_team(|| self.cpu.launch(launch));
        }
        let outputs: Vec<_> = written(launch).collect();
        let ours: Vec<Vec<u32>> = outputs.iter().map(|(_, slice)| self.cpu.read_words(*slice)).collect();
        let bound = FAST_SLACK * Specification::of(launch.kernel).tolerance;
        let suspicious = |(index, (binding, _)): (usize, &(&'static Binding, Slice))| match binding.element {
            Element::U32 => differing_word(&found[index], &ours[index]).error > 0.0,
            Element::F32 => {
                let exact: Vec<f64> = ours[index].iter().map(|word| f64::from(f32::from_bits(*word))).collect();
                largest_error(&unknown(&exact), &found[index], &exact).error > bound
            }
        };
        let suspicious: Vec<usize> = outputs.iter().enumerate().filter(|o| suspicious(*o)).map(|(i, _)| i).collect();
        if !suspicious.is_empty() {
            self.put(&outputs, &before);
            let exact = Exact::new(launch, &self.cpu)?;
            for index in suspicious {
                let difference = exact.judge(index, &ours[index], &found[index], bound);
                if difference.error > 1.0 {
                    return Ok(Some((outputs[index], difference)));
                }
            }
        }
        self.put(&outputs, found);
        Ok(None)
    }

    fn put(&mut self, outputs: &[(&'static Binding, Slice)], words: &[Vec<u32>]) {
        for ((_, slice), words) in outputs.iter().zip(words) {
            self.cpu.write_words(*slice, words);
        }
    }

    /// Whether the device, from the buffers that the launch had, differs once more.
    fn again(&mut self, launch: &Dispatch, single: ProgramId) -> Result<bool, BackendError> {
        for slice in &launch.slices {
            if self.computed.contains(&slice.buffer) {
                self.device.write(slice.buffer, slice.offset, &self.cpu.read_words(*slice))?;
            }
        }
        self.device.run(single, 1)?;
        let found = written(launch).map(|(_, slice)| self.device.read(slice)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.compare(launch, &found)?.is_some())
    }

    fn differs(&self, step: u32, launch: &Dispatch, found: &Found, again: bool) -> BackendError {
        let ((binding, slice), Difference { error, at, found, wanted }) = found;
        let (binding, buffer) = (binding.name, &self.plan.buffers[slice.buffer.0].name);
        let read = launch.kernel.bindings.iter().zip(&launch.slices).filter(|(b, _)| b.access == Access::Read);
        let read: Vec<&str> = read.map(|(_, slice)| &*self.plan.buffers[slice.buffer.0].name).collect();
        // Integers have no bound.
        let times = if error.is_finite() { format!(" ({error:.1e} times the bound)") } else { String::new() };
        let again = match again {
            true => "it does so again from the same buffers: the kernel or its compiler is wrong",
            false => "from the same buffers it comes out right the second time: a fault that comes and goes",
        };
        self.error(format!(
            "{} ({}) at step {step}: {binding}[{at}] of {buffer} is {found}, the CPU says {wanted}{times}, from {}; {again}",
            launch.label,
            launch.kernel.name,
            read.join(", ")
        ))
    }

    fn error(&self, message: String) -> BackendError {
        BackendError::Differs { device: self.name.clone(), message, checked: self.checked.load(Relaxed) }
    }
}

/// What was there before, where all of it counts as written.
fn unknown(values: &[f64]) -> Vec<u32> {
    vec![f32::NAN.to_bits(); values.len()]
}

/// Times that the CPU's own errors, and the effect of inputs that are off in the last bit, are granted to the device.
const SLACK: f64 = 8.0;
/// Runs with inputs that are off in the last bit. They show where rounding decides which way a unit such as ReLU's goes.
const NUDGED: u32 = 8;

/// A launch in f64, once as it is and some times with its inputs off in the last bit of f32: how much of a difference
/// rounding alone explains, whatever cancels in the launch.
struct Exact {
    /// For each binding that is written: of the launch itself, then of the nudged ones.
    runs: Vec<Vec<Data<f64>>>,
}

impl Exact {
    /// From the buffers as they are on the CPU.
    fn new(launch: &Dispatch, cpu: &Machine<f32>) -> Result<Exact, BackendError> {
        let mut plan = Plan::default();
        let mut alone = launch.clone();
        for (slice, binding) in alone.slices.iter_mut().zip(launch.kernel.bindings) {
            let buffer = plan.buffer(binding.name, binding.element, slice.len, crate::ir::Role::Data);
            *slice = plan.whole(buffer);
        }
        let program = plan.program("launch", vec![alone.clone()]);
        let plan = Arc::new(plan);
        let run = |seed: u32| {
            let mut machine: Machine<f64> = Machine::new(Arc::clone(&plan), Implementation::Reference)?;
            for (index, slice) in launch.slices.iter().enumerate() {
                let words = cpu.read_words(*slice);
                match machine.data_mut(BufferId(index)) {
                    Data::Words(values) => values.copy_from_slice(&words),
                    Data::Floats(values) => {
                        let nudge = |at: usize| nudge(seed, index, at);
                        let floats = words.iter().enumerate().map(|(at, w)| f64::from(f32::from_bits(*w)) * nudge(at));
                        values.iter_mut().zip(floats).for_each(|(value, float)| *value = float);
                    }
                }
            }
            machine.run(program, 1);
            Ok(written(&alone).map(|(_, slice)| machine.data(slice.buffer).clone()).collect())
        };
        let runs = (0..=NUDGED).map(run).collect::<Result<_, BackendError>>()?;
        Ok(Exact { runs })
    }

    /// The worst element of an output, its error in units of the bound.
    fn judge(&self, output: usize, ours: &[u32], found: &[u32], bound: f64) -> Difference {
        let Data::Floats(exact) = &self.runs[0][output] else { return differing_word(found, ours) };
        let finite = |values: &mut dyn Iterator<Item = f64>| values.filter(|x| x.is_finite()).fold(0.0, f64::max);
        let float = |word: &u32| f64::from(f32::from_bits(*word));
        let mut own = ours.iter().zip(exact).map(|(word, e)| (float(word) - e).abs());
        let nudged = self.runs[1..].iter().filter_map(|run| match &run[output] {
            Data::Floats(values) => Some(values),
            Data::Words(_) => None,
        });
        let mut spread = nudged.flat_map(|values| values.iter().zip(exact).map(|(x, e)| (x - e).abs()));
        let rounding = SLACK * finite(&mut own).max(finite(&mut spread));
        let squares: Vec<f64> = exact.iter().filter(|e| e.is_finite()).map(|e| e * e).collect();
        let rms = (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt();
        let mut worst = Difference::default();
        for (at, (word, e)) in found.iter().zip(exact).enumerate() {
            let error = element_error(f32::from_bits(*word), *e, bound * (e.abs() + rms) + rounding);
            if error > worst.error {
                let (found, wanted) = (f32::from_bits(*word).to_string(), (*e as f32).to_string());
                worst = Difference { error, at, found, wanted };
            }
        }
        worst
    }
}

/// 1, or for a seed above 0 a factor within the rounding of f32 around it.
fn nudge(seed: u32, binding: usize, at: usize) -> f64 {
    if seed == 0 {
        return 1.0;
    }
    let random = hash::combine(hash::combine(seed, binding as u32), at as u32);
    1.0 + (f64::from(random) / f64::from(u32::MAX) - 0.5) * f64::from(f32::EPSILON)
}

impl Session for ShadowSession {
    fn run(&mut self, program: ProgramId, times: u32) -> Result<(), BackendError> {
        if !self.launches.contains_key(&program.0) {
            return self.device.run(program, times);
        }
        let name = self.plan.programs[program.0].name.replace(WITH_NORMS, "");
        let (mut left, mut taken) = (times, self.taken.get(&name).copied().unwrap_or(0));
        while left > 0 {
            let plain = left.min(self.every - 1 - taken);
            if plain > 0 {
                self.device.run(program, plain)?;
                (taken, left) = (taken + plain, left - plain);
            }
            if left > 0 {
                self.shadowed(program.0)?;
                (taken, left) = (0, left - 1);
            }
        }
        self.taken.insert(name, taken);
        Ok(())
    }

    fn write(&mut self, buffer: BufferId, offset: usize, words: &[u32]) -> Result<(), BackendError> {
        self.device.write(buffer, offset, words)?;
        self.cpu.write_words(Slice { buffer, offset, len: words.len() }, words);
        Ok(())
    }

    fn snapshot(&mut self, slice: Slice) -> Result<Ticket, BackendError> {
        self.device.snapshot(slice)
    }

    fn fetch(&mut self, ticket: Ticket) -> Result<Vec<u32>, BackendError> {
        self.device.fetch(ticket)
    }

    fn wait(&mut self) -> Result<(), BackendError> {
        self.device.wait()
    }

    fn profile(&mut self, program: ProgramId) -> Result<Vec<LaunchTime>, BackendError> {
        self.device.profile(program)
    }

    fn counters(&self) -> HostCounters {
        self.device.counters()
    }
}
