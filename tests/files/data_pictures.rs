//! Folders of pictures: decoded and fitted as Pillow does it (tests/fixtures/pictures/make.py), packed once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gputrain::data::{Array, Loading, Pictures, Problem, Storage, read_arrays};
use gputrain::model::Shape;
use gputrain::recipe::{Broken, Fit, ImageSpec};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures")
}

/// What Pillow made of the fixtures.
fn expected() -> Vec<(String, Array)> {
    read_arrays(fixtures().join("expected.npz").to_str().unwrap()).unwrap()
}

fn loading<'a>(image: ImageSpec) -> Loading<'a> {
    Loading { image, broken: Broken::Error, cache: None, progress: &|_, _| {} }
}

fn form(height: usize, width: usize, channels: usize, fit: Fit) -> ImageSpec {
    ImageSpec { size: Some([height, width]), channels: Some(channels), fit: Some(fit) }
}

/// The values, pixel after pixel.
fn pixels(pictures: &Pictures) -> Vec<u8> {
    let Storage::U8(values) = &pictures.features.storage else { panic!("pixels are bytes") };
    let Shape::Image { channels, height, width } = pictures.features.shape else { panic!("these are pictures") };
    let plane = height * width;
    (0..plane).flat_map(|pixel| (0..channels).map(move |channel| values[channel * plane + pixel])).collect()
}

fn one(path: PathBuf, image: ImageSpec) -> Pictures {
    Pictures::unlabelled(&[path], &loading(image)).unwrap()
}

/// The largest difference of two pictures.
fn difference(found: &[u8], expected: &[u8]) -> u8 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn every_kind_of_file_is_seen_as_pillow_sees_it() {
    let mut seen = 0;
    for (name, array) in expected().iter().filter(|(name, _)| !name.contains(' ')) {
        let &[height, width, 3] = array.shape() else { panic!("{name}: {:?}", array.shape()) };
        let found = pixels(&one(fixtures().join(name), form(height, width, 3, Fit::Crop)));
        // Decoders of lossy formats may round differently, and fill in colours between samples.
        let most = match name.as_str() {
            "subsampled.jpg" | "lossy.webp" => 12,
            name if name.ends_with(".jpg") => 3,
            _ => 0,
        };
        let difference = difference(&found, array.bytes());
        assert!(difference <= most, "{name}: {difference}");
        seen += 1;
    }
    assert_eq!(seen, 32);
}

#[test]
fn sizes_and_channels_are_fitted_as_pillow_does_it() {
    let mut seen = 0;
    for (name, array) in expected().iter().filter(|(name, _)| name.contains(' ')) {
        let [file, way, height, width] = name.split(' ').collect::<Vec<_>>()[..] else { panic!("{name}") };
        let (height, width) = (height.parse().unwrap(), width.parse().unwrap());
        let (fit, channels) = match way {
            "crop" => (Fit::Crop, 3),
            "pad" => (Fit::Pad, 3),
            "stretch" => (Fit::Stretch, 3),
            _ => (Fit::Stretch, 1),
        };
        let found = pixels(&one(fixtures().join(file), form(height, width, channels, fit)));
        // What Pillow gives without the bars lies in their middle.
        let (rows, columns) = (array.shape()[0], array.shape()[1]);
        let (top, left) = ((height - rows) / 2, (width - columns) / 2);
        let mut inner = Vec::new();
        for (place, pixel) in found.chunks(channels).enumerate() {
            let (y, x) = (place / width, place % width);
            if (top..top + rows).contains(&y) && (left..left + columns).contains(&x) {
                inner.extend_from_slice(pixel);
            } else {
                assert!(pixel.iter().all(|value| *value == 0), "{name}: a bar at {y}, {x}");
            }
        }
        let difference = difference(&inner, array.bytes());
        assert!(difference <= 1, "{name}: {difference}");
        seen += 1;
    }
    assert_eq!(seen, 32);
}

/// A folder with a copy of fixtures in folders of classes.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (to, from) in files {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixtures().join(from), to).unwrap();
    }
    folder
}

#[test]
fn the_form_follows_from_the_pictures_and_is_said() {
    let of = |files: &[(&str, &str)]| {
        let folder = folder(files);
        let pictures = Pictures::of_classes(folder.path(), &[], &loading(ImageSpec::default())).unwrap();
        let form = pictures.form;
        ([form.height, form.width, form.channels], pictures.notes.join("\n"))
    };
    let (form, notes) = of(&[("a/1.png", "grey.png"), ("b/2.jpg", "grey.jpg"), ("b/3.png", "bits.png")]);
    assert_eq!(form, [10, 12, 1]);
    assert!(notes.contains("10 x 12 pixels (height x width), as all are, grey, as all are"), "{notes}");
    let (form, notes) = of(&[("a/1.png", "grey.png"), ("b/2.gif", "palette.gif"), ("b/3.png", "la.png")]);
    assert_eq!(form, [10, 12, 3]);
    assert!(notes.contains("in colour, as 1 of 3 are"), "{notes}");
    assert!(notes.contains("over white: 1"), "{notes}");
    // A picture that is turned counts as it is shown.
    let (form, notes) = of(&[("a/1.png", "turned-6.png"), ("b/2.png", "turned-3.png")]);
    assert_eq!(form, [6, 9, 3], "{notes}");
    let (form, notes) = of(&[("a/1.png", "wide.png"), ("b/2.png", "tall.png"), ("b/3.png", "deep.png")]);
    assert_eq!(form, [19, 19, 3]);
    assert!(notes.contains("from 10 x 12 to 31 x 37") && notes.contains("16 bits, rounded to 8: 1"), "{notes}");
}

