//! Writes checkpoints on a thread of its own, so that training does not wait for the disk.

use crate::train::{Checkpoint, CheckpointError};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Where checkpoints go, and the thread that writes them once there is one to write. When it falls behind, only the newest
/// waiting checkpoint is written: it replaces the others.
#[derive(Debug)]
pub(super) struct Checkpoints {
    path: PathBuf,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    queue: Sender<Checkpoint>,
    thread: JoinHandle<Result<(), CheckpointError>>,
}

impl Checkpoints {
    pub(super) fn to(path: PathBuf) -> Checkpoints {
        Checkpoints { path, writer: None }
    }

    /// Hands a checkpoint over; an error is seen by [`Checkpoints::have_failed`] and reported by [`Checkpoints::finish`].
    /// Where the system gives no thread, writes it here.
    pub(super) fn write(&mut self, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        if self.writer.is_none() {
            let (queue, waiting) = channel();
            let path = self.path.clone();
            let named = std::thread::Builder::new().name("checkpoints".into());
            match named.spawn(move || write_all(&waiting, &path)) {
                Ok(thread) => self.writer = Some(Writer { queue, thread }),
                Err(_) => return checkpoint.save(&self.path),
            }
        }
        if let Some(writer) = &self.writer {
            // Refused only by a thread that has failed, which says why when it is asked.
            let _ = writer.queue.send(checkpoint);
        }
        Ok(())
    }

    /// Whether a checkpoint could not be written: the thread ends only then, as long as more may come.
    pub(super) fn have_failed(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.thread.is_finished())
    }

    /// Waits until everything is on disk.
    pub(super) fn finish(&mut self) -> Result<(), CheckpointError> {
        let Some(Writer { queue, thread }) = self.writer.take() else { return Ok(()) };
        drop(queue);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
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
