//! A recipe as TOML again, every default written out.

use super::schema::Recipe;
use crate::keys::{Entries, Keyed, Written};

impl Recipe {
    /// The recipe as TOML with every default written out; it parses back to an equal recipe.
    pub fn to_toml(&self) -> String {
        let mut entries = Entries::default();
        self.write(&mut entries);
        entries.document()
    }
}

/// Texts as a recipe lists them.
pub(crate) fn list(texts: &[String]) -> String {
    texts.to_vec().written().map_or(String::new(), |entry| entry.text())
}