#[test]
fn classes_have_the_folders_names_and_a_models_numbers() {
    let folder = folder(&[("猫/1.png", "rgb.png"), ("dog/1.png", "rgb.png"), ("dog/2.png", "rgb.png")]);
    let load = |known: &[String]| Pictures::of_classes(folder.path(), known, &loading(ImageSpec::default()));
    let pictures = load(&[]).unwrap();
    assert_eq!((&pictures.labels[..], &pictures.classes[..]), (&[0, 0, 1][..], &["dog".into(), "猫".into()][..]));
    let known = ["ant", "猫", "dog"].map(String::from);
    let pictures = load(&known).unwrap();
    assert_eq!((&pictures.labels[..], &pictures.classes[..]), (&[2, 2, 1][..], &known[..]));
    let error = load(&known[..2]).unwrap_err().to_string();
    assert!(error.contains("not trained on: \"dog\"; its classes are \"ant\", \"猫\""), "{error}");
}

#[test]
fn broken_pictures_are_named_or_left_out() {
    let folder = folder(&[("a/1.png", "rgb.png"), ("b/2.png", "rgb.png")]);
    let image = form(10, 12, 3, Fit::Crop);
    let whole = |name: &str| fs::read(fixtures().join(name)).unwrap();
    // Files that end early, of every format; what is no picture; what announces more than it can hold.
    for name in
        ["rgb.png", "rgb.jpg", "progressive.jpg", "grey.jpg", "lossless.webp", "lossy.webp", "rgb.bmp", "palette.gif"]
    {
        let bytes = whole(name);
        for end in [0, 1, 20, bytes.len() / 2, bytes.len() * 3 / 4] {
            check(folder.path(), image, &bytes[..end], &format!("{name} of {end} bytes"));
        }
    }
    check(folder.path(), image, b"this is text", "text");
    let mut large = whole("rgb.bmp");
    large[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0x0f]);
    check(folder.path(), image, &large, "a large one");
    let mut zero = whole("grey.bmp");
    zero[18..22].copy_from_slice(&[0; 4]);
    check(folder.path(), image, &zero, "one without a pixel");
    for bits in [1, 4, 16] {
        let mut other = whole("rgb.bmp");
        other[28] = bits;
        check(folder.path(), image, &other, "one of a depth whose rows would be misplaced");
    }
}

fn check(folder: &Path, image: ImageSpec, bytes: &[u8], what: &str) {
    let path = folder.join("a/0.png");
    fs::write(&path, bytes).unwrap();
    let error = Pictures::of_classes(folder, &[], &loading(image)).expect_err(what);
    assert!(matches!(error.problem, Problem::BrokenPicture { others: 0, .. }), "{what}: {error}");
    let error = error.to_string();
    assert!(error.contains("0.png") && error.contains("data.broken = \"skip\""), "{what}: {error}");
    assert!(!error.contains('\n'), "{what}: {error}");
    let skipping = Loading { broken: Broken::Skip, ..loading(image) };
    let pictures = Pictures::of_classes(folder, &[], &skipping).expect(what);
    assert_eq!((pictures.features.count, &pictures.labels[..]), (2, &[0, 1][..]), "{what}");
    assert!(pictures.notes.iter().any(|note| note.contains("left out") && note.contains("0.png")), "{what}");
}

#[test]
fn a_second_start_decodes_nothing() {
    let folder = folder(&[("a/1.png", "rgb.png"), ("b/2.jpg", "rgb.jpg"), ("b/3.png", "la.png")]);
    let cache = tempfile::tempdir().unwrap();
    let decoded = AtomicUsize::new(0);
    let progress = |_: usize, total: usize| {
        assert_eq!(total, 3);
        decoded.fetch_add(1, Relaxed);
    };
    let load = |image: ImageSpec| {
        decoded.store(0, Relaxed);
        let loading = Loading { cache: Some(cache.path().into()), progress: &progress, ..loading(image) };
        let pictures = Pictures::of_classes(folder.path(), &[], &loading).unwrap();
        (decoded.load(Relaxed), pictures)
    };
    let (first, fresh) = load(ImageSpec::default());
    let (second, kept) = load(ImageSpec::default());
    assert_eq!((first, second), (3, 0));
    assert_eq!((&kept.features, &kept.labels, &kept.notes), (&fresh.features, &fresh.labels, &fresh.notes));
    assert_eq!(load(form(5, 5, 3, Fit::Crop)).0, 3, "another form");
    fs::copy(fixtures().join("rgba.png"), folder.path().join("b/3.png")).unwrap();
    let (third, changed) = load(ImageSpec::default());
    assert_eq!(third, 3, "a file has changed");
    assert_ne!(changed.features, fresh.features);
    // What was kept and is damaged is decoded again.
    for entry in fs::read_dir(cache.path().join("pictures")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(load(ImageSpec::default()), (3, changed));
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_is_said() {
    let folder = folder(&[("a/1.png", "rgb.png"), ("b/2.jpg", "rgb.jpg")]);
    let cache = tempfile::NamedTempFile::new().unwrap();
    let loading = Loading { cache: Some(cache.path().into()), ..loading(ImageSpec::default()) };
    let pictures = Pictures::of_classes(folder.path(), &[], &loading).unwrap();
    assert_eq!(pictures.features.count, 2);
    assert!(pictures.notes.iter().any(|note| note.contains("every start decodes them")), "{:?}", pictures.notes);
}
