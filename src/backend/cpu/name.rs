//! What the operating system calls the processor.

/// The processor's name, or its architecture where the system does not tell.
pub(super) fn processor() -> String {
    from_system().filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{} processor", std::env::consts::ARCH))
}

#[cfg(target_os = "linux")]
fn from_system() -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the system's own file")]
    model_name(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

#[cfg(target_os = "linux")]
fn model_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

#[cfg(target_os = "macos")]
fn from_system() -> Option<String> {
    let output =
        std::process::Command::new("/usr/sbin/sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
}

#[cfg(target_os = "windows")]
fn from_system() -> Option<String> {
    std::env::var("PROCESSOR_IDENTIFIER").ok()
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn from_system() -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn reads_the_model_name_where_there_is_one() {
        let text = "processor\t: 0\nmodel name\t: Example 9000 @ 3.0GHz\n\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(model_name(text).as_deref(), Some("Example 9000 @ 3.0GHz"));
        assert_eq!(model_name("processor\t: 0\nBogoMIPS\t: 50\n"), None);
        assert!(!processor().is_empty());
    }
}
