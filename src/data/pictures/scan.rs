//! Which pictures a folder holds, and of which classes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::super::error::{DataError, Problem};

/// Endings of the names of pictures that are read.
const PICTURES: [&str; 9] = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif"];
/// Endings of pictures that are not read.
const OTHER_PICTURES: [&str; 12] =
    ["tif", "tiff", "heic", "heif", "avif", "jxl", "jp2", "svg", "ppm", "pgm", "raw", "dng"];
/// What the folders of sets are called.
const SETS: [(&str, Set); 7] = [
    ("train", Set::Train),
    ("training", Set::Train),
    ("val", Set::Validation),
    ("valid", Set::Validation),
    ("validation", Set::Validation),
    ("test", Set::Test),
    ("testing", Set::Test),
];
/// Names in a message, at most.
const NAMED: usize = 3;

/// A picture that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub path: PathBuf,
    /// Its class' place among [`Scan::classes`].
    pub class: usize,
    /// What tells it from another file of its name: bytes, and when it was changed.
    pub stamp: Vec<u64>,
}

/// The pictures of a folder whose subfolders are classes.
#[derive(Debug, Clone, Default)]
pub(super) struct Scan {
    /// The names of the folders that hold pictures, sorted.
    pub classes: Vec<String>,
    /// Class by class, each sorted by its path.
    pub pictures: Vec<Found>,
    /// What a person should know of what was passed over.
    pub notes: Vec<String>,
}

impl Scan {
    /// A doubt, where classes have folders of the same names: they may be parts of a data set, and those folders the classes.
    fn parts_of_a_set(&self, folder: &Path) -> Option<String> {
        let mut inner: BTreeMap<&OsStr, BTreeSet<usize>> = BTreeMap::new();
        for found in &self.pictures {
            let mut steps = found.path.strip_prefix(folder).unwrap_or(&found.path).components().skip(1);
            if let (Some(step), Some(_)) = (steps.next(), steps.next()) {
                inner.entry(step.as_os_str()).or_default().insert(found.class);
            }
        }
        let shared: Vec<_> = inner.into_iter().filter(|(_, classes)| classes.len() > 1).collect();
        let [(first, classes), (second, _), ..] = &shared[..] else { return None };
        let mut names = classes.iter().map(|class| folder.join(&self.classes[*class]).display().to_string());
        let (one, other) = (names.next()?, names.next()?);
        Some(format!(
            "warning: {one} and {other} are taken for classes, and both have folders {} and {}: if these are the classes, name the parts \
             of the data set, as in --train {other} --test {one}",
            first.display(),
            second.display()
        ))
    }

    /// Numbers the classes as a model does whose classes are called so.
    pub(super) fn number_classes(&mut self, known: &[String]) -> Result<(), Problem> {
        let place = |name: &String| known.iter().position(|known| known == name);
        let unknown: Vec<String> = self.classes.iter().filter(|name| place(name).is_none()).cloned().collect();
        if !unknown.is_empty() {
            return Err(Problem::UnknownClasses { unknown, classes: known.to_vec() });
        }
        let places: Vec<usize> = self.classes.iter().filter_map(place).collect();
        self.pictures.iter_mut().for_each(|found| found.class = places[found.class]);
        self.classes = known.to_vec();
        Ok(())
    }
}

/// The folders of a data set's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureSets {
    /// The training pictures.
    pub train: PathBuf,
    /// Those that are watched.
    pub validation: Option<PathBuf>,
    /// Those that are tested with.
    pub test: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Train,
    Validation,
    Test,
}

