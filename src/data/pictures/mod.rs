//! Folders of pictures, and tables of them: which there are, decoded on all cores, brought to one form, packed once into a cache.

mod cache;
#[cfg_attr(not(feature = "pictures"), path = "no_decode.rs")]
mod decode;
mod fit;
mod orientation;
mod pack;
mod scan;
mod table;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::{DataError, Problem};
use super::{Features, Storage};
use crate::model::Shape;
use crate::recipe::{Broken, DataSpec, ImageSpec};

use cache::Index;
pub use fit::Form;
use pack::{Encoded, Packed, packed};
use scan::Scan;
pub use scan::{PictureSets, is_picture, picture_sets};
use table::{Labels, PictureColumn};
pub use table::{is_picture_table, label_column};

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

/// What a folder or a table of pictures holds, by the pictures' heads alone.
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
        let (form, why) = form(Encoded::Files { folder, pictures: &pictures }, loading)?;
        notes.push(why);
        let mut counts = vec![0; classes.len()];
        pictures.iter().for_each(|found| counts[found.class] += 1);
        Ok(PictureFolder { classes, counts, form, notes })
    }

    /// Looks at a table of pictures, whose labels are in a column of this name; without a name, in the only one there is.
    pub fn look_table(table: &Path, label: &str, loading: &Loading<'_>) -> Result<PictureFolder, DataError> {
        let (column, Labels { classes, labels, .. }) = read_table(table, label)?;
        let (form, why) = form(Encoded::Column(&column), loading)?;
        let mut counts = vec![0; classes.len()];
        labels.iter().flatten().for_each(|label| counts[*label as usize] += 1);
        Ok(PictureFolder { classes, counts, form, notes: vec![why] })
    }

    /// Looks at every picture of a folder: those that cannot be read count for no class, and are named in the notes.
    pub fn inspect(folder: &Path, loading: &Loading<'_>) -> Result<PictureFolder, DataError> {
        let scan = scanned(folder)?;
        let pictures = Encoded::Files { folder, pictures: &scan.pictures };
        let labels: Vec<Option<u32>> = scan.pictures.iter().map(|found| Some(found.class as u32)).collect();
        PictureFolder::checked(pictures, (scan.classes, &labels), scan.notes, loading)
    }

    /// The same for a table of pictures.
    pub fn inspect_table(table: &Path, label: &str, loading: &Loading<'_>) -> Result<PictureFolder, DataError> {
        let (column, Labels { classes, labels, .. }) = read_table(table, label)?;
        PictureFolder::checked(Encoded::Column(&column), (classes, &labels), Vec::new(), loading)
    }

    fn checked(
        pictures: Encoded<'_>,
        (classes, labels): (Vec<String>, &[Option<u32>]),
        mut notes: Vec<String>,
        loading: &Loading<'_>,
    ) -> Result<PictureFolder, DataError> {
        let (form, why) = form(pictures, loading)?;
        notes.push(why);
        let mut counts = vec![0; classes.len()];
        let checked = pack::checked(pictures, loading).map_err(|problem| problem.at(pictures.place().display()))?;
        for (place, result) in checked.into_iter().enumerate() {
            match result {
                Ok(()) => labels[place].iter().for_each(|label| counts[*label as usize] += 1),
                Err(cause) => notes.push(format!("warning: {} cannot be read: {cause}", pictures.name(place))),
            }
        }
        Ok(PictureFolder { classes, counts, form, notes })
    }
}

/// The form that pictures are brought to, and why, with the place where they lie.
fn form(pictures: Encoded<'_>, loading: &Loading<'_>) -> Result<(Form, String), DataError> {
    let place = pictures.place().display();
    let (form, why) = pack::form(pictures, loading).map_err(|problem| problem.at(&place))?;
    Ok((form, format!("{place}: {why}")))
}

