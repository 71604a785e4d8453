//! What is made of a public data set's files: archives and MATLAB's files become arrays that recipes name.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::ZlibDecoder;
use zip::ZipArchive;

use super::bytes::{most_unpacked, open_file, read_error, unpacked};
use super::error::{DataError, Problem};
use super::load::transpose;
use super::write::write_npz;
use super::{Dataset, Examples, Features, PublicSet, Storage, Targets};
use crate::file::write_whole_with;
use crate::model::Shape;

/// What is made of the files of a [`PublicSet`] once they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpacking {
    /// Nothing: they are read as they are.
    Nothing,
    /// The binary version of CIFAR-10.
    Cifar10,
    /// The binary version of CIFAR-100, with its hundred fine classes.
    Cifar100,
    /// The cropped digits of SVHN (its format 2). Its label 10 stands for the digit 0.
    Svhn,
    /// The files of EMNIST's six splits, each as it is in the archive.
    Emnist,
}

/// The shape of the pictures of CIFAR and SVHN.
const SHAPE: Shape = Shape::Image { channels: 3, height: 32, width: 32 };

/// Values of such a picture.
const PIXELS: usize = 3 * 32 * 32;

/// Makes arrays of the files of `set` in `folder`, and gives back the paths of what it wrote: `NAME.npz` with `x_train`, `y_train`,
/// `x_test` and `y_test`, the pictures (N, 32, 32, 3), or EMNIST's files; nothing where the files are read as they are.
pub fn unpack(set: &PublicSet, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let paths: Vec<PathBuf> = set.files.iter().map(|file| folder.join(file.name)).collect();
    let dataset = match (set.unpacking, &paths[..]) {
        (Unpacking::Emnist, [archive]) => return extract(archive, folder),
        (Unpacking::Cifar10, [archive]) => cifar(archive, "data_batch_", "test_batch", 1, 10).map_err(at(archive))?,
        (Unpacking::Cifar100, [archive]) => cifar(archive, "train", "test", 2, 100).map_err(at(archive))?,
        (Unpacking::Svhn, [train, test]) => Dataset {
            train: digits(train).map_err(at(train))?,
            validation: None,
            test: Some(digits(test).map_err(at(test))?),
        },
        _ => return Ok(Vec::new()),
    };
    let path = folder.join(format!("{}.npz", set.name));
    write_npz(&path, &dataset)?;
    Ok(vec![path])
}

fn at(path: &Path) -> impl Fn(Problem) -> DataError + '_ {
    move |problem| problem.at(path.display())
}

fn examples(pixels: Vec<u8>, labels: Vec<u32>, classes: usize) -> Examples {
    let features = Features { storage: Storage::U8(pixels.into()), count: labels.len(), shape: SHAPE };
    Examples::unweighted(features, Targets::Classes { labels, classes })
}

/// CIFAR's binary version: records of some labels, the last of which counts, and a picture, channel by channel.
fn cifar(archive: &Path, train: &str, test: &str, labels: usize, classes: usize) -> Result<Dataset, Problem> {
    let files = members(archive, ".bin")?;
    let of = |start: &str| {
        let (mut pixels, mut classes_of) = (Vec::new(), Vec::new());
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(start)) {
            let (records, rest) = (bytes.chunks_exact(labels + PIXELS), bytes.len() % (labels + PIXELS));
            if rest > 0 {
                return Err(Problem::malformed("CIFAR", format!("{name} ends within a picture")));
            }
            for record in records {
                let label = record[labels - 1];
                if usize::from(label) >= classes {
                    return Err(Problem::malformed(
                        "CIFAR",
                        format!("{name} has a label {label} of {classes} classes"),
                    ));
                }
                classes_of.push(label.into());
                pixels.extend_from_slice(&record[labels..]);
            }
        }
        match classes_of.is_empty() {
            true => Err(Problem::malformed("CIFAR", format!("it has no pictures in {start}*.bin"))),
            false => Ok(examples(pixels, classes_of, classes)),
        }
    };
    Ok(Dataset { train: of(train)?, validation: None, test: Some(of(test)?) })
}

