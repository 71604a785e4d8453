//! Breaks every shader in many small ways and demands that the verification notices.

use crate::common;
use crate::mutation::{Mutant, UNNOTICED, Unnoticed, mutants, trimmed};
use gputrain::backend::Backend;
use gputrain::ir::{Kernel, Limits};
use gputrain::kernel::{Case, REGISTRY, Specification, shader_source};
use gputrain::parity::Prepared;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A kernel with another shader.
fn with_shader(kernel: &Kernel, wgsl: String) -> &'static Kernel {
    Box::leak(Box::new(Kernel { wgsl: wgsl.leak(), ..*kernel }))
}

/// One change, in all kernels that it breaks: several when it is to a file that they include.
struct Job {
    /// Tried in turn until one is noticed.
    broken: Vec<(&'static Kernel, Mutant)>,
}

impl Job {
    /// The entry that says why this change is not noticed.
    fn excuse(&self) -> Option<usize> {
        let Mutant { rule, line, around, .. } = &self.broken[0].1;
        let is_near = |entry: &Unnoticed| entry.around.iter().zip(around).all(|(e, a)| e.is_empty() || e == a);
        let fits = |entry: &Unnoticed| entry.line == line && is_near(entry) && entry.rules.contains(&rule.as_str());
        UNNOTICED.iter().position(fits)
    }

