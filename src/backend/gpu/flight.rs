//! Submitted work on its way: how much may be under way at once, and how long it took.

use super::DeviceKind;
use super::device::Device;
use super::pace::Pace;
use crate::backend::BackendError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Submits that may be unfinished at once: one runs, one waits for its turn, one may just have been handed over.
const MAX_UNDER_WAY: usize = 3;

/// Waiting for less than this says that the work was already done.
const WAITED: Duration = Duration::from_micros(20);

/// A submit to a software driver that takes longer than this computes meanwhile, or waits for what came before it.
const COMPUTED: Duration = Duration::from_millis(1);

pub(super) struct Flights {
    device: Arc<Device>,
    under_way: VecDeque<Flight>,
    /// Number of the last submit; the first is 1.
    last: u64,
    /// Number of the last submit known to be finished.
    finished: Arc<AtomicU64>,
    /// When the one before the first under way finished, if that was seen as it happened.
    finished_at: Option<Instant>,
    pub pace: Pace,
    /// Time spent waiting, so that it is not taken for host work.
    pub waited: Duration,
    /// Time spent submitting.
    pub submitting: Duration,
}

struct Flight {
    number: u64,
    index: wgpu::SubmissionIndex,
    work: f64,
    submitted: Instant,
    /// Nothing was under way before it.
    first: bool,
}

impl Flights {
    pub(super) fn new(device: Arc<Device>) -> Flights {
        Flights {
            device,
            under_way: VecDeque::new(),
            last: 0,
            finished: Arc::default(),
            finished_at: None,
            pace: Pace::new(),
            waited: Duration::ZERO,
            submitting: Duration::ZERO,
        }
    }

    /// True when the GPU has nothing to do, as far as is known without asking.
    pub(super) fn idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Submits, once fewer than [`MAX_UNDER_WAY`] are under way, and returns the number of the submit. Without commands only the
    /// writes go out.
    pub(super) fn submit(&mut self, commands: Option<wgpu::CommandBuffer>, work: f64) -> Result<u64, BackendError> {
        self.reap()?;
        while self.under_way.len() >= MAX_UNDER_WAY {
            self.wait_for_oldest()?;
        }
        let first = self.idle();
        let submitted = Instant::now();
        let index = self.device.queue.submit(commands);
        let handover = submitted.elapsed();
        self.submitting += handover;
        self.last += 1;
        let (number, finished) = (self.last, self.finished.clone());
        self.device.queue.on_submitted_work_done(move || {
            finished.fetch_max(number, Ordering::Release);
        });
        self.under_way.push_back(Flight { number, index, work, submitted, first });
        self.pace.submitted(work);
        if handover > COMPUTED && self.device.report.kind == DeviceKind::Software {
            self.pace.took(work, nanoseconds(handover));
        }
        self.device.check()?;
        Ok(number)
    }

    /// Forgets what has finished meanwhile.
    pub(super) fn reap(&mut self) -> Result<(), BackendError> {
        if self.idle() {
            return self.device.check();
        }
        self.device.poll(wgpu::PollType::Poll)?;
        let finished = self.finished.load(Ordering::Acquire);
        while self.under_way.front().is_some_and(|f| f.number <= finished) {
            if let Some(flight) = self.under_way.pop_front() {
                self.finished_at = None;
                self.pace.took_at_most(flight.work, nanoseconds(flight.submitted.elapsed()));
            }
        }
        Ok(())
    }

    /// Waits until a submit has finished.
    pub(super) fn wait_for(&mut self, number: u64) -> Result<(), BackendError> {
        while self.under_way.front().is_some_and(|f| f.number <= number) {
            self.wait_for_oldest()?;
        }
        Ok(())
    }

    /// Waits until everything has finished.
    pub(super) fn wait_for_all(&mut self) -> Result<(), BackendError> {
        self.wait_for(self.last)
    }

    fn wait_for_oldest(&mut self) -> Result<(), BackendError> {
        let Some(flight) = self.under_way.pop_front() else { return Ok(()) };
        let began = Instant::now();
        self.device.poll(wgpu::PollType::Wait { submission_index: Some(flight.index), timeout: None })?;
        let now = Instant::now();
        self.waited += now - began;
        if now - began < WAITED {
            self.finished_at = None;
            self.pace.took_at_most(flight.work, nanoseconds(now - flight.submitted));
            return Ok(());
        }
        // It began when it was submitted or when the one before it was done, whichever came later.
        let start = match (flight.first, self.finished_at) {
            (true, _) => Some(flight.submitted),
            (false, before) => before.map(|b| b.max(flight.submitted)),
        };
        match start {
            Some(start) => self.pace.took(flight.work, nanoseconds(now - start)),
            None => self.pace.took_at_most(flight.work, nanoseconds(now - flight.submitted)),
        }
        self.finished_at = Some(now);
        Ok(())
    }
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}
