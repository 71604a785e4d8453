//! MATLAB's files before version 7.3, as `save(…, '-v7')` and SciPy write them: arrays one after the other, each packed by itself or not,
//! in the order of bytes of the machine that wrote them.

use std::io::{Read, SeekFrom};

use flate2::read::ZlibDecoder;

use super::array::{Array, Dtype, byte_count};
use super::bytes::{Opened, Reader, read_error, read_values};
use super::error::Problem;

const FORMAT: &str = "MATLAB 5";

/// Bytes before the first array.
const HEADER: usize = 128;

/// Types of elements: an array, and one that is packed.
const ARRAY: u32 = 14;
const PACKED: u32 = 15;

/// An open file.
pub(crate) struct Mat5 {
    reader: Box<dyn Reader>,
    /// Its bytes.
    pub(crate) length: u64,
    big_endian: bool,
    variables: Vec<Variable>,
}

/// Where an array lies, and what is said of it there.
struct Variable {
    start: u64,
    size: u32,
    packed: bool,
    head: Head,
}

/// What stands before an array's values.
struct Head {
    name: String,
    /// MATLAB's number of the class, and its flags.
    class: u8,
    flags: u8,
    /// As MATLAB shows it.
    shape: Vec<usize>,
}

/// Whether a file that begins so is of these versions.
pub(super) fn begins(start: &[u8]) -> bool {
    start.starts_with(b"MATLAB 5.0")
}

impl Mat5 {
    pub(crate) fn open(Opened { mut reader, length }: Opened) -> Result<Mat5, Problem> {
        let mut header = [0; HEADER];
        reader.read_exact(&mut header).map_err(|error| read_error(FORMAT, error))?;
        let big_endian = match &header[HEADER - 2..] {
            b"IM" => false,
            b"MI" => true,
            _ => return Err(bad("it does not say in which order its bytes are")),
        };
        let mut file = Mat5 { reader, length, big_endian, variables: Vec::new() };
        let mut at = HEADER as u64;
        while at < length {
            at = file.scan(at)?;
        }
        Ok(file)
    }

    /// Notes the array at a place, and gives the next place.
    fn scan(&mut self, at: u64) -> Result<u64, Problem> {
        self.reader.seek(SeekFrom::Start(at))?;
        let Tag { kind, size, .. } = tag(&mut self.reader, self.big_endian)?;
        let (start, packed) = (at + 8, kind == PACKED);
        if !packed && kind != ARRAY {
            return Err(bad(format!("it has an element of type {kind} where an array belongs")));
        }
        let there = self.length.saturating_sub(start);
        if u64::from(size) > there {
            return Err(Problem::Truncated { expected: size.into(), found: there });
        }
        let big_endian = self.big_endian;
        let head = self.within(start, size, packed, |reader| head(reader, big_endian))?;
        // Nameless is what MATLAB keeps for the objects in a file.
        if !head.name.is_empty() {
            self.variables.push(Variable { start, size, packed, head });
        }
        Ok(start + u64::from(size))
    }

    /// Reads the content of an array.
    fn within<T>(
        &mut self,
        start: u64,
        size: u32,
        packed: bool,
        read: impl FnOnce(&mut dyn Read) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.reader.seek(SeekFrom::Start(start))?;
        let mut content = self.reader.as_mut().take(size.into());
        if !packed {
            return read(&mut content);
        }
        let mut content = ZlibDecoder::new(content);
        match tag(&mut content, self.big_endian)?.kind {
            ARRAY => read(&mut content),
            _ => Err(bad("it packs something else than an array")),
        }
    }

