//! Principal components of a few points in many dimensions.

use rayon::prelude::*;

/// The principal components of a set of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Share of the variance that each component explains, largest first: one for each point, the last of them 0.
    pub explained: Vec<f64>,
    /// The first components, vectors of length one. A component that explains nothing has no direction, and is left out.
    pub directions: Vec<Vec<f64>>,
}

/// A component that explains less than this share is rounding.
const NOTHING: f64 = 1e-12;

impl Components {
    /// The components of points of one length, with the directions of the first `count`, each turned so that the points
    /// move along it from the first to the last.
    ///
    /// Works on the points' inner products (the Gram matrix) instead of the dimensions' covariances: both have the same
    /// eigenvalues, and there are far fewer points than weights.
    pub fn find(points: &[Vec<f32>], count: usize) -> Components {
        let centred = centred(points);
        let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let gram: Vec<Vec<f64>> =
            centred.par_iter().map(|row| centred.iter().map(|other| inner(row, other)).collect()).collect();
        let (values, vectors) = symmetric_eigenvectors(gram);
        let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
        let explained: Vec<f64> = values.iter().map(|value| value.max(0.0) / total.max(f64::MIN_POSITIVE)).collect();
        let with_direction = explained.iter().take(count).take_while(|share| **share > NOTHING).count();
        let direction = |vector: &Vec<f64>| {
            let forwards = vector.last().unwrap_or(&0.0) >= vector.first().unwrap_or(&0.0);
            let mut direction = vec![0.0; centred.first().map_or(0, Vec::len)];
            for (weight, row) in vector.iter().zip(&centred) {
                direction.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
            }
            let length = inner(&direction, &direction).sqrt() * if forwards { 1.0 } else { -1.0 };
            direction.iter_mut().for_each(|value| *value /= length);
            direction
        };
        Components { directions: vectors[..with_direction].iter().map(direction).collect(), explained }
    }
}

/// The points less their mean.
fn centred(points: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let mut mean = vec![0.0; points.first().map_or(0, Vec::len)];
    for point in points {
        mean.iter_mut().zip(point).for_each(|(sum, value)| *sum += f64::from(*value) / points.len() as f64);
    }
    points.iter().map(|point| point.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect()).collect()
}

/// Eigenvalues of a symmetric matrix, largest first, and the eigenvector of each: Jacobi's method, which turns one pair
/// of axes after the other until nothing is left beside the diagonal.
fn symmetric_eigenvectors(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    // It converges quadratically: far fewer sweeps are needed.
    const MAX_SWEEPS: usize = 100;
    let size = matrix.len();
    let unit = |row: usize| (0..size).map(|column| f64::from(u8::from(row == column))).collect();
    // Row i becomes the i-th eigenvector.
    let mut vectors: Vec<Vec<f64>> = (0..size).map(unit).collect();
    let scale: f64 = matrix.iter().flatten().map(|value| value * value).sum();
    for _ in 0..MAX_SWEEPS {
        let beside: f64 = (0..size).map(|row| matrix[row][..row].iter().map(|value| value * value).sum::<f64>()).sum();
        if beside <= 1e-30 * scale {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut matrix, &mut vectors, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| matrix[b][b].total_cmp(&matrix[a][a]));
    let values = order.iter().map(|&index| matrix[index][index]).collect();
    (values, order.iter().map(|&index| std::mem::take(&mut vectors[index])).collect())
}

/// Turns the axes p and q so that the matrix has a zero there.
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    if matrix[p][q] == 0.0 {
        return;
    }
    let slope = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
    // The smaller of the two angles that do.
    let tangent = slope.signum() / (slope.abs() + slope.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for row in matrix.iter_mut() {
        let (a, b) = (row[p], row[q]);
        (row[p], row[q]) = (cosine * a - sine * b, sine * a + cosine * b);
    }
    for rows in [matrix, vectors] {
        let (before, after) = rows.split_at_mut(q);
        for (a, b) in before[p].iter_mut().zip(&mut after[0]) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_of_a_known_matrix() {
        // Eigenvalues 2 + sqrt(2), 2 and 2 - sqrt(2).
        let matrix = vec![vec![2.0, -1.0, 0.0], vec![-1.0, 2.0, -1.0], vec![0.0, -1.0, 2.0]];
        let (values, vectors) = symmetric_eigenvectors(matrix.clone());
        let root = 2f64.sqrt();
        for (value, expected) in values.iter().zip([2.0 + root, 2.0, 2.0 - root]) {
            assert!((value - expected).abs() < 1e-14, "{value} {expected}");
        }
        for (value, vector) in values.iter().zip(&vectors) {
            for (row, x) in matrix.iter().zip(vector) {
                let product: f64 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
                assert!((product - value * x).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn a_path_of_rank_two_gives_its_plane_back() {
        // Two directions at right angles in 50 dimensions, of length one; the path is an ellipse's arc around a point.
        let along: Vec<f64> = (0..50).map(|i| if i % 2 == 0 { 0.2 } else { 0.0 }).collect();
        let across: Vec<f64> = (0..50).map(|i| if i % 2 == 1 { 0.2 } else { 0.0 }).collect();
        let path: Vec<(f64, f64)> = (0..9).map(|i| (f64::from(i) - 4.0, 0.25 * f64::from((i - 4) * (i - 4)))).collect();
        let point = |&(a, b): &(f64, f64)| (0..50).map(|i| (3.0 + a * along[i] + b * across[i]) as f32).collect();
        let points: Vec<Vec<f32>> = path.iter().map(point).collect();
        let components = Components::find(&points, 2);
        // The variances: 60/9 along, and of 4, 2.25, 1, 0.25, 0, … around their mean across.
        let heights: Vec<f64> = path.iter().map(|p| p.1).collect();
        let mean = heights.iter().sum::<f64>() / 9.0;
        let across_variance: f64 = heights.iter().map(|h| (h - mean).powi(2)).sum();
        let expected = [60.0 / (60.0 + across_variance), across_variance / (60.0 + across_variance)];
        for (found, expected) in components.explained.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert!(components.explained[2..].iter().all(|share| *share < 1e-10));
        for (found, expected) in components.directions.iter().zip([along, across]) {
            let cosine: f64 = found.iter().zip(&expected).map(|(a, b)| a * b).sum();
            assert!((cosine.abs() - 1.0).abs() < 1e-6, "{cosine}");
        }
        // Turned so that the path goes forwards.
        assert!(components.directions[0].iter().sum::<f64>() > 0.0);
    }

    #[test]
    fn a_straight_path_has_one_direction_and_none_without_movement() {
        let line: Vec<Vec<f32>> = (0..4).map(|i| vec![i as f32, 2.0 * i as f32, 0.0]).collect();
        let components = Components::find(&line, 2);
        assert_eq!(components.directions.len(), 1);
        assert!((components.explained[0] - 1.0).abs() < 1e-12);
        assert!(Components::find(&vec![vec![1.0, 2.0]; 3], 2).directions.is_empty());
    }
}
