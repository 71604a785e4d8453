//! `{ reshape = [HEIGHT, WIDTH, CHANNELS] }`: values to an image, in their order: channel by channel, each row by row, as PyTorch's
//! `view(channels, height, width)` takes them. So `flatten` and then `reshape` gives the image back.

use super::tensor::positive;
use super::{Forward, Layer, LayerKind, LayerProblem, Reader, Shape, from_fields, reader, within_limit};
use crate::graph::ValueId;
use crate::keys::{Form, Item, KeyError, keyed};
use crate::onnx;

keyed! {
    /// Values to an image.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Reshape {
        /// Height, width and channels, as a recipe gives the input's.
        pub size: [usize; 3] [Size; "[7, 7, 64]"],
    }
}

/// Height, width and channels.
struct Size;

impl Form<[usize; 3]> for Size {
    fn expected(&self) -> String {
        "[height, width, channels], such as [7, 7, 64]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<[usize; 3], KeyError> {
        match &item.list(&self.expected())?[..] {
            [height, width, channels] => Ok([height.whole(1)?, width.whole(1)?, channels.whole(1)?]),
            _ => Err(item.wrong(self.expected())),
        }
    }
}

pub(super) static READER: Reader = reader!(Reshape(size), "reshape", "{ reshape = [HEIGHT, WIDTH, CHANNELS] }");

impl LayerKind for Reshape {
    from_fields!(word, write);

    fn describe(&self, words: &mut Vec<String>) {
        words.push("reshape".into());
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        positive("reshape", &self.size)?;
        let [height, width, channels] = self.size;
        let len = within_limit("the output", &self.size)?;
        let to = Shape::Image { channels, height, width };
        if len == inputs[0].len() { Ok(to) } else { Err(LayerProblem::OtherSize { from: inputs[0], to }) }
    }

    /// The values lie in memory as an image has them.
    fn forward(&self, _pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        inputs[0]
    }

    fn onnx(&self, _layer: &Layer, _inputs: &[&str], _parameters: &[&str], graph: &mut onnx::Builder) {
        let [height, width, channels] = self.size.map(|n| n as i64);
        // The 0 keeps the batch.
        let shape = graph.own_integers("shape", &[0, channels, height, width]);
        graph.node("Reshape", &[&shape], Vec::new());
    }
}
