// input_gradient[i] = (a[i] + b[i]) * activation'(saved[i])
//
// The gradient of a value that two operations read: a and b are what they give. saved is the value, where ACTIVATION made
// it and its derivative follows from it. a, b, saved, input_gradient (models, len). A thread per element; grid linear over
// groups of 256, z over models.
struct Params {
    len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;

const ACTIVATION = 0u;

// include: activation.wgsl
// include: grid.wgsl

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let element = linear_group(group, groups) * 256u + thread;
    if element < params.len {
        let i = group.z * params.len + element;
        var sum = a[i] + b[i];
        if ACTIVATION != LINEAR {
            sum *= activation_gradient(saved[i], ACTIVATION);
        }
        input_gradient[i] = sum;
    }
}
