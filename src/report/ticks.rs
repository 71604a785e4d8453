//! Where an axis has its marks, and what they say.

/// The values an axis covers and the marks on it, in the axis' own scale: logarithms to base ten on a logarithmic axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<f64>,
    log: bool,
    /// The distance of the ticks of a linear axis, which decides their decimals.
    step: f64,
}

/// What an axis wants of its scale.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish {
    /// Logarithmic.
    pub log: bool,
    /// Reach a little beyond the values, and take zero in when it is near.
    pub room: bool,
    /// The values are counted, such as epochs: no ticks between whole numbers.
    pub whole: bool,
    /// About how many ticks.
    pub ticks: usize,
}

impl Scale {
    /// A scale for finite values that lie between `low` and `high`; the other way round, there are no values.
    pub(super) fn new(low: f64, high: f64, wish: Wish) -> Scale {
        if wish.log {
            return Scale::logarithmic(low, high, wish.room);
        }
        let (mut low, mut high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if high - low <= 1e-12 * high.abs().max(low.abs()) {
            let pad = if high == 0.0 || wish.whole { 1.0 } else { high.abs() * 0.1 };
            (low, high) = (low - pad, high + pad);
        } else if wish.room {
            let pad = (high - low) * 0.05;
            let reaches_zero = low >= 0.0 && low <= 0.35 * (high - low);
            low = if reaches_zero { 0.0 } else { low - pad };
            high += pad;
        }
        let step = nice_step((high - low) / wish.ticks.max(1) as f64);
        let step = if wish.whole { step.max(1.0) } else { step };
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|index| index as f64 * step).collect();
        Scale { low, high, ticks, log: false, step }
    }

    fn logarithmic(low: f64, high: f64, room: bool) -> Scale {
        let (mut low, mut high) = if low > 0.0 && low <= high { (low.log10(), high.log10()) } else { (-1.0, 0.0) };
        if high - low < 1e-9 {
            (low, high) = (low - 0.5, high + 0.5);
        } else if room {
            let pad = (high - low) * 0.05;
            (low, high) = (low - pad, high + pad);
        }
        let decades = high - low;
        let within: &[f64] = match decades {
            d if d < 1.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            d if d < 3.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let every = (decades / 8.0).ceil().max(1.0) as i32;
        let mut ticks = Vec::new();
        for exponent in low.floor() as i32..=high.ceil() as i32 {
            if exponent.rem_euclid(every) == 0 {
                ticks.extend(within.iter().map(|factor| factor.log10() + f64::from(exponent)));
            }
        }
        ticks.retain(|tick| (low - 1e-9..=high + 1e-9).contains(tick));
        Scale { low, high, ticks, log: true, step: 1.0 }
    }

    /// Where a value lies on the scale; none for what the axis cannot show.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let placed = if self.log { value.log10() } else { value };
        placed.is_finite().then_some(placed)
    }

    /// What the tick at a place says.
    pub(super) fn label(&self, tick: f64) -> String {
        if self.log {
            return short_number(10f64.powf(tick));
        }
        // The index of the tick gets rid of the rounding error of its value.
        let value = (tick / self.step).round() * self.step;
        if value != 0.0 && (value.abs() >= 1e7 || self.step < 1e-5) {
            return exponent_form(value);
        }
        let decimals = (-(self.step.log10() + 1e-9).floor()).max(0.0) as usize;
        signed(&grouped(value.abs(), decimals), value)
    }
}

/// The nearest of 1, 2, 5 times a power of ten that is not below `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// A count for people: all of its digits.
pub(crate) fn count(number: u64) -> String {
    grouped(number as f64, 0)
}

/// A number for people: about four digits, no trailing zeros.
pub(crate) fn short_number(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return if value == 0.0 { "0".to_string() } else { "–".to_string() };
    }
    let size = value.abs();
    if !(1e-4..1e7).contains(&size) {
        return exponent_form(value);
    }
    let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
    let text = grouped(size, decimals);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    signed(text, value)
}

