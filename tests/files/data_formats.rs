//! Reads files that NumPy and h5py wrote (tests/fixtures/make.py), and files that this crate wrote itself.

use std::path::{Path, PathBuf};

use gputrain::data::{
    Array, DataError, Dataset, Dtype, PartSize, Problem, RawExamples, SourceRef, Storage, TableOptions, TargetKind,
    Targets, convert, describe, generate, load_examples, load_features, read_array, read_arrays, write_array,
    write_arrays, write_csv, write_idx, write_npz,
};
use gputrain::model::Shape;

const FLAT: Shape = Shape::Features(784);
const IMAGE: Shape = Shape::Image { channels: 1, height: 28, width: 28 };
const TEN: TargetKind = TargetKind::Classes { outputs: 10 };

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's path is text")
}

/// The type that a fixture's name stands for: `f4-big` is float32.
fn dtype_of(name: &str) -> Dtype {
    match &name[..2] {
        "b1" => Dtype::Bool,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        other => panic!("no type {other}"),
    }
}

fn check_counting(name: &str, array: &Array) {
    assert_eq!(array.dtype(), dtype_of(name), "{name}");
    assert_eq!(array.shape(), [2, 3, 4], "{name}");
    let modulus = if array.dtype() == Dtype::Bool { 2 } else { 24 };
    let expected: Vec<f64> = (0..24).map(|v| f64::from(v % modulus)).collect();
    assert_eq!(array.to_f64(), expected, "{name}");
}

#[test]
fn npz_of_every_type_order_and_packing() {
    for file in ["stored.npz", "deflated.npz"] {
        let arrays = read_arrays(&fixture(file)).unwrap();
        assert_eq!(arrays.len(), 42);
        for (name, array) in &arrays {
            check_counting(name, array);
            assert_eq!(&read_array(&format!("{}#{name}", fixture(file))).unwrap(), array);
        }
    }
}

#[test]
fn hdf5_numbers_of_unusual_layout_are_refused_by_name() {
    let file = fixture("unusual.h5");
    assert_eq!(read_array(&format!("{file}#plain")).unwrap().to_f64(), [1.0, 2.0, 3.0, 4.0]);
    let mut refused = Vec::new();
    for described in describe(&file).unwrap() {
        match described {
            Ok(array) => assert_eq!(array.name, "plain"),
            Err((name, problem)) => refused.push(format!("{name}: {problem}")),
        }
    }
    assert_eq!(refused.len(), 16, "{refused:#?}");
    for part in [
        "precision-offset: holds values of type int16 of an unusual layout (12 bits from bit 4)",
        "big-precision: holds values of type int32 of an unusual layout (31 bits from bit 0)",
        "bfloat16: holds values of type float16 of an unusual layout (16 bits from bit 0, 8 of them exponent, 7 mantissa)",
        "vax: holds values of type float32 of an unusual layout (32 bits from bit 0, 8 of them exponent, 23 mantissa, in VAX",
        "STD_B8LE: holds values of type Bitfield",
        "TRUE-0: holds values of type an enumeration other than",
    ] {
        assert!(refused.iter().any(|line| line.starts_with(part)), "{part} is not in {refused:#?}");
    }
    assert!(matches!(read_array(&format!("{file}#bias")).unwrap_err().problem, Problem::UnsupportedType { .. }));
}

#[test]
fn hdf5_groups_are_visited_once() {
    let file = fixture("links.h5");
    let arrays = read_arrays(&file).unwrap();
    assert_eq!(arrays.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["group11/x"]);
    // Another path to the array is as good.
    assert_eq!(read_array(&format!("{file}#group10/link7/x")).unwrap(), arrays[0].1);
    let error = read_array(&format!("{file}#group10/link8/x")).unwrap_err().to_string();
    assert!(error.contains("it has group11/x"), "{error}");
}

#[test]
fn npy_plain_and_gzipped() {
    check_counting("f4", &read_array(&fixture("single.npy")).unwrap());
    check_counting("u1", &read_array(&fixture("single.npy.gz")).unwrap());
}

