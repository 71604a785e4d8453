//! What the dense kernels share: the choice of tiles, and the shader constants of `shaders/lib/matmul_tile.wgsl`.

/// Tile sizes of one variant: (rows, columns, depth, rows per thread, columns per thread).
pub type Tiles = [u32; 5];

/// Every variant that the planner can choose; `verify` runs them all.
pub const VARIANTS: [Tiles; 4] = [[16, 16, 16, 1, 1], [32, 32, 16, 2, 2], [64, 64, 16, 4, 4], [128, 128, 8, 8, 8]];

/// The variant for an m x n result of `models` models on a device that `busy_workgroups` keep busy: the largest tile that
/// still gives so many. Small results are bound by latency, where many small tiles win. A tile that is mostly padding is
/// no use anywhere.
pub fn choose(m: usize, n: usize, models: usize, busy_workgroups: usize) -> Tiles {
    VARIANTS.into_iter().rev().find(|tiles| fits(tiles, m, n, models, busy_workgroups)).unwrap_or(VARIANTS[0])
}

/// Whether so large a tile keeps a device busy and is not mostly padding.
pub(super) fn fits(tiles: &Tiles, m: usize, n: usize, models: usize, busy_workgroups: usize) -> bool {
    let (rows, columns) = (m.div_ceil(tiles[0] as usize), n.div_ceil(tiles[1] as usize));
    let padded = rows * tiles[0] as usize * columns * tiles[1] as usize;
    rows * columns * models >= busy_workgroups && padded <= 2 * m * n
}

/// Sums per thread from which the inner loops are written out: smaller ones are quick either way, and quick to compile.
const UNROLL_FROM: u32 = 16;

/// The tiles as shader constants.
pub fn constants(tiles: Tiles) -> Vec<(&'static str, u32)> {
    let [m, n, k, thread_m, thread_n] = tiles;
    let threads = (m / thread_m) * (n / thread_n);
    let sizes = ["TILE_M", "TILE_N", "TILE_K", "THREAD_M", "THREAD_N"].into_iter().zip(tiles);
    let loads = [("LOADS_A", m * k / threads), ("LOADS_B", n * k / threads)];
    let unroll = ("UNROLL", u32::from(thread_m * thread_n >= UNROLL_FROM));
    sizes.chain(loads).chain([unroll]).collect()
}

/// Grid for an m x n result.
pub fn grid(tiles: Tiles, m: usize, n: usize, models: usize) -> [u32; 3] {
    [n.div_ceil(tiles[1] as usize) as u32, m.div_ceil(tiles[0] as usize) as u32, models as u32]
}

/// Awkward shapes for cases: (rows, inputs, outputs, models).
pub const AWKWARD: [[usize; 4]; 9] = [
    [1, 1, 1, 1],
    [3, 17, 5, 1],
    [17, 65, 3, 2],
    [65, 3, 67, 1],
    [31, 129, 65, 1],
    [128, 64, 10, 3],
    [5, 1, 130, 1],
    [130, 37, 131, 2],
    [1, 257, 19, 1],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_a_tile_load_it_in_whole_rounds() {
        for [m, n, k, thread_m, thread_n] in VARIANTS {
            let threads = (m / thread_m) * (n / thread_n);
            assert!((m * k).is_multiple_of(threads) && (n * k).is_multiple_of(threads), "{m}x{n}x{k}");
            assert!(threads >= m, "the rows' sums take a thread each");
        }
    }
}
