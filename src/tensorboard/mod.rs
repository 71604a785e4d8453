//! TensorBoard's event files: scalars, pictures and histograms, as TensorFlow writes them.
//!
//! A file is a sequence of records, a record one event: a message of protocol buffers with the time, a step and values under
//! tags. A run that goes on begins another file; TensorBoard reads all of a folder in the order of their names, and drops what
//! an earlier one holds of the steps that a later one takes again.

mod histogram;
mod message;
mod record;

use crate::file::{FileError, append};
use message::{Event, Image, SessionLog, Summary, Value, value};
use prost::Message as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the names of event files begin with; what follows is when they were begun, in seconds since 1970.
pub const PREFIX: &str = "events.out.tfevents.";

/// An event file that is added to. What was added is held until [`EventFile::flush`].
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    held: Vec<u8>,
}

impl EventFile {
    /// A new file of a folder, which comes after those that are there. Nothing is written yet.
    pub fn begin(folder: &Path) -> Result<EventFile, FileError> {
        let last = found(folder)?.last().map_or(0, |(second, _)| *second);
        let second = (now() as u64).max(last + 1);
        let mut file = EventFile { path: folder.join(format!("{PREFIX}{second:010}.gputrain")), held: Vec::new() };
        file.add(Event { file_version: Some("brain.Event:2".into()), ..Event::default() });
        Ok(file)
    }

    /// The last of the files of a folder, to add to; none where it has none.
    pub fn last(folder: &Path) -> Result<Option<EventFile>, FileError> {
        let last = found(folder)?.pop();
        Ok(last.map(|(_, path)| EventFile { path, held: Vec::new() }))
    }

    /// From here on `step` and those after it are taken again: what earlier files hold of them is void.
    pub fn go_on_at(&mut self, step: u32) {
        let start = SessionLog { status: message::START };
        self.add(Event { step: step.into(), session_log: Some(start), ..Event::default() });
    }

    /// A number; one that is not finite is kept as it is.
    pub fn scalar(&mut self, step: u32, tag: &str, number: f32) {
        self.value(step, tag, value::Kind::Number(number));
    }

    /// A picture: the bytes of a PNG file.
    pub fn picture(&mut self, step: u32, tag: &str, png: &[u8]) {
        let side =
            |at: usize| png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes);
        // Both stand in the file's header. 4: red, green, blue and opacity.
        let image = Image { height: side(20), width: side(16), colorspace: 4, encoded_image_string: png.to_vec() };
        self.value(step, tag, value::Kind::Image(image));
    }

    /// How numbers are spread. Those that are not finite are left out; without any others there is nothing to write.
    pub fn histogram(&mut self, step: u32, tag: &str, numbers: &[f32]) {
        if let Some(histogram) = histogram::of(numbers) {
            self.value(step, tag, value::Kind::Histogram(histogram));
        }
    }

    /// Writes what was added.
    pub fn flush(&mut self) -> Result<(), FileError> {
        let write = || -> io::Result<()> { append(&self.path)?.write_all(&self.held) };
        write().map_err(FileError::at(&self.path))?;
        self.held.clear();
        Ok(())
    }

    fn value(&mut self, step: u32, tag: &str, kind: value::Kind) {
        let value = Value { tag: tag.into(), kind: Some(kind) };
        self.add(Event { step: step.into(), summary: Some(Summary { value: vec![value] }), ..Event::default() });
    }

    fn add(&mut self, event: Event) {
        record::append(&mut self.held, &Event { wall_time: now(), ..event }.encode_to_vec());
    }
}

/// The event files of a folder with the seconds of their names, in order.
fn found(folder: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(FileError::at(folder))?,
    };
    let second = |path: &Path| path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('.').next()?.parse().ok();
    let files = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<(u64, PathBuf)> = files.filter_map(|path| Some((second(&path)?, path))).collect();
    files.sort();
    Ok(files)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(path: &Path) -> Vec<Event> {
        let records = record::read(&std::fs::read(path).unwrap());
        records.iter().map(|record| Event::decode(&record[..]).unwrap()).collect()
    }

    #[test]
    fn events_are_read_back_and_files_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        assert!(EventFile::last(folder.path()).unwrap().is_none());
        let mut first = EventFile::begin(folder.path()).unwrap();
        first.scalar(3, "loss/train", 0.25);
        assert!(found(folder.path()).unwrap().is_empty(), "nothing is written before it is flushed");
        first.flush().unwrap();
        first.histogram(3, "weights", &[f32::NAN]);
        let png = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &[0, 0, 0, 7], &[0, 0, 0, 9]].concat();
        first.picture(4, "digits", &png);
        first.flush().unwrap();
        let mut second = EventFile::begin(folder.path()).unwrap();
        second.go_on_at(4);
        second.flush().unwrap();
        let files = found(folder.path()).unwrap();
        assert!(files.len() == 2 && files[0].0 < files[1].0);
        let written = events(&files[0].1);
        assert_eq!(written[0].file_version.as_deref(), Some("brain.Event:2"));
        assert!(written.len() == 3 && written[0].wall_time > 1.6e9);
        let value = |event: &Event| event.summary.clone().unwrap().value.remove(0);
        assert_eq!((written[1].step, value(&written[1]).tag.as_str()), (3, "loss/train"));
        assert_eq!(value(&written[1]).kind, Some(value::Kind::Number(0.25)));
        assert!(matches!(value(&written[2]).kind, Some(value::Kind::Image(Image { width: 7, height: 9, .. }))));
        let again = events(&files[1].1);
        assert_eq!((again[1].step, again[1].session_log.clone().unwrap().status), (4, message::START));
        // What is added to the last file stands in it.
        let mut last = EventFile::last(folder.path()).unwrap().unwrap();
        last.scalar(9, "final", 1.0);
        last.flush().unwrap();
        assert_eq!(events(&files[1].1).len(), 3);
    }
}
