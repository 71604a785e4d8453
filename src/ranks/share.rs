//! Which rows of a batch a rank takes.

use super::RankError;
use std::ops::Range;

/// A part costs about as much as so many rows more than it has: its launches.
const PART_ROWS: usize = 8;

/// How ranks share a batch: it is cut into parts of one size, and each rank takes some that follow each other. A part is to a rank
/// what a batch is to `train.accumulate`: its gradient counts by its share of the step's rows, so that the sum over all
/// parts of all ranks is that of the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Rows of a part.
    pub rows: usize,
    /// Parts of a batch.
    pub parts: usize,
    /// Those that this rank takes.
    own: Range<usize>,
}

impl Share {
    /// The share of a rank among `ranks` of each batch of `batch` rows. Where such a batch is all that there is (`is_all`), it
    /// may be cut anywhere; else every batch begins with a part, so that its rows are a multiple of a part's.
    pub fn of(batch: usize, is_all: bool, rank: usize, ranks: usize) -> Result<Share, RankError> {
        if batch < ranks {
            return Err(RankError::TooMany { batch, ranks });
        }
        let parts = if is_all {
            ranks
        } else {
            let cost = |parts: &usize| parts.div_ceil(ranks) * (batch / parts + PART_ROWS);
            let divisors = (ranks..=batch).filter(|parts| batch.is_multiple_of(*parts));
            divisors.min_by_key(cost).unwrap_or(batch)
        };
        let own = rank * parts / ranks..(rank + 1) * parts / ranks;
        Ok(Share { rows: batch.div_ceil(parts), parts, own })
    }

    /// Whether this rank takes the first rows of a batch.
    pub(crate) fn is_first(&self) -> bool {
        self.own.start == 0
    }

    /// The parts that this rank takes of a batch that begins with part `first` of an epoch of so many. At least one: where
    /// the batch is short it may have no rows.
    pub(crate) fn of_batch(&self, first: usize, in_epoch: usize) -> Range<usize> {
        let start = first + self.own.start;
        start..(first + self.own.end).min(in_epoch).max(start + 1)
    }

    /// The rows of each part of a batch that begins with part `first`, in an epoch of so many examples.
    pub(crate) fn rows_of_parts(&self, first: usize, examples: usize) -> Vec<usize> {
        let rows = |part: usize| examples.saturating_sub(part * self.rows).min(self.rows);
        (first..first + self.parts).map(rows).collect()
    }

    /// What there is to know of how so many ranks share a batch, in words.
    pub fn in_words(&self, batch: usize, ranks: usize) -> String {
        let most = self.parts.div_ceil(ranks);
        let rows = (most * self.rows).min(batch);
        let plural = if most == 1 { "" } else { "s" };
        let shared =
            format!("{ranks} ranks share each batch of {batch}: at most {rows} rows each, in {most} part{plural}");
        if most * (self.rows + PART_ROWS) <= 3 * (batch.div_ceil(ranks) + PART_ROWS) / 2 {
            return shared;
        }
        let better = batch.next_multiple_of(ranks);
        format!(
            "{shared}. That is slow: a multiple of {ranks} as train.batch, such as {better}, would give each {} rows at once",
            better / ranks
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_a_batch_is_taken_by_one_rank() {
        for (batch, ranks) in [(128, 1), (128, 2), (128, 3), (100, 3), (7, 7), (7, 2), (12, 5), (1, 1), (60, 7)] {
            for is_all in [false, true] {
                let shares: Vec<Share> =
                    (0..ranks).map(|rank| Share::of(batch, is_all, rank, ranks).unwrap()).collect();
                let Share { rows, parts, .. } = shares[0];
                assert!(rows * parts >= batch && (is_all || rows * parts == batch), "{batch} among {ranks}");
                let mut next = 0;
                for share in &shares {
                    assert_eq!((share.rows, share.parts), (rows, parts));
                    assert_eq!(share.own.start, next);
                    assert!(!share.own.is_empty());
                    next = share.own.end;
                }
                assert_eq!(next, parts);
            }
        }
    }

    #[test]
    fn parts_are_as_large_as_they_can_be_without_leaving_ranks_idle() {
        let share = |batch, ranks| Share::of(batch, false, 0, ranks).map(|share| (share.rows, share.parts));
        assert_eq!(share(128, 2), Ok((64, 2)));
        assert_eq!(share(128, 4), Ok((32, 4)));
        // Three of them have 3, 3 and 2 of these.
        assert_eq!(share(128, 3), Ok((16, 8)));
        assert_eq!(share(127, 2), Ok((1, 127)));
        assert_eq!(share(3, 4), Err(RankError::TooMany { batch: 3, ranks: 4 }));
        // The whole set in one step is cut anywhere.
        assert_eq!(Share::of(127, true, 1, 2), Ok(Share { rows: 64, parts: 2, own: 1..2 }));
    }

    #[test]
    fn a_short_batch_leaves_a_part_without_rows_to_who_has_none() {
        let shares = [0, 1, 2].map(|rank| Share::of(12, false, rank, 3).unwrap());
        assert_eq!(shares.clone().map(|share| share.of_batch(3, 9)), [3..4, 4..5, 5..6]);
        // An epoch of 7 parts: of the last batch there is one.
        assert_eq!(shares.map(|share| share.of_batch(6, 7)), [6..7, 7..8, 8..9]);
        let whole = Share::of(12, false, 0, 3).unwrap();
        assert_eq!([whole.rows_of_parts(3, 27), whole.rows_of_parts(6, 27)], [vec![4, 4, 4], vec![3, 0, 0]]);
        let uneven = [0, 1].map(|rank| Share::of(9, false, rank, 2).unwrap());
        assert_eq!((uneven[0].rows, uneven[0].parts), (3, 3));
        assert_eq!(uneven.clone().map(|share| share.of_batch(0, 9)), [0..1, 1..3]);
        assert_eq!(uneven.map(|share| share.of_batch(6, 8)), [6..7, 7..8]);
    }

    #[test]
    fn shares_that_waste_time_are_told() {
        let told = |batch, ranks| Share::of(batch, false, 0, ranks).unwrap().in_words(batch, ranks);
        assert_eq!(told(128, 2), "2 ranks share each batch of 128: at most 64 rows each, in 1 part");
        assert_eq!(told(128, 3), "3 ranks share each batch of 128: at most 48 rows each, in 3 parts");
        assert!(told(127, 2).ends_with("such as 128, would give each 64 rows at once"), "{}", told(127, 2));
    }
}