/// The parts of a folder that is divided into `train` (or `training`), `val` (`valid`, `validation`) and `test` (`testing`); none
/// where its subfolders are classes. It is divided where it has a folder `train` that has folders itself, and no folder with pictures
/// of another name.
pub fn picture_sets(folder: &Path) -> Result<Option<PictureSets>, DataError> {
    let mut sets = PictureSets { train: PathBuf::new(), validation: None, test: None };
    let mut others = Vec::new();
    for entry in Listing::read(folder).map_err(|problem| problem.at(folder.display()))?.folders {
        let name = name_of(&entry).to_lowercase();
        let Some((_, set)) = SETS.iter().find(|(known, _)| *known == name) else {
            others.push(entry);
            continue;
        };
        match set {
            Set::Train if sets.train.as_os_str().is_empty() => sets.train = entry,
            Set::Validation if sets.validation.is_none() => sets.validation = Some(entry),
            Set::Test if sets.test.is_none() => sets.test = Some(entry),
            _ => return Ok(None),
        }
    }
    if sets.train.as_os_str().is_empty() {
        return Ok(None);
    }
    let train = Listing::read(&sets.train).map_err(|problem| problem.at(sets.train.display()))?;
    if train.folders.is_empty() {
        return Ok(None);
    }
    for other in others {
        if holds_pictures(&other)? {
            return Ok(None);
        }
    }
    Ok(Some(sets))
}

/// Whether a folder, or one within it, holds a picture.
fn holds_pictures(folder: &Path) -> Result<bool, DataError> {
    let (mut pictures, mut passed) = (Vec::new(), PassedOver::default());
    Walk { pictures: &mut pictures, passed: &mut passed, class: 0 }.folder(folder, &mut BTreeSet::new())?;
    Ok(!pictures.is_empty())
}

/// What is passed over while folders are gone through.
#[derive(Debug, Default)]
struct PassedOver {
    /// Folders of runs, whose pictures are charts.
    runs: Vec<PathBuf>,
    /// How many files there are of each ending that is no picture's.
    endings: BTreeMap<String, usize>,
    /// Links to folders that were gone through before.
    loops: Vec<PathBuf>,
    /// Links to nothing.
    dangling: Vec<PathBuf>,
    /// Pipes, devices and sockets.
    irregular: Vec<PathBuf>,
}

/// The entries of one folder that are not hidden, sorted by name.
#[derive(Debug, Default)]
struct Listing {
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, Metadata)>,
    dangling: Vec<PathBuf>,
    irregular: Vec<PathBuf>,
}

impl Listing {
    fn read(folder: &Path) -> Result<Listing, Problem> {
        let mut listing = Listing::default();
        let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.retain(|path| !is_hidden(path));
        entries.sort();
        for path in entries {
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => listing.folders.push(path),
                Ok(found) if found.is_file() => listing.files.push((path, found)),
                Ok(_) => listing.irregular.push(path),
                // Also of a link that leads to itself.
                Err(_) if path.is_symlink() => listing.dangling.push(path),
                Err(error) => return Err(Problem::Io(error)),
            }
        }
        Ok(listing)
    }
}

/// What file systems, versioning and macOS leave in folders.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") || [b"__MACOSX".as_slice(), b"Thumbs.db", b"desktop.ini"].contains(&name)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Whether a file's name is that of a picture that can be read.
pub fn is_picture(path: &Path) -> bool {
    PICTURES.contains(&&*ending(path))
}

/// Finds the pictures of a folder whose subfolders are the classes; what lies in folders within them is theirs, too.
pub(super) fn classes(folder: &Path) -> Result<Scan, DataError> {
    let top = Listing::read(folder).map_err(|problem| problem.at(folder.display()))?;
    let (mut scan, mut passed, mut empty) = (Scan::default(), PassedOver::default(), Vec::new());
    for class in &top.folders {
        let before = scan.pictures.len();
        let mut walk = Walk { pictures: &mut scan.pictures, passed: &mut passed, class: scan.classes.len() };
        walk.folder(class, &mut BTreeSet::new())?;
        if scan.pictures.len() > before { &mut scan.classes } else { &mut empty }.push(name_of(class));
    }
    let beside = top.files.iter().filter(|(path, _)| is_picture(path)).map(|(path, _)| name_of(path));
    let beside: Vec<String> = beside.collect();
    if scan.pictures.is_empty() {
        let cause = match (&beside[..], &passed.other_pictures()[..]) {
            ([], []) if top.folders.is_empty() => "has no folders and no pictures".to_string(),
            ([], []) => "none of its folders holds a picture".to_string(),
            ([], others) => {
                format!("holds pictures only of kinds that are not read ({}): convert them", others.join(", "))
            }
            _ => format!("holds pictures ({}), but in no folders for classes", some(&beside)),
        };
        return Err(Problem::NoPictures { cause }.at(folder.display()));
    }
    let place = folder.display();
    if !beside.is_empty() {
        let names = some(&beside);
        scan.notes.push(format!("warning: {place}: pictures beside the folders of classes, passed over: {names}"));
    }
    if !empty.is_empty() {
        scan.notes
            .push(format!("warning: {place}: folders without pictures, which become no classes: {}", some(&empty)));
    }
    scan.notes.extend(scan.parts_of_a_set(folder));
    scan.notes.extend(passed.notes(folder));
    Ok(scan)
}

