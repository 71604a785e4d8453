//! The bundled data set: handwritten-style digits, drawn by code, the same bytes on every machine for a seed.
//!
//! Each digit is written in one of several styles, and every image varies in shape (each control point on its own, and
//! the whole by slant, rotation, stretching, bending and shifting), in the pen's thickness and ink, and in noise. The
//! variation is set so that a linear classifier fails on about one image in ten while a small network learns it.

mod glyphs;
mod pen;

use rayon::prelude::*;

use super::random::Random;
use super::{Dataset, Examples, Features, Storage, Targets};
use crate::model::Shape;
use glyphs::{DIGITS, Point, Stroke};
use pen::{Ink, SIDE};

/// Training images of the default data set.
pub const DEFAULT_TRAIN: usize = 10_000;
/// Test images of the default data set.
pub const DEFAULT_TEST: usize = 2_000;

/// Draws a data set of 28x28 digits. Image `n` of a split depends on the seed and `n` alone, not on the counts.
pub fn generate(seed: u64, train_count: usize, test_count: usize) -> Dataset {
    Dataset {
        train: split(seed, "digits train", train_count),
        validation: None,
        test: (test_count > 0).then(|| split(seed, "digits test", test_count)),
    }
}

fn split(seed: u64, purpose: &str, count: usize) -> Examples {
    let mut pixels = vec![0u8; count * SIDE * SIDE];
    let mut labels = vec![0u32; count];
    pixels.par_chunks_exact_mut(SIDE * SIDE).zip(labels.par_iter_mut()).enumerate().for_each(
        |(index, (image, label))| {
            let mut random = Random::new(seed, purpose, index as u64);
            *label = random.below(10) as u32;
            write_digit(*label as usize, &mut random, image);
        },
    );
    let shape = Shape::Image { channels: 1, height: SIDE, width: SIDE };
    let features = Features { storage: Storage::U8(pixels.into()), count, shape };
    Examples::unweighted(features, Targets::Classes { labels, classes: DIGITS.len() })
}

/// Writes one digit the way one hand would at one moment.
fn write_digit(digit: usize, random: &mut Random, image: &mut [u8]) {
    let styles = DIGITS[digit];
    let style = styles[random.below(styles.len() as u64) as usize];
    let hand = Hand::new(random);
    let mut ink = Ink::blank();
    for stroke in style {
        let points = hand.place(stroke, random);
        let radius = (hand.radius * random.range(0.85, 1.15), hand.radius * random.range(0.85, 1.15));
        ink.draw(&points, radius);
    }
    develop(&ink, hand.darkness, random, image);
}

/// What varies from one image to the next: where, how large, how slanted, how bent, how bold.
struct Hand {
    size: Point,
    slant: f32,
    sine: f32,
    cosine: f32,
    bend: Point,
    centre: Point,
    wobble: f32,
    radius: f32,
    darkness: f32,
}

impl Hand {
    fn new(random: &mut Random) -> Hand {
        // A rotation by twice the angle whose tangent is `half`: exact without a sine or cosine.
        let half = 0.5 * clamp(0.08 * random.bell(), 0.2);
        let height = random.range(16.5, 21.0);
        Hand {
            size: (height * random.range(0.55, 0.86), height),
            slant: 0.12 + clamp(0.14 * random.bell(), 0.4),
            sine: 2.0 * half / (1.0 + half * half),
            cosine: (1.0 - half * half) / (1.0 + half * half),
            bend: (0.1 * random.bell(), 0.08 * random.bell()),
            centre: (13.5 + clamp(1.8 * random.bell(), 2.5), 13.5 + clamp(1.8 * random.bell(), 2.5)),
            wobble: random.range(0.015, 0.03),
            radius: random.range(1.0, 1.9),
            darkness: random.range(0.75, 1.0),
        }
    }

