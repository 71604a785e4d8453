//! Examples onto a device.

use crate::backend::{BackendError, Session};
use crate::data::{Examples, Scaling, Storage, Targets};
use crate::graph::{SourceBuffers, TrainingPlan};

/// Writes the numbers of a scaling.
pub(super) fn scaling(session: &mut dyn Session, plan: &TrainingPlan, scaling: &Scaling) -> Result<(), BackendError> {
    session.write(plan.scaling[0], 0, bytemuck::cast_slice(&scaling.subtract))?;
    session.write(plan.scaling[1], 0, bytemuck::cast_slice(&scaling.divide))
}

/// Writes a set of examples into its buffers. Bytes stay bytes, four to a word, rows padded to whole words.
pub(super) fn examples(
    session: &mut dyn Session,
    buffers: &SourceBuffers,
    examples: &Examples,
) -> Result<(), BackendError> {
    let features = examples.features.shape.len();
    for &(buffer, first, count) in &buffers.parts {
        let range = first * features..(first + count) * features;
        match &examples.features.storage {
            Storage::U8(bytes) => session.write(buffer, 0, &packed(&bytes[range], features))?,
            Storage::F32(values) => session.write(buffer, 0, bytemuck::cast_slice(&values[range]))?,
        }
    }
    match &examples.targets {
        Targets::Classes { labels, .. } => session.write(buffers.targets, 0, labels),
        Targets::Values { values, .. } => session.write(buffers.targets, 0, bytemuck::cast_slice(values)),
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
