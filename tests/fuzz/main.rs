//! Hostile files: every parser is given changed copies of the valid files in `corpus` (and of what comes with the program).
//! It may refuse them or read something odd. It may not panic, take longer than a second, or hold more memory than 20 times
//! the file and 64 MiB. What it reads from an unchanged file is what NumPy, h5py and pandas read (`make.py` notes that).
//!
//! As a test, each target gets a bounded number of inputs, the same each time. `tests/fuzz.sh` goes on for as long as one
//! likes with others. An input that fails is kept, and belongs into the corpus once its fault is mended.

// The program is no library, so its command line is compiled in: a process for each input would be too slow.
#[allow(dead_code)]
#[path = "../../src/cli/mod.rs"]
mod cli;
mod memory;
mod mutate;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use cli::Cli;
use gputrain::backend::tuning::Tuning;
use gputrain::data::{
    Array, DataError, Examples, Features, Loading, Pictures, RawTable, SourceRef, TargetKind, Targets, TrainedOn,
    column_texts, describe, describe_columns, is_picture_table, load_examples, load_features, read_array, read_arrays,
    reading_notes,
};
use gputrain::export::{SavedModel, load_parameters};
use gputrain::job::Job;
use gputrain::landscape::Relief;
use gputrain::model::{Model, Shape};
use gputrain::recipe::{Broken, DataSpec, Fit, ImageSpec, Missing, Recipe, RecipeText, builtin_names};
use gputrain::report::RunRecords;
use gputrain::suggest::{self, Wanted};
use gputrain::train::Checkpoint;
use mutate::{Random, mutate};

/// A read that takes longer is a failure, unless it was only the machine that was busy.
const SLOWEST: Duration = Duration::from_secs(1);
/// A read that takes longer ends the process: it may never come back.
const HUNG: Duration = Duration::from_secs(60);

/// A parser, and where its files are.
struct Target {
    name: &'static str,
    /// Folder of the corpus.
    folder: &'static str,
    /// Which of the folder's files are changed; the others lie beside them as they are.
    changed: fn(&str) -> bool,
    /// Inputs of the bounded run.
    inputs: u64,
    read: fn(&Path),
}

const ALL: fn(&str) -> bool = |name| name != "expected";
const PICTURES: fn(&str) -> bool = |name| !name.ends_with(".npz") && !name.ends_with(".py");

const TARGETS: &[Target] = &[
    Target { name: "npy", folder: "npy", changed: ALL, inputs: 3000, read: data },
    Target { name: "npz", folder: "npz", changed: ALL, inputs: 2000, read: data },
    Target { name: "idx", folder: "idx", changed: ALL, inputs: 2000, read: data },
    Target { name: "csv", folder: "csv", changed: ALL, inputs: 2000, read: data },
    Target { name: "table", folder: "table", changed: ALL, inputs: 1500, read: table },
    Target { name: "columns", folder: "columns", changed: ALL, inputs: 1500, read: columns },
    Target { name: "gz", folder: "gz", changed: ALL, inputs: 2000, read: data },
    Target { name: "hdf5", folder: "hdf5", changed: ALL, inputs: 2000, read: data },
    Target { name: "mat", folder: "mat", changed: ALL, inputs: 2000, read: data },
    Target { name: "cifar", folder: "cifar", changed: ALL, inputs: 1500, read: cifar },
    Target { name: "pictures", folder: "../../fixtures/pictures", changed: PICTURES, inputs: 1500, read: pictures },
    Target { name: "packed", folder: "packed", changed: ALL, inputs: 500, read: packed },
    Target { name: "recipe", folder: "recipe", changed: ALL, inputs: 2000, read: recipe },
    Target { name: "gallery", folder: "gallery", changed: ALL, inputs: 1000, read: gallery },
    Target { name: "tuning", folder: "tuning", changed: ALL, inputs: 1000, read: tuning },
    Target { name: "model", folder: "run", changed: |name| name == "model.safetensors", inputs: 2000, read: model },
    Target {
        name: "checkpoint",
        folder: "run",
        changed: |name| name.ends_with("state.safetensors"),
        inputs: 2000,
        read: checkpoint,
    },
    Target { name: "run", folder: "run", changed: |name| !name.ends_with(".safetensors"), inputs: 1500, read: run },
];

