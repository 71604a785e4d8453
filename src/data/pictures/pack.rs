//! Pictures decoded on all cores and packed in one form, one after the other.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Loading;
use super::cache::{self, Index};
use super::decode::{self, Head, Picture};
use super::fit::{Form, fitted};
use super::scan::Found;
use super::table::PictureColumn;
use crate::data::Numbers;
use crate::data::error::Problem;
use crate::recipe::{Broken, Fit, ImageSpec};

/// Pictures that are decoded before they are written: so many lie in memory at once.
const CHUNK: usize = 1024;
/// Bytes of a file that are read for its head at first.
const HEAD_BYTES: u64 = 64 << 10;
/// Pictures in larger files, and of more pixels, are decoded one at a time: each may take hundreds of megabytes.
const LARGE: usize = 16 << 20;
/// Longest file that is read.
const LONGEST: u64 = 1 << 30;
/// Pictures that are all of one size stay as they are, if no side is longer.
const LONGEST_SIDE: usize = 128;
/// The shorter side of others becomes no longer than this.
const SHORTER_SIDE: usize = 64;

/// Pictures that are not decoded yet, in their order.
#[derive(Clone, Copy)]
pub(super) enum Encoded<'a> {
    /// Each in a file.
    Files { folder: &'a Path, pictures: &'a [Found] },
    /// All in a column of one file.
    Column(&'a PictureColumn),
}

/// One of them.
enum One<'a> {
    File(&'a Path),
    /// Its bytes, if there are any.
    Bytes(Option<Vec<u8>>),
}

impl Encoded<'_> {
    /// How many there are.
    pub(super) fn count(self) -> usize {
        match self {
            Encoded::Files { pictures, .. } => pictures.len(),
            Encoded::Column(column) => column.rows,
        }
    }

    /// Where they lie.
    pub(super) fn place(&self) -> &Path {
        match self {
            Encoded::Files { folder, .. } => folder,
            Encoded::Column(column) => &column.found.path,
        }
    }

    /// What one is called.
    pub(super) fn name(self, place: usize) -> String {
        match self {
            Encoded::Files { pictures, .. } => pictures[place].path.display().to_string(),
            Encoded::Column(column) => column.row(place),
        }
    }

    /// Gives them to `take`, some at once.
    fn each_piece(self, take: &mut dyn FnMut(Vec<One<'_>>)) -> Result<(), Problem> {
        match self {
            Encoded::Files { pictures, .. } => {
                for chunk in pictures.chunks(CHUNK) {
                    take(chunk.iter().map(|found| One::File(&found.path)).collect());
                }
                Ok(())
            }
            Encoded::Column(column) => column.each_piece(&mut |piece| {
                take(piece.into_iter().map(One::Bytes).collect());
                Ok(true)
            }),
        }
    }

    /// The file for what is made of them, of so a kind.
    fn cache(self, directory: &Path, kind: &str, made: &str) -> PathBuf {
        match self {
            Encoded::Files { folder, pictures } => cache::file(directory, folder, pictures, kind, made),
            Encoded::Column(column) => {
                let made = format!("{made} of the column {:?}", column.name);
                let table = std::slice::from_ref(&column.found);
                cache::file(directory, &column.found.path, table, kind, &made)
            }
        }
    }
}

/// Packed pictures.
pub(super) struct Packed {
    pub index: Index,
    pub values: Numbers<u8>,
    /// Why they will have to be decoded again.
    pub not_kept: Option<String>,
}

/// Why a picture is not packed.
enum Cause {
    /// Its content is wrong.
    Broken(String),
    /// It could not be read this time.
    Unread(String),
}

/// Why packed pictures are not kept.
enum Stop {
    Io(io::Error),
    /// The file that holds them cannot be read.
    Read(Problem),
    /// Files could not be read this time.
    Unread(Index),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Read(problem)
    }
}

