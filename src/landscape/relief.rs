//! The loss over the plane of a path.

use super::{Components, Ground, LandscapeError, Trajectory};
use crate::backend::Backend;
use crate::file::{FileError, write_whole};
use crate::report::{Axis, Landscape};
use crate::train::{Population, TrainError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The size of its drawings, in pixels; a .png has twice as many along each side.
pub const LANDSCAPE_SIZE: (u32, u32) = (840, 640);

/// The file that a run's folder keeps it in.
const FILE: &str = "landscape.json";

/// The loss over a grid in the plane of the path, and the path itself. The plane goes through the final weights, which
/// are its origin, so that the path's end lies on the surface; other points of the path are near it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relief {
    /// The run's name.
    pub name: String,
    /// Training examples that each loss is the mean of.
    pub samples: usize,
    /// Share of the path's variance that each principal component explains, largest first.
    pub explained: Vec<f64>,
    /// Coordinates of the grid along the first component, rising; the origin is one of them.
    pub x: Vec<f64>,
    /// Coordinates along the second.
    pub y: Vec<f64>,
    /// The losses: for each of `y` a row over `x`. A loss that is not finite is null.
    pub losses: Vec<Vec<Option<f32>>>,
    /// The path.
    pub path: Vec<PathPoint>,
}

/// The weights after one epoch, or the initial ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PathPoint {
    /// The epoch; 0 for the initial weights.
    pub epoch: u32,
    /// Coordinate along the first component.
    pub x: f64,
    /// Coordinate along the second.
    pub y: f64,
    /// Distance from the plane.
    pub distance: f64,
    /// The loss there, over the same examples: at the weights themselves, not at their image in the plane.
    pub loss: Option<f32>,
}

/// Room around the path, as a share of its extent.
const MARGIN: f64 = 0.25;

impl Relief {
    /// Evaluates a grid of `resolution` by `resolution` points, and the path itself, as models side by side. `progress`
    /// is told how many points of how many are done.
    pub fn measure(
        backend: &dyn Backend,
        ground: Ground,
        name: &str,
        trajectory: &Trajectory,
        resolution: usize,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Relief, LandscapeError> {
        let Components { explained, directions } = Components::find(&trajectory.points, 2);
        let [first, second] = &directions[..] else { return Err(LandscapeError::NoPlane(directions.len())) };
        let Some(origin) = trajectory.points.last() else { return Err(LandscapeError::NoPlane(0)) };
        let along = |point: &[f32], direction: &[f64]| -> f64 {
            let away = point.iter().zip(origin).map(|(value, origin)| f64::from(*value) - f64::from(*origin));
            away.zip(direction).map(|(away, direction)| away * direction).sum()
        };
        let places: Vec<(f64, f64)> =
            trajectory.points.iter().map(|point| (along(point, first), along(point, second))).collect();
        let x = coordinates(places.iter().map(|place| place.0), resolution);
        let y = coordinates(places.iter().map(|place| place.1), resolution);
        let at = |x: f64, y: f64| -> Vec<f32> {
            let shift = first.iter().zip(second).map(|(first, second)| x * first + y * second);
            origin.iter().zip(shift).map(|(origin, shift)| (f64::from(*origin) + shift) as f32).collect()
        };
        let crossings = x.len() * y.len();
        let point = |index: usize| match index.checked_sub(crossings) {
            None => at(x[index % x.len()], y[index / x.len()]),
            Some(step) => trajectory.points[step].clone(),
        };
        let losses = losses(backend, ground, crossings + trajectory.points.len(), &point, progress)?;
        let steps = trajectory.epochs.iter().zip(&trajectory.points).zip(&places).zip(&losses[crossings..]);
        let path = steps.map(|(((&epoch, point), &(x, y)), &loss)| {
            let off = point.iter().zip(at(x, y)).map(|(value, image)| f64::from(value - image).powi(2)).sum::<f64>();
            PathPoint { epoch, x, y, distance: off.sqrt(), loss }
        });
        let path = path.collect();
        let losses = losses[..crossings].chunks(x.len()).map(<[_]>::to_vec).collect();
        let samples = ground.examples.count();
        Ok(Relief { name: name.to_string(), samples, explained, x, y, losses, path })
    }

    /// The landscape of a run's folder, if it has one.
    pub fn load(run: &Path) -> Result<Option<Relief>, LandscapeError> {
        let path = run.join(FILE);
        let text = match crate::file::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::at(&path)(error).into()),
        };
        let malformed = |error: serde_json::Error| LandscapeError::Malformed { path, problem: error.to_string() };
        serde_json::from_str(&text).map(Some).map_err(malformed)
    }

    /// Writes `landscape.json` into a run's folder.
    pub fn save(&self, run: &Path) -> Result<(), LandscapeError> {
        let path = run.join(FILE);
        let text = serde_json::to_string(self);
        let text = text.map_err(|error| FileError::at(&path)(error.into()))?;
        Ok(write_whole(&path, text.as_bytes())?)
    }

    /// The lowest loss of the grid, as (x, y, loss).
    pub fn lowest(&self) -> Option<(f64, f64, f32)> {
        let rows = self.y.iter().zip(&self.losses);
        let points =
            rows.flat_map(|(&y, row)| self.x.iter().zip(row).filter_map(move |(&x, &loss)| Some((x, y, loss?))));
        points.min_by(|a, b| a.2.total_cmp(&b.2))
    }

    /// The drawing.
    pub fn landscape(&self) -> Landscape {
        /// Losses that span more than this factor are drawn on a logarithmic axis: else the valley would look flat.
        const LOG_SPAN: f32 = 10.0;
        let axis = |name: &str, component: usize| {
            let share = 100.0 * self.explained.get(component).unwrap_or(&0.0);
            Axis::new(&format!("{name} component"), &format!("{share:.1} % of the variance"))
        };
        let heights: Vec<f32> = self.losses.iter().flatten().map(|loss| loss.unwrap_or(f32::NAN)).collect();
        let shown = heights.iter().copied().filter(|loss| *loss > 0.0);
        let (low, high) = shown.fold((f32::INFINITY, 0.0_f32), |(low, high), z| (low.min(z), high.max(z)));
        let z = Axis::new("training loss", "");
        Landscape {
            title: format!("{}: training loss around the path of the weights", self.name),
            x: axis("first", 0),
            y: axis("second", 1),
            z: if high > LOG_SPAN * low { z.logarithmic() } else { z },
            xs: self.x.clone(),
            ys: self.y.clone(),
            heights: heights.into_iter().map(f64::from).collect(),
            path: self.path.iter().map(|point| (point.x, point.y)).collect(),
        }
    }
}

