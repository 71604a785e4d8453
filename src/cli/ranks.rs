//! Processes that share a command's work, as `mpirun` starts them. Rank 0 prints and writes; the others follow.

use super::interrupt::stop_on_interrupt;
use super::{CliError, print};
use gputrain::ranks::{Exchange, Launch, RankError};
use gputrain::sweep::Watcher;
use gputrain::train::Observer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time in which rank 0, where it fails of the same, says so and ends all ranks.
const FIRST_SAYS: Duration = Duration::from_secs(2);

/// The exit code of a process whose command ended so, alone or among ranks. What went wrong is printed. A rank that fails ends
/// all: the others would wait for it forever.
pub(super) fn ended(result: Result<(), CliError>, ranks: Option<Arc<dyn Exchange>>) -> u8 {
    let code = result.as_ref().map_or_else(CliError::exit_code, |()| 0);
    let follower = ranks.as_ref().map(|ranks| ranks.rank()).filter(|rank| *rank > 0);
    let fails = matches!(&result, Err(error) if !matches!(error, CliError::Interrupted(_)));
    if fails && follower.is_some() {
        std::thread::sleep(FIRST_SAYS);
    }
    if let Err(error) = &result
        && let Some(text) = error.message()
    {
        let who = follower.map_or(String::new(), |rank| format!("rank {rank}: "));
        print::error_line(format!("error: {who}{text}"));
    }
    if let Some(ranks) = ranks {
        if fails {
            ranks.abort(code);
        }
        // A launcher takes a process that is gone for one that failed: nobody leaves before rank 0 has written everything.
        let _ = ranks.gather(&[0]);
    }
    code
}

/// The exit code of a process that could not join the others; one of them says why.
pub(super) fn not_joined(error: &RankError) -> u8 {
    if Launch::of_environment().is_none_or(|launch| launch.rank == 0) {
        print::error_line(format!("error: {error}"));
    }
    2
}

/// Sees what a rank trains that neither prints nor writes.
pub(super) struct Follower {
    stop: Arc<AtomicBool>,
}

impl Follower {
    pub(super) fn new() -> Result<Follower, CliError> {
        Ok(Follower { stop: stop_on_interrupt()? })
    }
}

impl Observer for Follower {
    fn interrupted(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Watcher for Follower {
    fn interrupted(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
