//! What the kernels share that reduce over the columns of a matrix: how many threads share a row. Twin of
//! `shaders/lib/rows.wgsl`.

use crate::ir::linear_grid;
use crate::kernel::{Case, Contents};

/// Threads per workgroup and threads per row, as shader constants. Short rows go one to a thread: nothing to wait for. A
/// long row gets a workgroup to itself.
pub fn constants(columns: u32) -> Vec<(&'static str, u32)> {
    let (threads, lanes) = split(columns);
    vec![("THREADS", threads), ("LANES", lanes)]
}

/// Grid for `rows` rows of each model.
pub fn grid(rows: u32, columns: u32, models: usize) -> [u32; 3] {
    let (threads, lanes) = split(columns);
    linear_grid(rows.div_ceil(threads / lanes) as usize, models as u32)
}

fn split(columns: u32) -> (u32, u32) {
    match columns {
        0..=32 => (64, 1),
        33..=1024 => (64, 64),
        _ => (256, 256),
    }
}

/// Position of the first largest value; 0 where none compares.
pub fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let keep = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    values.enumerate().reduce(keep).map_or(0, |(position, _)| position)
}

/// Awkward shapes for cases: (rows, columns, models). They cover every split, and its borders.
pub const AWKWARD: [[usize; 3]; 11] = [
    [1, 1, 1],
    [67, 1, 2],
    [3, 2, 1],
    [65, 10, 3],
    [17, 31, 2],
    [64, 32, 1],
    [5, 33, 1],
    [13, 101, 2],
    [3, 1024, 1],
    [2, 1031, 1],
    [257, 3, 1],
];

/// Random values in steps of 1/2, so that some in a row are equal.
pub fn with_ties(len: usize, scale: f32, seed: u32) -> Contents {
    match Contents::random(len, scale, seed) {
        Contents::F32(values) => Contents::F32(values.into_iter().map(|v| (v * 2.0).round() / 2.0).collect()),
        words => words,
    }
}

/// Copies of the smaller cases with a NaN and an infinity in their first operand: both must show in what comes out, and
/// stay in their rows.
pub fn not_finite(cases: &[Case]) -> Vec<Case> {
    let mut copies: Vec<_> = cases.iter().filter(|case| case.contents[0].len() < 1000).cloned().collect();
    for (number, case) in copies.iter_mut().enumerate() {
        case.name.push_str(", with NaN and infinity");
        if let Contents::F32(values) = &mut case.contents[0] {
            let middle = values.len() / 2;
            values[middle] = f32::INFINITY;
            // The first value that a row sees, or one among others.
            let place = number % 2 % values.len();
            values[place] = f32::NAN;
        }
    }
    copies
}
