//! Writes arrays and data sets. Every file appears under its name only once it is complete.

use std::fmt::Display;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::array::{Array, Dtype, transpose};
use super::column::WrittenColumn;
use super::error::{DataError, Problem};
use super::{Dataset, Examples, Features, Storage, Targets, columnar, idx, npy};
use crate::file::write_whole_with;
use crate::place::Format;

/// Writes one array as .npy, .npz (under the key `array`), IDX or .csv, as the name says; `.gz` packs it.
pub fn write_array(path: &Path, array: &Array) -> Result<(), DataError> {
    write_arrays(path, &[("array", array)])
}

/// Writes arrays to a .npz file under their names, or a single one in any format.
pub fn write_arrays(path: &Path, arrays: &[(&str, &Array)]) -> Result<(), DataError> {
    let at = |problem: Problem| problem.at(path.display());
    let (format, zipped) = Format::from_path(path).ok_or(Problem::UnknownFormat).map_err(at)?;
    if format == Format::Npz {
        return write_whole_with(path, |out| write_zip(out, arrays)).map_err(at);
    }
    let &[(_, array)] = arrays else {
        return Err(at(Problem::KeyNeeded { keys: arrays.iter().map(|(name, _)| (*name).to_owned()).collect() }));
    };
    let written = write_whole_with(path, |out| {
        if !zipped {
            return write_as(format, array, out);
        }
        let mut packed = GzEncoder::new(out, Compression::default());
        write_as(format, array, &mut packed)?;
        packed.finish()?;
        Ok(())
    });
    written.map_err(at)
}

fn write_as(format: Format, array: &Array, out: &mut dyn Write) -> Result<(), Problem> {
    match format {
        Format::Npy => Ok(npy::write(array, out)?),
        Format::Idx => idx::write(array, out),
        Format::Csv => Ok(write_table(array, out)?),
        Format::Npz => write_zip(out, &[("array", array)]),
        Format::Hdf5 => Err(only_read("HDF5")),
        Format::Matlab => Err(only_read("MATLAB's format")),
        Format::Cifar => Err(only_read("CIFAR's format")),
        Format::Parquet => Err(only_read("Parquet")),
        Format::Arrow => Err(only_read("Arrow")),
    }
}

/// A format that arrays are not written in.
fn only_read(format: &'static str) -> Problem {
    Problem::CannotWrite {
        format,
        what: "an array, since it is only read".to_owned(),
        remedy: "write .npz or .npy instead",
    }
}

/// Writes rows of text fields under a header line.
pub fn write_csv<F: Display>(
    path: &Path,
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<F>>,
) -> Result<(), DataError> {
    let written = write_whole_with(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        table.write_record(header)?;
        for row in rows {
            table.write_record(row.iter().map(F::to_string))?;
        }
        table.flush()
    });
    written.map_err(|error| Problem::from(error).at(path.display()))
}

/// Writes a table as Parquet: columns of one length with their names. An error where the library was built without Parquet, or
/// where two names are the same.
pub fn write_parquet(path: &Path, columns: &[(String, WrittenColumn)]) -> Result<(), DataError> {
    let twice = |place: usize| columns[..place].iter().position(|(name, _)| *name == columns[place].0);
    let twice = (0..columns.len()).find_map(|place| Some([twice(place)?, place]));
    let written = match twice {
        Some([first, second]) => {
            let (name, columns) = (columns[first].0.clone(), [first + 1, second + 1]);
            Err(Problem::ColumnTwice { name, columns, header: None })
        }
        None => columnar::write(path, columns),
    };
    written.map_err(|problem| problem.at(path.display()))
}

