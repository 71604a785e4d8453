//! Holds every shader against its declaration: what naga reads from the WGSL, in every variant that a case uses, equals
//! what the Rust file says.

use gputrain::ir::{Access, Dispatch, Element, Needs, Workgroup};
use gputrain::kernel::step::state;
use gputrain::kernel::{REGISTRY, Specification, shader_source};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, Module, Scalar, ScalarKind, StorageAccess, Type, TypeInner, VectorSize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A launch for every set of constants in a kernel's cases, and for every workgroup that is planned for them.
fn variants(specification: &Specification) -> Vec<Dispatch> {
    let key = |launch: &Dispatch| {
        let Workgroup { threads, bytes } = launch.demands.workgroup;
        (launch.constants.clone(), threads, bytes)
    };
    let launches = (specification.cases)().into_iter().map(|case| case.dispatch);
    let variants: BTreeMap<_, Dispatch> = launches.map(|launch| (key(&launch), launch)).collect();
    variants.into_values().collect()
}

/// Runs a check on every variant of every kernel; its error is reported with their names.
fn for_every_variant(check: impl Fn(&Dispatch, &Module) -> Result<(), String>) {
    let mut wrong = Vec::new();
    for launch in REGISTRY.iter().flat_map(|specification| variants(specification)) {
        let source = shader_source(launch.kernel, &launch.constants);
        let module = naga::front::wgsl::parse_str(&source).map_err(|e| e.emit_to_string(&source));
        if let Err(problem) = module.and_then(|module| check(&launch, &module)) {
            wrong.push(format!("{} {:?}: {problem}", launch.kernel.name, launch.constants));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a device is asked first if its workgroups can be so large.
fn is_tuned(launch: &Dispatch) -> bool {
    launch.kernel.needs == Needs::MatrixUnits || launch.constants.contains(&("STAGES", 2))
}

/// What a workgroup is planned to take, which every launch says that computes tiles.
fn planned(launch: &Dispatch) -> Option<Workgroup> {
    let computes_tiles = launch.constants.iter().any(|(name, _)| *name == "TILE_M");
    let workgroup = launch.demands.workgroup;
    (computes_tiles || workgroup != Workgroup::default()).then_some(workgroup)
}

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

fn scalar(module: &Module, ty: Handle<Type>) -> Option<Element> {
    match module.types[ty].inner {
        TypeInner::Scalar(s) if (s.kind, s.width) == (ScalarKind::Float, 4) => Some(Element::F32),
        // Four at a time.
        TypeInner::Vector { size: VectorSize::Quad, scalar: Scalar::F32 } => Some(Element::F32),
        TypeInner::Scalar(s) if (s.kind, s.width) == (ScalarKind::Uint, 4) => Some(Element::U32),
        _ => None,
    }
}

#[test]
fn every_variant_is_valid_with_the_features_that_it_says_it_needs() {
    for_every_variant(|launch, module| {
        let capabilities = match launch.kernel.needs {
            Needs::Nothing => Capabilities::default(),
            Needs::F16 => Capabilities::SHADER_FLOAT16,
            Needs::MatrixUnits => Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX,
        };
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        validator.validate(module).map(|_| ()).map_err(|e| format!("{:?}", e.into_inner()))
    });
}

#[test]
fn parameter_structs_are_as_declared() {
    for_every_variant(|launch, module| {
        let kernel = launch.kernel;
        let uniforms: Vec<_> =
            module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::Uniform).collect();
        let [(_, variable)] = uniforms[..] else { return Err(format!("{} uniforms, not one", uniforms.len())) };
        let binding = variable.binding.ok_or("the uniform has no binding")?;
        ensure((binding.group, binding.binding) == (0, 0), || "the uniform is not at binding 0 of group 0".into())?;
        ensure(variable.name.as_deref() == Some("params"), || "the uniform is not called params".into())?;
        let TypeInner::Struct { members, span } = &module.types[variable.ty].inner else {
            return Err("params is no struct".into());
        };
        ensure(members.len() == kernel.params.len(), || format!("{} fields", members.len()))?;
        ensure(*span as usize == 4 * kernel.params.len(), || format!("the struct has {span} bytes"))?;
        for (index, (member, field)) in members.iter().zip(kernel.params).enumerate() {
            ensure(member.name.as_deref() == Some(field.name), || format!("{:?} is not {}", member.name, field.name))?;
            ensure(scalar(module, member.ty) == Some(field.element), || format!("type of {}", field.name))?;
            ensure(member.offset as usize == 4 * index, || format!("offset of {}", field.name))?;
        }
        Ok(())
    });
}

#[test]
fn storage_bindings_are_as_declared() {
    for_every_variant(|launch, module| {
        let kernel = launch.kernel;
        let is_storage = |space| matches!(space, AddressSpace::Storage { .. });
        let mut found: Vec<_> =
            module.global_variables.iter().map(|(_, v)| v).filter(|v| is_storage(v.space)).collect();
        found.sort_by_key(|v| v.binding.map_or(u32::MAX, |b| b.binding));
        ensure(found.len() == kernel.bindings.len(), || format!("{} storage bindings", found.len()))?;
        for (index, (variable, declared)) in found.iter().zip(kernel.bindings).enumerate() {
            let place = variable.binding.map(|b| (b.group, b.binding));
            ensure(place == Some((0, index as u32 + 1)), || format!("{} is at {place:?}", declared.name))?;
            ensure(variable.name.as_deref() == Some(declared.name), || {
                format!("binding {} is {:?}, not {}", index + 1, variable.name, declared.name)
            })?;
            let access = match declared.access {
                Access::Read => StorageAccess::LOAD,
                Access::ReadWrite => StorageAccess::LOAD | StorageAccess::STORE,
            };
            ensure(variable.space == AddressSpace::Storage { access }, || format!("access to {}", declared.name))?;
            let TypeInner::Array { base, .. } = module.types[variable.ty].inner else {
                return Err(format!("{} is no array", declared.name));
            };
            ensure(scalar(module, base) == Some(declared.element), || format!("elements of {}", declared.name))?;
        }
        Ok(())
    });
}

#[test]
fn every_shader_has_one_entry_point_that_any_device_can_launch() {
    for_every_variant(|launch, module| {
        let [entry] = &module.entry_points[..] else {
            return Err(format!("{} entry points", module.entry_points.len()));
        };
        ensure(entry.name == "main", || format!("the entry point is called {}", entry.name))?;
        let [x, y, z] = entry.workgroup_size;
        let threads = x * y * z;
        ensure(z <= 64, || format!("workgroups of {x}x{y}x{z} threads"))?;
        if let Some(taken) = planned(launch) {
            ensure(threads == taken.threads, || format!("{threads} threads, not {taken:?}"))?;
        }
        let promised = (1..=256).contains(&threads) || is_tuned(launch);
        ensure(promised, || format!("{threads} threads, more than WebGPU promises"))
    });
}

#[test]
fn workgroup_memory_is_what_it_is_planned_for_and_fits_the_smallest_device() {
    for_every_variant(|launch, module| {
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).map_err(|e| e.to_string())?;
        let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|(_, v)| layouter[v.ty].size).sum();
        if let Some(taken) = planned(launch) {
            ensure(bytes == taken.bytes, || format!("{bytes} bytes of workgroup memory, not {taken:?}"))?;
        }
        let promised = bytes <= 16 << 10 || is_tuned(launch);
        ensure(promised, || format!("{bytes} bytes of workgroup memory, more than WebGPU promises"))
    });
}

