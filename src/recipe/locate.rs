//! Finding the data files that a recipe names.

use std::path::{Path, PathBuf};

use super::error::RecipeError;
use super::schema::{Holdout, Recipe, Source};
use crate::place;

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
            *source = locate(source, &folders).ok_or_else(|| not_found(keys, source, &folders))?;
        }
        Ok(())
    }

    /// Replaces every data path of a run's recipe by the file it stands for. The run may have been trained from another
    /// folder than the current one: files are also looked for in the folders that `run`, its folder or a file in it, lies
    /// in. An error where that gives another file than the current folder does.
    pub fn resolve_data_of_run(&mut self, run: &Path) -> Result<(), RecipeError> {
        let here = [PathBuf::new(), PathBuf::from("data")];
        let around = folders_around(run);
        for (keys, source) in self.sources_mut() {
            let found = match (locate(source, &here), locate(source, &around)) {
                (Some(here), Some(there)) if !same_files(&here, &there) => {
                    let (path, found) = (source.images.clone(), [here.images, there.images]);
                    return Err(RecipeError::DataTwice { key: keys[0], path, found });
                }
                (here, there) => here.or(there),
            };
            *source = found.ok_or_else(|| not_found(keys, source, &[&here[..], &around].concat()))?;
        }
        Ok(())
    }

    /// Takes files of `data_dir` in place of those of the same paths that lie beside the recipe.
    pub fn prefer_data(&mut self, data_dir: Option<&Path>, recipe: Option<&Path>) {
        let (Some(data_dir), Some(beside)) = (data_dir, recipe.and_then(Path::parent)) else { return };
        let inside =
            |path: &str| Path::new(path).strip_prefix(beside).ok().map(|path| path.to_string_lossy().into_owned());
        for (_, source) in self.sources_mut() {
            let (Some(images), Some(labels)) = (inside(&source.images), inside(&source.labels)) else { continue };
            if let Some(found) = locate(&Source { images, labels }, &[data_dir.to_path_buf()]) {
                *source = found;
            }
        }
    }

    /// Replaces data paths that lie in the recipe's folder.
    pub(super) fn find_beside(&mut self, recipe: &Path) {
        let folder = recipe.parent().unwrap_or(Path::new("")).to_path_buf();
        for (_, source) in self.sources_mut() {
            if let Some(found) = locate(source, std::slice::from_ref(&folder)) {
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

/// What is said of a source that is in none of the folders: blames the images, unless only the labels are missing.
fn not_found(keys: [&'static str; 2], source: &Source, folders: &[PathBuf]) -> RecipeError {
    let (images, labels) = (tried(&source.images, folders), tried(&source.labels, folders));
    let labels_only = alternatives(&source.images).len() * folders.len() > images.len();
    let (key, path, looked) =
        if labels_only { (keys[1], &source.labels, labels) } else { (keys[0], &source.images, images) };
    let path = path.clone();
    match looked.iter().find(|looked| looked.exists()).cloned() {
        Some(folder) if folder.is_dir() => RecipeError::DataFolder { key, path, folder },
        Some(found) => RecipeError::DataNoFile { key, path, found },
        None => RecipeError::DataNotFound { key, path, looked },
    }
}

/// The folders that a path lies in, from the innermost; relative to the current one where they lie in it.
fn folders_around(path: &Path) -> Vec<PathBuf> {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let relative = |folder: &Path| folder.strip_prefix(&here).unwrap_or(folder).to_path_buf();
    path.ancestors().map(relative).collect()
}

fn same_files(one: &Source, other: &Source) -> bool {
    place::same_source(&one.images, &other.images) && place::same_source(&one.labels, &other.labels)
}

/// The first pair of files that is there. With as many alternatives for the labels as for the images the two go
/// together, so that one set's images never meet another's labels.
fn locate(source: &Source, folders: &[PathBuf]) -> Option<Source> {
    let (images, labels) = (alternatives(&source.images), alternatives(&source.labels));
    let paired = images.len() == labels.len();
    for folder in folders {
        for (index, image) in images.iter().enumerate() {
            let partners = if paired { &labels[index..=index] } else { &labels[..] };
            let label = || partners.iter().find_map(|label| find(folder, label).ok());
            if let (Ok(images), Some(labels)) = (find(folder, image), label()) {
                return Some(Source { images, labels });
            }
        }
    }
    // Images and labels may also lie in different folders, where there is no choice to get wrong.
    let ([image], [label]) = (&images[..], &labels[..]) else { return None };
    let anywhere = |path| folders.iter().find_map(|folder| find(folder, path).ok());
    Some(Source { images: anywhere(image)?, labels: anywhere(label)? })
}

fn alternatives(path: &str) -> Vec<&str> {
    path.split(OR).map(str::trim).collect()
}

/// Every file that the path may mean and that is not there.
fn tried(path: &str, folders: &[PathBuf]) -> Vec<PathBuf> {
    let paths = folders.iter().flat_map(|folder| alternatives(path).into_iter().map(move |path| (folder, path)));
    paths.filter_map(|(folder, path)| find(folder, path).err()).collect()
}

/// The path in `folder`, if a file is there; otherwise the file that is not. What follows the file's name and a `#` names
/// an array inside the file.
fn find(folder: &Path, path: &str) -> Result<String, PathBuf> {
    // What comes with the program lies in no folder.
    let folder = if place::is_bundled(Path::new(path)) { Path::new("") } else { folder };
    let (file, key) = place::split_key(path, |file| place::is_file(&folder.join(file)));
    let file = folder.join(file);
    if !place::is_file(&file) {
        return Err(file);
    }
    let file = file.to_string_lossy();
    Ok(key.map_or(file.to_string(), |key| format!("{file}#{key}")))
}