/// Finds pictures that are named, and those of named folders, in their order; nothing tells their classes.
pub(super) fn unlabelled(paths: &[PathBuf]) -> Result<Scan, DataError> {
    let (mut scan, mut passed) = (Scan::default(), PassedOver::default());
    for path in paths {
        let at = |error: io::Error| Problem::from(error).at(path.display());
        let found = fs::metadata(path).map_err(at)?;
        if found.is_dir() {
            let mut walk = Walk { pictures: &mut scan.pictures, passed: &mut passed, class: 0 };
            walk.folder(path, &mut BTreeSet::new())?;
        } else {
            scan.pictures.push(Found { path: path.clone(), class: 0, stamp: stamp(&found) });
        }
    }
    if scan.pictures.is_empty() {
        let cause = "holds no picture (PNG, JPEG, WebP, BMP or GIF)".to_string();
        let place = paths.first().map_or(String::new(), |path| path.display().to_string());
        return Err(Problem::NoPictures { cause }.at(place));
    }
    scan.notes = paths.first().map_or(Vec::new(), |path| passed.notes(path));
    Ok(scan)
}

/// A walk through the folders of one class.
struct Walk<'a> {
    pictures: &'a mut Vec<Found>,
    passed: &'a mut PassedOver,
    class: usize,
}

impl Walk<'_> {
    /// Goes through a folder, unless it is one of those that were `seen`: links may lead round in circles.
    fn folder(&mut self, folder: &Path, seen: &mut BTreeSet<PathBuf>) -> Result<(), DataError> {
        let mut left = vec![folder.to_path_buf()];
        while let Some(folder) = left.pop() {
            let at = |error: io::Error| Problem::from(error).at(folder.display());
            if !seen.insert(fs::canonicalize(&folder).map_err(at)?) {
                self.passed.loops.push(folder);
                continue;
            }
            let listing = Listing::read(&folder).map_err(|problem| problem.at(folder.display()))?;
            if listing.files.iter().any(|(path, _)| path.file_name().is_some_and(|name| name == "recipe.toml")) {
                self.passed.runs.push(folder);
                continue;
            }
            for (path, found) in listing.files {
                if is_picture(&path) {
                    self.pictures.push(Found { path, class: self.class, stamp: stamp(&found) });
                } else {
                    *self.passed.endings.entry(ending(&path)).or_default() += 1;
                }
            }
            self.passed.dangling.extend(listing.dangling);
            self.passed.irregular.extend(listing.irregular);
            left.extend(listing.folders.into_iter().rev());
        }
        Ok(())
    }
}

impl PassedOver {
    /// Pictures of formats that are not read, by ending.
    fn other_pictures(&self) -> Vec<String> {
        let others = self.endings.iter().filter(|(ending, _)| OTHER_PICTURES.contains(&ending.as_str()));
        others.map(|(ending, count)| format!("{count} .{ending}")).collect()
    }

