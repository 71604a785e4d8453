// Activations and their derivatives. Codes are those of `Activation::code` in src/recipe.
const LINEAR: u32 = 0;
const RELU: u32 = 1;
const LEAKY_RELU: u32 = 2;
const TANH: u32 = 3;
const SIGMOID: u32 = 4;
const GELU: u32 = 5;
const SILU: u32 = 6;

const LEAKY_SLOPE: f32 = 0.01;

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -87.0, 87.0)));
}

fn activate(x: f32, kind: u32) -> f32 {
    switch kind {
        case RELU: { return max(x, 0.0); }
        case LEAKY_RELU: { return select(LEAKY_SLOPE * x, x, x > 0.0); }
        // Some drivers compute tanh from exp(2x) and overflow: beyond 15 it is 1 in f32 anyway.
        case TANH: { return tanh(clamp(x, -15.0, 15.0)); }
        case SIGMOID: { return sigmoid(x); }
        case SILU: { return x * sigmoid(x); }
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
        case SILU: {
            let s = sigmoid(saved);
            return s * (1.0 + saved * (1.0 - s));
        }
        default: { return 1.0; }
    }
}