/// Reads a data file in every way there is.
fn data(path: &Path) {
    let path = path.to_str().unwrap();
    // A file of nothing but text is described, but there is nothing to read.
    let described = describe(path).is_ok_and(|arrays| arrays.is_empty() || arrays.iter().any(Result::is_ok));
    assert_eq!(described, read_arrays(path).is_ok(), "described or read, but not both");
    let _ = read_array(&format!("{path}#x"));
    let _ = reading_notes(path);
    let _ = load_features(path, Shape::Image { channels: 1, height: 1, width: 3 });
    for (images, labels) in [(path.to_owned(), path.to_owned()), (path.to_owned(), format!("{path}#1"))] {
        let source = SourceRef { images: &images, labels: &labels };
        let _ = load_examples(source, Shape::Features(3), TargetKind::Values { outputs: 3 });
        let _ = load_examples(source, Shape::Features(1), TargetKind::Classes { outputs: 3 });
    }
}

/// Reads an archive of CIFAR's files, or the folder that a file of it lies in.
fn cifar(path: &Path) {
    let is_archive = path.extension().is_some_and(|ending| ending == "tar");
    let set = if is_archive { path } else { path.parent().unwrap() }.to_str().unwrap();
    let described = describe(set).is_ok_and(|arrays| arrays.iter().all(Result::is_ok));
    assert_eq!(described, read_arrays(set).is_ok(), "described or read, but not both");
    let _ = reading_notes(set);
    let wanted = Wanted { train: set, target: &[], test: None, overrides: &[] };
    if let Ok(text) = suggest::recipe(&wanted) {
        let recipe = text.parse(&[]).expect("what is suggested can be read");
        let _ = Job::load(recipe);
    }
}

/// The column that is to be predicted in a file of the corpus.
fn target_of(path: &Path) -> String {
    if path.file_name().is_some_and(|name| name == "unnamed.csv") { "2".into() } else { "target".into() }
}

/// A table with a target, read anew.
fn read_table(path: &Path, data: &DataSpec, known: &TrainedOn) -> Result<(Examples, TrainedOn), DataError> {
    let raw = RawTable::read(path.to_str().unwrap(), &[target_of(path)], data, known)?;
    let (input, kind) = (raw.input(), raw.target_kind(None)?);
    raw.fit(input, kind, None).map(|(examples, trained_on, _)| (examples, trained_on))
}

/// The bits of features; they tell values that are missing from others.
fn bits(features: &Features) -> Vec<u32> {
    (0..features.storage.len()).map(|index| features.storage.get(index).to_bits()).collect()
}

/// Reads a table with a target: to be trained on, for the model that was, as the recipe that suits it says, and its texts.
fn table(path: &Path) {
    let target = target_of(path);
    let column = |name: &str| vec![name.to_owned()];
    let gaps = DataSpec { missing: Missing::Indicator, ..DataSpec::default() };
    let odd = DataSpec { header: Some(false), categorical: column("1"), ..gaps.clone() };
    for data in [DataSpec::default(), gaps, odd, DataSpec { drop: column("1"), ..DataSpec::default() }] {
        let Ok((examples, trained_on)) = read_table(path, &data, &TrainedOn::default()) else { continue };
        let features = &examples.features;
        assert_eq!(features.storage.len(), features.count * trained_on.features.len());
        assert_eq!(examples.count(), features.count);
        // What a model keeps of the table reads the table as it was.
        let (again, _) = read_table(path, &data, &trained_on).expect("what was trained on is read by its own model");
        assert_eq!((bits(&again.features), again.targets), (bits(features), examples.targets));
    }
    let text = path.to_str().unwrap();
    let _ = column_texts(text, None, &target);
    let wanted = Wanted { train: text, target: &[target], test: None, overrides: &[] };
    if let Ok(text) = suggest::recipe(&wanted) {
        let recipe = text.parse(&[]).expect("what is suggested can be read");
        if let Ok(job) = Job::load(recipe) {
            assert!(bits(&job.dataset.train.features).into_iter().all(|bits| f32::from_bits(bits).is_finite()));
            let _ = job.described();
        }
    }
}

