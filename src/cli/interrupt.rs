//! Ctrl-C.

use super::{CliError, print};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A flag that Ctrl-C raises; a second Ctrl-C ends the process. There is one for the whole process.
pub(super) fn stop_on_interrupt() -> Result<Arc<AtomicBool>, CliError> {
    static STOP: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut known = STOP.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stop) = &*known {
        return Ok(Arc::clone(stop));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let handler = move || {
        if raised.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        print::error_line("stopping after the steps under way; press Ctrl-C again to quit at once");
    };
    ctrlc::set_handler(handler).map_err(|e| CliError::Failed(format!("Ctrl-C cannot be handled: {e}")))?;
    *known = Some(Arc::clone(&stop));
    Ok(stop)
}