/// The losses at `count` points, in as many parts as the device's memory asks for.
fn losses(
    backend: &dyn Backend,
    ground: Ground,
    count: usize,
    point: &dyn Fn(usize) -> Vec<f32>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Option<f32>>, TrainError> {
    let Ground { model, scaling, optimizer, examples } = ground;
    let mut population = Population::new(backend, model, scaling, optimizer, examples, count)?;
    let mut losses = Vec::with_capacity(count);
    while losses.len() < count {
        let members = losses.len()..count.min(losses.len() + population.members());
        let points: Vec<Vec<f32>> = members.map(point).collect();
        let scores = population.scores(&points)?;
        losses.extend(scores.iter().map(|score| Some(score.loss).filter(|loss| loss.is_finite())));
        progress(losses.len(), count);
    }
    Ok(losses)
}

/// Evenly spaced coordinates around places, the zero among them.
fn coordinates(places: impl Iterator<Item = f64>, count: usize) -> Vec<f64> {
    let (low, high) = places.fold((0.0_f64, 0.0_f64), |(low, high), place| (low.min(place), high.max(place)));
    let room = MARGIN * (high - low);
    let step = (high - low + 2.0 * room) / (count - 1) as f64;
    let zero = ((room - low) / step).round();
    (0..count).map(|index| (index as f64 - zero) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_holds_the_path_and_the_origin() {
        for (places, count) in [(vec![-3.0, -1.0, 0.0, 0.5], 11), (vec![0.0, 2.0], 3), (vec![-7.0, 0.0], 40)] {
            let coordinates = coordinates(places.iter().copied(), count);
            assert_eq!(coordinates.len(), count);
            assert!(coordinates.contains(&0.0), "{coordinates:?}");
            let (first, last) = (coordinates[0], coordinates[count - 1]);
            assert!(places.iter().all(|place| (first..=last).contains(place)), "{places:?} {coordinates:?}");
        }
    }
}
