//! Writes checkpoints on a thread of its own, so that training does not wait for the disk.

use crate::train::{Checkpoint, CheckpointError};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// The writing thread. When it falls behind, only the newest waiting checkpoint is written: it replaces the others.
#[derive(Debug)]
pub(super) struct Checkpoints {
    queue: Option<Sender<Checkpoint>>,
    thread: Option<JoinHandle<Result<(), CheckpointError>>>,
}

impl Checkpoints {
    pub(super) fn to(path: PathBuf) -> Checkpoints {
        let (queue, waiting) = channel();
        let thread = std::thread::spawn(move || write_all(&waiting, &path));
        Checkpoints { queue: Some(queue), thread: Some(thread) }
    }

    /// Hands a checkpoint over. An error of the thread is reported by [`Checkpoints::finish`].
    pub(super) fn write(&self, checkpoint: Checkpoint) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(checkpoint);
        }
    }

    /// Waits until everything is on disk.
    pub(super) fn finish(&mut self) -> Result<(), CheckpointError> {
        self.queue = None;
        match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

fn write_all(waiting: &Receiver<Checkpoint>, path: &std::path::Path) -> Result<(), CheckpointError> {
    while let Ok(mut newest) = waiting.recv() {
        while let Ok(newer) = waiting.try_recv() {
            newest = newer;
        }
        newest.save(path)?;
    }
    Ok(())
}
