//! What several test files share.
#![allow(dead_code, reason = "each test binary uses a part")]

use gputrain::backend::gpu::{BackendName, DeviceChoice, GpuBackend};
use std::sync::OnceLock;

/// A Vulkan device, also one that computes on the CPU. Without any the test is skipped and says so, or fails where
/// GPUTRAIN_REQUIRE_VULKAN is 1. All tests of a binary share one device and what was compiled for it: software drivers take
/// long to compile.
pub fn vulkan() -> Option<GpuBackend> {
    static DEVICE: OnceLock<Option<GpuBackend>> = OnceLock::new();
    DEVICE.get_or_init(|| open(false)).as_ref().map(GpuBackend::shared)
}

/// The same with bounds checks in its shaders, for those that may be wrong.
pub fn checked_vulkan() -> Option<GpuBackend> {
    static DEVICE: OnceLock<Option<GpuBackend>> = OnceLock::new();
    DEVICE.get_or_init(|| open(true)).as_ref().map(GpuBackend::shared)
}

/// A device of a test's own.
pub fn open(checked: bool) -> Option<GpuBackend> {
    let choice = DeviceChoice { backend: BackendName::Vulkan, device: None, checked };
    match GpuBackend::open_with_cache(&choice, None) {
        Ok(backend) => Some(backend),
        Err(error) if std::env::var("GPUTRAIN_REQUIRE_VULKAN").is_ok_and(|v| v == "1") => {
            panic!("GPUTRAIN_REQUIRE_VULKAN is 1, but {error}");
        }
        Err(error) => {
            println!("skipped, since there is no Vulkan device: {error}");
            None
        }
    }
}
