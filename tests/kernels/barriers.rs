//! Workgroup memory is guarded by barriers, and every thread reaches each: whether or not a device shows it.

use crate::lint;
use gputrain::kernel::{REGISTRY, Specification, shader_source};
use std::collections::{BTreeMap, BTreeSet};

fn problems(source: &str) -> BTreeSet<String> {
    let module = naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
    lint::problems(&module)
}

/// The shader of every variant that a case uses, its loops as loops: written out they do the same.
fn sources(specification: &Specification) -> BTreeSet<String> {
    let source = |constants: &[(&'static str, u32)]| {
        let constants: Vec<_> = constants.iter().copied().filter(|(name, _)| *name != "UNROLL").collect();
        shader_source(specification.kernel, &constants)
    };
    (specification.cases)().iter().map(|case| source(&case.dispatch.constants)).collect()
}

#[test]
fn no_shader_races_or_diverges_at_a_barrier() {
    for specification in REGISTRY {
        for source in sources(specification) {
            let problems = problems(&source);
            assert!(problems.is_empty(), "{specification:?}: {problems:#?}");
        }
    }
}

#[test]
fn every_barrier_is_missed_by_some_shader_when_it_is_gone() {
    const BARRIER: &str = "workgroupBarrier();";
    // By the lines around it, since one in a shared file comes in several shaders.
    let mut missed: BTreeMap<[String; 2], bool> = BTreeMap::new();
    for source in REGISTRY.iter().flat_map(|specification| sources(specification)) {
        for (at, _) in source.match_indices(BARRIER) {
            let (before, after) = (&source[..at], &source[at + BARRIER.len()..]);
            let lines = |text: &mut dyn Iterator<Item = &str>| text.take(4).collect::<Vec<_>>().join("\n");
            let place = [lines(&mut before.lines().rev()), lines(&mut after.lines())];
            let missed = missed.entry(place).or_default();
            *missed = *missed || !problems(&format!("{before}{after}")).is_empty();
        }
    }
    assert!(missed.len() > 4, "{missed:#?}");
    let idle: Vec<_> = missed.into_iter().filter(|(_, missed)| !missed).map(|(place, _)| place).collect();
    assert!(idle.is_empty(), "nothing misses the barriers between {idle:#?}");
}

/// A shader around some statements.
fn shader(body: &str) -> String {
    format!(
        "@group(0) @binding(1) var<storage, read> input: array<f32>;
         @group(0) @binding(2) var<storage, read_write> output: array<f32>;
         var<workgroup> shared_values: array<f32, 64>;
         var<workgroup> halves: array<array<f32, 64>, 2>;
         @compute @workgroup_size(64)
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {{ {body} }}"
    )
}

#[test]
fn a_barrier_that_some_threads_miss_is_found() {
    for body in [
        "if thread < 3u { workgroupBarrier(); }",
        "if thread < 3u { return; } workgroupBarrier();",
        "for (var i = 0u; i < thread; i++) { workgroupBarrier(); }",
        "for (var i = 0u; i < 9u; i++) { if thread == i { break; } workgroupBarrier(); }",
        "var n = 2u; if thread == 1u { n = 3u; } if n == 3u { workgroupBarrier(); }",
        "if output[0] > 0.0 { workgroupBarrier(); }",
        "if input[thread] > 0.0 { workgroupBarrier(); }",
        "switch thread { case 0u: { workgroupBarrier(); } default: {} }",
    ] {
        assert_eq!(problems(&shader(body)).len(), 1, "{body}");
    }
    for body in [
        "if group.x < 3u { workgroupBarrier(); }",
        "if group.x < 3u { return; } workgroupBarrier();",
        "if input[group.x] > 0.0 { workgroupBarrier(); }",
        "for (var i = 0u; i < 9u; i++) { if i == 4u { continue; } workgroupBarrier(); }",
        "for (var i = 0u; i < thread; i++) { output[i] = 1.0; } workgroupBarrier();",
    ] {
        assert_eq!(problems(&shader(body)), BTreeSet::new(), "{body}");
    }
}

#[test]
fn an_access_to_what_another_thread_writes_is_found() {
    for body in [
        "shared_values[thread] = 1.0; output[thread] = shared_values[63u - thread];",
        "shared_values[thread] = 1.0; output[thread] = shared_values[0];",
        "shared_values[0] = 1.0; output[thread] = shared_values[0];",
        "shared_values[thread] += shared_values[thread + 1u];",
        "let x = shared_values[thread + 1u]; shared_values[thread] = x + input[0];  shared_values[thread] = 0.0;",
        "for (var i = 0u; i < 4u; i++) { shared_values[thread] = 1.0; workgroupBarrier(); output[i] = shared_values[i]; }",
        "halves[group.x][thread] = halves[group.x][63u - thread];",
        "halves[group.x][thread] = halves[2u - group.x][63u - thread];",
        "halves[1][thread] = halves[1][63u - thread];",
        "var i = group.x; output[0] = halves[i][63u - thread]; i = 1u - i; halves[1u - i][thread] = 1.0;",
    ] {
        assert!(!problems(&shader(body)).is_empty(), "{body}");
    }
    for body in [
        "shared_values[thread] = 1.0; output[thread] = shared_values[thread];",
        "shared_values[thread] = 1.0; workgroupBarrier(); output[thread] = shared_values[0];",
        "if thread < 32u { shared_values[thread] += shared_values[thread + 32u]; }",
        "halves[1u - group.x][thread] = halves[group.x][63u - thread];",
        "halves[1][thread] = halves[0][63u - thread];",
    ] {
        assert_eq!(problems(&shader(body)), BTreeSet::new(), "{body}");
    }
}
