//! The kinds of layers. Each has one file: the keys of a recipe, the shape, the tensors, what it computes forward and backward, its
//! ONNX form and its words in the summary; and one line in `KINDS`.

mod activation;
mod add;
mod batch_norm;
mod concat;
mod conv2d;
mod conv2d_transpose;
mod dense;
mod dropout;
mod embedding;
mod flatten;
mod global_pool;
mod init;
mod layer;
mod norm;
mod pool;
mod problem;
mod reshape;
mod residual;
mod shape;
mod tensor;
mod upsample;
mod window;
mod write;

pub use crate::keys::Entries;
pub use activation::ActivationLayer;
pub use add::Add;
pub use batch_norm::BatchNorm;
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use conv2d_transpose::Conv2dTranspose;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use global_pool::GlobalPool;
pub use init::Init;
pub use layer::{Input, Layer};
pub use norm::Norm;
pub use pool::{Pool, Pooling};
pub use problem::LayerProblem;
pub use reshape::Reshape;
pub use residual::Residual;
pub use shape::Shape;
pub use tensor::{Parameter, TensorRole, TensorSpec};
pub use upsample::Upsample;
pub use window::{Padding, Window};

pub(crate) use tensor::{MAX_NUMBERS, within_limit};

use crate::graph::{Graph, Operation, ValueId, pointwise};
use crate::kernel::Activation;
#[cfg(test)]
use crate::keys::KeyReference;
use crate::keys::{Form, Item, KeyError, Keyed, List, Node, Plain, Table, Text, Value};
use crate::onnx;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// What layers call the data by.
pub(crate) const DATA: &str = "input";

/// All kinds, in the order in which errors list them.
static KINDS: &[&Reader] = &[
    &dense::READER,
    &conv2d::READER,
    &conv2d_transpose::READER,
    &pool::MAX,
    &pool::AVERAGE,
    &global_pool::AVERAGE,
    &global_pool::MAX,
    &flatten::READER,
    &reshape::READER,
    &dropout::READER,
    &batch_norm::READER,
    &norm::LAYER,
    &norm::GROUP,
    &upsample::READER,
    &embedding::READER,
    &add::READER,
    &concat::READER,
    &residual::READER,
    &activation::READER,
];

/// How a kind is read from a recipe.
struct Reader {
    /// The key that names the kind.
    word: &'static str,
    /// Its other keys.
    keys: &'static [&'static str],
    /// How errors show it.
    example: &'static str,
    /// Whether it has an activation that follows `model.activation` where the layer names none.
    follows_activation: bool,
    read: fn(&Table<'_>) -> Result<Arc<dyn LayerKind>, KeyError>,
    /// What the recipe reference says of the kind and its keys.
    #[cfg(test)]
    reference: fn() -> (&'static str, Vec<KeyReference>),
}

/// The reader of a kind whose keys are declared. In parentheses stand the fields that the key that names the kind tells, its value
/// last.
macro_rules! reader {
    ($kind:ident($($head:ident),+), $word:literal, $example:literal) => {
        super::Reader {
            word: $word,
            keys: <$kind as crate::keys::Keyed>::KEYS.split_at([$(stringify!($head)),+].len()).1,
            example: $example,
            follows_activation: false,
            read: |table| {
                let names = [$(stringify!($head)),+];
                let table = table.clone().of_kind(names[names.len() - 1], $word);
                Ok(std::sync::Arc::new(<$kind as crate::keys::Keyed>::read(&table)?))
            },
            #[cfg(test)]
            reference: || (<$kind as crate::keys::Keyed>::DOC, <$kind as crate::keys::Keyed>::reference()),
        }
    };
}
use reader;

/// Writes a kind whose keys are declared.
fn write_keys(kind: &(impl LayerKind + Keyed), entries: &mut Entries) {
    let mut own = Entries::default();
    Keyed::write(kind, &mut own);
    entries.append(kind.word(), own);
}

/// Methods of [`LayerKind`] that a kind's fields and its `READER` tell, by what they are about.
macro_rules! from_fields {
    ($($what:ident $(($field:ident))?),+) => { $(super::from_fields! { @$what $($field)? })+ };
    (@word) => {
        fn word(&self) -> &'static str {
            READER.word
        }
    };
    (@write) => {
        fn write(&self, entries: &mut super::Entries) {
            super::write_keys(self, entries);
        }
    };
    (@activation) => {
        fn activation(&self) -> Option<crate::kernel::Activation> {
            Some(self.activation)
        }

        fn with_activation(&self, activation: crate::kernel::Activation) -> Option<std::sync::Arc<dyn LayerKind>> {
            Some(std::sync::Arc::new(Self { activation, ..Clone::clone(self) }))
        }
    };
    (@width $field:ident) => {
        fn width(&self) -> Option<usize> {
            Some(self.$field)
        }

        fn with_width(&self, $field: usize) -> Option<std::sync::Arc<dyn LayerKind>> {
            Some(std::sync::Arc::new(Self { $field, ..Clone::clone(self) }))
        }
    };
    (@init) => {
        fn without_init(&self) -> Option<std::sync::Arc<dyn LayerKind>> {
            Some(std::sync::Arc::new(Self { init: None, bias_init: None, ..Clone::clone(self) }))
        }
    };
}
use from_fields;

