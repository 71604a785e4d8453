//! A layer as TOML.

use super::LayerSpec;
use crate::keys::{Entry, Written};

impl Written for LayerSpec {
    fn written(&self) -> Option<Entry> {
        Some(Entry::Value(self.toml()))
    }
}
