// Slots of weight_sums, WEIGHT_SUMS floats per model; their twins are in src/kernel/loss/weights.rs, held together by a test.
const WEIGHT_SUMS: u32 = 4;
const BATCH_WEIGHT: u32 = 0;    // sum of the weights of the batch's examples
const UPDATE_WEIGHT: u32 = 1;   // the same of all batches of an update
const EPOCH_WEIGHT: u32 = 2;    // the same of the epoch's batches so far
const EPOCH_LOSS: u32 = 3;      // sum of those batches' losses times their weights
