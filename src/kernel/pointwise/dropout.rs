//! Dropout: each element is 0 with probability `rate`, else divided by `1 - rate`. The backward pass is the same launch
//! on the gradient: the mask follows from the model's seed, the step, the layer and the element, and is stored nowhere.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::formula::hash;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Elements per model.
        len: u32,
        /// Number of the layer, so that each has a mask of its own.
        layer: u32,
        /// Hashes below it drop their element.
        threshold: u32,
        /// What the kept elements are multiplied with.
        scale: f32,
    }
}

impl Params {
    /// For the given rate, from 0 up to but not including 1.
    pub fn new(len: u32, layer: u32, rate: f32) -> Params {
        let rate = f64::from(rate);
        let scale = (1.0 / (1.0 - rate)) as f32;
        Params { len, layer, threshold: (rate * 4_294_967_296.0) as u32, scale }
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dropout",
    wgsl: include_str!("../../../shaders/dropout.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read_u32("counters"), write("output")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-6,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, len): values forward, their gradients backward.
    pub input: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, len).
    pub output: Slice,
}

/// A launch for `models` models, forward or backward.
#[derive(Debug, Clone)]
pub struct Dropout {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// What its masks follow from.
    pub masks: Masks,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for Dropout {
    fn lower(&self) -> Dispatch {
        let Dropout { label, shape, models, masks, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: masks.constants(),
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.counters, operands.output],
            grid: linear_grid((shape.len as usize).div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

/// What the masks follow from, beside seed, step and layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masks {
    /// Whether a step takes several batches: each has a mask of its own.
    pub by_batch: bool,
    /// Parts in which a batch is taken: their masks are those of the batch in one part.
    pub parts: u32,
}

impl Masks {
    /// Each step has a mask, over a batch that is taken at once.
    pub const BY_STEP: Masks = Masks { by_batch: false, parts: 1 };

    fn constants(self) -> Vec<(&'static str, u32)> {
        let parts = (self.parts > 1).then_some(("PARTS", self.parts));
        std::iter::once(("BY_BATCH", self.by_batch.into())).chain(parts).collect()
    }

    pub(crate) fn of<T: Real>(args: &Args<T>) -> Masks {
        Masks { by_batch: args.constant("BY_BATCH", 0) == 1, parts: args.constant("PARTS", 1) }
    }

    /// What the hashes of a model's elements start from, and the place of its first element in the batch.
    pub(crate) fn start(self, counters: &[u32], model: usize, p: &Params) -> (u32, u32) {
        let counter = |slot: usize| counters[model * state::COUNTERS + slot];
        let of_step = hash::combine(hash::combine(hash::mix(counter(state::SEED)), counter(state::STEP)), p.layer);
        let taken = counter(state::BATCH);
        let key = if self.by_batch { hash::combine(of_step, taken / self.parts) } else { of_step };
        (key, (taken % self.parts).wrapping_mul(p.len))
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, masks) = (args.models(), Masks::of(args));
    let [input, counters, output] = args.operands();
    let (input, counters, output) = (input.read(), counters.read_u32(), output.write());
    for model in 0..models {
        let (key, first) = masks.start(counters, model, &p);
        for element in 0..p.len {
            let i = model * p.len as usize + element as usize;
            let kept = hash::combine(key, first.wrapping_add(element)) >= p.threshold;
            output[i] = T::from_f64(if kept { input[i].to_f64() * f64::from(p.scale) } else { 0.0 });
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: len, bytes: 8.0 * len }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [len, models] in [[1usize, 1usize], [65, 3], [257, 1], [1009, 2], [70_001, 2]] {
        for (layer, rate) in [(0, 0.5), (3, 0.1), (1, 0.0), (2, 0.9)] {
            let counters = (0..models * state::COUNTERS).map(|i| hash::mix(i as u32 + layer)).collect();
            let contents = vec![
                Contents::random(models * len, if layer == 3 { 1000.0 } else { 1.0 }, 1),
                Contents::U32(counters),
                Contents::random(models * len, 1.0, 2),
            ];
            let s = Case::slices(&contents);
            let operands = Operands { input: s[0], counters: s[1], output: s[2] };
            let shape = Params::new(len as u32, layer, rate);
            let masks = Masks { by_batch: layer == 3, parts: if layer == 0 { 1 } else { 2 + layer } };
            let dispatch = Dropout { label: "case".into(), shape, models, masks, operands }.lower();
            let name = format!("{models}x{len} rate {rate}, {} parts", masks.parts);
            cases.push(Case { name, dispatch, contents });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::fast::pointwise::dropout as fast;
    use crate::kernel::difference::run_f32;

    /// The mask of 10,000 elements: values are 1, so what is left is the scale.
    fn mask(code: fn(&mut Args<f32>), seed: u32, step: u32, layer: u32, rate: f32) -> Vec<f64> {
        let mut counters = vec![0; state::COUNTERS];
        (counters[state::SEED], counters[state::STEP]) = (seed, step);
        let contents = [Contents::F32(vec![1.0; 10_000]), Contents::U32(counters), Contents::F32(vec![9.0; 10_000])];
        let s = Case::slices(&contents);
        let operands = Operands { input: s[0], counters: s[1], output: s[2] };
        let shape = Params::new(10_000, layer, rate);
        let dispatch = Dropout { label: "".into(), shape, models: 1, masks: Masks::BY_STEP, operands }.lower();
        run_f32(code, &dispatch, &contents)[2].floats().to_vec()
    }

    #[test]
    fn drops_the_share_it_should_and_keeps_the_mean() {
        for rate in [0.0, 0.1, 0.5, 0.9] {
            let mask = mask(fast, 1, 2, 3, rate);
            let dropped = mask.iter().filter(|&&m| m == 0.0).count() as f64 / 10_000.0;
            // Five standard deviations of 10,000 draws.
            let deviation = (f64::from(rate) * f64::from(1.0 - rate) / 10_000.0).sqrt();
            assert!((dropped - f64::from(rate)).abs() <= 5.0 * deviation, "{rate}: {dropped}");
            let kept = 1.0 / (1.0 - f64::from(rate));
            assert!(mask.iter().all(|m| *m == 0.0 || (m - kept).abs() < 1e-5));
        }
    }

    #[test]
    fn masks_of_other_seeds_steps_and_layers_agree_by_chance_only() {
        let first = mask(fast, 1, 2, 3, 0.5);
        assert_eq!(first, mask(reference, 1, 2, 3, 0.5));
        for other in
            [mask(fast, 2, 2, 3, 0.5), mask(fast, 1, 3, 3, 0.5), mask(fast, 1, 2, 4, 0.5), mask(fast, 3, 2, 1, 0.5)]
        {
            let same = first.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((4750..5250).contains(&same), "{same}");
        }
    }
}
