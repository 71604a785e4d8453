//! How the kernels work that sum over all examples and pixels of each channel: twin of `shaders/lib/channel_sums.wgsl`. An item
//! is a pixel of an example.

use crate::ir::linear_grid;
use crate::kernel::Contents;

/// Channels and threads of a channel in a workgroup, as shader constants. Neighbouring threads read neighbouring values: of one
/// channel where it has a plane, of several where it does not.
pub(super) fn constants(plane: u32) -> Vec<(&'static str, u32)> {
    let (columns, lanes) = split(plane);
    vec![("COLUMNS", columns), ("LANES", lanes)]
}

/// Grid for the blocks of channels of so many splits.
pub(super) fn grid(channels: u32, plane: u32, splits: usize, models: usize) -> [u32; 3] {
    linear_grid(channels.div_ceil(split(plane).0) as usize * splits, models as u32)
}

fn split(plane: u32) -> (u32, u32) {
    if plane < 16 { (32, 8) } else { (1, 64) }
}

/// Items of one split, for sums over `batch * plane` items of each channel. The same whether other models train beside this
/// one: the sums' order, and with it their last bits, must not depend on that.
pub fn split_items(batch: usize, channels: usize, plane: usize) -> usize {
    /// Fewer items than this per split are not worth a partial result of their own.
    const LEAST_ITEMS: usize = 256;
    /// So many channels keep a GPU busy without any splits.
    const MANY_CHANNELS: usize = 4096;
    let items = batch * plane;
    let splits = (MANY_CHANNELS / channels.max(1)).min(items / LEAST_ITEMS).max(1);
    items.div_ceil(splits)
}

/// Where the value of a channel lies in (examples, channels, plane).
pub(super) fn element_of(item: usize, channel: usize, channels: usize, plane: usize) -> usize {
    (item / plane * channels + channel) * plane + item % plane
}

/// Shapes for cases: (models, batch, channels, plane, items of a split).
pub(super) const SHAPES: [[usize; 5]; 13] = [
    [1, 1, 1, 1, 1],
    [2, 3, 2, 1, 3],
    [1, 67, 33, 1, 67],
    [2, 65, 31, 1, 20],
    [3, 7, 5, 4, 9],
    [1, 9, 35, 15, 50],
    [2, 5, 3, 16, 80],
    [1, 4, 13, 49, 60],
    [2, 6, 2, 35, 17],
    [1, 2, 7, 1009, 300],
    [1, 300, 3, 1, 64],
    // The last split has one item, with and without the rows past the end.
    [2, 13, 3, 1, 4],
    [1, 1, 65, 77, 77],
];

/// Values around 1000, within 1 of it: their mean must not take the digits of their differences. Every third shape's are; the
/// others' are around 0.
pub(super) fn values(len: usize, index: usize, seed: u32) -> Contents {
    match (index % 3, Contents::random(len, 1.0, seed)) {
        (1, Contents::F32(values)) => Contents::F32(values.into_iter().map(|x| 1000.0 + x).collect()),
        (2, Contents::F32(values)) => Contents::F32(values.into_iter().map(|x| 1000.0 * x).collect()),
        (_, contents) => contents,
    }
}

/// Statistics (models, 2, len) that fit those values more or less: means, then inverse deviations.
pub(super) fn statistics(models: usize, len: usize, index: usize, seed: u32) -> Contents {
    let (center, spread, inverse) = [(0.0, 1.0, 2.0), (1000.0, 0.5, 2.0), (0.0, 100.0, 2e-3)][index % 3];
    let Contents::F32(mut values) = Contents::random(models * 2 * len, 1.0, seed) else {
        unreachable!("random is floats")
    };
    for (place, value) in values.iter_mut().enumerate() {
        let is_mean = (place / len).is_multiple_of(2);
        *value = if is_mean { center + spread * *value } else { inverse * (1.5 + *value) };
    }
    Contents::F32(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_large_batches_of_few_channels_are_split() {
        assert_eq!(split_items(128, 64, 1), 128);
        assert_eq!(split_items(128, 64, 32 * 32), 128 * 1024 / 64);
        assert_eq!(split_items(1024, 1, 1), 256);
        assert_eq!(split_items(1024, 4096, 49), 1024 * 49);
        assert_eq!(split_items(1, 1, 1), 1);
    }
}
