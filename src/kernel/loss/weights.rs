//! Slots of the sums of weights, the twins of `shaders/lib/weight_sums.wgsl`.

/// Floats per model.
pub const WEIGHT_SUMS: usize = 4;
/// Sum of the weights of the batch's examples.
pub const BATCH_WEIGHT: usize = 0;
/// The same of all batches of an update.
pub const UPDATE_WEIGHT: usize = 1;
/// The same of the epoch's batches so far.
pub const EPOCH_WEIGHT: usize = 2;
/// Sum of those batches' losses times their weights.
pub const EPOCH_LOSS: usize = 3;

/// The batches that an update takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Updates {
    /// Rows of a full batch.
    pub batch: u32,
    /// Examples that an epoch goes through: without a short last batch that is left out.
    pub in_epoch: u32,
    /// Batches of an update; the last one of an epoch takes what is left.
    pub batches: u32,
}

impl Updates {
    /// The number of the update that a batch belongs to, and its rows.
    pub(super) fn of(&self, taken: u32) -> (u64, u64) {
        let size = u64::from(self.batch) * u64::from(self.batches);
        let update = u64::from(taken / self.batches);
        (update, u64::from(self.in_epoch).saturating_sub(update * size).min(size))
    }

    /// The updates that cases go through, with the batch of their first model; each model is one batch further.
    pub(super) fn cases() -> [(Updates, u32); 7] {
        let case = |batch, in_epoch, batches, taken| (Updates { batch, in_epoch, batches }, taken);
        [
            case(1, 1, 1, 0),
            case(31, 150, 1, 3),
            case(31, 150, 3, 2),
            case(7, 40, 4, 4),
            // A short last batch is left out.
            case(17, 68, 3, 1),
            case(300, 700, 1, 0),
            case(128, 1000, 8, 5),
        ]
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn slots_are_those_of_the_shaders() {
        let text = include_str!("../../../shaders/lib/weight_sums.wgsl");
        for (name, value) in [
            ("WEIGHT_SUMS", super::WEIGHT_SUMS),
            ("BATCH_WEIGHT", super::BATCH_WEIGHT),
            ("UPDATE_WEIGHT", super::UPDATE_WEIGHT),
            ("EPOCH_WEIGHT", super::EPOCH_WEIGHT),
            ("EPOCH_LOSS", super::EPOCH_LOSS),
        ] {
            assert!(text.contains(&format!("const {name}: u32 = {value};")), "{name}");
        }
        assert_eq!(text.matches("const ").count(), 5);
    }
}