/// The pictures of a table, and their labels.
fn read_table(table: &Path, label: &str) -> Result<(PictureColumn, Labels), DataError> {
    let at = |problem: Problem| problem.at(table.display());
    decode::check_there().map_err(at)?;
    let mut column = PictureColumn::open(table).map_err(at)?;
    let labels = column.labels(label).map_err(at)?;
    Ok((column, labels))
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
    /// Their files; none where they are rows of a table.
    pub files: Vec<PathBuf>,
    /// Their rows of the table, from 0, where some are left out.
    pub rows: Option<Vec<usize>>,
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

    /// Loads the pictures of a table, whose labels are in a column of this name; without a name, in the only one there is. The
    /// classes are those of a model, where it is `known` what they are called.
    pub fn of_table(table: &Path, label: &str, known: &[String], loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let at = |problem: Problem| problem.at(table.display());
        let (column, mut labels) = read_table(table, label)?;
        if let Some(row) = labels.labels.iter().position(Option::is_none) {
            return Err(at(labels.missing(row)));
        }
        if !known.is_empty() {
            labels.number(known).map_err(at)?;
        }
        Pictures::of_column(&column, labels, loading)
    }

    /// Loads the pictures of a table without labels; nothing is kept.
    pub fn of_table_unlabelled(table: &Path, loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let at = |problem: Problem| problem.at(table.display());
        decode::check_there().map_err(at)?;
        let column = PictureColumn::open(table).map_err(at)?;
        let labels = Labels { name: String::new(), classes: Vec::new(), labels: vec![None; column.rows] };
        Pictures::of_column(&column, labels, &Loading { cache: None, ..loading.clone() })
    }

    fn of_column(column: &PictureColumn, labels: Labels, loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let classes: Vec<u32> = labels.labels.iter().map(|label| label.unwrap_or(0)).collect();
        Pictures::packed(Encoded::Column(column), (labels.classes, classes), Vec::new(), loading)
    }

    fn new(folder: &Path, scan: Scan, loading: &Loading<'_>) -> Result<Pictures, DataError> {
        let Scan { classes, pictures, notes } = scan;
        let labels = pictures.iter().map(|found| found.class as u32).collect();
        Pictures::packed(Encoded::Files { folder, pictures: &pictures }, (classes, labels), notes, loading)
    }

    fn packed(
        encoded: Encoded<'_>,
        (classes, mut labels): (Vec<String>, Vec<u32>),
        mut notes: Vec<String>,
        loading: &Loading<'_>,
    ) -> Result<Pictures, DataError> {
        let place = encoded.place().display();
        let (form, why) = form(encoded, loading)?;
        notes.push(why);
        let Packed { index, values, not_kept } =
            packed(encoded, form, loading).map_err(|problem| problem.at(&place))?;
        if let Some((first, cause)) = index.broken.first() {
            let (path, others) = (encoded.name(*first), index.broken.len() - 1);
            if loading.broken == Broken::Error || index.count == 0 {
                return Err(Problem::BrokenPicture { cause: cause.clone(), others }.at(path));
            }
            let others = if others > 0 { format!(", and {others} more") } else { String::new() };
            notes.push(format!("warning: pictures that cannot be read are left out: {path}: {cause}{others}"));
        }
        let is_kept = |place: usize| index.broken.binary_search_by_key(&place, |(place, _)| *place).is_err();
        let (mut files, rows): (Vec<PathBuf>, _) = match encoded {
            Encoded::Files { pictures, .. } => (pictures.iter().map(|found| found.path.clone()).collect(), None),
            Encoded::Column(_) if index.broken.is_empty() => (Vec::new(), None),
            Encoded::Column(column) => (Vec::new(), Some((0..column.rows).filter(|row| is_kept(*row)).collect())),
        };
        keep(&mut labels, is_kept);
        keep(&mut files, is_kept);
        notes.extend(said(&place, &index));
        notes.extend(not_kept);
        let Index { height, width, channels, count, .. } = index;
        let features =
            Features { storage: Storage::U8(values), count, shape: Shape::Image { channels, height, width } };
        Ok(Pictures { features, labels, classes, files, rows, form, notes })
    }
}

/// Keeps the items at some places.
fn keep<T>(items: &mut Vec<T>, is_kept: impl Fn(usize) -> bool) {
    let mut place = 0..;
    items.retain(|_| is_kept(place.next().unwrap_or_default()));
}

/// What a person should know of packed pictures.
fn said(place: &impl Display, index: &Index) -> Vec<String> {
    let said = [
        (index.transparent, "pictures with transparent parts, which lie over white"),
        (index.deep, "pictures of 16 bits, rounded to 8"),
    ];
    said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{place}: {what}: {count}")).collect()
}