/// Reads a file of columns: as a table of text is read, without the columns that none could hold, and its pictures.
fn columns(path: &Path) {
    table(path);
    data(path);
    let text = path.to_str().unwrap();
    let Ok((columns, _)) = describe_columns(text) else { return };
    let unlike = |kind: &str| !["numbers", "categories", "nothing"].contains(&kind);
    let odd = columns.iter().filter(|column| unlike(&column.kind)).map(|column| column.name.clone());
    let _ = read_table(path, &DataSpec { drop: odd.collect(), ..DataSpec::default() }, &TrainedOn::default());
    if is_picture_table(path).is_ok_and(|is_one| is_one) {
        let image = ImageSpec { size: Some([5, 7]), channels: Some(3), fit: Some(Fit::Pad) };
        for image in [image, ImageSpec::default()] {
            let loading = Loading { image, broken: Broken::Skip, cache: None, progress: &|_, _| {} };
            let _ = Pictures::of_table(path, "", &[], &loading);
        }
    }
}

/// Decodes a picture.
fn pictures(path: &Path) {
    if large_webp(&std::fs::read(path).unwrap()) {
        return;
    }
    let image = ImageSpec { size: Some([5, 7]), channels: Some(3), fit: Some(Fit::Pad) };
    for image in [image, ImageSpec::default()] {
        let loading = Loading { image, broken: Broken::Error, cache: None, progress: &|_, _| {} };
        let _ = Pictures::unlabelled(&[path.to_owned()], &loading);
    }
}

