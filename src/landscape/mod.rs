//! The loss around the path that training took: on a grid in the plane of the first two principal components of the
//! weights, from the initial ones on after each epoch.

mod components;
mod relief;
mod trajectory;

pub use components::Components;
pub use relief::{LANDSCAPE_SIZE, PathPoint, Relief};
pub use trajectory::Trajectory;
pub(crate) use trajectory::{snapshot, snapshots};

use crate::data::{Examples, Scaling};
use crate::export::ExportError;
use crate::file::FileError;
use crate::model::Model;
use crate::recipe::OptimizerSpec;
use crate::report::ReportError;
use crate::train::TrainError;
use std::path::PathBuf;

/// Why there is no landscape.
#[derive(Debug, thiserror::Error)]
pub enum LandscapeError {
    /// The run recorded no weights.
    #[error(
        "{0} holds no weights of its epochs (weights/epoch-*.safetensors); set train.record = [\"weights\"] in the recipe, or \
         give --set 'train.record=[\"weights\"]' to train, and train again"
    )]
    NotRecorded(PathBuf),
    /// Two points span no plane.
    #[error(
        "{run} holds weights of {found} moments, but a plane needs 3, the initial ones and those after 2 epochs; train with \
         train.epochs = 2 or more"
    )]
    TooFew {
        /// The run's folder.
        run: PathBuf,
        /// Moments with weights.
        found: usize,
    },
    /// A file of weights is not this run's, or is one of an earlier version, which kept no shapes.
    #[error("{0}; the recorded weights do not fit the run's model: remove the folder weights and train again")]
    Weights(Box<ExportError>),
    /// The path has less than two directions.
    #[error(
        "the weights moved along {0} directions only, which span no plane; train more epochs, or with a higher rate"
    )]
    NoPlane(usize),
    /// The file of a landscape is not one.
    #[error("{path} does not hold a landscape: {problem}; remove it, or run landscape again")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be drawn.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The device or the plan refused.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// What the loss is taken of.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The network.
    pub model: &'a Model,
    /// How its inputs are scaled.
    pub scaling: &'a Scaling,
    /// The penalty that is part of the loss.
    pub optimizer: &'a OptimizerSpec,
    /// The training examples, or some of them.
    pub examples: &'a Examples,
}

/// So many of the examples, evenly spread over the set, since files may be sorted by class; all of them if there are no
/// more.
pub fn spread(examples: &Examples, samples: usize) -> Examples {
    let count = examples.count();
    let taken = samples.min(count);
    examples.select(&(0..taken).map(|index| index * count / taken).collect::<Vec<_>>())
}