#[test]
fn hdf5_of_every_type_and_layout() {
    for file in ["earliest.h5", "latest.h5"] {
        let arrays = read_arrays(&fixture(file)).unwrap();
        assert_eq!(arrays.len(), 27, "all but the text");
        for (name, array) in &arrays {
            if let Some(name) = name.strip_prefix("contiguous/") {
                check_counting(name, array);
                continue;
            }
            assert_eq!(array.shape(), [50, 24], "{name}");
            let modulus = if name == "chunked" { 256 } else { 1200 };
            let expected: Vec<f64> = (0..1200).map(|v| f64::from(v % modulus)).collect();
            assert_eq!(array.to_f64(), expected, "{file} {name}");
        }
        assert_eq!(read_array(&format!("{}#/contiguous/i8-big", fixture(file))).unwrap().shape(), [2, 3, 4]);
    }
}

#[test]
fn keys_that_are_missing_or_needed_are_listed() {
    for file in ["stored.npz", "latest.h5"] {
        let missing = read_array(&format!("{}#nope", fixture(file))).unwrap_err().to_string();
        assert!(missing.contains("nope") && missing.contains("i2-big"), "{missing}");
        let needed = read_array(&fixture(file)).unwrap_err();
        assert!(matches!(needed.problem, Problem::KeyNeeded { .. }), "{needed}");
    }
    let useless = read_array(&format!("{}#x", fixture("single.npy"))).unwrap_err();
    assert!(matches!(useless.problem, Problem::KeyUseless { .. }), "{useless}");
}

#[test]
fn keys_may_hold_a_hash_and_so_may_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a#b.npz#1.npz");
    let [x, y] = [3.0, 4.0].map(|value| Array::from_f32(&[1], &[value]).unwrap());
    write_arrays(&file, &[("x#1.npz#2", &x), ("#", &y)]).unwrap();
    let read = |key: &str| read_array(&format!("{}#{key}", file.display())).map(|array| array.to_f64());
    assert_eq!((read("x#1.npz#2").unwrap(), read("#").unwrap()), (vec![3.0], vec![4.0]));
    let missing = read("x#1").unwrap_err().to_string();
    assert!(missing.contains("no array \"x#1\"; it has x#1.npz#2, #"), "{missing}");
    let named: Vec<String> = read_arrays(text(&file)).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["x#1.npz#2", "#"]);
}

#[test]
fn files_that_are_not_there_or_of_no_known_kind() {
    assert!(matches!(read_array("no/such.npy").unwrap_err().problem, Problem::NotFound));
    assert!(matches!(read_array("no/such.npz#x").unwrap_err().problem, Problem::NotFound));
    assert!(matches!(read_array(&fixture("make.py")).unwrap_err().problem, Problem::UnknownFormat));
    assert!(matches!(read_array(&fixture("")).unwrap_err().problem, Problem::Io(_)));
}

fn digits() -> Dataset {
    let mut data = generate(1, 40, 10);
    data.validation = Some(data.train.hold_out(PartSize::Count(5), 0, "validation split").unwrap());
    data
}

#[test]
fn a_data_set_survives_idx() {
    let (data, folder) = (digits(), tempfile::tempdir().unwrap());
    for zipped in [false, true] {
        let paths = write_idx(folder.path(), &data, zipped).unwrap();
        assert_eq!(paths.len(), 6);
        for (pair, part) in paths.chunks(2).zip([Some(&data.train), data.validation.as_ref(), data.test.as_ref()]) {
            let source = SourceRef { images: text(&pair[0]), labels: text(&pair[1]) };
            assert_eq!(load_examples(source, IMAGE, TEN).as_ref().ok(), part);
        }
    }
}

#[test]
fn a_data_set_survives_npz() {
    let (data, folder) = (digits(), tempfile::tempdir().unwrap());
    let path = folder.path().join("digits.npz");
    write_npz(&path, &data).unwrap();
    let load = |split: &str| {
        let (images, labels) = (format!("{}#x_{split}", path.display()), format!("{}#y_{split}", path.display()));
        load_examples(SourceRef { images: &images, labels: &labels }, IMAGE, TEN).unwrap()
    };
    assert_eq!(load("train"), data.train);
    assert_eq!(Some(load("validation")), data.validation);
    assert_eq!(Some(load("test")), data.test);
    let bytes = std::fs::read(&path).unwrap();
    write_npz(&path, &data).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "the same data set gives the same file");
}

