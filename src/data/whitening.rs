//! Initial weights that whiten the patches of training images.

use super::{Features, Scaling};
use crate::model::{Model, Shape};
use crate::recipe::Init;
use rayon::prelude::*;

/// Images whose patches are measured, at most.
const IMAGES: usize = 5000;
/// Images that are summed up at a time: so that sums do not depend on the number of threads.
const AT_A_TIME: usize = 50;
/// Added to the variances, which may be 0.
const EPSILON: f64 = 5e-4;

/// Sets the weights that the model's `init = "whitening"` asks for: the eigenvectors of the mean outer product of all patches of the
/// first images, scaled, by falling eigenvalue, each divided by the root of its eigenvalue and 5e-4; then the same with the other
/// sign. So Keller Jordan's airbench94 has them. Everything in f64, rounded once.
pub fn whiten(parameters: &mut [Vec<f32>], model: &Model, train: &Features, scaling: &Scaling) {
    let Shape::Image { channels, height, width } = model.input else { return };
    for (tensor, values) in model.parameters.iter().zip(parameters) {
        if let ([filters, _, down, across], Init::Whitening) = (&tensor.shape[..], tensor.init) {
            let patches = Patches { image: [channels, height, width], kernel: [*down, *across] };
            let (variances, vectors) = eigenvectors(patches.products(train, scaling));
            let rows = variances.iter().zip(&vectors).take(filters / 2);
            let half: Vec<f64> =
                rows.flat_map(|(variance, row)| row.iter().map(|x| x / (variance.max(0.0) + EPSILON).sqrt())).collect();
            *values = half.iter().copied().chain(half.iter().map(|x| -x)).map(|x| x as f32).collect();
        }
    }
}

/// The patches of images that a kernel sees, one step apart and without the border's.
struct Patches {
    /// Channels, rows and columns.
    image: [usize; 3],
    kernel: [usize; 2],
}

impl Patches {
    /// The mean outer product of the patches.
    fn products(&self, train: &Features, scaling: &Scaling) -> Vec<Vec<f64>> {
        let count = train.count.min(IMAGES);
        let ([channels, height, width], [down, across]) = (self.image, self.kernel);
        let places = (height - down + 1) * (width - across + 1);
        let size = channels * down * across;
        let parts: Vec<Vec<f64>> = (0..count.div_ceil(AT_A_TIME))
            .into_par_iter()
            .map(|part| {
                let mut sums = vec![0.0; size * size];
                for image in part * AT_A_TIME..count.min((part + 1) * AT_A_TIME) {
                    self.add(train, scaling, image, &mut sums);
                }
                sums
            })
            .collect();
        let mean = |at: usize| parts.iter().map(|sums| sums[at]).sum::<f64>() / (count * places).max(1) as f64;
        // Below the diagonal as above it.
        (0..size).map(|a| (0..size).map(|b| mean(a.min(b) * size + a.max(b))).collect()).collect()
    }

    /// Adds the products of one image's patches, those above the diagonal.
    fn add(&self, train: &Features, scaling: &Scaling, image: usize, sums: &mut [f64]) {
        let ([channels, height, width], [down, across]) = (self.image, self.kernel);
        let len = channels * height * width;
        let value = |feature: usize| f64::from(scaling.apply(train.storage.get(image * len + feature), feature));
        let pixels: Vec<f64> = (0..len).map(value).collect();
        let size = channels * down * across;
        let mut patch = Vec::with_capacity(size);
        for y in 0..=height - down {
            for x in 0..=width - across {
                patch.clear();
                for channel in 0..channels {
                    for row in y..y + down {
                        let first = (channel * height + row) * width + x;
                        patch.extend_from_slice(&pixels[first..first + across]);
                    }
                }
                for (a, sums) in sums.chunks_mut(size).enumerate() {
                    sums[a..].iter_mut().zip(&patch[a..]).for_each(|(sum, b)| *sum += patch[a] * b);
                }
            }
        }
    }
}