fn exponent_form(value: f64) -> String {
    let text = format!("{:.3e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    signed(&format!("{mantissa}e{exponent}"), value)
}

fn signed(size: &str, value: f64) -> String {
    // A true minus sign, as long as the plus of the same font.
    let zero = size.chars().all(|character| matches!(character, '0' | '.'));
    if value < 0.0 && !zero { format!("−{size}") } else { size.to_string() }
}

/// Digits with commas between the thousands.
fn grouped(size: f64, decimals: usize) -> String {
    let text = format!("{size:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks.iter().map(|&tick| scale.label(tick)).collect()
    }

    #[test]
    fn linear_ticks_are_round_numbers_inside_the_range() {
        let scale = Scale::new(0.0, 50.0, Wish { ticks: 6, ..Wish::default() });
        assert_eq!(labels(&scale), ["0", "10", "20", "30", "40", "50"]);
        let scale = Scale::new(0.0, 6000.0, Wish { ticks: 6, ..Wish::default() });
        assert_eq!(labels(&scale), ["0", "1,000", "2,000", "3,000", "4,000", "5,000", "6,000"]);
        let scale = Scale::new(-0.02, 0.03, Wish { ticks: 5, ..Wish::default() });
        assert_eq!(labels(&scale), ["−0.02", "−0.01", "0.00", "0.01", "0.02", "0.03"]);
    }

    #[test]
    fn an_axis_with_room_takes_zero_in_when_it_is_near() {
        assert_eq!(Scale::new(0.1, 2.3, Wish { room: true, ticks: 5, ..Wish::default() }).low, 0.0);
        let scale = Scale::new(90.0, 98.0, Wish { room: true, ticks: 5, ..Wish::default() });
        assert!((scale.low - 89.6).abs() < 1e-9 && (scale.high - 98.4).abs() < 1e-9);
    }

    #[test]
    fn constant_and_missing_values_still_get_an_axis() {
        for scale in [
            Scale::new(0.5, 0.5, Wish { room: true, ticks: 5, ..Wish::default() }),
            Scale::new(0.0, 0.0, Wish { room: true, ticks: 5, ..Wish::default() }),
            Scale::new(f64::INFINITY, f64::NEG_INFINITY, Wish { room: true, ticks: 5, ..Wish::default() }),
            Scale::new(3.0, 3.0, Wish { log: true, room: true, ticks: 5, ..Wish::default() }),
            Scale::new(f64::INFINITY, f64::NEG_INFINITY, Wish { log: true, room: true, ticks: 5, ..Wish::default() }),
        ] {
            assert!(scale.low < scale.high, "{scale:?}");
            assert!(!scale.ticks.is_empty(), "{scale:?}");
        }
    }

    #[test]
    fn counted_values_have_no_ticks_between_whole_numbers() {
        let wish = Wish { whole: true, ticks: 6, ..Wish::default() };
        assert_eq!(labels(&Scale::new(1.0, 3.0, wish)), ["1", "2", "3"]);
        assert_eq!(labels(&Scale::new(4.0, 4.0, wish)), ["3", "4", "5"]);
    }

    #[test]
    fn logarithmic_ticks() {
        let scale = Scale::new(0.0001, 10.0, Wish { log: true, ticks: 5, ..Wish::default() });
        assert_eq!(labels(&scale), ["0.0001", "0.001", "0.01", "0.1", "1", "10"]);
        let scale = Scale::new(0.1, 2.0, Wish { log: true, ticks: 5, ..Wish::default() });
        assert_eq!(labels(&scale), ["0.1", "0.2", "0.5", "1", "2"]);
        assert_eq!(scale.place(0.0), None);
        assert_eq!(scale.place(-1.0), None);
        assert_eq!(scale.place(100.0), Some(2.0));
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(short_number(0.0), "0");
        assert_eq!(short_number(0.97536), "0.9754");
        assert_eq!(short_number(109386.0), "109,386");
        assert_eq!([count(0), count(650), count(11_689_512)], ["0", "650", "11,689,512"]);
        assert_eq!(short_number(-12.5), "−12.5");
        assert_eq!(short_number(1e-5), "1e-5");
        assert_eq!(short_number(f64::NAN), "–");
    }
}
