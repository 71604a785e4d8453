//! The values of a column, one for each row: in memory or, of a large table, in files without a name.

use std::borrow::Cow;
use std::collections::TryReserveError;
use std::ops::Range;

use bytemuck::Pod;

use super::Values;
use crate::data::numbers::{Access, Numbers, is_large};

/// Values of rows, part behind part.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Parts<T: Pod> {
    /// Parts in files, each with the number of its first row.
    kept: Vec<(usize, Numbers<T>)>,
    /// The rows behind them.
    last: Vec<T>,
}

impl<T: Pod> Parts<T> {
    /// So many rows of one value.
    pub(super) fn of(value: T, rows: usize) -> Parts<T> {
        Parts { kept: Vec::new(), last: vec![value; rows] }
    }

    pub(super) fn push(&mut self, value: T) {
        self.last.push(value);
    }

    /// Adds the rows of `more`, which are changed so.
    pub(super) fn append(&mut self, more: Parts<T>, change: impl Fn(T) -> T) -> Result<(), TryReserveError> {
        self.last.try_reserve(more.len())?;
        self.last.extend(more.iter().map(change));
        Ok(())
    }

    /// The number of the first row that is in no file.
    fn first(&self) -> usize {
        self.kept.last().map_or(0, |(first, values)| first + values.len())
    }

    /// Number of rows.
    pub(in crate::data) fn len(&self) -> usize {
        self.first() + self.last.len()
    }

    pub(in crate::data) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.kept.iter().flat_map(|(_, values)| values.iter()).chain(&self.last).copied()
    }

    /// Tells the system how some rows are about to be read, where they lie in files.
    pub(in crate::data) fn expect(&self, rows: Range<usize>, access: Access) {
        for (first, values) in &self.kept {
            let [from, to] = [rows.start, rows.end].map(|row| row.clamp(*first, first + values.len()) - first);
            if from < to {
                values.expect(from..to, access);
            }
        }
    }

    /// The values of some rows, which must be there.
    pub(in crate::data) fn rows(&self, rows: Range<usize>) -> Cow<'_, [T]> {
        let from = self.kept.partition_point(|(first, values)| first + values.len() <= rows.start);
        let parts = self.kept[from..].iter().map(|(first, values)| (*first, &values[..]));
        let within = |(first, values): (usize, &'_ [T])| {
            rows.start.max(first) - first..rows.end.min(first + values.len()).saturating_sub(first)
        };
        let mut found = Cow::Borrowed(&[][..]);
        for (first, values) in parts.chain([(self.first(), &self.last[..])]) {
            if first >= rows.end {
                break;
            }
            let more = &values[within((first, values))];
            match found.is_empty() {
                true => found = Cow::Borrowed(more),
                false => found.to_mut().extend_from_slice(more),
            }
        }
        found
    }
}

/// Moves the values of a table's columns to files without a name, as they come to be many. Where no such file can be written they stay
/// in memory.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    fails: bool,
}

impl Keeper {
    /// Moves what is in memory of these columns, all of one table, if it is much.
    pub(super) fn keep<'a>(&mut self, columns: impl Iterator<Item = &'a mut Values>) {
        let (mut numbers, mut codes) = (Vec::new(), Vec::new());
        for values in columns {
            numbers.extend(values.numbers.as_mut());
            codes.extend(values.codes.as_mut());
        }
        let bytes = size_of_lasts(&numbers) + size_of_lasts(&codes);
        if self.fails || !is_large(bytes as u64) {
            return;
        }
        // The wider ones first: each then lies as memory has it.
        let file = Numbers::in_file(bytes, |write| {
            numbers.iter().try_for_each(|parts| write(bytemuck::cast_slice(&parts.last)))?;
            codes.iter().try_for_each(|parts| write(bytemuck::cast_slice(&parts.last)))
        });
        match file {
            Ok(Some(file)) => {
                let at = move_to(&file, 0, numbers);
                move_to(&file, at, codes);
            }
            _ => self.fails = true,
        }
    }
}

fn size_of_lasts<T: Pod>(columns: &[&mut Parts<T>]) -> usize {
    columns.iter().map(|parts| size_of_val(&parts.last[..])).sum()
}

/// Takes the columns' last parts, which were written one behind the other, out of the file from byte `at` on. Gives where they end.
fn move_to<T: Pod>(file: &Numbers<u8>, mut at: usize, columns: Vec<&mut Parts<T>>) -> usize {
    for parts in columns.into_iter().filter(|parts| !parts.last.is_empty()) {
        let end = at + size_of_val(&parts.last[..]);
        if let Some(values) = file.view(at..end) {
            parts.kept.push((parts.first(), values));
            parts.last = Vec::new();
        }
        at = end;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::numbers::with_large_from;

    #[test]
    fn rows_are_found_in_whatever_part_they_lie() {
        let mut columns = [Values::default(), Values::default(), Values::default()];
        columns[0].numbers = Some(Parts::default());
        columns[2].codes = Some(Parts::default());
        let mut keeper = Keeper::default();
        let mut count = 0;
        for rows in [3, 1, 0, 4, 2] {
            for row in count..count + rows {
                columns[0].numbers.as_mut().unwrap().push(row as f64);
                columns[2].codes.as_mut().unwrap().push(row as u32);
            }
            count += rows;
            // One column begins late, with rows that were missing.
            if count == 4 {
                columns[1].codes = Some(Parts::of(7, count));
            } else if let Some(codes) = &mut columns[1].codes {
                (0..rows).for_each(|_| codes.push(7));
            }
            // The last rows stay in memory.
            with_large_from(if count < 10 { 1 } else { 1 << 20 }, || keeper.keep(columns.iter_mut()));
        }
        let numbers = columns[0].numbers.as_ref().unwrap();
        let [late, codes] = [&columns[1], &columns[2]].map(|values| values.codes.as_ref().unwrap());
        assert_eq!((numbers.kept.len(), numbers.last.len(), late.kept.len(), codes.kept.len()), (3, 2, 2, 3));
        assert_eq!((numbers.len(), late.len(), codes.len()), (10, 10, 10));
        assert!(numbers.iter().eq((0..10).map(f64::from)) && codes.iter().eq(0..10) && late.iter().eq([7; 10]));
        for from in 0..10 {
            for to in from..=10 {
                assert!(numbers.rows(from..to).iter().copied().eq((from..to).map(|row| row as f64)), "{from} to {to}");
                assert!(codes.rows(from..to).iter().copied().eq(from as u32..to as u32), "{from} to {to}");
                assert_eq!(late.rows(from..to).len(), to - from);
            }
        }
    }
}