#[test]
fn colour_images_turn_channels_first_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    // One image of 1x2 pixels with 3 channels: red 1, 2; green 3, 4; blue 5, 6.
    let file = Array::from_u8(&[1, 1, 2, 3], vec![1, 3, 5, 2, 4, 6]).unwrap();
    write_array(&path, &file).unwrap();
    let input = Shape::Image { channels: 3, height: 1, width: 2 };
    let features = load_features(text(&path), input).unwrap();
    assert_eq!(features.storage, Storage::U8(vec![1, 2, 3, 4, 5, 6].into()));
    let targets = Targets::Classes { labels: vec![300], classes: 1000 };
    let train = gputrain::data::Examples::unweighted(features, targets);
    let paths = write_idx(folder.path(), &Dataset { train, validation: None, test: None }, false).unwrap();
    assert_eq!(read_array(text(&paths[0])).unwrap(), file);
    assert!(text(&paths[1]).ends_with("train-labels-idx1-int"));
    assert_eq!(read_array(text(&paths[1])).unwrap().to_f64(), [300.0]);
}

/// Writes arrays for images and labels and loads them.
fn load(images: &Array, labels: &Array, input: Shape, kind: TargetKind) -> Result<gputrain::data::Examples, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.npz");
    write_arrays(&path, &[("x", images), ("y", labels)]).unwrap();
    let (x, y) = (format!("{}#x", path.display()), format!("{}#y", path.display()));
    load_examples(SourceRef { images: &x, labels: &y }, input, kind)
}

#[test]
fn flat_and_square_images_serve_both_inputs() {
    let labels = Array::from_u8(&[2], vec![0, 9]).unwrap();
    for shape in [&[2, 784][..], &[2, 28, 28], &[2, 28, 28, 1]] {
        let images = Array::from_u8(shape, vec![7; 2 * 784]).unwrap();
        for input in [FLAT, IMAGE] {
            let loaded = load(&images, &labels, input, TEN).unwrap();
            assert_eq!((loaded.count(), loaded.features.shape), (2, input));
        }
    }
    for shape in [&[2, 28, 56][..], &[1568], &[2, 14, 56], &[2, 1, 28, 28], &[8, 14, 14]] {
        let images = Array::from_u8(shape, vec![7; shape.iter().product()]).unwrap();
        let error = load(&images, &labels, IMAGE, TEN).unwrap_err();
        assert!(matches!(error.problem, Problem::Shape { .. }), "{shape:?} {error}");
        assert!(error.place.ends_with("data.npz#x"), "{error}");
    }
}

