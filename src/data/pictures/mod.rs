//! Folders of pictures: which there are, decoded on all cores, brought to one form, packed once into a cache.

mod cache;
#[cfg_attr(not(feature = "pictures"), path = "no_decode.rs")]
mod decode;
mod fit;
mod orientation;
mod pack;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::{DataError, Problem};
use super::{Features, Storage};
use crate::model::Shape;
use crate::recipe::{Broken, DataSpec, ImageSpec};

use cache::Index;
pub use fit::Form;
use pack::{Packed, packed};
use scan::Scan;
pub use scan::{PictureSets, is_picture, picture_sets};

static PROGRESS: OnceLock<Box<dyn Fn(usize, usize) + Send + Sync>> = OnceLock::new();

/// Lets a program show how many pictures of how many are decoded; `show` is called from any thread. Only the first call
/// counts.
pub fn show_picture_progress(show: impl Fn(usize, usize) + Send + Sync + 'static) {
    let _ = PROGRESS.set(Box::new(show));
}

/// How pictures are loaded.
#[derive(Clone)]
pub struct Loading<'a> {
    /// The form they are brought to, as far as it is asked for.
    pub image: ImageSpec,
    /// What becomes of those that cannot be read.
    pub broken: Broken,
    /// The directory of the cache; none keeps nothing.
    pub cache: Option<PathBuf>,
    /// Is told how many pictures of how many are decoded, from any thread; there are none where all were packed before.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl Loading<'_> {
    /// As a recipe says it, with the cache in the user's directory. What the recipe leaves to the data, the input of a model
    /// decides, where there is one.
    pub fn of(spec: &DataSpec, input: Option<Shape>) -> Loading<'static> {
        let mut image = spec.image;
        if let Some(Shape::Image { channels, height, width }) = input {
            image.size = image.size.or(Some([height, width]));
            image.channels = image.channels.or(Some(channels));
        }
        let progress: &'static (dyn Fn(usize, usize) + Sync) = match PROGRESS.get() {
            Some(show) => &**show,
            None => &|_, _| {},
        };
        Loading { image, broken: spec.broken, cache: crate::file::cache_directory(), progress }
    }
}

/// What a folder of pictures holds, by the pictures' heads alone.
#[derive(Debug, Clone)]
pub struct PictureFolder {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The pictures of each, broken ones too.
    pub counts: Vec<usize>,
    /// What they are brought to.
    pub form: Form,
    /// What a person should know of them.
    pub notes: Vec<String>,
}

impl PictureFolder {
    /// Looks at a folder whose subfolders are classes.
    pub fn look(folder: &Path, loading: &Loading<'_>) -> Result<PictureFolder, DataError> {
        let Scan { classes, pictures, mut notes } = scanned(folder)?;
        let (form, why) = pack::form(folder, &pictures, loading);
        notes.push(format!("{}: {why}", folder.display()));
        let mut counts = vec![0; classes.len()];
        pictures.iter().for_each(|found| counts[found.class] += 1);
        Ok(PictureFolder { classes, counts, form, notes })
    }
}

impl PictureFolder {
    /// Looks at every picture of a folder: those that cannot be read count for no class, and are named in the notes.
    pub fn inspect(folder: &Path, loading: &Loading<'_>) -> Result<PictureFolder, DataError> {
        let scan = scanned(folder)?;
        let (form, why) = pack::form(folder, &scan.pictures, loading);
        let mut notes = scan.notes;
        notes.push(format!("{}: {why}", folder.display()));
        let mut counts = vec![0; scan.classes.len()];
        let checked = pack::checked(&scan.pictures, loading);
        for (found, result) in scan.pictures.iter().zip(checked) {
            match result {
                Ok(()) => counts[found.class] += 1,
                Err(cause) => notes.push(format!("warning: {} cannot be read: {cause}", found.path.display())),
            }
        }
        Ok(PictureFolder { classes: scan.classes, counts, form, notes })
    }
}

/// The pictures of a folder whose subfolders are classes, not sets.
fn scanned(folder: &Path) -> Result<Scan, DataError> {
    decode::check_there().map_err(|problem| problem.at(folder.display()))?;
    if let Some(PictureSets { train, validation, test }) = picture_sets(folder)? {
        let sets = [Some(train), validation, test].into_iter().flatten();
        let sets = sets.map(|set| set.display().to_string()).collect();
        return Err(Problem::Divided { sets }.at(folder.display()));
    }
    scan::classes(folder)
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
    /// Loads the pictures of a folder whose subfolders are classes: those of a model, where it is `known` what they are
    /// called.
    pub fn of_classes(folder: &Path, known: &[String], loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let mut scan = scanned(folder)?;
        if !known.is_empty() {
            scan.number_classes(known).map_err(|problem| problem.at(folder.display()))?;
        }
        Pictures::new(folder, scan, loading)
    }

    /// Loads pictures that are named, and those of named folders; nothing tells their classes, and nothing is kept.
    pub fn unlabelled(paths: &[PathBuf], loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
        decode::check_there().map_err(|problem| problem.at(first.display()))?;
        Pictures::new(first, scan::unlabelled(paths)?, &Loading { cache: None, ..loading.clone() })
    }

    fn new(folder: &Path, scan: Scan, loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let Scan { classes, mut pictures, mut notes } = scan;
        let (form, why) = pack::form(folder, &pictures, loading);
        notes.push(format!("{}: {why}", folder.display()));
        let Packed { index, values, not_kept } = packed(folder, &pictures, form, loading);
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
        let features =
            Features { storage: Storage::U8(values), count, shape: Shape::Image { channels, height, width } };
        let labels = pictures.iter().map(|found| found.class as u32).collect();
        let files = pictures.into_iter().map(|found| found.path).collect();
        Ok(Pictures { features, labels, classes, files, form, notes })
    }
}

/// What a person should know of packed pictures.
fn said(folder: &Path, index: &Index) -> Vec<String> {
    let place = folder.display();
    let said = [
        (index.transparent, "pictures with transparent parts, which lie over white"),
        (index.deep, "pictures of 16 bits, rounded to 8"),
    ];
    said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{place}: {what}: {count}")).collect()
}
