//! The table of layers, as Keras prints it.

use std::fmt;

use serde::Serialize;

use crate::kernel::Activation;
use crate::layers::{DATA, Input};
use crate::model::{Layer, Model, Shape};

/// The table of layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `[features]` or `[height, width, channels]`.
    pub input: Vec<usize>,
    /// One row per layer.
    pub layers: Vec<SummaryRow>,
    /// Trained scalars of all layers.
    pub parameters: usize,
    /// Scalars of all layers that are measured while training, not trained.
    pub statistics: usize,
    /// Those of the parameters that are frozen, where some are.
    #[serde(skip_serializing_if = "is_zero")]
    pub frozen: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SummaryRow {
    /// Position, from 0.
    pub index: usize,
    /// The recipe's word for the kind.
    pub kind: String,
    /// The kind and its numbers in words.
    pub description: String,
    /// `[features]` or `[height, width, channels]`.
    pub output: Vec<usize>,
    /// Trained scalars.
    pub parameters: usize,
}

/// What the row below the total says.
pub(crate) const STATISTICS: &str = "running statistics, not trained";

impl Model {
    /// The table of layers with output shapes and parameter counts.
    pub fn summary(&self) -> Summary {
        let last = self.layers.len().saturating_sub(1);
        let rows = self.layers.iter().enumerate().map(|(index, layer)| SummaryRow {
            index,
            kind: layer.kind.word().to_string(),
            description: describe(self, layer, if index == last { self.output_activation } else { Activation::Linear }),
            output: sizes(layer.output),
            parameters: self.layer_parameters(layer),
        });
        let (parameters, statistics) = (self.parameters_count(), self.statistics_count());
        let frozen = self.frozen_parameters().into_iter().zip(&self.parameters);
        let frozen = frozen.filter(|(frozen, _)| *frozen).map(|(_, parameter)| parameter.len()).sum();
        Summary { input: sizes(self.input), layers: rows.collect(), parameters, statistics, frozen }
    }
}

fn sizes(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Features(features) => vec![features],
        Shape::Image { channels, height, width } => vec![height, width, channels],
    }
}

/// `conv2d 16, 3x3, stride 2x2, same, relu`; what the loss applies to the last layer's outputs follows an arrow.
fn describe(model: &Model, layer: &Layer, output: Activation) -> String {
    let mut words = Vec::new();
    layer.kind.describe(&mut words);
    words.extend(sources(model, layer));
    words.extend(layer.given_name().map(|name| format!("named {name}")));
    words.extend(layer.frozen.then(|| "frozen".into()));
    let text = words.join(", ");
    if output == Activation::Linear { text } else { format!("{text} -> {output}") }
}

/// What the layer takes, unless it is what the layer before gives.
fn sources(model: &Model, layer: &Layer) -> Option<String> {
    let before = layer.index.checked_sub(1).map_or(Input::Data, Input::Layer);
    let name = |input: &Input| match input {
        Input::Data => DATA.to_string(),
        Input::Layer(index) => model.layers[*index].given_name().map_or(format!("layer {index}"), str::to_string),
    };
    let names = || layer.inputs.iter().map(name).collect::<Vec<_>>().join(" and ");
    (layer.inputs != [before]).then(|| format!("of {}", names()))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let mut rows = vec![["", "layer", "output", "parameters"].map(str::to_string)];
        rows.push(["".into(), "input".into(), shape(&self.input), "".into()]);
        rows.extend(self.layers.iter().map(|row| {
            [row.index.to_string(), row.description.clone(), shape(&row.output), row.parameters.to_string()]
        }));
        rows.push(["".into(), "total".into(), "".into(), self.parameters.to_string()]);
        let total = rows.len() - 1;
        if self.frozen > 0 {
            rows.push(["".into(), "of which frozen".into(), "".into(), self.frozen.to_string()]);
        }
        if self.statistics > 0 {
            rows.push(["".into(), STATISTICS.into(), "".into(), self.statistics.to_string()]);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [index, layer, output, parameters] = [width(0), width(1), width(2), width(3)];
        let rule = "-".repeat(index + layer + output + parameters + 6);
        for (number, row) in rows.iter().enumerate() {
            if number == 1 || number == total {
                writeln!(f, "{rule}")?;
            }
            let [a, b, c, d] = row;
            let line = format!("{a:>index$}  {b:<layer$}  {c:<output$}  {d:>parameters$}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Model, Shape};
    use crate::recipe::{Activation, Init, LayerSpec, Loss, ModelSpec};

    #[test]
    fn the_table_of_the_coursework() {
        let layers = [(128, Activation::Linear), (64, Activation::Relu), (10, Activation::Softmax)];
        let spec = ModelSpec {
            input: vec![784],
            layers: layers.map(|(units, activation)| LayerSpec::dense(units, activation)).into(),
            loss: Loss::SoftmaxCrossEntropy,
            label_smoothing: 0.0,
            delta: 1.0,
            init: Init::default(),
            bias_init: None,
        };
        let image = Shape::Image { channels: 1, height: 28, width: 28 };
        let expected = [
            "   layer                output  parameters",
            "------------------------------------------",
            "   input                784",
            "0  dense 128            128         100480",
            "1  dense 64, relu       64            8256",
            "2  dense 10 -> softmax  10             650",
            "------------------------------------------",
            "   total                            109386",
        ];
        let summary = Model::build(&spec, Some(image)).unwrap().summary();
        assert_eq!(summary.to_string().lines().collect::<Vec<_>>(), expected);
        assert_eq!(summary.layers.iter().map(|row| row.parameters).collect::<Vec<_>>(), [100480, 8256, 650]);
    }
}
