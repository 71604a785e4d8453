//! IDX, the format of MNIST: two zero bytes, the type, the number of axes, their lengths, the values; all big-endian.

use std::io::{self, Read, Write};
use std::path::Path;

use super::array::{Array, Dtype};
use super::bytes::{map_values, read_error, read_values};
use super::error::Problem;

/// The types with their codes.
const TYPES: [(u8, Dtype); 6] = [
    (0x08, Dtype::U8),
    (0x09, Dtype::I8),
    (0x0b, Dtype::I16),
    (0x0c, Dtype::I32),
    (0x0d, Dtype::F32),
    (0x0e, Dtype::F64),
];

/// Reads an array from `reader`, of which at most `most` bytes can come. Bytes of the file at `map`, if there is one, are mapped.
pub(crate) fn read(reader: &mut dyn Read, most: u64, map: Option<&Path>) -> Result<Array, Problem> {
    let start = word(reader)?;
    let [0, 0, code, axes] = start else {
        return Err(Problem::malformed("IDX", "it does not start with two zero bytes"));
    };
    let dtype = TYPES.iter().find(|(known, _)| *known == code).map(|(_, dtype)| *dtype);
    let dtype = dtype.ok_or_else(|| Problem::malformed("IDX", format!("it has an unknown type, code {code}")))?;
    let shape = (0..axes).map(|_| word(reader).map(|length| u32::from_be_bytes(length) as usize));
    let shape = shape.collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = map.filter(|_| dtype.size() == 1)
        && let Some(array) = map_values(path, "IDX", 4 + 4 * u64::from(axes), dtype, &shape)?
    {
        return Ok(array);
    }
    let mut array = read_values(reader, "IDX", dtype, shape, most)?;
    array.swap_bytes();
    Ok(array)
}

/// Writes `array`. An error for types that IDX does not know, and lengths beyond its 32 bits.
pub(crate) fn write(array: &Array, out: &mut dyn Write) -> Result<(), Problem> {
    let code = TYPES.iter().find(|(_, dtype)| *dtype == array.dtype()).map(|(code, _)| *code);
    let cannot = |what: String| Problem::CannotWrite { format: "IDX", what, remedy: "write .npz or .npy instead" };
    let code = code.ok_or_else(|| cannot(format!("values of type {}", array.dtype().name())))?;
    let axes = u8::try_from(array.shape().len()).map_err(|_| cannot(format!("{} axes", array.shape().len())))?;
    out.write_all(&[0, 0, code, axes])?;
    for &length in array.shape() {
        let length = u32::try_from(length).map_err(|_| cannot(format!("an axis of length {length}")))?;
        out.write_all(&length.to_be_bytes())?;
    }
    Ok(write_big_endian(array, out)?)
}

fn write_big_endian(array: &Array, out: &mut dyn Write) -> io::Result<()> {
    if array.dtype().size() == 1 {
        return out.write_all(array.bytes());
    }
    let mut swapped = array.clone();
    swapped.swap_bytes();
    out.write_all(swapped.bytes())
}

fn word(reader: &mut dyn Read) -> Result<[u8; 4], Problem> {
    let mut word = [0; 4];
    reader.read_exact(&mut word).map_err(|e| read_error("IDX", e))?;
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_a_round_trip() {
        for (_, dtype) in TYPES {
            let bytes: Vec<u8> = (0..6 * dtype.size() as u8).collect();
            let array = Array::new(dtype, vec![2, 3], bytes).unwrap();
            let mut file = Vec::new();
            write(&array, &mut file).unwrap();
            assert_eq!(read(&mut file.as_slice(), file.len() as u64, None).unwrap(), array);
        }
    }

    #[test]
    fn an_absurd_header_costs_nothing() {
        let mut file = vec![0, 0, 0x0e, 4];
        file.extend([0xff; 16]);
        let error = read(&mut file.as_slice(), file.len() as u64, None).unwrap_err();
        assert!(matches!(error, Problem::TooLarge { .. }), "{error}");
    }
}