/// What the recipe reference says of a kind.
#[cfg(test)]
pub(crate) struct LayerReference {
    pub(crate) example: &'static str,
    /// What the kind is.
    pub(crate) doc: &'static str,
    /// Its keys, the one that names it first.
    pub(crate) keys: Vec<KeyReference>,
}

/// What the recipe reference says of layers.
#[cfg(test)]
pub(crate) fn reference() -> impl Iterator<Item = LayerReference> {
    KINDS.iter().map(|kind| {
        let (doc, mut keys) = (kind.reference)();
        keys[0].key = kind.word.into();
        if kind.example.contains(&format!("{} = true", kind.word)) {
            (keys[0].allowed, keys[0].example) = ("true".into(), Some("true"));
        }
        LayerReference { example: kind.example, doc, keys }
    })
}

/// The levels that values of the data are numbers of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// How many there are; `None` leaves it to the data.
    pub count: Option<usize>,
    /// So many last values of an example are their numbers, or -1 for none of them; `None` says that all are, and that none is none.
    pub categories: Option<usize>,
}

impl Levels {
    /// Those of an example's so many values that are looked up: the last ones.
    pub fn places(&self, values: usize) -> Range<usize> {
        values - self.categories.unwrap_or(values).min(values)..values
    }

    /// What a value that is looked up may be, as whole numbers.
    pub fn numbers(&self) -> Range<i64> {
        -i64::from(self.categories.is_some())..self.count.unwrap_or_default() as i64
    }
}

/// One kind of layer, with its numbers.
pub trait LayerKind: Debug + Send + Sync {
    /// The key that names the kind in a recipe.
    fn word(&self) -> &'static str;

    /// All keys, as a recipe has them.
    fn write(&self, entries: &mut Entries);

    /// The numbers in words, for the summary.
    fn describe(&self, words: &mut Vec<String>);

    /// Applied to the layer's outputs; `None` for kinds that have none.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// The same with another activation; `None` for kinds that have none.
    fn with_activation(&self, _: Activation) -> Option<Arc<dyn LayerKind>> {
        None
    }

    /// Outputs or channels that the layer makes whatever comes in; `None` for kinds whose input decides.
    fn width(&self) -> Option<usize> {
        None
    }

    /// The same with another width; `None` for kinds that have none.
    fn with_width(&self, _: usize) -> Option<Arc<dyn LayerKind>> {
        None
    }

    /// The same without initial values of its own; `None` where it has none.
    fn without_init(&self) -> Option<Arc<dyn LayerKind>> {
        None
    }

    /// Whether each output is one of the inputs, in their order: while testing, the layer changes nothing but the shape.
    fn keeps_values(&self) -> bool {
        false
    }

    /// What it looks up, where the layer takes the data's values for numbers of levels.
    fn levels(&self) -> Option<Levels> {
        None
    }

    /// The same with others; `None` for kinds that look up nothing.
    fn with_levels(&self, _: Levels) -> Option<Arc<dyn LayerKind>> {
        None
    }

    /// The layers whose outputs it takes, where it names them itself.
    fn named_inputs(&self) -> &[String] {
        &[]
    }

    /// The layers that it stands for.
    fn block(&self) -> Option<&Residual> {
        None
    }

    /// Shape of one example coming out.
    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem>;

    /// What is trained, and what is measured for evaluations.
    fn tensors(&self, _input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        Ok(Vec::new())
    }

    /// Terms of the longest sums that the layer takes, forward and backward together: rounding errors grow with them.
    fn terms(&self, layer: &Layer) -> usize {
        layer.input.len().div_ceil(layer.output.len())
    }

