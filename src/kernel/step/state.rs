//! Slots of the per-model step state, the twins of `shaders/lib/step_state.wgsl`: a test holds the two together.

use crate::ir::Slots;
use std::collections::BTreeMap;

macro_rules! slots {
    ($($(#[$meta:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$meta])* pub const $name: usize = $value;)*

        /// Every slot by name, for the test against the shader's text.
        pub const SLOTS: &[(&str, usize)] = &[$((stringify!($name), $value)),*];
    };
}

slots! {
    /// Words per model in `counters`.
    COUNTERS = 8;
    /// Optimizer steps taken so far.
    STEP = 0;
    /// Number of the current epoch, from 0.
    EPOCH = 1;
    /// Batches taken in this epoch.
    BATCH = 2;
    /// Examples in this epoch.
    SEEN = 3;
    /// Key of this epoch's permutation.
    KEY = 4;
    /// Seed of the model.
    SEED = 5;
    /// 1 + the first step whose loss was not finite; 0: none.
    NOT_FINITE = 6;
    /// In mixed precision, the bits of the float that the loss's gradient is multiplied by: a power of two.
    LOSS_SCALE = 7;

    /// Words per model in `scalars`.
    SCALARS = 8;
    /// Sum of the examples' losses in this epoch.
    LOSS_SUM = 0;
    /// `1 - beta1^t` of the step to come.
    BETA1_CORRECTION = 1;
    /// `1 - beta2^t` of the step to come.
    BETA2_CORRECTION = 2;
    /// Mean loss of the last batch.
    STEP_LOSS = 3;
    /// Accuracy of the last batch.
    STEP_ACCURACY = 4;
    /// Right answers in this epoch.
    CORRECT_SUM = 5;
    /// Factor of the learning rate in the step to come.
    WARMUP = 6;
    /// 1 where the last update was left out, since a gradient was not finite; else 0.
    SKIPPED = 7;

    /// Words per model in `hyper`, which the host writes, between epochs only.
    HYPER = 16;
    /// The epoch's learning rate.
    LEARNING_RATE = 0;
    /// SGD's momentum.
    MOMENTUM = 1;
    /// Adam's beta 1.
    BETA1 = 2;
    /// Adam's beta 2.
    BETA2 = 3;
    /// `1 - beta1`, rounded once from f64: `1 - 0.999` in f32 is off by 5e-5.
    ONE_MINUS_BETA1 = 4;
    /// `1 - beta2`, rounded once from f64.
    ONE_MINUS_BETA2 = 5;
    /// Adam's epsilon.
    EPSILON = 6;
    /// Factor of the penalty `l2 * sum(w^2)`.
    L2 = 7;
    /// PyTorch's weight decay.
    WEIGHT_DECAY = 8;
    /// Largest norm of the gradient; infinite when it is not clipped.
    CLIP_NORM = 9;
    /// Steps over which the learning rate grows linearly.
    WARMUP_STEPS = 10;
    /// The learning rate of AdamW's steps beside Muon's, as a multiple of Muon's.
    ADAM_RATE = 11;
    /// `1 - momentum`, rounded once from f64.
    ONE_MINUS_MOMENTUM = 12;
}

/// The same as a plan says it, by lower-case name.
pub fn slots() -> Slots {
    // A group begins with its number of words.
    let group = |name: &str| -> BTreeMap<String, usize> {
        let slots = SLOTS.iter().skip_while(|(word, _)| *word != name).skip(1);
        let slots = slots.take_while(|(word, _)| !["COUNTERS", "SCALARS", "HYPER"].contains(word));
        slots.map(|(word, slot)| (word.to_ascii_lowercase(), *slot)).collect()
    };
    Slots { counters: group("COUNTERS"), scalars: group("SCALARS"), hyper: group("HYPER") }
}
