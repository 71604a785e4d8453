//! What a model makes of examples, beside the truth: classes with their certainty or values, and pictures of both.

use crate::data::{Array, Examples, Features, Storage, Targets, TrainedOn};
use crate::export::SavedModel;
use crate::metrics::{Classes, Metrics, Task, Truth, measure_all};
use crate::model::{Model, Shape};
use crate::recipe::{Activation, Aim, Loss};
use crate::report::{ConfusionMatrix, ImageGrid, Picture, ReportError, Tile, drawn_name};
use crate::train::{Predictions, SetTruth, task};

/// Fewer features than this, though their number is a square, are no image.
pub const MIN_PIXELS: usize = 64;

/// A model's answers to examples.
#[derive(Debug, Clone)]
pub struct Answers<'a> {
    model: &'a Model,
    examples: &'a Examples,
    /// The outputs, and the score.
    pub result: Predictions,
    /// Whether the outputs are probabilities: of classes, of bits, or a single one of class 1.
    pub probable: bool,
    /// Whether the outputs are those of several bits, each of which may be set.
    pub bits: bool,
    /// The class each example is taken for: the largest output, or for a single output whether it is above one half. None
    /// where the outputs are values or bits: where the labels name no classes or, without labels, where those of the training
    /// did not, or the network ends in neither a softmax nor a sigmoid.
    pub classes: Option<Vec<u32>>,
    /// The true classes, where the examples have labels and the answers are classes.
    pub truth: Option<Vec<u32>>,
    labelled: bool,
    /// Whether the outputs should be the inputs.
    pub reconstructs: bool,
    /// What is asked of the model by the targets.
    task: Task,
    /// Where the second of two classes begins, if that was asked for.
    threshold: Option<f32>,
    /// The true values, where there are any.
    values: Vec<f32>,
    trained_on: &'a TrainedOn,
}

