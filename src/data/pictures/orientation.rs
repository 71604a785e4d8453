//! Which way up a picture is, as cameras note it in EXIF.

// Only decoders find EXIF.
#![cfg_attr(not(feature = "pictures"), allow(dead_code))]

/// The transformation that shows a picture upright: the numbers 1 to 8 of EXIF's tag of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation(u8);

/// EXIF's tag of the orientation.
const TAG: u16 = 0x0112;
/// The type of a 16-bit number.
const SHORT: u16 = 3;

impl Orientation {
    /// As it is stored.
    pub(super) const UPRIGHT: Orientation = Orientation(1);

    /// What the bytes of an EXIF block say; without a word, a picture is upright.
    pub(super) fn of_exif(exif: Option<&[u8]>) -> Orientation {
        exif.and_then(tag).filter(|number| (1..=8).contains(number)).map_or(Orientation::UPRIGHT, Orientation)
    }

    /// Whether rows become columns.
    pub(super) fn turns(self) -> bool {
        self.0 > 4
    }

    /// Shows `values`, rows of pixels of so many channels, upright. Their width and height are those before.
    pub(super) fn apply(self, values: Vec<u8>, width: usize, height: usize, channels: usize) -> Vec<u8> {
        if self == Orientation::UPRIGHT {
            return values;
        }
        let (columns, rows) = if self.turns() { (height, width) } else { (width, height) };
        let mut upright = Vec::with_capacity(values.len());
        for row in 0..rows {
            for column in 0..columns {
                let (right, down) = (width.wrapping_sub(1), height.wrapping_sub(1));
                let (x, y) = match self.0 {
                    2 => (right - column, row),
                    3 => (right - column, down - row),
                    4 => (column, down - row),
                    5 => (row, column),
                    6 => (row, down - column),
                    7 => (right - row, down - column),
                    8 => (right - row, column),
                    _ => (column, row),
                };
                upright.extend_from_slice(&values[(y * width + x) * channels..][..channels]);
            }
        }
        upright
    }
}

/// The number in the first directory of an EXIF block: a TIFF header, then entries of 12 bytes.
fn tag(exif: &[u8]) -> Option<u8> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let bytes: [u8; 4] = exif.get(4..8)?.try_into().ok()?;
    let directory = if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) } as usize;
    let entries = usize::from(short(directory)?);
    let entry = (0..entries).map(|index| directory + 2 + 12 * index).find(|&at| short(at) == Some(TAG))?;
    (short(entry + 2)? == SHORT).then(|| short(entry + 8))?.and_then(|number| u8::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EXIF block of one entry.
    fn exif(number: u8, little: bool) -> Vec<u8> {
        let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let long = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let header: &[u8] = if little { b"II*\0" } else { b"MM\0*" };
        [header, &long(8), &short(1), &short(TAG), &short(SHORT), &long(1), &short(u16::from(number)), &[0; 6]].concat()
    }

    #[test]
    fn the_number_is_found_in_either_byte_order() {
        for number in 1..=8 {
            for little in [false, true] {
                let block = exif(number, little);
                assert_eq!(Orientation::of_exif(Some(&block)), Orientation(number));
                let prefixed = [b"Exif\0\0".as_slice(), &block].concat();
                assert_eq!(Orientation::of_exif(Some(&prefixed)), Orientation(number));
            }
        }
    }

    #[test]
    fn what_says_nothing_is_upright() {
        let block = exif(6, true);
        for end in 0..block.len() - 6 {
            assert_eq!(Orientation::of_exif(Some(&block[..end.min(17)])), Orientation::UPRIGHT);
        }
        for odd in [exif(0, true), exif(9, false), b"II*\0\xff\xff\xff\xff".to_vec()] {
            assert_eq!(Orientation::of_exif(Some(&odd)), Orientation::UPRIGHT);
        }
        assert_eq!(Orientation::of_exif(None), Orientation::UPRIGHT);
    }

    #[test]
    fn each_number_shows_the_picture_upright() {
        // Upright: 1 2 3 over 4 5 6. As each number's camera stores it, by the standard's words for the first row and
        // the first column that are stored.
        let stored: [(u8, usize, usize, [u8; 6]); 8] = [
            (1, 3, 2, [1, 2, 3, 4, 5, 6]), // top, left
            (2, 3, 2, [3, 2, 1, 6, 5, 4]), // top, right
            (3, 3, 2, [6, 5, 4, 3, 2, 1]), // bottom, right
            (4, 3, 2, [4, 5, 6, 1, 2, 3]), // bottom, left
            (5, 2, 3, [1, 4, 2, 5, 3, 6]), // left, top
            (6, 2, 3, [3, 6, 2, 5, 1, 4]), // right, top
            (7, 2, 3, [6, 3, 5, 2, 4, 1]), // right, bottom
            (8, 2, 3, [4, 1, 5, 2, 6, 3]), // left, bottom
        ];
        for (number, width, height, values) in stored {
            let upright = Orientation(number).apply(values.to_vec(), width, height, 1);
            assert_eq!(upright, [1, 2, 3, 4, 5, 6], "orientation {number}");
        }
    }
}
