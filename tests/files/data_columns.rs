//! Tables in Parquet and Arrow files: the same as in text, what their types tell more, and pictures in them. Values of every type are
//! compared in tests/fuzz, with what pyarrow reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gputrain::backend::cpu::CpuBackend;
use gputrain::data::{
    Loading, PictureFolder, Pictures, RawTable, WrittenColumn, column_texts, describe_columns, is_picture_table,
    label_column, read_array, write_parquet,
};
use gputrain::export::parameter_hash;
use gputrain::job::Job;
use gputrain::recipe::{Broken, DataSpec, ImageSpec, Recipe};
use gputrain::suggest::{self, Wanted};
use gputrain::train::Silent;
use tempfile::TempDir;

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The recipe that suits a file, with settings.
fn recipe(path: &Path, target: &[&str], settings: &[(&str, &str)]) -> Result<Recipe, String> {
    let target: Vec<String> = target.iter().map(|name| name.to_string()).collect();
    let overrides: Vec<_> = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    let wanted = Wanted { train: &text(path), target: &target, test: None, overrides: &overrides };
    let suggested = suggest::recipe(&wanted).map_err(|error| error.to_string())?;
    suggested.parse(&overrides).map_err(|error| error.to_string())
}

fn job(path: &Path, target: &[&str], settings: &[(&str, &str)]) -> Result<Job, String> {
    Job::load(recipe(path, target, settings)?).map_err(|error| error.to_string())
}

/// The hash of the parameters that a job trains.
fn trained(job: &Job) -> String {
    let mut trainer = job.trainer(&CpuBackend::new()).unwrap();
    trainer.train(&mut Silent).unwrap();
    parameter_hash(&trainer.finish().unwrap()[0].parameters)
}

fn loading<'a>(broken: Broken) -> Loading<'a> {
    Loading { image: ImageSpec::default(), broken, cache: None, progress: &|_, _| {} }
}

#[test]
fn a_table_trains_to_the_same_bits_from_text_parquet_and_feather() {
    let settings = [("train.epochs", "2"), ("data.validation", "0")];
    let jobs = ["table/houses.csv", "columns/houses.parquet", "columns/houses.feather"]
        .map(|name| job(&corpus(name), &["target"], &settings).unwrap());
    let [of_text, others @ ..] = &jobs;
    let hash = trained(of_text);
    for other in others {
        assert_eq!(other.dataset, of_text.dataset);
        assert_eq!(other.trained_on, of_text.trained_on);
        assert_eq!(trained(other), hash);
    }
    let said = jobs[1].described().join("\n");
    for part in [
        "12 rows, a Parquet file (snappy)",
        "left out: Id (counts the rows)",
        "2 categories: district",
        "garden (2 levels: False, True)",
    ] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    // A model of one reads the others, in whatever order their columns are.
    let known = &jobs[1].trained_on;
    let text = text(&corpus("table/houses.csv"));
    let raw = RawTable::read(&text, &[], &DataSpec::default(), known).unwrap();
    let (features, _) = raw.features(jobs[1].model.input).unwrap();
    assert_eq!(features, jobs[0].dataset.train.features);
}

#[test]
fn tables_are_images_and_labels_too_and_are_told_by_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("odd.csv");
    fs::copy(corpus("columns/houses.parquet"), &odd).unwrap();
    assert_eq!(
        read_array(&format!("{}#size", odd.display())).unwrap().to_f64(),
        read_array(&format!("{}#size", text(&corpus("table/houses.csv")))).unwrap().to_f64()
    );
    assert_eq!(read_array(&format!("{}#garden,Id", odd.display())).unwrap().shape(), [12, 2]);
    let error = read_array(&format!("{}#district", odd.display())).unwrap_err().to_string();
    assert!(error.contains("column \"district\", row 0 (from 0): \"north, high\" is text, not a number"), "{error}");
    // A name alone makes no table of columns.
    for (name, content, said) in [
        ("text.parquet", &b"a,b\n1,2\n"[..], "begins with neither PAR1 nor ARROW1"),
        ("old.feather", b"FEA1....", "Feather's first version"),
        ("packed.parquet", b"\x1f\x8b....", "it is gzipped"),
        ("short.parquet", b"PAR1....", "cut short"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = job(&path, &["b"], &[]).unwrap_err();
        assert!(error.contains(name) && error.contains(said), "{error}");
    }
    // Neither does the beginning.
    let path = folder.path().join("words.csv");
    fs::write(&path, "PAR1,b\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n").unwrap();
    assert_eq!(job(&path, &["b"], &[("data.validation", "0")]).unwrap().trained_on.features, ["PAR1"]);
}

