//! Writes every shader that the cases of `verify` and the plans of the bundled recipes launch, with an index, for compilers
//! other than the one in the program: `cargo run --release --example write_shaders -- FOLDER [--spirv]`. With `--spirv` also what
//! Vulkan drivers are given of those that are planned or tuned for: `FILE.spv`.
//!
//! `index.json` lists them: the file; the kernel and what it `needs` of a device; `constants`; for each storage binding
//! from 1 on whether it is `read_only`; the words of the uniform at binding 0 (`params`, 0: there is none); `workgroup`, the
//! threads and bytes of those that compute tiles; and where it comes from: `case` if `verify` runs it, `planned` with the
//! recipes whose plan has it, `default_limits` if that is a plan for WebGPU's default limits. What has none of them only the
//! tuner would try.

use gputrain::data::{Dataset, Examples, Features, Scaling, Storage, Targets};
use gputrain::ir::{Access, Dispatch, Limits, MatrixUnits, Needs, Workgroup};
use gputrain::kernel::{REGISTRY, shader_source};
use gputrain::model::{Model, Shape};
use gputrain::planner::Fusion;
use gputrain::recipe::{Loss, Precision, Recipe, RecipeText, builtin_names};
use gputrain::train::{Draft, Member, TrainerSpec};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

/// A GPU with WebGPU's default limits.
const SMALL: Limits = Limits::WEBGPU;

/// A GPU with all that kernels can use, its matrix units aside.
const LARGE: Limits = Limits {
    buffer_bytes: 2047 << 20,
    binding_bytes: 2047 << 20,
    workgroup_bytes: 64 << 10,
    workgroup_threads: 1024,
    f16: true,
    ..SMALL
};

/// The devices to plan for, and the precisions that make a difference there.
fn devices() -> Vec<(Limits, &'static [Precision])> {
    let units = [(8, 32), (16, 32), (16, 64)].map(|(matrix, subgroup)| MatrixUnits { matrix, subgroup });
    let with_units = |units| (Limits { matrix_units: Some(units), ..LARGE }, &[Precision::Mixed][..]);
    let plain: [(Limits, &[Precision]); 2] = [(SMALL, &[Precision::F32]), (LARGE, &[Precision::F32, Precision::Mixed])];
    plain.into_iter().chain(units.map(with_units)).collect()
}

/// One shader, and where it comes from.
struct Shader {
    launch: Dispatch,
    case: bool,
    planned: BTreeSet<&'static str>,
    default_limits: bool,
}

/// A kernel's name and its constants: equal ones have equal texts.
type Variant = (&'static str, Vec<(&'static str, u32)>);

#[derive(Default)]
struct Shaders(BTreeMap<Variant, Shader>);

impl Shaders {
    fn add(&mut self, launch: &Dispatch) -> &mut Shader {
        let new = || Shader { launch: launch.clone(), case: false, planned: BTreeSet::new(), default_limits: false };
        self.0.entry((launch.kernel.name, launch.constants.clone())).or_insert_with(new)
    }

    /// What a recipe's plans launch, and what the tuner would try in its place.
    fn add_plans(&mut self, name: &'static str, recipe: &Recipe, limits: Limits) -> Result<(), Box<dyn Error>> {
        let model = Model::build(&recipe.model, Some(Shape::Features(784)))?;
        let dataset = Dataset { train: examples(&model, 4096), validation: None, test: Some(examples(&model, 1024)) };
        let scaling = Scaling::of(&recipe.data, &dataset.train.features).expect("bundled recipes fit their data");
        let members = vec![Member::of(recipe)];
        let spec = TrainerSpec {
            model,
            dataset: dataset.into(),
            scaling,
            trained_on: Default::default(),
            train: recipe.train.clone(),
            augment: recipe.augment.clone(),
            members,
            folds: 1,
        };
        for fusion in [Fusion::Auto, Fusion::Never] {
            let draft = Draft::new(spec.clone(), fusion, limits)?;
            for launch in draft.plan().launches() {
                let shader = self.add(&launch.lower());
                shader.planned.insert(name);
                shader.default_limits |= limits == SMALL;
                let variants = launch.variants().into_iter().map(|variant| variant.lower());
                for variant in variants.filter(|variant| limits.allow(variant)) {
                    self.add(&variant);
                }
            }
        }
        Ok(())
    }

