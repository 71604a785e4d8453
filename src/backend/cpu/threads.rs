//! The threads that CPU kernels share. While a program runs they wait for its next kernel awake: a small step is over
//! before a sleeping thread has woken up.

use super::denormals;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{self, Thread};

/// Work of a dispatch from which several threads pay, in floating point operations.
pub const WORTH_FLOPS: f64 = 5e5;

/// Memory traffic of a dispatch from which several threads pay, in bytes.
pub const WORTH_BYTES: f64 = 1e5;

/// What every thread that takes part in a round calls once.
type Job<'a> = &'a (dyn Fn() + Sync);

/// One value for itself in a line of the cache: threads that wait for it do not slow down who writes its neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line<T>(T);

/// The helpers of whoever leads: a round's job is called by its leader and by every helper that finds a seat in time.
/// A helper that the system has put aside before it took a seat is not waited for.
#[derive(Debug, Default)]
struct Team {
    /// Seats that are left in the round.
    seats: Line<AtomicUsize>,
    /// Helpers that took one and have finished.
    finished: Line<AtomicUsize>,
    /// The round's job; valid while a helper that took a seat has not finished.
    job: AtomicPtr<Job<'static>>,
    /// Whether there is a leader.
    led: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns of a waiting loop before it gives its core to others now and then, and before a helper without a leader sleeps.
const TURNS_AWAKE: u32 = 4000;
const TURNS_BEFORE_SLEEP: u32 = TURNS_AWAKE + 100;

/// One turn of waiting for another thread.
fn wait_a_little(turns: &mut u32) {
    *turns = turns.saturating_add(1);
    if *turns < TURNS_AWAKE { std::hint::spin_loop() } else { thread::yield_now() }
}

impl Team {
    /// Calls `job` here and on up to `seats` helpers at the same time; returns when all of them have come back.
    fn round(&self, seats: usize, job: Job) {
        self.finished.0.store(0, Relaxed);
        self.job.store((&raw const job).cast::<Job<'static>>().cast_mut(), Relaxed);
        self.seats.0.store(seats, Release);
        let own = catch_unwind(AssertUnwindSafe(job));
        let taken = seats - self.seats.0.swap(0, Relaxed);
        let mut turns = 0;
        while self.finished.0.load(Acquire) < taken {
            wait_a_little(&mut turns);
        }
        let theirs = locked(&self.panic).take();
        if let Some(panic) = theirs.or(own.err()) {
            resume_unwind(panic);
        }
    }

    /// What a helper does all its life.
    fn help(&self) {
        denormals::flush_forever();
        let mut turns = 0;
        loop {
            let taken = self.seats.0.fetch_update(Acquire, Relaxed, |seats| seats.checked_sub(1));
            if taken.is_err() {
                if turns > TURNS_BEFORE_SLEEP && !self.led.load(SeqCst) {
                    thread::park();
                }
                wait_a_little(&mut turns);
                continue;
            }
            // SAFETY: a seat was taken, so the pointer is that of the round which offered it: `round` stored it before the
            // seats, and neither returns nor unwinds before `finished` says that this helper is through. Until then the
            // reference that it points to, and all that the job borrows, are alive in the leader's frames.
            let job = unsafe { *self.job.load(Relaxed) };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
                *locked(&self.panic) = Some(panic);
            }
            self.finished.0.fetch_add(1, Release);
            turns = 0;
        }
    }
}

/// The team, its helpers, and who leads it.
#[derive(Debug)]
pub(super) struct Threads {
    team: Arc<Team>,
    helpers: Vec<Thread>,
    leader: Mutex<()>,
}

impl Threads {
    /// A leader and `count - 1` helpers, or as many as the system gives.
    pub(super) fn new(count: usize) -> Threads {
        let team = Arc::new(Team::default());
        let start = |number: usize| {
            let team = team.clone();
            let helper = thread::Builder::new().name(format!("kernel {number}")).spawn(move || team.help());
            helper.ok().map(|handle| handle.thread().clone())
        };
        let helpers = (1..count).map_while(start).collect();
        Threads { team, helpers, leader: Mutex::new(()) }
    }

    fn count(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Runs `work` as the leader, if there is none; else without help.
    pub(super) fn lead<R>(&'static self, work: impl FnOnce() -> R) -> R {
        let guard = match self.leader.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return work(),
        };
        let _leading = Leading { team: &self.team, _guard: guard };
        self.team.led.store(true, SeqCst);
        self.helpers.iter().for_each(Thread::unpark);
        let _team = CurrentTeam::set(Some(self));
        work()
    }
}

/// The leader's office, until it is dropped.
struct Leading<'a> {
    team: &'a Team,
    _guard: MutexGuard<'a, ()>,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.team.led.store(false, SeqCst);
    }
}

/// Helpers that are ever started.
const MAX_THREADS: usize = 256;

/// All threads. RAYON_NUM_THREADS, which also limits those that load data, limits them.
fn threads() -> &'static Threads {
    static THREADS: OnceLock<Threads> = OnceLock::new();
    THREADS.get_or_init(|| {
        let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
        let count = asked.or_else(|| thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
        Threads::new(count.min(MAX_THREADS))
    })
}

thread_local! {
    /// The team that this thread leads, unless it is in a round.
    static TEAM: Cell<Option<&'static Threads>> = const { Cell::new(None) };
}

/// Sets [`TEAM`] until it is dropped.
struct CurrentTeam {
    before: Option<&'static Threads>,
}

impl CurrentTeam {
    fn set(team: Option<&'static Threads>) -> CurrentTeam {
        CurrentTeam { before: TEAM.replace(team) }
    }
}

impl Drop for CurrentTeam {
    fn drop(&mut self) {
        TEAM.set(self.before);
    }
}

