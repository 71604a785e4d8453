//! `[model]`.

use super::super::error::RecipeError;
use super::super::layers;
use super::super::schema::{Activation, Init, LayerSpec, ModelSpec, Padding};
use super::super::table::{Item, Table};
use super::super::tree::Value;

/// The layer kinds, and the keys each one takes beside the key that names it.
const KINDS: &[(&str, &[&str])] = &[
    ("dense", &["dense", "activation", "bias", "init", "bias_init"]),
    ("conv2d", &["conv2d", "kernel", "stride", "padding", "activation", "bias", "init", "bias_init"]),
    ("max_pool", &["max_pool", "stride", "padding"]),
    ("average_pool", &["average_pool", "stride", "padding"]),
    ("global_average_pool", &["global_average_pool"]),
    ("flatten", &["flatten"]),
    ("dropout", &["dropout"]),
    ("activation", &["activation"]),
];

/// Every key that names a kind.
const KIND_NAMES: [&str; KINDS.len()] = {
    let mut names = [""; KINDS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = KINDS[index].0;
        index += 1;
    }
    names
};

const LAYER: &str = "a layer: { dense = UNITS }, { conv2d = FILTERS, kernel = SIZE }, { max_pool = SIZE }, \
                     { average_pool = SIZE }, { global_average_pool = true }, { flatten = true }, \
                     { dropout = RATE } or { activation = NAME }";

/// Initialisers without a number.
const INIT_WORDS: &[(&str, Init)] = &[
    ("glorot_uniform", Init::GlorotUniform),
    ("glorot_normal", Init::GlorotNormal),
    ("he_uniform", Init::HeUniform),
    ("he_normal", Init::HeNormal),
    ("fan_in_uniform", Init::FanInUniform),
    ("zeros", Init::Zeros),
];

const INIT: &str = "\"glorot_uniform\", \"glorot_normal\", \"he_uniform\", \"he_normal\", \"fan_in_uniform\", \"zeros\", \
                    { normal = DEVIATION }, { uniform = BOUND } or { constant = VALUE }";

/// Reads `[model]`; a sweep over whole recipes needs none of its own.
pub(super) fn model(table: Table<'_>, optional: bool) -> Result<ModelSpec, RecipeError> {
    let table = table.only(&["input", "layers", "loss", "init", "bias_init", "activation"])?;
    let hidden = table.get("activation").map(|item| item.word()).transpose()?;
    let layers = match table.get("layers") {
        Some(item) => layer_list(&item, hidden)?,
        None if optional => Vec::new(),
        None => {
            return Err(table.missing(
                "layers",
                "a list of layers, such as [{ dense = 128, activation = \"relu\" }, { dense = 10 }]",
            ));
        }
    };
    Ok(ModelSpec {
        input: table.get("input").map_or(Ok(Vec::new()), |item| input(&item))?,
        layers,
        loss: table.get("loss").map_or(Ok(Default::default()), |item| item.word())?,
        init: table.get("init").map_or(Ok(Init::default()), |item| init(&item))?,
        bias_init: table.get("bias_init").map(|item| init(&item)).transpose()?,
    })
}

fn input(item: &Item<'_>) -> Result<Vec<usize>, RecipeError> {
    let expected = "[features] or [height, width, channels], such as [784] or [28, 28, 1]";
    let items = item.list(expected)?;
    if items.len() != 1 && items.len() != 3 {
        return Err(item.wrong(expected));
    }
    items.iter().map(|item| item.whole(1)).collect()
}

/// The layers; `hidden` is the activation of those that name none, except the last one.
fn layer_list(item: &Item<'_>, hidden: Option<Activation>) -> Result<Vec<LayerSpec>, RecipeError> {
    let short = match &item.node.value {
        Value::String(text) => Some(text.clone()),
        // One dense layer: what is given without quotes reads as a number.
        Value::Integer(units) => Some(units.to_string()),
        _ => None,
    };
    if let Some(text) = short {
        return layers::parse_with(&text, hidden.unwrap_or_default()).map_err(|error| item.conflict(error.to_string()));
    }
    let items = item.list("a list of layers, or the short form \"128:relu,10\"")?;
    if items.is_empty() {
        return Err(item.wrong("at least one layer, such as { dense = 10 }"));
    }
    let with_units = |item: &Item<'_>| {
        item.table(LAYER).is_ok_and(|table| table.get("dense").is_some() || table.get("conv2d").is_some())
    };
    let last = items.iter().rposition(with_units);
    let layers = items.iter().enumerate();
    layers.map(|(index, item)| layer(item, hidden.filter(|_| last != Some(index)).unwrap_or_default())).collect()
}

