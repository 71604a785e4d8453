//! The driver's pipeline cache on disk, so that the next start need not compile the shaders again. Best effort: a cache
//! that cannot be read or written costs time, never an error. Only Vulkan has one; other drivers cache on their own.

use super::device::Device;
use crate::file::write_whole_with;
use crate::lock::remove_unfinished;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const HASH_BYTES: usize = blake3::OUT_LEN;

pub(super) struct DiskCache {
    cache: wgpu::PipelineCache,
    file: PathBuf,
    /// Hash of what the file holds.
    stored: Mutex<Option<blake3::Hash>>,
}

impl DiskCache {
    /// The cache of this adapter and driver; `None` where the device has none.
    pub(super) fn open(device: &Device, directory: &Path) -> Option<DiskCache> {
        if !device.features.contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = directory.join(file_name(&device.adapter, "pipelines", "bin"));
        let loaded = load(&file);
        let data = loaded.as_deref();
        let describe = wgpu::PipelineCacheDescriptor { label: Some("gputrain"), data, fallback: true };
        // SAFETY: the data came from `get_data` for this adapter and driver (both are in the file's name) and its hash
        // shows that nothing damaged it since; wgpu checks its own header and the driver's identity on top.
        let create = |device: &wgpu::Device| unsafe { device.create_pipeline_cache(&describe) };
        let cache = device.scoped("the pipeline cache", 0, create).ok()?;
        Some(DiskCache { cache, file, stored: Mutex::new(loaded.as_deref().map(blake3::hash)) })
    }

    pub(super) fn get(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Writes the file if the cache holds something new.
    pub(super) fn save(&self) {
        let Some(data) = self.cache.get_data() else { return };
        let hash = blake3::hash(&data);
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if *stored != Some(hash) && store(&self.file, &data, &hash).is_ok() {
            *stored = Some(hash);
        }
    }
}

/// One file for each adapter, driver and release of gputrain.
pub(super) fn file_name(adapter: &wgpu::AdapterInfo, kind: &str, extension: &str) -> String {
    let identity = format!("{adapter:?} {}", env!("CARGO_PKG_VERSION"));
    format!("{kind}-{}.{extension}", &blake3::hash(identity.as_bytes()).to_hex()[..16])
}

fn load(file: &Path) -> Option<Vec<u8>> {
    let bytes = crate::file::read(file).ok()?;
    let (hash, data) = bytes.split_at_checked(HASH_BYTES)?;
    (blake3::hash(data).as_bytes()[..] == *hash).then(|| data.to_vec())
}

/// Hash, then data.
fn store(file: &Path, data: &[u8], hash: &blake3::Hash) -> std::io::Result<()> {
    // Of processes that were killed here.
    file.parent().into_iter().for_each(remove_unfinished);
    write_whole_with(file, |out| {
        out.write_all(hash.as_bytes())?;
        out.write_all(data)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_stored_cache_loads_and_a_damaged_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("deeper").join("cache.bin");
        let data = b"compiled shaders".to_vec();
        store(&file, &data, &blake3::hash(&data)).unwrap();
        assert_eq!(load(&file), Some(data.clone()));
        store(&file, b"", &blake3::hash(b"")).unwrap();
        assert_eq!(load(&file), Some(Vec::new()), "replaced");

        store(&file, &data, &blake3::hash(&data)).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(load(&file), None, "damaged");
        let left = file.with_file_name(".gputrain-aB3xYz");
        fs::write(&left, b"half").unwrap();
        store(&file, &data, &blake3::hash(&data)).unwrap();
        assert!(!left.exists(), "what a killed process left");
        fs::write(&file, b"short").unwrap();
        assert_eq!(load(&file), None, "short");
        assert_eq!(load(&directory.path().join("missing")), None);
    }
}
