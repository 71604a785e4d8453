//! HDF5, read through the `hdf5-reader` crate: pure Rust, so that no C library is needed.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use hdf5_reader::error::Error;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::{DEFAULT_MAX_CHUNK_BYTES, Datatype, EnumMember, FileStorage, FilterRegistry, Hdf5File, OpenOptions};

use super::array::{Array, Dtype, byte_count};
use super::bytes::most_unpacked;
use super::error::Problem;
use super::lzf;

/// An open file.
pub(crate) struct Hdf5 {
    file: Hdf5File,
    /// Its bytes.
    pub(crate) length: u64,
}

impl Hdf5 {
    pub(crate) fn open(path: &Path) -> Result<Hdf5, Problem> {
        let file = crate::file::open(path)?;
        let length = file.metadata()?.len();
        let most = usize::try_from(most_unpacked(length)).unwrap_or(usize::MAX);
        let mut filters = FilterRegistry::new();
        filters.register(lzf::FILTER, Box::new(lzf::filter));
        let options = OpenOptions::default()
            .with_filter_registry(filters)
            // Every chunk is read once.
            .with_chunk_cache_bytes(0)
            .with_max_chunk_bytes(most.min(DEFAULT_MAX_CHUNK_BYTES))
            .with_max_read_bytes(most);
        // Not mapped into memory: a file cut short by someone else while it is read must be an error, not a signal.
        let storage = Arc::new(FileStorage::from_file(file).map_err(problem)?);
        Ok(Hdf5 { file: Hdf5File::from_storage_with_options(storage, options).map_err(problem)?, length })
    }

    /// Whether there is such an array, `name` or `group/name`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.file.dataset(key).is_ok()
    }

    /// The paths of all arrays in the file. A group that several links lead to is listed once, under the shortest path to
    /// it: links may lead back to a group above, and each could double the paths.
    pub(crate) fn keys(&self) -> Result<Vec<String>, Problem> {
        /// A file with more arrays or groups than this is not a data set.
        const MAX_ENTRIES: usize = 10_000;
        /// Nor is one whose groups lie deeper than this.
        const MAX_DEPTH: usize = 16;
        let mut keys = Vec::new();
        let root = self.file.root_group().map_err(problem)?;
        let mut seen = HashSet::from([root.address()]);
        let mut level = vec![(String::new(), root)];
        for depth in 0.. {
            let mut below = Vec::new();
            for (prefix, group) in level {
                let (groups, datasets) = group.member_names().map_err(problem)?;
                if depth > MAX_DEPTH
                    || keys.len() + datasets.len() > MAX_ENTRIES
                    || seen.len() + groups.len() > MAX_ENTRIES
                {
                    return Err(Problem::malformed("HDF5", "it has too many groups or arrays"));
                }
                keys.extend(datasets.into_iter().map(|name| format!("{prefix}{name}")));
                for name in groups {
                    let inner = group.group(&name).map_err(problem)?;
                    if seen.insert(inner.address()) {
                        below.push((format!("{prefix}{name}/"), inner));
                    }
                }
            }
            if below.is_empty() {
                break;
            }
            level = below;
        }
        Ok(keys)
    }

    /// Reads an array of at most so many bytes.
    pub(crate) fn read(&self, key: &str, most: u64) -> Result<Array, Problem> {
        let dataset = self.file.dataset(key).map_err(problem)?;
        let (dtype, big_endian) = element(dataset.dtype(), &dataset.raw_datatype().map_err(problem)?)?;
        let shape: Option<Vec<usize>> = dataset.shape().iter().map(|&length| usize::try_from(length).ok()).collect();
        let shape = shape.unwrap_or_else(|| vec![usize::MAX]);
        if shape.is_empty() && dataset.num_elements().map_err(problem)? == 0 {
            return Err(Problem::UnsupportedType {
                type_name: "none (it has no values at all, as h5py.Empty)".to_owned(),
            });
        }
        // An array whose pages were never written takes no room in the file, but there is nothing to learn from one.
        if byte_count(dtype, &shape).is_none_or(|bytes| bytes > most) {
            return Err(Problem::TooLarge { shape });
        }
        let expected = byte_count(dtype, &shape).unwrap_or(u64::MAX);
        // The reader would take this for values that were never written, and give zeros.
        if expected > 0 && self.stores_nothing(dataset.address())? {
            return Err(Problem::Truncated { expected, found: 0 });
        }
        let bytes = dataset.read_raw_bytes().map_err(problem)?;
        let found = bytes.len() as u64;
        let mut array = Array::new(dtype, shape, bytes).ok_or(Problem::Truncated { expected, found })?;
        if big_endian {
            array.swap_bytes();
        }
        array.checked("HDF5")
    }

    /// Whether the dataset at this address says that its values lie in one piece of no bytes.
    fn stores_nothing(&self, address: u64) -> Result<bool, Problem> {
        let header = self.file.get_or_parse_header(address).map_err(problem)?;
        let nothing = |message: &HdfMessage| match message {
            HdfMessage::DataLayout(message) => matches!(message.layout, DataLayout::Contiguous { size: 0, .. }),
            _ => false,
        };
        Ok(header.messages.iter().any(nothing))
    }
}

