//! Sweeps: every combination of a recipe's `[sweep]` table, trained, compared and written up.
//!
//! Runs whose models have one shape train side by side on the device (`group.rs`). What comes out of a run does not depend
//! on which runs train beside it, so a sweep that was interrupted goes on with whatever is missing.
//!
//! The trials of a combination differ in everything that a seed decides (initial weights, batch order, dropout) but
//! one: they share the held-out examples of the combination's first seed, so that they are measured alike and can share
//! the data on the device. The recipe in a run's folder says so (`data.seed`), so that `train` repeats that very run.

mod curves;
mod entry;
mod error;
mod group;
mod observer;
mod report;
mod results;
mod retrain;
mod run;
mod runner;
mod summary;
mod watcher;

pub use entry::{Entry, Sweep};
pub use error::SweepError;
pub use report::table as results_table;
pub use results::Row;
pub use run::{run, run_among};
pub use runner::{COLLAPSED, Options};
pub use summary::{CombinationSummary, Statistic, SweepSummary};
pub use watcher::Watcher;
