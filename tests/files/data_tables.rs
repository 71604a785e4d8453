//! Tables: which columns are features, what a first line is, and what is said about data that can be read in two ways.

use gputrain::data::{
    Array, DataError, RawExamples, RawFeatures, SourceRef, Storage, TableOptions, TargetKind, read_array, write_array,
};
use gputrain::job::Job;
use gputrain::model::Shape;
use gputrain::recipe::Recipe;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Five measurements and a label, six examples.
const ROWS: &str = "5.1,3.5,1.4,0.2,7.5,0\n4.9,3.0,1.4,0.3,7.1,1\n4.7,3.2,1.3,0.2,7.2,0\n4.6,3.1,1.5,0.1,7.3,1\n\
                    5.0,3.6,1.4,0.2,7.9,1\n5.4,3.9,1.7,0.4,7.4,0\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn named() -> String {
    format!("a,b,c,d,e,label\n{ROWS}")
}

/// The job of a small network on files in a folder.
fn job(folder: &Path, images: &str, labels: &str, settings: &[(&str, &str)]) -> Result<Job, String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "[data]\ntrain = {{ images = {:?}, labels = {:?} }}\n[model]\nlayers = \"4:relu,2\"\n",
        path(images),
        path(labels)
    );
    let settings: Vec<_> = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let recipe = Recipe::parse(&text, "tables.toml", &settings).map_err(|error| error.to_string())?;
    Job::load(recipe).map_err(|error| error.to_string())
}

fn said(job: &Job) -> String {
    job.described().join("\n")
}

fn width(job: &Job) -> usize {
    job.dataset.train.features.shape.len()
}

#[test]
fn what_would_be_recorded_of_no_step_is_said() {
    let folder = folder(&[("t.csv", &named())]);
    let said = |settings: &[(&str, &str)]| said(&job(folder.path(), "t.csv", "t.csv#label", settings).unwrap());
    let norms = ("train.record", "[\"weights\", \"gradient_norms\"]");
    assert!(said(&[norms]).contains("train.record = [\"gradient_norms\"] records nothing"), "{}", said(&[norms]));
    for settings in [&[norms, ("train.log_every", "2")][..], &[("train.record", "[\"weights\", \"test\"]")]] {
        assert!(!said(settings).contains("records nothing"), "{}", said(settings));
    }
}

#[test]
fn the_label_is_no_feature_however_the_table_is_spelled() {
    let folder = folder(&[("t.csv", &named()), ("copy.csv", &named())]);
    fs::create_dir(folder.path().join("sub")).unwrap();
    let mut names = vec!["t.csv".to_string(), "./t.csv".into(), "sub/../t.csv".into()];
    fs::hard_link(folder.path().join("t.csv"), folder.path().join("hard.csv")).unwrap();
    names.push("hard.csv".into());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("t.csv", folder.path().join("link.csv")).unwrap();
        names.push("link.csv".into());
    }
    for name in names {
        let job = job(folder.path(), &name, "t.csv#label", &[]).unwrap();
        assert_eq!((width(&job), job.trained_on.features.join("")), (5, "abcde".into()), "{name}");
        assert!(said(&job).contains("features: a, b, c, d, e; target: label"), "{}", said(&job));
    }
    // A copy is another file: what gives it away is that a feature tells the label.
    let job = job(folder.path(), "copy.csv", "t.csv#label", &[]);
    let text = said(&job.unwrap());
    assert!(!text.contains("tells the label"), "six examples are too few to tell: {text}");
}

#[test]
fn a_feature_that_is_the_label_is_told() {
    let doubled = format!("a,b,c,d,e,label\n{ROWS}{ROWS}");
    let folder = folder(&[("t.csv", &doubled), ("copy.csv", &doubled)]);
    let job = job(folder.path(), "copy.csv", "t.csv#label", &[]).unwrap();
    assert!(said(&job).contains("warning: the feature \"label\" tells the label of all 12 examples"), "{}", said(&job));
}

