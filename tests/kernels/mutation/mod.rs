//! Broken shaders: small changes to a shader's text that must not go unnoticed.

mod unnoticed;

pub use unnoticed::{UNNOTICED, Unnoticed};

/// One broken shader.
pub struct Mutant {
    /// What was done, such as `<` to `<=`.
    pub rule: String,
    /// The line before.
    pub line: String,
    /// The lines before and behind it.
    pub around: [String; 2],
    /// The whole shader.
    pub text: String,
}

/// Textual changes, each tried at every place where it fits.
const REPLACEMENTS: &[(&str, &str)] = &[
    (" < ", " <= "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" == ", " != "),
    (" != ", " == "),
    (" && ", " || "),
    (" || ", " && "),
    (" + ", " - "),
    (" - ", " + "),
    (" * ", " + "),
    (" / ", " * "),
    (" % ", " / "),
    (" += ", " -= "),
    (" -= ", " += "),
    (" *= ", " = "),
    ("0u", "1u"),
    ("1u", "2u"),
    ("0.0", "1.0"),
    ("1.0", "2.0"),
    ("max(", "min("),
    ("min(", "max("),
    ("group.x", "group.y"),
    ("group.y", "group.x"),
    ("group.z", "group.x"),
    ("true", "false"),
    ("false", "true"),
];

/// Every mutant of a shader's text, but for functions that nothing calls. Loop headers keep what makes them end.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let lines: Vec<&str> = text.lines().collect();
    let used = used_lines(&lines);
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        if !used[index] {
            continue;
        }
        let changes = changes(code);
        for (number, (rule, replaced)) in changes.iter().enumerate() {
            let mut text = lines.clone();
            text[index] = replaced;
            let around = [index.wrapping_sub(1), index + 1].map(|i| trimmed(lines.get(i).copied().unwrap_or("")));
            // A later place in the line where the rule fits has its number.
            let place = changes[..number].iter().filter(|(other, _)| other == rule).count();
            let rule = if place == 0 { rule.clone() } else { format!("{rule} {place}") };
            found.push(Mutant { rule, line: trimmed(line), around, text: text.join("\n") });
        }
    }
    found
}

/// For each line, whether `main` reaches it. Functions start with `fn NAME(` and end with `}`, both at a line's start.
fn used_lines(lines: &[&str]) -> Vec<bool> {
    let mut functions = Vec::new();
    let mut start = None;
    for (index, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("fn ") {
            start = rest.split('(').next().map(|name| (name, index));
        } else if *line == "}"
            && let Some((name, first)) = start.take()
        {
            functions.push((name, first..=index));
        }
    }
    let mut reached = vec!["main"];
    let mut next = 0;
    while next < reached.len() {
        let body =
            functions.iter().filter(|(name, _)| *name == reached[next]).flat_map(|(_, range)| &lines[range.clone()]);
        let words = body.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        let called: Vec<&str> = words.filter(|word| functions.iter().any(|(name, _)| name == word)).collect();
        for name in called {
            if !reached.contains(&name) {
                reached.push(name);
            }
        }
        next += 1;
    }
    let dead = |index| functions.iter().any(|(name, range)| range.contains(&index) && !reached.contains(name));
    (0..lines.len()).map(|index| !dead(index)).collect()
}

/// A line without indentation and comment.
pub fn trimmed(line: &str) -> String {
    line.split("//").next().unwrap_or("").trim().to_string()
}

/// The changes to one line: (what, the line after).
fn changes(code: &str) -> Vec<(String, String)> {
    let statement = code.trim();
    if !code.starts_with("    ") {
        return constant(code).into_iter().collect();
    }
    // Struct fields, declarations of functions over several lines, brackets, labels.
    if statement.is_empty() || !statement.contains([';', '{']) || statement.starts_with('@') {
        return Vec::new();
    }
    let mut changes: Vec<_> = REPLACEMENTS.iter().flat_map(|rule| replacements(code, *rule)).collect();
    let is_assignment = [" = ", " += ", " -= ", " *= ", "++"].iter().any(|op| statement.contains(op));
    let declares = ["let ", "var ", "for ", "if ", "} else if "].iter().any(|word| statement.starts_with(word));
    if statement.ends_with(';') && is_assignment && !declares {
        changes.push(("statement dropped".into(), String::new()));
    }
    if let Some(rest) = statement.strip_prefix("if ")
        && rest.ends_with('{')
    {
        changes.push(("guard dropped".into(), format!("if true || ({}) {{", rest.trim_end_matches('{'))));
    }
    changes
}

/// Float constants at the top of the file take another value.
fn constant(code: &str) -> Option<(String, String)> {
    let (name, value) = code.strip_prefix("const ")?.split_once(" = ")?;
    let value = value.trim_end().strip_suffix(';')?;
    let is_float = name.ends_with("f32") || value.parse::<f32>().is_ok() && value.contains('.');
    is_float.then(|| ("another value".into(), format!("const {name} = ({value}) * 1.25 + 0.001;")))
}

fn replacements<'a>(code: &'a str, (from, to): (&'a str, &'a str)) -> impl Iterator<Item = (String, String)> + 'a {
    let is_loop = code.trim().starts_with("for ");
    code.match_indices(from).filter_map(move |(at, _)| {
        let (before, after) = (&code[..at], &code[at + from.len()..]);
        // Part of a longer number or name.
        let cut = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
        let joined =
            !from.starts_with(' ') && (before.ends_with(cut) || (!from.ends_with('(') && after.starts_with(cut)));
        // x + 0 is x - 0.
        let zero = ["LEARNING_RATE", "LOSS_SUM", "STEP]"].iter().any(|slot| after.starts_with(slot));
        let nothing = from == " + " && zero;
        // A loop's first value and its bound may change; not the comparison's kind against 0, nor the step.
        let endless = is_loop && (before.matches(';').count() == 2 || from == " > " || code[at..].starts_with("0u; s"));
        (!(joined || endless || nothing))
            .then(|| (format!("`{}` to `{}`", from.trim(), to.trim()), format!("{before}{to}{after}")))
    })
}
