//! `[model]`: the network, its loss and its initial weights.

use super::super::short;
use crate::kernel::{Activation, Loss};
#[cfg(test)]
use crate::keys::KeyReference;
use crate::keys::{
    Entries, Form, Item, KeyError, List, Number, Optional, Plain, Section, Table, Unless, Value, Whole, keyed,
};
use crate::layers::{Init, LayerSpec, Levels};

keyed! {
    /// The network as the recipe writes it.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ModelSpec {
        /// `[features]` or `[height, width, channels]`; empty takes the data's own shape.
        pub input: Vec<usize> [Unless(Vec::new(), INPUT); "[28, 28, 1]"],
        /// The layers, from input to output.
        pub layers: Vec<LayerSpec> [Layers; "[{ dense = 128, activation = \"relu\" }, { dense = 10 }]"],
        /// What training makes small.
        pub loss: Loss = Loss::default(),
        /// The share of the target that is spread over all classes, as in PyTorch's CrossEntropyLoss. Evaluations smooth too: they
        /// measure what training makes small.
        pub label_smoothing: f32 [Number("a share, 0 or more and at most 1, such as 0.1", |x| (0.0..=1.0).contains(&x))]
            where loss is (Loss::SoftmaxCrossEntropy, "loss = \"softmax_cross_entropy\"") = 0.0,
        /// The difference between output and target up to which Huber's loss is quadratic.
        pub delta: f32 [Number("a difference above 0", |x| x > 0.0)] where loss is (Loss::Huber, "loss = \"huber\"") = 1.0,
        /// Initial weights of every layer that names none of its own.
        pub init: Init = Init::default(),
        /// Initial biases of every layer that names none of its own; zeros where it is left out.
        pub bias_init: Option<Init> [Optional(Plain); "{ constant = 0.01 }"],
    }
    also {
        /// The activation of dense layers and convolutions that name none, except the last one.
        activation: Option<Activation> [Optional(Plain); "\"relu\""],
    }
}

impl ModelSpec {
    /// Whether an embedding looks the categories of a table up: it leaves the number of levels to the data, or says how many
    /// values are categories.
    pub fn looks_up_categories(&self) -> bool {
        self.levels().any(|levels| levels.count.is_none() || levels.categories.is_some())
    }

    /// Whether the data decides what the network is: its input, or the levels of an embedding.
    pub fn leaves_to_data(&self) -> bool {
        self.input.is_empty() || self.levels().any(|levels| levels.count.is_none())
    }

    /// What its embeddings look up.
    fn levels(&self) -> impl Iterator<Item = Levels> {
        self.layers.iter().filter_map(|layer| layer.kind.levels())
    }

    /// Gives embeddings that leave their levels to the data those of a table's categories, where it has any.
    pub fn look_up(&mut self, levels: Option<Levels>) {
        let Some(levels) = levels else { return };
        for layer in &mut self.layers {
            if layer.kind.levels().is_some_and(|levels| levels.count.is_none()) {
                layer.change(layer.kind.with_levels(levels));
            }
        }
    }
}

const INPUT: List<Whole, usize> =
    List("[features] or [height, width, channels], such as [784] or [28, 28, 1]", Whole(1), |sizes| {
        matches!(sizes, [_] | [_, _, _])
    });

/// `[model]`: a recipe with a sweep over whole recipes needs none.
pub(super) struct Model;

impl Form<ModelSpec> for Model {
    fn expected(&self) -> String {
        Form::<ModelSpec>::expected(&Section)
    }

    fn read(&self, item: &Item<'_>) -> Result<ModelSpec, KeyError> {
        Section.read(item)
    }

    fn get(&self, recipe: &Table<'_>, key: &str) -> Result<ModelSpec, KeyError> {
        let spec: ModelSpec = Section.get(recipe, key)?;
        if spec.layers.is_empty() && recipe.section("sweep")?.get("recipes").is_none() {
            return Err(recipe.section(key)?.missing("layers", &Layers.expected()));
        }
        Ok(spec)
    }

    fn write(&self, key: &str, spec: &ModelSpec, entries: &mut Entries) {
        if !spec.layers.is_empty() {
            entries.put(key, spec);
        }
    }
}

/// The layers, or their short form.
struct Layers;

impl Form<Vec<LayerSpec>> for Layers {
    fn expected(&self) -> String {
        "a list of layers, such as [{ dense = 128, activation = \"relu\" }, { dense = 10 }]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Vec<LayerSpec>, KeyError> {
        layers_of(item, None)
    }

    fn get(&self, table: &Table<'_>, key: &str) -> Result<Vec<LayerSpec>, KeyError> {
        table.get(key).map_or(Ok(Vec::new()), |item| layers_of(&item, table.get("activation")))
    }

    /// A line for each layer.
    fn write(&self, key: &str, layers: &Vec<LayerSpec>, entries: &mut Entries) {
        let lines: String = layers.iter().map(|spec| format!("  {},\n", spec.toml())).collect();
        entries.put_text(key, format!("[\n{lines}]"));
    }

    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        vec![KeyReference { required: true, ..key }]
    }
}

/// The layers; `hidden` is the activation of those that name none, except the last one.
fn layers_of(item: &Item<'_>, hidden: Option<Item<'_>>) -> Result<Vec<LayerSpec>, KeyError> {
    let activation = hidden.as_ref().map(|hidden| hidden.word()).transpose()?;
    let short = match &item.node.value {
        Value::String(text) => Some(text.clone()),
        // One dense layer: what is given without quotes reads as a number.
        Value::Integer(units) => Some(units.to_string()),
        _ => None,
    };
    if let Some(text) = short {
        let layers = short::parse_with(&text, activation.unwrap_or_default());
        return layers.map_err(|error| item.conflict(error.to_string()));
    }
    let mut given = item.node.clone();
    if let (Value::Array(layers), Some(hidden)) = (&mut given.value, hidden) {
        let last = layers.iter().rposition(LayerSpec::follows_activation);
        let others = layers.iter_mut().enumerate().filter(|(index, _)| last != Some(*index));
        others.for_each(|(_, layer)| LayerSpec::give_activation(layer, hidden.node));
    }
    let list = List("a list of layers, or the short form \"128:relu,10\"", Plain, |_| true);
    let layers: Vec<LayerSpec> = list.read(&Item { path: item.path.clone(), node: &given })?;
    if layers.is_empty() { Err(item.wrong("at least one layer, such as { dense = 10 }")) } else { Ok(layers) }
}