/// The files of a tar archive, packed or not, whose names end so: by their names without folders, in their order.
fn members(archive: &Path, ending: &str) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    const BLOCK: u64 = 512;
    let (mut reader, most) = unpacked(open_file(archive)?)?;
    let (mut found, mut left) = (BTreeMap::new(), most);
    loop {
        let mut header = [0; BLOCK as usize];
        reader.read_exact(&mut header).map_err(|error| read_error("tar", error))?;
        // The archive ends with empty blocks.
        if header.iter().all(|byte| *byte == 0) {
            return Ok(found);
        }
        let text = |from: usize, to: usize| {
            let bytes = header[from..to].split(|byte| *byte == 0).next().unwrap_or(&[]);
            String::from_utf8_lossy(bytes).trim().to_owned()
        };
        let name = text(0, 100);
        let size = u64::from_str_radix(&text(124, 136), 8).ok().filter(|size| *size <= left);
        let size = size.ok_or_else(|| Problem::malformed("tar", "a file in it is larger than the archive can hold"))?;
        left -= size;
        let padded = size.next_multiple_of(BLOCK);
        let file_name = name.rsplit('/').next().unwrap_or(&name).to_owned();
        // Of type 0: neither a folder nor a link.
        let mut part = reader.by_ref().take(padded);
        if matches!(header[156], 0 | b'0') && file_name.ends_with(ending) {
            let mut bytes = Vec::new();
            part.read_to_end(&mut bytes).map_err(|error| read_error("tar", error))?;
            if (bytes.len() as u64) < size {
                return Err(Problem::Truncated { expected: size, found: bytes.len() as u64 });
            }
            bytes.truncate(size as usize);
            found.insert(file_name, bytes);
        } else {
            std::io::copy(&mut part, &mut std::io::sink()).map_err(|error| read_error("tar", error))?;
        }
    }
}

/// SVHN's cropped digits: `X`, 32 x 32 x 3 x N in MATLAB's order, and `y`, in which 10 stands for the digit 0.
fn digits(path: &Path) -> Result<Examples, Problem> {
    const MATLAB: &str = "MATLAB 5";
    let mut file = open_file(path)?;
    let most = most_unpacked(file.length);
    let mut header = [0; 128];
    file.reader.read_exact(&mut header).map_err(|error| read_error(MATLAB, error))?;
    if !header.starts_with(b"MATLAB 5.0") || &header[126..] != b"IM" {
        return Err(Problem::malformed(MATLAB, "it does not begin as such files do, in little-endian order"));
    }
    let mut arrays = BTreeMap::new();
    // An array after the other, each packed by itself.
    while let Some((kind, size)) = tag(&mut file.reader)? {
        const COMPRESSED: u32 = 15;
        const ARRAY: u32 = 14;
        let mut packed = file.reader.by_ref().take(size.into());
        let (name, array) = match kind {
            COMPRESSED => {
                let mut reader = ZlibDecoder::new(&mut packed).take(most);
                match tag(&mut reader)? {
                    Some((ARRAY, _)) => matlab_bytes(&mut reader)?,
                    _ => return Err(Problem::malformed(MATLAB, "it packs something else than an array")),
                }
            }
            ARRAY => matlab_bytes(&mut packed)?,
            other => return Err(Problem::malformed(MATLAB, format!("it has an element of type {other}"))),
        };
        arrays.insert(name, array);
        std::io::copy(&mut packed, &mut std::io::sink()).map_err(|error| read_error(MATLAB, error))?;
    }
    let (Some((shape, pixels)), Some((_, labels))) = (arrays.remove("X"), arrays.remove("y")) else {
        return Err(Problem::malformed(MATLAB, "it has no arrays X and y"));
    };
    if shape.len() != 4 || shape[..3] != [32, 32, 3] || shape[3] as usize != labels.len() {
        let expected = format!("32x32x3x{}, a picture for each label", labels.len());
        return Err(Problem::Shape { found: shape.iter().map(|n| *n as usize).collect(), expected });
    }
    let label = |label: &u8| match label {
        1..=10 => Ok(u32::from(label % 10)),
        odd => Err(Problem::malformed(MATLAB, format!("it has a label {odd}, and SVHN's are 1 to 10"))),
    };
    let labels = labels.iter().map(label).collect::<Result<Vec<u32>, _>>()?;
    // Column by column there, row by row here.
    Ok(examples(transpose(&pixels, 32, 32), labels, 10))
}

