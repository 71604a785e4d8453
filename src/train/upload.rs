//! Examples onto a device.

use crate::data::{Examples, Scaling, Storage, Targets};
use crate::graph::{SourceBuffers, TrainingPlan};
use crate::model::Model;
use crate::plan::BufferId;

/// Writes what never changes beside the examples: the numbers of the scaling, and which parameters are weights.
/// `write` puts words at the start of a buffer.
pub(crate) fn constants<E>(
    write: &mut impl FnMut(BufferId, &[u32]) -> Result<(), E>,
    plan: &TrainingPlan,
    model: &Model,
    scaling: &Scaling,
) -> Result<(), E> {
    write(plan.scaling[0], bytemuck::cast_slice(&scaling.subtract))?;
    write(plan.scaling[1], bytemuck::cast_slice(&scaling.divide))?;
    write(plan.weight_blocks, &plan.layout.weight_blocks(model))
}

/// Writes a set of examples into its buffers. Bytes stay bytes, four to a word, rows padded to whole words.
pub(crate) fn examples<E>(
    write: &mut impl FnMut(BufferId, &[u32]) -> Result<(), E>,
    buffers: &SourceBuffers,
    examples: &Examples,
) -> Result<(), E> {
    let features = examples.features.shape.len();
    for &(buffer, first, count) in &buffers.parts {
        let range = first * features..(first + count) * features;
        match &examples.features.storage {
            Storage::U8(bytes) => write(buffer, &packed(&bytes[range], features))?,
            Storage::F32(values) => write(buffer, bytemuck::cast_slice(&values[range]))?,
        }
    }
    match &examples.targets {
        Targets::Classes { labels, .. } => write(buffers.targets, labels),
        Targets::Values { values, .. } => write(buffers.targets, bytemuck::cast_slice(values)),
    }
}

/// Rows of bytes as words, least significant byte first.
fn packed(bytes: &[u8], row: usize) -> Vec<u32> {
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    bytes.chunks_exact(row).flat_map(|row| row.chunks(4).map(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::packed;

    #[test]
    fn rows_are_padded_to_whole_words() {
        assert_eq!(packed(&[1, 2, 3, 4, 5, 6], 3), [0x0003_0201, 0x0006_0504]);
        assert_eq!(packed(&[1, 2, 3, 4, 5, 6, 7, 8], 4), [0x0403_0201, 0x0807_0605]);
    }
}
