//! What a visitor gives the model: a picture, or a row of numbers and categories.

use super::WebError;
use crate::data::{Examples, FeatureColumn, Features, Storage};
use crate::export::SavedModel;
use crate::job;
use crate::model::{Model, Shape};
use crate::recipe::{Fit, Keyword, Scale, Source};
use crate::run::{MIN_PIXELS, picture_shape};
use serde::Serialize;
use std::ops::Range;

/// What a visitor gives.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Input {
    Picture {
        height: usize,
        width: usize,
        channels: usize,
        fit: &'static str,
        place: &'static str,
        black: f32,
        white: f32,
    },
    Row {
        columns: Vec<Column>,
    },
}

/// A column of a table.
#[derive(Serialize)]
pub(super) struct Column {
    name: String,
    levels: Option<Vec<String>>,
    first_level: Option<usize>,
    whole: Option<Range<i64>>,
    fill: Option<f64>,
    indicator: bool,
    start: Option<f32>,
}

/// One example of floats, of which nothing is known.
pub(super) fn blank(model: &Model) -> Examples {
    let storage = Storage::F32(vec![0.0; model.input.len()].into());
    Examples::unweighted(Features { storage, count: 1, shape: model.input }, job::blank_targets(1, model))
}

impl Input {
    /// That of a model, and how it takes what could be taken in two ways.
    pub(super) fn of(saved: &SavedModel) -> Result<(Input, Vec<String>), WebError> {
        let shape = saved.model.input;
        if let Shape::Image { channels, .. } = shape
            && ![1, 3].contains(&channels)
        {
            return Err(WebError::Channels { channels });
        }
        let is_row = !saved.trained_on.features.is_empty() || saved.trained_on.table.is_some();
        let is_picture = shape.is_image() || !is_row && shape.len() >= MIN_PIXELS;
        match picture_shape(&saved.model, shape).filter(|_| is_picture) {
            Some([channels, height, width]) => {
                let fit = saved.recipe.data.image.fit.unwrap_or(Fit::Crop).word();
                let (black, white) = range(saved);
                let note =
                    format!("pictures: black is {black} and white {white} in the values that the model is given");
                let place = place(saved);
                Ok((Input::Picture { height, width, channels, fit, place, black, white }, vec![note]))
            }
            None => Ok((Input::Row { columns: columns(saved) }, Vec::new())),
        }
    }
}

/// How drawings are placed at first: MNIST's digits have their centre of mass in the middle. A visitor may choose another way.
fn place(saved: &SavedModel) -> &'static str {
    let is_mnist = |source: &Source| source.name().to_ascii_lowercase().contains("mnist");
    if saved.recipe.data.train.as_ref().is_some_and(is_mnist) { "mass" } else { "box" }
}

/// The values of black and white in the data that the model was trained on.
fn range(saved: &SavedModel) -> (f32, f32) {
    let scaling = &saved.scaling.before(&saved.recipe.data);
    let (subtract, divide) = (scaling.subtract[0], scaling.divide[0]);
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    match saved.recipe.data.scale {
        Scale::Unit | Scale::Centered => (0.0, divide),
        Scale::MinMax => (subtract, subtract + 2.0 * divide),
        // Means and deviations of bytes are larger.
        Scale::Standard if largest(&scaling.subtract) <= 1.0 && largest(&scaling.divide) <= 1.0 => {
            match saved.recipe.data.train {
                Some(Source::Arrays { .. }) => (0.0, 1.0),
                _ => (0.0, 255.0),
            }
        }
        Scale::Standard | Scale::None => (0.0, 255.0),
    }
}

fn columns(saved: &SavedModel) -> Vec<Column> {
    let trained_on = &saved.trained_on;
    let number = |name: String| FeatureColumn { name, levels: None, first_level: None, fill: None, indicator: false };
    let name = |at: usize| trained_on.features.get(at).cloned().unwrap_or_else(|| format!("feature {at}"));
    let columns = match &trained_on.table {
        Some(table) => table.features.clone(),
        None => (0..saved.model.input.len()).map(|at| number(name(at))).collect(),
    };
    let mut at = 0;
    let mut described = Vec::with_capacity(columns.len());
    for column in columns {
        let is_number = column.levels.is_none();
        let start = is_number.then(|| start(saved, at));
        let whole = looked_up(&saved.model, at).filter(|_| is_number);
        at += column.width();
        let FeatureColumn { name, levels, first_level, fill, indicator } = column;
        described.push(Column { name, levels, first_level, whole, fill, indicator, start });
    }
    described
}

/// The whole numbers among which a feature must be, where the model looks it up.
fn looked_up(model: &Model, feature: usize) -> Option<Range<i64>> {
    let embeddings = model.layers.iter().filter_map(|layer| layer.kind.levels());
    let numbers =
        embeddings.filter(|levels| levels.places(model.input.len()).contains(&feature)).map(|levels| levels.numbers());
    numbers.reduce(|one, other| one.start.max(other.start)..one.end.min(other.end))
}

/// A usual value of a feature that is a number: its mean, where the scaling knows it.
fn start(saved: &SavedModel, feature: usize) -> f32 {
    let mean = saved.scaling.subtract.get(feature).copied();
    let mean = mean.filter(|_| saved.recipe.data.scale == Scale::Standard).unwrap_or(0.0);
    format!("{mean:.2e}").parse().unwrap_or(0.0)
}
