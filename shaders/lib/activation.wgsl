// Activations and their derivatives. Codes are those of `Activation::code` in src/recipe.
// include: math.wgsl
const LINEAR: u32 = 0;
const RELU: u32 = 1;
const LEAKY_RELU: u32 = 2;
const TANH: u32 = 3;
const SIGMOID: u32 = 4;
const GELU: u32 = 5;
const SILU: u32 = 6;

const LEAKY_SLOPE: f32 = 0.01;

fn activate(x: f32, kind: u32) -> f32 {
    switch kind {
        // Not `max`, nor what a compiler makes one of: it may turn NaN into 0 and hide it.
        case RELU: { return select(x, 0.0, x <= 0.0 && !is_nan(x)); }
        case LEAKY_RELU: { return select(x, LEAKY_SLOPE * x, x <= 0.0); }
        case TANH: { return tanh_of(x); }
        case SIGMOID: { return sigmoid_pair(x).x; }
        case GELU: { return x * normal(x).x; }
        case SILU: { return x * sigmoid_pair(x).x; }
        default: { return x; }
    }
}

// The derivative, from what the forward pass saved: the output for the activations whose derivative follows from it
// (linear to sigmoid), the input for the others.
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
        default: { return 1.0; }
    }
}
