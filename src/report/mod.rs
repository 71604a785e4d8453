//! Charts, pictures and pages that show what a run did.
//!
//! Nothing here knows the trainer: a [`Chart`] draws plain points, [`ImageGrid`] plain pixels, and [`write_run_report`]
//! reads the files of a run folder. Every drawing is SVG text first; PNG is that SVG rasterised with a bundled font, so
//! that pictures look the same on a machine that has no fonts installed.

mod chart;
mod colour;
mod confusion;
mod contour;
mod draw;
mod html;
mod images;
#[cfg_attr(not(feature = "png"), path = "no_pixels.rs")]
mod pixels;
mod plot;
mod raster;
mod records;
mod run;
mod space;
mod surface;
mod svg;
mod sweep;
mod ticks;

pub use chart::{Axis, Chart, Event, Look, Series};
pub use colour::{ColourMap, Rgb, series_colour};
pub use confusion::ConfusionMatrix;
pub use html::{Block, Link, Page, Section, Table};
pub use images::{ColourBar, ImageGrid, Picture, Tile, weight_grid};
pub(crate) use raster::drawn_name;
pub use raster::{save_drawing, save_svg_and_png, svg_to_png};
pub use records::{Record, RunRecords};
pub use run::{compare_runs, run_page, write_run_report};
pub use surface::Landscape;
pub(crate) use svg::escape;
pub use sweep::{GalleryEntry, SweepReport, SweepRow, gallery_page, mean_over_trials, trials_text};
pub(crate) use ticks::count;

use crate::file::FileError;
use std::path::PathBuf;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line of a run's log is not what the run format says.
    #[error("{} line {line}: {message}", path.display())]
    Record {
        /// The log file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What was expected and what was found.
        message: String,
    },
    /// The folder holds no run.
    #[error("{}: no metrics.jsonl here; give the folder of a run, as `train --out DIR` writes it", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A drawing was asked for in a format there is no writer for.
    #[error("{}: a drawing is written as .svg or .png; rename the output file", path.display())]
    Format {
        /// The output file.
        path: PathBuf,
    },
    /// The library was built without what draws pixels.
    #[error("this build of gputrain writes no PNG; build it with the feature `png`, or ask for .svg")]
    NoPng,
    /// What was to be drawn contradicts itself.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// The drawing.
        what: String,
        /// What its parts must be.
        expected: String,
        /// What they are.
        found: String,
    },
    /// The drawing library refused.
    #[error("{what} could not be drawn: {message}")]
    Draw {
        /// The drawing.
        what: String,
        /// What the library said.
        message: String,
    },
}
