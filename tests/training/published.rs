//! Data sets as they are published: CIFAR in Python's pickles, in its binary version and as arrays, SVHN in MATLAB's files. The same
//! pictures train the same network.

use crate::binary::{Workplace, fail, last_line, succeed, text};
use gputrain::data::{Array, read_array, read_arrays, write_arrays};
use std::fs;
use std::path::Path;

const NAMES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// A picture of a class, channel by channel.
fn picture(class: u8, index: usize) -> Vec<u8> {
    (0..3072).map(|at| (at * 7 + index * 31) as u8 % 60 + if at % 10 == usize::from(class) { 150 } else { 0 }).collect()
}

/// The classes of the pictures of a batch: of the five to train on, and the one to test with.
fn batch(number: usize) -> Vec<u8> {
    (0..10).map(|index| ((index * 3 + number) % 10) as u8).collect()
}

fn pictures(number: usize) -> Vec<Vec<u8>> {
    batch(number).into_iter().enumerate().map(|(index, class)| picture(class, number * 10 + index)).collect()
}

/// A text as Python 2 pickled it.
fn pickled_text(text: &[u8]) -> Vec<u8> {
    match u8::try_from(text.len()) {
        Ok(length) => [&[b'U', length], text].concat(),
        Err(_) => [b"T", &(text.len() as u32).to_le_bytes()[..], text].concat(),
    }
}

/// A dictionary of values that are pickled already.
fn pickled(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> =
        entries.iter().flat_map(|(key, value)| [pickled_text(key.as_bytes()), value.clone()].concat()).collect();
    [b"\x80\x02}q\x01(", &entries[..], b"u."].concat()
}

fn pickled_list(items: Vec<Vec<u8>>) -> Vec<u8> {
    [b"](", &items.concat()[..], b"e"].concat()
}

/// An array of bytes in rows of 3072.
fn pickled_array(values: &[u8]) -> Vec<u8> {
    let rows = (values.len() / 3072) as u8;
    let start = b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K".as_slice();
    let dtype = b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89".as_slice();
    [start, &[rows], dtype, &pickled_text(values), b"tb"].concat()
}

/// CIFAR-10's folders in both versions, and the same as arrays.
fn cifar(place: &Workplace) {
    let [python, binary] = ["cifar-10-batches-py", "cifar-10-batches-bin"].map(|name| place.path(name));
    [&python, &binary].into_iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    for number in 0..6 {
        let name = if number < 5 { format!("data_batch_{}", number + 1) } else { "test_batch".into() };
        let (classes, pictures) = (batch(number), pictures(number));
        let labels = pickled_list(classes.iter().map(|class| vec![b'K', *class]).collect());
        let entries = [
            ("batch_label", pickled_text(b"a batch")),
            ("labels", labels),
            ("data", pickled_array(&pictures.concat())),
            ("filenames", pickled_list(vec![pickled_text(b"a.png")])),
        ];
        fs::write(python.join(&name), pickled(&entries)).unwrap();
        let records: Vec<u8> =
            classes.iter().zip(&pictures).flat_map(|(class, picture)| [&[*class], &picture[..]].concat()).collect();
        fs::write(binary.join(name + ".bin"), records).unwrap();
    }
    let names = pickled_list(NAMES.iter().map(|name| pickled_text(name.as_bytes())).collect());
    fs::write(python.join("batches.meta"), pickled(&[("label_names", names)])).unwrap();
    fs::write(binary.join("batches.meta.txt"), NAMES.join("\n") + "\n\n").unwrap();
    let [x_train, y_train] = arrays(0..5);
    let [x_test, y_test] = arrays(5..6);
    let named = [("x_train", &x_train), ("y_train", &y_train), ("x_test", &x_test), ("y_test", &y_test)];
    write_arrays(&place.path("cifar10.npz"), &named).unwrap();
}

/// Pictures (N, 32, 32, 3) and labels of batches.
fn arrays(batches: std::ops::Range<usize>) -> [Array; 2] {
    let classes: Vec<u8> = batches.clone().flat_map(batch).collect();
    let last = |picture: Vec<u8>| (0..3072).map(move |at| picture[at % 3 * 1024 + at / 3]).collect::<Vec<u8>>();
    let pixels: Vec<u8> = batches.flat_map(pictures).flat_map(last).collect();
    let count = classes.len();
    [Array::from_u8(&[count, 32, 32, 3], pixels).unwrap(), Array::from_u8(&[count], classes).unwrap()]
}

