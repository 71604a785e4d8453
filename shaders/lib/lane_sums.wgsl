// Sums of products of weights and a block's values, over the depth of a layer. A sum is split over lanes, threads that take
// every so-many-th product each. The including shader declares the binding parameters, and `values`, `partials` and `sums`.

// Four weights from `first` on, `step` apart.
fn weights_at(first: u32, step: u32) -> vec4<f32> {
    return vec4(
        parameters[first],
        parameters[first + step],
        parameters[first + 2u * step],
        parameters[first + 3u * step],
    );
}

// The same, the last of them again for what is behind `last`.
fn weights_until(first: u32, step: u32, last: u32) -> vec4<f32> {
    let at = min(vec4(first) + vec4(0u, 1u, 2u, 3u) * step, vec4(last));
    return vec4(parameters[at.x], parameters[at.y], parameters[at.z], parameters[at.w]);
}

// Four values from `first` on, `step` apart, as the columns of a matrix.
fn values_at(first: u32, step: u32) -> mat4x4<f32> {
    return mat4x4<f32>(values[first], values[first + step], values[first + 2u * step], values[first + 3u * step]);
}

fn value_before(at: u32, end: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), values[min(at, end - 1u)], at < end);
}

// The same, zeros for what is not before `end`.
fn values_before(first: u32, step: u32, end: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        value_before(first, end),
        value_before(first + step, end),
        value_before(first + 2u * step, end),
        value_before(first + 3u * step, end),
    );
}

// This lane's part of a sum over `depth` values from `source` on, times the weights from `start` on, `step` apart.
fn lane_sum(start: u32, step: u32, source: u32, depth: u32, lane: u32, lanes: u32) -> vec4<f32> {
    let stride = lanes * step;
    var sum = vec4<f32>(0.0);
    var d = lane;
    for (; d + 7u * lanes < depth; d += 8u * lanes) {
        let low = weights_at(start + d * step, stride);
        let high = weights_at(start + (d + 4u * lanes) * step, stride);
        sum += values_at(source + d, lanes) * low;
        sum += values_at(source + d + 4u * lanes, lanes) * high;
    }
    if d < depth {
        let last = start + (depth - 1u) * step;
        let end = source + depth;
        let low = weights_until(start + d * step, stride, last);
        let high = weights_until(start + (d + 4u * lanes) * step, stride, last);
        sum += values_before(source + d, lanes, end) * low;
        sum += values_before(source + d + 4u * lanes, lanes, end) * high;
    }
    return sum;
}

// The weights of four outputs at four depths, as the columns of a matrix for each output.
struct Weights {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

fn four_weights(starts: vec4<u32>, depth: u32, lanes: u32) -> Weights {
    let first = starts + vec4(depth);
    return Weights(
        weights_at(first.x, lanes),
        weights_at(first.y, lanes),
        weights_at(first.z, lanes),
        weights_at(first.w, lanes),
    );
}

fn four_weights_until(starts: vec4<u32>, depth: u32, lanes: u32, last: u32) -> Weights {
    let first = starts + vec4(depth);
    let end = starts + vec4(last);
    return Weights(
        weights_until(first.x, lanes, end.x),
        weights_until(first.y, lanes, end.y),
        weights_until(first.z, lanes, end.z),
        weights_until(first.w, lanes, end.w),
    );
}

fn add_products(x: mat4x4<f32>, w: Weights) {
    sums[0] += x * w.a;
    sums[1] += x * w.b;
    sums[2] += x * w.c;
    sums[3] += x * w.d;
}

// The same for four outputs, whose weights begin at `starts` and lie one behind the other, added to `sums`.
fn lane_sums(starts: vec4<u32>, source: u32, depth: u32, lane: u32, lanes: u32) {
    var d = lane;
    for (; d + 7u * lanes < depth; d += 8u * lanes) {
        let low = four_weights(starts, d, lanes);
        let high = four_weights(starts, d + 4u * lanes, lanes);
        add_products(values_at(source + d, lanes), low);
        add_products(values_at(source + d + 4u * lanes, lanes), high);
    }
    if d < depth {
        let end = source + depth;
        let low = four_weights_until(starts, d, lanes, depth - 1u);
        let high = four_weights_until(starts, d + 4u * lanes, lanes, depth - 1u);
        add_products(values_before(source + d, lanes, end), low);
        add_products(values_before(source + d + 4u * lanes, lanes, end), high);
    }
}

// Adds up `count` parts, `step` apart.
fn sum_of_parts(first: u32, count: u32, step: u32) -> vec4<f32> {
    var sum = partials[first];
    for (var part = 1u; part < count; part++) {
        sum += partials[first + part * step];
    }
    return sum;
}