/// The pictures in this form: from the cache, or decoded and then kept there.
pub(super) fn packed(pictures: Encoded<'_>, form: Form, loading: &Loading<'_>) -> Result<Packed, Problem> {
    let made = format!("{form:?}");
    let cache = loading.cache.as_ref().map(|directory| pictures.cache(directory, cache::PACKED, &made));
    let from_cache = |path: &Path| {
        let (index, values) = cache::load(path)?;
        index.is_of(pictures.count()).then_some(Packed { index, values, not_kept: None })
    };
    if let Some(packed) = cache.as_deref().and_then(from_cache) {
        return Ok(packed);
    }
    let packer = Packer { pictures, form, loading };
    let mut not_kept = None;
    if let Some(path) = cache {
        let why = match cache::store(&path, |write| packer.kept(write)) {
            Ok(_) => match from_cache(&path) {
                Some(packed) => return Ok(packed),
                None => "what was written cannot be read again".to_string(),
            },
            Err(Stop::Unread(index)) if loading.broken == Broken::Error => {
                return Ok(Packed { index, values: Vec::new().into(), not_kept: None });
            }
            Err(Stop::Read(problem)) => return Err(problem),
            Err(Stop::Unread(_)) => "some could not be read this time".to_string(),
            Err(Stop::Io(error)) => error.to_string(),
        };
        let path = path.display();
        not_kept = Some(format!("note: the decoded pictures are not kept in {path} ({why}): every start decodes them"));
    }
    let mut values = Vec::new();
    let (index, _) = packer.pack(|packed| values.extend_from_slice(packed))?;
    Ok(Packed { index, values: values.into(), not_kept })
}

struct Packer<'a> {
    pictures: Encoded<'a>,
    form: Form,
    loading: &'a Loading<'a>,
}

impl Packer<'_> {
    /// Packs what is to be kept.
    fn kept(&self, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<Index, Stop> {
        let mut result = Ok(());
        let (index, unread) = self.pack(|packed| {
            if result.is_ok() {
                result = write(packed);
            }
        })?;
        result?;
        if unread { Err(Stop::Unread(index)) } else { Ok(index) }
    }

    /// Gives the values of all pictures to `write`, in their order; true where some could not be read this time.
    fn pack(&self, mut write: impl FnMut(&[u8])) -> Result<(Index, bool), Problem> {
        let Form { height, width, channels, .. } = self.form;
        let hash = String::new();
        let mut index = Index { height, width, channels, count: 0, broken: Vec::new(), transparent: 0, deep: 0, hash };
        let (done, total) = (AtomicUsize::new(0), self.pictures.count());
        let (mut unread, mut place) = (false, 0);
        self.pictures.each_piece(&mut |piece| {
            let one = |picture: &One<'_>| {
                let fit = |picture: &Picture| (fitted(picture, &self.form), picture.transparent, picture.deep);
                let result = with_picture(picture, fit);
                (self.loading.progress)(done.fetch_add(1, Relaxed) + 1, total);
                result
            };
            let decoded: Vec<_> = piece.par_iter().with_max_len(8).map(one).collect();
            for result in decoded {
                match result {
                    Ok((values, transparent, deep)) => {
                        write(&values);
                        index.count += 1;
                        index.transparent += usize::from(transparent);
                        index.deep += usize::from(deep);
                    }
                    Err(cause) => {
                        unread |= matches!(cause, Cause::Unread(_));
                        let (Cause::Broken(why) | Cause::Unread(why)) = cause;
                        index.broken.push((place, why));
                    }
                }
                place += 1;
            }
        })?;
        Ok((index, unread))
    }
}

/// Reads and decodes a picture, and makes something of it.
fn with_picture<T>(picture: &One<'_>, make: impl FnOnce(&Picture) -> T) -> Result<T, Cause> {
    /// Whoever has a large picture in memory has this.
    static TURN: Mutex<()> = Mutex::new(());
    let bytes = match picture {
        One::File(path) => {
            let (bytes, whole) = first_bytes(path, LONGEST).map_err(|error| Cause::Unread(error.to_string()))?;
            if !whole {
                return Err(Cause::Broken(format!("it is longer than {} MiB", LONGEST >> 20)));
            }
            Cow::Owned(bytes)
        }
        One::Bytes(Some(bytes)) => Cow::Borrowed(&bytes[..]),
        One::Bytes(None) => return Err(Cause::Broken("there are no bytes of it".into())),
    };
    let _turn = is_large(&bytes).then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
    decode::decode(&bytes).map(|picture| make(&picture)).map_err(Cause::Broken)
}

