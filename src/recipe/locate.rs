//! Finding the files that a recipe names.

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
    /// separated by ` | `: the first that is there is taken. An error lists every place that was tried. The weights of `start.from` are
    /// looked for in the same folders; where they are nowhere, whoever reads them says so.
    pub fn resolve_data(&mut self, data_dir: Option<&Path>) -> Result<(), RecipeError> {
        let folders = data_dir.into_iter().chain([Path::new(""), Path::new("data")]);
        let folders: Vec<PathBuf> = folders.map(Path::to_path_buf).collect();
        for (set, source) in self.sources_mut() {
            *source = locate(source, &folders).ok_or_else(|| not_found(set, source, &folders))?;
        }
        self.find_weights(&folders);
        self.find_start(&folders);
        Ok(())
    }

    /// Replaces the path of `start.from` by that of the first file or folder that is there. The whole path, since a run's recipe keeps
    /// it, and a run's folder holds a model of its own.
    fn find_start(&mut self, folders: &[PathBuf]) {
        let Some(from) = &mut self.start.from else { return };
        let found = folders.iter().map(|folder| folder.join(&*from)).find(|path| path.exists());
        if let Some(path) = found.and_then(|path| std::path::absolute(path).ok()) {
            *from = path.to_string_lossy().into_owned();
        }
    }

    /// Replaces every data path of a run's recipe by the file it stands for. The run may have been trained from another
    /// folder than the current one: files are also looked for in the folders that `run`, its folder or a file in it, lies
    /// in. An error where that gives another file than the current folder does.
    pub fn resolve_data_of_run(&mut self, run: &Path) -> Result<(), RecipeError> {
        let here = [PathBuf::new(), PathBuf::from("data")];
        let around = folders_around(run);
        for (set, source) in self.sources_mut() {
            let found = match (locate(source, &here), locate(source, &around)) {
                (Some(here), Some(there)) if !same_files(&here, &there) => {
                    let [path, here, there] = [&*source, &here, &there].map(|source| source.name().to_string());
                    return Err(RecipeError::DataTwice { key: first_key(set, source), path, found: [here, there] });
                }
                (here, there) => here.or(there),
            };
            *source = found.ok_or_else(|| not_found(set, source, &[&here[..], &around].concat()))?;
        }
        self.find_weights(&[&here[..], &around].concat());
        Ok(())
    }

    /// Takes files of `data_dir` in place of those of the same paths that lie beside the recipe.
    pub fn prefer_data(&mut self, data_dir: Option<&Path>, recipe: Option<&Path>) {
        let (Some(data_dir), Some(beside)) = (data_dir, recipe.and_then(Path::parent)) else { return };
        let inside =
            |path: &str| Path::new(path).strip_prefix(beside).ok().map(|path| path.to_string_lossy().into_owned());
        for (_, source) in self.sources_mut() {
            let mut moved = source.clone();
            let all_inside = moved.paths_mut().into_iter().all(|(_, path)| match inside(path) {
                Some(there) => {
                    *path = there;
                    true
                }
                None => false,
            });
            if all_inside && let Some(found) = locate(&moved, &[data_dir.to_path_buf()]) {
                *source = found;
            }
        }
        if let Some(weights) = &mut self.data.sample_weights
            && let Some(found) = inside(weights).and_then(|weights| find_file(&weights, &[data_dir.to_path_buf()]))
        {
            *weights = found;
        }
    }

    /// Replaces paths that lie in the recipe's folder.
    pub(super) fn find_beside(&mut self, recipe: &Path) {
        let folder = recipe.parent().unwrap_or(Path::new("")).to_path_buf();
        for (_, source) in self.sources_mut() {
            if let Some(found) = locate(source, std::slice::from_ref(&folder)) {
                *source = found;
            }
        }
        self.find_weights(std::slice::from_ref(&folder));
        self.find_start(&[folder]);
    }

    /// Replaces the path of a file of weights by the file that it stands for. What is found nowhere may be a column's name, or
    /// that of a column of the table that has the labels.
    fn find_weights(&mut self, folders: &[PathBuf]) {
        let Some(weights) = &mut self.data.sample_weights else { return };
        if let Some(found) = find_file(weights, folders) {
            *weights = found;
        } else if let Some(Source::Arrays { labels, .. }) = &self.data.train
            && place::Place::parse(weights).key.is_none()
            && place::Format::from_path(Path::new(weights)).is_none()
        {
            let table = place::Place::parse(labels);
            if table.is_table() && place::is_file(&table.path) {
                *weights = format!("{}#{weights}", table.path.display());
            }
        }
    }

    fn sources_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Source)> {
        fn files(holdout: &mut Holdout) -> Option<&mut Source> {
            if let Holdout::Files(source) = holdout { Some(source) } else { None }
        }
        let (test, validation) = (files(&mut self.data.test), files(&mut self.data.validation));
        let sets = [("data.train", self.data.train.as_mut()), ("data.test", test), ("data.validation", validation)];
        sets.into_iter().filter_map(|(set, source)| Some((set, source?)))
    }
}

