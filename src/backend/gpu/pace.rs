//! How much work goes into one submit. Too little and submitting costs more than computing; too much and the driver's
//! watchdog takes the device away, the screen freezes, and Ctrl-C waits.

/// Aim of a submit, in nanoseconds of GPU time.
const TARGET: f64 = 50e6;
/// The same when the GPU has nothing to do: it should start soon.
const FIRST: f64 = 2e6;
/// Estimates never go below this part of the prior: it bounds a submit if the clock lies.
const MIN_SCALE: f64 = 1e-5;

/// Learns how long work takes. Work is measured in prior nanoseconds: what [`prior`] expects of a slow device.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// Nanoseconds that a prior nanosecond really takes.
    scale: f64,
    /// Size of the last submit.
    last: f64,
}

/// Nanoseconds that a launch takes on a slow device: the start of the estimate, and how it is shared between kernels.
pub(super) fn prior(flops: f64, bytes: f64) -> f64 {
    const LAUNCH: f64 = 5e3;
    const FLOPS_PER_NANOSECOND: f64 = 20.0;
    const BYTES_PER_NANOSECOND: f64 = 10.0;
    LAUNCH + flops / FLOPS_PER_NANOSECOND + bytes / BYTES_PER_NANOSECOND
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { scale: 1.0, last: 0.0 }
    }

    /// Work for the submit being encoded. It grows at most twofold while the GPU is busy, so that encoding one takes no
    /// longer than running those before it.
    pub(super) fn budget(&self, idle: bool) -> f64 {
        let first = FIRST / self.scale;
        if idle { first } else { (TARGET / self.scale).min((2.0 * self.last).max(first)) }
    }

    pub(super) fn submitted(&mut self, work: f64) {
        if work > 0.0 {
            self.last = work;
        }
    }

    /// A submit took this long. Submits without launches say nothing.
    pub(super) fn took(&mut self, work: f64, nanoseconds: f64) {
        if work > 0.0 && nanoseconds / work > self.scale {
            self.scale = nanoseconds / work;
        }
        self.took_at_most(work, nanoseconds);
    }

    /// A submit took no longer than this. One sample pulls the estimate down fourfold at most: a fast one may be luck.
    pub(super) fn took_at_most(&mut self, work: f64, nanoseconds: f64) {
        if work > 0.0 && nanoseconds / work < self.scale {
            self.scale = (nanoseconds / work).max(self.scale / 4.0).max(MIN_SCALE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds submits of a device that needs `truth` nanoseconds per prior nanosecond.
    fn settle(pace: &mut Pace, truth: f64, submits: usize) -> f64 {
        for _ in 0..submits {
            let work = pace.budget(false);
            pace.submitted(work);
            pace.took(work, work * truth);
        }
        pace.budget(false) * truth
    }

    #[test]
    fn submits_grow_to_the_target_and_shrink_at_once() {
        for truth in [0.003, 1.0, 40.0] {
            let mut pace = Pace::new();
            assert_eq!(pace.budget(true), FIRST);
            let nanoseconds = settle(&mut pace, truth, 30);
            assert!((nanoseconds / TARGET - 1.0).abs() < 1e-6, "truth {truth}: {nanoseconds}");
            assert!((pace.budget(true) * truth / FIRST - 1.0).abs() < 1e-6);
        }
        let mut pace = Pace::new();
        settle(&mut pace, 0.01, 30);
        assert!((settle(&mut pace, 1.0, 1) / TARGET - 1.0).abs() < 1e-6, "one slow submit is enough");
    }

    #[test]
    fn upper_bounds_only_speed_up() {
        let mut pace = Pace::new();
        pace.took_at_most(1e6, 1e9);
        assert_eq!(pace.scale, 1.0);
        pace.took_at_most(1e6, 0.0);
        assert_eq!(pace.scale, 0.25);
    }
}
