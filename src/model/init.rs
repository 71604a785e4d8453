//! Initial values of parameters: the same bits for a seed on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::Model;
use crate::layers::{Init, Parameter};

/// Keeps these streams apart from the others that a seed feeds (split, batch order, dropout). Changing it, or anything
/// below, changes every trained network; `pinned_bits` below would fail.
const DOMAIN: &[u8; 24] = b"gputrain initial weights";

impl Model {
    /// Initial values, one vector per tensor in the order of [`Model::tensors`]. A tensor's values depend only on the seed, its
    /// own index, size and initialiser, so that changing one layer leaves the others alone. Those of `init = "whitening"` are 0 until
    /// [`whiten`](crate::data::whiten) takes them from the data.
    pub fn initialise(&self, seed: u64) -> Vec<Vec<f32>> {
        let parameters = self.tensors().enumerate();
        parameters.map(|(index, parameter)| initialise(parameter, &stream(seed, index as u64))).collect()
    }
}

/// Values that one thread draws at a time; even, because normal values come in pairs.
const CHUNK: usize = 1 << 15;

fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..].copy_from_slice(DOMAIN);
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// How values are drawn.
enum Draw {
    Constant(f64),
    /// Uniform in ± this.
    Uniform(f64),
    /// Normal with this deviation.
    Normal(f64),
}

fn draw(parameter: &Parameter) -> Draw {
    let (fan_in, fan_out) = (parameter.fan_in as f64, parameter.fan_out as f64);
    match parameter.init {
        Init::GlorotUniform => Draw::Uniform((6.0 / (fan_in + fan_out)).sqrt()),
        Init::GlorotNormal => Draw::Normal((2.0 / (fan_in + fan_out)).sqrt()),
        Init::HeUniform => Draw::Uniform((6.0 / fan_in).sqrt()),
        Init::HeNormal => Draw::Normal((2.0 / fan_in).sqrt()),
        Init::FanInUniform => Draw::Uniform(1.0 / fan_in.sqrt()),
        Init::Normal(deviation) => Draw::Normal(deviation),
        Init::Uniform(bound) => Draw::Uniform(bound),
        // What follows from the data is set when they are there.
        Init::Zeros | Init::Whitening => Draw::Constant(0.0),
        Init::Constant(value) => Draw::Constant(value),
    }
}

fn initialise(parameter: &Parameter, rng: &ChaCha8Rng) -> Vec<f32> {
    let draw = draw(parameter);
    let mut values = vec![0.0; parameter.len()];
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(index, chunk)| {
        let mut rng = rng.clone();
        // Every value takes two words of the stream, so that the bits do not depend on the size of a chunk.
        rng.set_word_pos(2 * (index * CHUNK) as u128);
        fill(chunk, &draw, &mut rng);
    });
    values
}

/// Everything in f64, rounded to f32 once.
fn fill(values: &mut [f32], draw: &Draw, rng: &mut ChaCha8Rng) {
    match draw {
        Draw::Constant(value) => values.fill(*value as f32),
        Draw::Uniform(bound) => values.fill_with(|| ((2.0 * unit(rng) - 1.0) * bound) as f32),
        Draw::Normal(deviation) => {
            for pair in values.chunks_mut(2) {
                for (value, drawn) in pair.iter_mut().zip(normal_pair(rng)) {
                    *value = (drawn * deviation) as f32;
                }
            }
        }
    }
}

