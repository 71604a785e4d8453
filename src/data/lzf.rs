//! LZF, the fast packing that h5py offers for HDF5 (`compression="lzf"`).

use hdf5_reader::error::Error;
use hdf5_reader::messages::filter_pipeline::FilterDescription;

/// The number under which the HDF Group registered h5py's filter.
pub(crate) const FILTER: u16 = 32000;

/// Unpacks one chunk. h5py notes the chunk's size as the third of the filter's values.
pub(crate) fn filter(description: &FilterDescription, packed: &[u8], _element: usize) -> Result<Vec<u8>, Error> {
    // Three bytes of a long copy make 264: what the packed bytes can come to at most.
    let most = packed.len().saturating_mul(88);
    let size = description.client_data.get(2).map_or(most, |&size| size as usize).min(most);
    unpack(packed, size).ok_or_else(|| Error::InvalidData("LZF data is damaged".to_owned()))
}

/// Unpacks to at most `most` bytes; `None` when the data makes no sense.
fn unpack(packed: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(most);
    let mut rest = packed.iter();
    while let Some(&control) = rest.next() {
        let control = usize::from(control);
        if control < 32 {
            // The next 1 to 32 bytes as they are.
            let literal = rest.as_slice().get(..=control)?;
            out.extend_from_slice(literal);
            rest = rest.as_slice()[control + 1..].iter();
        } else {
            // A copy of earlier output: 3 bits of length (7: more follow) and 13 bits of distance.
            let mut length = control >> 5;
            if length == 7 {
                length += usize::from(*rest.next()?);
            }
            let distance = ((control & 31) << 8 | usize::from(*rest.next()?)) + 1;
            let start = out.len().checked_sub(distance)?;
            // Byte by byte, since a copy may run into what it is just writing.
            for index in start..start + length + 2 {
                out.push(out[index]);
            }
        }
        if out.len() > most {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_overlapping_copies_unpack() {
        // "ab", then 9 bytes from 2 back (7 + 0 + 2).
        let packed = [1, b'a', b'b', 7 << 5, 0, 1];
        assert_eq!(unpack(&packed, 11).unwrap(), b"abababababa");
    }

    #[test]
    fn damaged_data_is_refused() {
        for packed in [&[5, b'a'][..], &[32, 0], &[7 << 5], &[0, b'a', 32]] {
            assert!(unpack(packed, 100).is_none(), "{packed:?}");
        }
        assert!(unpack(&[1, b'a', b'b', 7 << 5, 0, 1], 5).is_none());
    }
}
