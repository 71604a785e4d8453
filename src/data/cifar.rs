//! CIFAR-10 and CIFAR-100 as they are published, in a folder or an archive: read as a file of the arrays `x_train`, `y_train`, `x_test`
//! and `y_test`, of CIFAR-100 also `y_train_coarse` and `y_test_coarse`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::array::{Array, Dtype, transpose};
use super::bytes::{open_file, read_error};
use super::error::Problem;
use super::{pickle, tar};
use crate::place::{CIFAR, CifarLabels, CifarLayout};

/// Values of a channel of a picture, and of all three.
const PLANE: usize = 32 * 32;
const PIXELS: usize = 3 * PLANE;

/// An open data set.
pub(crate) struct Cifar {
    layout: &'static CifarLayout,
    files: Files,
    /// Bytes of the files.
    pub(crate) length: u64,
}

enum Files {
    Folder(PathBuf),
    Archive(BTreeMap<String, Vec<u8>>),
}

/// An array of the set: its pictures, or one of their labels.
struct Part {
    name: String,
    is_test: bool,
    labels: Option<&'static CifarLabels>,
}

impl Cifar {
    pub(crate) fn open(path: &Path) -> Result<Cifar, Problem> {
        let is_known = |name: &str| CIFAR.iter().any(|layout| layout.files().any(|known| known == name));
        let (layout, files) = if path.is_dir() {
            (CifarLayout::of(|name| path.join(name).is_file()), Files::Folder(path.to_path_buf()))
        } else {
            let members = tar::members(path, is_known)?;
            (CifarLayout::of(|name| members.contains_key(name)), Files::Archive(members))
        };
        let lacking = |what: &str| Problem::malformed("CIFAR", format!("it has no {what}"));
        let layout = layout.ok_or_else(|| lacking(&CIFAR.map(|layout| layout.train[0]).join(", ")))?;
        let mut set = Cifar { layout, files, length: 0 };
        for name in layout.train.iter().chain([&layout.test]) {
            let length = match &set.files {
                Files::Folder(folder) => folder.join(name).metadata().ok().map(|file| file.len()),
                Files::Archive(files) => files.get(*name).map(|bytes| bytes.len() as u64),
            };
            set.length += length.ok_or_else(|| lacking(name))?;
        }
        Ok(set)
    }

    fn parts(&self) -> Vec<Part> {
        let of_set = |(set, is_test)| {
            let labels = self.layout.labels.iter().map(move |labels| Part {
                name: format!("y_{set}{}", labels.suffix),
                is_test,
                labels: Some(labels),
            });
            std::iter::once(Part { name: format!("x_{set}"), is_test, labels: None }).chain(labels)
        };
        [("train", false), ("test", true)].into_iter().flat_map(of_set).collect()
    }