/// Whether a file says that it is a WebP of millions of pixels: its format lets a few bytes be so many, and decoding them is
/// right but slow.
fn large_webp(bytes: &[u8]) -> bool {
    let number = |at: usize, size: usize| {
        bytes
            .get(at..at + size)
            .map_or(0, |bytes| bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let sides = match bytes.get(12..16) {
        Some(b"VP8L") => [number(21, 4) & 0x3fff, number(21, 4) >> 14 & 0x3fff],
        Some(b"VP8 ") => [number(26, 2) & 0x3fff, number(28, 2) & 0x3fff],
        _ => [number(24, 3), number(27, 3)],
    };
    bytes.get(8..12) == Some(b"WEBP") && sides[0] * sides[1] > 1 << 20
}

/// Reads kept pictures in the place of those that the cache holds for one folder.
fn packed(path: &Path) {
    let folder = tempfile::tempdir_in(path.parent().unwrap()).unwrap();
    let class = |name: &str| {
        let class = folder.path().join("set").join(name);
        std::fs::create_dir_all(&class).unwrap();
        std::fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/rgb.png"),
            class.join("1.png"),
        )
        .unwrap();
    };
    ["a", "b"].into_iter().for_each(class);
    let load = || {
        let (cache, image) = (Some(folder.path().join("cache")), ImageSpec::default());
        let loading = Loading { image, broken: Broken::Error, cache, progress: &|_, _| {} };
        Pictures::of_classes(&folder.path().join("set"), &[], &loading).unwrap()
    };
    let right = load();
    // Whatever lies there then, what is loaded is what the pictures show.
    for entry in std::fs::read_dir(folder.path().join("cache/pictures")).unwrap() {
        std::fs::copy(path, entry.unwrap().path()).unwrap();
    }
    assert_eq!(load(), right);
}

/// Reads a recipe, and what it becomes when it is written.
fn recipe(path: &Path) {
    let Ok(text) = RecipeText::file(path) else { return };
    let Ok(recipe) = text.parse(&[]) else { return };
    if recipe.sweep.is_none() {
        let written = recipe.to_toml();
        let again = Recipe::parse(&written, "written", &[]).expect("what is written can be read");
        assert_eq!(again.to_toml(), written);
    } else if let Some(sweep) = &recipe.sweep {
        let _ = sweep.expand(&text, &[]);
    }
    if let Ok(model) = Model::build(&recipe.model, Some(Shape::Features(4))) {
        let _ = model.summary().to_string();
    }
}

/// Reads a list of experiments, of which none is asked for.
fn gallery(path: &Path) {
    let out = path.with_extension("out");
    let arguments = ["gallery", "--quiet", "--backend", "cpu", "--only", "none-of-them", "--list"].map(Path::new);
    command(&[&arguments[..], &[path, Path::new("--out"), &out]].concat());
}

fn tuning(path: &Path) {
    let _ = Tuning::load(path);
}

/// Reads a model, as itself and as weights for another.
fn model(path: &Path) {
    let _ = SavedModel::load(path);
    let recipe = Recipe::parse("[model]\ninput = [4]\nlayers = \"3:relu,3\"\n", "recipe.toml", &[]).unwrap();
    let _ = load_parameters(path, &Model::build(&recipe.model, None).unwrap());
    command(&[Path::new("inspect"), Path::new("--quiet"), path]);
}

fn checkpoint(path: &Path) {
    if let Ok(read) = Checkpoint::load(path) {
        // What can be read can be written, and is then the same.
        let copy = path.with_extension("copy");
        read.save(&copy).unwrap();
        let again = Checkpoint::load(&copy).expect("what is written can be read");
        // Not a number is not even itself, but its text is.
        assert_eq!(format!("{again:?}"), format!("{read:?}"));
    }
}

/// Reads a run's folder as `inspect` and `plot` do.
fn run(path: &Path) {
    let folder = path.parent().unwrap();
    let _ = RunRecords::load(folder);
    let _ = Relief::load(folder);
    let drawing = folder.join("drawing.svg");
    command(&[Path::new("plot"), Path::new("--quiet"), folder, Path::new("--out"), &drawing]);
    let _ = RecipeText::file(&folder.join("recipe.toml")).and_then(|text| text.parse(&[]));
}

fn command(arguments: &[&Path]) {
    let program = std::iter::once(Path::new("gputrain"));
    if let Ok(cli) = Cli::try_parse_from(program.chain(arguments.iter().copied())) {
        let _ = cli::run(cli, Instant::now(), None);
    }
}

/// Name and content of the files that a target starts from.
type Corpus = Vec<(String, Vec<u8>)>;

fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn corpus(target: &Target) -> Corpus {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    // The valid ones, and those that once failed.
    let folders = [target.folder.to_owned(), format!("{}-failed", target.name)].map(|name| corpus_folder().join(name));
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.insert(name, std::fs::read(path).unwrap());
        }
    }
    match target.name {
        "recipe" => files.extend(
            builtin_names().map(|name| (format!("{name}.toml"), Recipe::builtin(name).unwrap().as_bytes().to_vec())),
        ),
        "gallery" => {
            let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/gallery.toml");
            files.insert("gallery.toml".into(), std::fs::read(bundled).unwrap());
        }
        _ => {}
    }
    files.into_iter().collect()
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// One target under test.
struct Fuzzer<'a> {
    target: &'a Target,
    /// Where the inputs lie while they are read.
    folder: PathBuf,
    tried: u64,
    /// Where each input that failed is kept, and how it failed.
    failures: Vec<String>,
    /// Where accepted inputs are written with what was read, for `compare.py`.
    accepted: Option<std::fs::File>,
}

impl Fuzzer<'_> {
    fn check(&mut self, name: &str, bytes: &[u8]) {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        self.tried += 1;
        let limit = 20 * bytes.len() + (64 << 20);
        let mut problem = None;
        // A busy machine is slow now and then, a slow parser always.
        for _ in 0..3 {
            let started = Instant::now();
            DEADLINE.store(since_start() + HUNG.as_millis() as u64, Relaxed);
            let mut result = Ok(());
            let most = memory::most_held(|| result = catch_unwind(AssertUnwindSafe(|| (self.target.read)(&path))));
            DEADLINE.store(u64::MAX, Relaxed);
            problem = match result {
                Err(panic) => Some(format!("panicked: {}", said(&*panic))),
                Ok(()) if most > limit => Some(format!("held {most} bytes of memory for a file of {}", bytes.len())),
                Ok(()) if started.elapsed() > SLOWEST => Some(format!("took {:.1?}", started.elapsed())),
                Ok(()) => None,
            };
            if problem.as_ref().is_none_or(|problem| !problem.starts_with("took")) {
                break;
            }
        }
        if let Some(problem) = problem {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(self.target.name);
            std::fs::create_dir_all(&kept).unwrap();
            let kept = kept.join(format!("{}-{name}", self.failures.len()));
            std::fs::write(&kept, bytes).unwrap();
            self.failures.push(format!("{}: {problem}", kept.display()));
        } else if let Some(out) = &mut self.accepted
            && let Ok(arrays) = read_arrays(path.to_str().unwrap())
        {
            let arrays: Vec<_> = arrays.iter().map(|(key, array)| serde_json::json!([key, described(array)])).collect();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(out, "{}", serde_json::json!({ "name": name, "bytes": hex, "arrays": arrays })).unwrap();
        }
    }
}

