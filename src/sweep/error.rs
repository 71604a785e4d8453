//! Why a sweep cannot begin or go on.

use crate::file::FileError;
use crate::job::JobError;
use crate::ranks::RankError;
use crate::recipe::{Metric, RecipeError};
use crate::report::ReportError;
use crate::run::RunError;
use crate::train::TrainError;
use std::path::PathBuf;

/// Why a sweep cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The recipe, or one that it lists, is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A model or the data cannot be used.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A run's folder cannot be written, or its page not be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The report cannot be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file of the sweep cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing to vary.
    #[error("{0} has no [sweep] table; add one, or run it by itself: gputrain train")]
    NoSweep(String),
    /// The chosen metric is not measured.
    #[error(
        "[sweep] metric = \"{metric}\", but {name} has no {set} set; add data.{set} or choose another sweep.metric"
    )]
    NoMetric {
        /// The metric.
        metric: Metric,
        /// The recipe.
        name: String,
        /// The set that is missing.
        set: &'static str,
    },
    /// The chosen metric means nothing, or is undefined.
    #[error("[sweep] metric = \"{metric}\" cannot tell the best of {name}: {problem}")]
    NoMeaning {
        /// The metric.
        metric: Metric,
        /// The recipe.
        name: String,
        /// Why, and what to take.
        problem: String,
    },
    /// Retraining leaves no validation set for the schedule to watch.
    #[error(
        "[sweep] retrain = true trains on the validation examples too, and those of {name} have no data.sample_weights; let \
         data.validation be a share of the training examples, or set sweep.retrain = false"
    )]
    RetrainWeighs {
        /// The run's recipe.
        name: String,
    },
    /// Retraining would leave the schedule nothing to watch.
    #[error(
        "[sweep] retrain = true trains on the validation examples too, but what lowers the learning rate of \
         {name} watches {metric}; let it watch train_loss, or set sweep.retrain = false"
    )]
    RetrainWatches {
        /// The metric.
        metric: Metric,
        /// The recipe.
        name: String,
    },
    /// The folder belongs to another sweep.
    #[error("{} holds another sweep: {what}; choose another --out, or go on with the recipe and options of before", path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// A line of the results cannot be understood.
    #[error("{} line {line} is not a result of a sweep: {problem}; remove the line, and its run is done again", path.display())]
    Results {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Ranks that cannot work together.
    #[error(transparent)]
    Ranks(#[from] RankError),
    /// Ranks that write into folders of their own.
    #[error(
        "{} has no result of {missing} runs, which other ranks have trained: the folder of a sweep must be one that all \
         machines share; choose such an --out", path.display()
    )]
    NotSeen {
        /// The sweep's folder.
        path: PathBuf,
        /// Runs without a result.
        missing: usize,
    },
    /// The user asked for an end.
    #[error(
        "interrupted with {done} of {total} runs done{}; the same command with --out {} goes on from there",
        if done == total { ", while the best was trained again" } else { "" }, path.display()
    )]
    Interrupted {
        /// Runs with a result.
        done: usize,
        /// Runs in all.
        total: usize,
        /// The sweep's folder.
        path: PathBuf,
    },
}