    /// Terms that each example of a batch adds to those sums, where the layer sums over the batch.
    fn terms_per_example(&self, _layer: &Layer) -> usize {
        0
    }

    /// The fewest examples of a training batch with which the layer computes anything.
    fn least_rows(&self, _layer: &Layer) -> usize {
        1
    }

    /// Adds the layer's operations to the graph.
    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId;

    /// Adds the layer's nodes, without its activation. The builder's current value is the first input.
    fn onnx(&self, layer: &Layer, inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder);
}

/// The graph as it grows, layer by layer.
pub struct Forward<'a> {
    /// Where the operations go.
    pub graph: &'a mut Graph,
    /// The layer whose turn it is.
    pub layer: &'a Layer,
    /// Whether the graph is for training.
    pub training: bool,
    /// Whether batches are normalised by their own statistics: in training, or where an evaluation asks for it.
    pub own_statistics: bool,
}

impl Forward<'_> {
    /// Adds an operation that gives the layer's output.
    fn operation(&mut self, operation: impl Operation + 'static, inputs: &[ValueId]) -> ValueId {
        let output = self.value("output");
        self.graph.node(Arc::new(operation), inputs, &[output]);
        output
    }

    /// Adds an operation with the activation in it, where the derivative follows from the output; else the activation is an
    /// operation of its own, so that its input is kept for the backward pass.
    fn with_activation(
        &mut self,
        activation: Activation,
        inputs: &[ValueId],
        operation: impl FnOnce(Activation) -> Arc<dyn Operation>,
    ) -> ValueId {
        self.with_activation_and(activation, inputs, &[], operation)
    }

    /// The same with an operation that writes other values beside the output.
    fn with_activation_and(
        &mut self,
        activation: Activation,
        inputs: &[ValueId],
        others: &[ValueId],
        operation: impl FnOnce(Activation) -> Arc<dyn Operation>,
    ) -> ValueId {
        let fused = activation.derivative_from_output();
        let result = self.value(if fused { "output" } else { "preactivation" });
        let operation = operation(if fused { activation } else { Activation::Linear });
        self.graph.node(operation, inputs, &[&[result], others].concat());
        if fused { result } else { self.activation(activation, result) }
    }

    /// Adds an activation that gives the layer's output.
    fn activation(&mut self, activation: Activation, input: ValueId) -> ValueId {
        match activation {
            Activation::Linear => input,
            Activation::Softmax => self.operation(pointwise::Softmax, &[input]),
            kind => self.operation(pointwise::Activate(kind), &[input]),
        }
    }

    fn value(&mut self, what: &str) -> ValueId {
        self.graph.value(format!("{}.{what}", self.layer.name), self.layer.output.len())
    }
}

/// One layer of a recipe. Two are equal if recipes write them in one way.
#[derive(Debug, Clone)]
pub struct LayerSpec {
    /// Its name: other layers take its output by it, and its tensors are called by it.
    pub name: Option<String>,
    /// The layer whose output it takes; `None` takes that of the layer before.
    pub from: Option<String>,
    /// What it does.
    pub kind: Arc<dyn LayerKind>,
}

impl<K: LayerKind + 'static> From<K> for LayerSpec {
    fn from(kind: K) -> LayerSpec {
        LayerSpec { name: None, from: None, kind: Arc::new(kind) }
    }
}

impl PartialEq for LayerSpec {
    fn eq(&self, other: &LayerSpec) -> bool {
        self.toml() == other.toml()
    }
}

impl LayerSpec {
    /// A dense layer with the defaults of a recipe.
    pub fn dense(units: usize, activation: Activation) -> LayerSpec {
        Dense { units, activation, bias: true, init: None, bias_init: None }.into()
    }

    /// The layer as a recipe writes it, every default written out.
    pub fn toml(&self) -> String {
        let mut entries = Entries::default();
        entries.put("name", &self.name);
        entries.put("from", &self.from);
        self.kind.write(&mut entries);
        entries.inline()
    }

    /// Applies a change where the kind allows it.
    pub fn change(&mut self, changed: Option<Arc<dyn LayerKind>>) {
        if let Some(kind) = changed {
            self.kind = kind;
        }
    }

