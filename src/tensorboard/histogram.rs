//! Numbers as TensorFlow's histograms: how many lie in each bucket.

use super::message::Histogram;

/// Buckets between the least and the largest number.
const BUCKETS: usize = 40;

/// The histogram of the finite numbers; none without any.
pub(super) fn of(numbers: &[f32]) -> Option<Histogram> {
    let finite = || numbers.iter().filter(|number| number.is_finite()).map(|number| f64::from(*number));
    let (min, max) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), x| (min.min(x), max.max(x)));
    if min > max {
        return None;
    }
    // Equal numbers have one bucket, which is not empty in width: TensorBoard divides by it.
    let (start, width) = match max - min {
        0.0 => (min - 0.5, 1.0),
        range => (min, range / BUCKETS as f64),
    };
    let buckets = if max > min { BUCKETS } else { 1 };
    let mut bucket = vec![0.0; buckets];
    let (mut num, mut sum, mut sum_squares) = (0.0, 0.0, 0.0);
    for number in finite() {
        bucket[(((number - start) / width) as usize).min(buckets - 1)] += 1.0;
        (num, sum, sum_squares) = (num + 1.0, sum + number, sum_squares + number * number);
    }
    let bucket_limit =
        (1..=buckets).map(|end| if end == buckets && max > min { max } else { start + end as f64 * width });
    // The first limit is where the first bucket begins: it ends an empty one before it.
    let bucket_limit = std::iter::once(start).chain(bucket_limit).collect();
    bucket.insert(0, 0.0);
    Some(Histogram { min, max, num, sum, sum_squares, bucket_limit, bucket })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_number_is_counted() {
        let numbers: Vec<f32> = (0..100).map(|x| x as f32 / 10.0 - 2.0).chain([f32::NAN, f32::INFINITY]).collect();
        let found = of(&numbers).unwrap();
        assert_eq!((found.num, found.bucket.iter().sum::<f64>()), (100.0, 100.0));
        assert!((found.min + 2.0).abs() < 1e-6 && (found.max - 7.9).abs() < 1e-6 && (found.sum - 295.0).abs() < 1e-3);
        assert!(found.bucket_limit.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((found.bucket[0], found.bucket_limit[0], found.bucket.len()), (0.0, found.min, 41));
        let same = of(&[3.0; 5]).unwrap();
        assert_eq!((same.bucket, same.bucket_limit), (vec![0.0, 5.0], vec![2.5, 3.5]));
        assert_eq!(of(&[]), None);
    }
}
