// The number of a workgroup in a grid that was split over x and y (linear_grid in src/kernel/mod.rs). The last row may
// run past the end: callers guard.
fn linear_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