#[test]
fn several_targets_of_a_table_are_no_features() {
    let folder = folder(&[("mr.csv", &format!("x0,x1,x2,t0,t1,t2\n{ROWS}"))]);
    let values = [("model.loss", "mse"), ("model.layers", "4:relu,3")];
    for labels in ["mr.csv#t0,t1,t2", "mr.csv#3..6", "mr.csv#3..", "mr.csv#t0, 4..6"] {
        let job = job(folder.path(), "mr.csv", labels, &values).unwrap();
        assert_eq!(job.trained_on.features.join(" "), "x0 x1 x2", "{labels}");
        assert!(said(&job).contains("target: t0, t1, t2"), "{}", said(&job));
    }
    let one = [("model.loss", "mse"), ("model.layers", "4:relu,1")];
    let text = said(&job(folder.path(), "mr.csv", "mr.csv#t0", &one).unwrap());
    assert!(text.contains("the features include t1, t2, which are called like the target (t0)"), "{text}");
    let picked = job(folder.path(), "mr.csv#x0,x2", "mr.csv#t0", &one).unwrap();
    assert_eq!(picked.trained_on.features.join(" "), "x0 x2");
    let error = job(folder.path(), "mr.csv", "mr.csv#3..9", &values).unwrap_err();
    assert!(error.contains("has no column \"3..9\"; it has x0, x1"), "{error}");
}

#[test]
fn a_header_of_numbers_is_no_example_and_that_is_said() {
    for (header, label) in [("0,1,2,3,4,5", "5"), ("1,2,3,4,5,6", "6")] {
        let folder = folder(&[("t.csv", &format!("{header}\n{ROWS}"))]);
        let labels = format!("t.csv#{label}");
        let taken = job(folder.path(), "t.csv", &labels, &[]).unwrap();
        assert_eq!((taken.dataset.train.count(), width(&taken)), (6, 5));
        assert!(said(&taken).contains("was taken for the names of the columns"), "{}", said(&taken));
        // Said, it is no question any more; as an example its label is none of the classes.
        let told = job(folder.path(), "t.csv", &labels, &[("data.header", "true")]).unwrap();
        assert_eq!(told.dataset, taken.dataset);
        assert!(!said(&told).contains("first line"), "{}", said(&told));
        let error = job(folder.path(), "t.csv", "t.csv#5", &[("data.header", "false")]).unwrap_err();
        assert!(error.contains("at index 0 is not one of the model's 2 classes"), "{error}");
    }
}

