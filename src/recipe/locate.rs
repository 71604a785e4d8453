//! Finding the data files that a recipe names.

use std::path::{Path, PathBuf};

use super::error::RecipeError;
use super::schema::{Holdout, Recipe, Source};

/// Joins alternatives in one string: the same data set goes by several names and formats, and the first that is there
/// is taken.
const OR: &str = " | ";

impl Recipe {
    /// Replaces every data path by the file it stands for, looking in `data_dir` (if given), in the current folder and
    /// in `./data`; [`Recipe::load`] has looked in the recipe's own folder before. A path may list alternatives,
    /// separated by ` | `: the first that is there is taken. An error lists every place that was tried.
    pub fn resolve_data(&mut self, data_dir: Option<&Path>) -> Result<(), RecipeError> {
        let folders = data_dir.into_iter().chain([Path::new(""), Path::new("data")]);
        let folders: Vec<PathBuf> = folders.map(Path::to_path_buf).collect();
        for (keys, source) in self.sources_mut() {
            *source = locate(source, &folders).map_err(|looked| {
                let (key, path) = if exists_somewhere(&source.images, &folders) {
                    (keys[1], &source.labels)
                } else {
                    (keys[0], &source.images)
                };
                RecipeError::DataNotFound { key, path: path.clone(), looked }
            })?;
        }
        Ok(())
    }

    /// Replaces data paths that lie in the recipe's folder.
    pub(super) fn find_beside(&mut self, recipe: &Path) {
        let folder = recipe.parent().unwrap_or(Path::new("")).to_path_buf();
        for (_, source) in self.sources_mut() {
            if let Ok(found) = locate(source, std::slice::from_ref(&folder)) {
                *source = found;
            }
        }
    }

    fn sources_mut(&mut self) -> impl Iterator<Item = ([&'static str; 2], &mut Source)> {
        fn files(holdout: &mut Holdout) -> Option<&mut Source> {
            if let Holdout::Files(source) = holdout { Some(source) } else { None }
        }
        [
            (["data.train.images", "data.train.labels"], self.data.train.as_mut()),
            (["data.test.images", "data.test.labels"], files(&mut self.data.test)),
            (["data.validation.images", "data.validation.labels"], files(&mut self.data.validation)),
        ]
        .into_iter()
        .filter_map(|(keys, source)| Some((keys, source?)))
    }
}

/// The first pair of files that is there, or every path that was tried. With as many alternatives for the labels as
/// for the images the two go together, so that one set's images never meet another's labels.
fn locate(source: &Source, folders: &[PathBuf]) -> Result<Source, Vec<PathBuf>> {
    let (images, labels) = (alternatives(&source.images), alternatives(&source.labels));
    let paired = images.len() == labels.len();
    let mut looked = Vec::new();
    for folder in folders {
        for (index, image) in images.iter().enumerate() {
            let partners = if paired { &labels[index..=index] } else { &labels[..] };
            let image = try_file(folder, image, &mut looked);
            let Some(images) = image else { continue };
            let label = partners.iter().find_map(|label| try_file(folder, label, &mut looked));
            if let Some(labels) = label {
                return Ok(Source { images, labels });
            }
        }
    }
    // Images and labels may also lie in different folders, where there is no choice to get wrong.
    if let ([image], [label]) = (&images[..], &labels[..]) {
        let mut find = |path| folders.iter().find_map(|folder| try_file(folder, path, &mut looked));
        if let (Some(images), Some(labels)) = (find(image), find(label)) {
            return Ok(Source { images, labels });
        }
    }
    looked.sort();
    looked.dedup();
    Err(looked)
}

fn alternatives(path: &str) -> Vec<&str> {
    path.split(OR).map(str::trim).collect()
}

fn exists_somewhere(path: &str, folders: &[PathBuf]) -> bool {
    let mut ignored = Vec::new();
    folders.iter().any(|folder| alternatives(path).iter().any(|path| try_file(folder, path, &mut ignored).is_some()))
}

/// The path in `folder`, if a file is there; otherwise the path goes to `looked`. What follows `#` names an array
/// inside the file, unless the file's own name holds the `#`.
fn try_file(folder: &Path, path: &str, looked: &mut Vec<PathBuf>) -> Option<String> {
    let whole = folder.join(path);
    if whole.is_file() {
        return Some(whole.to_string_lossy().into_owned());
    }
    let Some((file, key)) = path.rsplit_once('#') else {
        looked.push(whole);
        return None;
    };
    let file = folder.join(file);
    if file.is_file() {
        return Some(format!("{}#{key}", file.to_string_lossy()));
    }
    looked.push(file);
    None
}
