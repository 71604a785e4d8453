//! From a shader's file to the text a device compiles: includes and constants filled in.

use crate::ir::Kernel;
use std::collections::HashMap;

/// Files under `shaders/lib/`, for `// include: NAME` lines.
const LIBRARY: &[(&str, &str)] = &[
    ("activation.wgsl", include_str!("../../shaders/lib/activation.wgsl")),
    ("adam_rule.wgsl", include_str!("../../shaders/lib/adam_rule.wgsl")),
    ("batch.wgsl", include_str!("../../shaders/lib/batch.wgsl")),
    ("channel_sums.wgsl", include_str!("../../shaders/lib/channel_sums.wgsl")),
    ("conv2d_backward_input.wgsl", include_str!("../../shaders/lib/conv2d_backward_input.wgsl")),
    ("conv2d_backward_weight.wgsl", include_str!("../../shaders/lib/conv2d_backward_weight.wgsl")),
    ("conv2d_epilogue.wgsl", include_str!("../../shaders/lib/conv2d_epilogue.wgsl")),
    ("conv2d_forward.wgsl", include_str!("../../shaders/lib/conv2d_forward.wgsl")),
    ("conv2d_shape.wgsl", include_str!("../../shaders/lib/conv2d_shape.wgsl")),
    ("conv2d_weight_shape.wgsl", include_str!("../../shaders/lib/conv2d_weight_shape.wgsl")),
    ("dense_layers.wgsl", include_str!("../../shaders/lib/dense_layers.wgsl")),
    ("direct_weights.wgsl", include_str!("../../shaders/lib/direct_weights.wgsl")),
    ("dense_backward_input.wgsl", include_str!("../../shaders/lib/dense_backward_input.wgsl")),
    ("dense_backward_weight.wgsl", include_str!("../../shaders/lib/dense_backward_weight.wgsl")),
    ("dense_forward.wgsl", include_str!("../../shaders/lib/dense_forward.wgsl")),
    ("embedding.wgsl", include_str!("../../shaders/lib/embedding.wgsl")),
    ("examples.wgsl", include_str!("../../shaders/lib/examples.wgsl")),
    ("finite.wgsl", include_str!("../../shaders/lib/finite.wgsl")),
    ("finish.wgsl", include_str!("../../shaders/lib/finish.wgsl")),
    ("fused_update.wgsl", include_str!("../../shaders/lib/fused_update.wgsl")),
    ("grid.wgsl", include_str!("../../shaders/lib/grid.wgsl")),
    ("hash.wgsl", include_str!("../../shaders/lib/hash.wgsl")),
    ("lane_sums.wgsl", include_str!("../../shaders/lib/lane_sums.wgsl")),
    ("loss_scale.wgsl", include_str!("../../shaders/lib/loss_scale.wgsl")),
    ("math.wgsl", include_str!("../../shaders/lib/math.wgsl")),
    ("matmul_cooperative.wgsl", include_str!("../../shaders/lib/matmul_cooperative.wgsl")),
    ("matmul_f16.wgsl", include_str!("../../shaders/lib/matmul_f16.wgsl")),
    ("matmul_registers.wgsl", include_str!("../../shaders/lib/matmul_registers.wgsl")),
    ("matmul_staging.wgsl", include_str!("../../shaders/lib/matmul_staging.wgsl")),
    ("matmul_sums.wgsl", include_str!("../../shaders/lib/matmul_sums.wgsl")),
    ("matmul_tile.wgsl", include_str!("../../shaders/lib/matmul_tile.wgsl")),
    ("max_window.wgsl", include_str!("../../shaders/lib/max_window.wgsl")),
    ("nan.wgsl", include_str!("../../shaders/lib/nan.wgsl")),
    ("muon_place.wgsl", include_str!("../../shaders/lib/muon_place.wgsl")),
    ("optimizer.wgsl", include_str!("../../shaders/lib/optimizer.wgsl")),
    ("penalty.wgsl", include_str!("../../shaders/lib/penalty.wgsl")),
    ("permute.wgsl", include_str!("../../shaders/lib/permute.wgsl")),
    ("pool_shape.wgsl", include_str!("../../shaders/lib/pool_shape.wgsl")),
    ("reduce.wgsl", include_str!("../../shaders/lib/reduce.wgsl")),
    ("rows.wgsl", include_str!("../../shaders/lib/rows.wgsl")),
    ("sgd_rule.wgsl", include_str!("../../shaders/lib/sgd_rule.wgsl")),
    ("skipped.wgsl", include_str!("../../shaders/lib/skipped.wgsl")),
    ("softmax_loss.wgsl", include_str!("../../shaders/lib/softmax_loss.wgsl")),
    ("step_state.wgsl", include_str!("../../shaders/lib/step_state.wgsl")),
    ("weight_sums.wgsl", include_str!("../../shaders/lib/weight_sums.wgsl")),
    ("upsample_shape.wgsl", include_str!("../../shaders/lib/upsample_shape.wgsl")),
    ("value_loss.wgsl", include_str!("../../shaders/lib/value_loss.wgsl")),
];

