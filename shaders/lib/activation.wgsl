// Activations and their derivatives. Codes are those of `Activation::code` in src/recipe.
// include: math.wgsl
const LINEAR: u32 = 0;
const RELU: u32 = 1;
const LEAKY_RELU: u32 = 2;
const TANH: u32 = 3;
const SIGMOID: u32 = 4;
const GELU: u32 = 5;
const SILU: u32 = 6;
const ELU: u32 = 8;
const SOFTPLUS: u32 = 9;
const HARD_SWISH: u32 = 10;
const MISH: u32 = 11;
const RELU6: u32 = 12;

const LEAKY_SLOPE: f32 = 0.01;

// min(max(x, 0), 6). Not by `min` and `max`, nor what a compiler makes one of: they may turn NaN into a number and hide it.
fn clamp_to_six(x: f32) -> f32 {
    return select(select(x, 6.0, x >= 6.0 && !is_nan(x)), 0.0, x <= 0.0 && !is_nan(x));
}

fn activate(x: f32, kind: u32) -> f32 {
    switch kind {
        // Not `max`, nor what a compiler makes one of: it may turn NaN into 0 and hide it.
        case RELU: { return select(x, 0.0, x <= 0.0 && !is_nan(x)); }
        case LEAKY_RELU: { return select(x, LEAKY_SLOPE * x, x <= 0.0); }
        case TANH: { return tanh_of(x); }
        case SIGMOID: { return sigmoid_pair(x).x; }
        case GELU: { return x * normal(x).x; }
        case SILU: { return x * sigmoid_pair(x).x; }
        case ELU: { return select(x, expm1_of(x), x <= 0.0); }
        case SOFTPLUS: { return select(x, 0.0, x <= 0.0 && !is_nan(x)) + log1p_of(exp_of(-abs(x))); }
        case HARD_SWISH: { return x * (clamp_to_six(x + 3.0) / 6.0); }
        case MISH: { return x * mish_pair(x).x; }
        case RELU6: { return clamp_to_six(x); }
        default: { return x; }
    }
}

// The derivative, from what the forward pass saved: the output for the activations whose derivative follows from it
// (linear to sigmoid, ELU, ReLU6), the input for the others.
fn activation_gradient(saved: f32, kind: u32) -> f32 {
    switch kind {
        case RELU: { return select(0.0, 1.0, saved > 0.0); }
        case LEAKY_RELU: { return select(LEAKY_SLOPE, 1.0, saved > 0.0); }
        case TANH: { return 1.0 - saved * saved; }
        case SIGMOID: { return saved * (1.0 - saved); }
        case GELU: {
            let n = normal(saved);
            return n.x + saved * n.y;
        }
        case SILU: {
            let s = sigmoid_pair(saved);
            return s.x * (1.0 + saved * s.y);
        }
        case ELU: { return select(saved + 1.0, 1.0, saved > 0.0); }
        case SOFTPLUS: { return sigmoid_pair(saved).x; }
        case HARD_SWISH: { return select(select(saved / 3.0 + 0.5, 1.0, saved >= 3.0), 0.0, saved <= -3.0); }
        case MISH: {
            let m = mish_pair(saved);
            return m.x + saved * m.y;
        }
        case RELU6: { return select(0.0, 1.0, saved > 0.0 && saved < 6.0); }
        default: { return 1.0; }
    }
}