    /// Where this hand puts the points of a stroke, in pixels. A doubled point, a corner, stays doubled.
    fn place(&self, stroke: Stroke, random: &mut Random) -> Vec<Point> {
        let mut placed: Vec<Point> = Vec::with_capacity(stroke.len());
        for (index, &(x, y)) in stroke.iter().enumerate() {
            if index > 0 && stroke[index - 1] == (x, y) {
                placed.push(placed[index - 1]);
                continue;
            }
            let x = x - 0.5 + self.wobble * random.bell();
            let y = y - 0.5 + self.wobble * random.bell();
            let (x, y) = (x + self.bend.0 * (4.0 * y * y - 0.5), y + self.bend.1 * (4.0 * x * x - 0.5));
            let (x, y) = (x * self.size.0, y * self.size.1);
            let x = x - self.slant * y;
            placed.push((
                self.centre.0 + self.cosine * x - self.sine * y,
                self.centre.1 + self.sine * x + self.cosine * y,
            ));
        }
        placed
    }
}

/// Turns ink into bytes: lighter or darker as a whole, with noise on every pixel.
fn develop(ink: &Ink, darkness: f32, random: &mut Random, image: &mut [u8]) {
    const NOISE: f32 = 16.0;
    let mut noise = [0u8; 2 * SIDE * SIDE];
    random.fill(&mut noise);
    for ((pixel, &cover), grain) in image.iter_mut().zip(&ink.0).zip(noise.as_chunks::<2>().0) {
        // The difference of two uniforms: a triangle between -1 and 1.
        let grain = (f32::from(grain[0]) - f32::from(grain[1])) / 255.0;
        // The cast rounds down and saturates at 0 and 255.
        *pixel = (cover * darkness * 255.0 + NOISE * grain + 0.5) as u8;
    }
}

fn clamp(value: f32, bound: f32) -> f32 {
    value.clamp(-bound, bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(examples: &Examples) -> &[u8] {
        match &examples.features.storage {
            Storage::U8(bytes) => bytes,
            Storage::F32(_) => panic!("pixels are bytes"),
        }
    }

    fn labels(examples: &Examples) -> &[u32] {
        match &examples.targets {
            Targets::Classes { labels, .. } => labels,
            Targets::Values { .. } => panic!("digits are classes"),
        }
    }

    /// Accuracies are quoted for these bytes: a change here changes them all.
    #[test]
    fn the_default_data_set_is_the_same_everywhere() {
        let data = generate(0, DEFAULT_TRAIN, DEFAULT_TEST);
        let mut hasher = blake3::Hasher::new();
        for examples in [Some(&data.train), data.test.as_ref()].into_iter().flatten() {
            hasher.update(bytes(examples));
            for label in labels(examples) {
                hasher.update(&label.to_le_bytes());
            }
        }
        assert_eq!(
            hasher.finalize().to_hex().as_str(),
            "4ff4d2b6fcbc0c360f7a4033481cf78968264a17b24c2a6a798bbdfcaf1ced6e"
        );
    }

    #[test]
    fn an_image_depends_on_seed_split_and_number_alone() {
        let (few, many, other) = (generate(5, 3, 3), generate(5, 30, 0), generate(6, 3, 0));
        assert_eq!(few.train, many.train.select(&[0, 1, 2]));
        assert_ne!(few.train, other.train);
        assert_ne!(Some(few.train), few.test);
        assert_eq!(many.test, None);
    }

    #[test]
    fn every_digit_is_about_as_frequent_and_leaves_ink() {
        let data = generate(1, 2000, 0).train;
        for digit in 0..10 {
            let count = labels(&data).iter().filter(|&&label| label == digit).count();
            assert!((150..250).contains(&count), "{count} images of {digit}");
        }
        for image in bytes(&data).chunks_exact(SIDE * SIDE) {
            let inked = image.iter().filter(|&&pixel| pixel > 128).count();
            assert!((12..350).contains(&inked), "{inked} inked pixels");
        }
    }
}
