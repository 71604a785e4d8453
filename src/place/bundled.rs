//! The data files that come with the program, called `bundled:NAME` wherever a file is asked for.

use std::path::Path;

/// What their names begin with.
const PREFIX: &str = "bundled:";

macro_rules! bundled {
    ($($name:literal),+ $(,)?) => {
        const FILES: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $name)))),+];
    };
}

bundled!("two-layer-sigmoid/data.npz", "two-layer-sigmoid/weights.npz");

/// Whether the path names a file of the program's, be it there or not.
pub fn is_bundled(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.starts_with(PREFIX))
}

/// The bytes of a file that comes with the program.
pub fn bundled(path: &Path) -> Option<&'static [u8]> {
    let name = path.to_str()?.strip_prefix(PREFIX)?;
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// Whether there is such a file: on the disk, or in the program.
pub fn is_file(path: &Path) -> bool {
    path.is_file() || bundled(path).is_some()
}

/// What the files are called that come with the program.
pub fn bundled_names() -> Vec<String> {
    FILES.iter().map(|(name, _)| format!("{PREFIX}{name}")).collect()
}
