//! Verification cases of products, in every form.

use super::matrix_units::{KNOWN, tiles_of};
use super::tiling::{Product, Tile, Tiling};
use crate::ir::{MatrixUnits, Needs};
use crate::kernel::{Case, Contents};

/// A product with its data.
#[derive(Debug, Clone)]
pub(crate) struct Trial<P> {
    /// Shapes, and what else matters.
    pub name: String,
    /// The product.
    pub product: P,
    /// The tile in registers.
    pub tile: Tile,
    /// Which of the tile's forms: they are counted through.
    pub form: usize,
    /// Whether no activation hides the sums.
    pub linear: bool,
    /// One per binding.
    pub contents: Vec<Contents>,
}

impl<P: Product> Trial<P> {
    /// In registers, of f32 or f16 factors.
    fn in_registers(&self, half: bool) -> Case {
        let forms = Tiling::forms(self.tile, half, self.product.comes_in_fours());
        let tiling = forms[self.form % forms.len()];
        let form = match tiling {
            Tiling::Registers { stages, width, .. } => format!(", {stages} stages, loads of {width}"),
            Tiling::Units { .. } => String::new(),
        };
        self.case(&self.product.tiled(tiling), format!(" tile {:?}{form}", self.tile))
    }

    fn case(&self, product: &P, tiled: String) -> Case {
        let mut dispatch = product.lower();
        dispatch.slices = Case::slices(&self.contents);
        Case { name: format!("{}{tiled}", self.name), dispatch, contents: self.contents.clone() }
    }

    /// A copy with numbers at the ends of what f16 holds, among the gradients where there are some; `None` where its activation
    /// would hide them.
    fn beyond(&self) -> Option<Self> {
        let factor = P::KERNELS[0].bindings.iter().position(|binding| binding.name == "output_gradient").unwrap_or(0);
        if !self.linear || self.contents[factor].len() > 2000 {
            return None;
        }
        let mut trial = self.clone();
        let Contents::F32(values) = &mut trial.contents[factor] else { return None };
        let ends = [65_519.0, -7e4, 6.1e-5, 3e-8, 65_503.0];
        values.iter_mut().rev().step_by(3).zip(ends).for_each(|(value, end)| *value = end);
        trial.name.push_str(", numbers at the ends of f16,");
        Some(trial)
    }
}

/// The cases of a product's form: in f32, in f16 in all tiles, or on all known units.
pub(crate) fn cases<P: Product>(trials: Vec<Trial<P>>, form: Needs) -> Vec<Case> {
    if form == Needs::Nothing {
        return trials.iter().map(|trial| trial.in_registers(false)).collect();
    }
    let trials = trials.into_iter().flat_map(|trial| [trial.beyond(), Some(trial)]).flatten();
    if form == Needs::F16 {
        return trials.map(|trial| trial.in_registers(true)).collect();
    }
    // Each shape once for each tile: the tiles of the trial itself play no part.
    let each = |(index, trial): (usize, Trial<P>)| {
        let on = |units: MatrixUnits| {
            let tiles: Vec<_> = tiles_of(units).collect();
            let tile = tiles[index % tiles.len()];
            trial.case(&trial.product.on_units(units, tile), format!(", as {units:?}, {tile:?}"))
        };
        KNOWN.into_iter().map(on).collect::<Vec<_>>()
    };
    trials.enumerate().flat_map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Specification;
    use crate::kernel::conv;
    use crate::kernel::dense::tiling::TILES;
    use crate::kernel::dense::{backward_input, backward_weight, forward, matrix_units};

    #[test]
    fn every_tile_of_known_units_is_in_the_cases() {
        let specifications: [&Specification; 3] = [
            &forward::SPECIFICATION_COOPERATIVE,
            &backward_input::SPECIFICATION_COOPERATIVE,
            &backward_weight::SPECIFICATION_COOPERATIVE,
        ];
        for specification in specifications {
            let cases = (specification.cases)();
            for units in KNOWN {
                for (tile, width) in tiles_of(units).flat_map(|tile| [(tile, 1), (tile, 4)]) {
                    if width == 1 || matrix_units::takes_vectors(units) {
                        let wanted = tile.constants(units, width);
                        let has = |case: &Case| wanted.iter().all(|c| case.dispatch.constants.contains(c));
                        assert!(cases.iter().any(has), "{specification:?}: {units:?}, {tile:?}, loads of {width}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_tile_of_a_convolution_in_mixed_precision_is_in_the_cases() {
        let kernels = [
            [&conv::forward::KERNEL_F16, &conv::forward::KERNEL_COOPERATIVE],
            [&conv::backward_input::KERNEL_F16, &conv::backward_input::KERNEL_COOPERATIVE],
            [&conv::backward_weight::KERNEL_F16, &conv::backward_weight::KERNEL_COOPERATIVE],
        ];
        for [half, cooperative] in kernels {
            let cases = |kernel| (Specification::of(kernel).cases)();
            let has = |cases: &[Case], wanted: Vec<(&'static str, u32)>| {
                let fits = |case: &Case| wanted.iter().all(|constant| case.dispatch.constants.contains(constant));
                assert!(cases.iter().any(fits), "{}: {wanted:?}", half.name);
            };
            let in_registers = cases(half);
            TILES
                .into_iter()
                .flat_map(|tile| Tiling::forms(tile, true, false))
                .for_each(|tiling| has(&in_registers, tiling.constants()));
            let on_units = cases(cooperative);
            let tiles = KNOWN.into_iter().flat_map(|units| tiles_of(units).map(move |tile| tile.constants(units, 1)));
            tiles.for_each(|constants| has(&on_units, constants));
        }
    }
}
