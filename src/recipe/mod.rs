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
mod layers;
mod locate;
mod read;
mod schema;
mod sweep;
mod table;
mod tree;
mod write;

use std::io::Read;
use std::path::Path;

pub use builtin::builtin_names;
pub use error::{Place, RecipeError};
pub use layers::parse_layers;
pub use schema::*;
pub use sweep::Variation;

impl Recipe {
    /// Reads a recipe from a file. Each override is a dotted key and a value: TOML where it is TOML, otherwise plain
    /// text. Data files that lie in the recipe's folder are found there at once; see [`Recipe::resolve_data`] for the
    /// others.
    pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Recipe, RecipeError> {
        let mut recipe = Recipe::parse(&read_text(path)?, &path.display().to_string(), overrides)?;
        recipe.find_beside(path);
        Ok(recipe)
    }

    /// Reads a recipe from text; `origin` names it in errors.
    pub fn parse(text: &str, origin: &str, overrides: &[(String, String)]) -> Result<Recipe, RecipeError> {
        read::parse(text, origin, overrides)
    }
}

/// The text of a recipe file, unless it is far too long to be one.
fn read_text(path: &Path) -> Result<String, RecipeError> {
    let error = |reason: std::io::Error| RecipeError::Read { path: path.to_path_buf(), reason: reason.to_string() };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(error)?;
    file.take(tree::MAX_BYTES + 1).read_to_string(&mut text).map_err(error)?;
    Ok(text)
}