/// The bytes of a description before its properties: class, version, flags, size.
const HEAD: usize = 8;

/// The type and whether it is big-endian, of a datatype message as it was parsed and as it lies in the file: the reader
/// drops the bits that a number takes of its bytes and how a float divides them, and reads any order but big-endian as
/// little-endian. A description is taken only where every bit of it is understood.
fn element(datatype: &Datatype, raw: &[u8]) -> Result<(Dtype, bool), Problem> {
    let named = |dtype: Dtype| match dtype {
        Dtype::Bool => "an enumeration other than h5py's boolean (FALSE = 0, TRUE = 1)".to_owned(),
        _ => format!("{} of an unusual layout ({})", dtype.name(), layout(dtype, raw)),
    };
    let dtype = match datatype {
        Datatype::FixedPoint { size, signed, .. } => integer(*size, *signed),
        Datatype::FloatingPoint { size: 2, .. } => Some(Dtype::F16),
        Datatype::FloatingPoint { size: 4, .. } => Some(Dtype::F32),
        Datatype::FloatingPoint { size: 8, .. } => Some(Dtype::F64),
        Datatype::Enum { .. } => Some(Dtype::Bool),
        _ => None,
    };
    let dtype = dtype.ok_or_else(|| {
        // What it is, without what it consists of.
        let name: String = format!("{datatype:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
        Problem::UnsupportedType { type_name: name }
    })?;
    let big_endian = match (dtype, datatype) {
        (Dtype::Bool, Datatype::Enum { base, members }) => is_boolean(base, members, raw).then_some(false),
        _ => byte_order(dtype, raw),
    };
    big_endian.map(|big| (dtype, big)).ok_or_else(|| Problem::UnsupportedType { type_name: named(dtype) })
}

fn integer(size: u8, signed: bool) -> Option<Dtype> {
    Some(match (size, signed) {
        (1, false) => Dtype::U8,
        (2, false) => Dtype::U16,
        (4, false) => Dtype::U32,
        (8, false) => Dtype::U64,
        (1, true) => Dtype::I8,
        (2, true) => Dtype::I16,
        (4, true) => Dtype::I32,
        (8, true) => Dtype::I64,
        _ => return None,
    })
}

/// Whether the number described by `raw` is big-endian; `None` when it is not exactly a `dtype`.
fn byte_order(dtype: Dtype, raw: &[u8]) -> Option<bool> {
    let (head, properties) = raw.split_at_checked(HEAD)?;
    let bits = 8 * dtype.size() as u16;
    // What a number's unused bits hold is of no matter to one that has none.
    let (order, flags, expected) = if dtype.is_float() {
        let (exponent, mantissa, bias): (u8, u8, u32) = match dtype {
            Dtype::F16 => (5, 10, 15),
            Dtype::F32 => (8, 23, 127),
            _ => (11, 52, 1023),
        };
        // The leading bit of the mantissa is implied; the sign is the last bit.
        let flags = [head[1] & !0b1111, head[2], head[3]] == [0b10_0000, bits as u8 - 1, 0];
        let parts = [mantissa, exponent, 0, mantissa];
        (head[1] & 1, flags, [&[0, 0][..], &bits.to_le_bytes(), &parts, &bias.to_le_bytes()].concat())
    } else {
        let signed = matches!(dtype, Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64);
        let flags = [head[1] & !0b0111, head[2], head[3]] == [u8::from(signed) << 3, 0, 0];
        (head[1] & 1, flags, [&[0, 0][..], &bits.to_le_bytes()].concat())
    };
    (flags && properties.starts_with(&expected)).then_some(order == 1)
}

/// How a number that is not as its size lets one expect is made.
fn layout(dtype: Dtype, raw: &[u8]) -> String {
    let byte = |at: usize| raw.get(at).copied().unwrap_or(0);
    let word = |at| u16::from_le_bytes([byte(at), byte(at + 1)]);
    let mut text = format!("{} bits from bit {}", word(HEAD + 2), word(HEAD));
    if dtype.is_float() {
        text += &format!(", {} of them exponent, {} mantissa", byte(HEAD + 5), byte(HEAD + 7));
        if byte(1) & 0b100_0000 != 0 {
            text += ", in VAX byte order";
        }
    }
    text
}

/// How h5py stores booleans: an enumeration of bytes, FALSE = 0 and TRUE = 1.
fn is_boolean(base: &Datatype, members: &[EnumMember], raw: &[u8]) -> bool {
    let Datatype::FixedPoint { size: 1, signed, .. } = base else { return false };
    let has = |name: &str, value: u8| members.iter().any(|member| member.name == name && member.value == [value]);
    let plain = integer(1, *signed).and_then(|dtype| byte_order(dtype, raw.get(HEAD..)?)).is_some();
    plain && members.len() == 2 && has("FALSE", 0) && has("TRUE", 1)
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Io(error) => Problem::Io(error),
        Error::Context { source, .. } => problem(*source),
        Error::UnsupportedEncoding(what) => Problem::UnsupportedType { type_name: what },
        Error::UnsupportedDatatypeClass(class) => Problem::UnsupportedType { type_name: format!("class {class}") },
        other => Problem::malformed("HDF5", other),
    }
}
