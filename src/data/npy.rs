//! NumPy's .npy, by way of npyz.
//!
//! npyz 0.9 believes what a header says: it allocates for any length of it, multiplies the axes unchecked, and its
//! parser recurses as deep as the brackets do. So nothing comes to it before [`guard`] has looked it over. Of npyz only
//! the header is used: an [`Array`] holds bytes as the file does, and is spared the detour over typed values (which
//! also makes npyz's feature `half` needless for 16-bit floats).

use std::io::{self, Read, Write};
use std::path::Path;

use npyz::{DType, Endianness, NpyHeader, Order, TypeStr, WriteOptions, WriterBuilder};

use super::array::{Array, Dtype, byte_count};
use super::bytes::{map_values, read_error, read_values};
use super::error::Problem;

/// NumPy refuses to parse longer headers too.
const MAX_HEADER: usize = 10_000;

/// The types that are read, as they are written. The first character is the byte order.
const TYPES: [(Dtype, &str); 12] = [
    (Dtype::Bool, "|b1"),
    (Dtype::U8, "|u1"),
    (Dtype::I8, "|i1"),
    (Dtype::U16, "<u2"),
    (Dtype::U32, "<u4"),
    (Dtype::U64, "<u8"),
    (Dtype::I16, "<i2"),
    (Dtype::I32, "<i4"),
    (Dtype::I64, "<i8"),
    (Dtype::F16, "<f2"),
    (Dtype::F32, "<f4"),
    (Dtype::F64, "<f8"),
];

/// Reads an array from `reader`, of which at most `most` bytes can come. Of the file at `map`, if there is one, the values are
/// mapped, if they lie as memory has them.
pub(crate) fn read(reader: &mut dyn Read, most: u64, map: Option<&Path>) -> Result<Array, Problem> {
    let bytes = header_bytes(reader)?;
    let header = NpyHeader::from_reader(&*bytes).map_err(|e| read_error(".npy", e))?;
    let (dtype, endianness) = element(&header.dtype())?;
    let shape = header.shape().iter().map(|&length| usize::try_from(length));
    let shape: Vec<usize> =
        shape.collect::<Result<_, _>>().map_err(|_| malformed("an axis of its shape is too long"))?;
    let is_plain = (endianness != Endianness::Big || dtype.size() == 1) && header.order() == Order::C;
    if let Some(path) = map.filter(|_| is_plain)
        && let Some(array) = map_values(path, ".npy", bytes.len() as u64, dtype, &shape)?
    {
        return Ok(array);
    }
    let mut array = read_values(reader, ".npy", dtype, shape, most)?;
    if endianness == Endianness::Big {
        array.swap_bytes();
    }
    Ok(if header.order() == Order::Fortran { array.into_c_order() } else { array })
}

/// Writes `array` as a .npy file.
pub(crate) fn write(array: &Array, out: &mut dyn Write) -> io::Result<()> {
    let (_, name) = TYPES.iter().find(|(dtype, _)| *dtype == array.dtype()).ok_or(io::ErrorKind::Unsupported)?;
    let name = name.parse::<TypeStr>().map_err(io::Error::other)?;
    let shape: Vec<u64> = array.shape().iter().map(|&length| length as u64).collect();
    let header = WriteOptions::new_header_only().dtype(DType::new_scalar(name)).shape(&shape).writer(out);
    header.write_header_only()?.write_all(array.bytes())
}

/// The file up to its values, looked over.
fn header_bytes(reader: &mut dyn Read) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut take = |count: usize| {
        let start = bytes.len();
        bytes.resize(start + count, 0);
        reader.read_exact(&mut bytes[start..]).map(|()| bytes[start..].to_vec()).map_err(|e| read_error(".npy", e))
    };
    let start = take(8)?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(malformed("it does not start with NumPy's magic number"));
    }
    // Version 1 has a length of 16 bits, all others of 32; npyz knows which versions there are.
    let length = take(if start[6] == 1 { 2 } else { 4 })?;
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    if length > MAX_HEADER {
        return Err(malformed(&format!("a header of {length} bytes is too long")));
    }
    let text = String::from_utf8(take(length)?).map_err(|_| malformed("its header is not text"))?;
    // Python 2 wrote long integers as 5L, which npyz does not know.
    let text = text.replace("L,", " ,").replace("L)", " )");
    guard(&text)?;
    let start = bytes.len() - length;
    bytes[start..].copy_from_slice(text.as_bytes());
    Ok(bytes)
}

/// Refuses every header but those made like an array of numbers': `{'descr': '<f4', 'fortran_order': False, 'shape':
/// (60000, 784), }`, with lengths whose product can be taken.
fn guard(text: &str) -> Result<(), Problem> {
    if text.contains("[(") {
        return Err(Problem::UnsupportedType { type_name: "record (a structured array)".to_owned() });
    }
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"{}()[]'\":,_<>|= \n".contains(c);
    // A dictionary, a tuple, and the unit of a date's type.
    if text.contains(odd) || text.matches(['{', '(', '[']).count() > 3 {
        return Err(malformed("its header is not that of an array of numbers"));
    }
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let numbers = words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let lengths = numbers.map(|word| word.parse().map_err(|_| malformed("its shape is not a tuple of lengths")));
    let shape = lengths.collect::<Result<Vec<usize>, _>>()?;
    // As in NumPy, no axis of length 0 excuses the others. The largest type stands for all.
    let axes: Vec<usize> = shape.iter().map(|&length| length.max(1)).collect();
    byte_count(Dtype::F64, &axes).map(|_| ()).ok_or(Problem::TooLarge { shape })
}

