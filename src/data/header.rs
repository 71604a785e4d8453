//! Whether the first line of a table names its columns.

/// What a first line was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstLine {
    /// It names the columns.
    Names,
    /// It is an example like the others.
    Example,
}

/// A number of a table; booleans, as pandas writes them, are 0 and 1.
pub(super) fn number(field: &str) -> Option<f64> {
    match field {
        "True" | "true" | "TRUE" => Some(1.0),
        "False" | "false" | "FALSE" => Some(0.0),
        _ => field.parse().ok(),
    }
}

/// What a line with text in it is: with numbers beside, that are not those of their columns, it is no header.
pub(super) fn judge_text<'a>(fields: impl Iterator<Item = &'a str> + Clone) -> Option<FirstLine> {
    // Columns may be named by their numbers, counted with a first one of another name or without it.
    let own = |(column, field): (usize, &str)| {
        let name = number(field);
        name.is_none_or(|name| name == column as f64 || name + 1.0 == column as f64) && !has_comma(field)
    };
    match fields.clone().all(|field| number(field).is_some()) {
        true => None,
        false if fields.enumerate().all(own) => Some(FirstLine::Names),
        false => Some(FirstLine::Example),
    }
}

/// What a line of nothing but numbers is, and whether it might have been the other: `0,1,2,…` and `1,2,3,…` are the names
/// that pandas and others give to columns without any. `second` are the values of the next line; `bare` tells whether any
/// value of the lines below is written as an integer.
pub(super) fn judge_numbers(first: &[String], second: Option<&[f64]>, bare: bool) -> (FirstLine, bool) {
    /// So many numbers do not count up by chance.
    const MANY: usize = 4;
    let whole: Option<Vec<f64>> = first.iter().map(|field| is_bare(field).then(|| number(field)).flatten()).collect();
    let Some(whole) = whole.filter(|whole| whole.len() > 1 && in_steps(whole)) else {
        return (FirstLine::Example, false);
    };
    let counts = (whole[0] == 0.0 || whole[0] == 1.0) && whole[1] - whole[0] == 1.0;
    let many = whole.len() >= MANY;
    // In a table of sequences the first is no exception.
    let alike = second.is_none_or(in_steps);
    let names = counts && second.is_some() && if many { !alike } else { !bare };
    match names {
        true => (FirstLine::Names, true),
        false => (FirstLine::Example, counts || many && !alike),
    }
}

/// Whether a field is written as an integer.
pub(super) fn is_bare(field: &str) -> bool {
    !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a field is a number written with a comma, be it for the point or between thousands.
pub(super) fn has_comma(field: &str) -> bool {
    let parts = field.trim_start_matches(['+', '-']).split_once(',');
    parts.is_some_and(|(whole, rest)| is_bare(whole) && is_bare(rest))
}

/// Whether values go up or down in equal steps.
fn in_steps(values: &[f64]) -> bool {
    let [first, second, ..] = values else { return false };
    let step = second - first;
    step != 0.0 && values.windows(2).all(|pair| pair[1] - pair[0] == step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(first: &str, second: &str, bare: bool) -> (FirstLine, bool) {
        let first: Vec<String> = first.split(',').map(str::to_owned).collect();
        let second: Option<Vec<f64>> =
            (!second.is_empty()).then(|| second.split(',').map(|field| field.parse().unwrap()).collect());
        judge_numbers(&first, second.as_deref(), bare)
    }

    #[test]
    fn numbers_that_count_the_columns_name_them() {
        use FirstLine::{Example, Names};
        for (first, second, bare, reading, doubtful) in [
            ("0,1,2,3,4", "5.1,3.5,1.4,0.2,0", true, Names, true),
            ("1,2,3,4", "0,0,7,255", true, Names, true),
            // A table of sequences, and one with a single line.
            ("0,1,2,3,4", "1,2,3,4,5", true, Example, true),
            ("1,2,3,4", "2,4,6,8", true, Example, true),
            ("0,1,2,3", "", false, Example, true),
            // Of few columns only if integers are written like no other value.
            ("0,1", "0.5,2.25", false, Names, true),
            ("0,1", "1,0", true, Example, true),
            ("0,1,2", "5.1,0.2,1", true, Example, true),
            // Numbers that mean something else.
            ("0.0,1.0,2.0,3.0", "5,6,8,9", true, Example, false),
            ("5,3,1,4", "1,2,9,4", true, Example, false),
            ("400,402,404,406", "0.5,0.25,0.5,0.7", false, Example, true),
            ("3,4", "0.5,0.25", false, Example, false),
            ("0", "1", true, Example, false),
        ] {
            assert_eq!(numbers(first, second, bare), (reading, doubtful), "{first}");
        }
    }

    #[test]
    fn text_names_columns_unless_numbers_stand_beside_it() {
        let of = |line: &str| judge_text(line.split(','));
        for line in ["a,b,c", "label,0,1", "0,1,c", ",1,2", "label,1,2"] {
            assert_eq!(of(line), Some(FirstLine::Names), "{line}");
        }
        for line in ["5.1,3.5,", "5,3,na", "5.1,3.5,setosa"] {
            assert_eq!(of(line), Some(FirstLine::Example), "{line}");
        }
        assert_eq!(judge_text(["1,5", "2,5"].into_iter()), Some(FirstLine::Example));
        assert_eq!((of("1,2"), of("True,5")), (None, None));
    }
}
