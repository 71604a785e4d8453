//! Breaks every shader in many small ways and demands that the verification notices.

mod common;
mod mutation;

use gputrain::backend::Backend;
use gputrain::backend::gpu::GpuBackend;
use gputrain::kernel::{Case, Kernel, REGISTRY, shader_source};
use gputrain::verify::Prepared;
use mutation::{Mutant, mutants};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A kernel with another shader.
fn with_shader(kernel: &Kernel, wgsl: String) -> &'static Kernel {
    Box::leak(Box::new(Kernel { wgsl: wgsl.leak(), ..*kernel }))
}

/// One change, in all kernels that it breaks: several when it is to a file that they include.
struct Job {
    rule: String,
    line: String,
    /// Tried in turn until one is noticed.
    broken: Vec<(&'static Kernel, Mutant)>,
}

fn jobs(kernels: &[&'static Kernel]) -> Vec<Job> {
    let mut jobs: BTreeMap<_, Job> = BTreeMap::new();
    for kernel in kernels {
        // Where the same line comes again, its mutants are told apart by number.
        let mut seen: BTreeMap<_, usize> = BTreeMap::new();
        for mutant in mutants(&shader_source(kernel, &[])) {
            let shared = !kernel.wgsl.lines().any(|line| line.split("//").next().unwrap_or("").trim() == mutant.line);
            let name = (mutant.line.clone(), mutant.rule.clone(), mutant.place);
            let repeat = seen.entry(name.clone()).or_default();
            let key = (if shared { "" } else { kernel.name }, name, *repeat);
            *repeat += 1;
            let new = || Job { rule: mutant.rule.clone(), line: mutant.line.clone(), broken: Vec::new() };
            jobs.entry(key).or_insert_with(new).broken.push((kernel, mutant));
        }
    }
    jobs.into_values().collect()
}

/// Cases grouped by what is compiled for them, what compiles fast first: most mutants show in the first group.
fn groups(kernel: &'static Kernel) -> Vec<Prepared> {
    let mut groups: Vec<Vec<Case>> = Vec::new();
    for case in (kernel.cases)() {
        match groups.iter_mut().find(|g| g[0].dispatch.constants == case.dispatch.constants) {
            Some(group) => group.push(case),
            None => groups.push(vec![case]),
        }
    }
    groups.sort_by_key(|cases| cases[0].dispatch.constant("THREAD_M", 1));
    groups.into_iter().map(|cases| Prepared::new(kernel, cases).expect("valid cases")).collect()
}

type Groups = BTreeMap<&'static str, Vec<Prepared>>;

/// Whether the verification of any kernel notices. What compiles fast comes first, in all kernels.
fn is_noticed(backend: &dyn Backend, job: &Job, groups: &Groups) -> bool {
    let broken: Vec<_> = job.broken.iter().map(|(kernel, mutant)| with_shader(kernel, mutant.text.clone())).collect();
    let most = broken.iter().map(|kernel| groups[kernel.name].len()).max().unwrap_or(0);
    const FIRST: usize = 9;
    let rounds = [0..FIRST, FIRST..most.max(FIRST)];
    rounds.into_iter().any(|round| {
        broken.iter().any(|kernel| {
            let mine = groups[kernel.name].iter().take(round.end).skip(round.start);
            mine.map(|prepared| prepared.verify(backend, kernel)).any(|row| {
                assert_eq!(row.kernel, kernel.name);
                !row.passed
            })
        })
    })
}

/// A device forgets no pipeline, and mutants have many: a new one after each of so many jobs.
const JOBS_PER_DEVICE: usize = 24;

/// The jobs that no verification noticed.
fn survivors<'a>(jobs: &'a [Job], groups: &Groups, open: impl Fn() -> Option<GpuBackend> + Sync) -> Vec<&'a Job> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work = || {
        loop {
            let first = next.fetch_add(JOBS_PER_DEVICE, Ordering::Relaxed);
            let mine = jobs.iter().skip(first).take(JOBS_PER_DEVICE);
            if mine.len() == 0 {
                return;
            }
            let backend = open().expect("it was there before");
            for job in mine {
                let t0 = std::time::Instant::now();
                if !is_noticed(&backend, job, groups) {
                    found.lock().expect("no thread panicked").push(job);
                }
                println!("T {:.3} {} {} {}", t0.elapsed().as_secs_f64(), job.broken[0].0.name, job.rule, job.line);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().for_each(|worker| worker.join().expect("a verification panicked"));
    });
    found.into_inner().expect("no thread panicked")
}

#[test]
fn every_broken_shader_is_noticed() {
    if common::vulkan().is_none() {
        return;
    }
    let kernels: Vec<_> =
        REGISTRY.iter().copied().filter(|k| std::env::var("ONLY").map_or(true, |o| o == k.name)).collect();
    let jobs = jobs(&kernels);
    let groups = kernels.iter().map(|kernel| (kernel.name, groups(kernel))).collect();
    let start = std::time::Instant::now();
    let survivors = survivors(&jobs, &groups, common::vulkan);
    for job in &survivors {
        let kernels = job.broken.iter().map(|b| b.0.name).collect::<Vec<_>>();
        println!("SURVIVED {kernels:?}: {}#{} | {}", job.rule, job.broken[0].1.place, job.line);
    }
    println!("{} mutants, {} survive, {:?}", jobs.len(), survivors.len(), start.elapsed());
}
