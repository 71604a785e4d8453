//! Quantiles of the beta distribution with two equal parameters.

/// How many ratios there are to draw from.
pub const QUANTILES: usize = 4096;

/// The quantiles of Beta(strength, strength) in the middles of [`QUANTILES`] equal shares. libm's functions, not the system's, which
/// differ from machine to machine.
pub fn quantiles(strength: f32) -> Vec<f32> {
    let beta = Beta::new(f64::from(strength));
    let mut all = vec![0.0; QUANTILES];
    for index in 0..QUANTILES / 2 {
        let below = beta.quantile((index as f64 + 0.5) / QUANTILES as f64);
        (all[index], all[QUANTILES - 1 - index]) = (below as f32, (1.0 - below) as f32);
    }
    all
}

/// Beta(a, a).
struct Beta {
    a: f64,
    /// The logarithm of the beta function at (a, a).
    ln_beta: f64,
}

impl Beta {
    fn new(a: f64) -> Beta {
        Beta { a, ln_beta: 2.0 * libm::lgamma(a) - libm::lgamma(2.0 * a) }
    }

    /// Where the distribution reaches a share of less than a half: Newton's method on the logarithms of both, between bounds.
    fn quantile(&self, share: f64) -> f64 {
        let wanted = libm::log(share);
        let (mut low, mut high) = (f64::NEG_INFINITY, -std::f64::consts::LN_2);
        // Near 0 the share is x^a / (a B(a, a)).
        let mut place = ((wanted + libm::log(self.a) + self.ln_beta) / self.a).min(high);
        for _ in 0..100 {
            let (ln_share, slope) = self.at(place);
            if ln_share > wanted {
                high = place
            } else {
                low = place
            }
            let mut next = place - (ln_share - wanted) / slope;
            if !(next >= low && next <= high) {
                next = if low.is_finite() { 0.5 * (low + high) } else { 2.0 * place };
            }
            let moved = (next - place).abs();
            place = next;
            if moved <= 1e-14 * place.abs() {
                break;
            }
        }
        libm::exp(place)
    }

    /// The logarithm of the distribution at exp(`place`), at most a half, and its slope.
    fn at(&self, place: f64) -> (f64, f64) {
        let (x, a) = (libm::exp(place), self.a);
        let rest = libm::log1p(-x);
        let ln_share = a * place + a * rest - libm::log(a) - self.ln_beta + libm::log(self.fraction(x));
        (ln_share, libm::exp(a * place + (a - 1.0) * rest - self.ln_beta - ln_share))
    }

    /// The continued fraction of the incomplete beta function (Numerical Recipes, 6.4), by Lentz's method.
    fn fraction(&self, x: f64) -> f64 {
        let a = self.a;
        let safe = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
        let mut c = 1.0;
        let mut d = 1.0 / safe(1.0 - 2.0 * a * x / (a + 1.0));
        let mut product = d;
        for step in 1..1000 {
            let m = f64::from(step);
            let even = m * (a - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
            let odd = -(a + m) * (2.0 * a + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
            let mut factor = 1.0;
            for term in [even, odd] {
                d = 1.0 / safe(1.0 + term * d);
                c = safe(1.0 + term / c);
                factor = d * c;
                product *= factor;
            }
            if (factor - 1.0).abs() < 1e-15 {
                break;
            }
        }
        product
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCIPY: [(f32, usize, f64); 24] = [
        (0.01, 2047, 0.4938125983174143),
        (0.05, 100, 6.073282055731352e-27),
        (0.05, 1023, 8.746987620602186e-07),
        (0.05, 2047, 0.49869669170591163),
        (0.2, 0, 6.716789053114384e-19),
        (0.2, 100, 2.2036456515277037e-07),
        (0.2, 1023, 0.023757559243980764),
        (0.2, 2047, 0.49961739184147924),
        (0.4, 0, 6.117055969860878e-10),
        (0.4, 100, 0.0003503219094184469),
        (0.4, 1023, 0.11037512993712596),
        (0.4, 2047, 0.499775445935524),
        (1.0, 0, 0.0001220703125),
        (1.0, 100, 0.0245361328125),
        (1.0, 1023, 0.2498779296875),
        (1.0, 2047, 0.4998779296875),
        (3.0, 0, 0.023297211582860335),
        (3.0, 100, 0.14563973235383637),
        (3.0, 1023, 0.359359400163089),
        (3.0, 2047, 0.4999348958325975),
        (100.0, 0, 0.3723029320230321),
        (100.0, 100, 0.43067184059881747),
        (100.0, 1023, 0.4761233934568093),
        (100.0, 2047, 0.4999891682689101),
    ];

    #[test]
    fn quantiles_are_scipys() {
        // scipy.stats.beta.ppf((i + 0.5) / 4096, a, a)
        for (strength, index, expected) in SCIPY {
            let found = quantiles(strength)[index];
            assert!((f64::from(found) - expected).abs() <= 1e-7 * expected, "{strength}, {index}: {found} {expected}");
        }
    }

    #[test]
    fn even_shares_are_their_own_quantiles_and_all_are_in_order() {
        let even = quantiles(1.0);
        assert!((0..QUANTILES).all(|i| (even[i] - (i as f32 + 0.5) / QUANTILES as f32).abs() < 1e-7));
        for strength in [0.01, 0.05, 0.2, 0.4, 1.0, 8.0, 100.0] {
            let all = quantiles(strength);
            assert!(all.is_sorted() && all.iter().all(|share| (0.0..=1.0).contains(share)), "{strength}");
            let mean = all.iter().map(|share| f64::from(*share)).sum::<f64>() / QUANTILES as f64;
            let variance = all.iter().map(|share| (f64::from(*share) - 0.5).powi(2)).sum::<f64>() / QUANTILES as f64;
            let expected = 1.0 / (4.0 * (2.0 * f64::from(strength) + 1.0));
            assert!((mean - 0.5).abs() < 1e-7 && (variance / expected - 1.0).abs() < 2e-3, "{strength}: {variance}");
        }
    }
}