fn layer(item: &Item<'_>, default: Activation) -> Result<LayerSpec, RecipeError> {
    let (kind, table) = kind_of(item)?;
    let number = table.require(kind, LAYER)?;
    let activation = || table.get("activation").map_or(Ok(default), |item| item.word());
    let initial = |key: &str| table.get(key).map(|item| init(&item)).transpose();
    let bias = || table.get("bias").map_or(Ok(true), |item| item.boolean());
    let padding = || table.get("padding").map_or(Ok(Padding::default()), |item| item.word());
    let stride = |default: [usize; 2]| table.get("stride").map_or(Ok(default), |item| pair(&item));
    Ok(match kind {
        "dense" => LayerSpec::Dense {
            units: number.whole(1)?,
            activation: activation()?,
            bias: bias()?,
            init: initial("init")?,
            bias_init: initial("bias_init")?,
        },
        "conv2d" => LayerSpec::Conv2d {
            filters: number.whole(1)?,
            kernel: pair(&table.require("kernel", "the kernel's size, such as 3 or [3, 5]")?)?,
            stride: stride([1, 1])?,
            padding: padding()?,
            activation: activation()?,
            bias: bias()?,
            init: initial("init")?,
            bias_init: initial("bias_init")?,
        },
        "max_pool" => {
            let size = pair(&number)?;
            LayerSpec::MaxPool { size, stride: stride(size)?, padding: padding()? }
        }
        "average_pool" => {
            let size = pair(&number)?;
            LayerSpec::AveragePool { size, stride: stride(size)?, padding: padding()? }
        }
        "global_average_pool" => is_true(&number, LayerSpec::GlobalAveragePool)?,
        "flatten" => is_true(&number, LayerSpec::Flatten)?,
        "dropout" => LayerSpec::Dropout {
            rate: number.number("a rate, 0 or more and below 1", |rate| (0.0..1.0).contains(&rate))?,
        },
        _ => LayerSpec::Activation(number.word()?),
    })
}

/// The layer's kind, its keys checked. `activation` names a kind only where no other key does.
fn kind_of<'a>(item: &Item<'a>) -> Result<(&'static str, Table<'a>), RecipeError> {
    let table = item.table(LAYER)?;
    let mut found = KINDS.iter().filter(|(kind, _)| table.get(kind).is_some());
    let Some((kind, keys)) = found.next() else {
        // An unknown key is likelier a misspelt kind than a layer without one.
        table.only(&KIND_NAMES)?;
        return Err(item.wrong(LAYER));
    };
    if let Some((other, _)) = found.find(|(other, _)| *other != "activation") {
        return Err(item
            .conflict(format!("a layer is one thing, but this one says both {kind} and {other}; make it two layers")));
    }
    Ok((kind, table.only(keys)?))
}

fn is_true(item: &Item<'_>, layer: LayerSpec) -> Result<LayerSpec, RecipeError> {
    if item.node.value == Value::Boolean(true) {
        Ok(layer)
    } else {
        Err(item.wrong("true; to go without the layer, remove it"))
    }
}

/// One number for both directions, or [down, across].
fn pair(item: &Item<'_>) -> Result<[usize; 2], RecipeError> {
    if let Value::Array(_) = item.node.value {
        let items = item.list("")?;
        return match &items[..] {
            [height, width] => Ok([height.whole(1)?, width.whole(1)?]),
            _ => Err(item.wrong("a number, or [height, width]")),
        };
    }
    let both = item.whole(1)?;
    Ok([both, both])
}

fn init(item: &Item<'_>) -> Result<Init, RecipeError> {
    match &item.node.value {
        Value::String(word) => {
            let known = INIT_WORDS.iter().find(|(name, _)| name == word);
            known.map(|(_, init)| *init).ok_or_else(|| item.wrong(INIT))
        }
        Value::Table(entries) if entries.len() == 1 => {
            let table = item.table(INIT)?.only(&["normal", "uniform", "constant"])?;
            let number = |key: &str, expected: &str, allowed: fn(f64) -> bool| {
                table.get(key).map(|item| item.wide_number(expected, allowed)).transpose()
            };
            // Within f32, or the weights would be infinite.
            let finite = |x: f64| (x as f32).is_finite();
            if let Some(x) = number("normal", "a standard deviation, 0 or more", |x| (0.0..1e30).contains(&x))? {
                return Ok(Init::Normal(x));
            }
            if let Some(x) = number("uniform", "a bound, 0 or more", |x| (0.0..1e30).contains(&x))? {
                return Ok(Init::Uniform(x));
            }
            number("constant", "a number", finite)?.map(Init::Constant).ok_or_else(|| item.wrong(INIT))
        }
        _ => Err(item.wrong(INIT)),
    }
}

/// An initialiser as TOML.
pub(in crate::recipe) fn init_toml(init: Init) -> String {
    match init {
        Init::Normal(x) => format!("{{ normal = {x:?} }}"),
        Init::Uniform(x) => format!("{{ uniform = {x:?} }}"),
        Init::Constant(x) => format!("{{ constant = {x:?} }}"),
        _ => {
            let word = INIT_WORDS.iter().find(|(_, known)| *known == init).map_or("zeros", |(word, _)| word);
            format!("\"{word}\"")
        }
    }
}
