//! Ranks that are processes, on one machine or several, by MPI.

use super::{Exchange, Launch, RankError, bytes_to_others, sum};
use mpi::Threading;
use mpi::environment::{Universe, initialize_with_threading};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Values that are summed at once: what lies in memory for it is a few times as much.
const BLOCK: usize = 1 << 22;

/// A process among those that MPI's launcher started. It leaves MPI when it is dropped, which waits for the others; where it is
/// dropped because of a panic, it ends them. An error of MPI ends all processes: that is what MPI does unless told otherwise.
pub(super) struct Mpi {
    rank: usize,
    size: usize,
    // Held while MPI is called, which may be done by any thread, but one at a time.
    universe: Mutex<Universe>,
    sent: AtomicU64,
}

impl Mpi {
    pub(super) fn join(launch: Launch) -> Result<Mpi, RankError> {
        let Launch { launcher, processes, .. } = launch;
        let Some((universe, _)) = initialize_with_threading(Threading::Serialized) else {
            return Err(RankError::OneProcess("MPI is in use already: a process joins the others once"));
        };
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        if size != processes {
            return Err(RankError::OtherMpi { launcher, processes, seen: size });
        }
        Ok(Mpi { rank, size, universe: Mutex::new(universe), sent: AtomicU64::new(0) })
    }

    fn with<T>(&self, call: impl FnOnce(SimpleCommunicator) -> T) -> T {
        let universe = self.universe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        call(universe.world())
    }
}

impl Exchange for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, words: &[u32]) -> Result<Vec<u32>, RankError> {
        let mut all = vec![0u32; words.len() * self.size];
        // Counts of MPI are those of C.
        if i32::try_from(all.len()).is_err() {
            return Err(RankError::TooMuch(all.len().saturating_mul(4)));
        }
        self.with(|world| world.all_gather_into(words, &mut all[..]));
        self.sent.fetch_add(bytes_to_others(words, self.size), Relaxed);
        Ok(all)
    }

    /// Each rank adds up a piece of its own, in the order of the ranks, and all gather the pieces: in all 8 bytes of a value go out
    /// of a rank and 8 come in, however many ranks there are.
    fn sum(&self, values: &mut [f32]) -> Result<(), RankError> {
        for block in values.chunks_mut(BLOCK) {
            let piece = block.len().div_ceil(self.size);
            let mut own = vec![0.0; piece * self.size];
            own[..block.len()].copy_from_slice(block);
            let mut all = vec![0.0f32; own.len()];
            self.with(|world| world.all_to_all_into(&own[..], &mut all[..]));
            let sums: Vec<f32> = (0..piece).map(|at| sum(all[at..].iter().step_by(piece).copied())).collect();
            self.with(|world| world.all_gather_into(&sums[..], &mut own[..]));
            // Pieces to others, and the sums of its own to all of them.
            self.sent.fetch_add(2 * bytes_to_others(&sums, self.size), Relaxed);
            block.copy_from_slice(&own[..block.len()]);
        }
        Ok(())
    }

    fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    fn abort(&self, code: u8) {
        // The lock may be held by a thread that waits for other ranks.
        SimpleCommunicator::world().abort(code.into())
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort(101);
        }
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mpi").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}