    fn notes(&self, folder: &Path) -> Vec<String> {
        let place = folder.display();
        let mut notes = Vec::new();
        let pictures = self.other_pictures();
        if !pictures.is_empty() {
            let pictures = pictures.join(", ");
            notes.push(format!(
                "warning: {place}: pictures of formats that are not read, passed over: {pictures}; convert them to PNG or JPEG"
            ));
        }
        let others = self.endings.iter().filter(|(ending, _)| !OTHER_PICTURES.contains(&ending.as_str()));
        let others: usize = others.map(|(_, count)| count).sum();
        if others > 0 {
            notes.push(format!("{place}: files that are no pictures, passed over: {others}"));
        }
        if !self.runs.is_empty() {
            let names: Vec<String> = self.runs.iter().map(|path| path.display().to_string()).collect();
            notes.push(format!("{place}: folders of runs, passed over: {}", some(&names)));
        }
        let odd = [
            (&self.loops, "links to folders that were gone through"),
            (&self.dangling, "links that lead nowhere"),
            (&self.irregular, "pipes, devices or sockets"),
        ];
        for (paths, what) in odd.into_iter().filter(|(paths, _)| !paths.is_empty()) {
            let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            notes.push(format!("warning: {place}: {what}, passed over: {}", some(&names)));
        }
        notes
    }
}

/// Length and times of a file, and where the system tells, its number: when any of it changes the file is read again.
pub(super) fn stamp(found: &Metadata) -> Vec<u64> {
    let since = |time: io::Result<std::time::SystemTime>| {
        let since = time.ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(since.as_nanos() as u64)
    };
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut stamp = vec![found.len(), since(found.modified()).unwrap_or(0)];
    #[cfg(unix)]
    {
        // No program sets the time of a change: unpacking an archive with old times is seen.
        use std::os::unix::fs::MetadataExt;
        stamp.extend([found.ino(), found.ctime() as u64, found.ctime_nsec() as u64]);
    }
    stamp
}