#[test]
fn what_no_table_of_text_could_hold_is_refused_by_its_name() {
    for name in ["nested.parquet", "nested.feather"] {
        let path = corpus("columns").join(name);
        let error = |drop: &str| job(&path, &["target"], &[("data.drop", drop)]).unwrap_err();
        let lists = error("[]");
        assert!(lists.contains("\"list\", \"fixed\" holds lists"), "{lists}");
        assert!(lists.contains("--set 'data.drop=[\"list\", \"fixed\"]'"), "{lists}");
        let rest = error("[\"list\", \"fixed\", \"map\", \"struct\", \"view\", \"bytes\"]");
        assert!(rest.contains("\"day\", \"time\" holds dates"), "{rest}");
        let drop = "[\"list\", \"fixed\", \"map\", \"struct\", \"view\", \"bytes\", \"day\", \"time\"]";
        let whole = job(&path, &["target"], &[("data.drop", drop), ("data.validation", "0")]).unwrap();
        assert_eq!(whole.trained_on.features, ["size"]);
        let error = job(&path, &["day"], &[("data.features", "[\"size\"]")]).unwrap_err();
        assert!(error.contains("\"day\" holds dates"), "{error}");
        let (columns, said) = describe_columns(&text(&path)).unwrap();
        let kinds: Vec<&str> = columns.iter().map(|column| column.kind.as_str()).collect();
        let expected =
            ["lists", "categories", "lists", "maps", "structs", "bytes", "dates", "dates", "numbers", "categories"];
        assert_eq!(kinds, expected, "{said}");
    }
    let error = job(&corpus("columns/brotli.parquet"), &["target"], &[]).unwrap_err();
    assert!(error.contains("is packed by brotli") && error.contains("write it with snappy"), "{error}");
}

#[test]
fn gaps_are_told_by_column_and_row() {
    let path = corpus("columns/snappy.parquet");
    let error = job(&path, &["target"], &[]).unwrap_err();
    assert!(error.contains("column \"i8\", row 3 (from 0): the value is missing (in 2 rows"), "{error}");
    let said = job(&path, &["target"], &[("data.missing", "mean"), ("data.validation", "0")]).unwrap().described();
    let said = said.join("\n");
    assert!(said.contains("left out: nothing (no values)"), "{said}");
    assert!(said.contains("number (3 levels: -1, 3, 10)"), "dictionaries are categories: {said}");
    let texts = |column: &str| column_texts(&text(&path), None, column).unwrap();
    assert_eq!(texts("dec")[..3], ["-740.70", "", "-493.80"]);
    assert_eq!(
        (&texts("u64")[0][..], &texts("yes")[..2]),
        ("9223372036854775813", &["True".to_string(), "False".into()][..])
    );
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.parquet");
    let texts = |texts: &[&str]| WrittenColumn::of_texts(texts.iter().map(|text| text.to_string()).collect());
    assert_eq!(texts(&["1", "-7"]), WrittenColumn::Integers(vec![1, -7]));
    // As they are written, these are no integers.
    assert!(
        matches!(texts(&["1", "07"]), WrittenColumn::Texts(_)) && matches!(texts(&["1.0"]), WrittenColumn::Texts(_))
    );
    let columns = [
        ("id".to_string(), texts(&["1", "2", "3"])),
        ("class".into(), texts(&["ä", "b", "ä"])),
        ("ä".into(), WrittenColumn::Floats(vec![0.75, 0.1, 1e-30])),
    ];
    write_parquet(&path, &columns).unwrap();
    let [ids, classes, shares] = ["id", "class", "ä"].map(|column| column_texts(&text(&path), None, column).unwrap());
    assert_eq!(
        (ids.join(" "), classes.join(" "), shares.join(" ")),
        ("1 2 3".into(), "ä b ä".into(), "0.75 0.1 1e-30".into())
    );
    let error = write_parquet(&path, &[columns[0].clone(), columns[0].clone()]).unwrap_err().to_string();
    assert!(error.contains("columns 1 and 2 are both called \"id\""), "{error}");
}