/// The key of a source's first path.
fn first_key(set: &str, source: &mut Source) -> String {
    let paths = source.paths_mut();
    format!("{set}.{}", paths[0].0)
}

/// What is said of a source that is in none of the folders: blames its first path, unless only the other one is missing.
fn not_found(set: &str, source: &mut Source, folders: &[PathBuf]) -> RecipeError {
    let is_folder = matches!(source, Source::Folder { .. });
    let paths = source.paths_mut();
    let tried = |path: &str| tried(path, folders, is_folder);
    let blamed = paths.iter().find(|(_, path)| alternatives(path).len() * folders.len() == tried(path).len());
    let (key, path) = blamed.unwrap_or(&paths[paths.len() - 1]);
    let (key, path, looked) = (format!("{set}.{key}"), path.to_string(), tried(path));
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
    one.paths().into_iter().zip(other.paths()).all(|(one, other)| place::same_source(one, other))
}

/// The first files that are there.
fn locate(source: &Source, folders: &[PathBuf]) -> Option<Source> {
    let first = |path: &str, is_folder: bool| {
        let all = folders.iter().flat_map(|folder| alternatives(path).into_iter().map(move |path| (folder, path)));
        all.into_iter().find_map(|(folder, path)| find(folder, path, is_folder).ok())
    };
    Some(match source {
        Source::Arrays { images, labels } if labels.is_empty() => {
            Source::Arrays { images: first(images, false)?, labels: String::new() }
        }
        Source::Arrays { images, labels } => return locate_pair(images, labels, folders),
        Source::Folder { folder } => Source::Folder { folder: first(folder, true)? },
        Source::Table { table, target } => Source::Table { table: first(table, false)?, target: target.clone() },
        Source::Pictures { pictures, label } => {
            Source::Pictures { pictures: first(pictures, false)?, label: label.clone() }
        }
    })
}

/// The first pair of files that is there. With as many alternatives for the labels as for the images the two go
/// together, so that one set's images never meet another's labels.
fn locate_pair(images: &str, labels: &str, folders: &[PathBuf]) -> Option<Source> {
    let (images, labels) = (alternatives(images), alternatives(labels));
    let paired = images.len() == labels.len();
    for folder in folders {
        for (index, image) in images.iter().enumerate() {
            let partners = if paired { &labels[index..=index] } else { &labels[..] };
            let label = || partners.iter().find_map(|label| find(folder, label, false).ok());
            if let (Ok(images), Some(labels)) = (find(folder, image, false), label()) {
                return Some(Source::Arrays { images, labels });
            }
        }
    }
    // Images and labels may also lie in different folders, where there is no choice to get wrong.
    let ([image], [label]) = (&images[..], &labels[..]) else { return None };
    let anywhere = |path| folders.iter().find_map(|folder| find(folder, path, false).ok());
    Some(Source::Arrays { images: anywhere(image)?, labels: anywhere(label)? })
}

/// The first file of this path, if its name tells a format.
fn find_file(path: &str, folders: &[PathBuf]) -> Option<String> {
    let found = folders.iter().find_map(|folder| find(folder, path, false).ok())?;
    place::Format::from_path(&place::Place::parse(&found).path).map(|_| found)
}

fn alternatives(path: &str) -> Vec<&str> {
    path.split(OR).map(str::trim).collect()
}

/// Every file or folder that the path may mean and that is not there.
fn tried(path: &str, folders: &[PathBuf], is_folder: bool) -> Vec<PathBuf> {
    let paths = folders.iter().flat_map(|folder| alternatives(path).into_iter().map(move |path| (folder, path)));
    paths.filter_map(|(folder, path)| find(folder, path, is_folder).err()).collect()
}

/// The path in `folder`, if a file (or a folder, where one is looked for) is there; otherwise the one that is not. What
/// follows a file's name and a `#` names an array inside the file.
fn find(folder: &Path, path: &str, is_folder: bool) -> Result<String, PathBuf> {
    if is_folder {
        let found = folder.join(path);
        return if found.is_dir() { Ok(found.to_string_lossy().into_owned()) } else { Err(found) };
    }
    // What comes with the program lies in no folder.
    let folder = if place::is_bundled(Path::new(path)) { Path::new("") } else { folder };
    let (file, key) = place::split_key(path, |file| place::is_there(&folder.join(file)));
    let file = folder.join(file);
    if !place::is_there(&file) {
        return Err(file);
    }
    let file = file.to_string_lossy();
    Ok(key.map_or(file.to_string(), |key| format!("{file}#{key}")))
}
