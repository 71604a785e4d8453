//! `[data]`.

use super::super::schema::{DataSpec, Holdout, ImageSpec, Scale, Source};
use crate::keys::{Item, KeyError, Table, Value};

const KEYS: &[&str] = &[
    "train",
    "test",
    "validation",
    "header",
    "features",
    "drop",
    "categorical",
    "missing",
    "image",
    "broken",
    "scale",
    "stratify",
    "seed",
    "classes",
    "examples",
];
/// The keys that are for one kind of source alone.
const OF_TABLES: [&str; 4] = ["features", "drop", "categorical", "missing"];
const OF_FOLDERS: [&str; 2] = ["image", "broken"];

pub(super) fn data(table: Table<'_>) -> Result<DataSpec, KeyError> {
    let table = table.only(KEYS)?;
    let train = table.get("train").map(|item| source(&item, None)).transpose()?;
    check_keys(&table, train.as_ref())?;
    let held_out = |key: &str| table.get(key).map_or(Ok(Holdout::None), |item| holdout(&item, train.as_ref()));
    let scale = match train {
        Some(Source::Table { .. }) => Scale::Standard,
        _ => Scale::default(),
    };
    let spec = DataSpec {
        test: held_out("test")?,
        validation: held_out("validation")?,
        header: table.get("header").map(|item| item.boolean()).transpose()?,
        features: columns(&table, "features")?,
        drop: columns(&table, "drop")?,
        categorical: columns(&table, "categorical")?,
        missing: table.get("missing").map_or(Ok(Default::default()), |item| item.word())?,
        image: table.get("image").map_or(Ok(ImageSpec::default()), |item| image(&item))?,
        broken: table.get("broken").map_or(Ok(Default::default()), |item| item.word())?,
        scale: table.get("scale").map_or(Ok(scale), |item| item.word())?,
        stratify: table.get("stratify").map(|item| item.boolean()).transpose()?,
        seed: table.get("seed").map(|item| item.whole(0)).transpose()?,
        classes: table.get("classes").map(|item| item.whole(2)).transpose()?,
        examples: table.get("examples").map(|item| item.whole(1)).transpose()?,
        train,
    };
    if let (false, Some(item)) = (spec.features.is_empty(), table.get("drop")) {
        return Err(item
            .conflict("features names the columns that are taken, so that drop has nothing to leave out; remove one"));
    }
    match (&spec.test, &spec.validation, table.get("validation")) {
        (Holdout::Fraction(test), Holdout::Fraction(validation), Some(item)) if test + validation >= 1.0 => {
            Err(item.conflict(format!("test = {test} and validation = {validation} leave no examples for training")))
        }
        _ => Ok(spec),
    }
}

/// Refuses keys that mean nothing for this kind of training examples.
fn check_keys(table: &Table<'_>, train: Option<&Source>) -> Result<(), KeyError> {
    let (is_table, is_folder) =
        (matches!(train, Some(Source::Table { .. })), matches!(train, Some(Source::Folder { .. })));
    let of = |keys: &[&str]| keys.iter().find_map(|key| table.get(key));
    let foreign = [
        (of(&OF_TABLES).filter(|_| !is_table), "a table: train = { table = \"FILE\", target = \"COLUMN\" }"),
        (of(&OF_FOLDERS).filter(|_| !is_folder), "a folder of pictures: train = { folder = \"PATH\" }"),
    ];
    if let Some(item) = table.get("classes").filter(|_| is_folder) {
        return Err(
            item.conflict("is for classes that are numbered; of a folder, move the folders of other classes away")
        );
    }
    match foreign.into_iter().find_map(|(item, owner)| Some((item?, owner))) {
        Some((item, owner)) => Err(item.conflict(format!("is for the training examples of {owner}; remove it"))),
        None => Ok(()),
    }
}

/// The names of columns at a key.
fn columns(table: &Table<'_>, key: &str) -> Result<Vec<String>, KeyError> {
    const EXPECTED: &str = "a list of names of columns, such as [\"rooms\", \"district\"]";
    let Some(item) = table.get(key) else { return Ok(Vec::new()) };
    let items = item.list(EXPECTED)?;
    items.iter().map(|item| Ok(item.text(EXPECTED)?.to_string())).collect()
}