    /// The arrays' names.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.parts().into_iter().map(|part| part.name).collect()
    }

    /// Reads an array.
    pub(crate) fn read(&self, index: usize) -> Result<Array, Problem> {
        let Part { is_test, labels, .. } = self.parts().swap_remove(index);
        let files = if is_test { std::slice::from_ref(&self.layout.test) } else { self.layout.train };
        let mut values = Vec::new();
        for name in files {
            let bytes = self.bytes(name)?;
            let of_file = match (labels, self.layout.is_pickled) {
                (None, true) => pickled_pictures(&bytes),
                (None, false) => self.records(&bytes).map(|records| {
                    records.flat_map(|record| transpose(&record[self.layout.labels.len()..], 3, PLANE)).collect()
                }),
                (Some(labels), true) => pickled_labels(&bytes, labels),
                (Some(labels), false) => self.records(&bytes).map(|records| {
                    let place = self.layout.labels.iter().rev().position(|other| other == labels).unwrap_or(0);
                    records.map(|record| record[place]).collect()
                }),
            };
            let of_file: Vec<u8> = of_file.map_err(|problem| in_file(name, problem))?;
            if let Some(labels) = labels
                && let Some(label) = of_file.iter().find(|label| usize::from(**label) >= labels.classes)
            {
                let classes = labels.classes;
                return Err(Problem::malformed("CIFAR", format!("{name} has a label {label} of {classes} classes")));
            }
            values.extend(of_file);
        }
        let shape = match labels {
            None => vec![values.len() / PIXELS, 32, 32, 3],
            Some(_) => vec![values.len()],
        };
        Array::from_u8(&shape, values).ok_or_else(|| Problem::malformed("CIFAR", "it ends within a picture"))
    }

    /// The records of a binary file.
    fn records<'a>(&self, bytes: &'a [u8]) -> Result<std::slice::ChunksExact<'a, u8>, Problem> {
        let records = bytes.chunks_exact(self.layout.labels.len() + PIXELS);
        match records.remainder() {
            [] if !bytes.is_empty() => Ok(records),
            _ => Err(Problem::malformed("CIFAR", "it ends within a picture")),
        }
    }

    fn bytes(&self, name: &str) -> Result<std::borrow::Cow<'_, [u8]>, Problem> {
        match &self.files {
            Files::Folder(folder) => {
                let mut bytes = Vec::new();
                let mut file = open_file(&folder.join(name)).map_err(|problem| in_file(name, problem))?;
                file.reader.read_to_end(&mut bytes).map_err(|error| read_error("CIFAR", error))?;
                Ok(bytes.into())
            }
            Files::Archive(files) => files.get(name).map(|bytes| bytes.as_slice().into()).ok_or(Problem::NotFound),
        }
    }

    /// The names of the classes of an array of labels; none where their file is not there.
    pub(crate) fn classes(&self, index: usize) -> Result<Vec<String>, Problem> {
        let Some(CifarLabels { classes, names: (file, key), .. }) = self.parts().swap_remove(index).labels else {
            return Ok(Vec::new());
        };
        let Ok(bytes) = self.bytes(file) else { return Ok(Vec::new()) };
        let names: Vec<String> = match self.layout.is_pickled {
            true => {
                pickle::read(&bytes).and_then(|pickle| pickle.texts(key)).map_err(|problem| in_file(file, problem))?
            }
            false => {
                let text = String::from_utf8_lossy(&bytes);
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
        };
        let count = names.len();
        match count == *classes {
            true => Ok(names),
            false => Err(Problem::malformed("CIFAR", format!("{file} names {count} classes, expected {classes}"))),
        }
    }

    /// What a person should know of how an array is read.
    pub(crate) fn note(&self, index: usize) -> String {
        let CifarLayout { name, is_pickled, labels, .. } = self.layout;
        let form = if *is_pickled { "Python's pickles" } else { "its binary version" };
        let which = match (self.parts().swap_remove(index).labels, labels) {
            (Some(CifarLabels { suffix: "", classes, .. }), [_, coarse, ..]) => {
                format!(
                    ": the {classes} fine classes (#y_train_coarse and #y_test_coarse name the {} coarse ones)",
                    coarse.classes
                )
            }
            (Some(CifarLabels { classes, .. }), [_, _, ..]) => format!(": the {classes} coarse classes"),
            _ => String::new(),
        };
        format!("{name} in {form}{which}")
    }
}

fn in_file(name: &str, problem: Problem) -> Problem {
    Problem::InFile { name: name.to_owned(), problem: Box::new(problem) }
}

/// The pictures of a pickle, each channel by channel there.
fn pickled_pictures(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let pickle = pickle::read(bytes)?;
    let array = pickle.array("data")?;
    match (array.dtype(), array.shape()) {
        (Dtype::U8, &[count, PIXELS]) if count > 0 => {
            Ok(array.bytes().chunks_exact(PIXELS).flat_map(|picture| transpose(picture, 3, PLANE)).collect())
        }
        (dtype, shape) => {
            let expected = format!("(N, {PIXELS}) bytes, a picture in each row; it holds {}", dtype.name());
            Err(Problem::Shape { found: shape.to_vec(), expected })
        }
    }
}

fn pickled_labels(bytes: &[u8], labels: &CifarLabels) -> Result<Vec<u8>, Problem> {
    let wrong =
        |label: i128| Problem::malformed("CIFAR", format!("it has a label {label} of {} classes", labels.classes));
    let found = pickle::read(bytes)?.integers(labels.key)?;
    found.into_iter().map(|label| u8::try_from(label).map_err(|_| wrong(label))).collect()
}
