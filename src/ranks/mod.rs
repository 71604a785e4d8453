//! Ranks: processes, or threads of one, that train one model together, or share the runs of a sweep. What they tell each
//! other, and which rows of a batch each takes. A program on its own has none of it.

mod launcher;
#[cfg(feature = "mpi")]
mod mpi;
mod share;
mod threads;

pub use launcher::{Launch, join, local_rank};
pub use share::Share;
pub use threads::Threads;

use std::fmt::Debug;

/// What ranks tell each other. All of them must make the same calls in the same order; each call waits for the others.
pub trait Exchange: Debug + Send + Sync {
    /// The number of this rank, from 0. Rank 0 alone prints and writes.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn size(&self) -> usize;

    /// The words of all ranks, in their order. Each gives as many.
    fn gather(&self, words: &[u32]) -> Result<Vec<u32>, RankError>;

    /// Replaces values by their sums over all ranks, which are added up in the order of the ranks in double precision: all ranks
    /// get the same bits, and so does another run of as many.
    fn sum(&self, values: &mut [f32]) -> Result<(), RankError> {
        let all = self.gather(bytemuck::cast_slice(values))?;
        let len = values.len();
        for (at, value) in values.iter_mut().enumerate() {
            *value = sum(all.iter().skip(at).step_by(len).map(|word| f32::from_bits(*word)));
        }
        Ok(())
    }

    /// Bytes of values that this rank has sent to the others so far. What carries them adds its own.
    fn sent(&self) -> u64;

    /// Ends all ranks at once: this one cannot go on. Returns where that is not possible.
    fn abort(&self, code: u8) {
        let _ = code;
    }
}

/// The sum of one value of all ranks, in their order.
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    values.map(f64::from).sum::<f64>() as f32
}

/// Bytes of words that go to each of the others among so many ranks.
fn bytes_to_others<T>(words: &[T], ranks: usize) -> u64 {
    (size_of_val(words) * (ranks - 1)) as u64
}

/// Bytes that rank 0 has and the others want.
pub fn first_says(exchange: &dyn Exchange, bytes: &[u8]) -> Result<Vec<u8>, RankError> {
    let words = |count: usize| u32::try_from(count).map_err(|_| RankError::TooMuch(count));
    let own = if exchange.rank() == 0 { bytes } else { &[] };
    let len = exchange.gather(&[words(own.len())?])?[0] as usize;
    let mut padded = vec![0u32; len.div_ceil(4)];
    bytemuck::cast_slice_mut(&mut padded)[..own.len()].copy_from_slice(own);
    let all = exchange.gather(&padded)?;
    Ok(bytemuck::cast_slice(&all)[..len].to_vec())
}

/// Refuses what is not the same on all ranks; `what` is said of it.
pub fn agree(exchange: &dyn Exchange, what: &'static str, bytes: &[u8]) -> Result<(), RankError> {
    let hash = blake3::hash(bytes);
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(hash.as_bytes());
    let all = exchange.gather(&words)?;
    let first = &all[..words.len()];
    match all.chunks(words.len()).position(|other| other != first) {
        Some(rank) => Err(RankError::Differ { rank, what }),
        None => Ok(()),
    }
}

