//! What a verification found.

use crate::backend::DeviceInfo;
use std::fmt;

/// One kernel's result.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct KernelRow {
    /// The kernel.
    pub kernel: &'static str,
    /// Cases that ran.
    pub cases: usize,
    /// Largest error of any element, `|x - reference| / (|reference| + rms(reference))`.
    pub worst_error: f64,
    /// Largest error allowed.
    pub tolerance: f64,
    /// The case with the largest error, or the first that failed.
    pub worst_case: String,
    /// Whether every case is within the tolerance and nothing else was written.
    pub passed: bool,
    /// What the device lacks, so that nothing ran.
    pub skipped: Option<&'static str>,
    /// What is wrong; empty when passed.
    pub message: String,
}

/// Every kernel's result on one device.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct VerifyReport {
    /// The device.
    pub device: DeviceInfo,
    /// One row per kernel.
    pub rows: Vec<KernelRow>,
}

impl VerifyReport {
    /// Whether every kernel passed.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.passed)
    }
}

impl fmt::Display for VerifyReport {
    /// A table, then what is wrong with each kernel that failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.rows.iter().map(|row| row.kernel.len()).max().unwrap_or(0).max("kernel".len());
        writeln!(f, "{} ({})", self.device.device, self.device.backend)?;
        writeln!(f, "{:wide$}  cases  worst error  tolerance", "kernel")?;
        for row in &self.rows {
            let verdict = match row.skipped {
                Some(missing) => format!("not run: this device has no {missing}"),
                None => if row.passed { "ok" } else { "FAILED" }.to_string(),
            };
            let (cases, error, tolerance) = (row.cases, row.worst_error, row.tolerance);
            writeln!(f, "{:wide$}  {cases:5}  {error:11.1e}  {tolerance:9.0e}  {verdict}", row.kernel)?;
        }
        for row in self.rows.iter().filter(|row| !row.passed) {
            writeln!(f, "{}: {}", row.kernel, row.message)?;
        }
        let failed = self.rows.iter().filter(|row| !row.passed).count();
        let ran = self.rows.iter().filter(|row| row.skipped.is_none()).count();
        match failed {
            0 if ran < self.rows.len() => {
                write!(f, "the {ran} of {} kernels that ran agree with the CPU reference", self.rows.len())
            }
            0 => write!(f, "all {ran} kernels agree with the CPU reference"),
            _ => write!(f, "{failed} of {} kernels FAILED", self.rows.len()),
        }
    }
}
