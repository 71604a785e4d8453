//! Examples onto a device.

use crate::data::{Examples, Features, Storage, Targets};
use crate::ir::{BufferId, SourceBuffers};

/// Writes a set into its buffers: its targets, its weights where it has any, and its examples unless they are streamed.
pub(crate) fn examples<E>(
    write: &mut impl FnMut(BufferId, &[u32]) -> Result<(), E>,
    buffers: &SourceBuffers,
    examples: &Examples,
) -> Result<(), E> {
    if buffers.window.is_none() {
        match &examples.features.storage {
            Storage::U8(_) => {
                let row_words = buffers.layout.row_words();
                let mut words = vec![0; buffers.layout.rows() * row_words];
                words.chunks_mut(row_words).enumerate().for_each(|(index, row)| pack(&examples.features, index, row));
                write(buffers.data, &words)?;
            }
            Storage::F32(values) => write(buffers.data, bytemuck::cast_slice(values))?,
        }
    }
    if let (Some(buffer), Some(weights)) = (buffers.weights, &examples.weights) {
        write(buffer, bytemuck::cast_slice(weights))?;
    }
    match &examples.targets {
        Targets::Classes { labels, .. } => write(buffers.targets, labels),
        Targets::Values { values, .. } => write(buffers.targets, bytemuck::cast_slice(values)),
    }
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
    use super::pack;
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
}