impl<'a> Answers<'a> {
    /// From the outputs for the examples, whose targets are the truth if they are `labelled`.
    pub fn new(saved: &'a SavedModel, examples: &'a Examples, mut result: Predictions, labelled: bool) -> Answers<'a> {
        let SavedModel { model, trained_on, .. } = saved;
        // Values of a table, as they are learned, may look like classes by chance.
        let are_values = trained_on.table.is_some() && trained_on.classes == Some(false);
        let truth = examples.targets.classes().filter(|_| labelled && !are_values);
        let several_bits = model.loss == Loss::BinaryCrossEntropy && result.width > 1;
        let names_classes = match model.loss {
            Loss::SoftmaxCrossEntropy => true,
            Loss::BinaryCrossEntropy if !several_bits => true,
            Loss::BinaryCrossEntropy => trained_on.classes.unwrap_or(truth.is_some()),
            _ if labelled => truth.is_some(),
            Loss::Mse | Loss::HalfMse | Loss::Mae | Loss::Huber => {
                ends_bounded(model) && trained_on.classes != Some(false)
            }
        };
        let classes = names_classes.then(|| match result.width {
            1 => result.outputs.iter().map(|output| u32::from(*output > 0.5)).collect(),
            _ => result.classes(),
        });
        let probable = model.output_activation != Activation::Linear || ends_bounded(model) && names_classes;
        let truth = truth.filter(|_| names_classes);
        let bits = several_bits && !names_classes;
        let mut values = match &examples.targets {
            Targets::Values { values, .. } if labelled && classes.is_none() => values.clone(),
            _ => Vec::new(),
        };
        if let (Some(columns), None) = (&trained_on.table, &classes) {
            columns.unscale(&mut result.outputs, result.width);
            columns.unscale(&mut values, result.width);
        }
        let task = task(model, names_classes, [&examples.targets]);
        let (threshold, reconstructs) = (None, saved.recipe.data.targets == Some(Aim::Inputs));
        Answers {
            model,
            examples,
            result,
            probable,
            bits,
            classes,
            truth,
            labelled,
            reconstructs,
            task,
            threshold,
            values,
            trained_on,
        }
    }

    /// All that can be measured, values in their own units; nothing without a truth.
    pub fn metrics(&self) -> Option<Metrics> {
        let truth = SetTruth::new(self.task, &self.examples.targets, self.trained_on);
        let (outputs, width) = (&self.result.outputs, self.result.width);
        self.labelled.then(|| measure_all(outputs, width, truth.truth(self.threshold), &self.trained_on.targets(width)))
    }

    /// Takes the classes as they are measured; nothing without a truth.
    pub fn of_classes<R>(&self, take: impl FnOnce(&Classes) -> R) -> Option<R> {
        let truth = SetTruth::new(self.task, &self.examples.targets, self.trained_on);
        match truth.truth(self.threshold) {
            Truth::Classes { truth, probabilities, threshold } if self.truth.is_some() => {
                let outputs = &self.result.outputs;
                Some(take(&Classes::new(outputs, self.result.width, truth, probabilities, threshold)))
            }
            _ => None,
        }
    }

    /// Whether the classes have names beside their numbers.
    pub fn has_names(&self) -> bool {
        !self.trained_on.class_names.is_empty()
    }

    /// What a class is called.
    pub fn class_name(&self, class: u32) -> String {
        self.trained_on.class(class as usize)
    }

    /// What a class is called in drawings.
    fn drawn_name(&self, class: u32) -> String {
        drawn_name(class as usize, &self.class_name(class))
    }

    /// What the outputs are called in a table's header: the probability of a class by the class' name, where it has one, and a value by the
    /// target's column; otherwise `p1` for the probability of class 1, or of bit 1, `y1` for a value.
    pub fn output_names(&self) -> Vec<String> {
        let names = &self.trained_on.class_names;
        if self.classes.is_some() && self.probable && !names.is_empty() {
            return if self.result.width == 1 { vec![names[1].clone()] } else { names.clone() };
        }
        let targets = self.trained_on.targets(self.result.width);
        if self.classes.is_none() && !targets.is_empty() {
            return targets;
        }
        match (self.probable, self.result.width) {
            (true, 1) => vec!["p1".into()],
            (true, width) => (0..width).map(|output| format!("p{output}")).collect(),
            (false, width) => (0..width).map(|output| format!("y{output}")).collect(),
        }
    }

    /// The outputs as files hold them: (examples, outputs), or pictures as those that they should be, with channels last.
    pub fn array(&self) -> Option<Array> {
        let (count, width) = (self.count(), self.result.width);
        let shape = self.shape().in_files(count);
        let example = |index| (0..width).map(move |column| self.outputs(index)[self.place(column)]);
        Array::from_f32(&shape, &Vec::from_iter((0..count).flat_map(example)))
    }

    /// The output that is in a column of a file.
    pub fn place(&self, column: usize) -> usize {
        let channels = self.shape().channels();
        column % channels * (self.result.width / channels) + column / channels
    }

    /// The shape of an example's outputs: that of the inputs, where they should be these.
    fn shape(&self) -> Shape {
        if self.reconstructs { self.model.input } else { Shape::Features(self.result.width) }
    }

    /// Pictures of inputs, above what the model makes of them, in the inputs' range, with how far they are apart.
    fn reconstructions(&self, indices: &[usize], shape: [usize; 3], title: String) -> Result<ImageGrid, ReportError> {
        let [low, high] = self
            .values
            .iter()
            .fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], value| [low.min(*value), high.max(*value)]);
        let tile = |&index: &usize| {
            let given = Picture::from_values(shape, self.targets(index).unwrap_or_default(), low, high)?;
            let made = Picture::from_values(shape, self.outputs(index), low, high)?;
            Ok(Tile {
                picture: given.above(&made)?,
                caption: vec![format!("{:.4}", self.distance(index))],
                wrong: false,
            })
        };
        let tiles = indices.iter().map(tile).collect::<Result<_, ReportError>>()?;
        Ok(ImageGrid { title, columns: 10, tiles, colour_bar: None })
    }

    /// How far the outputs for an example are from its values: the root of the mean squared difference.
    pub fn distance(&self, index: usize) -> f64 {
        let targets = self.targets(index).unwrap_or_default();
        let squares = self.outputs(index).iter().zip(targets).map(|(a, b)| f64::from(a - b).powi(2));
        (squares.sum::<f64>() / targets.len().max(1) as f64).sqrt()
    }

    /// What each bit is called: by its target's column, or by its number.
    pub fn bit_names(&self) -> Vec<String> {
        (0..self.result.width).map(|bit| self.listed_name(bit)).collect()
    }

    /// The name under which [`Answers::metrics`] lists a bit or a value.
    pub fn listed_name(&self, output: usize) -> String {
        let targets = self.trained_on.targets(self.result.width);
        targets.get(output).cloned().unwrap_or_else(|| output.to_string())
    }

    /// How far the outputs for an example are from its values: the largest difference.
    pub fn error(&self, index: usize) -> f64 {
        let targets = self.targets(index).unwrap_or_default();
        let errors = self.outputs(index).iter().zip(targets).map(|(output, target)| f64::from((output - target).abs()));
        errors.fold(0.0, f64::max)
    }

    /// What went wrong, in words, and the examples that it happened to: wrong classes by how sure the answer was, values by
    /// how far they are off. None without a truth.
    pub fn mistakes(&self) -> Option<(&'static str, Vec<usize>)> {
        let mut found: Vec<(usize, f64)> = Vec::new();
        if let (Some(truth), Some(classes)) = (&self.truth, &self.classes) {
            let wrong = (0..self.count()).filter(|&index| truth[index] != classes[index]);
            found.extend(wrong.filter_map(|index| Some((index, f64::from(self.class(index)?.1)))));
        } else if self.classes.is_none() && !self.values.is_empty() {
            found.extend((0..self.count()).map(|index| (index, self.error(index))).filter(|(_, error)| *error > 0.0));
        } else {
            return None;
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        let title = if self.classes.is_some() { "Surest mistakes" } else { "Largest errors" };
        Some((title, found.into_iter().map(|(index, _)| index).collect()))
    }

    /// Which bits of one example are more likely set than not; none where the outputs are no bits.
    pub fn set_bits(&self, index: usize) -> Option<Vec<u8>> {
        self.bits.then(|| self.outputs(index).iter().map(|output| u8::from(*output > 0.5)).collect())
    }

    /// In how many examples every bit is right; none without a truth, or where the outputs are no bits.
    pub fn right_in_every_bit(&self) -> Option<usize> {
        let right = |index: &usize| {
            let targets = self.targets(*index).unwrap_or_default();
            self.outputs(*index).iter().zip(targets).all(|(output, target)| (*output > 0.5) == (*target > 0.5))
        };
        (self.bits && self.labelled).then(|| (0..self.count()).filter(right).count())
    }

    /// Number of examples.
    pub fn count(&self) -> usize {
        self.examples.count()
    }

    /// The outputs for one example.
    pub fn outputs(&self, index: usize) -> &[f32] {
        &self.result.outputs[index * self.result.width..][..self.result.width]
    }

    /// The values that one example's outputs should have, where they are values and known.
    pub fn targets(&self, index: usize) -> Option<&[f32]> {
        self.values.get(index * self.result.width..(index + 1) * self.result.width)
    }

    /// Of two classes, takes examples for the second where its probability is at least this; false where there are not two, or
    /// no probabilities.
    pub fn set_threshold(&mut self, threshold: f32) -> bool {
        let Some(classes) = self.classes.as_mut().filter(|_| self.probable && self.result.width <= 2) else {
            return false;
        };
        let rows = self.result.outputs.chunks(self.result.width);
        *classes = rows.map(|row| u32::from(row[row.len() - 1] >= threshold)).collect();
        self.threshold = Some(threshold);
        true
    }

    /// The class of one example, and how sure the model is of it; for a model whose outputs are no probabilities, the
    /// output itself. None where the outputs are values.
    pub fn class(&self, index: usize) -> Option<(u32, f32)> {
        let class = self.classes.as_ref()?[index];
        let sure = match self.outputs(index) {
            [one] if class == 0 && self.probable => 1.0 - one,
            [one] => *one,
            row => row[class as usize],
        };
        Some((class, sure))
    }

    /// Examples by true class, then by predicted class; none without a truth.
    pub fn counts(&self) -> Option<Vec<Vec<u64>>> {
        let classes = self.result.width.max(2);
        let mut counts = vec![vec![0; classes]; classes];
        for (truth, class) in self.truth.as_ref()?.iter().zip(self.classes.as_ref()?) {
            counts[*truth as usize][*class as usize] += 1;
        }
        Some(counts)
    }

    /// The same as a matrix to be drawn.
    pub fn confusion(&self) -> Result<Option<ConfusionMatrix>, ReportError> {
        let Some(counts) = self.counts() else { return Ok(None) };
        let names = (0..counts.len()).map(|class| self.trained_on.class(class)).collect();
        ConfusionMatrix::new(names, counts.concat()).map(Some)
    }

    /// (channels, height, width) of the examples, where they can be drawn.
    pub(super) fn picture_shape(&self) -> Option<[usize; 3]> {
        picture_shape(self.model, self.examples.features.shape)
    }

    /// Whether a report draws the examples.
    pub(super) fn are_drawn(&self) -> bool {
        self.picture_shape().as_ref().is_some_and(is_drawn)
    }

    /// The first images with prediction and truth, wrong ones red; none where the examples are no pictures.
    pub fn grid(&self, first: usize) -> Result<Option<ImageGrid>, ReportError> {
        let first = first.min(self.count());
        let indices: Vec<usize> = (0..first).collect();
        let grid = self.grid_of(&indices, format!("{first} predictions"))?;
        Ok(grid.map(|mut grid| {
            if self.truth.is_some() {
                let wrong = grid.tiles.iter().filter(|tile| tile.wrong).count();
                grid.title = format!("{first} predictions, {wrong} wrong");
            }
            grid
        }))
    }

    /// The images of these examples with prediction and truth, wrong ones red; none where the examples are no pictures.
    pub fn grid_of(&self, indices: &[usize], title: String) -> Result<Option<ImageGrid>, ReportError> {
        let features = &self.examples.features;
        let Some(shape) = self.picture_shape() else { return Ok(None) };
        if self.reconstructs && !self.values.is_empty() {
            return self.reconstructions(indices, shape, title).map(Some);
        }
        let pictures = pictures(features, shape, indices)?;
        let tile = |(&index, picture): (&usize, Picture)| {
            let Some((class, sure)) = self.class(index) else {
                let target = self.targets(index).map(|values| format!("true: {}", in_words(values)));
                let caption = [in_words(self.outputs(index))].into_iter().chain(target).collect();
                return Tile { picture, caption, wrong: false };
            };
            let label = self.truth.as_ref().map(|truth| truth[index]);
            let sure = if self.probable { format!("{:.0} %", 100.0 * sure) } else { format!("{sure:.2}") };
            let mut caption = vec![format!("{}  ({sure})", self.drawn_name(class))];
            caption.extend(label.map(|label| format!("true: {}", self.drawn_name(label))));
            Tile { picture, caption, wrong: label.is_some_and(|label| label != class) }
        };
        let tiles: Vec<Tile> = indices.iter().zip(pictures).map(tile).collect();
        Ok(Some(ImageGrid { title, columns: 10, tiles, colour_bar: None }))
    }
}

