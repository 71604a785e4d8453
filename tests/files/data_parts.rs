//! Parts of a data set: the first classes, so many examples, the seed that holds examples out.

use gputrain::data::{Array, Storage, Targets, write_array};
use gputrain::job::Job;
use gputrain::recipe::Recipe;
use std::fs;
use std::path::Path;

/// An IDX file of bytes.
fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let lengths: Vec<u8> = shape.iter().flat_map(|length| length.to_be_bytes()).collect();
    [&[0, 0, 8, shape.len() as u8], &lengths[..], values].concat()
}

/// 60 training and 20 test examples of ten classes whose two features tell them apart: as IDX files, and those of the
/// first three classes as .npy files.
fn write_data(folder: &Path) {
    for (part, count) in [("train", 60u8), ("test", 20)] {
        let class = |i: u8| (u32::from(i) * 7 % 10) as u8;
        let pick = |wanted: &dyn Fn(u8) -> bool| -> (Vec<u8>, Vec<u8>) {
            let picked: Vec<u8> = (0..count).filter(|i| wanted(class(*i))).collect();
            (picked.iter().flat_map(|i| [*i, 255 - i]).collect(), picked.into_iter().map(class).collect())
        };
        let array = |values: Vec<u8>, shape: &[usize]| Array::from_u8(shape, values).unwrap();
        let (x, y) = pick(&|_| true);
        fs::write(folder.join(format!("{part}-x-idx2-ubyte")), idx(&[count.into(), 2], &x)).unwrap();
        fs::write(folder.join(format!("{part}-y-idx1-ubyte")), idx(&[count.into()], &y)).unwrap();
        let (x, y) = pick(&|class| class < 3);
        let kept = y.len();
        write_array(&folder.join(format!("{part}-x.npy")), &array(x, &[kept, 2])).unwrap();
        write_array(&folder.join(format!("{part}-y.npy")), &array(y, &[kept])).unwrap();
    }
}

fn job(data: &str, folder: &Path) -> Result<Job, String> {
    let text = format!("seed = 4\n[data]\n{data}\n[model]\ninput = [2]\nlayers = \"3\"\n");
    let mut recipe = Recipe::parse(&text, "parts.toml", &[]).map_err(|error| error.to_string())?;
    recipe.resolve_data(Some(folder)).map_err(|error| error.to_string())?;
    Job::load(recipe).map_err(|error| error.to_string())
}

const ALL: &str = "train = { images = \"train-x-idx2-ubyte\", labels = \"train-y-idx1-ubyte\" }\n\
                   test = { images = \"test-x-idx2-ubyte\", labels = \"test-y-idx1-ubyte\" }\nvalidation = 5\n";

#[test]
fn the_first_classes_of_all_are_the_files_that_hold_only_them() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let three = ALL.replace("-idx2-ubyte", ".npy").replace("-idx1-ubyte", ".npy");
    let kept = job(&format!("{ALL}classes = 3"), folder.path()).unwrap().dataset;
    assert_eq!(kept, job(&three, folder.path()).unwrap().dataset);
    assert_eq!((kept.train.count(), kept.test.as_ref().unwrap().count()), (13, 6));
    // Without it a label is beyond the model's classes.
    let error = job(ALL, folder.path()).unwrap_err();
    assert!(error.contains("label 7 at index 1 is not one of the model's 3 classes"), "{error}");
}

#[test]
fn classes_of_the_generated_digits() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[data]\nclasses = 3\n[model]\nlayers = \"3\"\n";
    let recipe = Recipe::parse(text, "digits.toml", &[]).unwrap();
    let dataset = Job::load(recipe).unwrap().dataset;
    let Targets::Classes { labels, .. } = &dataset.train.targets else { panic!("digits are classes") };
    assert!(labels.iter().all(|label| *label < 3) && labels.len() > 2000);
    drop(folder);
}

#[test]
fn what_cannot_be_a_number_of_classes_or_examples_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let labels = Array::from_u8(&[60], vec![9; 60]).unwrap();
    write_array(&folder.path().join("nines.npy"), &labels).unwrap();
    let nines = "train = { images = \"train-x-idx2-ubyte\", labels = \"nines.npy\" }\nclasses = 3";
    for (data, says) in [
        (nines, "nines.npy: none of the 60 examples is of the first 3 classes; set data.classes higher"),
        ("classes = 1", "data.classes = 1: expected a whole number, 2 or more"),
        ("classes = \"all\"", "data.classes"),
        ("examples = 0", "data.examples = 0: expected a whole number, 1 or more"),
        ("seed = -1", "data.seed = -1: expected a whole number, 0 or more"),
    ] {
        let error = job(data, folder.path()).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn examples_limit_the_training_set_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let set = |more: &str| job(&format!("{ALL}classes = 3\n{more}"), folder.path()).unwrap().dataset;
    let (whole, part) = (set(""), set("examples = 6"));
    assert_eq!((&whole.validation, &whole.test), (&part.validation, &part.test));
    assert_eq!(part.train.count(), 6);
    let rows = |examples: &gputrain::data::Examples| -> Vec<[u8; 2]> {
        let Storage::U8(values) = &examples.features.storage else { panic!("these are bytes") };
        values.as_chunks::<2>().0.to_vec()
    };
    let all = rows(&whole.train);
    assert!(rows(&part.train).iter().all(|row| all.contains(row)));
    // As many as there are, or more, is all of them.
    assert_eq!(set("examples = 13"), whole);
    assert_eq!(set("examples = 1000"), whole);
}

#[test]
fn the_datas_seed_holds_out_examples() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let validation = |seed: &str| {
        let text = format!("{ALL}classes = 3\n{seed}");
        job(&text, folder.path()).unwrap().dataset.validation.clone()
    };
    assert_eq!(validation(""), validation("seed = 4"));
    assert_ne!(validation(""), validation("seed = 5"));
}