/// Why ranks cannot work together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RankError {
    /// A batch of fewer examples than there are ranks.
    #[error(
        "a batch of {batch} examples cannot be shared by {ranks} ranks; start no more ranks than train.batch has examples, or raise \
         train.batch, which is the batch of all ranks together"
    )]
    TooMany {
        /// Examples in a batch.
        batch: usize,
        /// The ranks.
        ranks: usize,
    },
    /// A layer that needs all rows of a batch at once.
    #[error(
        "{layer} normalises over the batch, so that each rank must take its share of a batch at once, and {batch} examples are not so \
         many for each of {ranks} ranks; make train.batch a multiple of {ranks}, such as {better}"
    )]
    BatchNorm {
        /// The layer.
        layer: String,
        /// Examples in a batch.
        batch: usize,
        /// The ranks.
        ranks: usize,
        /// Examples that could be shared.
        better: usize,
    },
    /// Examples that are mixed with others of their batch.
    #[error(
        "augment.mixup mixes each example with another one of its batch, whose rows lie on several ranks: each would mix its own \
         rows alone, and train another model than one process does; remove augment.mixup, or train in one process"
    )]
    Mixup,
    /// What is the same on all ranks in every training is not.
    #[error(
        "{what} of rank {rank} are not those of rank 0; all ranks must have the same files, and compute on devices of one kind: see \
         docs/scaling.md"
    )]
    Differ {
        /// The first rank that differs.
        rank: usize,
        /// What differs.
        what: &'static str,
    },
    /// Another rank is not there any more.
    #[error(
        "another rank ended before its training was over; the last checkpoint is whole, and any number of ranks can go on from it"
    )]
    Gone,
    /// More than a message holds.
    #[error("{0} bytes are more than ranks tell each other at once")]
    TooMuch(usize),
    /// Something that only one process does.
    #[error("{0}")]
    OneProcess(&'static str),
    /// A launcher started several processes of a program that was built without MPI.
    #[error(
        "{launcher} started {processes} processes, and this gputrain was built without MPI: each would do the whole work, in the same \
         folder; build it with --features mpi, or start it without {launcher}"
    )]
    NoMpi {
        /// What started them.
        launcher: String,
        /// How many.
        processes: usize,
    },
    /// The processes do not see each other.
    #[error(
        "{launcher} started {processes} processes, and the MPI that gputrain was built with sees {seen}; build it with the MPI \
         of that launcher"
    )]
    OtherMpi {
        /// What started them.
        launcher: String,
        /// How many.
        processes: usize,
        /// How many there are by MPI.
        seen: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn on_ranks<T: Send>(size: usize, work: impl Fn(&dyn Exchange) -> T + Sync) -> Vec<T> {
        let ranks = Threads::ranks(size);
        thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(move || work(&rank))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn what_is_gathered_and_summed_is_in_the_order_of_the_ranks() {
        for size in [1, 2, 3, 5] {
            let results = on_ranks(size, |exchange| {
                let rank = exchange.rank() as u32;
                let mut sums = vec![1e8, rank as f32, 0.5];
                for _ in 0..20 {
                    assert_eq!(exchange.gather(&[rank, 7]).unwrap().len(), 2 * size);
                }
                exchange.sum(&mut sums).unwrap();
                (exchange.gather(&[rank, 10 + rank]).unwrap(), sums)
            });
            let gathered: Vec<u32> = (0..size as u32).flat_map(|rank| [rank, 10 + rank]).collect();
            let sums = vec![1e8 * size as f32, (0..size).sum::<usize>() as f32, 0.5 * size as f32];
            assert_eq!(results, vec![(gathered, sums); size]);
        }
    }

    #[test]
    fn what_the_first_rank_says_all_ranks_know() {
        let said = on_ranks(3, |exchange| first_says(exchange, &[exchange.rank() as u8 + 1; 5]).unwrap());
        assert_eq!(said, vec![vec![1; 5]; 3]);
    }

    #[test]
    fn a_rank_that_differs_is_named() {
        let same = on_ranks(3, |exchange| agree(exchange, "the files", b"same"));
        assert_eq!(same, vec![Ok(()); 3]);
        let differ = on_ranks(3, |exchange| agree(exchange, "the files", &[u8::from(exchange.rank() == 2)]));
        assert_eq!(differ, vec![Err(RankError::Differ { rank: 2, what: "the files" }); 3]);
    }

    #[test]
    fn nobody_waits_for_a_rank_that_ended() {
        let results = on_ranks(3, |exchange| match exchange.rank() {
            1 => exchange.gather(&[1]).map(|_| ()),
            _ => exchange.gather(&[1]).and_then(|_| exchange.gather(&[2])).map(|_| ()),
        });
        assert_eq!(results, vec![Err(RankError::Gone), Ok(()), Err(RankError::Gone)]);
    }
}
