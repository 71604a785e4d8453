//! The recipe: everything a training run needs, written as TOML.
//!
//! ```
//! use gputrain::recipe::{Batch, Recipe};
//!
//! let text = r#"
//!     [model]
//!     input = [784]
//!     layers = [{ dense = 128 }, { dense = 64, activation = "relu" }, { dense = 10 }]
//! "#;
//! let recipe = Recipe::parse(text, "example.toml", &[("train.batch".into(), "64".into())])?;
//! assert_eq!(recipe.name, "example");
//! assert_eq!(recipe.train.batch, Batch::Size(64));
//! # Ok::<(), gputrain::recipe::RecipeError>(())
//! ```

mod builtin;
mod error;
mod locate;
mod read;
#[cfg(test)]
mod reference;
mod schema;
mod short;
mod sweep;
mod text;
mod write;

use std::path::Path;

pub use crate::keys::{KeyError, Place};
pub use builtin::builtin_names;
pub use error::RecipeError;
pub use schema::*;
pub use short::parse_layers;
pub use sweep::Variation;
pub use text::RecipeText;

impl Recipe {
    /// Reads a recipe from a file. Each override is a dotted key and a value: TOML where it is TOML, otherwise plain
    /// text. Data files that lie in the recipe's folder are found there at once; see [`Recipe::resolve_data`] for the
    /// others.
    pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Recipe, RecipeError> {
        RecipeText::file(path)?.parse(overrides)
    }

    /// Reads a recipe from text; `origin` names it in errors.
    pub fn parse(text: &str, origin: &str, overrides: &[(String, String)]) -> Result<Recipe, RecipeError> {
        read::parse(text, origin, overrides)
    }
}
