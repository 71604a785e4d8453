//! Tables of pictures: a column holds the bytes of their files, as the library `datasets` writes it, another one their labels.

use std::path::Path;

use super::scan::{Found, stamp};
use crate::data::cells;
use crate::data::column::{Cell, Kind, Sink, Unusable};
use crate::data::columnar::ColumnFile;
use crate::data::error::{DataError, Problem};

/// The column of a table's pictures.
pub(super) struct PictureColumn {
    file: ColumnFile,
    place: usize,
    /// Its name.
    pub(super) name: String,
    /// The table.
    pub(super) found: Found,
    pub(super) rows: usize,
}

/// The labels of a table's pictures.
pub(super) struct Labels {
    /// The name of their column.
    pub(super) name: String,
    /// The names of the classes.
    pub(super) classes: Vec<String>,
    /// The class of each picture, none where it is missing.
    pub(super) labels: Vec<Option<u32>>,
}

/// Whether a file is a table of pictures. A file that is no table of columns is none, whatever it is.
pub fn is_picture_table(path: &Path) -> Result<bool, DataError> {
    if !crate::place::is_file(path) {
        return Ok(false);
    }
    let file = ColumnFile::open(path).map_err(|problem| problem.at(path.display()))?;
    Ok(file.is_some_and(|file| pictures_of(&file).next().is_some()))
}

/// The column of a table of pictures that holds their labels: the only one beside them or, of several, the only one that tells the names
/// of its classes or is called `label`.
pub fn label_column(table: &Path) -> Result<String, DataError> {
    let at = |problem: Problem| problem.at(table.display());
    let column = PictureColumn::open(table).map_err(at)?;
    column.label_place("").map(|place| column.file.columns()[place].name.clone()).map_err(at)
}

/// The columns of pictures.
fn pictures_of(file: &ColumnFile) -> impl Iterator<Item = usize> + '_ {
    let is_of = |kind: &Kind| *kind == Kind::Unusable(Unusable::Pictures);
    (0..file.columns().len()).filter(move |place| is_of(&file.columns()[*place].kind))
}

/// The number of rows, without their cells.
struct Counted(usize);

impl Sink for Counted {
    fn add(&mut self, _: Cell<'_>) {
        self.0 += 1;
    }
}

impl PictureColumn {
    pub(super) fn open(table: &Path) -> Result<PictureColumn, Problem> {
        let none = |cause: String| Problem::PictureTable { cause };
        let stamp = stamp(&std::fs::metadata(table)?);
        let file = ColumnFile::open(table)?;
        let mut file = file.ok_or_else(|| none("is no table of pictures; expected Parquet or Arrow".into()))?;
        let found: Vec<usize> = pictures_of(&file).collect();
        let name = |place: usize| file.columns()[place].name.clone();
        let place = match found[..] {
            [] => {
                return Err(none("has no column of pictures (the bytes of PNG, JPEG, WebP, BMP or GIF files)".into()));
            }
            [place] => place,
            [..] => {
                let names: Vec<String> = found.iter().map(|place| format!("{:?}", name(*place))).collect();
                let names = names.join(", ");
                return Err(none(format!(
                    "has several columns of pictures ({names}); write the table with one of them"
                )));
            }
        };
        let name = name(place);
        let rows = file.read(&mut file.columns().iter().map(|_| None::<Counted>).collect::<Vec<_>>(), &mut |_| {})?;
        let found = Found { path: table.to_path_buf(), class: 0, stamp };
        Ok(PictureColumn { file, place, name, found, rows })
    }

    /// What a row is called.
    pub(super) fn row(&self, row: usize) -> String {
        format!("{}, row {row} (from 0)", self.found.path.display())
    }

    /// Gives the bytes of the pictures to `take`, some at once.
    pub(super) fn each_piece(
        &self,
        take: &mut dyn FnMut(Vec<Option<Vec<u8>>>) -> Result<bool, Problem>,
    ) -> Result<(), Problem> {
        self.file.pictures(self.place, take)
    }