#[test]
fn damaged_files_are_refused_and_not_read_in_part() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["columns/pages.parquet", "columns/uncompressed.feather", "columns/stream.arrow"] {
        let whole = fs::read(corpus(name)).unwrap();
        let path = folder.path().join(Path::new(name).file_name().unwrap());
        for length in [whole.len() - 1, whole.len() / 2, 9] {
            // A stream may end before the mark of its end.
            if name.ends_with("stream.arrow") && length == whole.len() - 1 {
                continue;
            }
            fs::write(&path, &whole[..length]).unwrap();
            let error = column_texts(&text(&path), None, "target").unwrap_err().to_string();
            assert!(error.contains("not a valid"), "{name}, {length} bytes: {error}");
        }
    }
}

/// A folder with the pictures of `pictures.parquet`, in folders of their classes.
fn pictures() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("dog", "rgb.png"),
        ("cat", "grey.png"),
        ("dog", "rgb.png"),
        ("cow", "grey.jpg"),
        ("cat", "rgb.png"),
        ("cow", "grey.png"),
    ];
    for (row, (class, file)) in files.into_iter().enumerate() {
        fs::create_dir_all(folder.path().join(class)).unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures").join(file);
        fs::copy(fixture, folder.path().join(class).join(format!("{row}.{}", &file[file.len() - 3..]))).unwrap();
    }
    folder
}

#[test]
fn pictures_of_a_table_are_those_of_a_folder() {
    let folder = pictures();
    let table = corpus("columns/pictures.parquet");
    let of_table = Pictures::of_table(&table, "", &[], &loading(Broken::Error)).unwrap();
    assert_eq!((of_table.classes.join(" "), &of_table.labels[..]), ("cat dog cow".into(), &[1, 0, 1, 2, 0, 2][..]));
    let known = of_table.classes.clone();
    let of_folder = Pictures::of_classes(folder.path(), &known, &loading(Broken::Error)).unwrap();
    assert_eq!(of_folder.form, of_table.form);
    // Class after class there, row after row here.
    let rows = [1, 4, 3, 5, 0, 2];
    assert_eq!(of_folder.labels, [0, 0, 2, 2, 1, 1], "{:?}", of_folder.files);
    assert_eq!(of_table.features.select(&rows), of_folder.features);
    let stream =
        Pictures::of_table(&corpus("columns/pictures.arrow"), "label", &known, &loading(Broken::Error)).unwrap();
    assert_eq!((&stream.features, &stream.labels), (&of_table.features, &of_table.labels));
    // Bytes alone, with classes by name.
    let bare = Pictures::of_table(&corpus("columns/bare.parquet"), "", &[], &loading(Broken::Error)).unwrap();
    assert_eq!((&bare.features, &bare.labels[..]), (&of_table.features, &[1, 0, 1, 0, 1, 0][..]));

    assert!(is_picture_table(&table).unwrap() && !is_picture_table(&corpus("columns/houses.parquet")).unwrap());
    assert_eq!(label_column(&table).unwrap(), "label");
    let looked = PictureFolder::inspect_table(&table, "", &loading(Broken::Error)).unwrap();
    assert_eq!((looked.counts, looked.form), (vec![2, 2, 2], of_table.form));
}