/// The type and the bytes of an element of a MATLAB file; none at its end.
fn tag(reader: &mut impl Read) -> Result<Option<(u32, u32)>, Problem> {
    let mut first = Vec::new();
    let count = reader.by_ref().take(8).read_to_end(&mut first).map_err(|error| read_error("MATLAB 5", error))?;
    let words = first.as_chunks::<4>().0;
    match (count, words) {
        (0, _) => Ok(None),
        (8, [kind, size]) => Ok(Some((u32::from_le_bytes(*kind), u32::from_le_bytes(*size)))),
        _ => Err(Problem::malformed("MATLAB 5", "it ends within an element")),
    }
}

/// An array of bytes: its shape as MATLAB has it, and its values.
type Bytes = (Vec<u32>, Vec<u8>);

/// An array of bytes behind its tag, with its name.
fn matlab_bytes(reader: &mut impl Read) -> Result<(String, Bytes), Problem> {
    let [_flags, (_, shape), (_, name), (kind, values)] =
        [element(reader)?, element(reader)?, element(reader)?, element(reader)?];
    let shape: Vec<u32> = shape.as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n)).collect();
    let count = shape.iter().try_fold(1usize, |count, n| count.checked_mul(*n as usize));
    const BYTES: u32 = 2;
    if kind != BYTES || count != Some(values.len()) {
        let problem =
            format!("its array {:?} is not one of bytes of the announced shape", String::from_utf8_lossy(&name));
        return Err(Problem::malformed("MATLAB 5", problem));
    }
    Ok((String::from_utf8_lossy(&name).into_owned(), (shape, values)))
}

/// An element of an array: its type and its bytes, without the padding to eight. What has four bytes or fewer stands in the tag.
fn element(reader: &mut impl Read) -> Result<(u32, Vec<u8>), Problem> {
    let short = || Problem::malformed("MATLAB 5", "it ends within an array");
    let (kind, size) = tag(reader)?.ok_or_else(short)?;
    if kind > 0xffff {
        let (kind, count) = (kind & 0xffff, (kind >> 16) as usize);
        let bytes = size.to_le_bytes();
        return Ok((kind, bytes.get(..count).ok_or_else(short)?.to_vec()));
    }
    let mut bytes = Vec::new();
    let padded = u64::from(size).next_multiple_of(8);
    reader.by_ref().take(padded).read_to_end(&mut bytes).map_err(|error| read_error("MATLAB 5", error))?;
    if (bytes.len() as u64) < u64::from(size) {
        return Err(short());
    }
    bytes.truncate(size as usize);
    Ok((kind, bytes))
}

/// Writes the packed files of EMNIST's archive to a folder, by their names there.
fn extract(archive: &Path, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let bad = |error: zip::result::ZipError| Problem::malformed("zip", error);
    let opened = open_file(archive).map_err(at(archive))?;
    let most = most_unpacked(opened.length);
    let mut zip = ZipArchive::new(opened.reader).map_err(bad).map_err(at(archive))?;
    let mut written = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(bad).map_err(at(archive))?;
        let name = entry.name().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if !(plain && name.starts_with("emnist-") && name.ends_with("-ubyte.gz")) {
            continue;
        }
        let path = folder.join(name);
        let copied = write_whole_with(&path, |out| std::io::copy(&mut entry.by_ref().take(most), out).map(|_| ()));
        copied.map_err(|error| Problem::from(error).at(path.display()))?;
        written.push(path);
    }
    match written.is_empty() {
        true => Err(at(archive)(Problem::malformed("EMNIST", "it has no files emnist-…-ubyte.gz"))),
        false => Ok(written),
    }
}