/// The complete WGSL of a kernel with the given constants. A line `// include: NAME` becomes the text of
/// `shaders/lib/NAME`, once; a line `const NAME = …u;` takes the constant's value. Text, not pipeline overrides: an array in a
/// function cannot be sized by an override, and a constant in the text is folded by every compiler. With the constant
/// UNROLL at 1, the loops under `// unroll` lines are written out. Types cannot be sized by a constant, so a constant MATRIX also
/// takes the place of both sizes in `alias … = coop_mat8x8<…>;` lines, and a constant WIDTH of 4 makes a vector of the type in
/// `alias … = …; // WIDTH of them` lines. `enable` lines move to the top.
pub fn shader_source(kernel: &Kernel, constants: &[(&str, u32)]) -> String {
    source_within(kernel, constants, usize::MAX)
}

/// Whether a text is the complete WGSL of a kernel with these constants, whatever they are: no loop is written out longer than
/// the text.
pub(crate) fn has_source(kernel: &Kernel, constants: &[(&str, u32)], text: &str) -> bool {
    source_within(kernel, constants, text.len()) == text
}

/// A constant's name as it stands in the text of a kernel; nothing where there is no such constant.
pub(crate) fn constant_name(kernel: &Kernel, name: &str) -> Option<&'static str> {
    let mut sources = vec![kernel.wgsl];
    let mut next = 0;
    while let Some(source) = sources.get(next).copied() {
        for line in source.lines() {
            match (line.strip_prefix("// include: "), declared(line)) {
                (_, Some(found)) if found == name => return Some(found),
                (Some(file), _) => {
                    sources.extend(library(file).map(|(_, text)| text).filter(|text| !sources.contains(text)))
                }
                _ => {}
            }
        }
        next += 1;
    }
    None
}

/// The name of the constant that a line declares.
fn declared(line: &str) -> Option<&str> {
    line.strip_prefix("const ")?.split([' ', ':', '=']).next()
}

/// A file of the library.
fn library(name: &str) -> Option<(&'static str, &'static str)> {
    LIBRARY.iter().copied().find(|(file, _)| *file == name.trim())
}

/// The complete WGSL; some of its beginning where it is longer than so many bytes.
fn source_within(kernel: &Kernel, constants: &[(&str, u32)], most: usize) -> String {
    let mut text = String::new();
    expand(kernel.wgsl, constants, &mut Vec::new(), &mut text);
    let (enables, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("enable "));
    if !enables.is_empty() {
        text = enables.iter().chain(&rest).flat_map(|line| [line, "\n"]).collect();
    }
    if constants.contains(&("UNROLL", 1)) { Unroller::new(&text, most).unroll(&text) } else { text }
}

/// Writes out loops.
struct Unroller<'a> {
    /// The text's `const NAME = …u;` lines.
    constants: HashMap<&'a str, u32>,
    /// Bytes after which it ends.
    most: usize,
}