/// Uniform in 0..1, all 53 bits.
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Box–Muller. libm's functions, not the system's, which differ from machine to machine.
fn normal_pair(rng: &mut ChaCha8Rng) -> [f64; 2] {
    // 1 - u is in (0, 1], so the logarithm is finite.
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit(rng)));
    let turn = std::f64::consts::TAU * unit(rng);
    [radius * libm::cos(turn), radius * libm::sin(turn)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::TensorRole;

    fn parameter(shape: &[usize], fan_in: usize, fan_out: usize, init: Init) -> Parameter {
        Parameter { name: "w".into(), shape: shape.into(), role: TensorRole::Weight, fan_in, fan_out, init }
    }

    fn values(init: Init, seed: u64) -> Vec<f64> {
        let drawn = initialise(&parameter(&[300, 100], 100, 300, init), &stream(seed, 0));
        drawn.into_iter().map(f64::from).collect()
    }

    /// Mean, variance and kurtosis (3 for a normal, 1.8 for a uniform distribution).
    fn moments(values: &[f64]) -> (f64, f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let central = |power: i32| values.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / n;
        (mean, central(2), central(4) / central(2).powi(2))
    }

    #[test]
    fn variance_and_shape_of_each_initialiser() {
        // Variances as Keras' and PyTorch's formulas give them for fan_in 100, fan_out 300.
        let cases = [
            (Init::GlorotUniform, 2.0 / 400.0, 1.8),
            (Init::GlorotNormal, 2.0 / 400.0, 3.0),
            (Init::HeUniform, 2.0 / 100.0, 1.8),
            (Init::HeNormal, 2.0 / 100.0, 3.0),
            (Init::FanInUniform, 1.0 / 300.0, 1.8),
            (Init::Normal(0.1), 0.01, 3.0),
            (Init::Uniform(0.3), 0.03, 1.8),
        ];
        for (init, variance, kurtosis) in cases {
            let (mean, actual, shape) = moments(&values(init, 1));
            assert!(mean.abs() < 4.0 * (variance / 30_000f64).sqrt(), "{init:?}: mean {mean}");
            assert!((actual / variance - 1.0).abs() < 0.03, "{init:?}: variance {actual}, expected {variance}");
            assert!((shape - kurtosis).abs() < 0.15, "{init:?}: kurtosis {shape}, expected {kurtosis}");
        }
    }

    #[test]
    fn uniform_values_stay_within_and_reach_the_bound() {
        let bound = (6.0 / 400f64).sqrt();
        let largest = values(Init::GlorotUniform, 2).iter().fold(0.0f64, |m, x| m.max(x.abs()));
        assert!(largest <= bound * (1.0 + 1e-7) && largest > 0.999 * bound, "{largest} {bound}");
    }

    #[test]
    fn constants() {
        assert!(values(Init::Zeros, 0).iter().all(|x| *x == 0.0));
        assert!(values(Init::Constant(0.25), 0).iter().all(|x| *x == 0.25));
    }

    #[test]
    fn seeds_and_parameters_have_streams_of_their_own() {
        assert_eq!(values(Init::HeNormal, 3), values(Init::HeNormal, 3));
        assert_ne!(values(Init::HeNormal, 3), values(Init::HeNormal, 4));
        let p = parameter(&[10], 10, 10, Init::HeNormal);
        assert_ne!(initialise(&p, &stream(0, 0)), initialise(&p, &stream(0, 1)));
    }

    #[test]
    fn bits_do_not_depend_on_chunks() {
        for (init, count) in [(Init::HeNormal, 2 * CHUNK + 1), (Init::HeUniform, 3 * CHUNK), (Init::HeNormal, 3)] {
            let parameter = parameter(&[count], 5, 5, init);
            let mut whole = vec![0.0; count];
            fill(&mut whole, &draw(&parameter), &mut stream(9, 2));
            assert!(initialise(&parameter, &stream(9, 2)) == whole, "{init:?} {count}");
        }
    }

    /// Saved runs, golden files and resumed checkpoints rely on these bits.
    #[test]
    fn pinned_bits() {
        let mut hash = blake3::Hasher::new();
        for (index, init) in [Init::GlorotUniform, Init::HeNormal, Init::Normal(0.1)].into_iter().enumerate() {
            for value in initialise(&parameter(&[33, 7], 7, 33, init), &stream(42, index as u64)) {
                hash.update(&value.to_le_bytes());
            }
        }
        let hash = hash.finalize().to_hex();
        assert_eq!(&hash[..32], "d96e5873e4f2f98c5d54de4261e8f4b7");
    }
}