/// Number of threads that kernels use.
pub fn count() -> usize {
    threads().count()
}

/// Runs `work`, whose kernels may use all threads. The threads have one leader at a time: work that comes while they are
/// led stays on its own thread.
pub fn with_team<R>(work: impl FnOnce() -> R) -> R {
    threads().lead(work)
}

/// How many threads the current kernel may use: all where [`with_team`] runs it, one elsewhere and inside a round.
pub fn available() -> usize {
    TEAM.get().map_or(1, Threads::count)
}

/// Calls `f` with every item, on all threads that are available; each takes the next item when it is through with one.
pub fn for_each<I>(items: I, f: impl Fn(I::Item) + Sync)
where
    I: Iterator + Send,
{
    let items_at_most = items.size_hint().1.unwrap_or(usize::MAX);
    let seats = available().min(items_at_most).saturating_sub(1);
    let Some(threads) = TEAM.get().filter(|_| seats > 0) else { return items.for_each(f) };
    let items = Mutex::new(items);
    let next = || locked(&items).next();
    let _alone = CurrentTeam::set(None);
    threads.team.round(seats, &|| {
        while let Some(item) = next() {
            f(item);
        }
    });
}

/// As [`for_each`], on this thread alone where the items are not worth others.
pub fn for_each_if<I>(worth: bool, items: I, f: impl Fn(I::Item) + Sync)
where
    I: Iterator + Send,
{
    if worth { for_each(items, f) } else { items.for_each(f) }
}

/// Length of the pieces that `len` elements are cut into, one for each thread: a multiple of `unit`.
pub fn piece(len: usize, unit: usize) -> usize {
    len.div_ceil(available()).next_multiple_of(unit)
}

/// Runs `f(model, part)` for every model, `part` being its `stride` elements of `data` (the last may be shorter). Several
/// models of enough work go side by side, one thread each.
pub fn for_each_model(
    data: &mut [f32],
    stride: usize,
    models: usize,
    flops_each: f64,
    f: impl Fn(usize, &mut [f32]) + Sync,
) {
    let parts = data.chunks_mut(stride.max(1)).take(models).enumerate();
    let worth = models >= available() && flops_each * models as f64 >= WORTH_FLOPS;
    for_each_if(worth, parts, |(model, part)| f(model, part));
}

/// Elements that an elementwise pass takes at a time: they stay in the first-level cache.
const BLOCK: usize = 8 * 1024;

/// Runs `f(first_row, rows)` over blocks of whole rows, on several threads when there is enough to do.
pub fn for_each_rows(data: &mut [f32], columns: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let columns = columns.max(1);
    let rows = (BLOCK / columns).max(1);
    let worth = data.len() as f64 * 8.0 >= WORTH_BYTES;
    for_each_if(worth, data.chunks_mut(rows * columns).enumerate(), |(i, block)| f(i * rows, block));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// Teams of several sizes, also larger than the machine; their helpers sleep when the test is over.
    fn teams() -> impl Iterator<Item = &'static Threads> {
        [1, 2, 3, 8].into_iter().map(|count| &*Box::leak(Box::new(Threads::new(count))))
    }

    #[test]
    fn every_item_is_taken_once_also_when_many_lead() {
        for team in teams() {
            let lead = || {
                for round in 0..500 {
                    let mut values = vec![0u32; 1 + round % 7];
                    team.lead(|| for_each(values.iter_mut().enumerate(), |(i, value)| *value += i as u32 + 1));
                    assert!(values.iter().enumerate().all(|(i, &value)| value == i as u32 + 1), "{values:?}");
                }
            };
            thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(lead))));
        }
    }

    #[test]
    fn helpers_take_part() {
        let team: &'static Threads = Box::leak(Box::new(Threads::new(3)));
        let seen = Mutex::new(std::collections::HashSet::new());
        // Items of the same round, until each thread has been seen.
        team.lead(|| {
            while locked(&seen).len() < 3 {
                for_each(0..6, |_| {
                    locked(&seen).insert(thread::current().id());
                    thread::sleep(std::time::Duration::from_millis(1));
                });
            }
        });
    }

    #[test]
    fn rounds_inside_rounds_stay_on_their_thread() {
        for team in teams() {
            let sum = AtomicU32::new(0);
            team.lead(|| {
                assert_eq!(available(), team.count());
                for_each(0..8u32, |i| {
                    assert!(available() == 1 || team.count() == 1);
                    for_each(0..i, |j| {
                        sum.fetch_add(j, Relaxed);
                    });
                });
                assert_eq!(available(), team.count());
            });
            assert_eq!((sum.into_inner(), available()), ((0..8u32).map(|i| i * i.saturating_sub(1) / 2).sum(), 1));
        }
    }

    #[test]
    fn a_panic_comes_back_to_the_leader_and_the_team_works_on() {
        for team in teams() {
            for bad in 0..20 {
                let outcome = catch_unwind(|| team.lead(|| for_each(0..20, |i| assert_ne!(i, bad, "the bad item"))));
                let message = outcome.expect_err("one item panics");
                assert!(message.downcast_ref::<String>().is_some_and(|m| m.contains("the bad item")));
                let seen = AtomicU32::new(0);
                team.lead(|| {
                    for_each(0..20, |_| {
                        seen.fetch_add(1, Relaxed);
                    });
                });
                assert_eq!(seen.into_inner(), 20);
            }
        }
    }

    #[test]
    fn pieces_cover_their_elements() {
        for team in teams() {
            assert_eq!(piece(100, 16), 112);
            team.lead(|| {
                let len = piece(1000, 16);
                assert!(len.is_multiple_of(16) && len * available() >= 1000);
            });
        }
    }
}
