// Slots of the per-model step state; the same names and numbers are in src/kernel/step/state.rs, held together by a test.

// counters: array<u32>, COUNTERS words per model.
const COUNTERS: u32 = 8;
const STEP: u32 = 0;        // optimizer steps taken so far
const EPOCH: u32 = 1;       // epochs begun so far, minus one
const BATCH: u32 = 2;       // batches taken in this epoch
const SEEN: u32 = 3;        // examples in this epoch
const KEY: u32 = 4;         // key of this epoch's permutation
const SEED: u32 = 5;        // seed of the model
const NOT_FINITE: u32 = 6;  // 1 + the first step whose loss was not finite; 0: none
const LOSS_SCALE: u32 = 7;  // in mixed precision, the bits of the float that the loss's gradient is multiplied by

// scalars: array<f32>, SCALARS words per model.
const SCALARS: u32 = 8;
const LOSS_SUM: u32 = 0;            // sum of the examples' losses in this epoch
const BETA1_CORRECTION: u32 = 1;    // 1 - beta1^t of the step to come
const BETA2_CORRECTION: u32 = 2;    // 1 - beta2^t of the step to come
const STEP_LOSS: u32 = 3;           // mean loss of the last batch
const STEP_ACCURACY: u32 = 4;       // accuracy of the last batch
const CORRECT_SUM: u32 = 5;         // right answers in this epoch
const WARMUP: u32 = 6;              // factor of the learning rate in the step to come
const SKIPPED: u32 = 7;             // 1 where the last update was left out, since a gradient was not finite

// hyper: array<f32>, HYPER words per model, written by the host between epochs only.
const HYPER: u32 = 16;
const LEARNING_RATE: u32 = 0;
const MOMENTUM: u32 = 1;
const BETA1: u32 = 2;
const BETA2: u32 = 3;
const ONE_MINUS_BETA1: u32 = 4;     // rounded once from f64: 1 - 0.999 in f32 is off by 5e-5
const ONE_MINUS_BETA2: u32 = 5;
const EPSILON: u32 = 6;
const L2: u32 = 7;
const WEIGHT_DECAY: u32 = 8;
const CLIP_NORM: u32 = 9;
const WARMUP_STEPS: u32 = 10;
const ADAM_RATE: u32 = 11;          // what AdamW's steps beside Muon's have for a learning rate, as a multiple of it
const ONE_MINUS_MOMENTUM: u32 = 12;