/// The eigenvalues of a symmetric matrix, falling, and its eigenvectors, the largest element of each above 0: Jacobi's method.
fn eigenvectors(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..size).map(|a| (0..size).map(|b| if a == b { 1.0 } else { 0.0 }).collect()).collect();
    let scale = matrix.iter().flatten().fold(0.0f64, |most, x| most.max(x.abs()));
    for _ in 0..100 {
        let mut largest = 0.0f64;
        for p in 0..size {
            for q in p + 1..size {
                largest = largest.max(matrix[p][q].abs());
                turn(&mut matrix, &mut vectors, p, q);
            }
        }
        if largest <= 1e-18 * scale {
            break;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| matrix[*b][*b].total_cmp(&matrix[*a][*a]));
    let positive = |mut vector: Vec<f64>| {
        let largest = vector.iter().fold(0.0f64, |most, x| if x.abs() > most.abs() { *x } else { most });
        let sign = 1f64.copysign(largest);
        vector.iter_mut().for_each(|x| *x *= sign);
        vector
    };
    (order.iter().map(|at| matrix[*at][*at]).collect(), order.iter().map(|at| positive(vectors[*at].clone())).collect())
}

/// Turns rows and columns p and q so that their product becomes 0.
fn turn(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    let product = matrix[p][q];
    if product == 0.0 {
        return;
    }
    let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * product);
    let tangent = 1f64.copysign(theta) / (theta.abs() + (theta * theta + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let turned = |a: f64, b: f64| (cosine * a - sine * b, sine * a + cosine * b);
    for row in matrix.iter_mut() {
        (row[p], row[q]) = turned(row[p], row[q]);
    }
    for both in [matrix, vectors] {
        let (above, below) = both.split_at_mut(q);
        above[p].iter_mut().zip(&mut below[0]).for_each(|(a, b)| (*a, *b) = turned(*a, *b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Storage;
    use crate::recipe::Recipe;

    /// Seven images of 5 x 4 and 2 channels, for filters of 2 x 2.
    fn whitened(filters: usize) -> Vec<f32> {
        let storage = Storage::U8((0..7 * 40u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
        let train = Features { storage, count: 7, shape: Shape::Image { channels: 2, height: 5, width: 4 } };
        let text = format!(
            "[model]\ninput = [5, 4, 2]\nlayers = [{{ conv2d = {filters}, kernel = 2, init = \"whitening\" }}, {{ dense = 3 }}]"
        );
        let model = Model::build(&Recipe::parse(&text, "w.toml", &[]).unwrap().model, None).unwrap();
        let mut parameters = model.initialise(0);
        let others = parameters[1..].to_vec();
        whiten(&mut parameters, &model, &train, &Scaling { subtract: vec![0.0], divide: vec![255.0], add: -0.5 });
        assert_eq!(parameters[1..], others, "only the filters follow from the data");
        parameters.swap_remove(0)
    }

    /// numpy.linalg.eigh of the patches' mean outer product, over the roots of the eigenvalues and 5e-4.
    const NUMPY: [[f32; 8]; 8] = [
        [-0.1423318, 0.8339406, 0.1844967, 1.007763, 1.006875, -0.4340206, 0.6101, -0.6835136],
        [1.080572, 0.1632143, 1.033947, -0.3511879, -0.3495631, -0.9843931, -0.6967262, -0.7763345],
        [0.930191, -2.290844, -0.3490892, -0.4517746, -0.4454238, -0.2117197, 2.956511, -1.631773],
        [2.931685, -1.788081, 0.4245139, 1.920957, 1.921347, 1.006426, -0.6067997, 1.804359],
        [-0.2927162, 0.640631, 3.285554, -0.3021868, -0.2993675, 3.513581, 0.7304346, -0.7361991],
        [-1.819432, -1.103261, 2.999666, 0.0467392, 0.06242943, -2.451072, 1.52488, 2.920853],
        [2.891417, 3.545257, -0.7018419, -1.194813, -1.201732, -0.00997488, 2.749072, 2.46222],
        [0.02221585, 0.06632065, -0.07083786, -31.36618, 31.38333, 0.03678739, -0.03157092, -0.009868178],
    ];

    #[test]
    fn filters_are_those_of_numpy() {
        let weights = whitened(16);
        for (found, expected) in weights.chunks(8).zip(NUMPY) {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{found:?}, not {expected:?}");
            }
        }
        let (half, other) = weights.split_at(64);
        assert!(half.iter().zip(other).all(|(a, b)| *a == -b));
        assert_eq!(whitened(4), [&half[..16], &other[..16]].concat(), "fewer filters are the first of each half");
    }
}