/// The first names.
fn some(names: &[String]) -> String {
    let rest = names.len().saturating_sub(NAMED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{rest}", names[..names.len().min(NAMED)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes empty files, and the folders above them.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        folder
    }

    fn names(scan: &Scan, folder: &Path) -> Vec<(String, usize)> {
        let relative = |path: &Path| path.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/");
        scan.pictures.iter().map(|found| (relative(&found.path), found.class)).collect()
    }

    #[test]
    fn subfolders_are_classes_in_the_order_of_their_names() {
        let files =
            ["猫/b.PNG", "猫/old/a.jpeg", "dog/x.webp", "dog/.DS_Store", ".git/x.png", "dog/notes.txt", "Ähre/1.gif"];
        let folder = folder(&files);
        let scan = classes(folder.path()).unwrap();
        assert_eq!(scan.classes, ["dog", "Ähre", "猫"]);
        let expected = [("dog/x.webp", 0), ("Ähre/1.gif", 1), ("猫/b.PNG", 2), ("猫/old/a.jpeg", 2)];
        assert_eq!(names(&scan, folder.path()), expected.map(|(name, class)| (name.to_string(), class)));
        // What is hidden is nobody's business.
        assert_eq!(scan.notes, [format!("{}: files that are no pictures, passed over: 1", folder.path().display())]);
    }

    #[test]
    fn what_is_passed_over_is_said() {
        let folder = folder(&["a/1.png", "b/1.png", "none/readme.md", "left.png", "a/raw.heic"]);
        let notes = classes(folder.path()).unwrap().notes.join("\n");
        for word in [
            "beside the folders of classes, passed over: left.png",
            "without pictures, which become no classes: none",
            "1 .heic",
        ] {
            assert!(notes.contains(word), "{word}: {notes}");
        }
    }

    #[test]
    fn a_folder_without_classes_is_refused_with_what_it_holds() {
        for (files, word) in [
            (&["a.png", "b.png"][..], "pictures (a.png, b.png), but in no folders"),
            (&["a/x.txt"], "none of its folders"),
            (&["a/x.heic", "b/y.heic"], "2 .heic"),
            (&[], "no folders and no pictures"),
        ] {
            let folder = folder(files);
            let error = classes(folder.path()).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("subfolders are the classes"), "{error}");
        }
        let missing = classes(Path::new("no such folder")).unwrap_err().to_string();
        assert!(missing.contains("there is no such file"), "{missing}");
    }

    #[test]
    fn sets_are_told_from_classes() {
        let sets = |files: &[&str]| {
            let folder = folder(files);
            let sets = picture_sets(folder.path()).unwrap();
            sets.map(|sets| [Some(sets.train), sets.validation, sets.test].map(|path| path.map(|path| name_of(&path))))
        };
        let all = sets(&["Train/a/1.png", "valid/a/1.png", "test/a/1.png"]).unwrap();
        assert_eq!(all, ["Train", "valid", "test"].map(|name| Some(name.to_string())));
        assert_eq!(sets(&["train/a/1.png", "labels.csv"]).unwrap(), [Some("train".to_string()), None, None]);
        let all = sets(&["Training/a/1.png", "Testing/a/1.png"]).unwrap();
        assert_eq!(all, [Some("Training".to_string()), None, Some("Testing".to_string())]);
        assert!(
            sets(&["train/a/1.png", "test/a/1.png", "docs/x.txt", "runs/1/recipe.toml", "runs/1/loss.png"]).is_some()
        );
        // A train beside planes, pictures of trains, two folders of one set, nothing to train on.
        assert_eq!(sets(&["train/old/1.png", "plane/1.png"]), None);
        assert_eq!(sets(&["train/1.png", "test/1.png"]), None);
        assert_eq!(sets(&["train/a/1.png", "val/a/1.png", "valid/a/1.png"]), None);
        assert_eq!(sets(&["val/a/1.png", "test/a/1.png"]), None);
    }

    #[test]
    fn the_charts_of_runs_are_no_pictures_of_a_class() {
        let folder = folder(&["cat/1.png", "dog/1.png", "runs/cats-1/recipe.toml", "runs/cats-1/loss.png"]);
        let scan = classes(folder.path()).unwrap();
        assert_eq!((&scan.classes[..], scan.pictures.len()), (&["cat".to_string(), "dog".to_string()][..], 2));
        let notes = scan.notes.join(" ");
        assert!(notes.contains("become no classes: runs") && notes.contains("folders of runs, passed over"), "{notes}");
    }

    #[test]
    fn classes_with_folders_of_the_same_names_are_doubted() {
        let notes = |files: &[&str]| classes(folder(files).path()).unwrap().notes.join(" ");
        let parts =
            notes(&["seg_test/sea/1.png", "seg_test/ice/1.png", "seg_train/ice/1.png", "seg_train/sea/a/1.png"]);
        assert!(parts.contains("both have folders ice and sea") && parts.contains("seg_train --test "), "{parts}");
        assert_eq!(notes(&["cat/old/1.png", "cat/new/1.png", "dog/old/1.png", "dog/1.png"]), "");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_round_or_nowhere_are_passed_over() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["a/1.png", "b/deep/2.png"]);
        let root = folder.path();
        symlink(root.join("b"), root.join("b/deep/round")).unwrap();
        symlink("itself", root.join("a/itself")).unwrap();
        symlink("gone.png", root.join("a/gone.png")).unwrap();
        symlink(root.join("a/1.png"), root.join("b/linked.png")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(root.join("a/pipe.png")).status().unwrap().success());
        let scan = classes(root).unwrap();
        let found: Vec<String> = names(&scan, root).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["a/1.png", "b/linked.png", "b/deep/2.png"]);
        let notes = scan.notes.join("\n");
        for word in
            ["links to folders that were gone", "lead nowhere, passed over: ", "pipes, devices", "round", "itself"]
        {
            assert!(notes.contains(word), "{word}: {notes}");
        }
    }

    #[test]
    fn another_content_has_another_stamp() {
        let folder = folder(&["a/1.png"]);
        let before = classes(folder.path()).unwrap().pictures;
        assert_eq!(before, classes(folder.path()).unwrap().pictures);
        fs::write(folder.path().join("a/1.png"), b"other").unwrap();
        assert_ne!(before, classes(folder.path()).unwrap().pictures);
    }
}
