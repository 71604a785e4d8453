// What becomes of a sum of a convolution. As an output it gets the bias of its channel and goes through the activation; as a
// gradient it is multiplied by the derivative of the activation at what was saved. The including shader declares params and the
// binding bias_or_saved: (channels) for each model, parameter_stride apart, or as large as the results.
const ACTIVATION = 0u;
const GRADIENT = 0u;
const BIAS = 0u;

// include: activation.wgsl

// `channel` is among those of all groups, `index` among all results.
fn finished(sum: f32, model: u32, channel: u32, index: u32) -> f32 {
    if GRADIENT == 1u {
        if ACTIVATION != LINEAR {
            return sum * activation_gradient(bias_or_saved[index], ACTIVATION);
        }
        return sum;
    }
    var z = sum;
    if BIAS == 1u {
        z += bias_or_saved[model * params.parameter_stride + channel];
    }
    return activate(z, ACTIVATION);
}