    /// The arrays' names.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.variables.iter().map(|variable| variable.head.name.clone()).collect()
    }

    /// Reads an array of at most so many bytes, its axes as [`Mat5::axes`] says.
    pub(crate) fn read(&mut self, index: usize, most: u64) -> Result<Array, Problem> {
        let Variable { start, size, packed, ref head } = self.variables[index];
        let (dtype, shape, big_endian) = (head.dtype()?, head.shape.clone(), self.big_endian);
        if byte_count(dtype, &shape).is_none_or(|bytes| bytes > most) {
            return Err(Problem::TooLarge { shape });
        }
        let array = self.within(start, size, packed, |reader| {
            self::head(reader, big_endian)?;
            let array = values(reader, big_endian, shape, most)?;
            // Reading on makes the unzipper compare its checksum.
            std::io::copy(reader, &mut std::io::sink()).map_err(|error| read_error(FORMAT, error))?;
            retyped(array, dtype)
        })?;
        let digits = self.is_svhn() && self.variables[index].head.name == "y";
        let array = array.rows_first(&self.axes(index));
        Ok(if digits { digits_of(array) } else { array })
    }

    /// MATLAB's axes in the order in which they are read: as it shows them, but pictures, whose number MATLAB has last, by their number
    /// first.
    fn axes(&self, index: usize) -> Vec<usize> {
        let shape = &self.variables[index].head.shape;
        let are_channels = |count: usize| (1..=4).contains(&count);
        match shape[..] {
            [height, width, channels, count] if are_channels(channels) && (!are_channels(count) || height == width) => {
                vec![3, 0, 1, 2]
            }
            [height, width, count] if height == width && count != width => vec![2, 0, 1],
            _ => (0..shape.len()).collect(),
        }
    }

    /// Whether these are SVHN's cropped digits: the pictures X and the labels y, and nothing else.
    fn is_svhn(&self) -> bool {
        let heads: Vec<(&str, &[usize])> =
            self.variables.iter().map(|Variable { head, .. }| (&*head.name, &head.shape[..])).collect();
        match heads[..] {
            [("X", &[32, 32, 3, count]), ("y", &[labels, 1])] | [("y", &[labels, 1]), ("X", &[32, 32, 3, count])] => {
                labels == count
            }
            _ => false,
        }
    }

    /// What a person should know of how an array is read.
    pub(crate) fn note(&self, index: usize) -> String {
        let Head { name, shape, .. } = &self.variables[index].head;
        let product = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        let axes = self.axes(index);
        let read: Vec<usize> = axes.iter().map(|axis| shape[*axis]).collect();
        if self.is_svhn() && name == "y" {
            return format!("{name}: SVHN's label 10 is read as 0, the digit it stands for");
        }
        match axes.is_sorted() {
            true => format!("{name}: MATLAB's {} is read as it is, rows first", product(shape)),
            false => {
                let order = if shape.len() == 4 { "height, width, channels" } else { "height, width" };
                format!(
                    "{name}: MATLAB's {} is taken for pictures, their number last, and read as {} ({order}); where that is wrong, \
                     save it as permute({name}, …) with the examples first",
                    product(shape),
                    super::error::tuple(&read)
                )
            }
        }
    }
}

impl Head {
    /// The type of the values; an error for what is no plain array of numbers.
    fn dtype(&self) -> Result<Dtype, Problem> {
        const COMPLEX: u8 = 8;
        const LOGICAL: u8 = 2;
        let unlike = |kind, remedy| Err(Problem::MatlabType { kind, remedy });
        match self.class {
            _ if self.flags & COMPLEX != 0 => unlike("complex numbers", "save real(x) and imag(x)"),
            1 => unlike("a cell array", "save its content as an array, by cell2mat(x)"),
            2 => unlike("a struct", "save its fields as variables, by save(…, '-struct', 'x')"),
            4 => unlike("text", "save numbers in its place, such as classes by grp2idx(x)"),
            5 => unlike("a sparse array", "save full(x)"),
            6 => Ok(Dtype::F64),
            7 => Ok(Dtype::F32),
            8 => Ok(Dtype::I8),
            9 if self.flags & LOGICAL != 0 => Ok(Dtype::Bool),
            9 => Ok(Dtype::U8),
            10 => Ok(Dtype::I16),
            11 => Ok(Dtype::U16),
            12 => Ok(Dtype::I32),
            13 => Ok(Dtype::U32),
            14 => Ok(Dtype::I64),
            15 => Ok(Dtype::U64),
            16 => unlike("a function", "leave it out"),
            _ => unlike("an object (such as a table or strings)", "save its numbers, of a table by table2array(x)"),
        }
    }
}

fn bad(detail: impl std::fmt::Display) -> Problem {
    Problem::malformed(FORMAT, detail)
}

/// What stands before an element.
struct Tag {
    kind: u32,
    size: u32,
    /// Of a small element its content, which has the place of the size.
    small: Option<[u8; 4]>,
}

fn tag(reader: &mut (impl Read + ?Sized), big_endian: bool) -> Result<Tag, Problem> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => bad("it ends within an array"),
        _ => read_error(FORMAT, error),
    })?;
    let [first, second] = [0, 4].map(|at| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (kind, size) = (word(first, big_endian), word(second, big_endian));
    match kind >> 16 {
        0 => Ok(Tag { kind, size, small: None }),
        count @ 1..=4 => Ok(Tag { kind: kind & 0xffff, size: count, small: Some(second) }),
        _ => Err(bad("a small element in it is longer than four bytes")),
    }
}

