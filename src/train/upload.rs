//! Examples onto a device.

use crate::data::{Examples, Features, Storage, Targets};
use crate::ir::{BufferId, SourceBuffers};

/// Words of bytes that are packed at a time: a set may be a view of a file that is larger than the host's memory.
const PIECE_WORDS: usize = 1 << 20;

/// Writes a set into its buffers: its targets, its weights where it has any, and its examples unless they are streamed. `write` puts
/// words into a buffer from an offset on, and is called for the pieces of a buffer in their order.
pub(crate) fn examples<E>(
    write: &mut impl FnMut(BufferId, usize, &[u32]) -> Result<(), E>,
    buffers: &SourceBuffers,
    examples: &Examples,
) -> Result<(), E> {
    if buffers.window.is_none() {
        match &examples.features.storage {
            Storage::U8(_) => {
                let row_words = buffers.layout.row_words();
                bytes(&examples.features, row_words, PIECE_WORDS, |offset, words| write(buffers.data, offset, words))?;
            }
            Storage::F32(values) => write(buffers.data, 0, bytemuck::cast_slice(values))?,
        }
    }
    if let (Some(buffer), Some(weights)) = (buffers.weights, &examples.weights) {
        write(buffer, 0, bytemuck::cast_slice(weights))?;
    }
    match &examples.targets {
        Targets::Classes { labels, .. } => write(buffers.targets, 0, labels),
        Targets::Values { values, .. } => write(buffers.targets, 0, bytemuck::cast_slice(values)),
    }
}

/// Gives features that are bytes as words, so many at a time, with their offset.
fn bytes<E>(
    features: &Features,
    row_words: usize,
    piece_words: usize,
    mut write: impl FnMut(usize, &[u32]) -> Result<(), E>,
) -> Result<(), E> {
    let rows = (piece_words / row_words).clamp(1, features.count.max(1));
    let mut words = vec![0; rows * row_words];
    for first in (0..features.count).step_by(rows) {
        let words = &mut words[..rows.min(features.count - first) * row_words];
        words.chunks_mut(row_words).enumerate().for_each(|(index, row)| pack(features, first + index, row));
        write(first * row_words, words)?;
    }
    Ok(())
}

/// One example as the words of its row. Bytes stay bytes, four to a word, least significant byte first; zeros fill the last.
pub(super) fn pack(features: &Features, example: usize, row: &mut [u32]) {
    let len = features.shape.len();
    let range = example * len..(example + 1) * len;
    match &features.storage {
        Storage::U8(bytes) => {
            let (whole, rest) = bytes[range].as_chunks();
            row.iter_mut().zip(whole).for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
            if !rest.is_empty() {
                row[whole.len()] = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
            }
        }
        Storage::F32(values) => row.copy_from_slice(bytemuck::cast_slice(&values[range])),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, pack};
    use crate::data::{Features, Storage};
    use crate::model::Shape;

    #[test]
    fn rows_of_bytes_are_padded_to_whole_words() {
        let bytes: Vec<u8> = (1..=14).collect();
        let packed = |width: usize, example: usize| {
            let (storage, shape) = (Storage::U8(bytes.clone().into()), Shape::Features(width));
            let mut row = vec![u32::MAX; width.div_ceil(4)];
            pack(&Features { storage, count: 14 / width, shape }, example, &mut row);
            row
        };
        assert_eq!([packed(3, 0), packed(3, 1)], [[0x0003_0201], [0x0006_0504]]);
        assert_eq!(packed(4, 1), [0x0807_0605]);
        assert_eq!(packed(7, 1), [0x0b0a_0908, 0x000e_0d0c]);
    }

    #[test]
    fn bytes_come_in_pieces_of_whole_rows() {
        let values: Vec<u8> = (1..=35).collect();
        let features = Features { storage: Storage::U8(values.into()), count: 7, shape: Shape::Features(5) };
        let written = |piece_words: usize| {
            let (mut all, mut offsets) = (Vec::new(), Vec::new());
            bytes(&features, 2, piece_words, |offset, words| {
                assert_eq!(offset, all.len());
                offsets.push(offset);
                all.extend_from_slice(words);
                Ok::<_, ()>(())
            })
            .unwrap();
            (all, offsets)
        };
        let (whole, once) = written(100);
        assert_eq!((whole.len(), whole[12], whole[13], once), (14, 0x2221_201f, 0x23, vec![0]));
        assert_eq!(written(7), (whole.clone(), vec![0, 6, 12]));
        // A row that is longer than a piece comes as a whole.
        assert_eq!(written(1), (whole, vec![0, 2, 4, 6, 8, 10, 12]));
    }
}
