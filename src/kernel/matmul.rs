//! What the dense kernels share: the choice of tiles, and the shader constants of `shaders/lib/matmul_tile.wgsl`.

use super::{Kernel, Needs, linear_grid};
use crate::plan::Dispatch;

/// Tile sizes of one variant: (rows, columns, depth, rows per thread, columns per thread).
pub type Tiles = [u32; 5];

/// Every variant that the planner can choose; `verify` runs them all.
pub const VARIANTS: [Tiles; 4] = [[16, 16, 16, 1, 1], [32, 32, 16, 2, 2], [64, 64, 16, 4, 4], [128, 128, 8, 8, 8]];

/// The variant for an m x n result of `models` models on a device that `busy_workgroups` keep busy: the largest tile that
/// still gives so many. Small results are bound by latency, where many small tiles win. A tile that is mostly padding is
/// no use anywhere.
pub fn choose(m: usize, n: usize, models: usize, busy_workgroups: usize) -> Tiles {
    let fits = |[m_side, n_side, ..]: &Tiles| fits([*m_side, *n_side], m, n, models, busy_workgroups);
    VARIANTS.into_iter().rev().find(fits).unwrap_or(VARIANTS[0])
}

/// Whether so large a tile keeps a device busy and is not mostly padding.
pub(super) fn fits([height, width]: [u32; 2], m: usize, n: usize, models: usize, busy_workgroups: usize) -> bool {
    let (rows, columns) = (m.div_ceil(height as usize), n.div_ceil(width as usize));
    let padded = rows * height as usize * columns * width as usize;
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

/// The launch with every variant of its tiles; `with` makes the plain one.
pub(super) fn variants(with: impl Fn(Tiles) -> Dispatch) -> Vec<Dispatch> {
    VARIANTS.into_iter().flat_map(|tiles| forms(with(tiles))).collect()
}

/// The forms of a launch: a large tile may also fill one part of the workgroup memory while it multiplies another, and load
/// four factors at a time.
pub(super) fn forms(plain: Dispatch) -> Vec<Dispatch> {
    if plain.constant("UNROLL", 0) == 0 {
        return vec![plain];
    }
    let form = |stages: u32, width: u32| {
        let mut form = plain.clone();
        let loads = form.constants.iter_mut().filter(|(name, _)| name.starts_with("LOADS_"));
        loads.for_each(|(_, loads)| *loads /= width);
        form.constants.extend([("STAGES", stages), ("WIDTH", width)]);
        form
    };
    let mut forms = vec![form(2, 1)];
    if is_in_vectors(&plain) {
        forms.extend([form(1, 4), form(2, 4)]);
    }
    forms.insert(0, plain);
    forms
}

/// One of the forms of a case's launch, and what to add to the case's name.
pub(super) fn nth_form(plain: Dispatch, number: usize) -> (Dispatch, String) {
    let mut forms = forms(plain);
    let form = forms.swap_remove(number % forms.len());
    let [stages, width] = ["STAGES", "WIDTH"].map(|name| form.constant(name, 1));
    (form, format!(", {stages} stages, loads of {width}"))
}

/// Whether the factors of a dense layer's product can be loaded four at a time: those that lie next to each other, and the
/// steps from one model's to the next's, come in fours.
pub(super) fn is_in_vectors(launch: &Dispatch) -> bool {
    let name = launch.kernel.name;
    let lengths = match () {
        _ if name.starts_with("dense_forward") => ["inputs", "input_stride", "parameter_stride"],
        _ if name.starts_with("dense_backward_input") => ["inputs", "outputs", "parameter_stride"],
        _ if name.starts_with("dense_backward_weight") => ["inputs", "outputs", "input_stride"],
        _ => return false,
    };
    let mut fields = launch.kernel.params.iter().zip(&launch.params);
    fields.all(|(field, value)| !lengths.contains(&field.name) || value.is_multiple_of(4))
}

/// What a workgroup that computes a tile takes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workgroup {
    /// Its threads.
    pub threads: u32,
    /// Its workgroup memory.
    pub bytes: u32,
}

impl Workgroup {
    /// Of a launch with these constants; `None` if it computes no tiles.
    pub fn of(kernel: &Kernel, constants: &[(&'static str, u32)]) -> Option<Workgroup> {
        let constant = |name| constants.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let [m, n, k] = [constant("TILE_M")?, constant("TILE_N")?, constant("TILE_K")?];
        let stages = constant("STAGES").unwrap_or(1);
        if kernel.needs != Needs::MatrixUnits {
            let threads = (m / constant("THREAD_M")?) * (n / constant("THREAD_N")?);
            let element = if kernel.needs == Needs::F16 { 2 } else { 4 };
            return Some(Workgroup { threads, bytes: stages * element * k * (m + PAD + n + PAD) });
        }
        let (matrix, subgroups) = (constant("MATRIX")?, constant("SUBGROUPS")?);
        let staged = |side: u32, contiguous| match constant(contiguous) {
            Some(0) => k * (side + UNIT_PAD),
            _ => side * (k + UNIT_PAD),
        };
        let staged = staged(m, "A_K_CONTIGUOUS") + staged(n, "B_K_CONTIGUOUS");
        let bytes = stages * 2 * staged + subgroups * matrix * matrix * 4;
        Some(Workgroup { threads: subgroups * constant("SUBGROUP")?, bytes })
    }
}

/// Elements between the lines of a tile beyond its own: in `shaders/lib/matmul_registers.wgsl`, and in `matmul_cooperative.wgsl`.
const PAD: u32 = 4;
const UNIT_PAD: u32 = 8;

/// Grid for tiles of these sides over `splits` m x n results of each model.
pub(super) fn grid([height, width]: [u32; 2], [m, n, splits]: [usize; 3], models: usize) -> [u32; 3] {
    linear_grid(m.div_ceil(height as usize) * n.div_ceil(width as usize) * splits, models as u32)
}

/// Height and width of a tile.
pub(super) fn sides([height, width, ..]: Tiles) -> [u32; 2] {
    [height, width]
}

/// Awkward shapes for cases: (rows, inputs, outputs, models). The last three come in fours.
pub const AWKWARD: [[usize; 4]; 12] = [
    [1, 1, 1, 1],
    [3, 17, 5, 1],
    [17, 65, 3, 2],
    [65, 3, 67, 1],
    [31, 129, 65, 1],
    [128, 64, 10, 3],
    [5, 1, 130, 1],
    [130, 37, 131, 2],
    [1, 257, 19, 1],
    [66, 68, 36, 2],
    [5, 132, 12, 1],
    [129, 4, 76, 1],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_a_tile_load_it_in_whole_rounds() {
        for [m, n, k, thread_m, thread_n] in VARIANTS {
            let threads = (m / thread_m) * (n / thread_n);
            // Large tiles also in vectors.
            let round = if thread_m * thread_n >= UNROLL_FROM { 4 * threads } else { threads };
            assert!((m * k).is_multiple_of(round) && (n * k).is_multiple_of(round), "{m}x{n}x{k}");
            assert!(threads >= m, "the rows' sums take a thread each");
        }
    }
}
