//! What a run's page shows beside its curves, and only the model and the data can tell: layers, weights, examples,
//! predictions.

use super::answers::{Answers, MIN_PIXELS, is_drawn, picture_shape, pictures};
use super::{RunError, measured};
use crate::backend::Backend;
use crate::data::{Dataset, Examples};
use crate::export::SavedModel;
use crate::landscape::{LANDSCAPE_SIZE, Relief};
use crate::model::{Layer, Model, STATISTICS, Shape};
use crate::report::{Block, ImageGrid, ReportError, Section, Table, Tile, count, weight_grid, write_run_report};
use crate::train::Predictions;
use std::path::Path;

/// Units or filters of the first layer that are drawn.
const MAX_UNITS: usize = 60;
/// Test images that are drawn.
const PREDICTIONS: usize = 50;
/// Training images of each class, and all together where there are many classes.
const SAMPLES_OF_CLASS: usize = 5;
const SAMPLES: usize = 50;
/// A row of more classes is too long.
const MAX_COLUMNS: usize = 12;
/// A matrix of more classes is no longer readable.
const MAX_CLASSES: usize = 40;

/// Writes the drawings and `report.html` of a run whose model is trained, with everything that the model and the data
/// add to its records, and `relief` in the place of the folder's `landscape.json`, which is written after the page. With the
/// model comes the part in which it can be tried.
pub fn write_report(
    folder: &Path,
    saved: (&SavedModel, Section),
    dataset: &Dataset,
    backend: &dyn Backend,
    relief: &Relief,
) -> Result<(), RunError> {
    let sections = page_sections(folder, saved, dataset, backend, Some(relief))?;
    Ok(write_run_report(folder, None, &sections)?)
}

/// What the model and the data add to the page of a run. The test examples, or without any the validation examples, are
/// evaluated once more.
pub(super) fn page_sections(
    folder: &Path,
    (saved, trial): (&SavedModel, Section),
    dataset: &Dataset,
    backend: &dyn Backend,
    relief: Option<&Relief>,
) -> Result<Vec<Section>, RunError> {
    let mut sections = vec![trial, layers(&saved.model)];
    let stored = if relief.is_none() { Relief::load(folder)? } else { None };
    if let Some(relief) = relief.or(stored.as_ref()) {
        sections.push(landscape(relief)?);
    }
    sections.extend(first_weights(&saved.model, &saved.parameters)?);
    sections.extend(samples(&dataset.train, saved)?);
    let shown = [("test", &dataset.test), ("validation", &dataset.validation)];
    if let Some((set, examples)) = shown.into_iter().find_map(|(set, examples)| Some((set, examples.as_ref()?))) {
        let SavedModel { recipe, model, scaling, parameters, .. } = saved;
        let result = Predictions::run(backend, model, parameters, scaling, &recipe.optimizer, examples)?;
        sections.extend(answer_sections(set, &Answers::new(saved, examples, result, true))?);
    }
    Ok(sections)
}

/// The loss landscape.
fn landscape(relief: &Relief) -> Result<Section, RunError> {
    let landscape = relief.landscape();
    let (width, height) = LANDSCAPE_SIZE;
    let surface = format!(
        "The loss of {} training examples in the plane of the first two principal components of the weights after each \
         epoch, with the path that they took{}. The plane goes through the final weights; the rest of the path is drawn at \
         the height of the surface, though it runs beside it. Dashed: behind the surface.",
        relief.samples,
        if relief.path.first().is_some_and(|point| point.epoch == 0) { " from the initial weights on" } else { "" }
    );
    let drawing = |svg, caption| Block::Drawing { svg, narrow: None, caption };
    let blocks = vec![
        drawing(landscape.surface_svg(width, height)?, surface),
        drawing(landscape.contour_svg(width, height)?, "The same from above.".into()),
    ];
    Ok(Section { title: "Loss landscape".into(), blocks })
}

/// The table of layers.
fn layers(model: &Model) -> Section {
    let summary = model.summary();
    let sizes = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let mut rows = vec![vec![String::new(), "input".to_string(), sizes(&summary.input), String::new()]];
    rows.extend(summary.layers.iter().map(|row| {
        let parameters = if row.parameters > 0 { count(row.parameters as u64) } else { String::new() };
        vec![row.index.to_string(), row.description.clone(), sizes(&row.output), parameters]
    }));
    rows.push(vec![String::new(), "total".to_string(), String::new(), count(summary.parameters as u64)]);
    if summary.statistics > 0 {
        rows.push(vec![String::new(), STATISTICS.to_string(), String::new(), count(summary.statistics as u64)]);
    }
    let highlight = Some(rows.len() - 1);
    let header = ["", "layer", "output", "parameters"].map(str::to_string).to_vec();
    let loss = format!("The loss is {}.", model.loss_words());
    Section {
        title: "Model".into(),
        blocks: vec![Block::Table(Table { header, rows, highlight, ..Table::default() }), Block::Text(loss)],
    }
}

