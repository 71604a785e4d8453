//! What the host does around the device's work: making steps ready and encoding them, reading data, saving.
//!
//! `cargo bench --bench host`, or `cargo bench --bench host -- encode` for one group. What devices do is timed by
//! `gputrain bench`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::gpu::GpuBackend;
use gputrain::data::{generate, read_array, read_arrays, write_idx, write_npz};
use gputrain::job::Job;
use gputrain::kernel::formula::hash;
use gputrain::recipe::Recipe;
use gputrain::train::{Checkpoint, Member, Trainer};
use std::hint::black_box;

/// The default recipe, 784-128-64-10 with Adam, on its generated digits.
fn digits() -> Job {
    let text = Recipe::builtin("digits").expect("the default recipe is bundled");
    Job::load(Recipe::parse(text, "digits", &[]).expect("it is valid")).expect("its data is generated")
}

fn noop() -> GpuBackend {
    GpuBackend::noop().expect("wgpu's no-op backend is compiled in")
}

fn trainer(backend: &dyn Backend, job: &Job, members: &[Member]) -> Trainer {
    Trainer::new(backend, job.spec(members)).expect("the network fits every device")
}

/// Encoding and submitting training steps on wgpu's no-op device: all that the host pays for a step, wgpu's validation
/// included, without a driver. Ten models side by side are the same launches.
fn encode(criterion: &mut Criterion) {
    let (job, backend) = (digits(), noop());
    let mut group = criterion.benchmark_group("encode");
    for (name, models) in [("step", 1), ("step of ten models", 10)] {
        let members = vec![Member::of(&job.recipe); models];
        let mut trainer = trainer(&backend, &job, &members);
        group.throughput(Throughput::Elements(trainer.step_program().len() as u64));
        group.bench_function(name, |b| {
            b.iter_custom(|steps| {
                let steps = u32::try_from(steps).expect("fewer steps than that are timed");
                trainer.time_steps(steps).expect("the no-op device does everything")
            });
        });
    }
}

/// From a loaded recipe to a trainer whose first step can be launched: graph, plan, buffers, bind groups, upload.
fn prepare(criterion: &mut Criterion) {
    let job = digits();
    let members = [Member::of(&job.recipe)];
    let mut group = criterion.benchmark_group("prepare");
    let noop = noop();
    let backends: [(&str, &dyn Backend); 2] = [("no-op device", &noop), ("cpu", &CpuBackend::new())];
    for (name, backend) in backends {
        group.bench_function(name, |b| b.iter(|| trainer(backend, &job, &members)));
    }
    let text = Recipe::builtin("digits").expect("the default recipe is bundled");
    group.bench_function("parse a recipe", |b| b.iter(|| Recipe::parse(black_box(text), "digits", &[])));
}

/// The order of an epoch, as the host walks it.
fn permutation(criterion: &mut Criterion) {
    const EXAMPLES: u32 = 60_000;
    let mut group = criterion.benchmark_group("permutation");
    group.throughput(Throughput::Elements(EXAMPLES.into()));
    group.bench_function("60,000 examples", |b| {
        b.iter(|| (0..EXAMPLES).map(|i| hash::permute(i, EXAMPLES, black_box(7))).fold(0, u32::wrapping_add));
    });
}

/// 2,500 digits, generated, and read from the formats that take the most work.
fn data(criterion: &mut Criterion) {
    const COUNT: usize = 2000;
    let dataset = generate(0, COUNT, COUNT / 4);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let npz = folder.path().join("digits.npz");
    write_npz(&npz, &dataset).expect("the folder can be written");
    let idx = write_idx(folder.path(), &dataset, true).expect("the folder can be written");
    let mut group = criterion.benchmark_group("data");
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("generate", |b| b.iter(|| generate(black_box(0), COUNT, COUNT / 4)));
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let (npz, idx) = (path(&npz), path(&idx[0]));
    group.bench_function("read .npz", |b| b.iter(|| read_arrays(&npz).expect("it was just written")));
    group.bench_function("read .idx.gz", |b| b.iter(|| read_array(&idx).expect("it was just written")));
}

/// Saving and loading what a run of the default recipe needs to go on: weights and two moments, 1.3 MB.
fn checkpoint(criterion: &mut Criterion) {
    const WORDS: usize = 109_386;
    let words: Vec<u32> = (0..WORDS as u32).map(hash::mix).collect();
    let names = ["parameters", "first_moment", "second_moment"];
    let buffers = names.map(|name| (name.to_string(), words.clone())).to_vec();
    let saved = Checkpoint { buffers, ..Checkpoint::default() };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("state");
    let mut group = criterion.benchmark_group("checkpoint");
    group.bench_function("save", |b| b.iter(|| saved.save(&path).expect("the folder can be written")));
    group.bench_function("load", |b| b.iter(|| Checkpoint::load(&path).expect("it was just saved")));
}

criterion_group!(benches, encode, prepare, permutation, data, checkpoint);
criterion_main!(benches);