/// The type that NumPy calls so, without its byte order: `u1`.
pub(super) fn dtype(name: &str) -> Option<Dtype> {
    TYPES.iter().find(|(_, known)| known[1..] == *name).map(|(dtype, _)| *dtype)
}

/// The type and byte order that npyz found.
fn element(described: &DType) -> Result<(Dtype, Endianness), Problem> {
    let unsupported = || Problem::UnsupportedType { type_name: described.descr() };
    let DType::Plain(found) = described else { return Err(unsupported()) };
    dtype(&found.to_string()[1..]).map(|dtype| (dtype, found.endianness())).ok_or_else(unsupported)
}

fn malformed(detail: &str) -> Problem {
    Problem::malformed(".npy", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the .npy file that has this header and `values` bytes of zero.
    fn read_with(header: &str, values: usize) -> Result<Array, Problem> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        let file = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &vec![0; values]].concat();
        read(&mut &*file, file.len() as u64, None)
    }

    #[test]
    fn headers_are_read_with_any_key_order_and_spacing() {
        let array = read_with("{'descr': '>f8', 'fortran_order': True, 'shape': (3, 4), }   \n", 96).unwrap();
        assert_eq!((array.dtype(), array.shape()), (Dtype::F64, &[3, 4][..]));
        let array = read_with("{\"shape\":(5L,),\"fortran_order\":False,\"descr\":\"|b1\"}", 5).unwrap();
        assert_eq!((array.dtype(), array.shape()), (Dtype::Bool, &[5][..]));
        let array = read_with("{'shape': (2L, 3L), 'fortran_order': False, 'descr': '<f2'}", 12).unwrap();
        assert_eq!((array.dtype(), array.shape()), (Dtype::F16, &[2, 3][..]));
        assert!(read_with("{'descr': '<i4', 'fortran_order': False, 'shape': ()}", 4).unwrap().shape().is_empty());
    }

    #[test]
    fn odd_headers_are_refused() {
        let shape = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
        assert!(read_with(&shape("(0,)"), 0).is_ok());
        for odd in ["(-1,)", "(99999999999999999999999,)", "(1", "(0x0,)", "(0_0,)", "(0,), 'more': 1.5", "(0., 0)"] {
            assert!(matches!(read_with(&shape(odd), 0), Err(Problem::Malformed { .. })), "{odd}");
        }
        for odd in ["", "{}", "{'descr': '<f4', 'fortran_order': False}", "{'\u{e9}", "{'descr': '\\777'}"] {
            assert!(matches!(read_with(odd, 0), Err(Problem::Malformed { .. })), "{odd}");
        }
        let maybe = shape("(0,)").replace("False", "Maybe");
        assert!(matches!(read_with(&maybe, 0), Err(Problem::Malformed { .. })));
        let unclosed = shape("(0,)").replace("f4'", "f4");
        assert!(matches!(read_with(&unclosed, 0), Err(Problem::Malformed { .. })));
        let future = [b"\x93NUMPY\x04\x00\x02\x00\x00\x00{}".as_slice(), &[0; 8]].concat();
        let error = read(&mut &*future, 22, None).unwrap_err();
        assert!(error.to_string().contains("version"), "{error}");
    }

    #[test]
    fn what_would_make_npyz_panic_or_hang_is_refused() {
        let shape = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
        for deep in ["(", "[", "{", "[0,", "{0:"] {
            assert!(matches!(read_with(&shape(&deep.repeat(3000)), 0), Err(Problem::Malformed { .. })), "{deep}");
        }
        let sum = format!("(1{}+1.0,)", "0".repeat(400));
        assert!(matches!(read_with(&shape(&sum), 0), Err(Problem::Malformed { .. })));
        for many in ["(4294967296, 4294967296)", "(0, 4294967296, 4294967296)", "(4294967296, 4294967296, 0)"] {
            assert!(matches!(read_with(&shape(many), 0), Err(Problem::TooLarge { .. })), "{many}");
        }
    }

    #[test]
    fn types_that_are_no_numbers_are_named() {
        for (descr, shown) in [
            ("'<c8'", "<c8"),
            ("'|O'", "|O"),
            ("'<U3'", "<U3"),
            ("'<f16'", "<f16"),
            ("'<M8[ns]'", "<M8[ns]"),
            ("[('a', '<f4', (2,)), ('b', '|u1')]", "record"),
        ] {
            let error = read_with(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (0,)}}"), 0);
            let Err(Problem::UnsupportedType { type_name }) = error else { panic!("{descr}: {error:?}") };
            assert!(type_name.contains(shown), "{type_name}");
        }
        for odd in ["''", "'f4'", "'\u{e9}4'", "'|f4'", "5", "()"] {
            let header = format!("{{'descr': {odd}, 'fortran_order': False, 'shape': (0,)}}");
            assert!(matches!(read_with(&header, 0), Err(Problem::Malformed { .. })), "{odd}");
        }
    }
}
