//! Initial values of a layer's tensors, as recipes write them.

use crate::keys::{Entry, Form, Item, KeyError, Plain, Value, Written};

/// Initial values of a parameter. `fan_in` and `fan_out` are the layer's, for its weights and its biases alike.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Init {
    /// Uniform in ± sqrt(6 / (fan_in + fan_out)).
    #[default]
    GlorotUniform,
    /// Normal with variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Uniform in ± sqrt(6 / fan_in).
    HeUniform,
    /// Normal with variance 2 / fan_in.
    HeNormal,
    /// Uniform in ± 1 / sqrt(fan_in), PyTorch's default.
    FanInUniform,
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    /// Filters that whiten the patches of the training images: their principal components over the roots of their variances, and the
    /// same with the other sign. They follow from the data.
    Whitening,
    /// All zero.
    Zeros,
    /// All this value.
    Constant(f64),
}

/// Initialisers without a number.
const INIT_WORDS: &[(&str, Init)] = &[
    ("glorot_uniform", Init::GlorotUniform),
    ("glorot_normal", Init::GlorotNormal),
    ("he_uniform", Init::HeUniform),
    ("he_normal", Init::HeNormal),
    ("fan_in_uniform", Init::FanInUniform),
    ("whitening", Init::Whitening),
    ("zeros", Init::Zeros),
];

const INIT: &str = "\"glorot_uniform\", \"glorot_normal\", \"he_uniform\", \"he_normal\", \"fan_in_uniform\", \"whitening\" (of a convolution of the data), \"zeros\", \
                    { normal = DEVIATION }, { uniform = BOUND } or { constant = VALUE }";

impl Form<Init> for Plain {
    fn expected(&self) -> String {
        INIT.into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Init, KeyError> {
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
}

impl Written for Init {
    fn written(&self) -> Option<Entry> {
        let text = match self {
            Init::Normal(x) => format!("{{ normal = {x:?} }}"),
            Init::Uniform(x) => format!("{{ uniform = {x:?} }}"),
            Init::Constant(x) => format!("{{ constant = {x:?} }}"),
            _ => {
                let word = INIT_WORDS.iter().find(|(_, known)| known == self).map_or("zeros", |(word, _)| word);
                return word.written();
            }
        };
        Some(Entry::Value(text))
    }
}