/// Whether a picture takes much memory: a short file may hold one of many pixels.
fn is_large(bytes: &[u8]) -> bool {
    let pixels = |head: Head| head.width * head.height;
    bytes.len() > LARGE || decode::head(bytes).is_ok_and(|head| pixels(head) > LARGE)
}

/// Decodes every picture, to see whether it can be.
pub(super) fn checked(pictures: Encoded<'_>, loading: &Loading<'_>) -> Result<Vec<Result<(), String>>, Problem> {
    let (done, total) = (AtomicUsize::new(0), pictures.count());
    let mut checked = Vec::new();
    pictures.each_piece(&mut |piece| {
        let one = |picture: &One<'_>| {
            let result = with_picture(picture, |_| ());
            (loading.progress)(done.fetch_add(1, Relaxed) + 1, total);
            result.map_err(|(Cause::Broken(why) | Cause::Unread(why))| why)
        };
        checked.extend(piece.par_iter().with_max_len(8).map(one).collect::<Vec<_>>());
    })?;
    Ok(checked)
}

/// At most so many bytes of a file, and whether these are all.
fn first_bytes(path: &Path, most: u64) -> io::Result<(Vec<u8>, bool)> {
    let file = crate::file::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(length.min(most) as usize);
    file.take(most).read_to_end(&mut bytes)?;
    Ok((bytes, length <= most))
}

/// The head of a picture; none where it cannot be read, which decoding it will tell.
fn head(picture: &One<'_>) -> Option<Head> {
    let path = match picture {
        One::File(path) => path,
        One::Bytes(bytes) => return decode::head(bytes.as_ref()?).ok(),
    };
    let (bytes, whole) = first_bytes(path, HEAD_BYTES).ok()?;
    match decode::head(&bytes) {
        // Some have previews and colour profiles before their size.
        Err(_) if !whole => decode::head(&first_bytes(path, LONGEST).ok()?.0).ok(),
        other => other.ok(),
    }
}

/// The form that is asked for or, where it is left to the data, what its pictures suggest, and why.
pub(super) fn form(pictures: Encoded<'_>, loading: &Loading<'_>) -> Result<(Form, String), Problem> {
    let image = &loading.image;
    let fit = image.fit.unwrap_or(Fit::Crop);
    if let (Some([height, width]), Some(channels)) = (image.size, image.channels) {
        let colours = if channels == 1 { "grey" } else { "in colour" };
        let words = format!("pictures are brought to {height} x {width} pixels (height x width), {colours}, fit {fit}");
        return Ok((Form { height, width, channels, fit }, words));
    }
    // All heads are read for it: what they told is kept.
    let made = format!("{:?} {:?}", image.size, image.channels);
    let cache = loading.cache.as_ref().map(|directory| pictures.cache(directory, cache::FORM, &made));
    let kept = cache.as_deref().and_then(cache::load_text);
    let kept: Option<Suggested> = kept.and_then(|text| serde_json::from_str(&text).ok());
    let suggested = match kept {
        Some(kept) => kept,
        None => {
            let suggested = suggest(pictures, image)?;
            if let (Some(path), Ok(text)) = (cache, serde_json::to_string(&suggested)) {
                cache::store_text(&path, &text);
            }
            suggested
        }
    };
    let Suggested { size: [height, width], channels, why } = suggested;
    Ok((Form { height, width, channels, fit }, why))
}

/// What pictures suggest, and why.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suggested {
    size: [usize; 2],
    channels: usize,
    why: String,
}