/// SVHN's file of such batches: the digit 0 is 10 there.
fn matlab(path: &Path, batches: std::ops::Range<usize>) {
    let element = |kind: u32, bytes: &[u8]| {
        let mut element = [kind.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
        element.extend(bytes);
        element.resize(element.len().next_multiple_of(8), 0);
        element
    };
    let array = |name: &str, shape: &[u32], values: &[u8]| {
        let shape: Vec<u8> = shape.iter().flat_map(|length| length.to_le_bytes()).collect();
        let head = [element(6, &[9, 0, 0, 0, 0, 0, 0, 0]), element(5, &shape), element(1, name.as_bytes())].concat();
        element(14, &[head, element(2, values)].concat())
    };
    let classes: Vec<u8> = batches.clone().flat_map(batch).map(|class| if class == 0 { 10 } else { class }).collect();
    let count = classes.len() as u32;
    // Rows run fastest, then columns and channels.
    let columns = |picture: Vec<u8>| {
        (0..3072).map(move |at| picture[at / 1024 * 1024 + at % 32 * 32 + at / 32 % 32]).collect::<Vec<u8>>()
    };
    let pixels: Vec<u8> = batches.flat_map(pictures).flat_map(columns).collect();
    let start = [b"MATLAB 5.0 MAT-file".to_vec(), vec![b' '; 105], vec![0, 1], b"IM".to_vec()].concat();
    let file = [start, array("X", &[32, 32, 3, count], &pixels), array("y", &[count, 1], &classes)].concat();
    fs::write(path, file).unwrap();
}

/// Trains on a data set; gives the hash of what came of it, and what was said.
fn trained(place: &Workplace, train: &str, more: &[&str]) -> (String, String) {
    let (train, run) = (place.text(train), place.text(&format!("run-{train}")));
    let arguments = ["--backend", "cpu", "--json", "train", "--train", &train, "--epochs", "1", "--out", &run];
    let output = succeed(&[&arguments[..], more].concat());
    (last_line(&output)["parameter_hash"].as_str().unwrap().to_owned(), text(&output.stderr) + &text(&output.stdout))
}

#[test]
fn the_same_pictures_train_the_same_network_whatever_their_files() {
    let place = Workplace::new("");
    cifar(&place);
    let [train, test] = ["train_32x32.mat", "test_32x32.mat"].map(|name| place.path(name));
    matlab(&train, 0..5);
    matlab(&test, 5..6);
    let (arrays, _) = trained(&place, "cifar10.npz", &[]);
    for set in ["cifar-10-batches-py", "cifar-10-batches-bin"] {
        assert_eq!(trained(&place, set, &[]).0, arrays, "{set}");
        // The model knows its classes by name.
        let [run, csv, examples] =
            [format!("run-{set}"), "answers.csv".into(), format!("{set}#x_test")].map(|name| place.text(&name));
        succeed(&["--backend", "cpu", "predict", &run, &examples, "--out", &csv]);
        let answers = fs::read_to_string(&csv).unwrap();
        assert!(
            answers.lines().next().unwrap().ends_with("airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"),
            "{answers}"
        );
    }
    assert_eq!(trained(&place, "train_32x32.mat", &["--test", test.to_str().unwrap()]).0, arrays);
    // The files of the test set hold the same, too.
    let [npz, mat] = ["cifar10.npz#x_test", "test_32x32.mat#X"].map(|name| read_array(&place.text(name)).unwrap());
    assert_eq!(npz, mat);
}

#[test]
fn what_the_files_are_is_shown_and_converted() {
    let place = Workplace::new("");
    cifar(&place);
    let set = place.text("cifar-10-batches-py");
    let shown = text(&succeed(&["inspect", &set]).stdout);
    for word in ["50 x 32 x 32 x 3", "CIFAR-10 in Python's pickles", "classes: airplane, automobile, bird"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let npz = place.text("copy.npz");
    succeed(&["data", "convert", &set, &npz]);
    assert_eq!(read_arrays(&npz).unwrap(), read_arrays(&place.text("cifar10.npz")).unwrap());
    matlab(&place.path("some.mat"), 0..1);
    let shown = text(&succeed(&["inspect", &place.text("some.mat")]).stdout);
    for word in
        ["10 x 32 x 32 x 3", "X: MATLAB's 32 x 32 x 3 x 10 is taken for pictures", "SVHN's label 10 is read as 0"]
    {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let place = Workplace::new("");
    cifar(&place);
    let set = place.text("cifar-10-batches-py");
    // A pickle that would run a program.
    let evil = b"\x80\x02cposix\nsystem\nU\x02lsq\x01\x85R.";
    let batch = place.path("cifar-10-batches-py/data_batch_3");
    fs::write(&batch, evil).unwrap();
    let (_, error) = fail(&["train", "--train", &set]);
    assert!(
        error.contains("data_batch_3: a pickle that asks for the Python object posix.system, which is not called"),
        "{error}"
    );
    fs::remove_file(&batch).unwrap();
    let (_, error) = fail(&["inspect", &set]);
    assert!(error.contains("it has no data_batch_3"), "{error}");
    write_arrays(&place.path("odd.npz"), &[("a", &arrays(0..1)[0]), ("b", &arrays(0..1)[1])]).unwrap();
    let (_, error) = fail(&["train", "--train", &place.text("odd.npz")]);
    assert!(error.contains("which arrays are the examples") && error.contains("--train-images PATH#KEY"), "{error}");
}