/// Writes a data set as IDX files named as MNIST's (`train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, …) into a
/// folder; `zipped` adds `.gz`. Gives back their paths.
pub fn write_idx(folder: &Path, dataset: &Dataset, zipped: bool) -> Result<Vec<PathBuf>, DataError> {
    let mut written = Vec::new();
    for (split, examples) in splits(dataset) {
        let prefix = if split == "test" { "t10k" } else { split };
        let (images, labels) = arrays(examples).map_err(|problem| problem.at(folder.display()))?;
        for (what, array) in [("images", images), ("labels", labels)] {
            let kind = match array.dtype() {
                Dtype::U8 => "ubyte",
                Dtype::F32 => "float",
                _ => "int",
            };
            let ending = if zipped { ".gz" } else { "" };
            let path = folder.join(format!("{prefix}-{what}-idx{}-{kind}{ending}", array.shape().len()));
            write_array(&path, &array)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Writes a data set as one .npz with the keys `x_train`, `y_train`, `x_test`, … as Keras' data sets have them.
pub fn write_npz(path: &Path, dataset: &Dataset) -> Result<(), DataError> {
    let mut named = Vec::new();
    for (split, examples) in splits(dataset) {
        let (images, labels) = arrays(examples).map_err(|problem| problem.at(path.display()))?;
        named.push((format!("x_{split}"), images));
        named.push((format!("y_{split}"), labels));
    }
    let named: Vec<(&str, &Array)> = named.iter().map(|(name, array)| (name.as_str(), array)).collect();
    write_arrays(path, &named)
}

fn splits(dataset: &Dataset) -> impl Iterator<Item = (&'static str, &Examples)> {
    let all =
        [("train", Some(&dataset.train)), ("validation", dataset.validation.as_ref()), ("test", dataset.test.as_ref())];
    all.into_iter().filter_map(|(name, examples)| examples.map(|examples| (name, examples)))
}

/// The arrays that a file of these examples holds: images with their channels last, labels as small as they go.
fn arrays(examples: &Examples) -> Result<(Array, Array), Problem> {
    Ok((image_array(&examples.features)?, label_array(&examples.targets)?))
}

/// Examples put together by hand can be wrong.
fn inconsistent() -> Problem {
    Problem::CannotWrite {
        format: "a data file",
        what: "examples that hold more or fewer values than their shape says".to_owned(),
        remedy: "make count, shape and values agree",
    }
}

fn image_array(features: &Features) -> Result<Array, Problem> {
    let (shape, channels) = (features.shape.in_files(features.count), features.shape.channels());
    let pixels = features.shape.len() / channels.max(1);
    let array = match &features.storage {
        Storage::U8(values) if channels == 1 => Array::over(Dtype::U8, shape, values.clone()),
        Storage::U8(values) => Array::from_u8(&shape, transpose(values, channels, pixels)),
        Storage::F32(values) if channels == 1 => Array::from_f32(&shape, values),
        Storage::F32(values) => Array::from_f32(&shape, &transpose(values, channels, pixels)),
    };
    array.ok_or_else(inconsistent)
}

fn label_array(targets: &Targets) -> Result<Array, Problem> {
    let array = match targets {
        Targets::Classes { labels, classes } if *classes <= 256 => {
            Array::from_u8(&[labels.len()], labels.iter().map(|&label| label as u8).collect())
        }
        Targets::Classes { labels, .. } => {
            // IDX knows no unsigned type beyond bytes; class numbers fit the signed one.
            let bytes = labels.iter().flat_map(|&label| (label as i32).to_le_bytes()).collect();
            Array::new(Dtype::I32, vec![labels.len()], bytes)
        }
        Targets::Values { values, outputs } => Array::from_f32(&[values.len() / outputs.max(&1), *outputs], values),
    };
    array.ok_or_else(inconsistent)
}

/// A .npz file: each array as a deflated .npy, dated 1980 so that the same arrays give the same bytes.
fn write_zip(out: &mut dyn Write, arrays: &[(&str, &Array)]) -> Result<(), Problem> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let zip_error = |error: zip::result::ZipError| Problem::Io(io::Error::other(error));
    for (name, array) in arrays {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            // Sizes beyond 32 bits need room in the entry's header, which is written first.
            .large_file(array.bytes().len() as u64 >= u64::from(u32::MAX) - 1024);
        archive.start_file(format!("{name}.npy"), options).map_err(zip_error)?;
        npy::write(array, &mut archive)?;
    }
    Ok(out.write_all(archive.finish().map_err(zip_error)?.get_ref())?)
}

/// One line per example, its values separated by commas.
fn write_table(array: &Array, out: &mut dyn Write) -> io::Result<()> {
    if array.is_empty() {
        return Ok(());
    }
    let width = array.shape().iter().skip(1).product::<usize>().max(1);
    for (index, value) in array.to_texts().enumerate() {
        let separator = if (index + 1) % width == 0 { '\n' } else { ',' };
        write!(out, "{value}{separator}")?;
    }
    Ok(())
}
