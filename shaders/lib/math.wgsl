// Elementary functions whose accuracy does not depend on the driver: WGSL allows tanh an error of 1e-5, and exp one that
// grows with its argument. Within some 2e-7 of the exact value (relative), and NaN for NaN. Their twins are in
// src/backend/cpu/fast/math.rs.
// include: nan.wgsl

// ln 2 in two parts; the first has few enough bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.6933594;
const LN2_LOW: f32 = -2.1219444e-4;
// Beyond these, exp is below the smallest normal number (and counts as 0) or leaves the range of f32.
const EXP_MIN: f32 = -87.33;
const EXP_MAX: f32 = 88.37;

// exp(x + correction) = (1 + parts.x) * parts.y, parts.y a power of two; see exp_sum.
fn exp_parts(x: f32, correction: f32) -> vec2<f32> {
    let low = select(x, EXP_MIN, x < EXP_MIN);
    let clamped = select(low, EXP_MAX, low > EXP_MAX);
    let n = round(clamped * 1.442695);
    let r = clamped - n * LN2_HIGH - n * LN2_LOW + correction;
    let p = 0.4999997 + r * (0.16666254 + r * (0.04167152 + r * (0.00839286 + r * 0.0013765021)));
    return vec2(r + r * r * p, bitcast<f32>((i32(n) + 127) << 23u));
}

// exp(x + correction) for a correction of at most 0.1, which may carry digits that `x` has no room for.
fn exp_sum(x: f32, correction: f32) -> f32 {
    let parts = exp_parts(x, correction);
    let y = select((1.0 + parts.x) * parts.y, 0.0, x < EXP_MIN);
    return select(y, x, is_nan(x));
}

// exp(x): 0 below the smallest normal number, and 2.4e38 from 88.37 on.
fn exp_of(x: f32) -> f32 {
    return exp_sum(x, 0.0);
}

// exp(x) - 1 for x <= 0.
fn expm1_of(x: f32) -> f32 {
    let parts = exp_parts(x, 0.0);
    return select(parts.x * parts.y + (parts.y - 1.0), x, is_nan(x));
}

// ln(1 + x) for x >= 0.
fn log1p_of(x: f32) -> f32 {
    // Small x: 2 atanh(x / (2 + x)). Else 1 + x = m * 2^e with m around 1, and the same series for m.
    let large = x > 1.0;
    let bits = bitcast<u32>(1.0 + x) - 0x3f3504f3u;
    let e = f32(bitcast<i32>(bits) >> 23u);
    let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
    let t = select(x / (2.0 + x), (m - 1.0) / (m + 1.0), large);
    let z = t * t;
    let series = t + t * z * (0.33333203 + z * (0.20010974 + z * (0.1399733 + z * 0.14024164)));
    return select(0.0, e * LN2_HIGH, large) + (select(0.0, e * LN2_LOW, large) + 2.0 * series);
}

// 1 / (1 + exp(-x)), and 1 minus it; from exp(-|x|), which cannot overflow.
fn sigmoid_pair(x: f32) -> vec2<f32> {
    let e = exp_of(-abs(x));
    let pair = vec2(1.0, e) / (1.0 + e);
    return select(pair, pair.yx, x < 0.0);
}

// tanh(ln(1 + exp(x))), and its derivative; from exp(-|x|), which cannot overflow.
fn mish_pair(x: f32) -> vec2<f32> {
    let e = exp_of(-abs(x));
    if x < 0.0 {
        let d = 2.0 + e * (2.0 + e);
        return vec2(e * (2.0 + e) / d, 4.0 * e * (1.0 + e) / (d * d));
    }
    let d = 1.0 + 2.0 * e * (1.0 + e);
    return vec2((1.0 + 2.0 * e) / d, 4.0 * e * e * (1.0 + e) / (d * d));
}

fn tanh_of(x: f32) -> f32 {
    let e = exp_of(-2.0 * abs(x));
    let z = x * x;
    let series = z * (-0.3333326 + z * (0.13330831 + z * (-0.05368802 + z * (0.02046941 + z * -0.0055151545))));
    let large = 1.0 - 2.0 * e / (1.0 + e);
    return select(x * (1.0 + series), select(large, -large, x < 0.0), abs(x) > 0.64);
}

// The normal distribution function at x, and its density there. The function keeps its relative accuracy far into the
// negative tail, where 1 + erf would have cancelled to 0.
fn normal(x: f32) -> vec2<f32> {
    // Beyond 14 the tail is 0 in f32.
    let t = select(abs(x), 14.0, abs(x) > 14.0);
    // exp(-t^2 / 2), with t^2 in two parts: the square of the upper half of t's bits is exact.
    let high = bitcast<f32>(bitcast<u32>(t) & 0xfffff000u);
    let bell = exp_sum(-0.5 * high * high, -0.5 * (t - high) * (t + high));
    // (1 + t) * tail / bell is smooth in u.
    let u = (t - 3.0) / (t + 3.0);
    var ratio = -6.492811e-5;
    ratio = -0.0004483679 + u * ratio;
    ratio = -0.0002624355 + u * ratio;
    ratio = 0.0029964026 + u * ratio;
    ratio = 0.0011278241 + u * ratio;
    ratio = -0.022729915 + u * ratio;
    ratio = 0.045168348 + u * ratio;
    ratio = -0.016432043 + u * ratio;
    ratio = -0.09652693 + u * ratio;
    ratio = 0.48605578 + u * ratio;
    let tail = bell * ratio / (1.0 + t);
    return vec2(select(1.0 - tail, tail, x < 0.0), bell * 0.3989423);
}
