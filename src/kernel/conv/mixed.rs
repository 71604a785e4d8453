//! Convolutions in mixed precision: their products, of factors rounded to f16 on the way into workgroup memory. No matrix of
//! patches is ever made: a tile's factors are taken from the images where they lie.

use crate::ir::{Dispatch, Kernel, Limits, Needs};
use crate::kernel::conv::shape::Params;
use crate::kernel::dense::tiling::{Product, TILES, Tile, Tiling, mixed, variants};
use crate::kernel::dense::trial::{self, Trial};
use crate::kernel::{Case, Contents, Launch};
use std::fmt::Debug;
use std::sync::Arc;

/// A launch of a convolution, or of a gradient of it, that can be a matrix product.
pub(super) trait Convolution: Debug + Clone + Send + Sync + 'static {
    /// Its kernels: in f32, with f16 factors in registers, and on matrix units.
    const KERNELS: [&'static Kernel; 3];

    /// Its shape.
    fn shape(&self) -> &Params;

    /// Models side by side.
    fn models(&self) -> usize;

    /// Rows and columns of a result, and how many results a model has.
    fn results(&self) -> [usize; 3];

    /// Those two sides of the product that the layer alone decides, whatever the size of the batch.
    fn layer_sides(&self) -> [usize; 2];

    /// Whether no activation hides the sums.
    fn is_linear(&self) -> bool;

    /// The product as a launch of one of its kernels.
    fn as_product(&self, kernel: &'static Kernel, tiling: Tiling) -> Dispatch;
}

/// A product whose columns are pixels, with the constants of what its results go through at the end.
pub(super) fn over_pixels<C: Convolution + Launch>(
    convolution: &C,
    epilogue: impl IntoIterator<Item = (&'static str, u32)>,
    kernel: &'static Kernel,
    tiling: Tiling,
) -> Dispatch {
    let mut constants = tiling.constants();
    constants.push(("B_K_CONTIGUOUS", 0));
    constants.extend(epilogue);
    let grid = tiling.grid(convolution.results(), convolution.models());
    Dispatch { kernel, constants, grid, demands: tiling.demands([true, false]), ..convolution.lower() }
}

/// The launch in mixed precision; `None` where it stays f32: where filters see one channel each, which kernels of their own do
/// without a product, and where matrices would mostly be padding.
pub(super) fn launch<C: Convolution>(convolution: &C, limits: &Limits) -> Option<Arc<dyn Launch>> {
    if convolution.shape().depthwise() || is_mostly_padding(convolution.layer_sides()) {
        return None;
    }
    let [rows, columns, results] = convolution.results();
    let tile = Tile::choose([rows, columns], results * convolution.models(), limits.busy_workgroups);
    Some(mixed(&Rounded { convolution: convolution.clone(), tiling: Tiling::plain(tile) }, limits))
}

/// Whether more than half of what matrices of 16 x 16 multiply would be zeros: f32 kernels for few channels then do less. The
/// batch plays no part: what is rounded must not depend on it.
fn is_mostly_padding(sides: [usize; 2]) -> bool {
    const SIDE: usize = 16;
    let padded: usize = sides.iter().map(|side| side.next_multiple_of(SIDE)).product();
    padded > 2 * sides[0] * sides[1]
}

/// A convolution whose factors are rounded to f16.
#[derive(Debug, Clone)]
struct Rounded<C> {
    convolution: C,
    tiling: Tiling,
}

impl<C: Convolution> Product for Rounded<C> {
    const KERNELS: [&'static Kernel; 3] = C::KERNELS;

    fn tiling(&self) -> Tiling {
        self.tiling
    }

    fn tiled(&self, tiling: Tiling) -> Self {
        Rounded { tiling, ..self.clone() }
    }

    fn results(&self) -> [usize; 3] {
        self.convolution.results()
    }

    fn side_by_side(&self) -> usize {
        self.convolution.models() * self.convolution.results()[2]
    }

    /// Pixels of a window that lie next to each other in a tile seldom do so in fours in the image.
    fn comes_in_fours(&self) -> bool {
        false
    }
}

impl<C: Convolution> Launch for Rounded<C> {
    fn lower(&self) -> Dispatch {
        self.convolution.as_product(self.kernel(), self.tiling)
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        variants(self)
    }
}

/// Verification cases of a form. Launches of one shape come four at a time, with their data: one of them, and over the shapes each
/// of the four, is tried on each of the tiles. All would be too many pipelines for software drivers; the other three are tried on
/// the smallest tile in registers, which compiles fast and cuts a shape into the most pieces.
pub(super) fn cases<C: Convolution>(tried: Vec<(String, C, Vec<Contents>)>, form: Needs) -> Vec<Case> {
    let trial = |(index, (name, convolution, contents)): (usize, (String, C, Vec<Contents>))| {
        let (shape, turn) = (index / 4, index / 4 / TILES.len());
        let in_turn = index % 4 == shape % 4;
        let tile = if in_turn { TILES[(shape + turn) % TILES.len()] } else { TILES[0] };
        let linear = convolution.is_linear();
        let product = Rounded { convolution, tiling: Tiling::plain(tile) };
        (in_turn || form == Needs::F16).then_some(Trial { name, product, tile, form: turn, linear, contents })
    };
    trial::cases(tried.into_iter().enumerate().filter_map(trial).collect(), form)
}

#[cfg(test)]
mod tests {
    use super::is_mostly_padding;

    #[test]
    fn few_channels_are_no_matrix() {
        // Filters, and the taps of each: 3 x 3 of 1, 3, 16, 8 and 64 channels.
        let sides = [[32, 9], [16, 27], [16, 144], [8, 72], [3, 576], [10, 144], [512, 4608]];
        assert_eq!(sides.map(is_mostly_padding), [false, false, false, true, true, false, false]);
    }
}
