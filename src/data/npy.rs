//! NumPy's .npy: a magic number, a header that is a Python dictionary literal, and the values.

use std::io::Read;

use super::array::{Array, Dtype};
use super::error::Problem;
use super::source::{read_error, read_values};

/// NumPy refuses to parse longer headers too.
const LONGEST_HEADER: usize = 10_000;

/// Reads an array from `reader`, of which at most `most` bytes can come.
pub(crate) fn read(reader: &mut dyn Read, most: u64) -> Result<Array, Problem> {
    let header = Header::parse(&header_text(reader)?)?;
    let mut array = read_values(reader, ".npy", header.dtype, header.shape, most)?;
    if header.big_endian {
        array.swap_bytes();
    }
    Ok(if header.fortran_order { array.into_c_order() } else { array })
}

/// The bytes of `array` as a .npy file.
pub(crate) fn write(array: &Array, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let shape = super::error::tuple(array.shape());
    let header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", descr(array.dtype()));
    // The header ends with a newline and is padded so that the values start at a multiple of 64 bytes.
    let padded = (header.len() + 1 + 10).next_multiple_of(64) - 10;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(padded as u16).to_le_bytes())?;
    writeln!(out, "{header:<width$}", width = padded - 1)?;
    out.write_all(array.bytes())
}

fn descr(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Bool => "|b1",
        Dtype::U8 => "|u1",
        Dtype::I8 => "|i1",
        Dtype::U16 => "<u2",
        Dtype::U32 => "<u4",
        Dtype::U64 => "<u8",
        Dtype::I16 => "<i2",
        Dtype::I32 => "<i4",
        Dtype::I64 => "<i8",
        Dtype::F16 => "<f2",
        Dtype::F32 => "<f4",
        Dtype::F64 => "<f8",
    }
}

fn header_text(reader: &mut dyn Read) -> Result<String, Problem> {
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(|e| read_error(".npy", e))?;
    if &start[..6] != b"\x93NUMPY" {
        return Err(malformed("it does not start with NumPy's magic number"));
    }
    let length = match start[6] {
        1 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length).map_err(|e| read_error(".npy", e))?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(|e| read_error(".npy", e))?;
            u32::from_le_bytes(length) as usize
        }
        version => return Err(malformed(&format!("its version {version} is not known"))),
    };
    if length > LONGEST_HEADER {
        return Err(malformed(&format!("a header of {length} bytes is too long")));
    }
    let mut header = vec![0; length];
    reader.read_exact(&mut header).map_err(|e| read_error(".npy", e))?;
    String::from_utf8(header).map_err(|_| malformed("its header is not text"))
}

struct Header {
    dtype: Dtype,
    big_endian: bool,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }`, keys in any order.
    fn parse(text: &str) -> Result<Header, Problem> {
        let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let mut rest = inner.ok_or_else(|| malformed("its header is not a dictionary"))?.trim();
        let (mut kind, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':').ok_or_else(|| malformed("a key has no value"))?;
            let value = value.trim_start();
            rest = match key {
                "descr" => {
                    let (descr, rest) = quoted(value).map_err(|_| structured(value))?;
                    kind = Some(element(descr)?);
                    rest
                }
                "fortran_order" => {
                    let (order, rest) = boolean(value)?;
                    fortran_order = Some(order);
                    rest
                }
                "shape" => {
                    let (lengths, rest) = lengths(value)?;
                    shape = Some(lengths);
                    rest
                }
                other => return Err(malformed(&format!("its header has an unknown key {other:?}"))),
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        let missing = |key: &str| malformed(&format!("its header has no {key:?}"));
        let (dtype, big_endian) = kind.ok_or_else(|| missing("descr"))?;
        Ok(Header {
            dtype,
            big_endian,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// The text within quotes that `text` starts with, and what follows it.
fn quoted(text: &str) -> Result<(&str, &str), Problem> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let quote = quote.ok_or_else(|| malformed("its header lacks a quoted name"))?;
    text[1..].split_once(quote).ok_or_else(|| malformed("a quote in its header is not closed"))
}

fn boolean(text: &str) -> Result<(bool, &str), Problem> {
    if let Some(rest) = text.strip_prefix("True") {
        return Ok((true, rest));
    }
    let rest = text.strip_prefix("False").ok_or_else(|| malformed("fortran_order is neither True nor False"))?;
    Ok((false, rest))
}

/// A tuple of lengths: `()`, `(5,)`, `(5, 7)`; Python 2 wrote `5L`.
fn lengths(text: &str) -> Result<(Vec<usize>, &str), Problem> {
    let bad = || malformed("its shape is not a tuple of lengths");
    let (inner, rest) = text.strip_prefix('(').and_then(|t| t.split_once(')')).ok_or_else(bad)?;
    let parts = inner.split(',').map(str::trim).filter(|part| !part.is_empty());
    let lengths = parts.map(|part| part.strip_suffix('L').unwrap_or(part).parse().map_err(|_| bad()));
    Ok((lengths.collect::<Result<_, _>>()?, rest))
}

/// The type and byte order of `<f4`, `>i2`, `|u1`.
fn element(descr: &str) -> Result<(Dtype, bool), Problem> {
    let unsupported = || Problem::UnsupportedType { type_name: format!("'{descr}'") };
    let big_endian = match descr.chars().next() {
        Some('>') => true,
        // '=' is the writer's own order: nearly always little-endian.
        Some('<' | '|' | '=') => false,
        _ => return Err(unsupported()),
    };
    let dtype = match &descr[1..] {
        "b1" => Dtype::Bool,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        _ => return Err(unsupported()),
    };
    Ok((dtype, big_endian))
}

/// The error for a record type, whose description is a list.
fn structured(value: &str) -> Problem {
    let shown: String = value.chars().take(60).collect();
    Problem::UnsupportedType { type_name: shown }
}

fn malformed(detail: &str) -> Problem {
    Problem::malformed(".npy", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Header, Problem> {
        Header::parse(text)
    }

    #[test]
    fn headers_parse_with_any_key_order_and_spacing() {
        let header = parse("{'descr': '>f8', 'fortran_order': True, 'shape': (3, 4), }   \n").unwrap();
        assert_eq!((header.dtype, header.big_endian, header.fortran_order), (Dtype::F64, true, true));
        assert_eq!(header.shape, [3, 4]);
        let header = parse("{\"shape\":(5L,),\"fortran_order\":False,\"descr\":\"|b1\"}").unwrap();
        assert_eq!((header.dtype, header.shape), (Dtype::Bool, vec![5]));
        assert!(parse("{'descr': '<i4', 'fortran_order': False, 'shape': ()}").unwrap().shape.is_empty());
    }

    #[test]
    fn odd_headers_are_refused() {
        for odd in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1",
            "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
            "{'\u{e9}",
        ] {
            assert!(parse(odd).is_err(), "{odd}");
        }
        for odd in ["<c8", "|O", "<U3", "", "\u{e9}4", "f4"] {
            assert!(element(odd).is_err(), "{odd}");
        }
    }
}
