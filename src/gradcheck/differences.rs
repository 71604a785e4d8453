//! Analytic gradients against finite differences, in f64.

use std::fmt;

/// One tensor's place in the flat parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name, such as `layers.0.weight`.
    pub name: String,
    /// Its first element.
    pub offset: usize,
    /// Its number of elements.
    pub len: usize,
}

/// How one tensor's gradient compares with finite differences.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TensorCheck {
    /// The tensor.
    pub name: String,
    /// Elements compared.
    pub checked: usize,
    /// Elements left out because the loss has a kink there, such as ReLU's.
    pub skipped: usize,
    /// Largest `|analytic - numeric| / max(|analytic|, |numeric|, 1e-3 rms)`, rms that of the tensor's gradient. What the
    /// rounding of the loss alone can explain does not count.
    pub worst_error: f64,
    /// The element with that error, counted in the tensor.
    pub worst_element: usize,
    /// The analytic derivative there.
    pub analytic: f64,
    /// The numeric derivative there.
    pub numeric: f64,
}

impl fmt::Display for TensorCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TensorCheck { name, checked, skipped, worst_error, worst_element, analytic, numeric } = self;
        if *checked == 0 {
            return write!(f, "{name}: not checked ({skipped} elements at kinks skipped)");
        }
        write!(f, "{name}: worst error {worst_error:.1e} of {checked} elements ({skipped} at kinks skipped)")?;
        write!(f, ", at {worst_element}: {analytic:e}, by differences {numeric:e}")
    }
}

/// What to compare.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// At most this many elements of each tensor, spread evenly; all when `None`.
    pub at_most: Option<usize>,
    /// Called after each element.
    pub compared: Option<&'a dyn Fn()>,
}

impl Options<'_> {
    /// So many elements of a tensor of `len` are compared.
    pub fn count(&self, len: usize) -> usize {
        self.at_most.unwrap_or(len).min(len)
    }
}

/// Steps tried in turn, relative to `max(|parameter|, 1)`. The first has the smallest error on a smooth loss; the others
/// fit between kinks that it would straddle.
const STEPS: [f64; 3] = [1e-3, 1e-4, 1e-5];

/// Differences with a step and with half of it that disagree by more than this mean a kink in between.
const KINK: f64 = 1e-7;

/// The same for the slopes to the left and to the right, which shows a kink on the spot; on a smooth loss they approach
/// each other only with the cube of the step.
const JUMP: f64 = 1e-4;

/// Compares the analytic gradient of `loss` at `parameters` with 4-point differences. Nothing but `loss` decides where a
/// kink is, so a wrong gradient is never mistaken for one. `parameters` are as before when it returns.
pub fn check_gradients(
    parameters: &mut [f64],
    analytic: &[f64],
    tensors: &[Tensor],
    options: Options<'_>,
    mut loss: impl FnMut(&[f64]) -> f64,
) -> Vec<TensorCheck> {
    tensors.iter().map(|tensor| check_tensor(parameters, analytic, tensor, options, &mut loss)).collect()
}

fn check_tensor(
    parameters: &mut [f64],
    analytic: &[f64],
    tensor: &Tensor,
    options: Options<'_>,
    loss: &mut impl FnMut(&[f64]) -> f64,
) -> TensorCheck {
    let gradient = &analytic[tensor.offset..][..tensor.len];
    let rms = (gradient.iter().map(|g| g * g).sum::<f64>() / tensor.len.max(1) as f64).sqrt();
    let mut check = TensorCheck {
        name: tensor.name.clone(),
        checked: 0,
        skipped: 0,
        worst_error: 0.0,
        worst_element: 0,
        analytic: 0.0,
        numeric: 0.0,
    };
    let count = options.count(tensor.len);
    for element in (0..count).map(|i| i * tensor.len / count) {
        let numeric = differentiate(parameters, tensor.offset + element, 1e-3 * rms, loss);
        options.compared.inspect(|compared| compared());
        let Some(numeric) = numeric else {
            check.skipped += 1;
            continue;
        };
        check.checked += 1;
        let a = gradient[element];
        let scale = a.abs().max(numeric.value.abs()).max(1e-3 * rms).max(f64::MIN_POSITIVE);
        let excess = (a - numeric.value).abs() - numeric.noise;
        let error = if excess.is_finite() { excess.max(0.0) / scale } else { f64::INFINITY };
        if error > check.worst_error || check.checked == 1 {
            (check.worst_error, check.worst_element) = (error, element);
            (check.analytic, check.numeric) = (a, numeric.value);
        }
    }
    check
}

/// A derivative by differences.
struct Derivative {
    value: f64,
    /// What the rounding of the loss may contribute to it.
    noise: f64,
}