#[test]
fn other_files_of_a_run_hold_the_features_by_name() {
    let reversed: String =
        named().lines().map(|line| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n").collect();
    let folder = folder(&[("t.csv", &named()), ("rev.csv", &reversed), ("few.csv", "a,b,label\n1,2,0\n")]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let test = |name: &str| format!("{{ images = {:?}, labels = {:?} }}", at(name), at(&format!("{name}#label")));
    let with = |name: &str| job(folder.path(), "t.csv", "t.csv#label", &[("data.test", &test(name))]);
    let found = with("rev.csv").unwrap();
    assert_eq!(found.dataset.test.as_ref(), Some(&found.dataset.train));
    let error = with("few.csv").unwrap_err();
    assert!(
        error.contains("few.csv: has no column \"c\", \"d\", \"e\", which the model was trained on; it has a, b"),
        "{error}"
    );
    let text = said(&with("t.csv").unwrap());
    assert!(text.contains("warning: the test set is the training set"), "{text}");
}

#[test]
fn a_file_without_names_is_taken_in_the_order_of_training() {
    let folder = folder(&[("t.csv", ROWS)]);
    let path = folder.path().join("t.csv").display().to_string();
    let names = ["a", "b", "c", "d", "e"].map(str::to_string);
    let options = TableOptions { features: &names, ..TableOptions::default() };
    let labels = format!("{path}#5");
    let raw = RawExamples::read(SourceRef { images: &path, labels: &labels }, options).unwrap();
    assert!(
        raw.notes().iter().any(|note| note.contains("in the order of training (a, b, c, d, e)")),
        "{:?}",
        raw.notes()
    );
    let raw = raw.fit(Shape::Features(5), TargetKind::Classes { outputs: 2 }, None).unwrap();
    let Storage::F32(values) = raw.features.storage else { panic!("these are floats") };
    assert_eq!(values[..5], [5.1, 3.5, 1.4, 0.2, 7.5]);
    let array = folder.path().join("x.npy");
    write_array(&array, &Array::from_f32(&[2, 5], &[0.5; 10]).unwrap()).unwrap();
    let raw = RawFeatures::read(array.to_str().unwrap(), options).unwrap();
    assert!(raw.notes()[0].contains("x.npy names no columns: they are taken in the order of training"));
    let few = TableOptions { features: &names[..4], ..TableOptions::default() };
    let error = RawExamples::read(SourceRef { images: &path, labels: &labels }, few).unwrap_err().to_string();
    assert!(error.contains("pick columns as FILE#0..4"), "{error}");
}

#[test]
fn scaling_and_classes_without_examples_are_said() {
    let folder = folder(&[("t.csv", &named())]);
    let of = |settings: &[(&str, &str)]| said(&job(folder.path(), "t.csv", "t.csv#label", settings).unwrap());
    let text = of(&[("data.validation", "1"), ("model.layers", "4:relu,3")]);
    for part in [
        "scale unit: divided by 255",
        "--set data.scale=standard suits them",
        "the training set has no example of class 2 (of 3)",
        "the validation set has no example of classes ",
    ] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    let text = of(&[("data.scale", "standard")]);
    assert!(text.contains("scale standard: each feature less its mean") && !text.contains("warning"), "{text}");
}

#[test]
fn cells_that_are_no_numbers_are_named_where_they_matter() {
    let text = "id,a,b,kind\nn1,1.5,2.5,0\nn2,oops,NaN,1\nn3,0.5,0.25,0\n";
    let folder = folder(&[("t.csv", text)]);
    let error = |images: &str| job(folder.path(), images, "t.csv#kind", &[]).map(|_| ()).unwrap_err();
    assert!(
        error("t.csv").contains("t.csv: line 2, column 1 (\"id\"): \"n1\" is text, not a number"),
        "{}",
        error("t.csv")
    );
    let b = error("t.csv#b");
    assert!(b.contains("line 3, column 3 (\"b\"): the value is NaN; every value must be finite"), "{b}");
    assert!(error("t.csv#a,b").contains("line 3, column 2 (\"a\"): \"oops\" is text"), "{}", error("t.csv#a,b"));
}

fn loaded(images: &Array, labels: &Array, input: &str) -> Result<Job, String> {
    let folder = tempfile::tempdir().unwrap();
    write_array(&folder.path().join("x.npy"), images).unwrap();
    write_array(&folder.path().join("y.npy"), labels).unwrap();
    let settings: &[(&str, &str)] = if input.is_empty() { &[] } else { &[("model.input", input)] };
    job(folder.path(), "x.npy", "y.npy", settings)
}

#[test]
fn channels_first_is_refused_with_the_remedy() {
    let labels = Array::from_u8(&[2], vec![0, 1]).unwrap();
    let images = |shape: &[usize]| Array::from_u8(shape, vec![1; shape.iter().product()]).unwrap();
    for (shape, input) in [
        ([2, 3, 16, 16], ""),
        ([2, 3, 32, 32], "[3, 32, 32]"),
        ([2, 3, 32, 32], "[32, 32, 3]"),
        ([2, 3, 16, 24], ""),
        ([2, 1, 28, 28], ""),
    ] {
        let error = loaded(&images(&shape), &labels, input).map(|_| ()).unwrap_err();
        assert!(error.contains("channels first: write them last, in NumPy with x.transpose(0, 2, 3, 1)"), "{error}");
    }
    // Channels last, and signals of one row.
    for (shape, input) in [([2, 16, 16, 3], ""), ([2, 1, 128, 9], ""), ([2, 3, 4, 4], "")] {
        loaded(&images(&shape), &labels, input).unwrap_or_else(|error| panic!("{shape:?}: {error}"));
    }
    let turned = loaded(&images(&[2, 32, 32, 3]), &labels, "[3, 32, 32]").map(|_| ()).unwrap_err();
    assert!(turned.contains("input is height, width, channels: set model.input = [32, 32, 3]"), "{turned}");
    // Flat, the same numbers are whatever the recipe says.
    assert!(loaded(&images(&[2, 3 * 16 * 16]), &labels, "[3, 16, 16]").is_ok());
}

#[test]
fn labels_in_a_row_and_single_numbers_are_told_apart() {
    let images = Array::from_f32(&[3, 2], &[0.0, 1.0, 0.5, 0.25, 0.75, 1.0]).unwrap();
    let row = Array::from_u8(&[1, 3], vec![0, 1, 0]).unwrap();
    let error = loaded(&images, &row, "").map(|_| ()).unwrap_err();
    assert!(error.contains("(1, 3)") && error.contains("transpose them, in NumPy with y.T"), "{error}");
    let single = Array::from_u8(&[], vec![1]).unwrap();
    let error = loaded(&images, &single, "").map(|_| ()).unwrap_err();
    assert!(error.contains("expected (N,), a label for each example: this is a single number"), "{error}");
}

#[test]
fn labels_that_are_not_as_many_as_the_examples_are_told_why() {
    let images = Array::from_f32(&[3, 2], &[0.0, 1.0, 0.5, 0.25, 0.75, 1.0]).unwrap();
    let turned = Array::from_u8(&[2, 3], vec![0, 1, 0, 1, 0, 1]).unwrap();
    let error = |images: &Array, labels: &Array| loaded(images, labels, "").map(|_| ()).unwrap_err();
    let rows = error(&images, &turned);
    assert!(rows.contains("(the labels lie in rows: transpose them, in NumPy with y.T)"), "{rows}");
    let columns = error(&images, &Array::from_u8(&[2], vec![0, 1]).unwrap());
    assert!(columns.contains("(the examples lie in columns: transpose them, in NumPy with x.T)"), "{columns}");
    // An array has no first line that could be taken for something else.
    let more = error(&images, &Array::from_u8(&[4], vec![0, 1, 0, 1]).unwrap());
    assert!(more.ends_with("give the two files of one split"), "{more}");
    // The name of a single column may be a number.
    let lines = |header: &str| format!("{header}1\n0\n1\n1\n0\n1\n");
    let folder = folder(&[("x.csv", &named()), ("y.csv", &lines("0\n")), ("y-plain.csv", &lines(""))]);
    let said = job(folder.path(), "x.csv", "y.csv", &[]).unwrap_err();
    assert!(
        said.contains("(the first line of ")
            && said.contains("y.csv, 0, was taken for a label; if it names the columns"),
        "{said}"
    );
    assert!(job(folder.path(), "x.csv", "y.csv", &[("data.header", "true")]).is_ok());
    let said = job(folder.path(), "x.csv", "y-plain.csv", &[("data.header", "false")]).unwrap_err();
    assert!(said.contains("if line 1 does name them, say so with data.header = true"), "{said}");
}

#[test]
fn an_array_of_single_numbers_is_told_how_to_become_examples() {
    let labels = Array::from_u8(&[3], vec![0, 1, 0]).unwrap();
    let error = |shape: &[usize]| {
        let images = Array::from_f32(shape, &vec![0.5; shape.iter().product()]).unwrap();
        loaded(&images, &labels, "").map(|_| ()).unwrap_err()
    };
    assert!(
        error(&[3]).contains("has shape (3,), expected (N, 1) where each example is a single number"),
        "{}",
        error(&[3])
    );
    assert!(error(&[]).contains("expected an example in each row: this is a single number"), "{}", error(&[]));
    assert!(error(&[3, 1, 1, 1, 1]).contains("(N, height, width, channels)"));
    assert!(loaded(&Array::from_f32(&[3], &[0.5; 3]).unwrap(), &labels, "[1]").is_ok());
}

#[test]
fn what_is_kept_from_no_decay_is_said() {
    let folder = folder(&[("t.csv", &named())]);
    let said = |settings: &[(&str, &str)]| said(&job(folder.path(), "t.csv", "t.csv#label", settings).unwrap());
    let spare = ("optimizer.decay_bias", "false");
    assert!(said(&[spare]).contains("note: optimizer.decay_bias = false changes nothing"), "{}", said(&[spare]));
    for settings in [&[][..], &[spare, ("optimizer.weight_decay", "0.01")], &[spare, ("optimizer.kind", "adamw")]] {
        assert!(!said(settings).contains("changes nothing"), "{}", said(settings));
    }
}

#[test]
fn gzip_is_told_from_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let array = Array::from_f32(&[2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let read = |path: &Path| read_array(path.to_str().unwrap()).unwrap().to_f64();
    for (plain, zipped) in [("x.npy", "x.npy.gz"), ("x.csv", "x.csv.gz"), ("x.idx", "x.idx.gz")] {
        for name in [plain, zipped] {
            write_array(&at(name), &array).unwrap();
        }
        // Each by the other's name.
        fs::rename(at(plain), at("aside")).unwrap();
        fs::rename(at(zipped), at(plain)).unwrap();
        fs::rename(at("aside"), at(zipped)).unwrap();
        assert_eq!((read(&at(plain)), read(&at(zipped))), (array.to_f64(), array.to_f64()), "{plain}");
    }
}

#[test]
fn files_of_matlab_open_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    // From version 7.3 on they are HDF5 behind 512 bytes of MATLAB's own.
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/matlab.mat");
    let array = read_array(real.to_str().unwrap()).unwrap();
    assert_eq!((array.shape(), array.to_f64()[11]), (&[3, 4][..], 11.0));
    let path = folder.path().join("x.mat");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/latest.h5");
    fs::copy(fixture, &path).unwrap();
    let read = read_array(&format!("{}#contiguous/f8-little", path.display())).unwrap();
    assert_eq!(read.shape(), [2, 3, 4]);
    let labels = folder.path().join("y.npy");
    write_array(&labels, &Array::from_u8(&[4], vec![0, 1, 0, 1]).unwrap()).unwrap();
    let error: Result<(), DataError> = RawExamples::read(
        SourceRef { images: &format!("{}#chunked", path.display()), labels: labels.to_str().unwrap() },
        TableOptions::default(),
    )
    .and_then(|raw| {
        assert!(raw.notes()[0].contains("MATLAB's axes are reversed here"), "{:?}", raw.notes());
        raw.fit(Shape::Features(50), TargetKind::Classes { outputs: 2 }, None).map(|_| ())
    });
    let text = error.unwrap_err().to_string();
    assert!(text.contains("has shape (50, 24)") && text.contains("save the transpose, in MATLAB x'"), "{text}");
    fs::write(&path, b"MATLAB 5.0 MAT-file, Platform: GLNXA64").unwrap();
    let short = read_array(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(short.contains("not a valid MATLAB 5 file: it ends within its header"), "{short}");
    // A matrix of doubles called x, as version 4 has it.
    fs::write(&path, [[0, 1, 1, 0, 2].map(u32::to_le_bytes).concat(), b"x\0".to_vec(), vec![0; 8]].concat()).unwrap();
    let old = read_array(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(old.contains("a MAT-file of version 4") && old.contains("'-v7'"), "{old}");
}
