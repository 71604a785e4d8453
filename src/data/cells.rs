//! What a table's cells stand for.

use std::collections::HashMap;

use super::header::{has_comma, is_bare};

/// What stands for a value that is not there, as pandas and others write it.
const MISSING: [&str; 18] = [
    "", "NA", "N/A", "n/a", "na", "NaN", "nan", "-nan", "NAN", "NULL", "Null", "null", "None", "<NA>", "#N/A", "?",
    "-", ".",
];

/// The words of two levels that are no text.
const BOOLEANS: [&str; 6] = ["True", "true", "TRUE", "False", "false", "FALSE"];

/// Whether a cell stands for a value that is not there.
pub(super) fn is_missing(cell: &str) -> bool {
    cell.len() <= 4 && MISSING.contains(&cell)
}

/// What stands for a missing value, in words.
pub(super) fn missing_words() -> String {
    format!("an empty cell, {}", MISSING[1..].join(", "))
}

/// Whether a cell is true or false.
pub(super) fn is_boolean(cell: &str) -> bool {
    BOOLEANS.contains(&cell)
}

/// 1 for true, 0 for false.
pub(super) fn boolean(cell: &str) -> Option<f64> {
    BOOLEANS.iter().position(|word| *word == cell).map(|place| if place < 3 { 1.0 } else { 0.0 })
}

/// A number, and whether its point is a comma.
pub(super) fn number(cell: &str, commas: bool) -> Option<(f64, bool)> {
    // What Rust reads as a number too: words.
    let is_word = |cell: &str| cell.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_alphabetic());
    match cell.parse::<f64>() {
        Ok(value) if !is_word(cell) || is_infinity(cell) => Some((value, false)),
        _ if commas && has_comma(cell) => cell.replacen(',', ".", 1).parse().ok().map(|value| (value, true)),
        _ => None,
    }
}

fn is_infinity(cell: &str) -> bool {
    let word = cell.trim_start_matches(['+', '-']);
    word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("infinity")
}

/// Where each of some texts, levels of a category or names of classes, lies among those that are known. One that is not spelled as any of
/// them is the one that says the same: 1950.0 is 1950, and 1 or true is True.
pub(super) fn places(known: &[String], found: &[String]) -> Vec<Option<usize>> {
    let number = |text: &str| number(text, false).map(|(number, _)| number);
    let is_bit = |text: &String| boolean(text).or(number(text)).is_some_and(|bit| bit == 0.0 || bit == 1.0);
    let bits = known.iter().all(is_bit);
    // A negative zero is zero.
    let says = |text: &str| number(text).or(boolean(text).filter(|_| bits)).map(|number| (number + 0.0).to_bits());
    let places = || known.iter().enumerate();
    let by_spelling: HashMap<&String, usize> = places().map(|(place, text)| (text, place)).collect();
    let by_value: HashMap<u64, usize> = places().rev().filter_map(|(place, text)| Some((says(text)?, place))).collect();
    found.iter().map(|text| by_spelling.get(text).or_else(|| by_value.get(&says(text)?)).copied()).collect()
}

/// Whether a cell is a date, a time of day, or both.
pub(super) fn is_date(cell: &str) -> bool {
    let (date, time) = match cell.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (cell, None),
    };
    let is_time = |text: &str| {
        let text = text.trim_end_matches('Z');
        let text = text.split(['.', '+', ' ']).next().unwrap_or_default();
        let parts: Vec<&str> = text.split(':').collect();
        (2..=3).contains(&parts.len()) && parts.iter().all(|part| is_bare(part) && part.len() <= 2)
    };
    let is_day = |text: &str| {
        ['-', '/', '.'].iter().any(|separator| {
            let parts: Vec<&str> = text.split(*separator).collect();
            let [first, second, third] = parts[..] else { return false };
            let short = |part: &str| is_bare(part) && part.len() <= 2;
            let year = |part: &str| is_bare(part) && part.len() == 4;
            let named = |part: &str| part.len() >= 3 && part.chars().all(char::is_alphabetic) && *separator != '.';
            year(first) && short(second) && short(third)
                || (short(first) && (short(second) || named(second)) && (year(third) || short(third)))
        })
    };
    is_day(date) && time.is_none_or(is_time) || time.is_none() && is_time(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_told_apart() {
        for date in [
            "2024-01-31",
            "2024-1-3 12:30",
            "2024-01-31T12:30:05Z",
            "2024-01-31T12:30:05.123+01:00",
            "31.01.2024",
            "1/31/24",
            "31-Jan-2024",
            "12:30",
            "12:30:59",
        ] {
            assert!(is_date(date), "{date}");
        }
        for other in ["setosa", "1-2", "192.168.0.1", "a-b-c", "A1-2-3", "10.5", "", "2024", "1.2.3.4", "x:y"] {
            assert!(!is_date(other), "{other}");
        }
        assert_eq!(number("1e3", false), Some((1000.0, false)));
        assert_eq!((number("-1,5", true), number("-1,5", false)), (Some((-1.5, true)), None));
        assert_eq!((number("nan", true), number("infant", true), number("1.234,5", true)), (None, None, None));
        assert!(number("-inf", false).unwrap().0.is_infinite());
        assert!(is_missing("") && is_missing("<NA>") && !is_missing("0") && !is_missing("none of these"));
        let places = |known: [&str; 2], found: [&str; 4]| places(&known.map(str::to_owned), &found.map(str::to_owned));
        assert_eq!(places(["1950", "01"], ["1950.0", "1", "01", "True"]), [Some(0), Some(1), Some(1), None]);
        assert_eq!(places(["False", "True"], ["true", "0", "1.0", "yes"]), [Some(1), Some(0), Some(1), None]);
        assert_eq!(places(["0", "1"], ["False", "TRUE", "2", "-0"]), [Some(0), Some(1), None, Some(0)]);
        assert_eq!((boolean("TRUE"), boolean("False"), boolean("yes")), (Some(1.0), Some(0.0), None));
        assert!(missing_words().starts_with("an empty cell, NA,"));
    }
}
