//! Whether two paths lead to one file.

use std::path::Path;

/// Whether two paths lead to one file, however they are spelled: by a detour, from the root, or through a link.
pub fn same_file(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    resolved(one) == resolved(other) || linked(one, other)
}

/// Whether two names are of the same file on the disk.
#[cfg(unix)]
fn linked(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    number(one).is_some_and(|one| Some(one) == number(other))
}

#[cfg(not(unix))]
fn linked(_: &Path, _: &Path) -> bool {
    false
}
