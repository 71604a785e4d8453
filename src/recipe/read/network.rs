//! `[model]`.

use super::super::schema::{Activation, Init, LayerSpec, ModelSpec};
use super::super::short;
use crate::kernel::Loss;
use crate::keys::{Item, KeyError, Table, Value};

/// Reads `[model]`; a sweep over whole recipes needs none of its own.
pub(super) fn model(table: Table<'_>, optional: bool) -> Result<ModelSpec, KeyError> {
    let table =
        table.only(&["input", "layers", "loss", "label_smoothing", "delta", "init", "bias_init", "activation"])?;
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
    let loss = table.get("loss").map_or(Ok(Loss::default()), |item| item.word())?;
    let of_loss = |key: &str, owner: Loss, default: f32, expected: &str, allowed: fn(f32) -> bool| match table.get(key)
    {
        None => Ok(default),
        Some(item) if loss != owner => {
            Err(item.conflict(format!("belongs to loss = \"{owner}\", but the loss is \"{loss}\"; remove it")))
        }
        Some(item) => item.number(expected, allowed),
    };
    Ok(ModelSpec {
        input: table.get("input").map_or(Ok(Vec::new()), |item| input(&item))?,
        layers,
        loss,
        label_smoothing: of_loss(
            "label_smoothing",
            Loss::SoftmaxCrossEntropy,
            0.0,
            "a share, 0 or more and at most 1, such as 0.1",
            |x| (0.0..=1.0).contains(&x),
        )?,
        delta: of_loss("delta", Loss::Huber, 1.0, "a difference above 0", |x| x > 0.0)?,
        init: table.get("init").map_or(Ok(Init::default()), |item| Init::read(&item))?,
        bias_init: table.get("bias_init").map(|item| Init::read(&item)).transpose()?,
    })
}

fn input(item: &Item<'_>) -> Result<Vec<usize>, KeyError> {
    let expected = "[features] or [height, width, channels], such as [784] or [28, 28, 1]";
    let items = item.list(expected)?;
    if items.len() != 1 && items.len() != 3 {
        return Err(item.wrong(expected));
    }
    items.iter().map(|item| item.whole(1)).collect()
}

/// The layers; `hidden` is the activation of those that name none, except the last one.
fn layer_list(item: &Item<'_>, hidden: Option<Activation>) -> Result<Vec<LayerSpec>, KeyError> {
    let short = match &item.node.value {
        Value::String(text) => Some(text.clone()),
        // One dense layer: what is given without quotes reads as a number.
        Value::Integer(units) => Some(units.to_string()),
        _ => None,
    };
    if let Some(text) = short {
        return short::parse_with(&text, hidden.unwrap_or_default()).map_err(|error| item.conflict(error.to_string()));
    }
    let items = item.list("a list of layers, or the short form \"128:relu,10\"")?;
    if items.is_empty() {
        return Err(item.wrong("at least one layer, such as { dense = 10 }"));
    }
    let last = items.iter().rposition(LayerSpec::follows_activation);
    let layers = items.iter().enumerate();
    layers
        .map(|(index, item)| LayerSpec::read(item, hidden.filter(|_| last != Some(index)).unwrap_or_default()))
        .collect()
}