/// An array as `expected` files have it.
fn described(array: &Array) -> String {
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let shape = array.shape().iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let hex: String = array.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {} {}", array.dtype().name(), or_dash(shape), or_dash(hex))
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Where inputs lie while they are read: in memory, where the system has such a folder. One that ends the process (too
/// much memory in one piece, a full stack) is left there.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// When the read under way has hung, in milliseconds since the start.
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);

fn since_start() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// One target at a time: memory is counted for the whole process.
static TURN: Mutex<()> = Mutex::new(());

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        std::thread::spawn(|| {
            while since_start() < DEADLINE.load(Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
            }
            eprintln!("hung: the input is the newest file in {}/gputrain-fuzz-*", scratch().display());
            std::process::abort();
        });
    });
    let folder = tempfile::Builder::new().prefix("gputrain-fuzz-").tempdir_in(scratch()).unwrap();
    let accepted = std::env::var_os("GPUTRAIN_FUZZ_ACCEPTED").map(|into| {
        std::fs::create_dir_all(&into).unwrap();
        std::fs::File::create(Path::new(&into).join(format!("{name}.jsonl"))).unwrap()
    });
    let mut fuzzer = Fuzzer { target, folder: folder.path().to_owned(), tried: 0, failures: Vec::new(), accepted };
    let files = corpus(target);
    for (name, bytes) in &files {
        std::fs::write(fuzzer.folder.join(name), bytes).unwrap();
    }
    let changed: Vec<_> = files.iter().filter(|(name, _)| (target.changed)(name)).collect();
    assert!(!changed.is_empty(), "nothing to start from");
    // Panics are counted below; their messages would come by the thousand.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for (name, bytes) in &changed {
        fuzzer.check(name, bytes);
    }
    let end = setting("GPUTRAIN_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut random = Random(setting("GPUTRAIN_FUZZ_SEED").unwrap_or(0));
    while fuzzer.failures.len() < 10 && end.map_or(fuzzer.tried < target.inputs, |end| Instant::now() < end) {
        let ((name, bytes), (_, other)) = (random.pick(&changed), random.pick(&changed));
        let input = mutate(&mut random, name, bytes, other);
        fuzzer.check(name, &input);
        // The next input may be another file's, beside which this one must lie as it was.
        std::fs::write(fuzzer.folder.join(name), bytes).unwrap();
    }
    std::panic::set_hook(hook);
    println!("{name}: {} inputs, {} failed", fuzzer.tried, fuzzer.failures.len());
    assert!(fuzzer.failures.is_empty(), "{}", fuzzer.failures.join("\n"));
}

macro_rules! fuzz_tests {
    ($($name:ident),+) => {$(
        #[test]
        fn $name() {
            fuzz(stringify!($name));
        }
    )+};
}

/// A test per target, of the target's name.
mod target {
    use super::fuzz;
    #[cfg(feature = "parquet")]
    fuzz_tests!(columns);
    fuzz_tests!(
        npy, npz, idx, csv, table, gz, hdf5, mat, cifar, pictures, packed, recipe, gallery, tuning, model, checkpoint,
        run
    );
}

#[test]
fn tables_are_those_that_pandas_reads() {
    tables_are_as_expected("table");
}

#[cfg(feature = "parquet")]
#[test]
fn columns_are_those_that_pyarrow_reads() {
    tables_are_as_expected("columns");
}