    /// Reads a layer.
    pub(crate) fn read(item: &Item<'_>) -> Result<LayerSpec, KeyError> {
        let (reader, table) = reader_of(item)?;
        let name = table.get("name").map(|item| NEW_NAME.read(&item)).transpose()?;
        let from = table.get("from").map(|item| KNOWN_NAME.read(&item)).transpose()?;
        let kind = (reader.read)(&table)?;
        if let (Some(_), [first, ..]) = (&from, kind.named_inputs()) {
            let problem = format!("{} names what it takes ({first}, …) itself; leave \"from\" out", kind.word());
            return Err(item.conflict(problem));
        }
        Ok(LayerSpec { name, from, kind })
    }

    /// Whether a layer's activation would follow the model's.
    pub(crate) fn follows_activation(layer: &Node) -> bool {
        let follows = |key: &str| KINDS.iter().any(|kind| kind.follows_activation && kind.word == key);
        matches!(&layer.value, Value::Table(entries) if entries.iter().any(|(key, _)| follows(key)))
    }

    /// Gives the activation to a layer that would follow the model's and names none, and to such layers of a block.
    pub(crate) fn give_activation(layer: &mut Node, activation: &Node) {
        let follows = LayerSpec::follows_activation(layer);
        let Value::Table(entries) = &mut layer.value else { return };
        if follows && !entries.iter().any(|(key, _)| key == "activation") {
            entries.push(("activation".into(), activation.clone()));
        }
        for (_, value) in entries {
            if let Value::Array(layers) = &mut value.value {
                layers.iter_mut().for_each(|layer| LayerSpec::give_activation(layer, activation));
            }
        }
    }
}

/// What a layer looks like, for errors.
fn expected() -> String {
    let examples: Vec<&str> = KINDS.iter().map(|kind| kind.example).collect();
    let (last, others) = examples.split_last().unwrap_or((&"", &[]));
    format!("a layer: {} or {last}", others.join(", "))
}

/// The layer's kind, its keys checked. `activation` names a kind only where no other key does.
fn reader_of<'a>(item: &Item<'a>) -> Result<(&'static Reader, Table<'a>), KeyError> {
    let table = item.table(&expected())?;
    let mut found = KINDS.iter().copied().filter(|kind| table.get(kind.word).is_some());
    let Some(kind) = found.next() else {
        // An unknown key is likelier a misspelt kind than a layer without one.
        table.only(&KINDS.iter().map(|kind| kind.word).collect::<Vec<_>>())?;
        return Err(item.wrong(expected()));
    };
    if let Some(other) = found.find(|other| other.word != activation::READER.word) {
        let both = [kind.word, other.word].join(" and ");
        return Err(item.conflict(format!("a layer is one thing, but this one says both {both}; make it two layers")));
    }
    Ok((kind, table.only(&[&[kind.word], kind.keys, &["name", "from"]].concat())?))
}

impl Form<LayerSpec> for Plain {
    fn expected(&self) -> String {
        expected()
    }

    fn read(&self, item: &Item<'_>) -> Result<LayerSpec, KeyError> {
        LayerSpec::read(item)
    }
}

/// A name that a layer may have.
const NEW_NAME: Text = Text(
    "a name of letters, digits, _, - and dots, such as \"stem\" or \"layer1.0.conv1\", but not input or layers.N",
    |name| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let taken = name == DATA || name.starts_with("layers.");
        (1..=100).contains(&name.len())
            && name.chars().all(allowed)
            && name.split('.').all(|part| !part.is_empty())
            && !taken
    },
);

/// The name of a layer before this one.
const KNOWN_NAME: Text = Text("the name of a layer before this one, or \"input\"", |_| true);

/// The names of the layers that a kind takes.
const NAMES: List<Text, String> =
    List("a list of two or more names of layers before this one, such as [\"a\", \"b\"]", KNOWN_NAME, |names| {
        names.len() >= 2
    });

/// The activation in the summary; linear is not said.
fn describe_activation(words: &mut Vec<String>, activation: Activation) {
    words.extend((activation != Activation::Linear).then(|| activation.to_string()));
}

/// Stride and padding in the summary, where they are not the usual ones.
fn describe_window(words: &mut Vec<String>, stride: [usize; 2], usual: [usize; 2], padding: Padding) {
    words.extend((stride != usual).then(|| format!("stride {}", cross(stride))));
    match padding {
        Padding::Valid => {}
        Padding::Same => words.push("same".into()),
        Padding::Pixels(pixels) => words.push(format!("padding {}", cross(pixels))),
    }
}

/// `3x5`.
fn cross(pair: [usize; 2]) -> String {
    format!("{}x{}", pair[0], pair[1])
}