fn image(item: &Item<'_>) -> Result<ImageSpec, KeyError> {
    const SIZE: &str = "[height, width] in pixels, 1 to 16384 each, such as [64, 64]";
    const MAX_SIDE: usize = 16384;
    let table = item.table("{ size = [HEIGHT, WIDTH], channels = 1 or 3, fit = \"crop\" }")?;
    let table = table.only(&["size", "channels", "fit"])?;
    let size = |item: Item<'_>| {
        let sides = item.list(SIZE)?;
        let sides = sides.iter().map(|side| side.whole(1)).collect::<Result<Vec<usize>, KeyError>>()?;
        let sides = <[usize; 2]>::try_from(sides).map_err(|_| item.wrong(SIZE))?;
        if sides.iter().any(|side| *side > MAX_SIDE) { Err(item.wrong(SIZE)) } else { Ok(sides) }
    };
    let channels = |item: Item<'_>| match item.whole(1)? {
        channels @ (1 | 3) => Ok(channels),
        _ => Err(item.wrong("1 (grey) or 3 (red, green, blue)")),
    };
    Ok(ImageSpec {
        size: table.get("size").map(size).transpose()?,
        channels: table.get("channels").map(channels).transpose()?,
        fit: table.get("fit").map(|item| item.word()).transpose()?,
    })
}

const SOURCE: &str =
    "{ images = \"FILE\", labels = \"FILE\" }, { folder = \"PATH\" }, or { table = \"FILE\", target = \"COLUMN\" }";

/// Examples to train on or, beside those of `train`, held out.
fn source(item: &Item<'_>, train: Option<&Source>) -> Result<Source, KeyError> {
    let table = item.table(SOURCE)?;
    let has = |key: &str| table.get(key).is_some();
    let (is_folder, is_table) = (has("folder"), has("table"));
    let table = item.table(SOURCE)?.only(match (is_folder, is_table) {
        (true, _) => &["folder"],
        (_, true) => &["table", "target"],
        _ => &["images", "labels"],
    })?;
    let path = |key: &str, expected: &str| {
        let item = table.require(key, expected)?;
        match item.text(expected)? {
            "" => Err(item.wrong("a path")),
            path => Ok(path.to_string()),
        }
    };
    const ARRAY: &str = "a path, or path#key for one array of an .npz or .hdf5 file";
    let found = match (is_folder, is_table) {
        (true, _) => Source::Folder { folder: path("folder", "the path of a folder")? },
        (_, true) => Source::Table {
            table: path("table", "the path of a table, such as \"house.csv\"")?,
            target: target(&table, train)?,
        },
        _ => Source::Arrays { images: path("images", ARRAY)?, labels: path("labels", ARRAY)? },
    };
    match train.filter(|train| std::mem::discriminant(*train) != std::mem::discriminant(&found)) {
        Some(train) => {
            let kind = match train {
                Source::Arrays { .. } => "{ images = …, labels = … }",
                Source::Folder { .. } => "{ folder = … }",
                Source::Table { .. } => "{ table = … }",
            };
            Err(item.conflict(format!(
                "is of another kind than the training examples, which are {kind}; give one like these"
            )))
        }
        None => Ok(found),
    }
}

/// The target's columns; of a set that is held out those of the training table.
fn target(table: &Table<'_>, train: Option<&Source>) -> Result<Vec<String>, KeyError> {
    const EXPECTED: &str = "the name of a column, or a list of names";
    let known = match train {
        Some(Source::Table { target, .. }) => Some(target),
        _ => None,
    };
    let Some(item) = table.get("target") else {
        return known.cloned().ok_or_else(|| table.missing("target", EXPECTED));
    };
    let names: Vec<String> = match &item.node.value {
        Value::String(name) => vec![name.clone()],
        Value::Array(_) => {
            item.list(EXPECTED)?.iter().map(|item| Ok(item.text(EXPECTED)?.to_string())).collect::<Result<_, _>>()?
        }
        _ => return Err(item.wrong(EXPECTED)),
    };
    if names.is_empty() {
        return Err(item.wrong(EXPECTED));
    }
    match known.filter(|known| **known != names) {
        Some(known) => {
            Err(item.conflict(format!("the target of the training table is {}; leave it out here", known.join(", "))))
        }
        None => Ok(names),
    }
}

fn holdout(item: &Item<'_>, train: Option<&Source>) -> Result<Holdout, KeyError> {
    let expected = "a fraction between 0 and 1 (such as 0.1), a count (such as 1000), or { images = …, labels = … }, { folder = … }, { table = … }";
    match item.node.value {
        Value::Table(_) => source(item, train).map(Holdout::Files),
        Value::Integer(0) => Ok(Holdout::None),
        Value::Integer(count) if count > 0 => {
            Ok(Holdout::Count(usize::try_from(count).map_err(|_| item.wrong(expected))?))
        }
        Value::Float(0.0) => Ok(Holdout::None),
        Value::Float(share) if share > 0.0 && share < 1.0 => Ok(Holdout::Fraction(share)),
        _ => Err(item.wrong(expected)),
    }
}
