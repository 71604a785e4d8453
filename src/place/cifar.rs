//! How the files of CIFAR-10 and CIFAR-100 are called, as Python's pickles and in their binary version.

use std::path::Path;

/// The files of a version of CIFAR, by their names in its folder.
#[derive(Debug, PartialEq, Eq)]
pub struct CifarLayout {
    /// What the data set is called.
    pub name: &'static str,
    /// Whether its files are pickles; the others are records of labels and a picture.
    pub is_pickled: bool,
    /// The files of training pictures, in their order.
    pub train: &'static [&'static str],
    /// The file of test pictures.
    pub test: &'static str,
    /// The labels of each picture. A record has them in reverse order.
    pub labels: &'static [CifarLabels],
}

/// One of the labels that each picture of CIFAR has.
#[derive(Debug, PartialEq, Eq)]
pub struct CifarLabels {
    /// What follows `y_train` and `y_test` where they are named.
    pub suffix: &'static str,
    /// Their key in a pickle.
    pub key: &'static str,
    /// Number of classes.
    pub classes: usize,
    /// The file that names the classes, and its key where that is a pickle.
    pub names: (&'static str, &'static str),
}

/// The versions that there are.
pub const CIFAR: [CifarLayout; 4] = [
    CifarLayout {
        name: "CIFAR-10",
        is_pickled: true,
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        test: "test_batch",
        labels: &[CifarLabels { suffix: "", key: "labels", classes: 10, names: ("batches.meta", "label_names") }],
    },
    CifarLayout {
        name: "CIFAR-10",
        is_pickled: false,
        train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
        test: "test_batch.bin",
        labels: &[CifarLabels { suffix: "", key: "", classes: 10, names: ("batches.meta.txt", "") }],
    },
    CifarLayout {
        name: "CIFAR-100",
        is_pickled: true,
        train: &["train"],
        test: "test",
        labels: &[
            CifarLabels { suffix: "", key: "fine_labels", classes: 100, names: ("meta", "fine_label_names") },
            CifarLabels { suffix: "_coarse", key: "coarse_labels", classes: 20, names: ("meta", "coarse_label_names") },
        ],
    },
    CifarLayout {
        name: "CIFAR-100",
        is_pickled: false,
        train: &["train.bin"],
        test: "test.bin",
        labels: &[
            CifarLabels { suffix: "", key: "", classes: 100, names: ("fine_label_names.txt", "") },
            CifarLabels { suffix: "_coarse", key: "", classes: 20, names: ("coarse_label_names.txt", "") },
        ],
    },
];

impl CifarLayout {
    /// The version whose first file there is.
    pub fn of(is_file: impl Fn(&str) -> bool) -> Option<&'static CifarLayout> {
        CIFAR.iter().find(|layout| is_file(layout.train[0]))
    }

    /// Every file that is read.
    pub fn files(&self) -> impl Iterator<Item = &'static str> {
        let names = self.labels.iter().map(|labels| labels.names.0);
        self.train.iter().copied().chain([self.test]).chain(names)
    }
}

/// Whether a path is a folder with CIFAR's files.
pub fn is_cifar(folder: &Path) -> bool {
    folder.is_dir() && CifarLayout::of(|name| folder.join(name).is_file()).is_some()
}
