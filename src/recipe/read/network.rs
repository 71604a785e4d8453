//! `[model]`.

use super::super::schema::{Activation, Init, LayerSpec, ModelSpec};
use super::super::short;
use crate::keys::{Item, KeyError, Table, Value};

/// Reads `[model]`; a sweep over whole recipes needs none of its own.
pub(super) fn model(table: Table<'_>, optional: bool) -> Result<ModelSpec, KeyError> {
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
