//! A layer's keys as TOML.

use super::{Init, LayerSpec};
use crate::keys::Keyword;
use std::fmt::Display;

/// The keys of a layer with their values, in their order.
#[derive(Debug, Default)]
pub struct Entries(Vec<(&'static str, String)>);

impl Entries {
    /// A number, true or false.
    pub fn value(&mut self, key: &'static str, value: impl Display) {
        self.0.push((key, value.to_string()));
    }

    /// A word.
    pub fn word(&mut self, key: &'static str, value: impl Keyword) {
        self.0.push((key, format!("\"{}\"", value.word())));
    }

    /// A text.
    pub fn text(&mut self, key: &'static str, value: &str) {
        self.0.push((key, quoted(value)));
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str, values: &[String]) {
        let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        self.0.push((key, format!("[{}]", values.join(", "))));
    }

    /// A list of layers.
    pub fn layers(&mut self, key: &'static str, layers: &[LayerSpec]) {
        let layers: Vec<String> = layers.iter().map(LayerSpec::toml).collect();
        self.0.push((key, format!("[{}]", layers.join(", "))));
    }

    /// Height and width.
    pub fn pair(&mut self, key: &'static str, [height, width]: [usize; 2]) {
        self.0.push((key, format!("[{height}, {width}]")));
    }

    /// A number with a point or an exponent, short enough to read back as the same f32.
    pub fn number(&mut self, key: &'static str, value: f32) {
        self.0.push((key, format!("{value:?}")));
    }

    /// An initialiser, if there is one.
    pub fn init(&mut self, key: &'static str, value: Option<Init>) {
        self.0.extend(value.map(|init| (key, init.toml())));
    }

    /// `{ key = value, … }`.
    pub(super) fn toml(&self) -> String {
        let entries: Vec<String> = self.0.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        format!("{{ {} }}", entries.join(", "))
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}