fn word(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// The bytes of a short element, without what fills them up to eight.
fn short(reader: &mut dyn Read, big_endian: bool) -> Result<Vec<u8>, Problem> {
    /// More than an array has axes, or a name letters.
    const MOST: u32 = 4096;
    let Tag { size, small, .. } = tag(reader, big_endian)?;
    if let Some(small) = small {
        return Ok(small[..size as usize].to_vec());
    }
    if size > MOST {
        return Err(bad(format!("what stands before the values of an array takes {size} bytes")));
    }
    let mut bytes = vec![0; size.next_multiple_of(8) as usize];
    reader.read_exact(&mut bytes).map_err(|error| read_error(FORMAT, error))?;
    bytes.truncate(size as usize);
    Ok(bytes)
}

fn head(reader: &mut dyn Read, big_endian: bool) -> Result<Head, Problem> {
    /// The class of objects, which have no shape.
    const OPAQUE: u8 = 17;
    const MOST_AXES: usize = 32;
    let flags = short(reader, big_endian)?;
    let flags = *flags.first_chunk::<4>().ok_or_else(|| bad("an array says no class"))?;
    let [class, flags, ..] = word(flags, big_endian).to_le_bytes();
    let shape = if class == OPAQUE { Vec::new() } else { short(reader, big_endian)? };
    let axes = shape.as_chunks::<4>().0.iter().map(|axis| word(*axis, big_endian) as usize).collect::<Vec<_>>();
    if axes.len() > MOST_AXES {
        return Err(bad(format!("an array has {} axes", axes.len())));
    }
    let name = String::from_utf8_lossy(&short(reader, big_endian)?).into_owned();
    Ok(Head { name, class, flags, shape: axes })
}

/// The values of an array, in the type in which they are stored and in MATLAB's order.
fn values(reader: &mut dyn Read, big_endian: bool, shape: Vec<usize>, most: u64) -> Result<Array, Problem> {
    let Tag { kind, size, small } = tag(reader, big_endian)?;
    let dtype = match kind {
        1 => Dtype::I8,
        2 => Dtype::U8,
        3 => Dtype::I16,
        4 => Dtype::U16,
        5 => Dtype::I32,
        6 => Dtype::U32,
        7 => Dtype::F32,
        9 => Dtype::F64,
        12 => Dtype::I64,
        13 => Dtype::U64,
        other => return Err(bad(format!("values of type {other} are no numbers"))),
    };
    if byte_count(dtype, &shape) != Some(size.into()) {
        let shape = super::error::tuple(&shape);
        return Err(bad(format!("{size} bytes are not the {} values of an array of shape {shape}", dtype.name())));
    }
    let mut array = match small {
        Some(small) => read_values(&mut &small[..size as usize], FORMAT, dtype, shape, most)?,
        None => read_values(&mut reader.take(size.into()), FORMAT, dtype, shape, most)?,
    };
    if big_endian {
        array.swap_bytes();
    }
    Ok(array)
}

/// The array in its own type: MATLAB stores whole numbers as small as they go.
fn retyped(array: Array, dtype: Dtype) -> Result<Array, Problem> {
    let shape = array.shape().to_vec();
    if array.dtype() == dtype {
        return Ok(array);
    }
    let small = || bad(format!("values stored as {} are none of {}", array.dtype().name(), dtype.name()));
    let retyped = match dtype {
        Dtype::F64 => Array::from_f64(&shape, &array.to_f64()),
        Dtype::F32 => Array::from_f32(&shape, &array.to_f32()),
        _ => {
            let mut bytes = Vec::with_capacity(array.len() * dtype.size());
            for value in array.integers() {
                let value = value?;
                let wide = value.to_le_bytes();
                bytes.extend_from_slice(&wide[..dtype.size()]);
                if !dtype.holds(value) {
                    return Err(small());
                }
            }
            Array::new(dtype, shape, bytes)
        }
    };
    retyped.ok_or_else(small)?.checked(FORMAT)
}

/// SVHN's labels as digits, where they are as it publishes them: from 1 to 10, which stands for 0.
fn digits_of(labels: Array) -> Array {
    let digits: Option<Vec<u8>> = labels
        .integers()
        .map(|label| label.ok().filter(|label| (1..=10).contains(label)).map(|label| (label % 10) as u8))
        .collect();
    let digits = digits.and_then(|digits| Array::from_u8(&[digits.len()], digits));
    digits.unwrap_or(labels)
}
