//! The structs of a Parquet file, in thrift's compact protocol, gone through before the `parquet` crate parses them: it follows nested
//! schemas by recursion without a bound, and passes over a list of two milliards of booleans, which take no room, one by one.

/// The deepest schema that is followed, and the deepest struct.
const DEEPEST: usize = 64;

/// Where a struct at the beginning of some bytes ends; none where it is broken, or longer.
pub(super) fn end_of_struct(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader { bytes, at: 0 };
    reader.skip(STRUCT, 0).map(|()| reader.at)
}

/// Whether the metadata of a footer has a schema that can be followed.
pub(super) fn is_shallow(metadata: &[u8]) -> bool {
    schema(&mut Reader { bytes: metadata, at: 0 }).unwrap_or(true)
}

/// The fields of thrift's compact protocol.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// Follows the list of a schema's elements, each of which says how many of the next ones are its children.
fn schema(reader: &mut Reader<'_>) -> Option<bool> {
    let mut last = 0;
    // FileMetaData: the schema is its field 2.
    let size = loop {
        match reader.field(&mut last)? {
            (STOP, _) => return None,
            (LIST, 2) => break reader.list()?.1,
            (kind, _) => reader.skip(kind, 0)?,
        }
    };
    // Children that are still to come, of every element above.
    let mut above: Vec<u64> = Vec::new();
    for _ in 0..size {
        while above.last() == Some(&0) {
            above.pop();
        }
        above.iter_mut().last().into_iter().for_each(|left| *left -= 1);
        let (mut last, mut children) = (0, 0);
        loop {
            match reader.field(&mut last)? {
                (STOP, _) => break,
                // SchemaElement: num_children is its field 5.
                (5, 5) => children = u64::try_from(reader.signed()?).unwrap_or(0),
                (kind, _) => reader.skip(kind, 0)?,
            }
        }
        if children > 0 {
            above.push(children);
        }
        if above.len() > DEEPEST {
            return Some(false);
        }
    }
    Some(true)
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        (end <= self.bytes.len()).then(|| self.at = end)
    }

    /// The type of the next field and its number, of which the last one was told.
    fn field(&mut self, last: &mut i64) -> Option<(u8, i64)> {
        let head = self.byte()?;
        if head & 0x0f != STOP {
            *last = match head >> 4 {
                0 => self.signed()?,
                step => last.checked_add(i64::from(step))?,
            };
        }
        Some((head & 0x0f, *last))
    }

    /// The type of a list's items, and how many there are.
    fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let size = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
        Some((head & 0x0f, size))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.pass(1),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            LIST | SET => {
                let (kind, size) = self.list()?;
                (0..size).try_for_each(|_| self.item(kind, depth))
            }
            MAP => {
                let size = self.unsigned()?;
                let kinds = if size > 0 { self.byte()? } else { 0 };
                (0..size).try_for_each(|_| {
                    self.item(kinds >> 4, depth)?;
                    self.item(kinds & 0x0f, depth)
                })
            }
            STRUCT => {
                let mut last = 0;
                loop {
                    match self.field(&mut last)? {
                        (STOP, _) => return Some(()),
                        (kind, _) => self.skip(kind, depth + 1)?,
                    }
                }
            }
            // Integers.
            4..=6 => self.signed().map(drop),
            _ => None,
        }
    }
}

impl Reader<'_> {
    /// Passes over an item of a list. No struct of these has booleans in one.
    fn item(&mut self, kind: u8, depth: usize) -> Option<()> {
        if kind == TRUE || kind == FALSE { None } else { self.skip(kind, depth + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_end_where_they_say() {
        // An i32, a text, a list of two bytes, a map of one text, a struct.
        let bytes = [0x15, 4, 0x18, 2, b'h', b'i', 0x19, 0x23, 7, 7, 0x1b, 1, 0x88, 1, b'a', 1, b'b', 0x1c, 0, 0];
        assert_eq!(end_of_struct(&bytes), Some(bytes.len()));
        assert_eq!(end_of_struct(&[&bytes[..], &[1, 2, 3]].concat()), Some(bytes.len()));
        for length in 0..bytes.len() {
            assert_eq!(end_of_struct(&bytes[..length]), None, "{length} bytes");
        }
        // Two milliards of booleans, in a list and in a map; structs without an end.
        for bytes in [
            &[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0][..],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 7, 0x11, 0],
            &[0x1c; 1000],
        ] {
            assert_eq!(end_of_struct(bytes), None);
        }
    }

    /// A footer's metadata with elements of a schema that have so many children.
    fn metadata(children: &[u8]) -> Vec<u8> {
        // version = 1, then a list of structs.
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let mut size = children.len();
        while size > 0x7f {
            bytes.push(size as u8 | 0x80);
            size >>= 7;
        }
        bytes.push(size as u8);
        for children in children {
            // The name is field 4, num_children field 5 (a zigzag varint).
            bytes.extend([0x48, 1, b'a']);
            if *children > 0 {
                bytes.extend([0x15, 2 * children]);
            }
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn deep_schemas_are_told_from_wide_ones() {
        assert!(is_shallow(&metadata(&[60, 0, 0, 2, 1, 0, 0])));
        let wide: Vec<u8> = std::iter::once(60).chain(std::iter::repeat_n(0, 60)).collect();
        assert!(is_shallow(&metadata(&wide)));
        let pairs: Vec<u8> = std::iter::once(60).chain([1, 0].repeat(60)).collect();
        assert!(is_shallow(&metadata(&pairs)));
        assert!(is_shallow(&metadata(&[1; 60])));
        assert!(!is_shallow(&metadata(&[1; 70])));
        assert!(!is_shallow(&metadata(&[1; 100_000])));
        // What is broken is told elsewhere.
        assert!(is_shallow(b"") && is_shallow(&[0xff; 20]));
    }
}
