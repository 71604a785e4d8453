//! Folders of pictures: which there are, decoded on all cores, brought to one form, packed once into a cache.

mod cache;
#[cfg_attr(not(feature = "pictures"), path = "no_decode.rs")]
mod decode;
mod fit;
mod orientation;
mod pack;
mod scan;

use std::path::{Path, PathBuf};

use super::error::{DataError, Problem};
use super::{Features, Storage};
use crate::model::Shape;
use crate::recipe::{Broken, Fit, ImageSpec};

use cache::Index;
pub use fit::Form;
use pack::{Packed, packed};
use scan::Scan;
pub use scan::{PictureSets, picture_sets};

/// How pictures are loaded.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    /// The form they are brought to, as far as it is asked for.
    pub image: ImageSpec,
    /// What becomes of those that cannot be read.
    pub broken: Broken,
    /// The directory of the cache; none keeps nothing.
    pub cache: Option<&'a Path>,
    /// Is told how many pictures of how many are decoded, from any thread. What was packed before is not decoded.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Loaded pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// Their values, channels first.
    pub features: Features,
    /// The class of each, by its place in `classes`; 0 where nothing tells.
    pub labels: Vec<u32>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Their files.
    pub files: Vec<PathBuf>,
    /// What they were brought to.
    pub form: Form,
    /// What a person should know of how they were read.
    pub notes: Vec<String>,
}

impl Pictures {
    /// Loads the pictures of a folder whose subfolders are classes.
    pub fn of_classes(folder: &Path, loading: &Loading<'_>) -> Result<Pictures, DataError> {
        decode::check_there().map_err(|problem| problem.at(folder.display()))?;
        let scan = scan::classes(folder)?;
        let cache = loading.cache.map(|directory| cache::file(directory, folder, &scan.pictures, &loading.image));
        let packed = packed(&scan.pictures, cache.as_deref(), loading);
        Pictures::new(folder, scan, packed, loading)
    }

    /// Loads pictures that are named, and those of named folders; nothing tells their classes, and nothing is kept.
    pub fn unlabelled(paths: &[PathBuf], loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
        decode::check_there().map_err(|problem| problem.at(first.display()))?;
        let scan = scan::unlabelled(paths)?;
        let packed = packed(&scan.pictures, None, loading);
        Pictures::new(first, scan, packed, loading)
    }

    fn new(folder: &Path, scan: Scan, packed: Packed, loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let Scan { classes, mut pictures, mut notes } = scan;
        let Packed { index, values, not_kept } = packed;
        if let Some((first, cause)) = index.broken.first() {
            let (path, others) = (pictures[*first].path.display(), index.broken.len() - 1);
            if loading.broken == Broken::Error || index.count == 0 {
                return Err(Problem::BrokenPicture { cause: cause.clone(), others }.at(path));
            }
            let others = if others > 0 { format!(", and {others} more") } else { String::new() };
            notes.push(format!("warning: pictures that cannot be read are left out: {path}: {cause}{others}"));
        }
        let mut broken = index.broken.iter().map(|(place, _)| *place).peekable();
        let mut place = 0..;
        pictures.retain(|_| broken.next_if_eq(&place.next().unwrap_or_default()).is_none());
        notes.extend(said(folder, &index));
        notes.extend(not_kept);
        let Index { height, width, channels, count, .. } = index;
        let form = Form { height, width, channels, fit: loading.image.fit.unwrap_or(Fit::Crop) };
        let features =
            Features { storage: Storage::U8(values), count, shape: Shape::Image { channels, height, width } };
        let labels = pictures.iter().map(|found| found.class as u32).collect();
        let files = pictures.into_iter().map(|found| found.path).collect();
        Ok(Pictures { features, labels, classes, files, form, notes })
    }

    /// Numbers the classes as a model does that was trained on classes of these names.
    pub fn number_classes(&mut self, folder: &Path, known: &[String]) -> Result<(), DataError> {
        let place = |name: &String| known.iter().position(|known| known == name);
        let unknown: Vec<String> = self.classes.iter().filter(|name| place(name).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return Err(Problem::UnknownClasses { unknown, classes: known.to_vec() }.at(folder.display()));
        }
        let places: Vec<u32> = self.classes.iter().filter_map(|name| Some(place(name)? as u32)).collect();
        self.labels.iter_mut().for_each(|label| *label = places[*label as usize]);
        self.classes = known.to_vec();
        Ok(())
    }
}

/// What a person should know of packed pictures.
fn said(folder: &Path, index: &Index) -> Vec<String> {
    let place = folder.display();
    let chosen = index.chosen.iter().map(|chosen| format!("{place}: {chosen}"));
    let transparent = (index.transparent > 0)
        .then(|| format!("{place}: pictures with transparent parts, which lie over white: {}", index.transparent));
    let deep = (index.deep > 0).then(|| format!("{place}: pictures of 16 bits, rounded to 8: {}", index.deep));
    chosen.chain(transparent).chain(deep).collect()
}