    fn name(&self) -> String {
        let kernels: Vec<_> = self.broken.iter().map(|(kernel, _)| kernel.name).collect();
        let Mutant { rule, line, around: [before, behind], .. } = &self.broken[0].1;
        format!("{}: {rule} in\n    {before}\n  > {line}\n    {behind}", kernels.join(", "))
    }
}

fn jobs() -> Vec<Job> {
    let mut jobs: BTreeMap<_, Job> = BTreeMap::new();
    for Specification { kernel, .. } in REGISTRY {
        // Where the same line comes again, its mutants are told apart by number.
        let mut seen: BTreeMap<_, usize> = BTreeMap::new();
        for mutant in mutants(&shader_source(kernel, &[])) {
            let shared = kernel.wgsl.lines().all(|line| trimmed(line) != mutant.line);
            let name = (mutant.line.clone(), mutant.rule.clone());
            let repeat = seen.entry(name.clone()).or_default();
            let key = (if shared { "" } else { kernel.name }, name, *repeat);
            *repeat += 1;
            jobs.entry(key).or_insert_with(|| Job { broken: Vec::new() }).broken.push((kernel, mutant));
        }
    }
    let mut jobs: Vec<Job> = jobs.into_values().collect();
    // What compiles fast comes first.
    jobs.iter_mut().for_each(|job| job.broken.sort_by_key(|(kernel, _)| is_costly(kernel)));
    jobs
}

/// Cases grouped by what is compiled for them, what compiles fast first: most mutants show in the first group.
fn groups(specification: &'static Specification, limits: &Limits) -> Vec<Prepared> {
    let mut groups: Vec<Vec<Case>> = Vec::new();
    for case in specification.all_cases().into_iter().filter(|case| limits.allow(&case.dispatch)) {
        match groups.iter_mut().find(|g| g[0].dispatch.constants == case.dispatch.constants) {
            Some(group) => group.push(case),
            None => groups.push(vec![case]),
        }
    }
    let rows_of_a_thread = |cases: &Vec<Case>| {
        let mut constants = cases[0].dispatch.constants.iter();
        constants.find(|(name, _)| *name == "THREAD_M").map_or(1, |(_, value)| *value)
    };
    groups.sort_by_key(rows_of_a_thread);
    groups.into_iter().map(|cases| Prepared::new(specification, cases).expect("valid cases")).collect()
}

type Groups = BTreeMap<&'static str, Vec<Prepared>>;

/// Whether the verification of any kernel notices. What compiles fast comes first, in all kernels.
fn is_noticed(backend: &dyn Backend, job: &Job, groups: &Groups) -> bool {
    let broken: Vec<_> = job.broken.iter().map(|(kernel, mutant)| with_shader(kernel, mutant.text.clone())).collect();
    let most = broken.iter().map(|kernel| groups[kernel.name].len()).max().unwrap_or(0);
    const FIRST: usize = 12;
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

/// About one in so many of a shader's mutants is tried, picked by name.
struct Shares {
    /// Of shaders that are not in the record.
    changed: usize,
    /// Of those that are.
    known: usize,
}

/// Software drivers take seconds to compile some kernels in all their variants.
const COSTLY: Shares = Shares { changed: 12, known: 96 };
const CHEAP: Shares = Shares { changed: 1, known: 16 };

fn is_costly(kernel: &Kernel) -> bool {
    kernel.name.starts_with("fused_forward_backward") || kernel.name.starts_with("dense_")
}

/// The mutants to try: many of the shaders that changed since the record was written, a few of the others. GPUTRAIN_MUTANTS is
/// a part of kernels' names, or of a line, to try those with it alone. With GPUTRAIN_ALL_MUTANTS=1 all are tried, which
/// takes an hour, and is due now and then.
fn sample(jobs: Vec<Job>, lacking: &[&str]) -> Vec<Job> {
    if let Some(part) = chosen() {
        return jobs.into_iter().filter(|job| job.name().contains(&part)).collect();
    }
    if tries_all() {
        return jobs;
    }
    let record = Record::read();
    let is_changed = |name: &&str| !record.has(name) && !lacking.contains(name);
    let changed: Vec<_> = REGISTRY.iter().map(|known| known.kernel.name).filter(is_changed).collect();
    println!("changed since {} was written: {changed:?}", Record::FILE);
    let share = |job: &Job| {
        let shares = if job.broken.iter().all(|(kernel, _)| is_costly(kernel)) { COSTLY } else { CHEAP };
        let is_changed = job.broken.iter().any(|(kernel, _)| changed.contains(&kernel.name));
        if is_changed { shares.changed } else { shares.known }
    };
    let hash = |job: &Job| job.name().bytes().fold(0, |hash: usize, byte| (hash * 31 + usize::from(byte)) % 65_521);
    let all = jobs.len();
    let picked: Vec<Job> = jobs.into_iter().filter(|job| hash(job) % share(job) == 0).collect();
    println!("{} of {all} mutants are left out: see GPUTRAIN_ALL_MUTANTS", all - picked.len());
    picked
}

fn chosen() -> Option<String> {
    std::env::var("GPUTRAIN_MUTANTS").ok()
}

fn tries_all() -> bool {
    std::env::var("GPUTRAIN_ALL_MUTANTS").is_ok_and(|v| v == "1")
}

/// The shaders whose mutants were tried, by hashes of their texts without comments. GPUTRAIN_RECORD_MUTANTS=1 writes it
/// when all that were tried were noticed; with GPUTRAIN_MUTANTS, for the kernels alone whose names have that part.
struct Record(BTreeSet<String>);

impl Record {
    const FILE: &str = "tests/kernels/mutation/tried.txt";

    fn path() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(Record::FILE)
    }

    fn line(kernel: &Kernel) -> String {
        let text = shader_source(kernel, &[]);
        let code: Vec<String> = text.lines().map(trimmed).filter(|line| !line.is_empty()).collect();
        format!("{} {}", kernel.name, &blake3::hash(code.join("\n").as_bytes()).to_hex()[..16])
    }

    fn read() -> Record {
        let text = std::fs::read_to_string(Record::path()).expect("the record is there");
        Record(text.lines().filter(|line| !line.starts_with('#')).map(String::from).collect())
    }

    /// Whether the kernel's mutants were tried with its shader as it is now.
    fn has(&self, kernel: &str) -> bool {
        REGISTRY.iter().any(|known| known.kernel.name == kernel && self.0.contains(&Record::line(known.kernel)))
    }

    /// Records today's shaders; `lacking` are kernels that this device cannot run.
    fn write(lacking: &[&str]) {
        let share = if tries_all() { "all of their mutants" } else { "a sample of their mutants" };
        let header = format!("# Written by mutants.rs: shaders of which {share} were tried and noticed.\n");
        let tried = REGISTRY.iter().map(|known| known.kernel).filter(|kernel| !lacking.contains(&kernel.name));
        let (before, part) = (Record::read(), chosen());
        let line = |kernel: &Kernel| match &part {
            Some(part) if !kernel.name.contains(part) => {
                before.0.iter().find(|line| line.split(' ').next() == Some(kernel.name)).cloned()
            }
            _ => Some(Record::line(kernel)),
        };
        let lines = tried.filter_map(|kernel| Some(format!("{}\n", line(kernel)?)));
        std::fs::write(Record::path(), header + &lines.collect::<String>()).expect("the record can be written");
    }
}

/// A device forgets no pipeline, and mutants have many: a new one after each of so many jobs.
const JOBS_PER_DEVICE: usize = 24;

/// For each job, whether it was noticed.
fn run(jobs: &[Job]) -> Vec<bool> {
    let limits = common::checked_vulkan().expect("it was there before").limits();
    let groups: Groups = REGISTRY.iter().map(|known| (known.kernel.name, groups(known, &limits))).collect();
    let next = AtomicUsize::new(0);
    let noticed: Vec<AtomicBool> = jobs.iter().map(|_| AtomicBool::new(false)).collect();
    let work = || {
        loop {
            let first = next.fetch_add(JOBS_PER_DEVICE, Ordering::Relaxed);
            if first >= jobs.len() {
                return;
            }
            let backend = common::open(true).expect("it was there before");
            for (job, noticed) in jobs.iter().zip(&noticed).skip(first).take(JOBS_PER_DEVICE) {
                // Races show now and then only.
                let found = (0..3).any(|_| is_noticed(&backend, job, &groups));
                noticed.store(found, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().for_each(|worker| worker.join().expect("a verification panicked"));
    });
    noticed.into_iter().map(AtomicBool::into_inner).collect()
}

#[test]
fn every_broken_shader_is_noticed() {
    let Some(backend) = common::checked_vulkan() else { return };
    let limits = backend.limits();
    let runs = |known: &Specification| (known.cases)().iter().any(|case| limits.allow(&case.dispatch));
    let lacking: Vec<_> = REGISTRY.iter().filter(|known| !runs(known)).map(|known| known.kernel.name).collect();
    println!("left out, since the device lacks what they need: {lacking:?}");
    let tried = |job: &Job| job.excuse().is_none() && job.broken.iter().any(|(k, _)| !lacking.contains(&k.name));
    let jobs = sample(jobs().into_iter().filter(tried).collect(), &lacking);
    assert!(jobs.len() > 60 || chosen().is_some(), "only {} mutants", jobs.len());
    let noticed = run(&jobs);
    let survivors: Vec<String> =
        jobs.iter().zip(noticed).filter(|(_, noticed)| !noticed).map(|(j, _)| j.name()).collect();
    assert!(survivors.is_empty(), "{} mutants were not noticed:\n{}", survivors.len(), survivors.join("\n"));
    println!("all {} mutants were noticed", jobs.len());
    if std::env::var("GPUTRAIN_RECORD_MUTANTS").is_ok_and(|v| v == "1") {
        Record::write(&lacking);
    }
}

#[test]
fn every_excuse_is_for_a_line_that_exists() {
    let used: BTreeSet<usize> = jobs().iter().filter_map(Job::excuse).collect();
    let stale: Vec<_> = (0..UNNOTICED.len()).filter(|i| !used.contains(i)).map(|i| UNNOTICED[i].line).collect();
    assert!(stale.is_empty(), "{stale:#?}");
    assert!(UNNOTICED.iter().all(|entry| !entry.reason.is_empty()));
}

#[test]
#[ignore = "takes minutes; for when tests/kernels/mutation/unnoticed.rs has changed"]
fn nothing_excused_is_noticed() {
    if common::checked_vulkan().is_none() {
        return;
    }
    let must_stay = |job: &Job| job.excuse().is_some_and(|entry| !UNNOTICED[entry].is_race());
    let jobs: Vec<Job> = jobs().into_iter().filter(must_stay).collect();
    // Changes that the table cannot tell apart share an excuse: one of them needs it.
    let mut needed: BTreeMap<String, bool> = BTreeMap::new();
    for (job, noticed) in jobs.iter().zip(run(&jobs)) {
        *needed.entry(job.name()).or_default() |= !noticed;
    }
    let idle: Vec<String> = needed.into_iter().filter(|(_, needed)| !needed).map(|(name, _)| name).collect();
    assert!(idle.is_empty(), "{} excuses are not needed:\n{}", idle.len(), idle.join("\n"));
}
