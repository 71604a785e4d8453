// Sum over a workgroup in a fixed order. The including shader defines `const REDUCE_THREADS`, a power of two equal to
// its workgroup size.
var<workgroup> reduce_scratch: array<f32, REDUCE_THREADS>;

// Returns the sum of every thread's `value`, to every thread. Contains barriers: call it in uniform control flow.
fn workgroup_sum(value: f32, thread: u32) -> f32 {
    workgroupBarrier();
    reduce_scratch[thread] = value;
    for (var stride = REDUCE_THREADS / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if thread < stride {
            reduce_scratch[thread] += reduce_scratch[thread + stride];
        }
    }
    workgroupBarrier();
    return reduce_scratch[0];
}
