//! A recipe as TOML again, every default written out.

use super::schema::Recipe;
use crate::keys::{Entries, Keyed};

impl Recipe {
    /// The recipe as TOML with every default written out; it parses back to an equal recipe.
    pub fn to_toml(&self) -> String {
        let mut entries = Entries::default();
        self.write(&mut entries);
        entries.document()
    }
}
