//! A layer's keys as TOML.

use super::{Init, LayerSpec};
use crate::keys::{Entries, Entry, Keyword, Written};
use std::fmt::Display;

impl Entries {
    /// A number, true or false.
    pub fn value(&mut self, key: &'static str, value: impl Display) {
        self.put_text(key, value.to_string());
    }

    /// A word.
    pub fn word(&mut self, key: &'static str, value: impl Keyword) {
        self.put(key, &value);
    }

    /// Height and width.
    pub fn pair(&mut self, key: &'static str, pair: [usize; 2]) {
        self.put(key, &pair);
    }

    /// A number with a point or an exponent, short enough to read back as the same f32.
    pub fn number(&mut self, key: &'static str, value: f32) {
        self.put(key, &value);
    }

    /// An initialiser, if there is one.
    pub fn init(&mut self, key: &'static str, value: Option<Init>) {
        self.put(key, &value);
    }
}

impl Written for LayerSpec {
    fn written(&self) -> Option<Entry> {
        Some(Entry::Value(self.toml()))
    }
}
