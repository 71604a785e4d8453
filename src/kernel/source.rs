//! From a shader's file to the text a device compiles: includes and constants filled in.

use super::Kernel;

/// Files under `shaders/lib/`, for `// include: NAME` lines.
const LIBRARY: &[(&str, &str)] = &[
    ("activation.wgsl", include_str!("../../shaders/lib/activation.wgsl")),
    ("adam_rule.wgsl", include_str!("../../shaders/lib/adam_rule.wgsl")),
    ("batch.wgsl", include_str!("../../shaders/lib/batch.wgsl")),
    ("conv2d_shape.wgsl", include_str!("../../shaders/lib/conv2d_shape.wgsl")),
    ("dense_layers.wgsl", include_str!("../../shaders/lib/dense_layers.wgsl")),
    ("direct_weights.wgsl", include_str!("../../shaders/lib/direct_weights.wgsl")),
    ("examples.wgsl", include_str!("../../shaders/lib/examples.wgsl")),
    ("finish.wgsl", include_str!("../../shaders/lib/finish.wgsl")),
    ("fused_update.wgsl", include_str!("../../shaders/lib/fused_update.wgsl")),
    ("grid.wgsl", include_str!("../../shaders/lib/grid.wgsl")),
    ("hash.wgsl", include_str!("../../shaders/lib/hash.wgsl")),
    ("math.wgsl", include_str!("../../shaders/lib/math.wgsl")),
    ("matmul_tile.wgsl", include_str!("../../shaders/lib/matmul_tile.wgsl")),
    ("max_window.wgsl", include_str!("../../shaders/lib/max_window.wgsl")),
    ("optimizer.wgsl", include_str!("../../shaders/lib/optimizer.wgsl")),
    ("penalty.wgsl", include_str!("../../shaders/lib/penalty.wgsl")),
    ("permute.wgsl", include_str!("../../shaders/lib/permute.wgsl")),
    ("pool_shape.wgsl", include_str!("../../shaders/lib/pool_shape.wgsl")),
    ("reduce.wgsl", include_str!("../../shaders/lib/reduce.wgsl")),
    ("rows.wgsl", include_str!("../../shaders/lib/rows.wgsl")),
    ("sgd_rule.wgsl", include_str!("../../shaders/lib/sgd_rule.wgsl")),
    ("softmax_loss.wgsl", include_str!("../../shaders/lib/softmax_loss.wgsl")),
    ("step_state.wgsl", include_str!("../../shaders/lib/step_state.wgsl")),
];

/// The complete WGSL of a kernel with the given constants. A line `// include: NAME` becomes the text of
/// `shaders/lib/NAME`, once; a line `const NAME = …u;` takes the constant's value. Text, not pipeline overrides: an array in a
/// function cannot be sized by an override, and a constant in the text is folded by every compiler.
pub fn shader_source(kernel: &Kernel, constants: &[(&str, u32)]) -> String {
    let mut text = String::new();
    expand(kernel.wgsl, constants, &mut Vec::new(), &mut text);
    text
}

fn expand(source: &str, constants: &[(&str, u32)], included: &mut Vec<&'static str>, text: &mut String) {
    for line in source.lines() {
        if let Some(name) = line.strip_prefix("// include: ") {
            let (file, content) = LIBRARY
                .iter()
                .find(|(file, _)| *file == name.trim())
                .unwrap_or_else(|| unreachable!("shaders/lib/{name} is not listed in kernel/source.rs"));
            if !included.contains(file) {
                included.push(file);
                expand(content, constants, included, text);
            }
            continue;
        }
        let constant = line.strip_prefix("const ").and_then(|rest| {
            let name = rest.split([' ', ':', '=']).next()?;
            constants.iter().find(|(n, _)| *n == name)
        });
        match constant {
            Some((name, value)) => text.push_str(&format!("const {name} = {value}u;")),
            None => text.push_str(line),
        }
        text.push('\n');
    }
}
