// output[r] = the image input[r] as this epoch shows it: flipped, turned and scaled about its middle, moved, brighter or
// darker, with more or less contrast, with a rectangle blackened
//
// Each change is drawn from a hash of the model's seed, the epoch, the example and the change, so that nothing else decides
// it. input, output (models, rows, channels, height, width), of scaled features; indices (models, rows): the examples.
// Outside of the image all is black, which is what scaling makes of 0. A workgroup takes one image; grid linear over the
// rows, z over models. Its twin is src/kernel/step/augment.rs.
struct Params {
    rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    flips: u32,         // bit 0: columns may change their order; bit 1: rows
    translate: u32,     // most pixels that the image moves in each direction
    angle: f32,         // largest angle, in half turns
    scale_low: f32,
    scale_high: f32,
    brightness: f32,
    contrast: f32,
    erase_low: u32,     // pixels of the smallest rectangle
    erase_high: u32,    // and of the largest; 0: none
    add: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> counters: array<u32>;
@group(0) @binding(4) var<storage, read> subtract: array<f32>;
@group(0) @binding(5) var<storage, read> divide: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;

const PER_FEATURE = 0u;
// 1: images are turned or scaled, so that pixels lie between others; 0: all pixels are copies.
const WARP = 0u;
const BRIGHTNESS = 0u;
const CONTRAST = 0u;

const REDUCE_THREADS = 128u;

// include: grid.wgsl
// include: hash.wgsl
// include: reduce.wgsl
// include: step_state.wgsl

// What the hash of a change starts from.
const AUGMENT = 0x6175676du;
const FLIP_COLUMNS = 0u;
const FLIP_ROWS = 1u;
const MOVE_ROWS = 2u;
const MOVE_COLUMNS = 3u;
const TURN = 4u;
const ENLARGE = 5u;
const BRIGHTEN = 6u;
const CONTRAST_FACTOR = 7u;
const ERASE = 8u;
const ERASE_AREA = 9u;
const ERASE_HEIGHT = 10u;
const ERASE_TOP = 11u;
const ERASE_LEFT = 12u;

// A whole number below `count`.
fn draw_below(key: u32, change: u32, count: u32) -> u32 {
    return combine(key, change) % count;
}

// A number from `low` to `high`.
fn draw_between(key: u32, change: u32, low: f32, high: f32) -> f32 {
    return low + f32(combine(key, change) >> 8u) / 16777216.0 * (high - low);
}

// Sine and cosine of an angle in half turns, -1 to 1, to f32's precision, which the built-in ones need not have.
fn sine_cosine(half_turns: f32) -> vec2<f32> {
    let x = half_turns * 1.5707963267948966;
    let y = x * x;
    let s = x * (1.0 + y * (-1.6666667e-1 + y * (8.3333333e-3 + y * (-1.9841270e-4 + y * (2.7557319e-6 - y * 2.5052108e-8)))));
    let c = 1.0 + y * (-0.5 + y * (4.1666667e-2 + y * (-1.3888889e-3 + y * (2.4801587e-5 + y * (-2.7557319e-7 + y * 2.0876757e-9)))));
    return vec2(2.0 * s * c, c * c - s * s);
}

// The largest whole number whose square is not larger.
fn whole_root(number: u32) -> u32 {
    var root = u32(sqrt(f32(number)));
    if root * root > number {
        root -= 1u;
    }
    if (root + 1u) * (root + 1u) <= number {
        root += 1u;
    }
    return root;
}

// Where output pixels come from.
struct Moves {
    flips: vec2<bool>,
    down: f32,
    right: f32,
    // Sine and cosine of the angle, divided by the scale.
    sine: f32,
    cosine: f32,
}

fn draw_moves(key: u32) -> Moves {
    var moves: Moves;
    moves.flips = vec2(
        (params.flips & combine(key, FLIP_COLUMNS) & 1u) != 0u,
        ((params.flips >> 1u) & combine(key, FLIP_ROWS) & 1u) != 0u,
    );
    let places = 2u * params.translate + 1u;
    moves.down = f32(draw_below(key, MOVE_ROWS, places)) - f32(params.translate);
    moves.right = f32(draw_below(key, MOVE_COLUMNS, places)) - f32(params.translate);
    let turn = sine_cosine(draw_between(key, TURN, -params.angle, params.angle));
    let scale = draw_between(key, ENLARGE, params.scale_low, params.scale_high);
    moves.sine = turn.x / scale;
    moves.cosine = turn.y / scale;
    return moves;
}

fn scaled(value: f32, feature: u32) -> f32 {
    let i = select(0u, feature, PER_FEATURE == 1u);
    return (value - subtract[i]) / divide[i] + params.add;
}

fn unscaled(value: f32, feature: u32) -> f32 {
    let i = select(0u, feature, PER_FEATURE == 1u);
    return (value - params.add) * divide[i] + subtract[i];
}

// A pixel of the flipped image whose first feature is `first`; `black` outside.
fn pixel(first: u32, y: i32, x: i32, flips: vec2<bool>, black: f32) -> f32 {
    let size = vec2(i32(params.width), i32(params.height));
    if y < 0 || x < 0 || y >= size.y || x >= size.x {
        return black;
    }
    let at = select(vec2(x, y), size - 1 - vec2(x, y), flips);
    return input[first + u32(at.y) * params.width + u32(at.x)];
}

fn moved(first: u32, y: u32, x: u32, moves: Moves, black: f32) -> f32 {
    if WARP == 0u {
        return pixel(first, i32(y) - i32(moves.down), i32(x) - i32(moves.right), moves.flips, black);
    }
    let middle = vec2(f32(params.width - 1u), f32(params.height - 1u)) / 2.0;
    let from_middle = vec2(f32(x) - moves.right, f32(y) - moves.down) - middle;
    let source = middle + vec2(
        moves.cosine * from_middle.x + moves.sine * from_middle.y,
        moves.cosine * from_middle.y - moves.sine * from_middle.x,
    );
    let corner = floor(source);
    let share = source - corner;
    let at = vec2<i32>(corner);
    let above = mix_values(pixel(first, at.y, at.x, moves.flips, black), pixel(first, at.y, at.x + 1, moves.flips, black), share.x);
    let below = mix_values(
        pixel(first, at.y + 1, at.x, moves.flips, black),
        pixel(first, at.y + 1, at.x + 1, moves.flips, black),
        share.x,
    );
    return mix_values(above, below, share.y);
}

fn mix_values(from_value: f32, to_value: f32, share: f32) -> f32 {
    return from_value + share * (to_value - from_value);
}

// The factor of a change that makes nothing smaller than 0.
fn draw_factor(key: u32, change: u32, most: f32) -> f32 {
    return draw_between(key, change, max(1.0 - most, 0.0), 1.0 + most);
}

// How much a channel counts in an image's mean: as in grey, where there are three.
fn weight(channel: u32) -> f32 {
    if params.channels == 3u {
        return array(0.2989, 0.587, 0.114)[channel];
    }
    return 1.0 / f32(params.channels);
}

// The rectangle that is blackened: its left and upper side, and the first column and row behind it.
fn draw_erased(key: u32) -> vec4<u32> {
    if params.erase_high == 0u || (combine(key, ERASE) & 1u) == 0u {
        return vec4(0u);
    }
    let area = params.erase_low + draw_below(key, ERASE_AREA, params.erase_high - params.erase_low + 1u);
    // Its sides have a ratio of 0.3 to 3.3 where the image has room for that.
    let least = min(max(whole_root(area * 3u / 10u), max(pieces(area, params.width), 1u)), params.height);
    let most = max(least, min(whole_root(area * 33u / 10u), params.height));
    let height = least + draw_below(key, ERASE_HEIGHT, most - least + 1u);
    let width = area / height;
    let top = draw_below(key, ERASE_TOP, params.height - height + 1u);
    let left = draw_below(key, ERASE_LEFT, params.width - width + 1u);
    return vec4(left, top, left + width, top + height);
}

@compute @workgroup_size(REDUCE_THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = linear_group(group, groups);
    if row >= params.rows {
        return;
    }
    let at = group.z * params.rows + row;
    let state = group.z * COUNTERS;
    let of_epoch = combine(combine(AUGMENT, counters[state + SEED]), counters[state + EPOCH]);
    let key = combine(of_epoch, indices[at]);
    let moves = draw_moves(key);
    let erased = draw_erased(key);
    let brightness = draw_factor(key, BRIGHTEN, params.brightness);
    let plane = params.height * params.width;
    let len = params.channels * plane;

    var own = 0.0;
    for (var i = thread; i < len; i += REDUCE_THREADS) {
        let black = scaled(0.0, i);
        let place = row_by_row(i % plane, params.width);
        var value = moved(at * len + i / plane * plane, place.y, place.x, moves, black);
        if BRIGHTNESS == 1u {
            value = mix_values(black, value, brightness);
        }
        if CONTRAST == 1u {
            own += weight(i / plane) * unscaled(value, i);
        } else if all(place >= erased.xy) && all(place < erased.zw) {
            value = black;
        }
        output[at * len + i] = value;
    }
    if CONTRAST == 1u {
        let mean = workgroup_sum(own, thread) / f32(plane);
        let contrast = draw_factor(key, CONTRAST_FACTOR, params.contrast);
        for (var i = thread; i < len; i += REDUCE_THREADS) {
            let place = row_by_row(i % plane, params.width);
            let is_erased = all(place >= erased.xy) && all(place < erased.zw);
            let value = mix_values(scaled(mean, i), output[at * len + i], contrast);
            output[at * len + i] = select(value, scaled(0.0, i), is_erased);
        }
    }
}
