//! The short form of a list of dense layers: `128:linear,64:relu,10`.

use super::error::RecipeError;
use crate::kernel::Activation;
use crate::keys::{Keyword, nearest};
use crate::layers::LayerSpec;

/// Reads dense layers from `units` or `units:activation`, joined by commas; the activation is linear where none is
/// given, as in a recipe.
pub fn parse_layers(text: &str) -> Result<Vec<LayerSpec>, RecipeError> {
    parse_with(text, Activation::Linear)
}

/// As [`parse_layers`], with another activation for the layers that name none, except the last one.
pub(super) fn parse_with(text: &str, hidden: Activation) -> Result<Vec<LayerSpec>, RecipeError> {
    let last = text.matches(',').count();
    let default = |index| if index == last { Activation::Linear } else { hidden };
    let parts = text.split(',').enumerate();
    parts.map(|(index, part)| parse_layer(text, index, part.trim(), default(index))).collect()
}

fn parse_layer(text: &str, index: usize, part: &str, default: Activation) -> Result<LayerSpec, RecipeError> {
    let error = |problem: String| RecipeError::Layers { text: text.into(), index, found: part.into(), problem };
    let (units, activation) = match part.split_once(':') {
        Some((units, activation)) => (units.trim(), Some(activation.trim())),
        None => (part, None),
    };
    let units = match units.parse::<usize>() {
        Ok(units) if units > 0 => units,
        _ => return Err(error("expected units, 1 or more, or units:activation, such as 64:relu".into())),
    };
    let activation = match activation {
        None => default,
        Some(word) => Activation::from_word(word).ok_or_else(|| error(unknown_activation(word)))?,
    };
    Ok(LayerSpec::dense(units, activation))
}

fn unknown_activation(word: &str) -> String {
    let words = || Activation::WORDS.iter().map(|(word, _)| *word);
    let list = words().collect::<Vec<_>>().join(", ");
    match nearest(word, words()) {
        Some(near) => format!("unknown activation; did you mean {near}? Expected one of {list}"),
        None => format!("unknown activation; expected one of {list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_form() {
        let expected = [(128, Activation::Linear), (64, Activation::Relu), (10, Activation::Linear)];
        assert_eq!(
            parse_layers("128:linear, 64:relu,10").unwrap(),
            expected.map(|(units, activation)| LayerSpec::dense(units, activation))
        );
    }

    #[test]
    fn errors_name_the_layer() {
        let message = |text: &str| parse_layers(text).unwrap_err().to_string();
        assert!(message("128,64:rleu,10").contains("layer 1 is \"64:rleu\": unknown activation; did you mean relu?"));
        assert!(message("").contains("layer 0 is \"\": expected units"));
        assert!(message("128,,10").contains("layer 1"));
        assert!(message("0").contains("1 or more"));
        assert!(message("-3").contains("1 or more"));
        assert!(message("99999999999999999999999").contains("1 or more"));
    }
}
