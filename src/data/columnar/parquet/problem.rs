//! What is wrong with a Parquet file.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use parquet::errors::ParquetError;

use crate::data::bytes::read_error;
use crate::data::error::Problem;

pub(super) const PARQUET: &str = "Parquet";

thread_local! {
    /// Whether a panic of this thread is one of a decoder.
    static DECODES: Cell<bool> = const { Cell::new(false) };
}

/// Runs decoders of the `parquet` crate. Some panic where a length or a number among the values is one that no writer makes (in
/// version 60 those of differences, of runs, and of texts): what they would have to be given for that not to happen is known only
/// once the values are decoded. What they worked on is given up then, and nothing is printed.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Problem> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !DECODES.get() {
                before(panic);
            }
        }));
    });
    DECODES.set(true);
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODES.set(false);
    decoded
        .map_or_else(|_| Err(Problem::malformed(PARQUET, "its values are damaged")), |decoded| decoded.map_err(problem))
}

pub(super) fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

pub(super) fn problem(error: ParquetError) -> Problem {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => read_error(PARQUET, *error),
            Err(error) => Problem::malformed(PARQUET, error),
        },
        ParquetError::General(cause) | ParquetError::NYI(cause) | ParquetError::EOF(cause) => {
            Problem::malformed(PARQUET, cause)
        }
        error => Problem::malformed(PARQUET, error),
    }
}