/// Whether the network's last layer gives numbers from 0 to 1.
fn ends_bounded(model: &Model) -> bool {
    let activation = model.layers.last().and_then(|layer| layer.kind.activation());
    matches!(activation, Some(Activation::Softmax | Activation::Sigmoid))
}

/// Values for people; of many the first.
pub fn in_words(values: &[f32]) -> String {
    const SHOWN: usize = 8;
    let more = if values.len() > SHOWN { " …" } else { "" };
    format!("{}{more}", values.iter().take(SHOWN).map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" "))
}

/// Channels, height and width of examples that can be drawn; a vector is taken for a square image of one channel if it
/// can be one. What a model looks up, numbers of levels, cannot.
pub fn picture_shape(model: &Model, shape: Shape) -> Option<[usize; 3]> {
    match shape {
        _ if model.takes_levels() => None,
        Shape::Image { channels: channels @ (1 | 3), height, width } => Some([channels, height, width]),
        Shape::Features(n) if n.isqrt().pow(2) == n => Some([1, n.isqrt(), n.isqrt()]),
        Shape::Image { .. } | Shape::Features(_) => None,
    }
}

/// Whether reports draw examples of a shape that can be drawn.
pub(super) fn is_drawn(shape: &[usize; 3]) -> bool {
    shape.iter().product::<usize>() >= MIN_PIXELS
}

/// Pictures of the examples at `indices`.
pub(super) fn pictures(features: &Features, shape: [usize; 3], indices: &[usize]) -> Result<Vec<Picture>, ReportError> {
    let size: usize = shape.iter().product();
    let (low, high) = match features.storage {
        Storage::U8(_) => (0.0, 255.0),
        Storage::F32(_) => features.storage.bounds(),
    };
    let picture = |&index: &usize| {
        let values: Vec<f32> = (index * size..(index + 1) * size).map(|at| features.storage.get(at)).collect();
        Picture::from_values(shape, &values, low, high)
    };
    indices.iter().map(picture).collect()
}
