// include: step_state.wgsl

// Real rows of a batch: the last one of an epoch may be partly empty. `taken` is the model's counter BATCH.
fn batch_rows(batch: u32, examples: u32, taken: u32) -> u32 {
    return min(batch, examples - min(examples, taken * batch));
}
