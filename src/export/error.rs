//! What can be wrong with a file of a model.

use std::path::{Path, PathBuf};

use crate::data::DataError;
use crate::file::FileError;
use crate::keys::did_you_mean;
use crate::model::ModelError;
use crate::recipe::RecipeError;

/// A file of a model that cannot be read, used or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The system refuses to read it.
    #[error("{}: {source}; give a model.safetensors, or the folder of a run that holds one", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file of `start.from` is nowhere.
    #[error(
        "start.from = \"{}\": no such file or folder, neither beside the recipe nor in the folder of --data, the current one or ./data; \
         give a .safetensors or .npz file, or the folder of a run", path.display()
    )]
    NoStart {
        /// What the recipe says.
        path: PathBuf,
    },
    /// None of a file's tensors is one of the model's.
    #[error(
        "{}: none of its tensors fits the model by name and shape: it has {}, the model {}; let start.rename say what the file's names \
         begin with and what they begin with here, such as {{ fc = \"head\" }}", path.display(), found.join(", "), expected.join(", ")
    )]
    NothingFits {
        /// The file.
        path: PathBuf,
        /// Tensors of the file with their shapes, renamed.
        found: Vec<String>,
        /// Tensors of the model with their shapes.
        expected: Vec<String>,
    },
    /// A beginning of names that no tensor has.
    #[error("{}: start.rename has \"{prefix}\", and no tensor's name begins with that and a dot{}", path.display(), did_you_mean(suggestion))]
    NothingToRename {
        /// The file.
        path: PathBuf,
        /// What the recipe says.
        prefix: String,
        /// The beginning that looks most like it.
        suggestion: Option<String>,
    },
    /// Two tensors of one name.
    #[error("{}: start.rename makes {old} another {name}; rename it to something else", path.display())]
    RenamedTwice {
        /// The file.
        path: PathBuf,
        /// The second of them, as the file calls it.
        old: String,
        /// What both are called.
        name: String,
    },
    /// A folder without a model.
    #[error("{}: there is no model.safetensors in this folder; give the folder of a run that was trained to its end", path.display())]
    NoModel {
        /// The folder.
        path: PathBuf,
    },
    /// The system refuses to write it.
    #[error("cannot write {0}")]
    Write(#[from] FileError),
    /// Not what its name says.
    #[error("{}: not a whole .safetensors file ({problem}); copy or export it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Weights without the model they belong to.
    #[error(
        "{}: its metadata has no {key}, so gputrain did not save it as a model; weights alone can start a training: \
         train RECIPE --init FILE", path.display()
    )]
    NoDefinition {
        /// The file.
        path: PathBuf,
        /// What is missing.
        key: &'static str,
    },
    /// The recipe inside cannot be read.
    #[error(
        "{}: its recipe cannot be used: {problem} (saved by gputrain {version}, this is {}); load it with the gputrain that \
         saved it, or put gputrain.recipe in its metadata right", path.display(), env!("CARGO_PKG_VERSION")
    )]
    Recipe {
        /// The file.
        path: PathBuf,
        /// The gputrain that wrote the file.
        version: String,
        /// What is wrong.
        problem: Box<RecipeError>,
    },
    /// The recipe inside makes no model.
    #[error(
        "{}: its model cannot be built: {problem}; put [model] of gputrain.recipe in its metadata right, or save the model \
         again", path.display()
    )]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: Box<ModelError>,
    },
    /// The scaling inside cannot be used.
    #[error("{}: gputrain.scaling in its metadata {problem}; save the model again", path.display())]
    Scaling {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// What is said of the training data cannot be used.
    #[error("{}: gputrain.data in its metadata {problem}; save the model again", path.display())]
    TrainedOn {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file is not as it was written.
    #[error(
        "{}: it changed since it was saved: the hash of its content is {found}, the metadata says {expected}; copy the file \
         again, or remove gputrain.hash from its metadata if you changed it", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The hash in the metadata.
        expected: String,
        /// The hash of metadata and tensors.
        found: String,
    },
    /// The weights are not those that were saved.
    #[error(
        "{}: the weights are not those that were saved: their hash is {found}, the metadata says {expected}; copy the \
         file again, or remove parameter_hash from its metadata if you changed them", path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash in the metadata.
        expected: String,
        /// The hash of the weights.
        found: String,
    },
    /// Tensors are not there.
    #[error(
        "{}: no {}; expected {}: give the weights of this model, named so, or the model of these weights",
        path.display(), missing.join(", "), expected.join(", ")
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The names that are not there.
        missing: Vec<String>,
        /// Every tensor of the model with its shape.
        expected: Vec<String>,
    },
    /// Tensors that the model does not have.
    #[error(
        "{}: unknown {}; expected only {}: leave the others out, or give the model of these weights",
        path.display(), unknown.join(", "), expected.join(", ")
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The names that mean nothing.
        unknown: Vec<String>,
        /// Every tensor of the model with its shape.
        expected: Vec<String>,
    },
    /// A tensor of another shape.
    #[error("{}: {tensor} is {found}, expected {expected}; {remedy}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The model's shape.
        expected: String,
        /// The file's shape.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A tensor of a type that weights are not read from.
    #[error("{}: {tensor} holds {found}; expected float32 or float64: convert it, in NumPy with astype(\"float32\")", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type's name.
        found: String,
    },
    /// A weight that is no number.
    #[error("{}: {tensor} holds {value} at place {index}; weights must be finite in single precision", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The place in it, counted in its flat order from 0.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// A variance that is none.
    #[error("{}: {tensor} holds {value} at place {index}; a variance is 0 or more", path.display())]
    NegativeVariance {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The place in it, counted in its flat order from 0.
        index: usize,
        /// What is there.
        value: f32,
    },
    /// A name that does not tell how the weights are stored.
    #[error("{}: the name does not tell the format; expected .safetensors or .npz{}", path.display(), of_pytorch(path))]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A name that contradicts the format asked for.
    #[error("{}: a file of this format is named .{extension}; rename it", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
        /// How the name must end.
        extension: &'static str,
    },
    /// More than the format can hold.
    #[error("{}: the model takes {bytes} bytes, but a file of this format at most {limit}; export it as safetensors", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes of the model.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The .npz file is wrong.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// What becomes of a file that `torch.save` wrote.
fn of_pytorch(path: &Path) -> &'static str {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("pt" | "pth" | "ckpt" | "bin") => {
            " (a file of torch.save is not read; in Python: safetensors.torch.save_file(model.state_dict(), \"model.safetensors\"))"
        }
        _ => "",
    }
}