#[test]
fn constants_that_a_dispatch_sets_are_in_the_shader() {
    for specification in REGISTRY {
        let plain = shader_source(specification.kernel, &[]);
        for (name, _) in variants(specification).into_iter().flat_map(|launch| launch.constants) {
            let found = plain.lines().any(|l| {
                l.strip_prefix("const ")
                    .is_some_and(|l| l.split([' ', ':', '=']).next() == Some(name) && l.contains("u;"))
            });
            assert!(found, "{}: no line `const {name} = …u;`, so the dispatch sets nothing", specification.kernel.name);
        }
    }
}

fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(&folder).expect("the folder is part of the sources");
    let paths = files.map(|file| file.expect("readable").path());
    let right = paths.filter(|path| path.extension().is_some_and(|e| e == extension));
    right.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

/// The texts of all files src/kernel/FAMILY/*.rs.
fn family_files() -> Vec<String> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("the folder is part of the sources");
        entries.map(|entry| entry.expect("readable").path()).collect()
    };
    let all = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernel"));
    let files = all.iter().filter(|path| path.is_dir()).flat_map(|family| entries(family));
    files.map(|file| std::fs::read_to_string(file).expect("a text")).collect()
}

#[test]
fn every_shader_is_a_kernel_and_every_kernel_is_declared_in_its_family() {
    let kernels: BTreeSet<String> = REGISTRY.iter().map(|known| known.kernel.name.to_string()).collect();
    assert_eq!(kernels.len(), REGISTRY.len(), "a name twice");
    assert_eq!(stems("shaders", "wgsl"), kernels);
    let families: Vec<String> = family_files();
    for Specification { kernel, .. } in REGISTRY {
        let declaration = format!("name: \"{}\",", kernel.name);
        let declared: usize = families.iter().map(|text| text.matches(&declaration).count()).sum();
        assert_eq!(declared, 1, "declarations of {} in src/kernel/FAMILY/*.rs", kernel.name);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("shaders/{}.wgsl", kernel.name));
        assert_eq!(std::fs::read_to_string(path).expect("a shader"), kernel.wgsl, "{}", kernel.name);
    }
}

#[test]
fn every_library_file_is_included_by_some_shader() {
    let mut used = BTreeSet::new();
    let mut open: Vec<String> = REGISTRY.iter().map(|known| known.kernel.wgsl.to_string()).collect();
    while let Some(text) = open.pop() {
        for name in text.lines().filter_map(|line| line.strip_prefix("// include: ")) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/lib").join(name.trim());
            if used.insert(name.trim().trim_end_matches(".wgsl").to_string()) {
                open.push(std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
            }
        }
    }
    assert_eq!(used, stems("shaders/lib", "wgsl"));
}

#[test]
fn slots_of_the_step_state_are_the_same_in_rust_and_wgsl() {
    let text = include_str!("../../shaders/lib/step_state.wgsl");
    let constants = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("const ")?.split_once(':')?;
        let value = rest.split_once('=')?.1.split(';').next()?.trim().trim_end_matches('u');
        Some((name.trim(), value.parse::<usize>().expect("a number")))
    });
    let in_shader: BTreeSet<_> = constants.collect();
    let in_rust: BTreeSet<_> = state::SLOTS.iter().copied().collect();
    assert_eq!(in_shader, in_rust);
}
