//! `[data]`.

use super::super::schema::{DataSpec, Holdout, Source};
use crate::keys::{Item, KeyError, Table, Value};

pub(in super::super) fn data(table: Table<'_>) -> Result<DataSpec, KeyError> {
    let table = table.only(&["train", "test", "validation", "header", "scale", "seed", "classes", "examples"])?;
    let spec = DataSpec {
        train: table.get("train").map(|item| source(&item)).transpose()?,
        test: table.get("test").map_or(Ok(Holdout::None), |item| holdout(&item))?,
        validation: table.get("validation").map_or(Ok(Holdout::None), |item| holdout(&item))?,
        header: table.get("header").map(|item| item.boolean()).transpose()?,
        scale: table.get("scale").map_or(Ok(Default::default()), |item| item.word())?,
        seed: table.get("seed").map(|item| item.whole(0)).transpose()?,
        classes: table.get("classes").map(|item| item.whole(2)).transpose()?,
        examples: table.get("examples").map(|item| item.whole(1)).transpose()?,
    };
    match (&spec.test, &spec.validation, table.get("validation")) {
        (Holdout::Fraction(test), Holdout::Fraction(validation), Some(item)) if test + validation >= 1.0 => {
            Err(item.conflict(format!("test = {test} and validation = {validation} leave no examples for training")))
        }
        _ => Ok(spec),
    }
}

fn source(item: &Item<'_>) -> Result<Source, KeyError> {
    let expected = "{ images = \"FILE\", labels = \"FILE\" }";
    let table = item.table(expected)?.only(&["images", "labels"])?;
    let path = |key: &str| {
        let item = table.require(key, "a path, or path#key for one array of an .npz or .hdf5 file")?;
        match item.text("a path, or path#key for one array of an .npz or .hdf5 file")? {
            "" => Err(item.wrong("a path")),
            path => Ok(path.to_string()),
        }
    };
    Ok(Source { images: path("images")?, labels: path("labels")? })
}

fn holdout(item: &Item<'_>) -> Result<Holdout, KeyError> {
    let expected = "a fraction between 0 and 1 (such as 0.1), a count (such as 1000), or { images = …, labels = … }";
    match item.node.value {
        Value::Table(_) => source(item).map(Holdout::Files),
        Value::Integer(0) => Ok(Holdout::None),
        Value::Integer(count) if count > 0 => {
            Ok(Holdout::Count(usize::try_from(count).map_err(|_| item.wrong(expected))?))
        }
        Value::Float(0.0) => Ok(Holdout::None),
        Value::Float(share) if share > 0.0 && share < 1.0 => Ok(Holdout::Fraction(share)),
        _ => Err(item.wrong(expected)),
    }
}
