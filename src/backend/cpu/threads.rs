//! The threads that CPU kernels share. They belong to gputrain, not to rayon's global pool, since their arithmetic
//! flushes subnormals.

use super::denormals;
use rayon::ThreadPool;
use rayon::prelude::*;
use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    static KERNEL_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// The pool; `None` when the system gives no threads or only one is of use.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    POOL.get_or_init(|| {
        let start = |_| {
            denormals::flush_forever();
            KERNEL_THREAD.set(true);
        };
        let builder = rayon::ThreadPoolBuilder::new().thread_name(|i| format!("kernel {i}")).start_handler(start);
        builder.build().ok().filter(|pool| pool.current_num_threads() > 1)
    })
    .as_ref()
}

/// Number of threads that large kernels use; RAYON_NUM_THREADS limits it.
pub fn count() -> usize {
    pool().map_or(1, ThreadPool::current_num_threads)
}

/// Runs `work` on one of the pool's threads, from where kernels may use the others. Waking the pool costs some
/// microseconds, so small programs stay on the caller's thread.
pub fn with_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// How many threads the current kernel may use: all of the pool's on its threads, one elsewhere.
pub fn available() -> usize {
    if KERNEL_THREAD.get() { rayon::current_num_threads() } else { 1 }
}

/// Work of a dispatch from which several threads pay, in floating point operations.
pub const WORTH_FLOPS: f64 = 4e6;

/// Memory traffic of a dispatch from which several threads pay, in bytes.
pub const WORTH_BYTES: f64 = 2e6;

/// Runs `f(model, part, threads)` for every model, `part` being its `stride` elements of `data` (the last may be shorter)
/// and `threads` what it may use itself. Several models of enough work go side by side, one thread each.
pub fn for_each_model(
    data: &mut [f32],
    stride: usize,
    models: usize,
    flops_each: f64,
    f: impl Fn(usize, &mut [f32], usize) + Sync,
) {
    let threads = available();
    let stride = stride.max(1);
    if threads > 1 && models >= threads && flops_each * models as f64 >= WORTH_FLOPS {
        let parts = data.par_chunks_mut(stride).take(models);
        parts.enumerate().for_each(|(model, part)| f(model, part, 1));
    } else {
        let parts = data.chunks_mut(stride).take(models);
        parts.enumerate().for_each(|(model, part)| f(model, part, threads));
    }
}

/// Elements that an elementwise pass takes at a time: they stay in the first-level cache.
const BLOCK: usize = 8 * 1024;

/// Runs `f(first_row, rows)` over blocks of whole rows, on up to `threads` threads when there is enough to do.
pub fn for_each_rows(data: &mut [f32], columns: usize, threads: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let columns = columns.max(1);
    let rows = (BLOCK / columns).max(1);
    if threads > 1 && data.len() as f64 * 8.0 >= WORTH_BYTES {
        data.par_chunks_mut(rows * columns).enumerate().for_each(|(i, block)| f(i * rows, block));
    } else {
        data.chunks_mut(rows * columns).enumerate().for_each(|(i, block)| f(i * rows, block));
    }
}