impl<'a> Unroller<'a> {
    fn new(text: &'a str, most: usize) -> Self {
        let constant = |line: &'a str| {
            let (name, value) = line.strip_prefix("const ")?.split_once(" = ")?;
            Some((name, value.strip_suffix("u;")?.parse().ok()?))
        };
        Unroller { constants: text.lines().filter_map(constant).collect(), most }
    }

    fn unroll(&self, text: &str) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let mut unrolled = String::with_capacity(2 * text.len());
        self.write(&lines, &mut unrolled);
        unrolled
    }

    /// Copies lines, but writes out `for (var i = 0u; i < COUNT; i++) {` loops under `// unroll` lines: a block for each
    /// turn, in which the counter is a constant. Loops of another form stay loops.
    fn write(&self, lines: &[&str], text: &mut String) {
        let mut index = 0;
        while index < lines.len() && text.len() <= self.most {
            let marked = lines[index].trim() == "// unroll";
            if let Some((counter, turns, end)) = marked.then(|| self.counted_loop(lines, index + 1)).flatten() {
                let indent = &lines[index][..indentation(lines[index])];
                for turn in 0..turns {
                    if text.len() > self.most {
                        return;
                    }
                    text.push_str(&format!("{indent}{{\n{indent}    const {counter} = {turn}u;\n"));
                    self.write(&lines[index + 2..end], text);
                    text.push_str(&format!("{indent}}}\n"));
                }
                index = end + 1;
            } else {
                text.push_str(lines[index]);
                text.push('\n');
                index += 1;
            }
        }
    }

    /// The counter, the number of turns and the last line of the loop that starts at a line.
    fn counted_loop<'b>(&self, lines: &[&'b str], start: usize) -> Option<(&'b str, u32, usize)> {
        let header = lines.get(start)?;
        let (counter, rest) = header.trim_start().strip_prefix("for (var ")?.split_once(" = 0u; ")?;
        let rest = rest.strip_prefix(counter)?.strip_prefix(" < ")?;
        let (count, rest) = rest.split_once("; ")?;
        if rest.strip_prefix(counter) != Some("++) {") {
            return None;
        }
        let mut sizes = count.split(" * ").map(|name| self.constants.get(name).copied());
        let turns = sizes.try_fold(1u32, |turns, size| turns.checked_mul(size?));
        let closes = |line: &&str| line.trim() == "}" && indentation(line) == indentation(header);
        let end = start + 1 + lines[start + 1..].iter().position(closes)?;
        Some((counter, turns?, end))
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn expand(source: &str, constants: &[(&str, u32)], included: &mut Vec<&'static str>, text: &mut String) {
    for line in source.lines() {
        if let Some(name) = line.strip_prefix("// include: ") {
            let (file, content) =
                library(name).unwrap_or_else(|| unreachable!("shaders/lib/{name} is not listed in kernel/text.rs"));
            if !included.contains(&file) {
                included.push(file);
                expand(content, constants, included, text);
            }
            continue;
        }
        let constant = declared(line).and_then(|name| constants.iter().find(|(n, _)| *n == name));
        match constant {
            Some((name, value)) => text.push_str(&format!("const {name} = {value}u;")),
            None if line.starts_with("alias ") => text.push_str(&sized(line, constants)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
}

/// A line that names a type, with the sizes that the constants give it.
fn sized(line: &str, constants: &[(&str, u32)]) -> String {
    let constant = |name| constants.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    if let (Some(matrix), true) = (constant("MATRIX"), line.contains("= coop_mat8x8")) {
        return line.replace("8x8", &format!("{matrix}x{matrix}"));
    }
    match (line.split_once(" = "), constant("WIDTH")) {
        (Some((name, rest)), Some(4)) if rest.ends_with("; // WIDTH of them") => {
            format!("{name} = vec4<{}", rest.replacen(';', ">;", 1))
        }
        _ => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::Unroller;

    #[test]
    fn marked_loops_are_written_out() {
        let text = "\
const M = 2u;
const N = M * 2u;
const K = 1u;
fn f() {
    // unroll
    for (var i = 0u; i < M; i++) {
        // unroll
        for (var j = 0u; j < M * K; j++) {
            x[i + j] = 0;
        }
    }
    // unroll
    for (var i = 1u; i < M; i++) {
    }
    // unroll
    for (var i = 0u; i < unknown; i++) {
    }
}
";
        let unrolled = Unroller::new(text, usize::MAX).unroll(text);
        assert_eq!(unrolled.matches("const i = 0u;").count(), 1, "{unrolled}");
        assert_eq!(unrolled.matches("const i = 1u;").count(), 1, "{unrolled}");
        assert_eq!(unrolled.matches("x[i + j] = 0;").count(), 4, "{unrolled}");
        assert_eq!(unrolled.matches("for (").count(), 2, "what is no plain count stays a loop\n{unrolled}");
        assert_eq!(unrolled.matches('{').count(), unrolled.matches('}').count());
    }

    #[test]
    fn every_mark_in_a_shader_stands_over_a_loop_that_can_be_written_out() {
        for specification in crate::kernel::REGISTRY {
            let kernel = specification.kernel;
            let constants = [("UNROLL", 1)];
            assert!(!super::shader_source(kernel, &constants).contains("// unroll"), "{}", kernel.name);
        }
    }
}