fn suggest(pictures: Encoded<'_>, image: &ImageSpec) -> Result<Suggested, Problem> {
    let mut heads: Vec<Head> = Vec::new();
    pictures.each_piece(&mut |piece| {
        heads.extend(piece.par_iter().with_max_len(64).filter_map(head).collect::<Vec<Head>>());
    })?;
    let (size, sized) = match image.size {
        Some(size) => (size, String::new()),
        None => self::size(&heads),
    };
    let grey = heads.iter().filter(|head| head.grey).count();
    let (channels, coloured) = match (image.channels, heads.len() - grey) {
        (Some(channels), _) => (channels, String::new()),
        (None, 0) => (1, "grey, as all are".to_string()),
        (None, coloured) if grey == 0 => (3, format!("in colour, as all {coloured} are")),
        (None, coloured) => (3, format!("in colour, as {coloured} of {} are", heads.len())),
    };
    let words: Vec<String> = [sized, coloured].into_iter().filter(|words| !words.is_empty()).collect();
    let asked = match (image.size, image.channels) {
        (None, None) => "size and channels",
        (None, _) => "size",
        _ => "channels",
    };
    let why = format!("pictures are taken {} (data.image asks for another {asked})", words.join(", "));
    Ok(Suggested { size, channels, why })
}

/// Height and width for pictures of these sizes, and why.
fn size(heads: &[Head]) -> ([usize; 2], String) {
    let sides = |of: fn(&Head) -> usize| {
        let mut sides: Vec<usize> = heads.iter().map(of).collect();
        sides.sort_unstable();
        (
            sides.first().copied().unwrap_or(1),
            sides.get(sides.len() / 2).copied().unwrap_or(1),
            sides.last().copied().unwrap_or(1),
        )
    };
    let (heights, widths) = (sides(|head| head.height), sides(|head| head.width));
    let ((height, _, tallest), (width, _, widest)) = (heights, widths);
    if (height, width) != (tallest, widest) {
        let side = sides(|head| head.height.min(head.width)).1.min(SHORTER_SIDE);
        let words = format!(
            "{side} x {side} pixels (height x width): their own sizes are from {height} x {width} to {tallest} x {widest}"
        );
        return ([side, side], words);
    }
    if height.max(width) <= LONGEST_SIDE {
        return ([height, width], format!("{height} x {width} pixels (height x width), as all are"));
    }
    // Smaller, with the same ratio of sides.
    let shorter = height.min(width).min(SHORTER_SIDE);
    let scaled = |side: usize| (side * shorter / height.min(width).max(1)).clamp(1, LONGEST_SIDE);
    let (to_height, to_width) = (scaled(height), scaled(width));
    ([to_height, to_width], format!("{to_height} x {to_width} pixels (height x width): all are of {height} x {width}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "pictures")]
    #[test]
    fn pictures_of_many_pixels_are_large_however_short_the_file_is() {
        let png = |side: u32| {
            let mut bytes = Vec::new();
            let mut encoder = ::png::Encoder::new(&mut bytes, side, side);
            encoder.set_color(::png::ColorType::Grayscale);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&vec![0; (side * side) as usize]).unwrap();
            writer.finish().unwrap();
            bytes
        };
        let (small, large) = (png(64), png(4097));
        assert!(large.len() < LARGE, "{} bytes", large.len());
        assert_eq!((is_large(&small), is_large(&large), is_large(b"no picture")), (false, true, false));
        assert!(is_large(&vec![0; LARGE + 1]));
    }

    #[test]
    fn the_size_follows_from_the_pictures() {
        let of = |sizes: &[(usize, usize)]| {
            let heads: Vec<Head> = sizes.iter().map(|&(height, width)| Head { height, width, grey: false }).collect();
            size(&heads).0
        };
        assert_eq!(of(&[(28, 20), (28, 20)]), [28, 20], "as they are");
        assert_eq!(of(&[(480, 640); 3]), [64, 85], "the same ratio");
        assert_eq!(of(&[(30, 3000); 3]), [30, 128], "no side is too long");
        assert_eq!(of(&[(40, 50), (48, 30), (90, 32)]), [32, 32], "the median of the shorter sides");
        assert_eq!(of(&[(4000, 3000), (480, 640)]), [64, 64], "no more than is needed");
        assert_eq!(of(&[]), [1, 1], "of pictures that cannot be read");
    }
}
