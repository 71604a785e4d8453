//! A recipe's text and where it comes from.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::RecipeError;
use super::schema::Recipe;
use super::{builtin_names, read};
use crate::keys::{MAX_BYTES, nearest};
use crate::place::Format;

/// The text of a recipe, not yet read: a sweep reads it again for every combination.
#[derive(Debug, Clone, PartialEq)]
pub struct RecipeText {
    /// The TOML.
    pub text: String,
    /// What errors call it.
    pub origin: String,
    /// The file it came from; data may lie beside it.
    pub path: Option<PathBuf>,
}

impl RecipeText {
    /// The recipe that a user means by `name`: a file, or else a bundled recipe, with or without `.toml`.
    pub fn find(name: &str) -> Result<RecipeText, RecipeError> {
        RecipeText::find_from(name, Path::new(""))
    }

    /// As [`RecipeText::find`], but a file in `folder` comes first.
    pub(super) fn find_from(name: &str, folder: &Path) -> Result<RecipeText, RecipeError> {
        for path in [folder.join(name), name.into()] {
            // A pipe or a device is refused by name when it is opened.
            if path.exists() && !path.is_dir() {
                if let Some(format) = data_format(&path) {
                    return Err(RecipeError::DataForRecipe { path, format });
                }
                return RecipeText::file(&path);
            }
        }
        let path = folder.join(name);
        let bundled = name.strip_suffix(".toml").unwrap_or(name);
        match Recipe::builtin(bundled) {
            Some(text) => Ok(RecipeText { text: text.into(), origin: format!("{bundled}.toml"), path: None }),
            None if path.is_dir() => Err(RecipeError::Folder { remedy: instead_of_folder(&path), path }),
            None => Err(RecipeError::NoSuchRecipe {
                name: name.into(),
                suggestion: nearest(bundled, builtin_names()),
                bundled: builtin_names().collect(),
            }),
        }
    }

    /// The text of a file, unless it is far too long to be a recipe.
    pub fn file(path: &Path) -> Result<RecipeText, RecipeError> {
        let error = |reason: std::io::Error| RecipeError::Read { path: path.into(), reason: reason.to_string() };
        let mut text = String::new();
        crate::file::open(path).map_err(error)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(error)?;
        Ok(RecipeText { text, origin: path.display().to_string(), path: Some(path.into()) })
    }

    /// Reads the recipe with overrides applied; see [`Recipe::load`].
    pub fn parse(&self, overrides: &[(String, String)]) -> Result<Recipe, RecipeError> {
        let mut recipe = read::parse(&self.text, &self.origin, overrides)?;
        self.find_data(&mut recipe);
        Ok(recipe)
    }

    /// Replaces data paths that lie beside the file.
    pub(super) fn find_data(&self, recipe: &mut Recipe) {
        if let Some(path) = &self.path {
            recipe.find_beside(path);
        }
    }
}

/// The format of a file that is data by its name. A text may be a recipe.
fn data_format(path: &Path) -> Option<Format> {
    let (format, _) = Format::from_path(path)?;
    let is_text = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"));
    (!is_text).then_some(format)
}

/// What to give where a folder was given for a recipe.
fn instead_of_folder(folder: &Path) -> String {
    let recipe = folder.join("recipe.toml");
    if recipe.is_file() {
        let (recipe, folder) = (recipe.display(), folder.display());
        format!("it holds a run: give {recipe} to train the same anew, or --resume {folder} to go on with it")
    } else {
        let folder = folder.display();
        format!("give a recipe file, or the name of a bundled recipe; --train {folder} trains on a folder of pictures")
    }
}