#[test]
fn labels_of_every_kind() {
    let images = Array::from_f32(&[2, 1], &[0.0, 1.0]).unwrap();
    let input = Shape::Features(1);
    let classes = TargetKind::Classes { outputs: 3 };
    let expected = Targets::Classes { labels: vec![2, 0], classes: 3 };
    let one_hot = Array::from_f32(&[2, 3], &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
    let wide = Array::new(Dtype::I64, vec![2, 1], [2i64, 0].map(i64::to_le_bytes).concat()).unwrap();
    for labels in
        [&Array::from_u8(&[2], vec![2, 0]).unwrap(), &wide, &Array::from_f32(&[2], &[2.0, 0.0]).unwrap(), &one_hot]
    {
        assert_eq!(load(&images, labels, input, classes).unwrap().targets, expected);
        let Targets::Values { values, outputs: 3 } =
            load(&images, labels, input, TargetKind::Values { outputs: 3 }).unwrap().targets
        else {
            panic!("values were asked for")
        };
        assert_eq!(values, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }
    let targets = Array::from_f32(&[2], &[0.25, -4.0]).unwrap();
    assert_eq!(
        load(&images, &targets, input, TargetKind::Values { outputs: 1 }).unwrap().targets,
        Targets::Values { values: vec![0.25, -4.0], outputs: 1 }
    );
}

#[test]
fn labels_that_do_not_fit_are_named() {
    let images = Array::from_f32(&[3, 1], &[0.0, 1.0, 2.0]).unwrap();
    let floats = |shape: &[usize], values: &[f32]| Array::from_f32(shape, values).unwrap();
    for (labels, expected) in [
        (floats(&[3], &[0.0, 3.0, 1.0]), "label 3 at index 1"),
        (floats(&[3], &[0.0, 3.0, 1.0]), "train with data.classes = 3"),
        (floats(&[3], &[0.0, 1.0, -1.0]), "label -1 at index 2"),
        (floats(&[3], &[0.5, 1.0, 1.0]), "label 0.5 at index 0"),
        (floats(&[3], &[0.0, f32::NAN, 1.0]), "label NaN at index 1"),
        (floats(&[2], &[0.0, 1.0]), "holds 2 labels"),
        (floats(&[3, 2], &[0.0, 1.0, 1.0, 0.0, 1.0, 0.0]), "shape (3, 2)"),
        (floats(&[3, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.5, 0.5, 0.0]), "row 2 is not one-hot"),
        (floats(&[0], &[]), "holds no examples (shape (0,)); expected at least one, with values: name another array"),
    ] {
        let kind = TargetKind::Classes { outputs: 3 };
        let error = load(&images, &labels, Shape::Features(1), kind).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("#y"), "{error}");
    }
}

#[test]
fn values_that_are_not_finite_are_named() {
    let labels = Array::from_u8(&[3], vec![0; 3]).unwrap();
    for odd in [f64::NAN, f64::INFINITY, 1e300] {
        let images = Array::from_f64(&[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, odd]).unwrap();
        let error = load(&images, &labels, Shape::Features(2), TEN).unwrap_err();
        assert!(matches!(error.problem, Problem::NotFinite { row: 2, .. }), "{error}");
    }
    let images = Array::from_u8(&[3, 2], vec![0; 6]).unwrap();
    let targets = Array::from_f32(&[3], &[0.0, f32::INFINITY, 0.0]).unwrap();
    let error = load(&images, &targets, Shape::Features(2), TargetKind::Values { outputs: 1 }).unwrap_err();
    assert!(matches!(error.problem, Problem::NotFinite { row: 1, .. }), "{error}");
}

#[test]
fn targets_that_are_no_probabilities_are_named_with_the_remedy() {
    let images = Array::from_u8(&[3, 1], vec![0; 3]).unwrap();
    let targets = Array::from_f32(&[3], &[1.0, -1.0, 1.0]).unwrap();
    let probabilities = TargetKind::Probabilities { outputs: 1 };
    let error = load(&images, &targets, Shape::Features(1), probabilities).unwrap_err().to_string();
    for part in ["data.npz#y: row 1 has the target -1", "binary_cross_entropy takes targets from 0", "(y + 1) / 2"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(load(&images, &targets, Shape::Features(1), TargetKind::Values { outputs: 1 }).is_ok());
    // Classes of several outputs are one-hot rows.
    let classes = Array::from_u8(&[3], vec![0, 2, 1]).unwrap();
    assert!(load(&images, &classes, Shape::Features(1), TargetKind::Probabilities { outputs: 3 }).is_ok());
}

#[test]
fn one_csv_file_holds_features_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.csv");
    write_csv(&path, &["label", "a", "b"], [vec![1, 10, 20], vec![0, 30, 40]]).unwrap();
    let labels = format!("{}#label", path.display());
    let kind = TargetKind::Classes { outputs: 2 };
    let raw = RawExamples::read(SourceRef { images: text(&path), labels: &labels }, TableOptions::default()).unwrap();
    assert_eq!(raw.input().unwrap(), Shape::Features(2));
    let loaded = raw.fit(Shape::Features(2), kind, None).unwrap();
    assert_eq!(loaded.features.storage, Storage::F32(vec![10.0, 20.0, 30.0, 40.0].into()));
    assert_eq!(loaded.targets, Targets::Classes { labels: vec![1, 0], classes: 2 });
}

#[test]
fn conversion_keeps_values_through_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let original = Array::from_u32(&[3, 2], &[0, 1, 70_000, 3, 4, 5]).unwrap();
    let mut from = at("a.npy");
    write_array(&from, &original).unwrap();
    for name in ["b.npz", "c-idx2-int", "d.csv", "e.npy.gz", "f.idx.gz", "g.csv.gz"] {
        let to = at(name);
        // A CSV file holds numbers without a type, and IDX no doubles as integers: values are what counts.
        convert(text(&from), &to).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read_array(text(&to)).unwrap().to_f64(), original.to_f64(), "{name}");
        from = to;
    }
    let several = convert(&fixture("stored.npz"), &at("x.npy")).unwrap_err();
    assert!(matches!(several.problem, Problem::KeyNeeded { .. }), "{several}");
    let hdf5 = convert(&fixture("single.npy"), &at("x.h5")).unwrap_err();
    assert!(matches!(hdf5.problem, Problem::CannotWrite { .. }), "{hdf5}");
    assert!(!at("x.h5").exists());
    let [left_out] = &convert(&fixture("latest.h5"), &at("all.npz")).unwrap()[..] else { panic!("one is text") };
    assert!(left_out.place.ends_with("latest.h5#text"), "{left_out}");
    let same = read_arrays(text(&at("all.npz"))).unwrap();
    assert_eq!(same, read_arrays(&fixture("latest.h5")).unwrap());
    let leftovers = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".gputrain")));
    assert_eq!(leftovers.count(), 0, "no temporary file stays behind");
}

