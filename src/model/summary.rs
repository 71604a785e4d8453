//! The table of layers, as Keras prints it.

use std::fmt;

use serde::Serialize;

use crate::model::{Layer, Model, Shape};
use crate::recipe::{Activation, LayerSpec, Padding};

/// The table of layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `[features]` or `[height, width, channels]`.
    pub input: Vec<usize>,
    /// One row per layer.
    pub layers: Vec<SummaryRow>,
    /// Trained scalars of all layers.
    pub parameters: usize,
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

impl Model {
    /// The table of layers with output shapes and parameter counts.
    pub fn summary(&self) -> Summary {
        let last = self.layers.len().saturating_sub(1);
        let rows = self.layers.iter().enumerate().map(|(index, layer)| SummaryRow {
            index,
            kind: layer.spec.kind().to_string(),
            description: describe(layer, if index == last { self.output_activation } else { Activation::Linear }),
            output: sizes(layer.output),
            parameters: layer.parameters_count(),
        });
        Summary { input: sizes(self.input), layers: rows.collect(), parameters: self.parameters_count() }
    }
}

fn sizes(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Features(features) => vec![features],
        Shape::Image { channels, height, width } => vec![height, width, channels],
    }
}

/// `conv2d 16, 3x3, stride 2x2, same, relu`; what the loss applies to the last layer's outputs follows an arrow.
fn describe(layer: &Layer, output: Activation) -> String {
    let cross = |pair: [usize; 2]| format!("{}x{}", pair[0], pair[1]);
    let kind = layer.spec.kind();
    let mut parts = match layer.spec {
        LayerSpec::Dense { units, .. } => vec![format!("{kind} {units}")],
        LayerSpec::Conv2d { filters, kernel, .. } => vec![format!("{kind} {filters}"), cross(kernel)],
        LayerSpec::MaxPool { size, .. } | LayerSpec::AveragePool { size, .. } => {
            vec![format!("{kind} {}", cross(size))]
        }
        LayerSpec::Dropout { rate } => vec![format!("{kind} {rate}")],
        LayerSpec::GlobalAveragePool | LayerSpec::Flatten | LayerSpec::Activation(_) => vec![kind.to_string()],
    };
    let (usual_stride, window) = match layer.spec {
        LayerSpec::Conv2d { stride, padding, .. } => ([1, 1], Some((stride, padding))),
        LayerSpec::MaxPool { size, stride, padding } | LayerSpec::AveragePool { size, stride, padding } => {
            (size, Some((stride, padding)))
        }
        _ => ([1, 1], None),
    };
    if let Some((stride, padding)) = window {
        parts.extend((stride != usual_stride).then(|| format!("stride {}", cross(stride))));
        parts.extend((padding == Padding::Same).then(|| padding.to_string()));
    }
    let activation = layer.spec.activation().filter(|activation| *activation != Activation::Linear);
    parts.extend(activation.map(|activation| activation.to_string()));
    if let LayerSpec::Dense { bias: false, .. } | LayerSpec::Conv2d { bias: false, .. } = layer.spec {
        parts.push("no bias".to_string());
    }
    let text = parts.join(", ");
    if output == Activation::Linear { text } else { format!("{text} -> {output}") }
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
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [index, layer, output, parameters] = [width(0), width(1), width(2), width(3)];
        let rule = "-".repeat(index + layer + output + parameters + 6);
        let last = rows.len() - 1;
        for (number, row) in rows.iter().enumerate() {
            if number == 1 || number == last {
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