    /// Writes the files and their index.
    fn write(&self, folder: &Path, spirv: bool) -> Result<(), Box<dyn Error>> {
        std::fs::create_dir_all(folder)?;
        let mut index = Vec::new();
        for (number, shader) in self.0.values().enumerate() {
            let Dispatch { kernel, constants, .. } = &shader.launch;
            let file = format!("{number:04}.{}.wgsl", kernel.name);
            let text = shader_source(kernel, constants);
            if spirv && (!shader.case || !shader.planned.is_empty()) {
                let words = to_spirv(&text).map_err(|e| format!("{file}: {e}"))?;
                std::fs::write(folder.join(format!("{file}.spv")), bytemuck::cast_slice(&words))?;
            }
            std::fs::write(folder.join(&file), text)?;
            index.push(describe(&file, shader));
        }
        std::fs::write(folder.join("index.json"), serde_json::to_string_pretty(&index)?)?;
        println!("{} shaders in {}", index.len(), folder.display());
        Ok(())
    }
}

/// As the program has it made for a device: without checks, since every kernel guards its own accesses.
fn to_spirv(text: &str) -> Result<Vec<u32>, Box<dyn Error>> {
    use naga::back::spv;
    use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let module = naga::front::wgsl::parse_str(text)?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module)?;
    let unchecked = BoundsCheckPolicy::Unchecked;
    let bounds_check_policies =
        BoundsCheckPolicies { index: unchecked, buffer: unchecked, image_load: unchecked, binding_array: unchecked };
    let options = spv::Options {
        lang_version: (1, 6),
        bounds_check_policies,
        force_loop_bounding: false,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        emit_int_div_checks: false,
        ..Default::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    Ok(spv::write_vec(&module, &info, &options, Some(&pipeline))?)
}

fn describe(file: &str, shader: &Shader) -> Value {
    let Dispatch { kernel, constants, demands, .. } = &shader.launch;
    let Workgroup { threads, bytes } = demands.workgroup;
    json!({
        "file": file,
        "kernel": kernel.name,
        "needs": match kernel.needs {
            Needs::Nothing => "nothing",
            Needs::F16 => "f16",
            Needs::MatrixUnits => "matrix units",
        },
        "constants": constants.iter().copied().collect::<BTreeMap<_, _>>(),
        "read_only": kernel.bindings.iter().map(|b| b.access == Access::Read).collect::<Vec<_>>(),
        "params": kernel.params.len(),
        "workgroup": (threads > 0).then(|| json!({ "threads": threads, "bytes": bytes })),
        "case": shader.case,
        "planned": shader.planned,
        "default_limits": shader.default_limits,
    })
}

/// So many examples for a model: what is in them does not matter to a plan.
fn examples(model: &Model, count: usize) -> Examples {
    let storage = Storage::U8(vec![0; count * model.input.len()].into());
    let features = Features { storage, count, shape: model.input };
    let targets = match model.loss {
        Loss::SoftmaxCrossEntropy => Targets::Classes { labels: vec![0; count], classes: model.outputs() },
        _ => Targets::Values { values: vec![0.0; count * model.outputs()], outputs: model.outputs() },
    };
    Examples::unweighted(features, targets)
}

/// A recipe; those of its sweep, if it is one, that differ in their model or batch.
fn recipes(name: &str) -> Result<Vec<Recipe>, Box<dyn Error>> {
    let text = RecipeText::find(name)?;
    let recipe = text.parse(&[])?;
    let Some(sweep) = &recipe.sweep else { return Ok(vec![recipe]) };
    let mut different: Vec<Recipe> = Vec::new();
    for (_, run) in sweep.expand(&text, &[])? {
        if different
            .iter()
            .all(|r| (&r.model, &r.train.batch, &r.optimizer) != (&run.model, &run.train.batch, &run.optimizer))
        {
            different.push(run);
        }
    }
    Ok(different)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: write_shaders FOLDER [--spirv]")?;
    let spirv = arguments.next().is_some_and(|argument| argument == "--spirv");
    let mut shaders = Shaders::default();
    for launch in REGISTRY.iter().flat_map(|specification| (specification.cases)()).map(|case| case.dispatch) {
        shaders.add(&launch).case = true;
    }
    for name in builtin_names() {
        for mut recipe in recipes(name)? {
            (recipe.train.early_stop, recipe.train.record) = (None, Vec::new());
            for (limits, precisions) in devices() {
                for precision in precisions {
                    recipe.precision = *precision;
                    shaders.add_plans(name, &recipe, limits).map_err(|e| format!("{name}: {e}"))?;
                }
            }
        }
    }
    shaders.write(Path::new(&folder), spirv)
}