#[test]
fn a_description_tells_shapes_and_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digits.npz");
    write_npz(&path, &generate(0, 100, 0)).unwrap();
    let arrays: Vec<_> = describe(text(&path)).unwrap().into_iter().map(Result::unwrap).collect();
    let [images, labels] = arrays.try_into().unwrap();
    assert_eq!((images.name.as_str(), images.dtype, images.shape), ("x_train", Dtype::U8, vec![100, 28, 28]));
    assert_eq!((images.min, images.max, images.classes), (Some(0.0), Some(255.0), None));
    let classes = labels.classes.unwrap();
    assert_eq!(classes.len(), 10);
    assert_eq!(classes.iter().map(|(_, count)| count).sum::<usize>(), 100);
}

/// The folder of the real data sets, if this checkout has them beside it.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn the_real_data_sets_load() {
    for set in ["mnist", "fashion-mnist"] {
        let Some(folder) = real(set) else { return };
        let at = |name: &str| folder.join(name).display().to_string();
        let (images, labels) = (at("t10k-images-idx3-ubyte.gz"), at("t10k-labels-idx1-ubyte.gz"));
        let test = load_examples(SourceRef { images: &images, labels: &labels }, FLAT, TEN).unwrap();
        assert_eq!(test.count(), 10_000);
    }
    let Some(folder) = real("notmnist") else { return };
    let (images, labels) = (folder.join("notMNIST.npz#images"), folder.join("notMNIST.npz#labels"));
    let all = load_examples(SourceRef { images: text(&images), labels: text(&labels) }, FLAT, TEN).unwrap();
    assert_eq!(all.count(), 18_724);
}

#[test]
fn a_description_names_what_cannot_be_used() {
    let described = describe(&fixture("latest.h5")).unwrap();
    let unusable: Vec<_> = described.iter().filter_map(|array| array.as_ref().err()).collect();
    assert_eq!(unusable.len(), 1);
    assert_eq!(unusable[0].0, "text");
    assert!(matches!(&unusable[0].1, Problem::UnsupportedType { type_name } if !type_name.contains('{')));
}

#[test]
fn a_first_line_with_a_number_and_a_gap_is_no_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    let shape = |lines: &str| {
        std::fs::write(&path, lines).unwrap();
        read_array(text(&path)).map(|array| array.shape().to_vec())
    };
    for header in ["a,b,c", "label,0,1", "0,1,c", ",1,2"] {
        assert_eq!(shape(&format!("{header}\n1,2,3\n")).unwrap(), [1, 3], "{header}");
    }
    for line in ["5.1,3.5,", "5,3,na", "nan?,7,8"] {
        let error = shape(&format!("{line}\n1,2,3\n")).unwrap_err();
        assert!(error.to_string().contains("line 1, column"), "{line}: {error}");
    }
}
