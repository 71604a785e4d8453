//! Tables of text for people.

/// Lines of a table under a header: columns of numbers to the right, the others to the left.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|name| name.to_string()).collect();
    let columns = header.len();
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let is_number = |text: &str| text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit() || "-–".contains(c));
    let numeric: Vec<bool> = (0..columns).map(|c| rows.iter().all(|row| is_number(&cell(row, c)))).collect();
    let lines: Vec<&[String]> = std::iter::once(&*header).chain(rows.iter().map(|row| &**row)).collect();
    let width = |c: usize| lines.iter().map(|line| cell(line, c).chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let write = |line: &&[String]| {
        let cells = (0..columns).map(|c| {
            let (text, width) = (cell(line, c), widths[c]);
            if numeric[c] { format!("{text:>width$}") } else { format!("{text:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    lines.iter().map(write).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn numbers_stand_on_the_right() {
        let rows = [vec!["a".to_string(), "5".to_string()], vec!["long".to_string(), "1234".to_string()]];
        assert_eq!(table(&["name", "count"], &rows), "name  count\na         5\nlong   1234");
    }
}