/// The weights of the first layer that has any, where it sees an image.
fn first_weights(model: &Model, parameters: &[Vec<f32>]) -> Result<Option<Section>, ReportError> {
    let Some(place) = model.layers.iter().position(|layer| layer.weight().is_some()) else { return Ok(None) };
    let layer = &model.layers[place];
    let Some((weights, shape)) = layer.weight().zip(weights_shape(model, place)) else { return Ok(None) };
    let [units, ..] = shape;
    let size: usize = shape[1..].iter().product();
    let drawn = units.min(MAX_UNITS);
    let what = if layer.output.is_image() { "filters" } else { "units" };
    let title = match drawn == units {
        true => format!("The weights of the {units} {what} of layer {place}"),
        false => format!("The weights of the first {drawn} of the {units} {what} of layer {place}"),
    };
    let grid = weight_grid(&title, &parameters[weights][..drawn * size], [drawn, shape[1], shape[2], shape[3]])?;
    let caption = match shape[1] {
        1 => "Each picture is what one output adds up: red counts for it, blue against it.",
        3 => "Each picture is what one output adds up; grey is zero.",
        _ => {
            "Each picture is what one output adds up, its input channels below each other: red counts for it, blue \
              against it."
        }
    };
    let block = Block::Pictures { grid, caption: caption.into() };
    Ok(Some(Section { title: "First layer".into(), blocks: vec![block] }))
}

/// (units, channels, height, width) of a layer's weights; none where they are no pictures.
fn weights_shape(model: &Model, place: usize) -> Option<[usize; 4]> {
    let layer: &Layer = &model.layers[place];
    // Flattening keeps the order of an image's values.
    let keeps = |layer: &Layer| layer.kind.keeps_values();
    let input = if model.layers[..place].iter().all(keeps) { model.input } else { layer.input };
    match model.parameters[layer.weight()?].shape[..] {
        [filters, channels, height, width] => (height * width > 1).then_some([filters, channels, height, width]),
        [units, _] => match (input, picture_shape(model, input)) {
            (Shape::Image { channels, height, width }, _) if height * width > 1 => {
                Some([units, channels, height, width])
            }
            (Shape::Features(n), Some([channels, height, width])) if n >= MIN_PIXELS => {
                Some([units, channels, height, width])
            }
            _ => None,
        },
        _ => None,
    }
}

/// Some training images with their labels: a column for each class, if these are not too many.
fn samples(examples: &Examples, saved: &SavedModel) -> Result<Option<Section>, ReportError> {
    let shape = picture_shape(&saved.model, examples.features.shape).filter(is_drawn);
    let Some((shape, labels)) = shape.zip(examples.targets.classes()) else { return Ok(None) };
    let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (index, label) in labels.iter().enumerate() {
        let found = &mut by_class[*label as usize];
        if found.len() < SAMPLES_OF_CLASS {
            found.push(index);
        }
    }
    by_class.retain(|found| !found.is_empty());
    let in_columns = by_class.len() <= MAX_COLUMNS;
    let (columns, indices) = if in_columns {
        let rows = by_class.iter().map(Vec::len).min().unwrap_or(0);
        (by_class.len(), (0..rows).flat_map(|row| by_class.iter().map(move |found| found[row])).collect())
    } else {
        (10, (0..labels.len().min(SAMPLES)).collect::<Vec<_>>())
    };
    let tiles = pictures(&examples.features, shape, &indices)?.into_iter().zip(&indices);
    let tiles = tiles.map(|(picture, &index)| Tile {
        picture,
        caption: vec![saved.trained_on.class(labels[index] as usize)],
        wrong: false,
    });
    let grid = ImageGrid { title: String::new(), columns, tiles: tiles.collect(), colour_bar: None };
    if grid.tiles.is_empty() {
        return Ok(None);
    }
    let caption = if in_columns { "As many of each class." } else { "The first images with their labels." };
    let block = Block::Pictures { grid, caption: caption.into() };
    Ok(Some(Section { title: "Training examples".into(), blocks: vec![block] }))
}

/// How good a model's answers to a set are: metrics, what goes wrong, the first images with prediction and truth, and the
/// confusion matrix. Nothing without a truth.
pub fn answer_sections(set: &str, answers: &Answers) -> Result<Vec<Section>, ReportError> {
    let mut sections = measured::sections(set, answers)?;
    if answers.truth.is_none() {
        return Ok(sections);
    }
    if let Some(grid) = answers.grid(PREDICTIONS)?.filter(|_| answers.are_drawn()) {
        let caption = if answers.probable {
            "Below each image the prediction with its probability, and the truth; wrong ones are red."
        } else {
            "Below each image the prediction with its output, and the truth; wrong ones are red."
        };
        let title = format!("The first {} {set} images", grid.tiles.len());
        let block = Block::Pictures { grid, caption: caption.into() };
        sections.push(Section { title, blocks: vec![block] });
    }
    if let Some(matrix) = answers.confusion()?.filter(|_| answers.result.width <= MAX_CLASSES) {
        sections.push(Section { title: format!("Confusion matrix, {set} set"), blocks: vec![matrix.block()] });
    }
    Ok(sections)
}
