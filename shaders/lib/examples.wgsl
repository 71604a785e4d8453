// Which example has a place in the epoch's order, where its features lie, and how they are scaled. The including shader
// declares the bindings subtract and divide, and params with examples, window and add.
// The data holds so many sets of `examples`, one after the other; a model takes set `model % FOLDS`.
const FOLDS = 1u;
const SHUFFLE = 1u;
// 0: the data holds all examples; 1: a window of them in the epoch's order, one such window for each model if the examples
// are shuffled, else for each fold.
const STREAMED = 0u;
const PER_FEATURE = 0u;

// include: permute.wgsl

fn example_at(position: u32, key: u32, model: u32) -> u32 {
    let first = model % FOLDS * params.examples;
    if SHUFFLE == 1u {
        return first + permute(position, params.examples, key);
    }
    return first + position;
}

// The row of the data with the example at a place in the order of a model. Windows follow each other without a gap, so the
// place alone tells the row.
fn data_row(position: u32, example: u32, model: u32) -> u32 {
    if STREAMED == 0u {
        return example;
    }
    let order = select(model % FOLDS, model, SHUFFLE == 1u);
    return order * params.window + position % params.window;
}

fn scaled(value: f32, feature: u32) -> f32 {
    let i = select(0u, feature, PER_FEATURE == 1u);
    return (value - subtract[i]) / divide[i] + params.add;
}