/// The derivative for one parameter, by the largest step that has no kink in reach; `None` when every step has. Values
/// below `floor` count as equally small.
fn differentiate(
    parameters: &mut [f64],
    index: usize,
    floor: f64,
    loss: &mut impl FnMut(&[f64]) -> f64,
) -> Option<Derivative> {
    let here = parameters[index];
    let mut at = |delta: f64| {
        parameters[index] = here + delta;
        let value = loss(parameters);
        parameters[index] = here;
        value
    };
    let middle = at(0.0);
    STEPS.iter().find_map(|relative| {
        // A power of two, so that here ± h are as far apart as intended.
        let h = (relative * here.abs().max(1.0)).log2().floor().exp2();
        let [far_up, up, half_up] = [2.0 * h, h, h / 2.0].map(&mut at);
        let [far_down, down, half_down] = [-2.0 * h, -h, -h / 2.0].map(&mut at);
        let four_points = |far: f64, near: f64, h: f64| (8.0 * near - far) / (12.0 * h);
        let coarse = four_points(far_up - far_down, up - down, h);
        let fine = four_points(up - down, half_up - half_down, h / 2.0);
        // h times the second derivative on a smooth loss, hence twice as large with h as with h / 2; a kink's jump is not.
        let bend = |up: f64, down: f64, h: f64| (up - middle + (down - middle)) / h;
        let jump = (2.0 * bend(half_up, half_down, h / 2.0) - bend(up, down, h)).abs();
        let size = [far_up, up, half_up, far_down, down, half_down].iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let noise = 16.0 * f64::EPSILON * size / h;
        let scale = coarse.abs().max(fine.abs()).max(floor);
        // A loss that is not finite has no kink to hide behind: its derivative is reported as it is.
        let smooth = (coarse - fine).abs() <= KINK * scale + noise && jump <= JUMP * scale + noise;
        (smooth || !coarse.is_finite()).then_some(Derivative { value: coarse, noise })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, offset: usize, len: usize) -> Tensor {
        Tensor { name: name.into(), offset, len }
    }

    /// sin(p0) exp(p1) + p2^3 / 100 + tanh(20 p3), at parameters of different sizes.
    fn smooth(p: &[f64]) -> f64 {
        p[0].sin() * p[1].exp() + p[2].powi(3) / 100.0 + (20.0 * p[3]).tanh()
    }

    fn smooth_gradient(p: &[f64]) -> Vec<f64> {
        let t = (20.0 * p[3]).tanh();
        vec![p[0].cos() * p[1].exp(), p[0].sin() * p[1].exp(), 3.0 * p[2] * p[2] / 100.0, 20.0 * (1.0 - t * t)]
    }

    #[test]
    fn a_right_gradient_passes_and_parameters_are_left_alone() {
        let mut p = vec![0.3, -1.2, 50.0, 0.02];
        let gradient = smooth_gradient(&p);
        let tensors = [tensor("a", 0, 2), tensor("b", 2, 2)];
        let checks = check_gradients(&mut p, &gradient, &tensors, Options::default(), smooth);
        assert_eq!(p, [0.3, -1.2, 50.0, 0.02]);
        for check in checks {
            assert_eq!((check.checked, check.skipped), (2, 0), "{check}");
            assert!(check.worst_error < 1e-7, "{check}");
        }
    }

    #[test]
    fn a_gradient_off_by_a_millionth_is_found_and_located() {
        let mut p = vec![0.3, -1.2, 50.0, 0.02];
        let mut gradient = smooth_gradient(&p);
        gradient[1] *= 1.0 + 2e-6;
        let checks = check_gradients(&mut p, &gradient, &[tensor("a", 0, 2)], Options::default(), smooth);
        assert_eq!(checks[0].worst_element, 1, "{}", checks[0]);
        assert!(checks[0].worst_error > 1e-6, "{}", checks[0]);
    }

    #[test]
    fn a_kink_close_by_takes_a_smaller_step_and_one_on_the_spot_is_skipped() {
        let loss = |p: &[f64]| p.iter().map(|x| x.max(0.0) * 3.0 + x).sum::<f64>();
        let mut p = vec![1.0, 0.0, 5e-4, -5e-4, 1e-9];
        let gradient = [4.0, 1.0, 4.0, 1.0, 4.0];
        let checks = check_gradients(&mut p, &gradient, &[tensor("w", 0, 5)], Options::default(), loss);
        assert_eq!((checks[0].checked, checks[0].skipped), (3, 2), "{}", checks[0]);
        assert!(checks[0].worst_error < 1e-7, "{}", checks[0]);
    }

    #[test]
    fn a_wrong_gradient_does_not_pass_for_a_kink() {
        let mut p = vec![0.5; 8];
        let loss = |p: &[f64]| p.iter().map(|x| x * x).sum::<f64>();
        let gradient = vec![-1.0; 8];
        let options = Options { at_most: Some(3), ..Default::default() };
        let checks = check_gradients(&mut p, &gradient, &[tensor("w", 0, 8)], options, loss);
        assert_eq!((checks[0].checked, checks[0].skipped), (3, 0));
        assert!((checks[0].worst_error - 2.0).abs() < 1e-6, "{}", checks[0]);
    }

    #[test]
    fn a_loss_that_is_not_finite_is_an_error() {
        let mut p = vec![0.5];
        let checks = check_gradients(&mut p, &[1.0], &[tensor("w", 0, 1)], Options::default(), |_| f64::NAN);
        assert_eq!(checks[0].worst_error, f64::INFINITY);
    }
}