    /// Where the column of labels is.
    fn label_place(&self, label: &str) -> Result<usize, Problem> {
        let columns = self.file.columns();
        let names = |places: &[usize]| places.iter().map(|place| columns[*place].name.clone()).collect();
        let others: Vec<usize> = (0..columns.len()).filter(|place| *place != self.place).collect();
        if !label.is_empty() {
            let missing = || Problem::ColumnMissing { key: label.to_owned(), columns: names(&others), header: None };
            return others.iter().copied().find(|place| columns[*place].name == label).ok_or_else(missing);
        }
        let usable: Vec<usize> = others.iter().copied().filter(|place| columns[*place].kind == Kind::Cells).collect();
        let named = |place: &usize| self.file.class_names(&columns[*place].name).is_some();
        let called = |place: &usize| columns[*place].name == "label";
        let only = |places: Vec<usize>| if let [place] = places[..] { Some(place) } else { None };
        let found = only(usable.clone())
            .or_else(|| only(usable.iter().copied().filter(named).collect()))
            .or_else(|| only(usable.iter().copied().filter(called).collect()));
        found.ok_or_else(|| Problem::NoTarget { columns: names(&usable) })
    }

    /// The labels in the column of this name, or in the one that must hold them.
    pub(super) fn labels(&mut self, label: &str) -> Result<Labels, Problem> {
        let place = self.label_place(label)?;
        let column = &self.file.columns()[place];
        if let Kind::Unusable(why) = &column.kind {
            return Err(why.problem(vec![column.name.clone()]));
        }
        let name = column.name.clone();
        let class_names = self.file.class_names(&name);
        let mut sinks: Vec<Option<Vec<String>>> =
            (0..self.file.columns().len()).map(|other| (other == place).then(Vec::new)).collect();
        self.file.read(&mut sinks, &mut |_| {})?;
        let texts = sinks.swap_remove(place).unwrap_or_default();
        match class_names {
            Some(classes) => Labels::numbered(name, classes, &texts),
            None => Labels::named(name, &texts),
        }
    }
}

impl Labels {
    /// Of labels that are the numbers of classes with names; -1 says that there is none.
    fn numbered(name: String, classes: Vec<String>, texts: &[String]) -> Result<Labels, Problem> {
        let label = |(row, text): (usize, &String)| match text.as_str() {
            "" | "-1" => Ok(None),
            text => match text.parse::<u32>().ok().filter(|label| (*label as usize) < classes.len()) {
                Some(label) => Ok(Some(label)),
                None => {
                    let cause = format!("{text:?} is not the number of one of its {} classes", classes.len());
                    Err(Problem::ColumnCell { row: row as u64, name: name.clone(), cause })
                }
            },
        };
        let labels = texts.iter().enumerate().map(label).collect::<Result<_, Problem>>()?;
        Ok(Labels { name, classes, labels })
    }

    /// Of labels that are the names of classes.
    fn named(name: String, texts: &[String]) -> Result<Labels, Problem> {
        /// More are no classes.
        const MOST: usize = 10_000;
        let mut classes: Vec<String> = texts.iter().filter(|text| !text.is_empty()).cloned().collect();
        classes.sort_unstable();
        classes.dedup();
        if classes.len() > MOST {
            return Err(Problem::ManyClasses { name, most: MOST, rows: texts.len() });
        }
        let numbers: Option<Vec<i64>> = classes.iter().map(|class| class.parse().ok()).collect();
        if numbers.is_some() {
            classes.sort_by_key(|class| class.parse::<i64>().unwrap_or_default());
        }
        let places: std::collections::HashMap<&str, u32> =
            classes.iter().enumerate().map(|(place, class)| (class.as_str(), place as u32)).collect();
        let labels = texts.iter().map(|text| places.get(text.as_str()).copied()).collect();
        Ok(Labels { name, classes, labels })
    }

    /// What is to be said of a row without a label.
    pub(super) fn missing(&self, row: usize) -> Problem {
        let cause = "the label is missing; remove such rows, in pandas with dropna".to_owned();
        Problem::ColumnCell { row: row as u64, name: self.name.clone(), cause }
    }

    /// Numbers the classes as a model does whose classes are called so.
    pub(super) fn number(&mut self, known: &[String]) -> Result<(), Problem> {
        let places = cells::places(known, &self.classes);
        let is_used = |class: usize| self.labels.iter().flatten().any(|label| *label as usize == class);
        let strange = |class: &usize| places[*class].is_none() && is_used(*class);
        let found: Vec<String> =
            (0..self.classes.len()).filter(strange).map(|class| self.classes[class].clone()).collect();
        if !found.is_empty() {
            return Err(Problem::StrangeClasses { found, known: known.to_vec() });
        }
        let place = |label: u32| places[label as usize].map(|place| place as u32);
        self.labels.iter_mut().for_each(|label| *label = label.and_then(place));
        self.classes = known.to_vec();
        Ok(())
    }
}