fn tables_are_as_expected(folder: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = corpus_folder().join(folder);
    let gaps = DataSpec { missing: Missing::Mean, ..DataSpec::default() };
    let hex = |words: Vec<u32>| words.into_iter().flat_map(u32::to_le_bytes).map(|byte| format!("{byte:02x}"));
    let mut compared = 0;
    for line in std::fs::read_to_string(folder.join("expected")).unwrap().lines() {
        let file = line.split(' ').next().unwrap();
        let (examples, trained_on) = read_table(&folder.join(file), &gaps, &TrainedOn::default()).expect(file);
        let (kind, learned) = match examples.targets {
            Targets::Classes { labels, .. } => (trained_on.class_names.join("/"), labels),
            Targets::Values { values, .. } => ("values".to_owned(), values.into_iter().map(f32::to_bits).collect()),
        };
        let features = hex(bits(&examples.features)).collect::<String>();
        let (rows, width, learned) =
            (examples.features.count, trained_on.features.len(), hex(learned).collect::<String>());
        assert_eq!(format!("{file} {rows},{width} {features} {kind} {learned}"), line, "{file}");
        compared += 1;
    }
    assert!(compared > 5);
}

#[test]
fn values_are_those_that_numpy_h5py_and_scipy_read() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut compared = 0;
    for folder in ["npy", "npz", "idx", "csv", "gz", "hdf5", "mat"].map(|name| corpus_folder().join(name)) {
        let mut expected: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for line in std::fs::read_to_string(folder.join("expected")).unwrap().lines() {
            let [file, key, what] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            expected.entry(file.into()).or_default().insert(key.into(), what.into());
        }
        for (file, expected) in expected {
            let path = folder.join(&file);
            let path = path.to_str().unwrap();
            let mut found: BTreeMap<String, String> = BTreeMap::new();
            match (describe(path), read_arrays(path)) {
                (Ok(all), Ok(arrays)) => {
                    let refused = all.into_iter().filter_map(|array| Some((array.err()?.0, "refused".to_owned())));
                    found.extend(refused);
                    found.extend(arrays.iter().map(|(key, array)| (key.clone(), described(array))));
                }
                (Err(_), Err(_)) => found.extend([(file.clone(), "refused".to_owned())]),
                _ => panic!("{path} is described or read, but not both"),
            }
            assert_eq!(found, expected, "{path}");
            compared += found.len();
        }
    }
    assert!(compared > 100);
}

#[test]
fn values_that_lie_elsewhere_are_refused() {
    for name in ["external.h5", "virtual.h5"] {
        let path = corpus_folder().join("elsewhere").join(name);
        let read = read_array(path.to_str().unwrap());
        assert!(read.is_err(), "{name}: {read:?}");
    }
}

#[test]
fn what_once_was_misread_is_refused() {
    // A dataset that says that it stores nothing was read as zeros.
    let dataset = corpus_folder().join("hdf5-failed/no-bytes.h5");
    let error = read_array(&format!("{}#f4", dataset.display())).unwrap_err().to_string();
    assert!(error.contains("announces 24 bytes of values, the file holds 0"), "{error}");
    // A factor beyond single precision became infinite, and was written as null.
    let error = Checkpoint::load(&corpus_folder().join("checkpoint-failed/factor-infinite-state.safetensors"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("inf, which no run writes"), "{error}");
}

#[test]
fn a_description_holds_little_more_than_the_array() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let count = 4_000_000;
    for shape in [vec![count], vec![count / 10, 10]] {
        let path = folder.path().join("labels.npy.gz");
        gputrain::data::write_array(&path, &Array::from_u8(&shape, vec![0; count]).unwrap()).unwrap();
        let most = memory::most_held(|| drop(describe(path.to_str().unwrap()).unwrap()));
        assert!(most < 2 * count, "{most} bytes for {count} labels of shape {shape:?}");
    }
    // Forty names for one packed member of a megabyte, in a file that can hold four.
    let shared = corpus_folder().join("shared/shared-member.npz");
    let most = memory::most_held(|| {
        let error = read_arrays(shared.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("more than a file of this size can hold"), "{error}");
    });
    assert!(most < 8 << 20, "{most} bytes");
}
