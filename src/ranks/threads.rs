//! Ranks that are threads of one process.

use super::{Exchange, RankError, bytes_to_others};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A rank among threads of one process, such as one for each GPU of a machine. When one is dropped, the others are told
/// ([`RankError::Gone`]) where they would wait for it.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    meeting: Arc<Meeting>,
    sent: AtomicU64,
}

/// Where the threads meet.
#[derive(Debug)]
struct Meeting {
    size: usize,
    table: Mutex<Table>,
    changed: Condvar,
}

/// What lies on the table while they do.
#[derive(Debug, Default)]
struct Table {
    /// What each rank has brought.
    brought: Vec<Option<Vec<u32>>>,
    /// All of it, once everyone has; and how many have still to take it.
    gathered: Vec<u32>,
    takers: usize,
    /// Whether somebody has left.
    left: bool,
}

impl Threads {
    /// So many ranks, each for a thread of its own.
    pub fn ranks(size: usize) -> Vec<Threads> {
        let table = Mutex::new(Table { brought: vec![None; size], ..Table::default() });
        let meeting = Arc::new(Meeting { size, table, changed: Condvar::new() });
        (0..size).map(|rank| Threads { rank, meeting: Arc::clone(&meeting), sent: AtomicU64::new(0) }).collect()
    }
}

impl Exchange for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.meeting.size
    }

    fn gather(&self, words: &[u32]) -> Result<Vec<u32>, RankError> {
        let Meeting { size, table, changed } = &*self.meeting;
        let lock = || table.lock().unwrap_or_else(PoisonError::into_inner);
        // Until all have taken what was gathered before.
        let mut table = changed.wait_while(lock(), |table| table.takers > 0).unwrap_or_else(PoisonError::into_inner);
        table.brought[self.rank] = Some(words.to_vec());
        if table.brought.iter().all(Option::is_some) {
            let brought: Vec<u32> = table.brought.iter_mut().filter_map(Option::take).flatten().collect();
            (table.gathered, table.takers) = (brought, *size);
            changed.notify_all();
        }
        let waits = |table: &mut Table| table.takers == 0 && !table.left;
        let mut table = changed.wait_while(table, waits).unwrap_or_else(PoisonError::into_inner);
        if table.takers == 0 {
            return Err(RankError::Gone);
        }
        self.sent.fetch_add(bytes_to_others(words, *size), Relaxed);
        table.takers -= 1;
        let gathered = if table.takers == 0 { std::mem::take(&mut table.gathered) } else { table.gathered.clone() };
        changed.notify_all();
        Ok(gathered)
    }

    fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.meeting.table.lock().unwrap_or_else(PoisonError::into_inner).left = true;
        self.meeting.changed.notify_all();
    }
}