#[test]
fn a_table_of_pictures_is_all_that_training_needs() {
    let table = corpus("columns/pictures.parquet");
    let settings = [("train.epochs", "1"), ("data.validation", "0")];
    let recipe = recipe(&table, &[], &settings).unwrap();
    let written = recipe.to_toml();
    assert!(written.contains("label = \"label\"") && written.contains("scale = \"unit\""), "{written}");
    let job = Job::load(recipe).unwrap();
    assert_eq!((job.model.outputs(), job.trained_on.class_names.join(" ")), (3, "cat dog cow".into()));
    let said = job.described().join("\n");
    assert!(said.contains("classes: cat: 2, dog: 2, cow: 2"), "{said}");
    assert!(!trained(&job).is_empty());
    // As a table of numbers it is refused, with the way to the pictures.
    let text =
        format!("[data]\ntrain = {{ table = {:?}, target = \"label\" }}\n[model]\nlayers = \"3\"\n", text(&table));
    let error = Job::load(Recipe::parse(&text, "x.toml", &[]).unwrap()).unwrap_err().to_string();
    assert!(error.contains("\"image\" holds pictures") && error.contains("pictures = \"FILE\""), "{error}");
    // Labels that are all the same are no classes, by a recipe or without one.
    let folder = tempfile::tempdir().unwrap();
    let mut one = fs::read(corpus("columns/bare.parquet")).unwrap();
    let second = one.windows(5).position(|bytes| bytes == b"\x01\0\0\0a").unwrap() + 4;
    one[second] = b'b';
    let path = folder.path().join("one.parquet");
    fs::write(&path, one).unwrap();
    let refused = "one.parquet: the target \"kind\" has one value in all rows";
    let error = self::recipe(&path, &[], &[]).unwrap_err();
    assert!(error.contains(refused), "{error}");
    let text = format!("[data]\ntrain = {{ pictures = {:?} }}\n[model]\nlayers = \"2\"\n", self::text(&path));
    let error = Job::load(Recipe::parse(&text, "x.toml", &[]).unwrap()).unwrap_err().to_string();
    assert!(error.contains(refused), "{error}");
    // Two columns beside the pictures, neither of which tells that it has the labels.
    let error = suggest::recipe(&Wanted { train: "none.parquet", target: &[], test: None, overrides: &[] });
    assert!(error.unwrap_err().to_string().contains("there is no such file"));
}

#[test]
fn pictures_of_a_table_are_decoded_once_and_broken_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("pictures.parquet");
    let whole = fs::read(corpus("columns/pictures.arrow")).unwrap();
    let table = table.with_extension("arrow");
    fs::write(&table, &whole).unwrap();
    let decoded = AtomicUsize::new(0);
    let count = |_, _| {
        decoded.fetch_add(1, Relaxed);
    };
    let loading = |broken| Loading {
        broken,
        cache: Some(folder.path().join("cache")),
        progress: &count,
        ..self::loading(broken)
    };
    let first = Pictures::of_table(&table, "", &[], &loading(Broken::Error)).unwrap();
    assert_eq!(decoded.swap(0, Relaxed), 6);
    let second = Pictures::of_table(&table, "", &[], &loading(Broken::Error)).unwrap();
    assert_eq!((decoded.load(Relaxed), &second.features), (0, &first.features));
    // The mark of the second picture.
    let marks: Vec<usize> = (0..whole.len() - 8).filter(|at| whole[*at..].starts_with(b"\x89PNG")).collect();
    let mut broken = whole;
    broken[marks[1]] = 0;
    fs::write(&table, broken).unwrap();
    let error = Pictures::of_table(&table, "", &[], &loading(Broken::Error)).unwrap_err().to_string();
    assert!(error.contains("pictures.arrow, row 1 (from 0): cannot be read as a picture"), "{error}");
    let rest = Pictures::of_table(&table, "", &[], &loading(Broken::Skip)).unwrap();
    assert_eq!((rest.features.count, &rest.labels[..]), (5, &[1, 1, 2, 0, 2][..]));
}
