//! Means and medians of features, which may be a view of a file: each pass goes row by row.

use super::{Features, Storage};

/// Calls `visit` with each number at these places that is there, row after row, and the number of its place among them.
fn each_number(features: &Features, places: &[usize], mut visit: impl FnMut(usize, f32)) {
    let Storage::F32(values) = &features.storage else { return };
    for row in values.chunks_exact(features.shape.len().max(1)) {
        for (place, at) in places.iter().enumerate().filter(|(_, at)| !row[**at].is_nan()) {
            visit(place, row[*at]);
        }
    }
}

/// The means of the features at these places.
pub(super) fn means(features: &Features, places: &[usize]) -> Vec<f64> {
    // As iterators sum: an empty sum is -0.
    let mut sums = vec![(-0.0, 0usize); places.len()];
    each_number(features, places, |place, value| {
        sums[place].0 += f64::from(value);
        sums[place].1 += 1;
    });
    sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect()
}

/// Their medians. The numbers are counted by their first eight bits, those that begin like the one in the middle by the next eight,
/// and so on: they need not be in memory together.
pub(super) fn medians(features: &Features, places: &[usize]) -> Vec<f64> {
    /// Of the two in the middle (or the one, twice) the bits that are known, and how many that begin with them are smaller.
    #[derive(Clone, Copy, Default)]
    struct Middle {
        bits: u64,
        before: usize,
    }
    let mut middles = vec![[Middle::default(); 2]; places.len()];
    let mut is_empty = vec![true; places.len()];
    for shift in [24, 16, 8, 0] {
        let mut counts = vec![[[0usize; 256]; 2]; places.len()];
        each_number(features, places, |place, number| {
            let key = u64::from(key(number));
            for (middle, counts) in middles[place].iter().zip(&mut counts[place]) {
                counts[(key >> shift & 255) as usize] += usize::from(key >> (shift + 8) == middle.bits);
            }
        });
        for ((middles, counts), is_empty) in middles.iter_mut().zip(&counts).zip(&mut is_empty) {
            if shift == 24 {
                let count: usize = counts[0].iter().sum();
                (middles[0].before, middles[1].before) = (count.saturating_sub(1) / 2, count / 2);
                *is_empty = count == 0;
            }
            for (middle, counts) in middles.iter_mut().zip(counts) {
                let (place, before) = place_of(counts, middle.before);
                *middle = Middle { bits: middle.bits << 8 | place as u64, before };
            }
        }
    }
    let median = |([low, high], is_empty): ([Middle; 2], bool)| {
        let number = |middle: Middle| number(middle.bits as u32);
        if is_empty { 0.0 } else { 0.5 * (number(low) + number(high)) }
    };
    middles.into_iter().zip(is_empty).map(median).collect()
}

/// A whole number in the order of the numbers, and the number that it stands for.
fn key(number: f32) -> u32 {
    let bits = number.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

fn number(key: u32) -> f64 {
    f64::from(f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key }))
}

/// Where the number of this number from 0 is counted, and how many are counted there before it.
fn place_of(counts: &[usize], mut number: usize) -> (usize, usize) {
    for (place, count) in counts.iter().enumerate() {
        if number < *count {
            return (place, number);
        }
        number -= count;
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Shape;

    #[test]
    fn medians_are_those_of_sorted_numbers() {
        for count in [0, 1, 2, 3, 4, 101, 1000] {
            let number = |index: usize| {
                let spread = (index * 7919 % 1013) as f32 - 500.0;
                [spread, -1e-30 * spread, 3.5, if index.is_multiple_of(3) { f32::NAN } else { spread * spread }]
            };
            let rows: Vec<[f32; 4]> = (0..count).map(number).collect();
            let storage = Storage::F32(rows.as_flattened().to_vec().into());
            let features = Features { storage, count, shape: Shape::Features(4) };
            let expected = |at: usize| {
                let mut values: Vec<f32> = rows.iter().map(|row| row[at]).filter(|value| !value.is_nan()).collect();
                values.sort_unstable_by(f32::total_cmp);
                match values.len() {
                    0 => 0.0,
                    odd if odd % 2 == 1 => f64::from(values[odd / 2]),
                    even => 0.5 * (f64::from(values[even / 2 - 1]) + f64::from(values[even / 2])),
                }
            };
            let places = [3, 0, 1, 2];
            assert_eq!(medians(&features, &places), places.map(expected), "of {count}");
        }
    }
}
