// Which example has a place in the epoch's order, and how features are scaled. The including shader declares the bindings
// subtract and divide, and params with examples and add.
const SHUFFLE = 1u;
const PER_FEATURE = 0u;

// include: permute.wgsl

fn example_at(position: u32, key: u32) -> u32 {
    if SHUFFLE == 1u {
        return permute(position, params.examples, key);
    }
    return position;
}

fn scaled(value: f32, feature: u32) -> f32 {
    let i = select(0u, feature, PER_FEATURE == 1u);
    return (value - subtract[i]) / divide[i] + params.add;
}
