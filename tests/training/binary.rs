//! The program as a user runs it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program with these arguments, its compiled shaders cached for the tests alone.
pub fn gputrain(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gputrain"));
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shader-cache");
    command.args(arguments).env("XDG_CACHE_HOME", cache).stdin(Stdio::null());
    command
}

/// The same as a run that must succeed.
pub fn succeed(arguments: &[&str]) -> Output {
    let output = gputrain(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output
}

/// The exit code and the error text of a run that must fail without a panic.
pub fn fail(arguments: &[&str]) -> (i32, String) {
    let output = gputrain(arguments).output().unwrap();
    let error = text(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    (output.status.code().unwrap(), error)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of JSON lines.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The last line of a run's stdout.
pub fn last_line(output: &Output) -> Value {
    serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap()
}

/// A run that is to be ended from outside.
pub struct Running(pub Child);

impl Running {
    pub fn start(arguments: &[&str]) -> Running {
        Running(gputrain(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Waits until a file is there.
    pub fn wait_for(&mut self, file: &Path) {
        let begun = Instant::now();
        while !file.exists() {
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?} before {} was there", file.display());
            assert!(begun.elapsed() < Duration::from_secs(120), "{} never came", file.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder of a test's own with a recipe in it.
pub struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    pub fn new(recipe: &str) -> Workplace {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("recipe.toml"), recipe).unwrap();
        Workplace { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
